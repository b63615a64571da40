//! Builds the worker process of a row: arguments, environment, prompt, files.

use super::enclosure::Enclosure;
use super::pool_event::Task;
use crate::job::{
    CELL_SHOWN_TWICE_MAX, Call, DEPTH, Invocation, JobError, Paths, PromptBy, RESULT_INSTRUCTIONS,
    ROW_JSON_BYTES_MAX, Row, RowWorkerRef, Settings, Survey, Worker, depth, inherited,
    retry_prompt,
};
use crate::model::Session;
use crate::platform::private;
use crate::template::{Braces, Template};
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;

/// The parts common to all attempts of a job, prepared once.
pub(crate) struct Launcher<'s> {
    settings: &'s Settings,
    header: Vec<String>,
    instruction: Template,
    /// By worker, as in [`Settings::row_workers`].
    commands: Vec<WorkerCommand>,
    socket: PathBuf,
    schema_file: Option<PathBuf>,
    /// The schema as shown in prompts.
    schema: String,
}

/// The parts of the command of one worker that its rows share.
struct WorkerCommand {
    args: Vec<Template>,
    /// The variables of the allow-list that are set in this process.
    inherited: Vec<(OsString, OsString)>,
}

impl WorkerCommand {
    fn of(worker: &Worker) -> Self {
        let args = worker.args.iter();
        Self {
            args: args
                .map(|arg| Template::parse(arg, Braces::Plain))
                .collect(),
            inherited: inherited(&worker.env_names),
        }
    }
}

/// One attempt, ready to start.
pub(crate) struct Launch<'s> {
    pub command: Command,
    /// For its standard input.
    pub prompt: String,
    pub result_file: PathBuf,
    /// Files of this attempt, to remove after its end.
    pub own_files: Vec<PathBuf>,
    /// Its part of the sandbox, if it runs in one.
    pub enclosure: Option<Enclosure<'s>>,
}

impl<'s> Launcher<'s> {
    pub fn new(settings: &'s Settings, header: Vec<String>, socket: PathBuf) -> Self {
        let schema = settings.output_schema.as_ref();
        let workers = settings.row_workers();
        Self {
            settings,
            header,
            instruction: Template::parse(&settings.instruction, Braces::Escaped),
            commands: workers.map(|it| WorkerCommand::of(it.worker)).collect(),
            socket,
            schema_file: schema.map(|_| settings.scratch.join("schema.json")),
            schema: schema.map_or_else(|| "{}".to_owned(), |schema| format!("{schema:#}")),
        }
    }

    /// Writes the files that all attempts share: the one named by `MESH_SCHEMA_FILE`, and those of the agent protocols.
    pub fn write_shared_files(&self) -> io::Result<()> {
        let settings = self.settings;
        if let Some(path) = &self.schema_file {
            crate::platform::write_private(path, format!("{}\n", self.schema).as_bytes())?;
        }
        let protocols = settings.row_workers().filter_map(|it| it.agent_protocol);
        let schema = settings.output_schema.as_ref();
        // Two workers with one agent program share its files: they depend on the schema alone.
        for (name, content) in protocols.flat_map(|protocol| protocol.files(schema)) {
            crate::platform::write_private(&settings.scratch.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Prepares an attempt.
    pub fn launch(&self, task: &Task) -> io::Result<Launch<'s>> {
        let settings = self.settings;
        let (row, token, session) = (&task.row, &task.token, task.session.as_ref());
        let RowWorkerRef {
            worker, sandbox, ..
        } = settings.worker_of(row.index);
        let shared = &self.commands[settings.worker_place(row.index)];
        let own = |what: &str| settings.scratch.join(format!("{token}.{what}"));
        let invocation = self.invocation(row, session);
        let prompt = self.prompt(row, task.feedback.as_deref(), session.is_some());
        let enclosure = sandbox.map(|sandbox| Enclosure::create(sandbox, &settings.scratch, token));
        let enclosure = enclosure.transpose()?;
        let paths = Paths {
            prompt: (invocation.prompt == PromptBy::File).then(|| own("prompt.md")),
            result: match &enclosure {
                Some(enclosure) => enclosure.folder().join("result.json"),
                None => own("result.json"),
            },
            schema: self.schema_file.clone(),
        };
        let mut own_files = Vec::new();
        let mut command = match &enclosure {
            Some(enclosure) => enclosure.command(worker),
            None => Command::new(&worker.program),
        };
        command
            .args(&worker.fixed_args)
            .args(&invocation.args)
            .args(
                shared.args.iter().map(|arg| {
                    arg.render(|name| self.cell(row, name).or_else(|| paths.named(name)))
                }),
            )
            .current_dir(&worker.folder)
            .env_clear()
            .envs(invocation.defaults)
            .envs(shared.inherited.iter().map(|(name, value)| (name, value)))
            .envs(invocation.env)
            .env("MESH_RUN_ID", settings.run_id.as_str())
            .env("MESH_JOB_ID", settings.job_id.as_str())
            .env("MESH_ITEM_ID", row.id.as_str())
            .env("MESH_ATTEMPT", task.attempt.to_string())
            .env(DEPTH, (depth() + 1).to_string())
            .env("MESH_REPORT_TOKEN", token.as_str())
            .env("MESH_REPORT_SOCKET", &self.socket)
            .env("MESH_RESULT_FILE", &paths.result);
        if let Some(path) = &self.schema_file {
            command.env("MESH_SCHEMA_FILE", path);
        }
        if let Some(folder) = enclosure.as_ref().and_then(Enclosure::temporary_folder) {
            command.env("TMPDIR", folder);
        }
        let prompt = match &paths.prompt {
            Some(path) => {
                private::write(path, prompt.as_bytes())?;
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
            private::write(&path, json.as_bytes())?;
            command.env("MESH_ROW_FILE", &path);
            own_files.push(path);
        }
        Ok(Launch {
            command,
            prompt,
            result_file: paths.result,
            own_files,
            enclosure,
        })
    }

    fn invocation(&self, row: &Row, session: Option<&Session>) -> Invocation {
        let settings = self.settings;
        let call = Call {
            folder: &settings.scratch,
            schema: settings.output_schema.as_ref(),
            session: session.map(|session| session.id.as_str()),
            may_follow: settings.bounds.retries > 0,
        };
        let agent_protocol = settings.worker_of(row.index).agent_protocol;
        agent_protocol.map_or_else(Invocation::default, |agent_protocol| {
            agent_protocol.call(&call)
        })
    }

    /// The worker prompt: task, row, schema, and how to answer. A continued conversation has all of it and gets the
    /// feedback only.
    pub fn prompt(&self, row: &Row, feedback: Option<&str>, continues: bool) -> String {
        if let Some(feedback) = feedback.filter(|_| continues) {
            return retry_prompt(feedback, true);
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
            "You are processing one item of a batch job. Do this item only.\n\n\
             Job: {}\nItem: {}\n\n\
             # Instruction\n\n{instruction}\n\n\
             # Row, as data\n\n```json\n{:#}\n```\n\n\
             # Result\n\n\
             Return exactly one JSON object that matches this JSON Schema:\n\n```json\n{schema}\n```\n\n\
             {}\n",
            self.settings.job_id,
            row.id,
            Value::Object(cells),
            self.result_instructions(row),
        );
        if let Some(feedback) = feedback {
            prompt.push('\n');
            prompt.push_str(&retry_prompt(feedback, false));
        }
        prompt
    }

    fn result_instructions(&self, row: &Row) -> &str {
        let agent_protocol = self.settings.worker_of(row.index).agent_protocol;
        let own = agent_protocol.and_then(|agent_protocol| agent_protocol.result_instructions());
        own.unwrap_or(RESULT_INSTRUCTIONS)
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

impl Settings {
    /// The prompt of the first row, without starting anything.
    pub fn first_prompt(&self, survey: &Survey) -> Result<Option<String>, JobError> {
        self.prompt_of(survey, |_| true)
    }

    /// The prompt of the first attempt of the first row that `is_wanted` selects.
    pub fn prompt_of(
        &self,
        survey: &Survey,
        is_wanted: impl Fn(&Row) -> bool,
    ) -> Result<Option<String>, JobError> {
        let mut rows = survey.rows(self)?;
        while let Some(row) = rows.next_row()? {
            if is_wanted(&row) {
                let header = survey.header().to_vec();
                let launcher = Launcher::new(self, header, PathBuf::new());
                return Ok(Some(launcher.prompt(&row, None, false)));
            }
        }
        Ok(None)
    }
}
