//! The same tasks under several protocols and adapters, judged by tests that no validation runs.
//!
//! ```text
//! task ─► arm_run (a copy, `mesh run`, hidden tests) ─► outcome ─► results (one file, appended) ─► compare ─► text, JSON
//! ```
//!
//! It drives `mesh run` from outside, as a person does, and reads what it took from the ledger.

mod arm_run;
mod compare;
mod error;
mod outcome;
mod results;
mod task;
mod text;

pub use arm_run::{ArmRun, RunSettings};
pub use compare::{ArmSums, Comparison, Pair};
pub use error::EvalError;
pub use outcome::{Arm, Hidden, Outcome};
pub use results::{Results, Settings};
pub use task::EvalTask;
