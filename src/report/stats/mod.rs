//! Figures about finished and running runs, from their ledgers alone. Pure folds; decides nothing.
//!
//! ```text
//! ledger ─► run_facts ─┬─ effect    what roles said, and whether the patch changed
//!                      ├─ votes     votes against validations
//!                      ├─ failures  what each failure code cost
//!                      └─ fan_out ─► idle   rows at once, and why not more
//! run_facts of several runs ─► figures ─► text, JSON
//! ```

mod effect;
mod failures;
mod fan_out;
mod figures;
mod idle;
mod rate;
mod run_facts;
mod spend;
mod text;
mod votes;

pub use effect::{Followed, RoleEffect};
pub use failures::{Failures, dearest_first};
pub use fan_out::FanOutFold;
pub use figures::{By, Figures, RunLine, TaskSums};
pub use idle::{Cause, FanOut};
pub use rate::{Rate, TOO_FEW, rounded};
pub use run_facts::{CsvFacts, RunFacts, TaskEnd, TaskFacts};
pub use spend::Spend;
pub use votes::{Calibration, Decision};
