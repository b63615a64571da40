//! The ledger's events: what can happen in a run, and the fields of each event.
//!
//! ```text
//! kinds: the enum `Event`, its names, JSON in both directions
//!   <- run, wave, attempt, verdict, integration, undo, task: the fields, by what the event is about
//! ```
//!
//! In the file an event is one JSON object; [`crate::ledger`] writes `v`, `seq`, `ts` and `event` before the fields.
//! An event name that this version does not know is kept and skipped.

mod attempt;
mod integration;
mod kinds;
mod run;
mod task;
mod undo;
mod verdict;
mod wave;

pub use attempt::{
    AttemptEnd, AttemptFault, AttemptFinished, AttemptKey, AttemptReported, AttemptStarted,
    RateLimited, ReportRefused, ReportVia,
};
pub use integration::{
    BeforeState, CommitRecord, IntegrationFinished, IntegrationOutcome, IntegrationStarted, Stage,
    TouchedPath, ValidationFinished,
};
pub use kinds::{Event, EventError};
pub use run::{BudgetReached, RunFinished, RunKind, RunResumed, RunStarted};
pub use task::{
    BeganEarly, Hydrated, LearningAppended, LeaseAcquired, PatchTaken, PlanConflict, PlanMutated,
    ProtocolChanged, TaskAdmitted, TaskDecided, TasksHeld,
};
pub use undo::{UndoFinished, UndoOutcome, UndoStarted};
pub use verdict::{PatchEvidence, Tally, VerdictKind, VerdictRecord, VoteLine};
pub use wave::{
    Backpressure, OutputWritten, RowsReopened, SliceFinished, SliceTaken, Violation, WaveCompiled,
    WaveStarted,
};
