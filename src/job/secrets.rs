//! Which secrets the workers of a job were handed, and keeping them out of what the job writes down.
//!
//! An attempt's outcome is cleaned where it comes about, in the attempt's own thread or in that of its report, so that
//! ledger, output CSV, logs, retry prompts and everything that is shown have never seen them.

use super::attempt_limits::Limits;
use super::result::{Cause, Ended, Outcome};
use super::worker_command::{Worker, handed_in};
use crate::model::Event;
use crate::redact::{Cut, Redactor};
use crate::verdict::Object;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Knows the secrets among the variables that `worker` is handed from the environment of this process.
pub fn redactor(worker: &Worker) -> Redactor {
    Redactor::new(handed_in(&worker.env_names))
}

/// Takes secrets out of events that tell what workers said elsewhere.
pub fn hide_in(events: &mut [Event], redactor: &Redactor) {
    for event in events {
        match event {
            Event::AttemptReported(body) => {
                body.redacted = redactor.value(&mut body.result).into_iter().collect();
            }
            Event::AttemptFinished(body) => {
                if let Some(error) = &mut body.error {
                    hide_in_text(error, redactor);
                }
            }
            _ => {}
        }
    }
}

/// Takes secrets out of an object; gives the names of what was found.
pub(crate) fn hide_in_object(object: &mut Object, redactor: &Redactor) -> BTreeSet<String> {
    let mut value = Value::Object(std::mem::take(object));
    let found = redactor.value(&mut value);
    if let Value::Object(clean) = value {
        *object = clean;
    }
    found
}

/// Takes secrets out of an outcome; gives the names of what was found in a result.
pub(crate) fn hide_in_outcome(outcome: &mut Outcome, redactor: &Redactor) -> BTreeSet<String> {
    match outcome {
        Outcome::Result(result, _) => return hide_in_object(result, redactor),
        Outcome::Failed(_, text) | Outcome::Unavailable(text, _) => hide_in_text(text, redactor),
    }
    BTreeSet::new()
}

fn hide_in_text(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(clean) = redactor.text(text) {
        *text = clean;
    }
}

/// What an attempt printed, as it may be kept.
pub(crate) struct Printout<'e> {
    pub stdout: Cow<'e, [u8]>,
    pub stderr: Cow<'e, [u8]>,
}

impl<'e> Printout<'e> {
    pub fn of(ended: &'e Ended, limits: &Limits, redactor: &Redactor) -> Self {
        let (out, err) = (&ended.stdout, &ended.stderr);
        let tail = Cut {
            tail: ended.cause == Cause::OutputTooLarge,
            ..Cut::default()
        };
        let head = Cut {
            head: err.len() >= limits.stderr_bytes_max,
            ..Cut::default()
        };
        Self {
            stdout: redactor.bytes(out, tail),
            stderr: redactor.bytes(err, head),
        }
    }

    /// The attempt with redacted output; `None` if there was nothing to redact.
    pub fn redacted(&self, ended: &Ended) -> Option<Ended> {
        let is_clean = matches!(
            (&self.stdout, &self.stderr),
            (Cow::Borrowed(_), Cow::Borrowed(_))
        );
        (!is_clean).then(|| Ended {
            stdout: self.stdout.to_vec(),
            stderr: self.stderr.to_vec(),
            leaked: ended.leaked.clone(),
            ..*ended
        })
    }
}
