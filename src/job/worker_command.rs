//! The worker command, its environment, and the prompt that it reads.
//!
//! No shell is involved: a cell can only become an argument or part of one, an environment variable, or text on
//! standard input. The environment is an allow-list (CONTRACT, section 2, "The worker's side").

use super::error::JobError;
use crate::platform::{Confinement, look, machine_fault, program};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables that every worker inherits.
const ENV_ALLOWED: [&str; 7] = ["PATH", "HOME", "LANG", "TERM", "TMPDIR", "USER", "SHELL"];
/// The largest row that is passed in `MESH_ROW_JSON`.
pub(crate) const ROW_JSON_BYTES_MAX: usize = 64 * 1024;
/// A longer cell is not repeated if the instruction already shows it.
pub(crate) const CELL_SHOWN_TWICE_MAX: usize = 512;

/// How the prompt asks for the result of a worker without an agent protocol.
pub(crate) const RESULT_INSTRUCTIONS: &str = "Return it once, in one of these ways: call `mesh report-result --result JSON` (or `--result -` to \
    read it from standard input), write it to the file named by MESH_RESULT_FILE, or print it at the end of standard \
    output. `mesh report-result --stop` also ends the whole job early; use it only if processing the other items would \
    be pointless. Then stop.";

/// The command that runs for each row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The adapter that it comes from, for reports.
    pub adapter: String,
    /// An absolute path. Empty: no process is started, each attempt answers `{}`.
    pub program: PathBuf,
    /// Leading arguments, without placeholders.
    pub fixed_args: Vec<String>,
    /// Arguments; `{column}` is replaced by a cell.
    pub args: Vec<String>,
    /// Its working folder.
    pub folder: PathBuf,
    /// Names of further variables that it inherits; a name that ends in `*` matches every variable with that prefix.
    pub env_names: Vec<String>,
    /// The adapter's own settings, needed on resume; opaque here.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub speaks: Value,
    /// How its processes are confined, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Confinement>,
}

/// The executable file that `name` is.
fn find_program(name: &Path, folder: &Path) -> Result<PathBuf, JobError> {
    let failed = |source| JobError::ProgramUnknown {
        name: name.to_owned(),
        source,
    };
    match program::find(name, folder).map_err(failed)? {
        Some(program) => Ok(program),
        None => Err(JobError::NoProgram {
            name: name.display().to_string(),
            exists: matches!(look::find(&folder.join(name)), Ok(Some(_))),
        }),
    }
}

impl Worker {
    /// Whether no process is started for its attempts.
    pub fn is_in_process(&self) -> bool {
        self.program.as_os_str().is_empty()
    }

    /// Checks that its program still exists.
    ///
    /// # Errors
    /// [`JobError::NoProgram`], or [`JobError::ProgramUnknown`].
    pub fn check(&self) -> Result<(), JobError> {
        match self.is_in_process() {
            true => Ok(()),
            false => find_program(&self.program, &self.folder).map(drop),
        }
    }

    /// Replaces its program, if that is not on this host, by the one of the same name on `PATH`.
    ///
    /// # Errors
    /// [`JobError::NoProgram`], or [`JobError::ProgramUnknown`].
    pub fn find_here(&mut self) -> Result<(), JobError> {
        let Err(missing) = machine_fault::apart(self.check())? else {
            return Ok(());
        };
        let name = self.program.file_name().unwrap_or_default();
        self.program = machine_fault::apart(find_program(Path::new(name), &self.folder))?
            .map_err(|_| missing)?;
        Ok(())
    }

    /// Finds `command[0]` on `PATH` (or relative to `folder`), before anything starts.
    pub fn find(
        adapter: &str,
        command: &[String],
        folder: &Path,
        env_names: Vec<String>,
    ) -> Result<Self, JobError> {
        let (name, args) = command.split_first().ok_or(JobError::NoCommand)?;
        let program = find_program(Path::new(name), folder)?;
        Ok(Self {
            adapter: adapter.to_owned(),
            program: std::path::absolute(&program).unwrap_or(program),
            fixed_args: Vec::new(),
            args: args.to_vec(),
            folder: folder.to_owned(),
            env_names,
            speaks: Value::Null,
            sandbox: None,
        })
    }
}

/// The text that a retry adds to its prompt, or its whole prompt if it continues the session.
pub fn retry_prompt(feedback: &str, continues: bool) -> String {
    match continues {
        true => format!(
            "Your answer was refused:\n\n{feedback}\n\n\
             Fix exactly that, and return the whole result again, as one JSON object that matches the schema, in the \
             same way as before.\n"
        ),
        false => format!("# Your previous attempt failed\n\n{feedback}\n\nFix exactly that.\n"),
    }
}

/// The variables of the allow-list that are set in this process.
pub(crate) fn inherited(further: &[String]) -> Vec<(OsString, OsString)> {
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

/// The variables that workers inherit by name, as text.
pub(crate) fn named_variables(further: &[String]) -> Vec<(String, String)> {
    let named = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        let is_named = further.iter().any(|allowed| matches(allowed, &name));
        is_named.then(|| (name, value.to_string_lossy().into_owned()))
    });
    named.collect()
}

/// Whether an entry of the allow-list matches a variable.
fn matches(allowed: &str, name: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => allowed == name,
    }
}
