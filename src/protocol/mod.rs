//! Protocols as data, and the pure function that decides the next step of a unit.
//!
//! The engine knows rounds, roles, lanes, one consensus gate and its retries; `templates/*.yaml` define which. Nothing here
//! reads a file, a clock or the environment: to resume a run is to fold its ledger into [`UnitState`] and to call [`next`].
//!
//! ```text
//! file (YAML) -> check -> parse -> definition ──> next -> action
//!                                  state ───────> prompt, consensus, retries
//! ```

mod action;
mod candidates;
mod check;
mod consensus;
mod definition;
mod error;
mod file;
mod next;
mod parse;
mod placeholders;
mod prompt;
mod retries;
mod state;

pub use action::{Action, Emission, ProtocolChange};
pub use candidates::{Candidate, rank, remaining};
pub use consensus::{ABSENT, AGREE, DISAGREE, NOT_ASKED, tally};
pub use definition::{Definition, HYDRATION, Protocol, Round, Select, Tiers};
pub use error::ProtocolError;
pub use next::next;
pub use parse::Templates;
pub use prompt::{TaskContext, latest_synthesis, latest_test, render};
pub use state::{Answer, Artifact, Checked, Integration, RoundRun, UnitState};
