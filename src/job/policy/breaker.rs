//! The breaker of an account: open while its quota is used up, nobody is logged in or no credit is left, so that no row
//! is started only to be refused.
//!
//! One for all jobs of a run, as they share the account. Open, it lets nothing start until the time that the service
//! named, else for 15 s, doubling to 15 min; then one row at a time asks. Its answer closes the breaker, another refusal
//! opens it anew. Rows that were under way when it opened may meet the refusal as well; they change nothing but the time.
//! Pure: moments are handed in.

use jiff::Timestamp;
use std::time::Duration;

/// Until the first row asks, where no time is known.
const FIRST: Duration = Duration::from_secs(15);
/// No such wait is longer.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The least wait after a row asked in vain although the time had come; doubles.
const LEAST: Duration = Duration::from_secs(1);

/// Whether an account may be asked.
#[derive(Clone, Debug)]
pub struct Breaker {
    wait_max: Duration,
    state: State,
}

#[derive(Clone, Debug, Default)]
enum State {
    /// Rows start.
    #[default]
    Closed,
    /// Nothing starts before `until`, and then one row.
    Open(Open),
    /// Nothing starts any more in this call.
    Shut(Shut),
}

#[derive(Clone, Debug)]
struct Open {
    since: Timestamp,
    until: Timestamp,
    /// The service named `until`.
    is_said: bool,
    /// Rows that asked in vain, one after the other.
    vain: u32,
    /// A row is asking.
    is_asked: bool,
    text: String,
}

/// Why nothing starts any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The limit holds for longer than may be waited.
    TooLong {
        /// Until then, where the service said so.
        until: Option<Timestamp>,
        /// What the service said.
        text: String,
    },
    /// Somebody has to pay, or to raise what may be spent.
    Credit {
        /// What the service said.
        text: String,
    },
    /// The agent has to be logged in.
    LogIn {
        /// What it said.
        text: String,
        /// What to do.
        advice: String,
    },
}

/// Whether a row may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// As any other.
    Free,
    /// Alone, to find out whether the limit still holds.
    Asks,
    /// Not now.
    Refused,
}

impl Breaker {
    /// Closed; a limit is waited for at most so long.
    pub fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            state: State::Closed,
        }
    }

    /// Whether a row could start.
    pub fn would_admit(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Closed => true,
            State::Open(open) => {
                // No wait is longer than may be waited: where one seems to be, the clock was set back meanwhile.
                let is_due = now >= open.until || self.is_too_far(now, open.until);
                !open.is_asked && is_due
            }
            State::Shut(_) => false,
        }
    }

    /// Takes a row in; the one that asks keeps all others out until it is through.
    pub fn admit(&mut self, now: Timestamp) -> Admission {
        if !self.would_admit(now) {
            return Admission::Refused;
        }
        match &mut self.state {
            State::Open(open) => {
                open.is_asked = true;
                Admission::Asks
            }
            _ => Admission::Free,
        }
    }

    /// Whether a row that was taken in and has not begun may still begin.
    pub fn may_begin(&self, asks: bool) -> bool {
        asks || matches!(self.state, State::Closed)
    }

    /// A row met the limit; `until` is what the service named, where that lies ahead.
    pub fn met(&mut self, now: Timestamp, until: Option<Timestamp>, asked: bool, text: &str) {
        let until = until.filter(|until| *until > now);
        match &mut self.state {
            State::Shut(_) => return,
            State::Closed => {
                self.state = State::Open(Open {
                    since: now,
                    until: until.unwrap_or(after(now, FIRST)),
                    is_said: until.is_some(),
                    vain: 0,
                    is_asked: false,
                    text: text.to_owned(),
                });
            }
            State::Open(open) if asked => {
                open.is_asked = false;
                open.vain += 1;
                open.is_said = until.is_some();
                let first = if open.is_said { LEAST } else { FIRST };
                let least = after(now, doubled(first, open.vain));
                open.until = until.map_or(least, |until| until.max(least));
                open.text = text.to_owned();
            }
            // It was under way before the limit was known.
            State::Open(open) => {
                if let Some(until) = until {
                    open.until = open.until.max(until);
                    open.is_said = true;
                }
            }
        }
        self.give_up(now);
    }

    /// A limit that an earlier call met and that still holds.
    pub fn remember(&mut self, now: Timestamp, until: Timestamp) {
        if until > now {
            self.met(now, Some(until), false, "met before the run was resumed");
        }
    }

    /// The agent is not logged in.
    pub fn locked_out(&mut self, text: &str, advice: &str) {
        self.state = State::Shut(Shut::LogIn {
            text: text.to_owned(),
            advice: advice.to_owned(),
        });
    }

    /// The account has no credit.
    pub fn ran_out(&mut self, text: &str) {
        if !matches!(self.state, State::Shut(_)) {
            let text = text.to_owned();
            self.state = State::Shut(Shut::Credit { text });
        }
    }

    /// A row met rate limits over and over.
    pub fn wore_out(&mut self, text: &str) {
        if !matches!(self.state, State::Shut(_)) {
            self.state = State::Shut(Shut::TooLong {
                until: None,
                text: text.to_owned(),
            });
        }
    }

    /// The row that asked was answered, or failed for a reason of its own: the account may be asked.
    pub fn answered(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Closed;
        }
    }

    /// The row that was to ask did not come to it; another one may.
    pub fn withdrawn(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.is_asked = false;
        }
    }

    /// Until when the limit holds, as far as is known; nothing while rows start.
    pub fn until(&self) -> Option<Timestamp> {
        match &self.state {
            State::Open(open) => Some(open.until),
            State::Shut(Shut::TooLong { until, .. }) => *until,
            _ => None,
        }
    }

    /// Until when it is waited for.
    pub fn waits_until(&self) -> Option<Timestamp> {
        self.until().filter(|_| self.shut().is_none())
    }

    /// Why nothing starts any more, if so.
    pub fn shut(&self) -> Option<&Shut> {
        match &self.state {
            State::Shut(shut) => Some(shut),
            _ => None,
        }
    }

    /// Whether a time lies farther ahead than may be waited.
    pub fn is_too_far(&self, now: Timestamp, until: Timestamp) -> bool {
        until.duration_since(now) > signed(self.wait_max)
    }

    /// A known time must not be too far; without one, the tries must not go on for too long.
    fn give_up(&mut self, now: Timestamp) {
        let State::Open(open) = &self.state else {
            return;
        };
        let from = if open.is_said { now } else { open.since };
        if open.until.duration_since(from) > signed(self.wait_max) {
            self.state = State::Shut(Shut::TooLong {
                until: Some(open.until).filter(|_| open.is_said),
                text: open.text.clone(),
            });
        }
    }
}

fn signed(duration: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX)
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.saturating_add(signed(wait)).unwrap_or(Timestamp::MAX)
}

/// `first * 2^nth`, bounded.
fn doubled(first: Duration, nth: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(nth)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn breaker() -> Breaker {
        Breaker::new(Duration::from_secs(3600))
    }

    #[test]
    fn nothing_starts_until_the_reset_and_then_one_row_asks() {
        let mut breaker = breaker();
        assert_eq!(breaker.admit(at(0)), Admission::Free);
        breaker.met(at(1), Some(at(100)), false, "x");
        for second in [1, 50, 99] {
            assert_eq!(breaker.admit(at(second)), Admission::Refused);
        }
        assert!(!breaker.may_begin(false));
        assert_eq!(breaker.admit(at(100)), Admission::Asks);
        assert!(breaker.may_begin(true));
        assert_eq!(breaker.admit(at(500)), Admission::Refused, "one at a time");
        breaker.withdrawn();
        assert_eq!(breaker.admit(at(501)), Admission::Asks);
        breaker.answered();
        assert_eq!(breaker.admit(at(502)), Admission::Free);
        assert_eq!(breaker.until(), None);
    }

    #[test]
    fn rows_under_way_change_nothing_but_the_time() {
        let mut breaker = breaker();
        breaker.met(at(0), None, false, "x");
        for second in 1..16 {
            breaker.met(at(second), None, false, "x");
        }
        assert_eq!(breaker.until(), Some(at(15)));
        breaker.met(at(16), Some(at(90)), false, "x");
        breaker.met(at(17), Some(at(80)), false, "x");
        assert_eq!(breaker.until(), Some(at(90)));
    }

    #[test]
    fn without_a_time_the_waits_double_up_to_fifteen_minutes() {
        let mut breaker = Breaker::new(Duration::from_secs(1 << 30));
        let mut now = at(0);
        breaker.met(now, None, false, "x");
        let mut waits = Vec::new();
        for _ in 0..9 {
            let until = breaker.until().expect("open");
            waits.push(until.duration_since(now).as_secs());
            now = until;
            assert_eq!(breaker.admit(now), Admission::Asks);
            breaker.met(now, None, true, "x");
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn a_time_that_proves_wrong_does_not_spin() {
        let mut breaker = breaker();
        breaker.met(at(0), Some(at(1)), false, "x");
        let mut now = at(1);
        let mut waits = Vec::new();
        for _ in 0..4 {
            breaker.admit(now);
            breaker.met(now, Some(at(0)), true, "past");
            let until = breaker.until().expect("open");
            waits.push(until.duration_since(now).as_secs());
            now = until;
            breaker.admit(now);
            breaker.met(now, Some(after(now, LEAST)), true, "soon");
            now = breaker.until().expect("open");
        }
        assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    }

    #[test]
    fn what_is_too_far_ends_it() {
        let shut = |breaker: &Breaker| breaker.shut().cloned();
        let mut far = breaker();
        far.met(at(0), Some(at(3600)), false, "x");
        assert_eq!(shut(&far), None);
        far.met(at(1), Some(at(3602)), false, "x");
        let until = Some(at(3602));
        let text = "x".to_owned();
        assert_eq!(shut(&far), Some(Shut::TooLong { until, text }));
        assert_eq!(far.admit(at(9999)), Admission::Refused);

        let mut never = Breaker::new(Duration::ZERO);
        never.met(at(0), None, false, "x");
        assert!(shut(&never).is_some());

        let mut long = breaker();
        let mut now = at(0);
        long.met(now, None, false, "x");
        while let Some(until) = long.waits_until() {
            now = until;
            long.admit(now);
            long.met(now, None, true, "x");
        }
        let waited = now.duration_since(at(0)).as_secs();
        assert!((2000..3600).contains(&waited), "{waited}");
    }

    #[test]
    fn without_a_log_in_nothing_starts_and_a_limit_changes_nothing() {
        let mut breaker = breaker();
        breaker.locked_out("401", "log in");
        breaker.met(at(0), None, false, "x");
        breaker.answered();
        assert_eq!(breaker.admit(at(9999)), Admission::Refused);
        assert!(matches!(breaker.shut(), Some(Shut::LogIn { .. })));
    }

    #[test]
    fn without_credit_nothing_starts() {
        let mut breaker = breaker();
        breaker.ran_out("credit balance is too low");
        breaker.met(at(0), Some(at(5)), true, "x");
        breaker.answered();
        assert_eq!(breaker.admit(at(9999)), Admission::Refused);
        assert_eq!(breaker.waits_until(), None);
        let text = "credit balance is too low".to_owned();
        assert_eq!(breaker.shut(), Some(&Shut::Credit { text }));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_no_row_waiting_for_longer_than_may_be_waited() {
        let mut breaker = breaker();
        breaker.met(at(0), Some(at(3000)), false, "x");
        assert_eq!(breaker.admit(at(-500)), Admission::Refused);
        assert_eq!(breaker.admit(at(-86_400)), Admission::Asks);
        breaker.met(at(-86_399), Some(at(-86_000)), true, "x");
        assert_eq!(breaker.admit(at(-86_100)), Admission::Refused);
        assert_eq!(breaker.admit(at(-86_000)), Admission::Asks);
    }

    #[test]
    fn a_limit_of_an_earlier_call_holds() {
        let mut breaker = breaker();
        breaker.remember(at(0), at(-5));
        assert_eq!(
            breaker.admit(at(0)),
            Admission::Free,
            "what is past is over"
        );
        let mut breaker = Breaker::new(Duration::from_secs(60));
        breaker.remember(at(0), at(30));
        assert_eq!(breaker.admit(at(29)), Admission::Refused);
        assert_eq!(breaker.admit(at(30)), Admission::Asks);
    }
}
