//! The enum of all events: names in the ledger, and JSON in both directions.

use super::attempt::{
    AttemptFinished, AttemptReported, AttemptStarted, RateLimited, ReportRefused,
};
use super::integration::{IntegrationFinished, IntegrationStarted, ValidationFinished};
use super::run::{BudgetReached, RunFinished, RunResumed, RunStarted};
use super::task::{
    BeganEarly, Hydrated, LearningAppended, LeaseAcquired, PatchTaken, PlanConflict, PlanMutated,
    ProtocolChanged, TaskAdmitted, TaskDecided, TasksHeld,
};
use super::undo::{UndoFinished, UndoStarted};
use super::verdict::{Tally, VerdictRecord};
use super::wave::{
    Backpressure, OutputWritten, RowsReopened, SliceFinished, SliceTaken, Violation, WaveCompiled,
    WaveStarted,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// The fields of a known event are not valid.
#[derive(Debug, thiserror::Error)]
#[error("event `{name}` has invalid fields")]
pub struct EventError {
    /// The event's name.
    pub name: String,
    /// The cause, from serde.
    #[source]
    pub source: serde_json::Error,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:literal $variant:ident($body:ident),)*) => {
        /// Something that happened in a run.
        #[derive(Clone, Debug)]
        pub enum Event {
            $($(#[$doc])* $variant($body),)*
            /// An event of a later version, kept unchanged.
            Unknown {
                /// Its name.
                name: String,
                /// Its fields.
                body: Map<String, Value>,
            },
        }

        impl Event {
            /// The value of the field `event`.
            pub fn name(&self) -> &str {
                match self {
                    $(Event::$variant(_) => $name,)*
                    Event::Unknown { name, .. } => name,
                }
            }

            /// Writes the fields, without the ledger's own four, as one compact JSON object.
            pub fn write_body(&self, out: &mut Vec<u8>) {
                match self {
                    $(Event::$variant(body) => write_fields(out, body),)*
                    Event::Unknown { body, .. } => write_fields(out, body),
                }
            }

            /// Reads the fields of the event called `name`.
            pub fn parse(name: &str, mut body: Map<String, Value>) -> Result<Self, EventError> {
                // serde rewrites the exponents of numbers; the result bypasses it.
                let result = body.get_mut("result").filter(|_| name == "attempt_reported");
                let result = result.map(Value::take);
                let mut event = Self::parse_rest(name, body)?;
                if let (Some(result), Event::AttemptReported(reported)) = (result, &mut event) {
                    reported.result = result;
                }
                Ok(event)
            }

            /// Reads the event called `name` from a whole record, whose other fields are ignored, without a map in between.
            /// `None` if it is not known or not valid: [`parse`](Self::parse) says why.
            pub fn parse_record(name: &str, record: &str) -> Option<Self> {
                match name {
                    $($name => serde_json::from_str(record).ok().map(Event::$variant),)*
                    _ => None,
                }
            }

            fn parse_rest(name: &str, body: Map<String, Value>) -> Result<Self, EventError> {
                match name {
                    $($name => serde_json::from_value(Value::Object(body))
                        .map(Event::$variant)
                        .map_err(|source| EventError { name: name.to_owned(), source }),)*
                    _ => Ok(Event::Unknown { name: name.to_owned(), body }),
                }
            }
        }

        $(impl From<$body> for Event {
            fn from(body: $body) -> Self {
                Event::$variant(body)
            }
        })*
    };
}

events! {
    /// The run exists, with everything needed to resume it.
    "run_started" RunStarted(RunStarted),
    /// The run was resumed with changed settings.
    "run_resumed" RunResumed(RunResumed),
    /// A wave CSV and its call file are on disk.
    "wave_compiled" WaveCompiled(WaveCompiled),
    /// The job of a wave or a spawned CSV starts.
    "wave_started" WaveStarted(WaveStarted),
    /// A worker process is about to start (durable before it exists).
    "attempt_started" AttemptStarted(AttemptStarted),
    /// A result was reported and accepted.
    "attempt_reported" AttemptReported(AttemptReported),
    /// The worker process and its group are gone.
    "attempt_finished" AttemptFinished(AttemptFinished),
    /// A report was refused: late, repeated, or from a process that may not give it.
    "report_refused" ReportRefused(ReportRefused),
    /// A worker met a rate limit; its row waits and is tried again.
    "rate_limited" RateLimited(RateLimited),
    /// A process works a slice of a job; in the file of the slice.
    "slice_taken" SliceTaken(SliceTaken),
    /// It starts no more rows of the slice; in the file of the slice.
    "slice_finished" SliceFinished(SliceFinished),
    /// Failed rows are pending again.
    "rows_reopened" RowsReopened(RowsReopened),
    /// The output of a spawned CSV is about to be renamed into place (durable before the rename).
    "output_written" OutputWritten(OutputWritten),
    /// A budget is used up; nothing else starts.
    "budget_reached" BudgetReached(BudgetReached),
    /// The verdict on a row's report.
    "verdict" Verdict(VerdictRecord),
    /// Metadata proposed by a worker was written to the plan.
    "hydrated" Hydrated(Hydrated),
    /// A task switched protocols: to the fallback, or to the next tier.
    "protocol_changed" ProtocolChanged(ProtocolChanged),
    /// The concurrency limit of the next wave was reduced, or restored.
    "backpressure" Backpressure(Backpressure),
    /// The vote count of one round.
    "tally" Tally(Tally),
    /// The integrator is about to change the tree (durable before the first byte).
    "integration_started" IntegrationStarted(IntegrationStarted),
    /// One validation command ended.
    "validation_finished" ValidationFinished(ValidationFinished),
    /// The patch is in the tree, or the tree was restored.
    "integration_finished" IntegrationFinished(IntegrationFinished),
    /// A patch of the run is about to be taken back (durable before the first byte).
    "undo_started" UndoStarted(UndoStarted),
    /// It is taken back, or the tree was restored.
    "undo_finished" UndoFinished(UndoFinished),
    /// A joined run works a task from now on.
    "lease_acquired" LeaseAcquired(LeaseAcquired),
    /// A task started before its dependencies are completed; the plan does not show it yet.
    "began_early" BeganEarly(BeganEarly),
    /// How many tasks are left for now, and why, has changed.
    "tasks_held" TasksHeld(TasksHeld),
    /// A task started whose patch is kept instead of integrated (`integrate=false`); the plan does not show it.
    "task_admitted" TaskAdmitted(TaskAdmitted),
    /// Its patch is accepted and kept, or was not accepted.
    "task_decided" TaskDecided(TaskDecided),
    /// A person took the patch: it is about to be integrated (durable before the plan shows it).
    "patch_taken" PatchTaken(PatchTaken),
    /// The plan file was changed.
    "plan_mutated" PlanMutated(PlanMutated),
    /// The plan file has another status for a task in flight; the run leaves it unchanged.
    "plan_conflict" PlanConflict(PlanConflict),
    /// A learning was appended to the learnings file.
    "learning_appended" LearningAppended(LearningAppended),
    /// A path changed that no worker may change.
    "violation" Violation(Violation),
    /// The run ended.
    "run_finished" RunFinished(RunFinished),
}

fn write_fields(out: &mut Vec<u8>, body: &impl Serialize) {
    let begin = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, body) {
        // Events are structs of plain values; only a path that is not UTF-8 cannot be written as JSON.
        out.truncate(begin);
        let unwritable = serde_json::json!({ "unwritable": error.to_string() });
        out.extend_from_slice(unwritable.to_string().as_bytes());
    }
}
