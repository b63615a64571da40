//! The command that works a row, its environment, and the prompt it reads.
//!
//! No shell is involved: a cell can only ever be a whole argument or part of one, an environment variable, or text
//! on standard input. The environment is an allow-list (CONTRACT, section 2, "The worker's side").

use super::error::JobError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables that every worker gets when they are set.
const ENV_ALLOWED: [&str; 7] = ["PATH", "HOME", "LANG", "TERM", "TMPDIR", "USER", "SHELL"];
/// The largest row that travels in `MESH_ROW_JSON`.
pub(crate) const ROW_JSON_BYTES_MAX: usize = 64 * 1024;
/// A cell that the instruction already shows and that is longer than this is not shown twice.
pub(crate) const CELL_SHOWN_TWICE_MAX: usize = 512;

/// How the prompt asks for the result, where nothing more is known of the worker.
pub(crate) const HAND_BACK: &str = "Give it once, in one of these ways: call `mesh report-result --result JSON` (or `--result -` to \
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

/// The variables that workers get because somebody named them, as text.
pub(crate) fn handed_in(further: &[String]) -> Vec<(String, String)> {
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
