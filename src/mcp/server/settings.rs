//! The configuration of a server, which no caller can change.

use super::root::Root;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The workers of a job when the caller asks for no number, as in the original tool.
const CONCURRENCY_DEFAULT: u64 = 16;
/// The most that a caller may ask for, as in the original tool.
const CONCURRENCY_CAP: u64 = 64;

/// The configuration of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This program.
    pub program: PathBuf,
    /// The folder that paths are confined to.
    pub root: Root,
    /// The folder of runs.
    pub home: PathBuf,
    /// The options of `mesh spawn` and `mesh run` that choose the worker, such as `--adapter codex`.
    pub worker_options: Vec<String>,
    /// The worker's own command, after `--`.
    pub worker_command: Vec<String>,
    /// The most workers of one job.
    pub max_concurrency: Option<u64>,
    /// How long a call waits for its job.
    pub block: Duration,
    /// The most characters of an answer.
    pub result_chars: usize,
    /// Whether runs of the plan may be started.
    pub allow_run: bool,
    /// How deep jobs may be nested.
    pub max_depth: u32,
}

impl Settings {
    /// The concurrency of a job for which the caller asked for `wanted`.
    pub fn concurrency(&self, wanted: Option<u64>) -> u64 {
        let cap = self.max_concurrency.unwrap_or(CONCURRENCY_CAP);
        wanted.unwrap_or(CONCURRENCY_DEFAULT).min(cap)
    }

    /// The command line of a job: `mesh NAME OPTIONS`, then the worker.
    pub fn command_line(
        &self,
        name: &str,
        options: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Vec<OsString> {
        let mut args = vec![OsString::from(name)];
        args.extend(options.into_iter().map(Into::into));
        args.extend(self.worker_options.iter().map(OsString::from));
        if !self.worker_command.is_empty() {
            args.push("--".into());
            args.extend(self.worker_command.iter().map(OsString::from));
        }
        args
    }

    /// This program in the root, with JSON as its output: the beginning of a command.
    pub fn command(&self, before: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(before)
            .args(["--json", "--color", "never", "-C"])
            .arg(self.root.path())
            .current_dir(self.root.path())
            .env("MESH_HOME", &self.home)
            .stdin(Stdio::null());
        command
    }

    /// The time that a call waits if the caller asked for `seconds`.
    pub fn wait(&self, seconds: Option<u64>) -> Duration {
        seconds.map_or(self.block, |it| Duration::from_secs(it).min(self.block))
    }
}
