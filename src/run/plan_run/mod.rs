//! A plan run.
//!
//! ```text
//! begin -> main_loop: judge -> advance -> admit -> compile -> start
//! ```
//!
//! The loop alone owns the state and its ledger; each wave in flight is one call of the executor, and each integration in flight
//! the validation of one patch.

mod admission;
mod advance;
mod begin;
mod checkout;
mod compile;
mod context;
mod explain;
mod file_list;
mod follow;
mod follow_state;
mod hydration;
mod in_flight;
mod integrations;
mod join;
mod learning;
mod left_waves;
mod main_loop;
mod notices;
mod phase;
mod plan_conflict;
mod previews;
mod proposals;
mod reproduction;
mod role_workers;
mod run_limits;
mod take;
mod tamper_check;
mod task_accounts;
mod task_budget;
mod tree_sight;
mod turns;
mod validate_beside;
mod verdicts;
mod violation_diff;
mod waves;

pub use begin::PlanRun;
pub use compile::{Preview, find_blocked_tasks};
pub(crate) use context::Context;
pub use follow_state::Reload;
pub(crate) use phase::Phase;
pub use proposals::RESULTS;
pub use take::{Pick, TakenPatches};
