//! Predicts the waves, rows and makespan of a run, without starting a worker.
//!
//! ```text
//! plan -> script (steps of one task) -> rolling, barrier (dispatch) -> predict -> report
//!         ^ durations <- file, learned (ledgers)                       ^ bound
//! ```
//!
//! Only the answers and durations of workers are made up. [`protocol::next`](crate::protocol::next) gives the rows of a task,
//! [`schedule`](crate::schedule) selects the tasks, and both dispatches use the order of a real run. Pure and deterministic: the
//! same plan and times give the same prediction.
//!
//! Not simulated: refused answers, retries of attempts, rate limits and backpressure. Integrations run one after the other and
//! take no slot. A task without metadata may touch any path until it ends, since its scope is not known yet.

mod barrier;
mod bound;
mod durations;
mod learned;
mod predict;
mod progress;
mod report;
mod rolling;
mod script;
mod setup;
mod simulation;

pub use durations::{Durations, DurationsError, Given, INTEGRATION, ROW_SECONDS_DEFAULT, Source};
pub use learned::Learned;
pub use predict::Prediction;
pub use report::SimulationReport;
pub use setup::{End, Setup, Times};
pub use simulation::{SimulatedTask, Simulation};
