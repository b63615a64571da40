//! A run with made-up results: which waves, how many rows, how long, before any worker is started.
//!
//! What is made up is only what workers say and how long they take. Which rows a task needs comes from
//! [`protocol::next`](crate::protocol::next), which task is taken up beside which from [`schedule`](crate::schedule), and
//! in what order both dispatches serve them is the order of the run itself. Pure and deterministic: the same plan and times give
//! the same prediction.
//!
//! Left out: refused answers, retries of attempts, rate limits and backpressure. Integrations happen one after the other and
//! take no slot. A task without metadata may touch anything until its end, since nobody knows yet what a worker will propose.

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
pub use simulation::{Simulation, Worked};
