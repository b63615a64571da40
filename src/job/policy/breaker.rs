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
    pub fn lock_out(&mut self, text: &str, advice: &str) {
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

    /// A row met too many rate limits in a row, or the run waited too long without an answer.
    pub fn give_up_on_limits(&mut self, text: &str) {
        if !matches!(self.state, State::Shut(_)) {
            let until = match &self.state {
                State::Open(open) if open.is_named => Some(open.until),
                _ => None,
            };
            self.state = State::Shut(Shut::TooLong {
                until,
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
    pub fn withdraw(&mut self) {
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
mod tests;
