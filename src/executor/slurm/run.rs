//! The loop: submit what is left, read what the tasks wrote, look at the queue now and then.

use super::array;
use super::array::{Submission, Task, Tasks};
use super::folder::{ArrayFolder, pending};
use super::import::Import;
use super::losses::{Loss, Losses};
use crate::executor::local::{EarlyEnd, Share, SharedSlots, SlotPermit, Turn, shared_limits};
use crate::executor::recovery::first_events;
use crate::executor::slices::{SliceFile, SliceName};
use crate::job::{
    Capacity, JobError, JobStatus, Journal, Observer, Progress, Rows, Settings, SharedLimits,
    SlurmOptions, State, Stop, Survey, Urgency,
};
use crate::model::counted;
use crate::platform::pace;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the files of the slices are read.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often the stop flag is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How often Slurm is asked; while the job stops, when the answer is all that is waited for, more often.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_EVERY_AT_END: Duration = Duration::from_secs(2);
/// Reasons for which a task waits its turn, which need no warning.
const PLAIN_REASONS: [&str; 8] = [
    "None",
    "Priority",
    "Resources",
    "Dependency",
    "JobArrayTaskLimit",
    "BeginTime",
    "Cleaning",
    "Prolog",
];

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
#[derive(Default)]
struct Follow {
    import: Import,
    losses: Losses,
    /// Slices without a task, and for how many answers in a row.
    gone: BTreeMap<u64, u32>,
    /// Rows that ended per slice when it was submitted last.
    ended_at_submission: BTreeMap<u64, u64>,
    /// Tasks that were refused their slice because another copy works it.
    refusals: BTreeMap<u64, usize>,
    /// Slices to submit as soon as there is room.
    waiting: BTreeSet<u64>,
    /// Slices that this process submitted: only their cancellation is news.
    submitted: BTreeSet<u64>,
    /// Rows that were given up, by slice.
    skipped: BTreeMap<u64, Vec<u64>>,
    told: BTreeSet<String>,
    /// Why the job can't go on.
    fault: Option<String>,
    asked: Option<Instant>,
}

impl SlurmRun<'_> {
    /// The folder of the job: that of an earlier process, unless rows are to run again that have ended in it.
    fn array_folder(
        &mut self,
        survey: &Survey,
        import: &mut Import,
    ) -> Result<Option<ArrayFolder>, JobError> {
        if let Some(earlier) = ArrayFolder::newest(self.settings)? {
            self.import(&earlier, import)?;
            let left = pending(self.settings, survey, self.state);
            let lies_within = left.without(&earlier.sliced.slicing.rows).is_empty();
            let is_open = |number: u64| !import.has_ended(number - 1);
            if lies_within && left.numbers().all(is_open) {
                earlier.ask_to_stop(false)?;
                return Ok(Some(earlier));
            }
            array::cancel(&earlier.name, false)?;
            *import = Import::default();
        }
        let rows = pending(self.settings, survey, self.state);
        if rows.is_empty() {
            return Ok(None);
        }
        let slices_max = array::tasks_max(self.options)?;
        ArrayFolder::create(self.settings, self.options, rows, slices_max, self.state).map(Some)
    }

    fn follow(
        &mut self,
        survey: &Survey,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<JobStatus, JobError> {
        let mut follow = Follow::default();
        let Some(array) = self.array_folder(survey, &mut follow.import)? else {
            let mut turn = Turn::default();
            self.end_of_rows(&mut turn);
            self.commit(turn)?;
            return Ok(self.early_end.status(self.state.counts(), stop));
        };
        if array.is_new {
            follow.waiting = (1..=array.sliced.slicing.count()).collect();
        }
        let (mut is_stopping, mut is_cancelled) = (false, false);
        loop {
            self.import(&array, &mut follow.import)?;
            let counts = self.state.counts();
            let mut turn = Turn::default();
            self.early_end
                .check(self.settings, counts, &self.limits, stop, &mut turn);
            self.commit(turn)?;
            observer.progress(&self.progress(&follow.import));
            if self.open_slices(&array).is_empty() {
                let mut turn = Turn::default();
                self.end_of_rows(&mut turn);
                self.commit(turn)?;
                return Ok(self.early_end.status(self.state.counts(), stop));
            }
            let may_start = self.early_end.may_start(stop) && follow.fault.is_none();
            if !may_start && !is_stopping {
                is_stopping = true;
                array.ask_to_stop(true)?;
                array::cancel(&array.name, follow.fault.is_none())?;
                follow.asked = None;
            }
            if stop.urgency() == Urgency::Now && !is_cancelled {
                is_cancelled = true;
                array::cancel(&array.name, false)?;
            }
            if array.is_new && may_start && follow.asked.is_none() {
                follow.asked = Some(Instant::now());
                self.submit_first(&array, &mut follow)?;
            }
            if self.is_query_due(&follow, is_stopping) {
                follow.asked = Some(Instant::now());
                match array::tasks(&array.name) {
                    Err(error) => tell(&mut follow.told, observer, error.to_string()),
                    Ok(tasks) if is_stopping => {
                        if !tasks.of_slices.values().any(Task::is_active) {
                            self.import(&array, &mut follow.import)?;
                            let status = self.early_end.status(self.state.counts(), stop);
                            return Ok(match follow.fault {
                                Some(fault) => JobStatus::Unanswered(fault),
                                None => status,
                            });
                        }
                    }
                    Ok(tasks) => self.handle(&array, &tasks, &mut follow, observer)?,
                }
            }
            self.wait(stop);
        }
    }

    /// Waits until the files are read again, or the job is asked to stop.
    fn wait(&self, stop: &Stop) {
        let (began, urgency) = (Instant::now(), stop.urgency());
        while began.elapsed() < pace::interval(READ_EVERY) && stop.urgency() == urgency {
            std::thread::sleep(pace::interval(TICK));
        }
    }

    fn is_query_due(&self, follow: &Follow, is_stopping: bool) -> bool {
        let every = match is_stopping {
            true => ASK_EVERY_AT_END,
            false => ASK_EVERY,
        };
        follow
            .asked
            .is_none_or(|asked| asked.elapsed() >= pace::interval(every))
    }

    /// Submits all slices of a new folder, behind a probe of the folder.
    fn submit_first(&mut self, array: &ArrayFolder, follow: &mut Follow) -> Result<(), JobError> {
        let slices: Vec<u64> = follow.waiting.iter().copied().collect();
        let at_once = self.tasks_at_once(slices.len());
        if at_once == 0 {
            return Ok(());
        }
        let mut first = self.submission(array, &slices, at_once);
        let seen = self.seen_by_nodes();
        if !seen.exists() {
            first.after = Some(first.submit_probe(self.options, &seen)?);
        }
        if let Err(error) = first.submit(self.options) {
            array::cancel(&array.name, false)?;
            return Err(error.into());
        }
        follow.submitted.append(&mut follow.waiting);
        Ok(())
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
                share.leave();
                self.permits.len()
            }
        };
        match rows {
            0 => 0,
            rows => (rows / rows_at_once).max(1),
        }
    }

    /// What follows from the state of the tasks.
    fn handle(
        &mut self,
        array: &ArrayFolder,
        tasks: &Tasks,
        follow: &mut Follow,
        observer: &mut dyn Observer,
    ) -> Result<(), JobError> {
        // What the tasks wrote before they ended is there now.
        self.import(array, &mut follow.import)?;
        let mut turn = Turn::default();
        if let Some(probe) = &tasks.probe
            && !probe.is_active()
            && !self.seen_by_nodes().exists()
        {
            follow.fault = Some(format!(
                "node {} does not see {}: runs must be on a file system that all nodes share (MESH_HOME, --artifacts DIR)",
                probe.node,
                array.folder.path().display()
            ));
        }
        warn_of_waiting(tasks, &mut follow.told, observer);
        let active = |slice: &u64| tasks.of_slices.get(slice).is_some_and(Task::is_active);
        for slice in self.open_slices(array) {
            if active(&slice) {
                follow.gone.remove(&slice);
            } else if !follow.waiting.contains(&slice) {
                let times = follow.gone.entry(slice).or_default();
                *times += 1;
                // A shared file system may show the last records late.
                if *times > 1 || follow.import.has_finished(slice) || !array.is_new {
                    follow.gone.remove(&slice);
                    let task = tasks.of_slices.get(&slice);
                    self.lose(array, slice, task, follow, &mut turn)?;
                }
            }
        }
        self.commit(turn)?;
        self.submit_again(array, tasks, follow)
    }

    /// A slice has no task any more, and rows that have not ended.
    fn lose(
        &mut self,
        array: &ArrayFolder,
        slice: u64,
        task: Option<&Task>,
        follow: &mut Follow,
        turn: &mut Turn,
    ) -> Result<(), JobError> {
        let loss = task.map_or(Loss::Cluster, |task| Loss::of(&task.state, &task.reason));
        let node = task.map_or("a node", |task| &task.node);
        if loss == Loss::Cancelled && follow.submitted.contains(&slice) {
            let id = task.map_or(0, |task| task.id);
            follow.fault = Some(format!("tasks of the array {id} were cancelled in Slurm"));
            return Ok(());
        }
        let slices = array.folder.slices();
        let refusals = SliceFile::refusals(&slices, &SliceName::Number(slice));
        if follow.refusals.insert(slice, refusals).unwrap_or(0) < refusals {
            // An older copy of the task works on, perhaps on a node that is cut off.
            follow.waiting.insert(slice);
            return Ok(());
        }
        let cut_off: Vec<u64> = follow.import.cut_off(slice).map(|(row, _)| row).collect();
        let ended = follow.import.ended(slice);
        let before = follow.ended_at_submission.insert(slice, ended);
        let has_progress = ended > before.unwrap_or(0);
        let retries = self.settings.bounds.retries;
        let consequence = follow
            .losses
            .count(slice, loss, &cut_off, has_progress, retries);
        if let Some((failure, text)) = loss.failure() {
            let text = format!("{failure}: the task of slice {slice} {text} on {node}");
            for row in &consequence.failed {
                let id = follow.import.cut_off(slice).find(|(index, _)| index == row);
                let Some((_, id)) = id else { continue };
                turn.events.extend(follow.import.give_up(
                    self.settings,
                    self.state,
                    *row,
                    id,
                    &text,
                ));
                follow.skipped.entry(slice).or_default().push(*row + 1);
            }
        }
        if let Some(rows) = follow
            .skipped
            .get_mut(&slice)
            .filter(|_| !consequence.failed.is_empty())
        {
            rows.sort_unstable();
            array.skip(slice, &Rows::of_numbers(rows.iter().copied()))?;
        }
        if consequence.gives_up {
            let said = array.last_line(slice);
            let said = said.map_or("it printed nothing".to_owned(), |line| {
                format!("it last printed: {line}")
            });
            follow.fault = Some(format!(
                "slice {slice} ended again and again without an answer, last on {node}; {said}"
            ));
        }
        follow.waiting.insert(slice);
        Ok(())
    }

    /// Submits the slices that wait for it, as far as the tasks that are left give room.
    fn submit_again(
        &mut self,
        array: &ArrayFolder,
        tasks: &Tasks,
        follow: &mut Follow,
    ) -> Result<(), JobError> {
        let open = self.open_slices(array);
        follow.waiting.retain(|slice| open.contains(slice));
        let active = tasks.of_slices.values().filter(|task| task.is_active());
        let has_pending = active.clone().any(Task::is_pending);
        if follow.waiting.is_empty() || has_pending || follow.fault.is_some() {
            return Ok(());
        }
        let slices: Vec<u64> = follow.waiting.iter().copied().collect();
        let free = self
            .tasks_at_once(slices.len())
            .saturating_sub(active.count());
        if free == 0 {
            return Ok(());
        }
        self.submission(array, &slices, free).submit(self.options)?;
        follow.submitted.append(&mut follow.waiting);
        Ok(())
    }

    fn submission<'s>(
        &self,
        array: &'s ArrayFolder,
        slices: &'s [u64],
        tasks_at_once: usize,
    ) -> Submission<'s> {
        let names = crate::job::inherited(&self.settings.worker.env_names);
        let names = names
            .into_iter()
            .filter_map(|(name, _)| name.into_string().ok());
        Submission {
            name: &array.name,
            comment: format!("mesh run {}", self.settings.run_id),
            folder: array.folder.path(),
            mesh: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("mesh")),
            slices,
            tasks_at_once,
            rows_at_once: self.options.rows_at_once.max(1),
            variables: names.collect(),
            after: None,
        }
    }

    /// The slices with rows that have not ended.
    fn open_slices(&self, array: &ArrayFolder) -> BTreeSet<u64> {
        let slicing = &array.sliced.slicing;
        let is_open = |number: &u64| {
            let rows = slicing.rows_of(*number);
            rows.is_some_and(|rows| {
                let ended = |number| self.state.has_ended(number - 1);
                !rows.numbers().all(ended)
            })
        };
        (1..=slicing.count()).filter(is_open).collect()
    }

    /// Every row that was handed out has ended; if others are left, the budget of rows is used up.
    fn end_of_rows(&mut self, turn: &mut Turn) {
        let counts = self.state.counts();
        if counts.ended() < counts.total
            && let Some(max) = self.settings.budget.max_rows
        {
            self.early_end
                .reach_budget("max_rows", max.into(), self.settings, turn);
        }
    }

    /// Reads the files of the slices, and records the rows that have ended in them.
    fn import(&mut self, array: &ArrayFolder, import: &mut Import) -> Result<(), JobError> {
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
            turn.events.extend(row.events);
        }
        self.commit(turn)
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

/// Says once why tasks wait, if it is more than their turn.
fn warn_of_waiting(tasks: &Tasks, told: &mut BTreeSet<String>, observer: &mut dyn Observer) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let pending = tasks.of_slices.values().filter(|task| task.is_pending());
    for task in pending.filter(|task| !PLAIN_REASONS.contains(&task.reason.as_str())) {
        *reasons.entry(&task.reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        if told.insert(reason.to_owned()) {
            let tasks = counted(count, "task");
            observer.warn(&format!("Slurm holds {tasks}: {reason}{}", meaning(reason)));
        }
    }
}

/// What a reason means for the person who submitted.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "BadConstraints" | "PartitionNodeLimit" | "ReqNodeNotAvail" => {
            "; no node can give what --slurm-cpus, --slurm-memory or --slurm-args ask for"
        }
        "PartitionTimeLimit" => "; --slurm-time is longer than the partition allows",
        "JobHeldUser" | "JobHeldAdmin" => "; release them with: scontrol release",
        reason if reason.starts_with("Assoc") || reason.starts_with("QOS") => {
            "; a limit of the account, they start when it allows"
        }
        _ => "",
    }
}

/// Warns once.
fn tell(told: &mut BTreeSet<String>, observer: &mut dyn Observer, text: String) {
    if !told.contains(&text) {
        observer.warn(&text);
        told.insert(text);
    }
}
