//! The loop: submit what is left, read what the tasks wrote, look at the queue now and then.

use super::array;
use super::array::Submission;
use super::folder::{ArrayFolder, pending};
use super::holds::{tell, warn_of_waiting};
use super::import::Import;
use super::slice_queue::{
    ASK_EVERY, Consequence, Limit, LostSlice, NextArray, SliceFiles, SliceQueue, tasks_at_once,
};
use super::tasks::{Task, Tasks};
use crate::executor::local::{EarlyEnd, Share, SharedSlots, SlotPermit, Turn, shared_limits};
use crate::executor::recovery::first_events;
use crate::executor::slices::{SliceFile, SliceName};
use crate::job::{
    Capacity, JobError, JobStatus, Journal, Observer, Progress, Rows, Settings, SharedLimits,
    SlurmOptions, State, Stop, Survey, Urgency,
};
use crate::platform::{look, pace};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the files of the slices are read.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often the stop flag is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often Slurm is asked while the job stops, when the answer is all that is waited for.
const ASK_EVERY_AT_END: Duration = Duration::from_secs(2);
/// Runs the rows of a job that are still pending as tasks of Slurm.
///
/// # Errors
/// [`SlurmError`](super::SlurmError) if Slurm can't be used; as for the other executors otherwise.
pub fn run(
    settings: &Settings,
    options: &SlurmOptions,
    state: &mut State,
    journal: &mut dyn Journal,
    observer: &mut dyn Observer,
    stop: &Stop,
    share: Option<Share<'_>>,
) -> Result<(JobStatus, Survey), JobError> {
    array::find()?;
    let survey = Survey::take(settings)?;
    crate::platform::make_folders(&settings.scratch).map_err(JobError::Scratch)?;
    let events = first_events(settings, state, &survey)?;
    let limits = shared_limits(settings, state);
    let mut run = SlurmRun {
        settings,
        options,
        state,
        journal,
        limits,
        early_end: EarlyEnd::default(),
        begun: Instant::now(),
        share: share.map(SharedSlots::unheard),
        permits: Vec::new(),
    };
    run.commit(Turn {
        events,
        ..Turn::default()
    })?;
    run.early_end.begin(run.state.counts());
    let status = run.follow(&survey, observer, stop)?;
    Ok((status, survey))
}

struct SlurmRun<'r> {
    settings: &'r Settings,
    options: &'r SlurmOptions,
    state: &'r mut State,
    journal: &'r mut dyn Journal,
    limits: Arc<SharedLimits>,
    early_end: EarlyEnd,
    begun: Instant,
    share: Option<SharedSlots<'r>>,
    permits: Vec<SlotPermit<'r>>,
}

/// What is known of the tasks.
struct Follow {
    array: ArrayFolder,
    import: Import,
    queue: SliceQueue,
    /// Rows that were given up, by slice.
    skipped: BTreeMap<u64, Vec<u64>>,
    told: BTreeSet<String>,
    /// Why the job can't go on.
    fault: Option<String>,
    /// Slurm has tasks of the job.
    is_submitted: bool,
    is_stopping: bool,
    is_cancelled: bool,
    asked: Option<Instant>,
}

impl Follow {
    fn new(array: ArrayFolder, import: Import, run: &SlurmRun<'_>) -> Self {
        let limit = match run.share {
            None => Limit::Fixed,
            Some(_) => Limit::Shared,
        };
        let queue = SliceQueue::new(
            &array.sliced.slicing,
            |row| run.state.has_ended(row),
            array.is_new,
            limit,
            run.settings.bounds.retries,
        );
        Self {
            is_submitted: !array.is_new,
            array,
            import,
            queue,
            skipped: BTreeMap::new(),
            told: BTreeSet::new(),
            fault: None,
            is_stopping: false,
            is_cancelled: false,
            asked: None,
        }
    }

    fn is_query_due(&self) -> bool {
        let every = match self.is_stopping {
            true => ASK_EVERY_AT_END,
            false => ASK_EVERY,
        };
        let every = pace::interval(every);
        let is_due = self.asked.is_none_or(|asked| asked.elapsed() >= every);
        is_due && (self.is_submitted || self.is_stopping)
    }
}

/// The files of the slices, as far as they were read.
struct FilesRead<'f> {
    import: &'f Import,
    slices: PathBuf,
}

impl SliceFiles for FilesRead<'_> {
    fn ended(&self, slice: u64) -> u64 {
        self.import.ended(slice)
    }

    fn cut_off(&self, slice: u64) -> Vec<u64> {
        self.import.cut_off(slice).map(|(row, _)| row).collect()
    }

    fn has_finished(&self, slice: u64) -> bool {
        self.import.has_finished(slice)
    }

    fn refusals(&self, slice: u64) -> usize {
        SliceFile::refusals(&self.slices, &SliceName::Number(slice))
    }
}

impl SlurmRun<'_> {
    /// The folder of the job: that of an earlier process, unless rows are to run again that have ended in it.
    fn array_folder(&mut self, survey: &Survey) -> Result<Option<(ArrayFolder, Import)>, JobError> {
        if let Some(earlier) = ArrayFolder::newest(self.settings)? {
            let mut import = Import::default();
            self.import(&earlier, &mut import)?;
            let left = pending(self.settings, survey, self.state);
            let lies_within = left.without(&earlier.sliced.slicing.rows).is_empty();
            if lies_within && left.without(&import.ended_rows()) == left {
                earlier.ask_to_stop(false)?;
                return Ok(Some((earlier, import)));
            }
            array::cancel(&earlier.name, false)?;
        }
        let rows = pending(self.settings, survey, self.state);
        if rows.is_empty() {
            return Ok(None);
        }
        let slices_max = array::array_max(self.options)?;
        let array = ArrayFolder::create(
            self.settings,
            self.options,
            survey,
            rows,
            slices_max,
            self.state,
        )?;
        Ok(Some((array, Import::default())))
    }

    fn follow(
        &mut self,
        survey: &Survey,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<JobStatus, JobError> {
        let Some((array, import)) = self.array_folder(survey)? else {
            return self.end_of_rows(stop);
        };
        let mut follow = Follow::new(array, import, self);
        loop {
            self.read(&mut follow)?;
            let mut turn = Turn::default();
            let counts = self.state.counts();
            self.early_end.check(
                self.settings,
                counts,
                std::slice::from_ref(&self.limits),
                stop,
                &mut turn,
            );
            self.commit(turn)?;
            observer.progress(&self.progress(&follow.import));
            if follow.queue.is_done() {
                return self.end_of_rows(stop);
            }
            let may_start = self.early_end.may_start(stop) && follow.fault.is_none();
            stop_tasks(&mut follow, may_start, stop)?;
            if may_start && !follow.is_submitted {
                self.submit(&mut follow, &Tasks::default())?;
            }
            if follow.is_query_due() {
                follow.asked = Some(Instant::now());
                match array::tasks(&follow.array.name) {
                    Err(error) => tell(&mut follow.told, observer, error.to_string()),
                    Ok(tasks) if !follow.is_stopping => {
                        self.handle(&tasks, &mut follow, observer)?
                    }
                    Ok(tasks) if tasks.active().next().is_some() => {}
                    Ok(_) => {
                        self.read(&mut follow)?;
                        let status = self.early_end.status(self.state.counts(), stop);
                        return Ok(follow.fault.map_or(status, JobStatus::Unanswered));
                    }
                }
            }
            wait(stop);
        }
    }

    /// What follows from the state of the tasks.
    fn handle(
        &mut self,
        tasks: &Tasks,
        follow: &mut Follow,
        observer: &mut dyn Observer,
    ) -> Result<(), JobError> {
        // What the tasks wrote before they ended is there now.
        self.read(follow)?;
        if let Some(probe) = &tasks.probe
            && !probe.is_active()
            && !look::is_taken(&self.seen_by_nodes()).map_err(JobError::Scratch)?
        {
            follow.fault = Some(format!(
                "node {} does not see {}: runs must be on a file system that all nodes share (MESH_HOME, --artifacts DIR)",
                probe.node,
                follow.array.folder.path().display()
            ));
        }
        warn_of_waiting(tasks, &mut follow.told, observer);
        let files = FilesRead {
            import: &follow.import,
            slices: follow.array.folder.slices(),
        };
        for lost in follow.queue.find_lost(tasks, &files) {
            self.handle_lost(&lost, tasks.of_slices.get(&lost.slice), follow)?;
        }
        match follow.fault {
            None => self.submit(follow, tasks),
            Some(_) => Ok(()),
        }
    }

    /// Ends the rows that fail with their slice, and the job if it can't go on.
    fn handle_lost(
        &mut self,
        lost: &LostSlice,
        task: Option<&Task>,
        follow: &mut Follow,
    ) -> Result<(), JobError> {
        let node = task.map_or("a node", |task| &task.node);
        let slice = lost.slice;
        match &lost.follows {
            Consequence::Cancelled => {
                let id = task.map_or(0, |task| task.id);
                follow.fault = Some(format!("tasks of the array {id} were cancelled in Slurm"));
                Ok(())
            }
            Consequence::Again { failed } => self.give_up(lost, failed, node, follow),
            Consequence::GivesUp { failed } => {
                let said = follow.array.last_line(slice);
                let said = said.map_or("it printed nothing".to_owned(), |line| {
                    format!("it last printed: {line}")
                });
                follow.fault = Some(format!(
                    "slice {slice} ended again and again without an answer, last on {node}; {said}"
                ));
                self.give_up(lost, failed, node, follow)
            }
        }
    }

    /// Records rows of a slice as failed, and keeps its next task from running them.
    fn give_up(
        &mut self,
        lost: &LostSlice,
        rows: &[u64],
        node: &str,
        follow: &mut Follow,
    ) -> Result<(), JobError> {
        let slice = lost.slice;
        let Some(error) = lost.loss.error(slice, node).filter(|_| !rows.is_empty()) else {
            return Ok(());
        };
        let mut turn = Turn::default();
        let skipped = follow.skipped.entry(slice).or_default();
        for (row, id) in follow.import.cut_off(slice) {
            if rows.contains(&row) {
                let (settings, import) = (self.settings, &follow.import);
                turn.events
                    .extend(import.give_up(settings, self.state, row, id, &error));
                skipped.push(row + 1);
                follow.queue.end_row(slice);
            }
        }
        skipped.sort_unstable();
        let rows = Rows::of_numbers(skipped.iter().copied());
        self.commit(turn)?;
        follow.array.skip(slice, &rows)
    }

    /// Submits the slices that wait for it, as far as the tasks that are left give room; the first ones behind a probe of the
    /// folder.
    fn submit(&mut self, follow: &mut Follow, tasks: &Tasks) -> Result<(), JobError> {
        let Some(next) = follow
            .queue
            .next_array(tasks, |wanted| self.tasks_at_once(wanted))
        else {
            return Ok(());
        };
        let array = &follow.array;
        let mut submission = self.submission(array, &next);
        let seen = self.seen_by_nodes();
        if !follow.is_submitted && !look::is_taken(&seen).map_err(JobError::Scratch)? {
            submission.after = Some(submission.submit_probe(self.options, &seen)?);
        }
        if let Err(error) = submission.submit(self.options) {
            if !follow.is_submitted {
                array::cancel(&array.name, false)?;
            }
            return Err(error.into());
        }
        follow.queue.mark_submitted(&next);
        follow.is_submitted = true;
        follow.asked = Some(Instant::now());
        Ok(())
    }

    fn submission<'s>(&self, array: &'s ArrayFolder, next: &'s NextArray) -> Submission<'s> {
        let names = crate::job::inherited(&self.settings.worker.env_names);
        let names = names
            .into_iter()
            .filter_map(|(name, _)| name.into_string().ok());
        Submission {
            name: &array.name,
            comment: format!("mesh run {}", self.settings.run_id),
            folder: array.folder.path(),
            mesh: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("mesh")),
            slices: &next.slices,
            tasks_at_once: next.tasks_at_once,
            rows_at_once: self.options.rows_at_once.max(1),
            variables: names.collect(),
            after: None,
        }
    }

    /// The file by which a node shows that it sees the folder of the run; once is enough.
    fn seen_by_nodes(&self) -> PathBuf {
        self.settings.logs.join("seen-by-slurm")
    }

    /// How many tasks may run at once: as many rows as the job may run, or as there are slots for that several jobs share.
    fn tasks_at_once(&mut self, wanted: usize) -> usize {
        let rows_at_once = self.options.rows_at_once.max(1);
        let rows = match &self.share {
            None => self.settings.bounds.max_concurrency,
            Some(share) => {
                while self.permits.len() < wanted * rows_at_once
                    && let Some(permit) = share.take()
                {
                    self.permits.push(permit);
                }
                // Without any, it keeps its place in the order of jobs.
                if !self.permits.is_empty() {
                    share.leave();
                }
                self.permits.len()
            }
        };
        tasks_at_once(rows, rows_at_once)
    }

    /// Every row that was handed out has ended; if others are left, the budget of rows is used up.
    fn end_of_rows(&mut self, stop: &Stop) -> Result<JobStatus, JobError> {
        let counts = self.state.counts();
        let mut turn = Turn::default();
        if counts.ended() < counts.total
            && let Some(max) = self.settings.budget.max_rows
        {
            self.early_end
                .reach_budget("max_rows", max.into(), self.settings, &mut turn);
        }
        self.commit(turn)?;
        Ok(self.early_end.status(self.state.counts(), stop))
    }

    /// Reads the files of the slices.
    fn read(&mut self, follow: &mut Follow) -> Result<(), JobError> {
        for slice in self.import(&follow.array, &mut follow.import)? {
            follow.queue.end_row(slice);
        }
        Ok(())
    }

    /// Reads the files of the slices, and records the rows that have ended in them. Returns the slice of each of those.
    fn import(&mut self, array: &ArrayFolder, import: &mut Import) -> Result<Vec<u64>, JobError> {
        let mut ended = Vec::new();
        let mut turn = Turn::default();
        let read = import.read(array, self.settings, self.state)?;
        if read.asks_to_stop {
            self.early_end.request_stop();
        }
        for row in read.rows {
            match self.limits.reserve(true) {
                crate::job::Room::Yes(reserve) => {
                    self.limits.charge(reserve, Some(row.usage), true);
                }
                crate::job::Room::Wait => {}
                crate::job::Room::Reached(budget, limit) => {
                    self.early_end
                        .reach_budget(budget, limit, self.settings, &mut turn);
                }
            }
            if !self.state.has_ended(row.index) {
                ended.push(row.slice);
            }
            turn.events.extend(row.events);
        }
        self.commit(turn)?;
        Ok(ended)
    }

    fn commit(&mut self, turn: Turn) -> Result<(), JobError> {
        if turn.events.is_empty() {
            return Ok(());
        }
        let places = self.journal.record(&turn.events)?;
        for (event, place) in turn.events.iter().zip(places) {
            self.state.apply(event, place);
        }
        Ok(())
    }

    fn progress(&self, import: &Import) -> Progress {
        let mut counts = self.state.counts();
        counts.running = import.count_running();
        Progress {
            counts,
            ended_here: counts.ended() - self.early_end.ended_before(),
            running: import.shown(),
            elapsed: self.begun.elapsed(),
            usage: self.limits.spent(),
            capacity: Capacity {
                places: self.settings.bounds.max_concurrency,
                ..Capacity::default()
            },
        }
    }
}

/// Ends waiting tasks when no more rows may start, and all tasks at the second interrupt.
fn stop_tasks(follow: &mut Follow, may_start: bool, stop: &Stop) -> Result<(), JobError> {
    let name = &follow.array.name;
    if !may_start && !follow.is_stopping {
        follow.is_stopping = true;
        follow.array.ask_to_stop(true)?;
        array::cancel(name, follow.fault.is_none())?;
        follow.asked = None;
    }
    if stop.urgency() == Urgency::Now && !follow.is_cancelled {
        follow.is_cancelled = true;
        array::cancel(name, false)?;
    }
    Ok(())
}

/// Waits until the files are read again, or the job is asked to stop.
fn wait(stop: &Stop) {
    let (began, urgency) = (Instant::now(), stop.urgency());
    while began.elapsed() < pace::interval(READ_EVERY) && stop.urgency() == urgency {
        std::thread::sleep(pace::interval(TICK));
    }
}
