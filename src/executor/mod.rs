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

/// Ends what a killed process left running of several jobs, all at once, and records the end of its attempts. To be called
/// before the first of them runs: otherwise the rows of one start beside what is left of another, which holds no slot.
///
/// Does nothing for tasks of Slurm: they outlive the process that submitted them, and the job follows them further.
///
/// # Errors
/// An input is not usable, or the ledger can't be written.
pub fn end_left(
    jobs: &[(Settings, State)],
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<(), JobError> {
    let is_local = |(settings, _): &&(Settings, State)| settings.executor == ExecutorChoice::Local;
    let jobs: Vec<_> = jobs.iter().filter(is_local).collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let settings: Vec<_> = jobs.iter().map(|(settings, _)| settings).collect();
    local::end_orphans(&settings, stop, observer)?;
    let mut events = Vec::new();
    for (settings, state) in jobs {
        events.extend(recovery::close_left(
            settings,
            state,
            &Survey::recall(settings)?,
        )?);
    }
    journal.record(&events)?;
    Ok(())
}

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
