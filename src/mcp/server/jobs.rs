//! Starts the process of a job, or finds the one that an earlier call started.
//!
//! ```text
//! $MESH_HOME/mcp/
//!   lock            held while a job is started
//!   calls/<hash>    the id of the run of a call
//!   jobs/<run id>/  instruction.md, schema.json; progress.jsonl and messages.txt, what its process prints
//! ```
//!
//! A call is known by the hash of its arguments, of the input's content and of the server's choice of a worker, so that a client
//! that lost its answer, or a second one, gets the same job. These files are only notes: without them a job is started again.

use super::runs;
use super::settings::Settings;
use crate::job::{DEPTH_MAX, check_depth_up_to};
use crate::ledger;
use crate::mcp::toolbox::{CallContext, ToolError};
use crate::model::RunId;
use crate::platform::{
    LockKind, clock, file_lock, look, make_folders, options, private, sha256_of_bytes, threads,
};
use crate::run::RunFolder;
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// The first argument of a process that leaves the session of its parent and then runs the command in the others.
pub const DETACHED: &str = "__detached";

/// How often a start looks whether the job has begun.
const POLL: Duration = Duration::from_millis(10);

/// How old a line about progress may be; a job prints one a second while its rows start and end.
const CURRENT: Duration = Duration::from_secs(5);

/// The jobs of a server.
pub struct Jobs<'s> {
    settings: &'s Settings,
}

/// What became of a start.
pub enum Started {
    /// A run, which its process drives or has ended.
    Run(RunFolder),
    /// There was nothing to do, as the command printed.
    Nothing(Value),
}

/// The right to start jobs, until dropped.
pub struct StartLock(#[expect(dead_code, reason = "the lock ends with the file")] File);

impl<'s> Jobs<'s> {
    /// The jobs that this configuration starts.
    pub fn new(settings: &'s Settings) -> Self {
        Self { settings }
    }

    /// Waits until no other server starts a job.
    pub fn lock(&self, context: &CallContext) -> Result<StartLock, ToolError> {
        let path = self.folder().join("lock");
        let open = || {
            make_folders(&self.folder())?;
            options().append(true).create(true).open(&path)
        };
        let file = open().map_err(|error| unusable(&path, &error))?;
        loop {
            let taken = file_lock::try_lock(&file, LockKind::Exclusive);
            match taken.map_err(|error| unusable(&path, &error))? {
                true => return Ok(StartLock(file)),
                false if context.is_cancelled() => {
                    return Err(unusable(&path, &io::ErrorKind::WouldBlock.into()));
                }
                false => std::thread::sleep(POLL),
            }
        }
    }

    /// The key of a call: `what` has all that decides on its job.
    pub fn key(&self, what: &Value) -> String {
        let settings = self.settings;
        let worker = (&settings.worker_options, &settings.worker_command);
        let all = serde_json::json!([settings.root.path(), worker.0, worker.1, what]);
        sha256_of_bytes(all.to_string().as_bytes())
    }

    /// The run of the call with this key.
    pub fn find(&self, key: &str, _: &StartLock) -> Result<Option<RunFolder>, ToolError> {
        let path = self.call(key);
        let id =
            look::found(std::fs::read_to_string(&path)).map_err(|error| unusable(&path, &error))?;
        match id {
            Some(id) => runs::look_for(self.settings, id.trim()),
            None => Ok(None),
        }
    }

    /// Forgets the calls of a run, so that the next one starts a new run.
    pub fn forget_run(&self, id: &RunId) {
        for call in self.entries("calls") {
            if std::fs::read_to_string(&call).is_ok_and(|of| of.trim() == id.as_str()) {
                let _ = std::fs::remove_file(call);
            }
        }
    }

    /// Forgets the call, so that the next one with this key starts a new run.
    pub fn forget(&self, key: &str) {
        let _ = std::fs::remove_file(self.call(key));
    }

    /// Starts a run for the call with this key. `arguments` gets the folder for files of the call, and gives the command line.
    pub fn start(
        &self,
        key: &str,
        lock: &StartLock,
        arguments: impl FnOnce(&Path) -> io::Result<Vec<OsString>>,
    ) -> Result<Started, ToolError> {
        self.check_depth()?;
        self.prune();
        let id = self.new_id();
        let folder = self.job(&id);
        let prepare = || {
            make_folders(&folder)?;
            make_folders(&self.folder().join("calls"))?;
            private::write(&self.call(key), id.as_str().as_bytes())?;
            arguments(&folder)
        };
        let mut args = prepare().map_err(|error| unusable(&folder, &error))?;
        let command = args
            .iter()
            .position(|arg| arg == "--")
            .unwrap_or(args.len());
        let run_id = ["--run-id", id.as_str()].map(OsString::from);
        args.splice(command..command, run_id);
        let begun = self.launch(&id, args, lock);
        if begun.is_ok() {
            let found = look::reachable(RunFolder::find(&self.settings.home, &id));
            // It may have begun: the call stays known, so that the next one finds it.
            let found = found.map_err(|error| runs::unknown(id.as_str(), &error))?;
            if let Some(folder) = found {
                return Ok(Started::Run(folder));
            }
        }
        self.forget(key);
        begun?;
        match self.last_printed(&id, |_| true) {
            Some(printed) => Ok(Started::Nothing(printed)),
            None => Err(self.nothing_started(&id)),
        }
    }

    /// Goes on with a run that no process drives.
    pub fn resume(
        &self,
        folder: &RunFolder,
        options: &[&str],
        lock: &StartLock,
    ) -> Result<(), ToolError> {
        self.check_depth()?;
        let id = folder.id();
        make_folders(&self.job(id)).map_err(|error| unusable(&self.job(id), &error))?;
        let mut args: Vec<OsString> = ["resume", id.as_str()].map(OsString::from).to_vec();
        args.extend(options.iter().map(OsString::from));
        self.launch(id, args, lock)
    }

    /// What the process of a run last printed about its progress.
    pub fn last_progress(&self, id: &RunId) -> Option<Value> {
        self.last_printed(id, |line| line.get("pending_items").is_some())
    }

    /// The same if it is of now: a run that was resumed on the command line prints elsewhere.
    pub fn current_progress(&self, id: &RunId) -> Option<Value> {
        let printed = std::fs::metadata(self.progress(id)).ok()?.modified().ok()?;
        let is_current = printed.elapsed().is_ok_and(|age| age < CURRENT);
        self.last_progress(id).filter(|_| is_current)
    }

    fn last_printed(&self, id: &RunId, is_wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let end = crate::report::tail(&self.progress(id), 64 * 1024)?;
        let lines = end.lines().rev();
        let mut values = lines.filter_map(|line| serde_json::from_str(line).ok());
        values.find(is_wanted)
    }

    fn check_depth(&self) -> Result<(), ToolError> {
        check_depth_up_to(self.settings.max_depth).map_err(|error| {
            ToolError::new(
                error.to_string(),
                "do this item without starting a job; whoever configures this server can allow more with --max-depth",
            )
        })
    }

    /// Starts a process for run `id` and waits until it drives the run or has ended.
    fn launch(&self, id: &RunId, args: Vec<OsString>, _: &StartLock) -> Result<(), ToolError> {
        let (progress, messages) = (self.progress(id), self.messages(id));
        let start = || -> io::Result<Child> {
            let mut command = self.settings.command(&[DETACHED]);
            command
                .args(args)
                .env(DEPTH_MAX, self.settings.max_depth.to_string())
                .stdout(private::create(&progress)?)
                .stderr(private::create(&messages)?);
            command.spawn()
        };
        let mut child = start().map_err(|error| unusable(&self.settings.program, &error))?;
        let status = self.wait_for_begin(id, &mut child);
        // Reaps it, whenever it ends; without a thread that has to wait for the end of this process.
        let _ = threads::start("reaper", move || child.wait());
        match status {
            None => Ok(()),
            Some(status) if matches!(status.code(), Some(0 | 1 | 4)) => Ok(()),
            Some(_) => Err(self.nothing_started(id)),
        }
    }

    /// The status of a process that has ended; `None` if it drives the run.
    fn wait_for_begin(&self, id: &RunId, child: &mut Child) -> Option<ExitStatus> {
        let ledger = self
            .settings
            .home
            .join("runs")
            .join(id.as_str())
            .join("ledger.jsonl");
        loop {
            let has_begun = ledger::is_in_use(&ledger).unwrap_or(false)
                && ledger::first(&ledger).is_ok_and(|first| first.is_some());
            if has_begun {
                return None;
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(POLL);
        }
    }

    /// The error of a process that has started no run, in its own words.
    fn nothing_started(&self, id: &RunId) -> ToolError {
        let messages = std::fs::read_to_string(self.messages(id)).unwrap_or_default();
        let from = messages
            .find("error: ")
            .map_or(0, |at| at + "error: ".len());
        let text = messages[from..].trim();
        let text = match text {
            "" => "the job did not start",
            text => text,
        };
        ToolError::new(
            format!("nothing was started: {text}"),
            "correct the arguments and call the tool again; options in the text are those of the command line",
        )
    }

    /// The id of a new run: the time, with a number if it is taken.
    fn new_id(&self) -> RunId {
        let base = clock::run_id(clock::now());
        let is_free = |id: &RunId| {
            // A name that can't be looked at counts as free: the folder of a run is made anew, or its start fails.
            let is_taken = |path: &Path| look::is_taken(path).unwrap_or(false);
            let run = self.settings.home.join("runs").join(id.as_str());
            !is_taken(&run) && !is_taken(&self.job(id))
        };
        let numbered = (2..).map(|number| RunId::new(format!("{base}-{number}")));
        let mut ids = std::iter::once(base.clone()).chain(numbered);
        ids.find(is_free).unwrap_or(base)
    }

    /// Removes the notes on runs that are gone.
    fn prune(&self) {
        let runs = self.settings.home.join("runs");
        let is_gone = |id: &str| matches!(look::is_taken(&runs.join(id)), Ok(false));
        for job in self.entries("jobs") {
            if job
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(is_gone)
            {
                let _ = std::fs::remove_dir_all(job);
            }
        }
        for call in self.entries("calls") {
            if std::fs::read_to_string(&call).is_ok_and(|id| is_gone(id.trim())) {
                let _ = std::fs::remove_file(call);
            }
        }
    }

    fn entries(&self, name: &str) -> impl Iterator<Item = PathBuf> {
        let entries = std::fs::read_dir(self.folder().join(name));
        let entries = entries.into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    }

    fn folder(&self) -> PathBuf {
        self.settings.home.join("mcp")
    }

    fn call(&self, key: &str) -> PathBuf {
        self.folder().join("calls").join(key)
    }

    fn job(&self, id: &RunId) -> PathBuf {
        self.folder().join("jobs").join(id.as_str())
    }

    fn progress(&self, id: &RunId) -> PathBuf {
        self.job(id).join("progress.jsonl")
    }

    fn messages(&self, id: &RunId) -> PathBuf {
        self.job(id).join("messages.txt")
    }
}

fn unusable(path: &Path, error: &io::Error) -> ToolError {
    ToolError::new(
        format!("`{}`: {error}", path.display()),
        "nothing was started; mend this and call the tool again",
    )
}
