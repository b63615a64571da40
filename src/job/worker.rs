//! The command that works a row, its environment, and the prompt it reads.
//!
//! No shell is involved: a cell can only ever be a whole argument or part of one, an environment variable, or text
//! on standard input. The environment is an allow-list (CONTRACT, section 2, "The worker's side").

use super::input::Row;
use super::{JobError, Settings};
use crate::model::ReportToken;
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
    /// Names of further variables that it may see.
    pub env_names: Vec<String>,
}

impl Worker {
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
    pub prompt: String,
    pub result_file: PathBuf,
    /// A file of this attempt alone, to remove when it is over.
    pub row_file: Option<PathBuf>,
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

    /// Writes what all attempts share: the file named by `MESH_SCHEMA_FILE`.
    pub fn write_shared_files(&self) -> io::Result<()> {
        match &self.schema_file {
            Some(path) => crate::durable::write(path, format!("{}\n", self.schema).as_bytes()),
            None => Ok(()),
        }
    }

    /// Prepares attempt number `attempt` of `row`; `feedback` says what was wrong with the one before.
    pub fn launch(
        &self,
        row: &Row,
        attempt: u32,
        token: &ReportToken,
        feedback: Option<&str>,
    ) -> io::Result<Launch> {
        let settings = self.settings;
        let result_file = settings.scratch.join(format!("{token}.result.json"));
        let mut command = Command::new(&settings.worker.program);
        command
            .args(&settings.worker.fixed_args)
            .args(
                self.args
                    .iter()
                    .map(|arg| arg.render(|name| self.cell(row, name))),
            )
            .current_dir(&settings.worker.folder)
            .env_clear()
            .envs(self.inherited.iter().map(|(name, value)| (name, value)))
            .env("MESH_RUN_ID", settings.run_id.as_str())
            .env("MESH_JOB_ID", settings.job_id.as_str())
            .env("MESH_ITEM_ID", row.id.as_str())
            .env("MESH_ATTEMPT", attempt.to_string())
            .env("MESH_REPORT_TOKEN", token.as_str())
            .env("MESH_REPORT_SOCKET", &self.socket)
            .env("MESH_RESULT_FILE", &result_file);
        if let Some(path) = &self.schema_file {
            command.env("MESH_SCHEMA_FILE", path);
        }
        let json = Value::Object(self.row_object(row, |_, cell| cell.to_owned())).to_string();
        let mut row_file = None;
        if json.len() <= ROW_JSON_BYTES_MAX {
            command.env("MESH_ROW_JSON", json);
        } else {
            let path = settings.scratch.join(format!("{token}.row.json"));
            std::fs::write(&path, json)?;
            command.env("MESH_ROW_FILE", &path);
            row_file = Some(path);
        }
        Ok(Launch {
            command,
            prompt: self.prompt(row, feedback),
            result_file,
            row_file,
        })
    }

    /// The worker prompt: who, what, the row, the schema, and how to answer.
    pub fn prompt(&self, row: &Row, feedback: Option<&str>) -> String {
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
             Give it once, in one of these ways: call `mesh report-result --result JSON` (or `--result -` to read it \
             from standard input), or write it to the file named by MESH_RESULT_FILE, or print it as the last thing on \
             standard output. `mesh report-result --stop` also ends the whole job early; use it only when going on with the \
             other items would be pointless. Then stop.\n",
            self.settings.job_id,
            row.id,
            Value::Object(cells),
        );
        if let Some(feedback) = feedback {
            prompt.push_str(&format!(
                "\n# Your previous attempt failed\n\n{feedback}\n\nMend exactly that.\n"
            ));
        }
        prompt
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

/// The variables of the allow-list that are set here.
fn inherited(further: &[String]) -> Vec<(OsString, OsString)> {
    std::env::vars_os()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                ENV_ALLOWED.contains(&name)
                    || name.starts_with("LC_")
                    || further.iter().any(|allowed| allowed == name)
            })
        })
        .collect()
}
