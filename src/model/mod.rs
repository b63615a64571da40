//! The vocabulary: ids as newtypes, the row of a wave, and the ledger's events.
//!
//! Values only: nothing here reads a file, a clock or the environment. Every other module may import this one; it
//! imports none of them.

mod event;
mod id;
pub mod json;
mod near_name;
pub mod path_text;
mod role_binding;
mod row;
mod run_process;
mod text;
mod usage;
pub mod yaml_error;

pub use event::{
    AttemptEnd, AttemptFault, AttemptFinished, AttemptKey, AttemptReported, AttemptStarted,
    Backpressure, BeforeState, BeganEarly, BudgetReached, CommitRecord, Event, EventError,
    Hydrated, IntegrationFinished, IntegrationOutcome, IntegrationStarted, LearningAppended,
    LeaseAcquired, OutputWritten, PatchEvidence, PatchTaken, PlanConflict, PlanMutated,
    ProtocolChanged, RateLimited, ReportRefused, ReportVia, RowsReopened, RunFinished, RunKind,
    RunResumed, RunStarted, SliceFinished, SliceTaken, Stage, Tally, TaskAdmitted, TaskDecided,
    TasksHeld, TouchedPath, UndoFinished, UndoOutcome, UndoStarted, ValidationFinished,
    VerdictKind, VerdictRecord, Violation, VoteLine, WaveCompiled, WaveStarted,
};
pub use id::{JobId, ReportToken, Role, RoundName, RowId, RunId, UnitId, WaveNo, file_name};
pub use json::NotJson;
pub use near_name::near_name;
pub use role_binding::{RoleBinding, RoleBindings};
pub use row::{BlockReason, Fault, Lane, Risk, RowKey};
pub use run_process::RunProcess;
pub use text::{
    counted, escaped_lines, is_hidden, one_line, shell_word, span, visible, visible_json,
    visible_lines, with_code,
};
pub use usage::{Session, Usage, dollars, short};
