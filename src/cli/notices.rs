//! `--notify COMMAND` and `--bell`: tells somebody who is away that a run has ended, that a task is blocked, or that the run waits
//! for long.
//!
//! A thread runs the command with the shell, one notice after the other, with one JSON object on its standard input:
//!
//! ```text
//! {notice: "ended",   run_id, kind, folder, text, status, exit_code, error, summary}   summary: as --json prints it, or null
//! {notice: "blocked", run_id, kind, folder, text, task, reason, detail, so_far}
//! {notice: "waiting", run_id, kind, folder, text, reason: "rate_limit"|"nothing_ready", until, so_far}
//! so_far of a plan:         {completed, blocked, in_flight, workers}
//! so_far at a rate limit:   {total_items, pending_items, running_items, completed_items, failed_items}
//! ```
//!
//! Text of a worker is only in the object, never in the command line or the environment. Nothing about the command changes the run:
//! what fails or takes too long is a warning.

use super::args::NoticeArgs;
use super::error::{CliError, with_causes};
use super::terminal::Terminal;
use crate::job::Progress;
use crate::model::{RunId, one_line};
use crate::platform::{clock, pace, process, threads};
use crate::run::{Notice, RunFolder, Standing};
use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;
use rustix::process::Pid;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A wait is long if it lasts at least this many seconds.
const LONG_WAIT_SECONDS: i64 = 60;
/// Waits for a limit within this many seconds after the last notice of one are not told again.
const WAITS_APART_SECONDS: i64 = 15 * 60;
/// The notices that may be queued behind a slow command; further ones are dropped, with a warning.
const QUEUED_MAX: usize = 16;
/// The bytes at the end of a command's output in which the last line is searched.
const TAIL_BYTES: u64 = 4096;

/// Who is told about a run; nobody by default.
#[derive(Clone, Default)]
pub struct Notices {
    told: Option<Arc<Told>>,
}

struct Told {
    run_id: RunId,
    kind: &'static str,
    folder: PathBuf,
    bell: bool,
    queue: Option<Sender<Queued>>,
    terminal: Terminal,
    /// When the last notice of a limit was given.
    limit_told: Mutex<Option<Timestamp>>,
}

/// An object for the command; `done` is closed when it was given.
struct Queued {
    object: Value,
    is_last: bool,
    done: Sender<()>,
}

/// The run that notices are about.
pub struct About<'a> {
    /// Its folder, in which the command runs: what it writes there is no change of the user's tree.
    pub run: &'a RunFolder,
    /// `plan` or `spawn`.
    pub kind: &'static str,
    /// The folder it works in.
    pub folder: &'a Path,
}

impl Notices {
    /// Starts the thread if a command was given.
    pub fn of(args: &NoticeArgs, about: &About<'_>, terminal: &Terminal) -> io::Result<Self> {
        if args.notify.is_none() && !args.bell {
            return Ok(Self::default());
        }
        let queue = args.notify.as_ref().map(|command| {
            let (queue, queued) = bounded(QUEUED_MAX);
            let command = Command {
                text: command.clone(),
                folder: about.run.path().to_owned(),
                terminal: *terminal,
            };
            threads::start("notify", move || command.serve(&queued))?;
            Ok::<_, io::Error>(queue)
        });
        Ok(Self {
            told: Some(Arc::new(Told {
                run_id: about.run.id().clone(),
                kind: about.kind,
                folder: about.folder.to_owned(),
                bell: args.bell,
                queue: queue.transpose()?,
                terminal: *terminal,
                limit_told: Mutex::new(None),
            })),
        })
    }

    /// Tells what a run of a plan noticed.
    pub fn tell(&self, notice: &Notice<'_>, standing: Standing) {
        let Some(told) = &self.told else { return };
        let object = match notice {
            Notice::Blocked {
                task,
                reason,
                detail,
            } => json!({
                "notice": "blocked",
                "text": one_line(&format!("{task} is blocked: {}", reason.as_str())),
                "task": task,
                "reason": reason.as_str(),
                "detail": detail,
                "so_far": standing,
            }),
            Notice::NothingReady => json!({
                "notice": "waiting",
                "text": format!("nothing is ready; the run waits for its plan ({standing})"),
                "reason": "nothing_ready",
                "until": null,
                "so_far": standing,
            }),
        };
        told.give(object);
    }

    /// Tells that the rows wait for a limit of the service, if they do so for long.
    pub fn tell_wait(&self, snapshot: &Progress) {
        let (Some(told), Some(until)) = (&self.told, snapshot.capacity.waits_until) else {
            return;
        };
        let now = clock::now();
        let seconds = |from: Timestamp, to: Timestamp| to.duration_since(from).as_secs();
        let mut last = told
            .limit_told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_news = last.is_none_or(|last| seconds(last, now) >= WAITS_APART_SECONDS);
        if !is_news || seconds(now, until) < LONG_WAIT_SECONDS {
            return;
        }
        *last = Some(now);
        let counts = snapshot.counts;
        told.give(json!({
            "notice": "waiting",
            "text": format!("waiting for a rate limit until {}", clock::time_of_day(until, &clock::here())),
            "reason": "rate_limit",
            "until": clock::csv_time(until),
            "so_far": {
                "total_items": counts.total,
                "pending_items": counts.pending(),
                "running_items": counts.running,
                "completed_items": counts.completed,
                "failed_items": counts.failed,
            },
        }));
    }

    /// Tells how the run ended, and waits until that was told.
    pub fn tell_end(&self, ended: &Result<u8, CliError>, status: Option<&str>, summary: Value) {
        let Some(told) = &self.told else { return };
        let (exit_code, error) = match ended {
            Ok(code) => (*code, None),
            Err(error) => (error.code(), Some(with_causes(error))),
        };
        let status = status.unwrap_or("failed");
        let object = json!({
            "notice": "ended",
            "text": format!("{status} (exit code {exit_code})"),
            "status": status,
            "exit_code": exit_code,
            "error": error,
            "summary": summary,
        });
        told.give_last(object);
    }
}

impl Told {
    fn give(&self, object: Value) {
        self.ring();
        let Some(queue) = &self.queue else { return };
        let (queued, _) = self.queued(object, false);
        if queue.try_send(queued).is_err() {
            let warning =
                format!("a notice was dropped: {QUEUED_MAX} wait for the command of --notify");
            self.terminal.warn(&warning);
        }
    }

    fn give_last(&self, object: Value) {
        self.ring();
        let Some(queue) = &self.queue else { return };
        let (queued, done) = self.queued(object, true);
        if queue.send(queued).is_ok() {
            // Returns with an error when the command has ended, since nothing is ever sent.
            let _ = done.recv();
        }
    }

    fn queued(&self, mut object: Value, is_last: bool) -> (Queued, Receiver<()>) {
        let text = object["text"].as_str().unwrap_or_default();
        object["text"] = json!(format!("run {}: {text}", self.run_id));
        object["run_id"] = json!(self.run_id);
        object["kind"] = json!(self.kind);
        object["folder"] = json!(self.folder.to_string_lossy());
        let (done, ended) = bounded(0);
        let queued = Queued {
            object,
            is_last,
            done,
        };
        (queued, ended)
    }

    /// Rings the terminal; a log is not one.
    fn ring(&self) {
        let mut stderr = io::stderr();
        if self.bell && stderr.is_terminal() {
            let _ = stderr.write_all(b"\x07");
        }
    }
}

/// The command of `--notify`.
struct Command {
    text: String,
    folder: PathBuf,
    terminal: Terminal,
}

impl Command {
    /// Gives notice after notice. A command that has hung once is only given the last one.
    fn serve(&self, queue: &Receiver<Queued>) {
        let mut has_hung = false;
        for queued in queue {
            if !has_hung || queued.is_last {
                has_hung |= self.run(&queued.object);
            }
            drop(queued.done);
        }
    }

    /// Runs the command, and returns whether it took too long.
    fn run(&self, object: &Value) -> bool {
        match self.try_run(object) {
            Ok(Outcome::Succeeded) => false,
            Ok(Outcome::Failed(why)) => {
                self.warn(&why);
                false
            }
            Ok(Outcome::Hung) => {
                let seconds = pace::notify_limit().as_secs();
                self.warn(&format!(
                    "it took longer than {seconds} s; it is run again only at the end"
                ));
                true
            }
            Err(error) => {
                self.warn(&error.to_string());
                false
            }
        }
    }

    fn warn(&self, why: &str) {
        let text = format!("the command of --notify failed: {why}");
        self.terminal.warn(&one_line(&text));
    }

    fn try_run(&self, object: &Value) -> io::Result<Outcome> {
        // A file instead of a pipe, which a process that outlives the command would hold open.
        let mut output = tempfile::tempfile()?;
        let handle = duct::cmd("/bin/sh", ["-c", &self.text])
            .dir(&self.folder)
            .stdin_bytes(format!("{object}\n"))
            .stdout_file(output.try_clone()?)
            .stderr_file(output.try_clone()?)
            .unchecked()
            .before_spawn(|command| {
                command.process_group(0);
                Ok(())
            })
            .start()?;
        let ended = handle
            .wait_timeout(pace::notify_limit())?
            .map(|ended| ended.status);
        let Some(status) = ended else {
            let pids = handle.pids().into_iter();
            let groups = pids.filter_map(|pid| Pid::from_raw(pid.cast_signed()));
            groups.for_each(process::kill);
            handle.wait()?;
            return Ok(Outcome::Hung);
        };
        if status.success() {
            return Ok(Outcome::Succeeded);
        }
        let last = last_line(&mut output)?;
        Ok(Outcome::Failed(match last.is_empty() {
            true => status.to_string(),
            false => format!("{status}: {last}"),
        }))
    }
}

enum Outcome {
    Succeeded,
    Failed(String),
    Hung,
}

fn last_line(output: &mut File) -> io::Result<String> {
    let length = output.seek(SeekFrom::End(0))?;
    output.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    output.read_to_end(&mut tail)?;
    let text = String::from_utf8_lossy(&tail);
    let mut lines = text.lines().rev().map(str::trim);
    let last = lines.find(|line| !line.is_empty());
    Ok(last.unwrap_or_default().to_owned())
}
