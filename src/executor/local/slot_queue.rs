//! Which job gets the next free slot: one limit over all jobs, and the most urgent job first. Pure: counts slots, and knows jobs by
//! their [`Rank`] only.

use std::cmp::Reverse;
use std::collections::BTreeSet;

/// The order of jobs: the most remaining work first, then the job that began first. Unique among running jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How much work depends on the job, in a unit common to all jobs.
    pub remaining_path: Reverse<u64>,
    /// The job's number.
    pub number: u32,
}

/// The slots, and the jobs that wait for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotQueue {
    limit: usize,
    /// What the service behind the workers allows; changes while jobs run.
    capacity: usize,
    taken: usize,
    waiting: BTreeSet<Rank>,
}

impl SlotQueue {
    /// At most `limit` slots are taken at once.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            capacity: usize::MAX,
            taken: 0,
            waiting: BTreeSet::new(),
        }
    }

    /// Changes the limit. A taken slot stays taken.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Changes what the service allows; `true` if it allows more than before.
    pub fn set_capacity(&mut self, most: usize) -> bool {
        let has_grown = most > self.capacity;
        self.capacity = most;
        has_grown
    }

    /// Takes a slot for a job. Without a free one, or while a more urgent job waits, the job waits instead.
    pub fn take(&mut self, rank: Rank) -> bool {
        let is_first = self.waiting.first().is_none_or(|first| rank <= *first);
        let is_taken = self.is_free() && is_first;
        match is_taken {
            true => {
                self.taken += 1;
                self.waiting.remove(&rank);
            }
            false => drop(self.waiting.insert(rank)),
        }
        is_taken
    }

    /// Gives a taken slot back.
    pub fn give_back(&mut self) {
        self.taken -= 1;
    }

    /// A job waits no longer; `false` if it did not wait.
    pub fn leave(&mut self, rank: Rank) -> bool {
        self.waiting.remove(&rank)
    }

    /// The job that may take a slot now, if one waits.
    pub fn next(&self) -> Option<Rank> {
        self.waiting.first().copied().filter(|_| self.is_free())
    }

    /// The slots taken.
    pub fn taken(&self) -> usize {
        self.taken
    }

    fn is_free(&self) -> bool {
        self.taken < self.limit.min(self.capacity)
    }
}
