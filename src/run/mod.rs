//! Runs, and the folders that they keep their files in.
//!
//! ```text
//! preflight -> plan_run     the loop: compile waves, work them, judge, integrate
//!           -> single_steps the same steps, one process each
//! csv_run                   one spawned CSV
//! store                     run folder, ledger folded into a state, task holds
//! ```
//!
//! `mesh run = loop { wave next ; spawn ; collect } then integrate`. What happened is known from [`State`] alone, a fold
//! over the ledger, so a run that is resumed after a kill takes the same path as one that was not interrupted. The rules
//! are in [`crate::protocol`] and [`crate::schedule`], rows are worked by [`crate::job`], patches written by
//! [`crate::integrate`]; the run connects them.

mod budget_overrides;
mod csv_run;
mod error;
mod messages;
mod plan_run;
mod preflight;
mod refusal;
mod settings;
mod single_steps;
mod store;
mod task_budget;
mod watcher;

pub use budget_overrides::BudgetOverrides;
pub use csv_run::{EarlierRun, InputChanged, SpawnRun, SpawnSettings, spool};
pub use error::{ErrorKind, RunError};
pub use messages::{CLOSING_LINE, resume_command};
pub use plan_run::{PlanRun, hopeless, preview};
pub use preflight::{
    Finding, InUse, Integrating, Preflight, ProtocolSearchPath, Protocols, Request, examine,
    prepare,
};
pub use single_steps::{Collect, Collected, CollectedWave, NextWaves, WaitingWave};
pub use store::{CancelRequest, RunFolder, State, Unit, home, release};
pub use task_budget::TaskBudget;
pub use watcher::Watcher;
