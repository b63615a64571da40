//! One thread of the pool: takes a row, sees one attempt through, says what came of it. Only here processes are touched;
//! nothing here decides what follows.

use super::attempt;
use super::launcher::Launcher;
use super::orphan_reaper::{Slot, WorkerRegistry};
use super::pool_event::{Finished, Open, PoolEvent, Task};
use super::report_socket::Hub;
use crate::job::{
    Cause, Ended, Failure, LogEnd, LogFolder, Outcome, Printed, Printout, Reading, ResultCheck,
    Rules, Settings, SharedLimits, Stop, Urgency, hide_in_outcome, judge,
};
use crate::model::{Fault, Session, Usage};
use crate::platform::clock;
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
use std::time::Duration;

/// What a thread of the pool needs to see an attempt through.
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
    /// Sees attempts through, one after the other, until there are no more.
    pub fn serve(&self, number: usize, work: &Receiver<Task>, events: &Sender<PoolEvent>) {
        let mut slot = self.registry.slot(number);
        for task in work {
            if self.stop.urgency() != Urgency::None || !self.limits.breaker().may_begin(task.asks) {
                // Queued before somebody asked to stop, or before a limit was met: it has not begun, and must not.
                let _ = events.send(PoolEvent::Declined(Box::new(task)));
                continue;
            }
            let item = task.row.id.clone();
            // A panic must not leave the loop waiting for a row whose thread is gone.
            let seen = catch_unwind(AssertUnwindSafe(|| self.run_attempt(task, &mut slot)));
            let event = match seen {
                Ok(finished) => PoolEvent::Finished(Box::new(finished)),
                Err(_) => PoolEvent::Panicked(item),
            };
            if events.send(event).is_err() {
                break;
            }
        }
        slot.clear();
    }

    fn run_attempt(&self, task: Task, slot: &mut Slot<'_>) -> Finished {
        let opened = Open {
            item_id: task.row.id.clone(),
            row_index: task.row.index,
            attempt: task.attempt,
            taken: None,
        };
        self.hub.open(&task.token, opened);
        let launch = self.launcher.launch(
            &task.row,
            task.attempt,
            &task.token,
            task.feedback.as_deref(),
            task.session.as_ref(),
        );
        let ended = launch.and_then(|launch| {
            let limits = self.settings.limits();
            slot.prepare();
            let ended = attempt::run(
                launch.command,
                launch.prompt.as_bytes(),
                &limits,
                self.stop,
                &task.heartbeat,
                |process| slot.fill(process, &task.token, &task.row.id),
            );
            let file = take_result_file(&launch.result_file, self.settings.result_bytes_max);
            launch.own_files.iter().for_each(|path| remove(path));
            Ok((ended?, file))
        });
        let report = self.hub.close(&task.token);
        let limits = self.settings.limits();
        let rules = Rules {
            check: self.check,
            max_runtime: limits.max_runtime,
            max_idle: limits.max_idle,
            read_text: self.settings.read_text,
            is_known: self.settings.agent_protocol.is_some(),
            is_own_answer: &|object| self.hub.is_own_answer(object),
        };
        let mut usage = None;
        let mut session = None;
        let mut outcome = match &ended {
            Ok((ended, file)) => {
                let printout = Printout::of(ended, &limits, self.redactor);
                let reading = self.read(ended, task.session.as_ref());
                // An attempt that never got as far as a model says nothing about the cost of others.
                usage = reading.usage.filter(Usage::is_some);
                session = going_on(&reading, task.session);
                // Only what is quoted is taken from it; how much there was says the attempt itself.
                let clean = match ended.cause {
                    Cause::OutputTooLarge => None,
                    _ => printout.instead(ended),
                };
                let shown = clean.as_ref().unwrap_or(ended);
                let outcome = judge(shown, &reading, report, file.as_deref(), &rules);
                let end = match outcome {
                    Outcome::Result(..) => LogEnd::Completed,
                    Outcome::Failed(..) | Outcome::Unavailable(..) => LogEnd::Failed,
                };
                let (item, attempt) = (&task.row.id, task.attempt);
                self.logs
                    .keep(item, attempt, end, &printout.stdout, &printout.stderr);
                outcome
            }
            Err(error) => Outcome::Failed(Failure::SpawnFailed, error.to_string()),
        };
        let redacted = hide_in_outcome(&mut outcome, self.redactor);
        let ended = ended.ok().map(|(ended, _)| ended);
        let outcome = self.believed(outcome, task.was_locked_out);
        let fault = outcome.fault(ended.as_ref());
        let until = self.tell_breaker(&outcome, task.asks);
        Finished {
            row: task.row,
            attempt: task.attempt,
            outcome,
            redacted: redacted.into_iter().collect(),
            fault,
            until,
            exit_code: ended.as_ref().and_then(|ended| ended.code),
            signal: ended.as_ref().and_then(|ended| ended.signal),
            leaked: ended
                .iter()
                .flat_map(|ended| &ended.leaked)
                .map(ToString::to_string)
                .collect(),
            duration: ended
                .as_ref()
                .map_or(Duration::ZERO, |ended| ended.duration),
            usage,
            session,
        }
    }

    /// A row that is refused once more while others are answered is not refused for want of a log-in or of credit.
    fn believed(&self, outcome: Outcome, was_locked_out: bool) -> Outcome {
        match outcome {
            Outcome::Unavailable(text, refusal)
                if matches!(refusal.fault, Fault::LogIn | Fault::Credit)
                    && was_locked_out
                    && self.limits.has_answered() =>
            {
                Outcome::Failed(Failure::WorkerExit, text)
            }
            outcome => outcome,
        }
    }

    /// Lets the breaker know, before another thread begins a row; gives when it is worth asking again.
    fn tell_breaker(&self, outcome: &Outcome, asked: bool) -> Option<Timestamp> {
        match outcome {
            Outcome::Unavailable(text, refusal) => self.refused(text, refusal, asked),
            Outcome::Failed(Failure::Cancelled, _) if asked => {
                self.limits.breaker().withdrawn();
                None
            }
            Outcome::Failed(..) | Outcome::Result(..) => {
                self.limits
                    .answered(asked, matches!(outcome, Outcome::Result(..)));
                None
            }
        }
    }

    fn refused(&self, text: &str, refusal: &Refusal, asked: bool) -> Option<Timestamp> {
        let now = clock::here();
        let until = refusal.reset.as_ref().and_then(|reset| reset.resolve(&now));
        let now = now.timestamp();
        match refusal.fault {
            Fault::LogIn => {
                let advice = log_in_advice(text);
                self.limits.breaker().locked_out(text, advice);
            }
            Fault::Credit => self.limits.breaker().ran_out(text),
            Fault::Quota => self.limits.breaker().met(now, until, asked, text),
            // A short limit is the row's to wait for, unless it was sent to ask, or the limit is no short one.
            _ => {
                let mut breaker = self.limits.breaker();
                if asked || until.is_some_and(|until| breaker.is_too_far(now, until)) {
                    breaker.met(now, until, asked, text);
                }
            }
        }
        until
    }

    /// What the worker printed, by who knows it, or as it stands.
    fn read<'o>(&'o self, ended: &'o Ended, session: Option<&Session>) -> Reading<'o> {
        let printed = Printed {
            stdout: &ended.stdout,
            stderr: &ended.stderr,
            is_success: ended.cause == Cause::Exited && ended.code == Some(0),
            schema: self.settings.output_schema.as_ref(),
            used_before: session.map_or_else(Usage::default, |session| session.used),
        };
        match &self.settings.agent_protocol {
            Some(agent_protocol) => agent_protocol.read(&printed),
            None => Reading {
                text: printed.stdout.into(),
                ..Reading::default()
            },
        }
    }
}

/// The conversation as it is now, with what it has used.
fn going_on(reading: &Reading<'_>, before: Option<Session>) -> Option<Session> {
    let id = reading.session.clone()?;
    let same = before.filter(|session| session.id == id);
    let mut used = same.map_or_else(Usage::default, |session| session.used);
    used += reading.usage.unwrap_or_default();
    Some(Session { id, used })
}

/// What is in the result file, if the worker wrote one; one byte more than the bound, so that the judge sees the
/// excess. The file is gone afterwards.
fn take_result_file(path: &Path, bytes_max: usize) -> Option<Vec<u8>> {
    let file = match open_file(path) {
        // The usual case; removing nothing would cost as much as looking.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        file => file,
    };
    remove(path);
    let mut bytes = Vec::new();
    let bounded = &mut file.ok()?.take((bytes_max as u64).saturating_add(1));
    bounded.read_to_end(&mut bytes).ok()?;
    (!bytes.trim_ascii().is_empty()).then_some(bytes)
}

/// Opens what is a file itself: a link could lead anywhere, and a pipe would make us wait.
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
    // What fails here is cleaned up with the run's folder.
    let _ = std::fs::remove_file(path);
}
