//! A thread of the pool: takes a task, runs the attempt, sends its outcome. Decides nothing that follows from it.

use super::attempt;
use super::enclosure::Enclosure;
use super::launcher::Launcher;
use super::pool_event::{FinishedAttempt, OpenAttempt, PoolEvent, Task};
use super::report_socket::Hub;
use super::worker_registry::{RegistryEntry, WorkerRegistry};
use crate::job::{
    AgentProtocol, Cause, Ended, Failure, Limits, LogEnd, LogFolder, Outcome, Printed, Printout,
    Reading, ResultCheck, Rules, Settings, SharedLimits, Stop, Urgency, hide_in_outcome, judge,
    judge_unstarted,
};
use crate::model::{Fault, RowId, Session, Usage, one_line};
use crate::platform::{clock, look, machine_fault};
use crate::redact::Redactor;
use crate::refusal::{Refusal, log_in_advice};
use crossbeam_channel::{Receiver, Sender};
use jiff::Timestamp;
use rustix::fs::OFlags;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// What all threads of the pool share.
pub(crate) struct WorkerThread<'p> {
    pub settings: &'p Settings,
    pub launcher: &'p Launcher<'p>,
    pub hub: &'p Hub,
    pub check: &'p ResultCheck,
    pub registry: &'p WorkerRegistry,
    pub logs: &'p LogFolder,
    pub redactor: &'p Redactor,
    pub stop: &'p Stop,
    pub limits: &'p SharedLimits,
}

impl WorkerThread<'_> {
    /// Runs attempts one after the other, until the loop drops the queue.
    pub fn serve(&self, number: usize, work: &Receiver<Task>, events: &Sender<PoolEvent>) {
        let mut entry = self.registry.entry(number);
        for task in work {
            if self.stop.urgency() != Urgency::None
                || !self
                    .limits_of(task.row.index)
                    .breaker()
                    .may_begin(task.is_probe)
            {
                // Queued before the job was asked to stop, or before a limit was met: it must not start.
                let _ = events.send(PoolEvent::Declined(Box::new(task)));
                continue;
            }
            let item = task.row.id.clone();
            // After a panic the loop must not wait for this row.
            let result = catch_unwind(AssertUnwindSafe(|| self.run_attempt(task, &mut entry)));
            let event = match result {
                Ok(finished) => PoolEvent::Finished(Box::new(finished)),
                Err(_) => PoolEvent::Panicked(item),
            };
            if events.send(event).is_err() {
                break;
            }
        }
        entry.clear();
    }

    fn run_attempt(&self, task: Task, entry: &mut RegistryEntry<'_>) -> FinishedAttempt {
        let opened = OpenAttempt {
            item_id: task.row.id.clone(),
            row_index: task.row.index,
            attempt: task.attempt,
            accepted: None,
        };
        self.hub.open(&task.token, opened);
        let worker = self.settings.worker_of(task.row.index);
        let limits = self.settings.limits_of(task.row.index);
        let ended = match worker.worker.is_in_process() {
            true => Ok((Ended::in_process(), Ok(None))),
            false => self.run_process(&task, &limits, entry),
        };
        let report = self.hub.close(&task.token);
        let rules = Rules {
            check: self.check,
            max_runtime: limits.max_runtime,
            max_idle: limits.max_idle,
            read_text: self.settings.read_text,
            is_known: worker.agent_protocol.is_some(),
            is_own_answer: &|object| self.hub.is_own_answer(object),
        };
        let mut usage = None;
        let mut session = None;
        let mut outcome = match &ended {
            Ok((ended, file)) => {
                let printout = Printout::of(ended, &limits, self.redactor);
                let reading = self.read(worker.agent_protocol, ended, task.session.as_ref());
                // An attempt that never reached a model says nothing about the cost of others.
                usage = reading.usage.filter(Usage::is_some);
                session = continued_session(&reading, task.session);
                // The redacted output serves quotes only; its size is that of the attempt.
                let clean = match ended.cause {
                    Cause::OutputTooLarge => None,
                    _ => printout.redacted(ended),
                };
                let shown = clean.as_ref().unwrap_or(ended);
                let is_awaited =
                    report.is_none() && ended.cause == Cause::Exited && ended.code == Some(0);
                let outcome = match file {
                    Err(error) if is_awaited => judge_unstarted(error),
                    file => {
                        let file = file.as_ref().ok().and_then(Option::as_deref);
                        judge(shown, &reading, report, file, &rules)
                    }
                };
                let end = match outcome {
                    Outcome::Result(..) => LogEnd::Completed,
                    Outcome::Failed(..) | Outcome::Unavailable(..) => LogEnd::Failed,
                };
                let (item, attempt) = (&task.row.id, task.attempt);
                self.logs
                    .keep(item, attempt, end, &printout.stdout, &printout.stderr);
                outcome
            }
            Err(error) => judge_unstarted(error),
        };
        let redacted = hide_in_outcome(&mut outcome, self.redactor);
        let ended = ended.ok().map(|(ended, _)| ended);
        let account = self.limits_of(task.row.index);
        let refused_before = task.was_locked_out.then_some(&task.row.id);
        let outcome = judge_again(account, outcome, refused_before);
        let fault = outcome.fault(ended.as_ref());
        let until = update_breaker(account, &outcome, task.is_probe);
        FinishedAttempt {
            row: task.row,
            attempt: task.attempt,
            outcome,
            redacted: redacted.into_iter().collect(),
            fault,
            until,
            exit_code: ended.as_ref().and_then(|ended| ended.code),
            signal: ended.as_ref().and_then(|ended| ended.signal),
            duration: ended
                .as_ref()
                .map(|ended| ended.duration)
                .unwrap_or_default(),
            leaked: ended.map_or_else(Vec::new, |ended| {
                ended.leaked.iter().map(ToString::to_string).collect()
            }),
            usage,
            session,
        }
    }

    /// Runs the process of an attempt. Also returns what it wrote into its result file.
    fn run_process(
        &self,
        task: &Task,
        limits: &Limits,
        entry: &mut RegistryEntry<'_>,
    ) -> io::Result<(Ended, io::Result<Option<Vec<u8>>>)> {
        let launch = self.launcher.launch(task)?;
        entry.prepare();
        let ended = attempt::run(
            launch.command,
            launch.prompt.as_bytes(),
            limits,
            self.stop,
            &task.heartbeat,
            |process| entry.record(process, &task.token, &task.row.id),
        );
        let file = take_result_file(&launch.result_file, self.settings.result_bytes_max);
        launch.own_files.iter().for_each(|path| remove(path));
        launch.enclosure.map_or(Ok(()), Enclosure::close)?;
        Ok((ended?, file))
    }

    /// The limits of the account of a row.
    fn limits_of(&self, row_index: u64) -> &SharedLimits {
        self.settings
            .worker_of(row_index)
            .limits
            .unwrap_or(self.limits)
    }

    /// Reads the worker's output by its agent protocol, or as plain text.
    fn read<'o>(
        &'o self,
        agent_protocol: Option<&Arc<dyn AgentProtocol>>,
        ended: &'o Ended,
        session: Option<&Session>,
    ) -> Reading<'o> {
        let printed = Printed {
            stdout: &ended.stdout,
            stderr: &ended.stderr,
            is_success: ended.cause == Cause::Exited && ended.code == Some(0),
            schema: self.settings.output_schema.as_ref(),
            used_before: session.map_or_else(Usage::default, |session| session.used),
        };
        match agent_protocol {
            Some(agent_protocol) => agent_protocol.read(&printed),
            None => Reading {
                text: printed.stdout.into(),
                ..Reading::default()
            },
        }
    }
}

/// What a refusal for lack of a log-in or of credit means for the row `refused_before`, for which an earlier run met one as well: a failure of
/// the row if other rows are answered. Without one that is, only the user can tell, so the text names the row.
fn judge_again(limits: &SharedLimits, outcome: Outcome, refused_before: Option<&RowId>) -> Outcome {
    match (outcome, refused_before) {
        (Outcome::Unavailable(text, refusal), Some(id))
            if matches!(refusal.fault, Fault::LogIn | Fault::Credit) =>
        {
            if limits.has_answered() {
                return Outcome::Failed(Failure::WorkerExit, text);
            }
            let named = format!(
                "{text}; item `{}` was refused before: if other prompts are answered, it is the row that is refused",
                one_line(id.as_str())
            );
            Outcome::Unavailable(named, refusal)
        }
        (outcome, _) => outcome,
    }
}

/// Updates the breaker before another thread starts a row. Returns the time to try again, if the worker printed one.
fn update_breaker(limits: &SharedLimits, outcome: &Outcome, is_probe: bool) -> Option<Timestamp> {
    match outcome {
        Outcome::Unavailable(text, refusal) => open_breaker(limits, text, refusal, is_probe),
        Outcome::Failed(Failure::Cancelled, _) if is_probe => {
            limits.breaker().withdraw();
            None
        }
        Outcome::Failed(..) | Outcome::Result(..) => {
            limits.answered(is_probe, matches!(outcome, Outcome::Result(..)));
            None
        }
    }
}

fn open_breaker(
    limits: &SharedLimits,
    text: &str,
    refusal: &Refusal,
    is_probe: bool,
) -> Option<Timestamp> {
    let now = clock::here();
    let until = refusal.reset.as_ref().and_then(|reset| reset.resolve(&now));
    let now = now.timestamp();
    limits.note_refusal(text);
    match refusal.fault {
        Fault::LogIn => limits.breaker().lock_out(text, log_in_advice(text)),
        Fault::Credit => limits.breaker().lack_credit(text),
        Fault::Quota => limits.breaker().met(now, until, is_probe, text),
        // A short limit delays only its row, unless the row is a probe or the limit is not short after all.
        _ => {
            let mut breaker = limits.breaker();
            if is_probe || until.is_some_and(|until| breaker.is_too_far(now, until)) {
                breaker.met(now, until, is_probe, text);
            }
        }
    }
    until
}

/// The conversation after this attempt, with its total usage.
fn continued_session(reading: &Reading<'_>, before: Option<Session>) -> Option<Session> {
    let id = reading.session.clone()?;
    let same = before.filter(|session| session.id == id);
    let mut used = same.map_or_else(Usage::default, |session| session.used);
    used += reading.usage.unwrap_or_default();
    Some(Session { id, used })
}

/// Reads and removes the result file, if the worker wrote one. Reads one byte more than the bound, so that the judge sees
/// the excess.
fn take_result_file(path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match open_file(path) {
        // The usual case; removing nothing would cost as much as opening.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file,
    };
    remove(path);
    // What the worker made of it may be no file at all.
    let Some(file) = look::reachable(file)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let mut bounded = file.take((bytes_max as u64).saturating_add(1));
    bounded
        .read_to_end(&mut bytes)
        .map_err(machine_fault::at("reading the file of its result"))?;
    Ok((!bytes.trim_ascii().is_empty()).then_some(bytes))
}

/// Opens a regular file only: a link could lead anywhere, and a pipe would block.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let mut options = File::options();
    let file = options
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn remove(path: &Path) {
    // What remains is removed with the run's folder.
    let _ = std::fs::remove_file(path);
}
