//! Limits that the jobs of one run share: the budget, the concurrency that the service allows, the account's breaker, and
//! the time that is spent waiting for the service. A run whose rows are worked by several accounts has one for each, with one
//! budget.

use super::breaker::{Admission, Breaker, Shut};
use super::budget::{Budget, BudgetTracker, Reserve, Room, Spent};
use super::concurrency_control::ConcurrencyControl;
use super::service_wait::ServiceWait;
use crate::model::Usage;
use crate::platform::clock;
use jiff::Timestamp;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The limits of one run, shared by its pools.
#[derive(Debug)]
pub struct SharedLimits {
    begun: Instant,
    budget: Arc<Mutex<BudgetTracker>>,
    /// Rows that are queued or running.
    running: AtomicUsize,
    concurrency: Mutex<ConcurrencyControl>,
    breaker: Mutex<Breaker>,
    wait: Mutex<ServiceWait>,
    /// Rows answered in this run.
    answers: AtomicU64,
    /// Nothing starts before this, in milliseconds since `begun`.
    held_until_ms: AtomicU64,
}

/// How many rows may run at once, for display and dispatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// The number of rows.
    pub places: usize,
    /// The number is below the job's limit, because the service refused some rows.
    pub is_cut: bool,
    /// Nothing starts before this time because of a limit, except perhaps one probe.
    pub waits_until: Option<Timestamp>,
}

impl Capacity {
    /// That of several accounts together: all of them wait, or none.
    pub(crate) fn together(accounts: &[Arc<SharedLimits>]) -> Self {
        let all = accounts.iter().map(|account| account.capacity());
        let joined = all.reduce(|one, other| Self {
            places: one.places.saturating_add(other.places),
            is_cut: one.is_cut || other.is_cut,
            waits_until: one
                .waits_until
                .zip(other.waits_until)
                .map(|(a, b)| a.min(b)),
        });
        joined.unwrap_or_default()
    }
}

impl SharedLimits {
    /// At most `most` rows at once; `spent` is what the run used before. A limit is waited for at most `wait_max`.
    pub fn new(
        budget: Budget,
        spent: Spent,
        most: usize,
        has_service: bool,
        wait_max: Duration,
    ) -> Self {
        let budget = Arc::new(Mutex::new(BudgetTracker::new(budget, spent)));
        Self::of_account(Instant::now(), budget, most, has_service, wait_max)
    }

    /// The limits of another account of the run, with the same budget.
    pub fn beside(&self, most: usize, has_service: bool, wait_max: Duration) -> Self {
        let budget = Arc::clone(&self.budget);
        Self::of_account(self.begun, budget, most, has_service, wait_max)
    }

    fn of_account(
        begun: Instant,
        budget: Arc<Mutex<BudgetTracker>>,
        most: usize,
        has_service: bool,
        wait_max: Duration,
    ) -> Self {
        Self {
            begun,
            budget,
            running: AtomicUsize::new(0),
            concurrency: Mutex::new(ConcurrencyControl::new(most, has_service)),
            breaker: Mutex::new(Breaker::new(wait_max)),
            wait: Mutex::new(ServiceWait::new(wait_max)),
            answers: AtomicU64::new(0),
            held_until_ms: AtomicU64::new(0),
        }
    }

    /// Starts nothing for `wait`, nor before an earlier hold ends: a row that the service or the machine failed must not be
    /// asked again at once.
    pub fn hold(&self, wait: Duration) {
        let until = self.elapsed().saturating_add(wait).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.held_until_ms.fetch_max(until, Ordering::Relaxed);
    }

    /// How long nothing is to start, by the word of a service or by [`hold`](Self::hold).
    fn held_for(&self) -> Duration {
        let now = self.elapsed();
        let until = Duration::from_millis(self.held_until_ms.load(Ordering::Relaxed));
        until
            .saturating_sub(now)
            .max(self.concurrency().held_for(now))
    }

    /// Restores the end of a quota that an earlier run met.
    pub fn remember(&self, until: Option<Timestamp>) {
        if let Some(until) = until {
            self.breaker().remember(clock::now(), until);
        }
    }

    /// Time since the start of the run.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Replaces the budget of cost, tokens and rows; what was used counts against the new one.
    pub fn set_budget(&self, budget: Budget) {
        self.budget().set(budget);
    }

    /// The usage of the run so far.
    pub fn spent(&self) -> Usage {
        self.budget().spent()
    }

    pub(crate) fn reserve(&self, is_fresh: bool) -> Room {
        let room = self.budget().reserve(is_fresh);
        if let Room::Yes(_) = room {
            self.running.fetch_add(1, Ordering::Relaxed);
            self.wait().begin_row(self.elapsed());
        }
        room
    }

    pub(crate) fn charge(&self, reserve: Reserve, usage: Option<Usage>, counts: bool) {
        self.budget().charge(reserve, usage, counts);
        self.running.fetch_sub(1, Ordering::Relaxed);
        self.wait().end_row(self.elapsed());
    }

    pub(crate) fn refused(&self, retry_after: Option<Duration>) {
        self.concurrency().refused(self.elapsed(), retry_after);
    }

    pub(crate) fn record_success(&self, running: usize) {
        self.concurrency().record_success(self.elapsed(), running);
    }

    /// How many rows may run at once now.
    pub fn capacity(&self) -> Capacity {
        let waits_until = self.breaker().waits_until();
        let concurrency = self.concurrency();
        let by_service = concurrency.held_for(self.elapsed());
        let held = || (!by_service.is_zero()).then(|| clock::now() + by_service);
        Capacity {
            places: concurrency.places(),
            is_cut: concurrency.is_cut(),
            waits_until: waits_until.or_else(held),
        }
    }

    /// Rows that are queued or running.
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Whether a row may start now, and fewer rows run than may at once.
    pub(crate) fn has_room(&self) -> bool {
        self.running() < self.concurrency().places() && self.would_admit()
    }

    /// Whether a row may start now.
    pub(crate) fn would_admit(&self) -> bool {
        self.held_for().is_zero() && self.breaker().would_admit(clock::now())
    }

    /// Admits a row.
    pub(crate) fn admit(&self) -> Admission {
        self.breaker().admit(clock::now())
    }

    /// A row was answered, or failed for a reason of its own.
    pub(crate) fn answered(&self, was_probe: bool, has_result: bool) {
        if was_probe {
            self.breaker().answered();
        }
        if has_result {
            self.answers.fetch_add(1, Ordering::Relaxed);
            self.wait().answered();
        }
    }

    /// The service or the account refused a row with this text.
    pub(crate) fn note_refusal(&self, text: &str) {
        self.wait().refused(text);
    }

    /// Ends the run if it has waited for the service for as long as it may, without an answer.
    pub(crate) fn give_up_waiting(&self) {
        let wait = self.wait();
        if let Some(text) = wait.used_up(self.elapsed()) {
            self.breaker().give_up_on_limits(text);
        }
    }

    /// Rows answered in this run.
    pub(crate) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    /// Whether any row was answered in this run.
    pub(crate) fn has_answered(&self) -> bool {
        self.answers() > 0
    }

    /// Why nothing else starts, if so.
    pub(crate) fn shut(&self) -> Option<Shut> {
        self.breaker().shut().cloned()
    }

    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self) -> MutexGuard<'_, ServiceWait> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_keeps_rows_from_starting_and_a_shorter_one_does_not_end_it() {
        let hour = Duration::from_secs(3600);
        let limits = SharedLimits::new(Budget::default(), Spent::default(), 2, false, hour);
        assert!(limits.would_admit());
        limits.hold(hour);
        limits.hold(Duration::ZERO);
        assert!(!limits.would_admit());
        assert_eq!(
            limits.capacity().waits_until,
            None,
            "no service asked for it"
        );
    }
}
