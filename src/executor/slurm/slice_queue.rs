//! The slices of a job: which of them are open, which wait for submission, and what follows when one lost its task.
//!
//! The only owner of these decisions, for the executor and for the simulation. Values only: it asks no Slurm and reads no file.

use super::losses::{Loss, Losses};
use super::tasks::{Task, Tasks};
use crate::executor::slices::Slicing;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How often Slurm is asked.
pub(super) const ASK_EVERY: Duration = Duration::from_secs(10);
/// The most tasks of an array, unless the option says otherwise.
pub(super) const ARRAY_MAX: u64 = 1000;

/// How many tasks an array has at most: as `wanted`, or fewer where the controller's `MaxArraySize` is lower.
pub(super) fn array_max(wanted: Option<u64>, max_array_size: Option<u64>) -> u64 {
    let wanted = wanted.unwrap_or(ARRAY_MAX);
    // The largest index is one less than the size; slices are counted from 1.
    max_array_size.map_or(wanted, |size| wanted.min(size.saturating_sub(1)).max(1))
}

/// How many tasks run at once for `rows` rows at once; none for none.
pub(super) fn tasks_at_once(rows: usize, rows_at_once: usize) -> usize {
    match rows {
        0 => 0,
        rows => (rows / rows_at_once).max(1),
    }
}

/// What the files of the slices say.
pub(super) trait SliceFiles {
    /// How many rows have ended.
    fn ended(&self, slice: u64) -> u64;
    /// The rows that the end of the task cut off, 0-based.
    fn cut_off(&self, slice: u64) -> Vec<u64>;
    /// Whether the last process recorded its end.
    fn has_finished(&self, slice: u64) -> bool;
    /// How many processes were refused the slice because another one works it.
    fn refusals(&self, slice: u64) -> usize;
}

/// The slices of a job.
pub(super) struct SliceQueue {
    /// Rows that have not ended, by slice; slices without any are left out.
    open: BTreeMap<u64, u64>,
    /// Slices to submit as soon as there is room.
    waiting: BTreeSet<u64>,
    /// Slices that this process submitted: only their cancellation is news.
    submitted: BTreeSet<u64>,
    /// Slices without a task, and for how many answers of Slurm in a row.
    gone: BTreeMap<u64, u32>,
    losses: Losses,
    /// Rows that had ended per slice when it was lost last.
    ended_at_loss: BTreeMap<u64, u64>,
    /// Tasks that were refused their slice, so far.
    refusals: BTreeMap<u64, usize>,
    /// No earlier process submitted slices of this job.
    is_new: bool,
    limit: Limit,
    retries: u32,
}

/// How many tasks of a job may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// Always as many.
    Fixed,
    /// As many as other jobs leave.
    Shared,
}

/// Slices to submit as one array.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NextArray {
    pub slices: Vec<u64>,
    /// How many of its tasks may run at once.
    pub tasks_at_once: usize,
}

/// A slice that lost its task, with rows that have not ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LostSlice {
    pub slice: u64,
    pub loss: Loss,
    pub follows: Consequence,
}

/// What follows from a loss.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Consequence {
    /// The job ends: someone cancelled its tasks.
    Cancelled,
    /// The slice is submitted again.
    Again {
        /// The rows that fail instead of running again, 0-based.
        failed: Vec<u64>,
    },
    /// The job ends: submitting the slice again is pointless.
    GivesUp {
        /// As above.
        failed: Vec<u64>,
    },
}

impl SliceQueue {
    /// The slices with rows that have not ended; `has_ended` tells it of a 0-based row. `is_new`: all of them wait for
    /// submission, else they were submitted by an earlier process.
    pub fn new(
        slicing: &Slicing,
        has_ended: impl Fn(u64) -> bool,
        is_new: bool,
        limit: Limit,
        retries: u32,
    ) -> Self {
        let open = (1..=slicing.count()).filter_map(|slice| {
            let rows = slicing.rows_of(slice)?;
            let left = rows.numbers().filter(|number| !has_ended(number - 1));
            Some((slice, left.count() as u64)).filter(|(_, left)| *left > 0)
        });
        let open: BTreeMap<u64, u64> = open.collect();
        Self {
            waiting: open.keys().copied().filter(|_| is_new).collect(),
            open,
            submitted: BTreeSet::new(),
            gone: BTreeMap::new(),
            losses: Losses::default(),
            ended_at_loss: BTreeMap::new(),
            refusals: BTreeMap::new(),
            is_new,
            limit,
            retries,
        }
    }

    /// How many rows have not ended.
    pub fn rows_left(&self) -> u64 {
        self.open.values().sum()
    }

    /// Whether all rows have ended.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// A row of the slice has ended.
    pub fn end_row(&mut self, slice: u64) {
        if let Some(left) = self.open.get_mut(&slice) {
            *left -= 1;
            if *left == 0 {
                self.open.remove(&slice);
                self.waiting.remove(&slice);
            }
        }
    }

    /// The open slices that lost their tasks, by an answer of Slurm. The caller ends the rows that fail.
    pub fn find_lost(&mut self, tasks: &Tasks, files: &impl SliceFiles) -> Vec<LostSlice> {
        let mut gone = Vec::new();
        for slice in self.open.keys() {
            if tasks.has_active(*slice) {
                self.gone.remove(slice);
            } else if !self.waiting.contains(slice) {
                let times = self.gone.entry(*slice).or_default();
                *times += 1;
                // A shared file system may show the last records late.
                if *times > 1 || files.has_finished(*slice) || !self.is_new {
                    self.gone.remove(slice);
                    gone.push(*slice);
                }
            }
        }
        let lost = gone.into_iter();
        lost.map(|slice| self.lose(slice, tasks.of_slices.get(&slice), files))
            .collect()
    }

    fn lose(&mut self, slice: u64, task: Option<&Task>, files: &impl SliceFiles) -> LostSlice {
        let loss = task.map_or(Loss::Cluster, |task| Loss::of(&task.state, &task.reason));
        let follows = match loss == Loss::Cancelled && self.submitted.contains(&slice) {
            true => Consequence::Cancelled,
            false => self.submit_again(slice, loss, files),
        };
        LostSlice {
            slice,
            loss,
            follows,
        }
    }

    fn submit_again(&mut self, slice: u64, loss: Loss, files: &impl SliceFiles) -> Consequence {
        self.waiting.insert(slice);
        let refusals = files.refusals(slice);
        if self.refusals.insert(slice, refusals).unwrap_or(0) < refusals {
            // An older copy of the task works on, perhaps on a node that is cut off.
            return Consequence::Again { failed: Vec::new() };
        }
        let ended = files.ended(slice);
        let before = self.ended_at_loss.insert(slice, ended);
        let has_progress = ended > before.unwrap_or(0);
        let cut_off = files.cut_off(slice);
        let judged = self
            .losses
            .count(slice, loss, &cut_off, has_progress, self.retries);
        let failed = judged.failed;
        match judged.gives_up {
            true => Consequence::GivesUp { failed },
            false => Consequence::Again { failed },
        }
    }

    /// The slices to submit now. `allowed` tells how many tasks may run at once if so many are wanted.
    pub fn next_array(
        &self,
        tasks: &Tasks,
        allowed: impl FnOnce(usize) -> usize,
    ) -> Option<NextArray> {
        // Tasks that wait have the free places first.
        if self.waiting.is_empty() || tasks.active().any(Task::is_pending) {
            return None;
        }
        let active = tasks.active().count();
        let free = allowed(active + self.waiting.len()).saturating_sub(active);
        // An array keeps its number of tasks at once. So one that could run more of them later has no more than can run now.
        let slices = match active == 0 && self.limit == Limit::Fixed {
            true => self.waiting.len(),
            false => free,
        };
        (free > 0).then(|| NextArray {
            slices: self.waiting.iter().take(slices).copied().collect(),
            tasks_at_once: free,
        })
    }

    /// The slices of an array were submitted.
    pub fn mark_submitted(&mut self, array: &NextArray) {
        for slice in &array.slices {
            self.waiting.remove(slice);
            self.submitted.insert(*slice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices 1 and 2 of four rows each; files as set.
    #[derive(Default)]
    struct Files {
        ended: u64,
        cut_off: Vec<u64>,
        has_finished: bool,
        refusals: usize,
    }

    impl SliceFiles for Files {
        fn ended(&self, _: u64) -> u64 {
            self.ended
        }
        fn cut_off(&self, _: u64) -> Vec<u64> {
            self.cut_off.clone()
        }
        fn has_finished(&self, _: u64) -> bool {
            self.has_finished
        }
        fn refusals(&self, _: u64) -> usize {
            self.refusals
        }
    }

    fn queue(is_new: bool) -> SliceQueue {
        let rows = "1-8".parse().expect("rows");
        let slicing = Slicing::new(rows, Some(4), 1000, 1);
        let mut queue = SliceQueue::new(&slicing, |row| row == 7, is_new, Limit::Fixed, 0);
        if let Some(all) = queue.next_array(&Tasks::default(), |wanted| wanted) {
            queue.mark_submitted(&all);
        }
        queue
    }

    fn again(failed: &[u64]) -> Consequence {
        Consequence::Again {
            failed: failed.to_vec(),
        }
    }

    #[test]
    fn a_slice_is_open_until_its_last_row_has_ended() {
        let mut queue = queue(true);
        assert_eq!(queue.rows_left(), 7);
        for _ in 0..3 {
            queue.end_row(2);
        }
        let lost = queue.find_lost(&Tasks::parse("9|1|RUNNING|None|n1"), &Files::default());
        assert_eq!((queue.rows_left(), lost), (4, vec![]));
    }

    #[test]
    fn a_lost_slice_is_noticed_by_the_second_answer_or_by_its_end() {
        let tasks = Tasks::parse("9|1|NODE_FAIL|None|n1\n9|2|RUNNING|None|n1");
        let files = Files {
            cut_off: vec![1],
            ..Files::default()
        };
        let mut seen_twice = queue(true);
        assert_eq!(seen_twice.find_lost(&tasks, &files), vec![]);
        let expected = vec![LostSlice {
            slice: 1,
            loss: Loss::Cluster,
            follows: again(&[]),
        }];
        assert_eq!(seen_twice.find_lost(&tasks, &files), expected);
        assert_eq!(queue(false).find_lost(&tasks, &files), expected);
        let files = Files {
            has_finished: true,
            ..files
        };
        assert_eq!(queue(true).find_lost(&tasks, &files), expected);
    }

    #[test]
    fn a_loss_fails_rows_cancels_or_waits_for_an_older_copy() {
        let consequence = |line: &str, files: &Files| {
            let tasks = Tasks::parse(&[line, "9|2|RUNNING|None|n1"].join("\n"));
            queue(false)
                .find_lost(&tasks, files)
                .pop()
                .map(|lost| lost.follows)
        };
        let files = Files {
            cut_off: vec![3],
            ..Files::default()
        };
        let memory = "9|1|OUT_OF_MEMORY|None|n1";
        assert_eq!(consequence(memory, &files), Some(again(&[3])));
        // By an earlier process, for instance.
        let cancelled = consequence("9|1|CANCELLED|None|n1", &files);
        assert_eq!(cancelled, Some(again(&[])));
        let refused = Files {
            refusals: 1,
            ..files
        };
        assert_eq!(consequence(memory, &refused), Some(again(&[])));
        let mut own = queue(true);
        let tasks = Tasks::parse("9|1|CANCELLED|None|n1\n9|2|RUNNING|None|n1");
        own.find_lost(&tasks, &Files::default());
        let lost = own.find_lost(&tasks, &Files::default());
        assert_eq!(lost[0].follows, Consequence::Cancelled);
    }

    #[test]
    fn slices_are_submitted_when_no_task_waits_and_a_place_is_free() {
        let mut queue = queue(true);
        let tasks = |state: &str| Tasks::parse(&format!("9|1|FAILED|None|n1\n9|2|{state}|None|n1"));
        let files = Files {
            has_finished: true,
            ..Files::default()
        };
        queue.find_lost(&tasks("RUNNING"), &files);
        assert_eq!(queue.next_array(&tasks("PENDING"), |_| 9), None);
        assert_eq!(queue.next_array(&tasks("RUNNING"), |_| 1), None);
        let next = queue.next_array(&tasks("RUNNING"), |wanted| wanted);
        let expected = NextArray {
            slices: vec![1],
            tasks_at_once: 1,
        };
        assert_eq!(next.as_ref(), Some(&expected));
        queue.mark_submitted(&expected);
        assert_eq!(queue.next_array(&tasks("RUNNING"), |_| 9), None);
    }

    #[test]
    fn an_array_that_would_keep_a_low_limit_has_no_more_slices_than_places() {
        let slicing = Slicing::new("1-8".parse().expect("rows"), Some(1), 1000, 1);
        let next = |limit, tasks: &str| {
            let queue = SliceQueue::new(&slicing, |_| false, true, limit, 0);
            let next = queue.next_array(&Tasks::parse(tasks), |_| 3);
            next.map(|next| (next.slices.len(), next.tasks_at_once))
        };
        assert_eq!(next(Limit::Fixed, ""), Some((8, 3)));
        assert_eq!(next(Limit::Shared, ""), Some((3, 3)));
        assert_eq!(next(Limit::Fixed, "9|20|RUNNING|None|n1"), Some((2, 2)));
    }

    #[test]
    fn an_array_has_as_many_tasks_as_the_controller_takes() {
        assert_eq!(array_max(None, None), 1000);
        assert_eq!(array_max(None, Some(1001)), 1000);
        assert_eq!(array_max(Some(5000), Some(1001)), 1000);
        assert_eq!(array_max(Some(50), Some(1001)), 50);
        assert_eq!(array_max(None, Some(0)), 1);
        assert_eq!(
            [0, 3, 4, 9].map(|rows| tasks_at_once(rows, 4)),
            [0, 1, 1, 2]
        );
    }
}
