//! A run: the loop over "compile the next wave, work it, collect it, integrate", and the folder it lives in.
//!
//! `mesh run = loop { wave next ; spawn ; collect } then integrate`. Every turn starts from [`State`], a fold over
//! the ledger, so going on after a kill is the same code as going on at all. The pieces decide
//! ([`crate::protocol`], [`crate::schedule`]), work ([`crate::job`]) and write ([`crate::integrate`]); the run only connects them.

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
