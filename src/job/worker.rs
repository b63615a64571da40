//! The command that works a row, its environment, and the prompt it reads.
//!
//! No shell is involved: a cell can only ever be a whole argument or part of one, an environment variable, or text
//! on standard input. The environment is an allow-list (CONTRACT, section 2, "The worker's side").

use super::dialect::{Call, Invocation, Paths, PromptBy};
use super::input::Row;
use super::{JobError, Settings};
use crate::model::{ReportToken, Session};
use crate::template::{Braces, Template};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that every worker gets when they are set.
const ENV_ALLOWED: [&str; 7] = ["PATH", "HOME", "LANG", "TERM", "TMPDIR", "USER", "SHELL"];
/// The largest row that travels in `MESH_ROW_JSON`.
const ROW_JSON_BYTES_MAX: usize = 64 * 1024;
/// A cell that the instruction already shows and that is longer than this is not shown twice.
const CELL_SHOWN_TWICE_MAX: usize = 512;

/// How the prompt asks for the result, where nothing more is known of the worker.
const HAND_BACK: &str = "Give it once, in one of these ways: call `mesh report-result --result JSON` (or `--result -` to \
    read it from standard input), or write it to the file named by MESH_RESULT_FILE, or print it as the last thing on \
    standard output. `mesh report-result --stop` also ends the whole job early; use it only when going on with the \
    other items would be pointless. Then stop.";

/// The command that works one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The adapter it came from, for reports.
    pub adapter: String,
    /// An absolute path.
    pub program: PathBuf,
    /// Arguments that go first and are taken as they are.
    pub fixed_args: Vec<String>,
    /// Arguments; `{column}` stands for a cell.
    pub args: Vec<String>,
    /// The folder it works in.
    pub folder: PathBuf,
    /// Names of further variables that it may see; one that ends in `*` stands for all that begin so.
    pub env_names: Vec<String>,
    /// What the adapter needs to know of its ways again; opaque here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub speaks: Value,
}

impl Worker {
    /// Whether its program is still where it was found.
    ///
    /// # Errors
    /// [`JobError::NoProgram`].
    pub fn check(&self) -> Result<(), JobError> {
        match which::which(&self.program) {
            Ok(_) => Ok(()),
            Err(_) => Err(JobError::NoProgram {
                name: self.program.display().to_string(),
                exists: self.program.exists(),
            }),
        }
    }

    /// Finds `command[0]` on `PATH` (or relative to `folder`), before anything starts.
    pub fn find(
        adapter: &str,
        command: &[String],
        folder: &Path,
        env_names: Vec<String>,
    ) -> Result<Self, JobError> {
        let (name, args) = command.split_first().ok_or(JobError::NoCommand)?;
        let program = which::which_in(name, std::env::var_os("PATH"), folder).map_err(|_| {
            JobError::NoProgram {
                name: name.clone(),
                exists: folder.join(name).exists(),
            }
        })?;
        Ok(Self {
            adapter: adapter.to_owned(),
            program: std::path::absolute(&program).unwrap_or(program),
            fixed_args: Vec::new(),
            args: args.to_vec(),
            folder: folder.to_owned(),
            env_names,
            speaks: Value::Null,
        })
    }
}

/// What the attempts of one job have in common, prepared once.
pub(super) struct Launcher<'s> {
    settings: &'s Settings,
    header: Vec<String>,
    instruction: Template,
    args: Vec<Template>,
    /// The variables of the allow-list that are set here.
    inherited: Vec<(OsString, OsString)>,
    socket: PathBuf,
    schema_file: Option<PathBuf>,
    /// The schema as prompts show it.
    schema: String,
}

/// One attempt, ready to start.
pub(super) struct Launch {
    pub command: Command,
    /// For its standard input.
    pub prompt: String,
    pub result_file: PathBuf,
    /// Files of this attempt alone, to remove when it is over.
    pub own_files: Vec<PathBuf>,
}

impl<'s> Launcher<'s> {
    pub fn new(settings: &'s Settings, header: Vec<String>, socket: PathBuf) -> Self {
        let schema = settings.output_schema.as_ref();
        let args = settings.worker.args.iter();
        Self {
            settings,
            header,
            instruction: Template::parse(&settings.instruction, Braces::Escaped),
            args: args
                .map(|arg| Template::parse(arg, Braces::Plain))
                .collect(),
            inherited: inherited(&settings.worker.env_names),
            socket,
            schema_file: schema.map(|_| settings.scratch.join("schema.json")),
            schema: schema.map_or_else(|| "{}".to_owned(), |schema| format!("{schema:#}")),
        }
    }

    /// Writes what all attempts share: the file named by `MESH_SCHEMA_FILE`, and those of the worker's dialect.
    pub fn write_shared_files(&self) -> io::Result<()> {
        let settings = self.settings;
        if let Some(path) = &self.schema_file {
            crate::durable::write_private(path, format!("{}\n", self.schema).as_bytes())?;
        }
        let dialect = settings.dialect.iter();
        let schema = settings.output_schema.as_ref();
        for (name, content) in dialect.flat_map(|dialect| dialect.files(schema)) {
            crate::durable::write_private(&settings.scratch.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Prepares attempt number `attempt` of `row`; `feedback` says what was wrong with the one before, `session` is its
    /// conversation, where this one goes on with it.
    pub fn launch(
        &self,
        row: &Row,
        attempt: u32,
        token: &ReportToken,
        feedback: Option<&str>,
        session: Option<&Session>,
    ) -> io::Result<Launch> {
        let settings = self.settings;
        let own = |what: &str| settings.scratch.join(format!("{token}.{what}"));
        let invocation = self.invocation(session);
        let prompt = self.prompt(row, feedback, session.is_some());
        let paths = Paths {
            prompt: (invocation.prompt == PromptBy::File).then(|| own("prompt.md")),
            result: own("result.json"),
            schema: self.schema_file.clone(),
        };
        let mut own_files = Vec::new();
        let mut command = Command::new(&settings.worker.program);
        command
            .args(&settings.worker.fixed_args)
            .args(&invocation.args)
            .args(
                self.args.iter().map(|arg| {
                    arg.render(|name| self.cell(row, name).or_else(|| paths.named(name)))
                }),
            )
            .current_dir(&settings.worker.folder)
            .env_clear()
            .envs(invocation.defaults)
            .envs(self.inherited.iter().map(|(name, value)| (name, value)))
            .envs(invocation.env)
            .env("MESH_RUN_ID", settings.run_id.as_str())
            .env("MESH_JOB_ID", settings.job_id.as_str())
            .env("MESH_ITEM_ID", row.id.as_str())
            .env("MESH_ATTEMPT", attempt.to_string())
            .env("MESH_REPORT_TOKEN", token.as_str())
            .env("MESH_REPORT_SOCKET", &self.socket)
            .env("MESH_RESULT_FILE", &paths.result);
        if let Some(path) = &self.schema_file {
            command.env("MESH_SCHEMA_FILE", path);
        }
        let prompt = match &paths.prompt {
            Some(path) => {
                crate::private::write(path, prompt.as_bytes())?;
                command.env("MESH_PROMPT_FILE", path);
                own_files.push(path.clone());
                String::new()
            }
            None => prompt,
        };
        let json = Value::Object(self.row_object(row, |_, cell| cell.to_owned())).to_string();
        if json.len() <= ROW_JSON_BYTES_MAX {
            command.env("MESH_ROW_JSON", json);
        } else {
            let path = own("row.json");
            crate::private::write(&path, json.as_bytes())?;
            command.env("MESH_ROW_FILE", &path);
            own_files.push(path);
        }
        Ok(Launch {
            command,
            prompt,
            result_file: paths.result,
            own_files,
        })
    }

    fn invocation(&self, session: Option<&Session>) -> Invocation {
        let settings = self.settings;
        let call = Call {
            folder: &settings.scratch,
            schema: settings.output_schema.as_ref(),
            session: session.map(|session| session.id.as_str()),
            may_follow: settings.bounds.retries > 0,
        };
        let dialect = settings.dialect.as_ref();
        dialect.map_or_else(Invocation::default, |dialect| dialect.call(&call))
    }

    /// The worker prompt: who, what, the row, the schema, and how to answer. In a conversation that goes on, all of that
    /// has been said.
    pub fn prompt(&self, row: &Row, feedback: Option<&str>, goes_on: bool) -> String {
        if let Some(feedback) = feedback.filter(|_| goes_on) {
            return once_more(feedback, true);
        }
        let instruction = self.instruction.render(|name| self.cell(row, name));
        let shown = self.instruction.names();
        let cells = self.row_object(row, |name, cell| {
            if cell.len() > CELL_SHOWN_TWICE_MAX && shown.contains(&name) {
                "(shown in full in the instruction)".to_owned()
            } else {
                cell.to_owned()
            }
        });
        let schema = &self.schema;
        let mut prompt = format!(
            "You are working one item of a batch job. Do this item only.\n\n\
             Job: {}\nItem: {}\n\n\
             # Instruction\n\n{instruction}\n\n\
             # The row of this item, as data\n\n```json\n{:#}\n```\n\n\
             # The result\n\n\
             Hand back exactly one JSON object that fits this JSON Schema:\n\n```json\n{schema}\n```\n\n\
             {}\n",
            self.settings.job_id,
            row.id,
            Value::Object(cells),
            self.hand_back(),
        );
        if let Some(feedback) = feedback {
            prompt.push('\n');
            prompt.push_str(&once_more(feedback, false));
        }
        prompt
    }

    fn hand_back(&self) -> &str {
        let dialect = self.settings.dialect.as_ref();
        let own = dialect.and_then(|dialect| dialect.hand_back());
        own.unwrap_or(HAND_BACK)
    }

    fn cell<'r>(&self, row: &'r Row, name: &str) -> Option<&'r str> {
        let at = self.header.iter().position(|column| column == name)?;
        row.fields.get(at).map(String::as_str)
    }

    fn row_object(&self, row: &Row, cell: impl Fn(&str, &str) -> String) -> Map<String, Value> {
        let pairs = self.header.iter().zip(&row.fields);
        pairs
            .map(|(name, field)| (name.clone(), Value::String(cell(name, field))))
            .collect()
    }
}

/// What a further attempt is told beyond the row's prompt, or instead of it where the same session `goes_on`.
pub fn once_more(feedback: &str, goes_on: bool) -> String {
    match goes_on {
        true => format!(
            "Your answer was refused:\n\n{feedback}\n\n\
             Mend exactly that, and hand the whole result back once more, as one JSON object that fits the schema, in \
             the same way as before.\n"
        ),
        false => format!("# Your previous attempt failed\n\n{feedback}\n\nMend exactly that.\n"),
    }
}

/// The variables of the allow-list that are set here.
fn inherited(further: &[String]) -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                ENV_ALLOWED.contains(&name)
                    || name.starts_with("LC_")
                    || further.iter().any(|allowed| matches(allowed, name))
            })
        })
        .collect()
}

/// The variables that workers get because somebody named them, as text.
pub(super) fn handed_in(further: &[String]) -> Vec<(String, String)> {
    let named = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_named = further.iter().any(|allowed| matches(allowed, &name));
        is_named.then(|| (name, value.to_string_lossy().into_owned()))
    });
    named.collect()
}

/// Whether a variable is one of those that an entry stands for.
fn matches(allowed: &str, name: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => allowed == name,
    }
}
