//! How many rows may be with a service at once: it shrinks when the service asks to wait, and grows back slowly.
//!
//! The number never goes above the one of the job. A pure controller: time is handed in, as what has passed since it was
//! made.

use std::time::Duration;

/// Where a service's limits are not known, this many at once are a fair beginning.
const START_MAX: usize = 20;
/// What is left of the number after a cut.
const CUT: f64 = 0.8;
/// How long further refusals count as the same one, and nothing grows.
const COOL_DOWN: Duration = Duration::from_secs(15);

/// One adapter's number.
#[derive(Clone, Debug)]
pub struct ConcurrencyControl {
    most: usize,
    has_service: bool,
    /// Between 1 and `most`; the fraction is progress towards the next whole number.
    limit: f64,
    /// From here on a refusal cuts again, and success lets it grow.
    calm: Duration,
    /// Before this nothing starts: the one service behind all rows named a time.
    hold: Duration,
}

impl ConcurrencyControl {
    /// For at most `most` rows at once; `has_service` when the workers are known to share one that may refuse them.
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

    /// Whether it is below what the job allows because of a refusal.
    pub fn is_cut(&self) -> bool {
        self.calm > Duration::ZERO && self.places() < self.most
    }

    /// How long nothing is to start; zero when something may.
    pub fn held_for(&self, now: Duration) -> Duration {
        self.hold.saturating_sub(now)
    }

    /// The service refused a row, and perhaps said how long to wait.
    pub fn refused(&mut self, now: Duration, said: Option<Duration>) {
        if now >= self.calm {
            self.limit = (self.limit * CUT).max(1.0);
        }
        let cool_down = said.map_or(COOL_DOWN, |said| said.max(COOL_DOWN));
        self.calm = self.calm.max(now + cool_down);
        if let Some(said) = said.filter(|_| self.has_service) {
            self.hold = self.hold.max(now + said);
        }
    }

    /// A row went well while `running` were under way, itself included. Only a number that was used up says something about
    /// a larger one: so it grows by one for every `places` rows that ended while all places were taken.
    pub fn went_well(&mut self, now: Duration, running: usize) {
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
    fn it_starts_at_twenty_with_a_service_and_at_the_number_without() {
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
    fn a_burst_of_refusals_is_one_cut_and_a_later_one_is_another() {
        let mut control = ConcurrencyControl::new(10, true);
        for second in [3, 3, 4, 9] {
            control.refused(at(second), None);
        }
        assert_eq!((control.places(), control.is_cut()), (8, true));
        // The last of the burst was at 9: it is calm from 24 on.
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
    fn what_the_service_says_holds_everything_and_lengthens_the_cool_down() {
        let mut control = ConcurrencyControl::new(10, true);
        control.refused(at(10), Some(at(40)));
        assert_eq!(control.held_for(at(10)), at(40));
        assert_eq!(control.held_for(at(49)), at(1));
        assert_eq!(control.held_for(at(51)), Duration::ZERO);
        control.refused(at(49), Some(at(1)));
        assert_eq!((control.places(), control.held_for(at(49))), (8, at(1)));
        // A short time is no reason for a short cool-down.
        control.refused(at(63), None);
        assert_eq!(control.places(), 8);
        let mut unknown = ConcurrencyControl::new(10, false);
        unknown.refused(at(10), Some(at(40)));
        assert_eq!((unknown.places(), unknown.held_for(at(10))), (8, at(0)));
    }

    #[test]
    fn it_grows_by_one_a_full_round_and_only_when_all_places_are_taken() {
        let mut control = ConcurrencyControl::new(10, true);
        control.refused(at(0), None);
        for _ in 0..100 {
            control.went_well(at(14), 8);
            control.went_well(at(20), 7);
        }
        assert_eq!(control.places(), 8);
        let rounds = |control: &mut ConcurrencyControl| {
            let before = control.places();
            (1..100)
                .find(|_| {
                    control.went_well(at(20), before);
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
            control.went_well(at(20), 10);
        }
        assert_eq!((control.places(), control.is_cut()), (10, false));
    }
}
