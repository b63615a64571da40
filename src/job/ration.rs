//! What the jobs of one run share: the budget, and the patience of the service behind the workers.

use super::budget::{Budget, Purse, Reserve, Room, Spent};
use super::throttle::Throttle;
use crate::model::Usage;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by every pool of a run.
#[derive(Debug)]
pub struct Ration {
    begun: Instant,
    purse: Mutex<Purse>,
    throttle: Mutex<Throttle>,
}

/// How many rows may run at once, as people are shown it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// So many.
    pub places: usize,
    /// Fewer than the job allows, because a service refused some.
    pub is_cut: bool,
    /// Nothing starts for so long.
    pub held_for: Duration,
}

impl Ration {
    /// For at most `most` rows at once; `spent` is what the run used up before.
    pub fn new(budget: Budget, spent: Spent, most: usize, has_service: bool) -> Self {
        Self {
            begun: Instant::now(),
            purse: Mutex::new(Purse::new(budget, spent)),
            throttle: Mutex::new(Throttle::new(most, has_service)),
        }
    }

    /// Since it was made.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What the run used up so far.
    pub fn spent(&self) -> Usage {
        self.purse().spent()
    }

    pub(super) fn reserve(&self, is_fresh: bool) -> Room {
        self.purse().reserve(is_fresh)
    }

    pub(super) fn settle(&self, reserve: Reserve, usage: Option<Usage>, counts: bool) {
        self.purse().settle(reserve, usage, counts);
    }

    pub(super) fn refused(&self, said: Option<Duration>) {
        self.throttle().refused(self.elapsed(), said);
    }

    pub(super) fn went_well(&self, running: usize) {
        self.throttle().went_well(self.elapsed(), running);
    }

    /// How many rows may run at once now.
    pub fn patience(&self) -> Patience {
        let throttle = self.throttle();
        Patience {
            places: throttle.places(),
            is_cut: throttle.is_cut(),
            held_for: throttle.held_for(self.elapsed()),
        }
    }

    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
