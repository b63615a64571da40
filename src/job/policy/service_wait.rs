//! How long a run has waited for a service that refuses rows, since its last answer.
//!
//! Each row waits for as long as the service says, or longer each time; only together do these waits show that no answer
//! comes. Time counts while no row runs. Pure: the caller passes the time since the start of the run.

use std::time::Duration;

/// The wait of one run.
#[derive(Clone, Debug)]
pub(crate) struct ServiceWait {
    wait_max: Duration,
    running: usize,
    /// The last refusal since the last answer.
    refusal: Option<String>,
    /// The waits that are over.
    waited: Duration,
    /// When the current wait began.
    since: Option<Duration>,
}

impl ServiceWait {
    /// A run that waits for at most `wait_max`.
    pub fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            running: 0,
            refusal: None,
            waited: Duration::ZERO,
            since: None,
        }
    }

    /// A row is about to run.
    pub fn begin_row(&mut self, now: Duration) {
        self.running += 1;
        self.waited = self.waited_until(now);
        self.since = None;
    }

    /// A row has ended, or was not started after all.
    pub fn end_row(&mut self, now: Duration) {
        self.running = self.running.saturating_sub(1);
        let is_waiting = self.running == 0 && self.refusal.is_some();
        self.since = self.since.or(is_waiting.then_some(now));
    }

    /// The service refused a row with this text.
    pub fn refused(&mut self, text: &str) {
        self.refusal = Some(text.to_owned());
    }

    /// The service answered a row.
    pub fn answered(&mut self) {
        (self.refusal, self.since) = (None, None);
        self.waited = Duration::ZERO;
    }

    /// The text of the last refusal, if the run has waited for as long as it may.
    pub fn used_up(&self, now: Duration) -> Option<&str> {
        let is_waiting = self.since.is_some();
        let text = self.refusal.as_deref()?;
        (is_waiting && self.waited_until(now) >= self.wait_max).then_some(text)
    }

    fn waited_until(&self, now: Duration) -> Duration {
        let current = self.since.map(|since| now.saturating_sub(since));
        self.waited + current.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn refused_at(wait: &mut ServiceWait, from: u64, to: u64) {
        wait.begin_row(at(from));
        wait.refused("529");
        wait.end_row(at(to));
    }

    #[test]
    fn waits_without_an_answer_add_up() {
        let mut wait = ServiceWait::new(at(30));
        refused_at(&mut wait, 0, 100);
        assert_eq!(wait.used_up(at(129)), None, "the run of a row is no wait");
        refused_at(&mut wait, 115, 120);
        assert_eq!(wait.used_up(at(134)), None);
        assert_eq!(wait.used_up(at(135)), Some("529"));
    }

    #[test]
    fn while_a_row_runs_nothing_is_waited_for() {
        let mut wait = ServiceWait::new(at(0));
        wait.begin_row(at(0));
        refused_at(&mut wait, 0, 1);
        assert_eq!(wait.used_up(at(99)), None);
        wait.end_row(at(99));
        assert_eq!(wait.used_up(at(99)), Some("529"));
    }

    #[test]
    fn an_answer_begins_the_count_anew() {
        let mut wait = ServiceWait::new(at(10));
        refused_at(&mut wait, 0, 1);
        wait.begin_row(at(9));
        wait.answered();
        wait.end_row(at(10));
        assert_eq!(wait.used_up(at(99)), None, "nothing is waited for");
        refused_at(&mut wait, 99, 99);
        assert_eq!(wait.used_up(at(108)), None);
        assert_eq!(wait.used_up(at(109)), Some("529"));
    }
}
