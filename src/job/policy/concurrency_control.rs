//! The concurrency that a service allows: reduced when the service asks to wait, and restored slowly.
//!
//! Never above the job's own limit. A pure controller: the caller passes the time since its creation.

use std::time::Duration;

/// The starting concurrency for a service whose limits are unknown.
const START_MAX: usize = 20;
/// The factor of one reduction.
const CUT: f64 = 0.8;
/// For this long after a refusal, further refusals count as the same one and the limit does not grow.
const COOL_DOWN: Duration = Duration::from_secs(15);

/// The concurrency limit of one adapter.
#[derive(Clone, Debug)]
pub struct ConcurrencyControl {
    most: usize,
    has_service: bool,
    /// Between 1 and `most`; the fraction is progress towards the next whole number.
    limit: f64,
    /// From this time on a refusal reduces the limit again, and success raises it.
    calm: Duration,
    /// Nothing starts before this time, which the service named.
    hold: Duration,
}

impl ConcurrencyControl {
    /// At most `most` rows at once; `has_service` if the workers share a service that may refuse them.
    pub fn new(most: usize, has_service: bool) -> Self {
        let most = most.max(1);
        let start = if has_service {
            most.min(START_MAX)
        } else {
            most
        };
        Self {
            most,
            has_service,
            limit: start as f64,
            calm: Duration::ZERO,
            hold: Duration::ZERO,
        }
    }

    /// How many rows may run at once.
    pub fn places(&self) -> usize {
        self.limit as usize
    }

    /// Whether a refusal reduced it below the job's limit.
    pub fn is_cut(&self) -> bool {
        self.calm > Duration::ZERO && self.places() < self.most
    }

    /// How long nothing may start; zero if rows may start now.
    pub fn held_for(&self, now: Duration) -> Duration {
        self.hold.saturating_sub(now)
    }

    /// The service refused a row; `retry_after` is the wait that it asked for.
    pub fn refused(&mut self, now: Duration, retry_after: Option<Duration>) {
        if now >= self.calm {
            self.limit = (self.limit * CUT).max(1.0);
        }
        let cool_down = retry_after.map_or(COOL_DOWN, |wait| wait.max(COOL_DOWN));
        self.calm = self.calm.max(now + cool_down);
        if let Some(retry_after) = retry_after.filter(|_| self.has_service) {
            self.hold = self.hold.max(now + retry_after);
        }
    }

    /// A row completed while `running` rows ran, itself included. The limit grows by one for every `places` rows that
    /// completed at the limit; rows below the limit prove nothing about a higher one.
    pub fn record_success(&mut self, now: Duration, running: usize) {
        if now >= self.calm && running >= self.places() {
            self.limit = (self.limit + 1.0 / self.limit).min(self.most as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_starts_at_twenty_with_a_service_and_at_the_limit_without() {
        for (most, has_service, places) in [
            (5, true, 5),
            (100, true, 20),
            (100, false, 100),
            (0, true, 1),
        ] {
            let control = ConcurrencyControl::new(most, has_service);
            assert_eq!(control.places(), places);
            assert!(!control.is_cut());
        }
    }

    #[test]
    fn a_burst_of_refusals_reduces_once_and_a_later_one_again() {
        let mut control = ConcurrencyControl::new(10, true);
        for second in [3, 3, 4, 9] {
            control.refused(at(second), None);
        }
        assert_eq!((control.places(), control.is_cut()), (8, true));
        // The last of the burst was at 9, so the cool-down ends at 24.
        control.refused(at(23), None);
        assert_eq!(control.places(), 8);
        control.refused(at(38), None);
        assert_eq!(control.places(), 6);
        for second in 0..100 {
            control.refused(at(1000 + 100 * second), None);
        }
        assert_eq!(control.places(), 1);
    }

    #[test]
    fn a_named_wait_holds_all_rows_and_extends_the_cool_down() {
        let mut control = ConcurrencyControl::new(10, true);
        control.refused(at(10), Some(at(40)));
        assert_eq!(control.held_for(at(10)), at(40));
        assert_eq!(control.held_for(at(49)), at(1));
        assert_eq!(control.held_for(at(51)), Duration::ZERO);
        control.refused(at(49), Some(at(1)));
        assert_eq!((control.places(), control.held_for(at(49))), (8, at(1)));
        // A short wait does not shorten the cool-down.
        control.refused(at(63), None);
        assert_eq!(control.places(), 8);
        let mut unknown = ConcurrencyControl::new(10, false);
        unknown.refused(at(10), Some(at(40)));
        assert_eq!((unknown.places(), unknown.held_for(at(10))), (8, at(0)));
    }

    #[test]
    fn it_grows_by_one_per_full_round_and_only_at_the_limit() {
        let mut control = ConcurrencyControl::new(10, true);
        control.refused(at(0), None);
        for _ in 0..100 {
            control.record_success(at(14), 8);
            control.record_success(at(20), 7);
        }
        assert_eq!(control.places(), 8);
        let rounds = |control: &mut ConcurrencyControl| {
            let before = control.places();
            (1..100)
                .find(|_| {
                    control.record_success(at(20), before);
                    control.places() > before
                })
                .expect("it grows")
        };
        for size in [8, 9] {
            assert_eq!(control.places(), size);
            let took = rounds(&mut control);
            assert!(
                (size..=size + 1).contains(&took),
                "{took} rows for {size} places"
            );
        }
        for _ in 0..100 {
            control.record_success(at(20), 10);
        }
        assert_eq!((control.places(), control.is_cut()), (10, false));
    }
}
