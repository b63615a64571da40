//! Where rows run. `local` runs them as processes on this machine; `slices` divides a job among processes on many; `slurm`
//! submits those as job arrays.

mod local;
mod recovery;
pub mod slices;
pub mod slurm;

pub use local::{Answer, Rank, Request, Share, SlotQueue, Slots, send};

use crate::job::{
    ExecutorChoice, JobError, JobStatus, Journal, Observer, Settings, State, Stop, Survey,
};

/// Runs the rows of a job that are still pending, where its settings say. Returns how the job ended and what its input
/// holds; writing the output CSV is left to the caller.
///
/// `state` is what the ledger already holds of this job; empty for a new one. With a `share`, each row also takes one of
/// the slots that several jobs share.
///
/// # Errors
/// The input is not usable, the ledger can't be written, or the executor can't be used.
pub fn run(
    settings: &Settings,
    state: &mut State,
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
    share: Option<Share<'_>>,
) -> Result<(JobStatus, Survey), JobError> {
    match &settings.executor {
        ExecutorChoice::Local => local::run(settings, state, journal, observer, stop, share),
        ExecutorChoice::Slurm(options) => {
            slurm::run(settings, options, state, journal, observer, stop, share)
        }
    }
}
