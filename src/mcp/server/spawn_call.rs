//! A call of `spawn_agents_on_csv`: its arguments, checked, and the command line of its job.

use super::root::Root;
use super::runs;
use super::settings::Settings;
use crate::mcp::toolbox::{Arguments, ToolError};
use crate::platform::{look, private, sha256_of_reader};
use crate::report::view::RunView;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A call of `spawn_agents_on_csv`.
pub struct SpawnCall {
    csv_path: PathBuf,
    input_sha256: String,
    instruction: String,
    id_column: Option<String>,
    output_csv_path: Option<PathBuf>,
    output_schema: Option<Value>,
    max_concurrency: u64,
    max_runtime_seconds: Option<u64>,
}

impl SpawnCall {
    /// Reads arguments that fit the declaration of the tool.
    ///
    /// # Errors
    /// A path is outside of the root, or there is no input.
    pub fn read(settings: &Settings, arguments: &Arguments) -> Result<Self, ToolError> {
        let text = |name: &str| arguments.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            arguments
                .get(name)
                .and_then(Value::as_f64)
                .map(|it| it as u64)
        };
        let given = text("csv_path").unwrap_or_default();
        let (csv_path, file) = root_of(settings, given).open_file("csv_path", given)?;
        let input_sha256 = sha256_of_reader(file).map_err(|error| {
            ToolError::new(format!("`{given}`: {error}"), "pass a CSV that can be read")
        })?;
        let output = text("output_csv_path")
            .map(|path| root_of(settings, path).check("output_csv_path", path));
        let wanted = number("max_concurrency").or(number("max_workers"));
        Ok(Self {
            csv_path,
            input_sha256,
            instruction: text("instruction").unwrap_or_default().to_owned(),
            id_column: text("id_column").map(str::to_owned),
            output_csv_path: output.transpose()?,
            output_schema: arguments
                .get("output_schema")
                .filter(|it| it.is_object())
                .cloned(),
            max_concurrency: settings.concurrency(wanted),
            max_runtime_seconds: number("max_runtime_seconds"),
        })
    }

    /// All that decides on the job.
    pub fn key(&self) -> Value {
        json!([
            "spawn",
            self.csv_path,
            self.input_sha256,
            self.instruction,
            self.id_column,
            self.output_csv_path,
            self.output_schema,
            self.max_concurrency,
            self.max_runtime_seconds,
        ])
    }

    /// Whether the run of an earlier call still has its result: without the output, the job is to be run again.
    ///
    /// # Errors
    /// It can't be told.
    pub fn has_output(view: &RunView) -> Result<bool, ToolError> {
        let Some(path) = view.state().spawned_output() else {
            return Ok(false);
        };
        let there = look::find(path).map_err(|error| {
            let path = path.display();
            ToolError::new(
                format!("`{path}`: {error}"),
                "mend this and call the tool again",
            )
        })?;
        Ok(there.is_some())
    }

    /// Refuses an output that exists, and is not that of an earlier job of this call.
    ///
    /// # Errors
    /// It exists.
    pub fn check_output(&self) -> Result<(), ToolError> {
        let Some(path) = &self.output_csv_path else {
            return Ok(());
        };
        let why = match look::find(path) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => "already exists".to_owned(),
            Err(error) => format!("can't be looked at: {error}"),
        };
        let path = path.display();
        Err(ToolError::new(
            format!("output_csv_path: `{path}` {why}; nothing was started"),
            "pass another output_csv_path, or leave it out",
        ))
    }

    /// Writes the files of the call into `folder` and gives the command line of its job.
    pub fn command_line(&self, settings: &Settings, folder: &Path) -> io::Result<Vec<OsString>> {
        let option = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            let mut option = OsString::from(format!("--{name}="));
            option.push(value.as_ref());
            option
        };
        let instruction = folder.join("instruction.md");
        private::write(&instruction, self.instruction.as_bytes())?;
        let mut options = vec![
            self.csv_path.clone().into_os_string(),
            option("instruction-file", &instruction),
            option("max-concurrency", &self.max_concurrency.to_string()),
        ];
        if let Some(schema) = &self.output_schema {
            let path = folder.join("schema.json");
            private::write(&path, schema.to_string().as_bytes())?;
            options.push(option("output-schema", &path));
        }
        options.extend(self.id_column.as_ref().map(|it| option("id-column", it)));
        options.extend(
            self.output_csv_path
                .as_ref()
                .map(|it| option("output-csv-path", it)),
        );
        let seconds = self.max_runtime_seconds.map(|it| it.to_string());
        options.extend(seconds.map(|it| option("max-runtime-seconds", &it)));
        Ok(settings.command_line("spawn", options))
    }
}

/// The folder that a path is confined to: the root, or the waves of a run in it, which can be run like any CSV.
fn root_of(settings: &Settings, given: &str) -> Root {
    let below = Path::new(given)
        .strip_prefix(settings.home.join("runs"))
        .ok();
    let mut parts = below.into_iter().flat_map(Path::components);
    let waves = match (parts.next(), parts.next()) {
        (Some(Component::Normal(id)), Some(Component::Normal(name))) if name == "waves" => id
            .to_str()
            .and_then(|id| runs::find(settings, id).ok())
            .and_then(|folder| Root::open(&folder.waves()).ok()),
        _ => None,
    };
    waves.unwrap_or_else(|| settings.root.clone())
}
