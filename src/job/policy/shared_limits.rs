//! What the jobs of one run share: the budget, the patience of the service behind the workers, and the breaker of the
//! account.

use super::breaker::{Admission, Breaker, Shut};
use super::budget::{Budget, BudgetTracker, Reserve, Room, Spent};
use super::concurrency_control::ConcurrencyControl;
use crate::model::Usage;
use crate::platform::clock;
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shared by every pool of a run.
#[derive(Debug)]
pub struct SharedLimits {
    begun: Instant,
    budget: Mutex<BudgetTracker>,
    concurrency: Mutex<ConcurrencyControl>,
    breaker: Mutex<Breaker>,
    /// Rows that were answered since this was made.
    answers: AtomicU64,
}

/// How many rows may run at once, as people are shown it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// So many.
    pub places: usize,
    /// Fewer than the job allows, because a service refused some.
    pub is_cut: bool,
    /// Nothing starts for so long.
    pub held_for: Duration,
    /// Nothing starts until then, because of a limit; perhaps one row that asks whether it still holds.
    pub waits_until: Option<Timestamp>,
}

impl SharedLimits {
    /// For at most `most` rows at once; `spent` is what the run used up before. A limit is waited for at most `wait_max`.
    pub fn new(
        budget: Budget,
        spent: Spent,
        most: usize,
        has_service: bool,
        wait_max: Duration,
    ) -> Self {
        Self {
            begun: Instant::now(),
            budget: Mutex::new(BudgetTracker::new(budget, spent)),
            concurrency: Mutex::new(ConcurrencyControl::new(most, has_service)),
            breaker: Mutex::new(Breaker::new(wait_max)),
            answers: AtomicU64::new(0),
        }
    }

    /// A quota that an earlier call met is used up until then.
    pub fn remember(&self, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.breaker().remember(clock::now(), until);
        }
    }

    /// Since it was made.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What the run used up so far.
    pub fn spent(&self) -> Usage {
        self.budget().spent()
    }

    pub(crate) fn reserve(&self, is_fresh: bool) -> Room {
        self.budget().reserve(is_fresh)
    }

    pub(crate) fn charge(&self, reserve: Reserve, usage: Option<Usage>, counts: bool) {
        self.budget().charge(reserve, usage, counts);
    }

    pub(crate) fn refused(&self, said: Option<Duration>) {
        self.concurrency().refused(self.elapsed(), said);
    }

    pub(crate) fn went_well(&self, running: usize) {
        self.concurrency().went_well(self.elapsed(), running);
    }

    /// How many rows may run at once now.
    pub fn capacity(&self) -> Capacity {
        let waits_until = self.breaker().waits_until();
        let concurrency = self.concurrency();
        let held_for = concurrency.held_for(self.elapsed());
        let held = || (!held_for.is_zero()).then(|| clock::now() + held_for);
        Capacity {
            places: concurrency.places(),
            is_cut: concurrency.is_cut(),
            held_for,
            waits_until: waits_until.or_else(held),
        }
    }

    /// Whether a row could start now.
    pub(crate) fn would_admit(&self) -> bool {
        let is_held = !self.concurrency().held_for(self.elapsed()).is_zero();
        !is_held && self.breaker().would_admit(clock::now())
    }

    /// Takes a row in.
    pub(crate) fn admit(&self) -> Admission {
        self.breaker().admit(clock::now())
    }

    /// A row was answered, or failed by itself.
    pub(crate) fn answered(&self, asked: bool, has_result: bool) {
        if asked {
            self.breaker().answered();
        }
        if has_result {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Rows that were answered in this call.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Whether there is one.
    pub(crate) fn has_answered(&self) -> bool {
        self.answers() > 0
    }

    /// Why nothing starts any more, if so.
    pub(crate) fn shut(&self) -> Option<Shut> {
        self.breaker().shut().cloned()
    }

    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, BudgetTracker> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn concurrency(&self) -> MutexGuard<'_, ConcurrencyControl> {
        self.concurrency
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
