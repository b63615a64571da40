//! The circuit breaker of an account: open while its quota is used up, the agent is not logged in or no credit is left,
//! so that no row starts only to be refused.
//!
//! All jobs of a run share one, because they share the account. While open, nothing starts until the time that the service
//! named, or else for 15 s, doubling to 15 min; then one row at a time probes. Its answer closes the breaker, another
//! refusal keeps it open. Rows that were running when it opened may be refused as well; they change only the time.
//! Pure: the caller passes the time.

use jiff::Timestamp;
use std::time::Duration;

/// The wait before the first probe, if no time is known.
const FIRST: Duration = Duration::from_secs(15);
/// The longest such wait.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// The shortest wait after a probe failed at the named time; doubles.
const LEAST: Duration = Duration::from_secs(1);

/// The breaker of one account.
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
    /// Nothing starts before `until`; then one row probes.
    Open(Open),
    /// Nothing starts for the rest of this run.
    Shut(Shut),
}

#[derive(Clone, Debug)]
struct Open {
    since: Timestamp,
    until: Timestamp,
    /// The service named `until`.
    is_named: bool,
    /// Consecutive failed probes.
    failed_probes: u32,
    /// A probe is running.
    is_probing: bool,
    text: String,
}

/// Why nothing else starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shut {
    /// The limit holds for longer than the maximum wait.
    TooLong {
        /// When it ends, if the service named a time.
        until: Option<Timestamp>,
        /// The message of the service.
        text: String,
    },
    /// The account needs credit, or a higher spending limit.
    Credit {
        /// The message of the service.
        text: String,
    },
    /// The agent has to be logged in.
    LogIn {
        /// The message of the agent.
        text: String,
        /// How to log in.
        advice: String,
    },
}

/// Whether a row may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The breaker is closed.
    Free,
    /// As the only row, to find out whether the limit still holds.
    Probe,
    /// Not now.
    Refused,
}

impl Breaker {
    /// A closed breaker; a limit is waited for at most `wait_max`.
    pub fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            state: State::Closed,
        }
    }

    /// Whether a row may start now.
    pub fn would_admit(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Closed => true,
            State::Open(open) => {
                // A wait beyond the maximum means that the clock was set back in the meantime.
                let is_due = now >= open.until || self.is_too_far(now, open.until);
                !open.is_probing && is_due
            }
            State::Shut(_) => false,
        }
    }

    /// Admits a row. A probe blocks all other rows until it ends.
    pub fn admit(&mut self, now: Timestamp) -> Admission {
        if !self.would_admit(now) {
            return Admission::Refused;
        }
        match &mut self.state {
            State::Open(open) => {
                open.is_probing = true;
                Admission::Probe
            }
            _ => Admission::Free,
        }
    }

    /// Whether an admitted row that has not started may still start.
    pub fn may_begin(&self, is_probe: bool) -> bool {
        is_probe || matches!(self.state, State::Closed)
    }

    /// A row met a limit; `until` is the time that the service named.
    pub fn met(&mut self, now: Timestamp, until: Option<Timestamp>, was_probe: bool, text: &str) {
        let until = until.filter(|until| *until > now);
        match &mut self.state {
            State::Shut(_) => return,
            State::Closed => {
                self.state = State::Open(Open {
                    since: now,
                    until: until.unwrap_or(after(now, FIRST)),
                    is_named: until.is_some(),
                    failed_probes: 0,
                    is_probing: false,
                    text: text.to_owned(),
                });
            }
            State::Open(open) if was_probe => {
                open.is_probing = false;
                open.failed_probes += 1;
                open.is_named = until.is_some();
                let first = if open.is_named { LEAST } else { FIRST };
                let least = after(now, doubled(first, open.failed_probes));
                open.until = until.map_or(least, |until| until.max(least));
                open.text = text.to_owned();
            }
            // It started before the limit was known.
            State::Open(open) => {
                if let Some(until) = until {
                    open.until = open.until.max(until);
                    open.is_named = true;
                }
            }
        }
        self.give_up(now);
    }

    /// Restores a limit that an earlier run met, if it still holds.
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
    pub fn lack_credit(&mut self, text: &str) {
        if !matches!(self.state, State::Shut(_)) {
            let text = text.to_owned();
            self.state = State::Shut(Shut::Credit { text });
        }
    }

    /// A row met too many rate limits in a row.
    pub fn give_up_on_limits(&mut self, text: &str) {
        if !matches!(self.state, State::Shut(_)) {
            self.state = State::Shut(Shut::TooLong {
                until: None,
                text: text.to_owned(),
            });
        }
    }

    /// The probe was answered, or failed for a reason of its own: the account is usable.
    pub fn answered(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Closed;
        }
    }

    /// The probe did not start or was cancelled; another row may probe.
    pub fn withdrawn(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.is_probing = false;
        }
    }

    /// When the limit ends, if known; `None` while closed.
    pub fn until(&self) -> Option<Timestamp> {
        match &self.state {
            State::Open(open) => Some(open.until),
            State::Shut(Shut::TooLong { until, .. }) => *until,
            _ => None,
        }
    }

    /// Until when rows wait for the limit; `None` once it is no longer waited for.
    pub fn waits_until(&self) -> Option<Timestamp> {
        self.until().filter(|_| self.shut().is_none())
    }

    /// Why nothing else starts, if so.
    pub fn shut(&self) -> Option<&Shut> {
        match &self.state {
            State::Shut(shut) => Some(shut),
            _ => None,
        }
    }

    /// Whether `until` is beyond the maximum wait.
    pub fn is_too_far(&self, now: Timestamp, until: Timestamp) -> bool {
        until.duration_since(now) > signed(self.wait_max)
    }

    /// Shuts the breaker when a named time is too far, or when probing without one takes too long.
    fn give_up(&mut self, now: Timestamp) {
        let State::Open(open) = &self.state else {
            return;
        };
        let from = if open.is_named { now } else { open.since };
        if open.until.duration_since(from) > signed(self.wait_max) {
            self.state = State::Shut(Shut::TooLong {
                until: Some(open.until).filter(|_| open.is_named),
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

/// `first * 2^nth`, at most [`LONGEST`].
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
    fn nothing_starts_until_the_reset_and_then_one_row_probes() {
        let mut breaker = breaker();
        assert_eq!(breaker.admit(at(0)), Admission::Free);
        breaker.met(at(1), Some(at(100)), false, "x");
        for second in [1, 50, 99] {
            assert_eq!(breaker.admit(at(second)), Admission::Refused);
        }
        assert!(!breaker.may_begin(false));
        assert_eq!(breaker.admit(at(100)), Admission::Probe);
        assert!(breaker.may_begin(true));
        assert_eq!(breaker.admit(at(500)), Admission::Refused, "one at a time");
        breaker.withdrawn();
        assert_eq!(breaker.admit(at(501)), Admission::Probe);
        breaker.answered();
        assert_eq!(breaker.admit(at(502)), Admission::Free);
        assert_eq!(breaker.until(), None);
    }

    #[test]
    fn running_rows_change_only_the_time() {
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
            assert_eq!(breaker.admit(now), Admission::Probe);
            breaker.met(now, None, true, "x");
        }
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn a_wrong_reset_time_does_not_spin() {
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
    fn a_reset_that_is_too_far_shuts_the_breaker() {
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
    fn without_a_log_in_nothing_starts_whatever_follows() {
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
        breaker.lack_credit("credit balance is too low");
        breaker.met(at(0), Some(at(5)), true, "x");
        breaker.answered();
        assert_eq!(breaker.admit(at(9999)), Admission::Refused);
        assert_eq!(breaker.waits_until(), None);
        let text = "credit balance is too low".to_owned();
        assert_eq!(breaker.shut(), Some(&Shut::Credit { text }));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_extend_the_wait() {
        let mut breaker = breaker();
        breaker.met(at(0), Some(at(3000)), false, "x");
        assert_eq!(breaker.admit(at(-500)), Admission::Refused);
        assert_eq!(breaker.admit(at(-86_400)), Admission::Probe);
        breaker.met(at(-86_399), Some(at(-86_000)), true, "x");
        assert_eq!(breaker.admit(at(-86_100)), Admission::Refused);
        assert_eq!(breaker.admit(at(-86_000)), Admission::Probe);
    }

    #[test]
    fn a_limit_of_an_earlier_run_holds() {
        let mut breaker = breaker();
        breaker.remember(at(0), at(-5));
        assert_eq!(
            breaker.admit(at(0)),
            Admission::Free,
            "a past limit is over"
        );
        let mut breaker = Breaker::new(Duration::from_secs(60));
        breaker.remember(at(0), at(30));
        assert_eq!(breaker.admit(at(29)), Admission::Refused);
        assert_eq!(breaker.admit(at(30)), Admission::Probe);
    }
}
