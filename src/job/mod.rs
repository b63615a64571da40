//! A job: the rows of a CSV, one worker process per row, under one concurrency limit.
//!
//! Knows rows, attempts, results and failures, and nothing of plans, units, roles or rounds, which reach it as columns
//! and prompt text. The order of events: the input is checked to its end; an attempt is in the ledger before its
//! process exists; a result is in the ledger before it counts; the output CSV is a fold over the ledger.

mod agent_protocol;
mod attempt_limits;
mod depth;
mod error;
mod executor_choice;
mod input;
mod job_status;
pub mod policy;
mod progress;
mod prompts;
mod result;
mod row_index;
mod row_record;
mod row_worker;
mod rows_of_workers;
mod secrets;
mod selection;
mod settings;
mod state;
mod stop;
mod worker_command;

pub(crate) use agent_protocol::Paths;
pub use agent_protocol::{
    AgentFailure, AgentProtocol, Call, Invocation, Printed, PromptBy, ReadText, Reading, SharedFile,
};
pub use attempt_limits::Limits;
pub use depth::{
    DEPTH, DEPTH_MAX, DEPTH_MAX_DEFAULT, TooDeep, check_depth, check_depth_up_to, depth,
};
pub use error::JobError;
pub use executor_choice::{ExecutorChoice, SlurmOptions};
pub use input::{Input, Row, Survey};
pub use job_status::JobStatus;
pub use policy::{
    Admission, Backoff, Budget, BudgetTracker, Capacity, Delayed, Halt, Reserve, Room,
    SharedLimits, Spent, When,
};
pub use progress::{Journal, Observer, Progress, RunningRow};
pub use result::{
    Cause, Ended, Failure, FormulaCells, Leaked, Logs, OUTPUT_COLUMNS, Outcome, Placed, Placement,
    ResultCheck, Summary, fingerprint, place, stage_csv, summarize, write_csv,
};
pub(crate) use result::{LogEnd, LogFolder, Rules, judge, judge_unstarted};
pub use row_record::{RowRecord, read_failure, read_record};
pub use row_worker::{OtherWorkers, RowWorker, RowWorkerRef};
pub(crate) use secrets::{Printout, hide_in_object, hide_in_outcome};
pub use secrets::{hide_in, redactor};
pub use selection::{Rows, Selection};
pub use settings::{
    Bounds, OUTPUT_BYTES_MAX, RATE_LIMIT_WAIT_MAX_SECONDS, RESULT_BYTES_MAX, Settings,
};
pub use state::{AttemptCounts, Counts, LedgerOffset, State, Status};
pub use stop::{Stop, StopSource, Urgency};
pub(crate) use worker_command::{
    CELL_SHOWN_TWICE_MAX, RESULT_INSTRUCTIONS, ROW_JSON_BYTES_MAX, inherited,
};
pub use worker_command::{Worker, retry_prompt};
