//! A plan run.
//!
//!     main_loop: judge -> advance -> select -> compile -> in_flight
//!
//! The loop alone owns the state and its ledger; each wave in flight is one call of the executor.

mod advance;
mod checkout;
mod compile;
mod explain;
mod hydration;
mod in_flight;
mod learning;
mod main_loop;
mod phase;
mod plan_conflict;
mod run_limits;
mod tamper_check;
mod task_accounts;
mod task_budget;
mod verdicts;
mod waves;

pub use compile::{hopeless, preview};
pub(crate) use in_flight::WavesInFlight;
pub use main_loop::PlanRun;
pub(crate) use phase::Phase;
