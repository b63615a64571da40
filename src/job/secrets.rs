//! Redacts the secrets that workers inherit from everything that a job records.
//!
//! An outcome is redacted in the thread of its attempt or of its report, before anything else reads it: ledger, output
//! CSV, logs, retry prompts and messages never contain secrets.

use super::attempt_limits::Limits;
use super::result::{Cause, Ended, Outcome};
use super::worker_command::{Worker, named_variables};
use crate::model::Event;
use crate::redact::{Cut, Redactor};
use crate::verdict::Object;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A redactor for the secrets among the variables that `workers` inherit.
pub fn redactor<'w>(workers: impl IntoIterator<Item = &'w Worker>) -> Redactor {
    let names = workers.into_iter().flat_map(|worker| &worker.env_names);
    let names: Vec<String> = names.cloned().collect();
    Redactor::new(named_variables(&names))
}

/// Redacts events about results from other runners.
pub fn hide_in(events: &mut [Event], redactor: &Redactor) {
    for event in events {
        match event {
            Event::AttemptReported(body) => {
                body.redacted = redactor.redact_json(&mut body.result).into_iter().collect();
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

/// Redacts an object. Returns the names of the secrets found.
pub(crate) fn hide_in_object(object: &mut Object, redactor: &Redactor) -> BTreeSet<String> {
    let mut value = Value::Object(std::mem::take(object));
    let found = redactor.redact_json(&mut value);
    if let Value::Object(clean) = value {
        *object = clean;
    }
    found
}

/// Redacts an outcome. Returns the names of the secrets found in a result.
pub(crate) fn hide_in_outcome(outcome: &mut Outcome, redactor: &Redactor) -> BTreeSet<String> {
    match outcome {
        Outcome::Result(result, _) => return hide_in_object(result, redactor),
        Outcome::Failed(_, text) | Outcome::Unavailable(text, _) => hide_in_text(text, redactor),
    }
    BTreeSet::new()
}

fn hide_in_text(text: &mut String, redactor: &Redactor) {
    if let Cow::Owned(clean) = redactor.redact_text(text) {
        *text = clean;
    }
}

/// The redacted output of an attempt.
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
            stdout: redactor.redact_bytes(out, tail),
            stderr: redactor.redact_bytes(err, head),
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
