//! One task under one arm: a copy of its repository, `mesh run` in it, and its hidden tests on a copy of the result.
//!
//! Everything stays below one folder: `repo/` (the tree after the run), `home/` (the run), `hidden/` (the tree that was tested),
//! `report.txt` and `mesh.log` (what `mesh run` printed), `hidden-N.log`. A repetition takes a new folder.

use super::error::EvalError;
use super::outcome::{Arm, Hidden, Outcome};
use super::task::{EvalTask, copy_over};
use crate::integrate::{Limits, ValidationEnd, run_command};
use crate::job::{Stop, StopSource, Urgency};
use crate::model::{RunId, file_name};
use crate::platform::{Repo, Writers, look, sha256_of_bytes};
use crate::redact::Redactor;
use crate::report::stats::{RunFacts, Spend, TaskEnd};
use crate::run::RunFolder;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The id of the run in its own folder of runs.
const RUN: &str = "eval";
/// The same for every copy, so that its commit is the same.
const COMMIT_TIME: &str = "2026-01-01T00:00:00Z";
const TICK: Duration = Duration::from_millis(20);
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Lines of `mesh.log` that an error shows.
const LINES_SHOWN: usize = 8;

/// What is the same for all runs.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// This program.
    pub mesh: PathBuf,
    /// Where the command was started; protocol files are relative to it.
    pub folder: PathBuf,
    /// Where the folders of all runs are.
    pub runs: PathBuf,
    /// The folder of all tasks; its `mesh.yaml` is for all of them.
    pub tasks: PathBuf,
    /// Rows at once.
    pub max_concurrency: u64,
    /// Time limit of a hidden test.
    pub hidden_timeout: Duration,
    /// Further settings of `mesh run`.
    pub set: Vec<String>,
    /// The worker's command, if no adapter is used.
    pub command: Vec<String>,
}

/// A task under an arm.
#[derive(Debug)]
pub struct ArmRun<'a> {
    /// The task.
    pub task: &'a EvalTask,
    /// Protocol and adapter.
    pub arm: &'a Arm,
    /// What is the same for all.
    pub settings: &'a RunSettings,
}

impl ArmRun<'_> {
    /// SHA-256 of all files that decide the outcome: those of the task, `mesh.yaml`, and the file of the protocol.
    pub fn digest(&self) -> Result<String, EvalError> {
        let mut text = self.task.digest.clone();
        let shared = self.settings.tasks.join("mesh.yaml");
        let has_shared = look::is_file(&shared).map_err(EvalError::io(&shared))?;
        for path in self
            .protocol_file()
            .into_iter()
            .chain(has_shared.then_some(shared))
        {
            let content = fs::read(&path).map_err(EvalError::io(&path))?;
            text.push_str(&sha256_of_bytes(&content));
        }
        Ok(sha256_of_bytes(text.as_bytes()))
    }

    fn protocol_file(&self) -> Option<PathBuf> {
        let given = &self.arm.protocol;
        let is_path = given.contains('/') || given.ends_with(".yaml") || given.ends_with(".yml");
        is_path.then(|| self.settings.folder.join(given))
    }

    /// Runs it. None if it was asked to stop; nothing is to be recorded then.
    ///
    /// # Errors
    /// `mesh run` did not start or ended early, or the machine failed.
    pub fn run(&self, stop: &Stop) -> Result<Option<Outcome>, EvalError> {
        let folder = self.new_folder()?;
        let failed = || EvalError::io(&folder);
        let repo = folder.join("repo");
        copy_over(&self.task.repo(), &repo).map_err(failed())?;
        let shared = self.settings.tasks.join("mesh.yaml");
        let own = repo.join("mesh.yaml");
        let has_own = look::is_taken(&own).map_err(failed())?;
        if !has_own && look::is_file(&shared).map_err(EvalError::io(&shared))? {
            fs::copy(&shared, own).map_err(failed())?;
        }
        Repo::create(&repo, "The task before its run", COMMIT_TIME)?;
        let exclude = ".step/*.lock\n.codex/*.lock\n";
        crate::platform::private::make_open_folders(&repo.join(".git/info")).map_err(failed())?;
        fs::write(repo.join(".git/info/exclude"), exclude).map_err(failed())?;

        let started = Instant::now();
        let mut child = self.start(&folder).map_err(failed())?;
        let status = wait(&mut child, stop).map_err(failed())?;
        let makespan = started.elapsed();
        if stop.urgency() != Urgency::None {
            return Ok(None);
        }
        let exit_code = self.check(status, &folder)?;
        let run = RunFolder::find(&folder.join("home"), &RunId::new(RUN));
        let facts = match run {
            Ok(run) => RunFacts::read(&run)?,
            Err(error) => return Err(crate::report::view::ViewError::from(error).into()),
        };
        let Some((hidden, key_line)) = self.test(&folder, stop)? else {
            return Ok(None);
        };
        let mut spend = Spend::default();
        for one in facts.tasks.iter().flat_map(|task| task.roles.values()) {
            spend += *one;
        }
        let ends = facts.tasks.iter().map(|task| &task.end);
        Ok(Some(Outcome {
            task: self.task.name.clone(),
            arm: self.arm.clone(),
            digest: self.digest()?,
            exit_code,
            completed: ends
                .clone()
                .filter(|end| **end == TaskEnd::Completed)
                .count() as u64,
            not_completed: ends.filter_map(why_not).collect(),
            hidden,
            key_line,
            rows: spend.rows,
            attempts: spend.attempts,
            worker_ms: spend.worker_ms,
            makespan_ms: makespan.as_millis() as u64,
            tokens: spend.tokens,
            cost_usd: spend.cost_usd,
            folder,
        }))
    }

    /// The first folder for this task and arm that does not exist: an earlier one is of a run that was killed.
    fn new_folder(&self) -> Result<PathBuf, EvalError> {
        let arm = file_name(&self.arm.name().replace(' ', "-"));
        let parent = self.settings.runs.join(file_name(&self.task.name));
        crate::platform::private::make_open_folders(&parent).map_err(EvalError::io(&parent))?;
        for number in 1_u32.. {
            let name = match number {
                1 => arm.clone(),
                _ => format!("{arm}.{number}"),
            };
            let folder = parent.join(name);
            match fs::create_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.map_err(EvalError::io(&folder))?;
                    return Ok(folder);
                }
            }
        }
        Ok(parent)
    }

    /// In a process group of its own, so that Ctrl-C reaches it once.
    fn start(&self, folder: &Path) -> io::Result<Child> {
        let mut command = Command::new(&self.settings.mesh);
        command
            .args(self.args(folder)?)
            .env("MESH_HOME", folder.join("home"))
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("report.txt"))?)
            .stderr(File::create(folder.join("mesh.log"))?)
            .process_group(0);
        command.spawn()
    }

    fn args(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let settings = self.settings;
        let protocol = match self.protocol_file() {
            Some(path) => path.into_os_string(),
            None => OsString::from(&self.arm.protocol),
        };
        let mut args: Vec<OsString> = vec!["-C".into(), folder.join("repo").into()];
        args.extend(
            ["--progress", "plain", "run", "--headless", "--run-id", RUN].map(OsString::from),
        );
        args.extend(["--protocol".into(), protocol, "-j".into()]);
        args.push(settings.max_concurrency.to_string().into());
        if !settings.set.iter().any(|one| one.starts_with("max_tasks=")) {
            args.push("max_tasks=auto".into());
        }
        args.extend(settings.set.iter().map(OsString::from));
        if !settings.command.is_empty() {
            args.push("--".into());
            args.extend(settings.command.iter().map(OsString::from));
            return Ok(args);
        }
        args.extend(["--adapter".into(), OsString::from(&self.arm.adapter)]);
        if self.arm.adapter == "replay" {
            args.extend([
                "--answers".into(),
                self.task.answers(&self.arm.protocol)?.into(),
            ]);
        }
        Ok(args)
    }

    /// The exit code, if the run went to its end.
    fn check(&self, status: ExitStatus, folder: &Path) -> Result<u8, EvalError> {
        let log = folder.join("mesh.log");
        let (task, arm) = (self.task.name.clone(), self.arm.name());
        match status.code().map(u8::try_from) {
            Some(Ok(code @ 0..=1)) => Ok(code),
            Some(Ok(code @ 2..=3)) => {
                let text = fs::read(&log).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                let said = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n");
                Err(EvalError::NotStarted {
                    task,
                    arm,
                    code,
                    said,
                    log,
                })
            }
            code => Err(EvalError::EndedEarly {
                task,
                arm,
                code: code.and_then(Result::ok).unwrap_or(u8::MAX),
                log,
            }),
        }
    }

    /// The hidden tests, on a copy of the tree. With the key line of the command that failed. None if it was asked to stop.
    fn test(&self, folder: &Path, stop: &Stop) -> Result<Option<(Hidden, String)>, EvalError> {
        let tree = folder.join("hidden");
        copy_over(&folder.join("repo"), &tree).map_err(EvalError::io(&tree))?;
        copy_over(&self.task.hidden(), &tree).map_err(EvalError::io(&tree))?;
        let limits = Limits {
            timeout: self.settings.hidden_timeout,
            grace: Duration::from_secs(1),
            log_bytes_max: LOG_BYTES_MAX,
        };
        let writers = Writers::at(&folder.join("processes"));
        let redactor = Redactor::default();
        for (at, command) in self.task.commands.iter().enumerate() {
            let log = folder.join(format!("hidden-{}.log", at + 1));
            let end = run_command(command, &tree, &log, &limits, &writers, &redactor, stop)?;
            match end {
                ValidationEnd::Stopped => return Ok(None),
                ValidationEnd::Finished(end) if end.passed() => {}
                ValidationEnd::Finished(end) => {
                    let hidden = match end.timed_out {
                        true => Hidden::TimedOut,
                        false => Hidden::Failed,
                    };
                    return Ok(Some((hidden, end.key_line)));
                }
            }
        }
        Ok(Some((Hidden::Passed, String::new())))
    }
}

/// Waits for the child; each request to stop is passed on to it.
fn wait(child: &mut Child, stop: &Stop) -> io::Result<ExitStatus> {
    let mut told = Urgency::None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        let asked = stop.urgency();
        if asked > told {
            told = asked;
            let signal = match (asked, stop.source()) {
                (Urgency::Drain, Some(StopSource::Signal(_))) => Signal::INT,
                _ => Signal::TERM,
            };
            // It may have ended in between.
            let _ = kill_process(Pid::from_child(child), signal);
        }
        std::thread::sleep(TICK);
    }
}

fn why_not(end: &TaskEnd) -> Option<String> {
    match end {
        TaskEnd::Completed => None,
        TaskEnd::Blocked(reason) => Some(reason.clone()),
        TaskEnd::Accepted => Some("accepted".to_owned()),
        TaskEnd::Undone => Some("undone".to_owned()),
        TaskEnd::Conflict => Some("plan_conflict".to_owned()),
        TaskEnd::Open => Some("open".to_owned()),
    }
}
