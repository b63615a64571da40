//! Sets up a job's pool: checks the input, cancels orphans of a killed run, opens the report socket, starts the threads.

use super::descriptors;
use super::launcher::Launcher;
use super::orphan_reaper;
use super::pool::{PREFETCH_MAX, Pool};
use super::report_socket::Hub;
use super::row_queue::RowQueue;
use super::slots::{Share, SharedSlots};
use super::task_queue::TaskQueue;
use super::worker_registry::WorkerRegistry;
use super::worker_thread::WorkerThread;
use crate::job::{
    JobError, JobStatus, Journal, LogFolder, Observer, ResultCheck, Settings, SharedLimits, State,
    Stop, Survey,
};
use crate::platform::threads;
use crossbeam_channel::unbounded;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Runs the pending rows of a job as processes on this machine; see [`executor::run`](crate::executor::run).
pub fn run(
    settings: &Settings,
    state: &mut State,
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
    share: Option<Share<'_>>,
) -> Result<(JobStatus, Survey), JobError> {
    let survey = Survey::recall(settings)?;
    let check = ResultCheck::of(settings)?;
    let total = survey.total().max(1) as usize;
    let slots = settings.bounds.max_concurrency.min(total);
    descriptors::make_room_for(slots)?;
    crate::platform::make_folders(&settings.scratch).map_err(JobError::Scratch)?;
    let (events, inbox) = unbounded();
    let redactor = crate::job::redactor(settings.row_workers().map(|it| it.worker));
    let hub = Hub::listen(
        &settings.scratch,
        events.clone(),
        check.clone(),
        redactor.clone(),
    )
    .map_err(JobError::Scratch)?;
    let launcher = Launcher::new(settings, survey.header().to_vec(), hub.path().to_owned());
    launcher.write_shared_files().map_err(JobError::Scratch)?;
    end_orphans(&[settings], stop, observer)?;
    let registry =
        WorkerRegistry::begin(&registry_of(settings), slots).map_err(JobError::Scratch)?;
    let limits = shared_limits(settings, state);
    let thread = WorkerThread {
        limits: &limits,
        settings,
        launcher: &launcher,
        hub: &hub,
        check: &check,
        registry: &registry,
        logs: &LogFolder::new(settings.keep_logs, &settings.logs, settings.wave),
        redactor: &redactor,
        stop,
    };
    let tasks = TaskQueue::new(slots + PREFETCH_MAX);
    let receiver = tasks.receiver();
    let rows = RowQueue::new(survey.rows(settings)?, journal.lines()?);
    let share = share.map(|share| SharedSlots::new(share, events.clone()));
    let limits = Arc::clone(&limits);
    let pool = Pool::new(
        settings,
        state,
        journal,
        limits,
        rows,
        (tasks, slots),
        share,
    );
    let status = std::thread::scope(|scope| {
        for number in 0..slots {
            let (thread, tasks, events) = (&thread, receiver.clone(), events.clone());
            let serve = move || thread.serve(number, &tasks, &events);
            threads::start_in(scope, "worker", serve).map_err(JobError::Thread)?;
        }
        drop(receiver);
        pool.run(&survey, &inbox, observer, stop)
    })?;
    Ok((status, survey))
}

/// Where the workers of a job are recorded while they run.
fn registry_of(settings: &Settings) -> PathBuf {
    settings.scratch.join("workers")
}

/// Ends what a killed `mesh` left running of `jobs`, all at once, and reports it.
///
/// # Errors
/// The record of its workers can't be read: they may still run.
pub(crate) fn end_orphans(
    jobs: &[&Settings],
    stop: &Stop,
    observer: &mut dyn Observer,
) -> Result<(), JobError> {
    let grace = jobs.iter().map(|settings| settings.bounds.grace_seconds);
    let grace = Duration::from_secs(grace.max().unwrap_or_default());
    let jobs = jobs
        .iter()
        .map(|settings| (registry_of(settings), &settings.job_id));
    let swept = orphan_reaper::end(&jobs.collect::<Vec<_>>(), grace, stop);
    let swept = swept.map_err(JobError::Scratch)?;
    for orphan in &swept.ended {
        observer.warn(&format!("ended an orphan of a killed mesh: {orphan}"));
    }
    for (orphan, doubt) in &swept.left {
        observer.warn(&format!(
            "an orphan of a killed mesh may still be running: {orphan}; left alone: {doubt}"
        ));
    }
    Ok(())
}

/// The limits that the jobs of the run share; a job alone has its own.
pub(crate) fn shared_limits(settings: &Settings, state: &State) -> Arc<SharedLimits> {
    settings.limits.clone().unwrap_or_else(|| {
        let mut protocols = settings.row_workers().filter_map(|it| it.agent_protocol);
        let limits = SharedLimits::new(
            settings.budget,
            state.spent,
            settings.bounds.max_concurrency,
            protocols.any(|protocol| protocol.has_service()),
            settings.bounds.rate_limit_wait_max(),
        );
        limits.remember(state.account_until);
        Arc::new(limits)
    })
}
