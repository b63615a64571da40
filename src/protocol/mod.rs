//! Protocols as data, and the pure function from what was recorded to what to do next.
//!
//! The engine knows rounds, roles, lanes, one consensus gate and its retries; `templates/*.yaml` say which.
//! Nothing here reads a file, a clock or the environment: resuming a run is folding its ledger into
//! [`UnitState`] and calling [`next`] again.

mod consensus;
mod next;
mod prompt;
mod spec;
mod state;

pub use consensus::{ABSENT, AGREE, DISAGREE, tally};
pub use next::{Action, Change, Emission, next};
pub use prompt::{TaskContext, latest_synthesis, render};
pub use spec::{Definition, HYDRATION, Protocol, ProtocolError, Round, Templates, Tiers};
pub use state::{Answer, Integration, UnitState};
