//! What is known of every row of a job: a fold over the ledger's events.
//!
//! The pool changes it by recording events, a resumed job gets it by reading them; both go through
//! [`State::apply`], so the two can't disagree.

use super::Failure;
use crate::model::{AttemptEnd, Event, WaveNo};
use std::collections::BTreeMap;

/// Where a row stands (column `status`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not started, or to be started again.
    #[default]
    Pending,
    /// An attempt has begun and has not ended.
    Running,
    /// It has its result.
    Completed,
    /// It will not get one.
    Failed,
}

impl Status {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Running => "running",
            Status::Completed => "completed",
            Status::Failed => "failed",
        }
    }
}

/// One row's state.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Where it stands.
    pub status: Status,
    /// Attempts started.
    pub attempts: u32,
    /// Attempts that failed by themselves; these are what `--retries` bounds.
    pub failures: u32,
    /// `code: text` of the last failed attempt.
    pub last_error: Option<Box<str>>,
    /// The result, compact.
    pub result: Option<Box<str>>,
    /// When the result was taken.
    pub reported_at: Option<Box<str>>,
    /// When the row got its final status.
    pub completed_at: Option<Box<str>>,
}

/// Rows by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All rows.
    pub total: u64,
    /// Rows with a result.
    pub completed: u64,
    /// Rows that failed for good.
    pub failed: u64,
    /// Rows under way.
    pub running: u64,
}

impl Counts {
    /// Rows not started, or to be started again.
    pub fn pending(&self) -> u64 {
        self.total - self.completed - self.failed - self.running
    }

    /// Rows that need nothing more.
    pub fn ended(&self) -> u64 {
        self.completed + self.failed
    }
}

/// Attempts over the whole job, for the telemetry of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptCounts {
    /// Worker processes started.
    pub spawned: u64,
    /// Worker processes reaped.
    pub closed: u64,
    /// Attempts that gave their row its result.
    pub completed: u64,
    /// Attempts after which the row was tried again.
    pub retried: u64,
    /// Attempts that ran out of time.
    pub timed_out: u64,
}

impl std::ops::AddAssign for AttemptCounts {
    fn add_assign(&mut self, other: Self) {
        self.spawned += other.spawned;
        self.closed += other.closed;
        self.completed += other.completed;
        self.retried += other.retried;
        self.timed_out += other.timed_out;
    }
}

/// All rows of one job.
#[derive(Clone, Debug)]
pub struct State {
    wave: WaveNo,
    items: Vec<Item>,
    counts: Counts,
    /// Attempt telemetry.
    pub attempts: AttemptCounts,
    /// A worker asked to end the job.
    pub stop_requested: bool,
}

impl State {
    /// A job of wave `wave` about which nothing is known yet.
    pub fn new(wave: WaveNo) -> Self {
        Self {
            wave,
            items: Vec::new(),
            counts: Counts::default(),
            attempts: AttemptCounts::default(),
            stop_requested: false,
        }
    }

    /// Makes room for `total` rows.
    pub fn expect(&mut self, total: u64) {
        let total = total.max(self.items.len() as u64);
        self.items.resize_with(total as usize, Item::default);
        self.counts.total = total;
    }

    /// Row `index`.
    pub fn item(&self, index: u64) -> Option<&Item> {
        self.items.get(index as usize)
    }

    /// Rows by status.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes in what occurred; events of other waves are passed over.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::WaveStarted(body) if body.wave == self.wave => self.expect(body.items),
            Event::AttemptStarted(body) if body.wave == self.wave => {
                self.attempts.spawned += 1;
                self.change(body.row_index, |item| {
                    item.status = Status::Running;
                    item.attempts = item.attempts.max(body.attempt);
                });
            }
            Event::AttemptReported(body) if body.wave == self.wave => {
                self.stop_requested |= body.stop;
                let result = body.result.to_string().into_boxed_str();
                self.change(body.row_index, |item| {
                    item.result = Some(result);
                    item.reported_at = Some(body.reported_at.as_str().into());
                    item.last_error = None;
                });
            }
            Event::AttemptFinished(body) if body.wave == self.wave => self.finish(body),
            _ => {}
        }
    }

    fn finish(&mut self, body: &crate::model::AttemptFinished) {
        self.attempts.closed += 1;
        self.attempts.completed += u64::from(body.end == AttemptEnd::Completed);
        self.attempts.retried += u64::from(body.end == AttemptEnd::Retry);
        let timed_out = body.error.as_deref().is_some_and(Failure::is_timeout_text);
        self.attempts.timed_out += u64::from(timed_out);
        let at: Box<str> = body.completed_at.as_str().into();
        let error = body.error.as_deref().map(Box::from);
        self.change(body.row_index, |item| match body.end {
            AttemptEnd::Completed => {
                item.status = Status::Completed;
                item.completed_at = Some(at);
            }
            AttemptEnd::Failed => {
                item.status = Status::Failed;
                item.failures += 1;
                item.last_error = error;
                item.completed_at = Some(at);
            }
            AttemptEnd::Retry => {
                item.status = Status::Pending;
                item.failures += 1;
                item.last_error = error;
            }
            AttemptEnd::Interrupted => item.status = Status::Pending,
        });
    }

    /// After a kill or a stop: the rows whose attempt has no end, by index, and whether their result is safe all the
    /// same. The caller records how each attempt ended.
    pub fn recover(&mut self) -> BTreeMap<u64, bool> {
        // Going on is what the user asked for after a worker's stop; the request must not outlive the call that it ended.
        self.stop_requested = false;
        let open = |(index, item): (usize, &Item)| {
            let is_open = item.status == Status::Running;
            is_open.then_some((index as u64, item.result.is_some()))
        };
        self.items.iter().enumerate().filter_map(open).collect()
    }

    /// The one place where a row's state changes.
    fn change(&mut self, index: u64, edit: impl FnOnce(&mut Item)) {
        if index as usize >= self.items.len() {
            self.expect(index + 1);
        }
        let item = &mut self.items[index as usize];
        let before = item.status;
        edit(item);
        let after = item.status;
        if let Some(count) = self.count(before) {
            *count -= 1;
        }
        if let Some(count) = self.count(after) {
            *count += 1;
        }
    }

    fn count(&mut self, status: Status) -> Option<&mut u64> {
        match status {
            Status::Pending => None,
            Status::Running => Some(&mut self.counts.running),
            Status::Completed => Some(&mut self.counts.completed),
            Status::Failed => Some(&mut self.counts.failed),
        }
    }
}
