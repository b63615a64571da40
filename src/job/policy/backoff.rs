//! How long a row waits before its next attempt: exponential, with jitter, and without any chance.
//!
//! The jitter spreads rows that failed together, so that they do not come back together. It is a hash of the job, the
//! row and the attempt: a resumed job and a test see the same delays, and no generator of random numbers is needed.
//! Returns durations and reads no clock; `refusal` reads the wait that a worker's output asks for.

use crate::model::JobId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// No delay of ours is longer.
const DELAY_MAX: Duration = Duration::from_secs(300);
/// The first delay after a rate limit for which the worker gave no time.
const RATE_LIMIT_DELAY: Duration = Duration::from_secs(15);
/// The first delay after the network or the machine failed.
const OUTAGE_DELAY: Duration = Duration::from_secs(2);
/// The first lower bound where it gave one.
const RATE_LIMIT_DELAY_MIN: Duration = Duration::from_secs(1);

/// `--retry-delay`: the base of the delays between attempts; 0, the default, is no delay. As text, also in JSON:
/// seconds, at most three decimals, as `1.5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Backoff {
    base: Duration,
}

/// Why a `--retry-delay` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// Not a plain decimal number.
    #[error("`{0}` is not a number of seconds; for example: 2 or 0.5")]
    NotSeconds(String),
    /// Every delay would be the longest one.
    #[error("`{0}` is longer than the longest delay, {max} seconds", max = DELAY_MAX.as_secs())]
    TooLong(String),
}

/// Which attempt is to be delayed; where the jitter comes from.
#[derive(Clone, Copy, Debug)]
pub struct Delayed<'j> {
    /// The job.
    pub job_id: &'j JobId,
    /// The row, 0-based.
    pub row_index: u64,
    /// The attempt that is over, 1-based.
    pub attempt: u32,
}

impl Backoff {
    /// The delay after a row's `failure`th failure (1-based): `base * 2^(failure - 1)`, at most five minutes, of which
    /// the jitter leaves a half to the whole.
    pub fn after_failure(&self, failure: u32, delayed: Delayed<'_>) -> Duration {
        jittered(doubled(self.base, failure), delayed, failure)
    }
}

/// The delay after a row was rate-limited `streak` times in a row (1-based; of this row, not of the job).
///
/// `retry_after` is what the worker's output asked for: never less than that, and up to a tenth more, so that all rows that
/// were told the same do not come back in one moment. Services also say 0 s, or 28 ms again and again; a lower bound of
/// one second that doubles with the streak keeps a row from spinning, as a rate limit consumes no attempt. Without
/// `retry_after`: 15 s, doubling to five minutes, of which the jitter leaves a half to the whole.
pub fn after_rate_limit(
    streak: u32,
    retry_after: Option<Duration>,
    delayed: Delayed<'_>,
) -> Duration {
    match retry_after {
        Some(retry_after) => {
            let least = retry_after.max(doubled(RATE_LIMIT_DELAY_MIN, streak));
            least + least.mul_f64(delayed.fraction(streak) / 10.0)
        }
        None => jittered(doubled(RATE_LIMIT_DELAY, streak), delayed, streak),
    }
}

/// The delay after the network or the machine kept a row from an answer `nth` times in a row (1-based): 2 s, doubling, of
/// which the jitter leaves a half to the whole; or what `--retry-delay` makes of it, where that is longer.
pub fn after_outage(nth: u32, ours: Backoff, delayed: Delayed<'_>) -> Duration {
    let outage = jittered(doubled(OUTAGE_DELAY, nth), delayed, nth);
    outage.max(ours.after_failure(nth, delayed))
}

/// `base * 2^(nth - 1)`, bounded.
fn doubled(base: Duration, nth: u32) -> Duration {
    let factor = 2_u32.saturating_pow(nth.saturating_sub(1));
    base.saturating_mul(factor).min(DELAY_MAX)
}

/// "Equal jitter": half of the delay is sure, the other half is spread.
fn jittered(delay: Duration, delayed: Delayed<'_>, nth: u32) -> Duration {
    delay.mul_f64(0.5 + delayed.fraction(nth) / 2.0)
}

impl Delayed<'_> {
    /// From 0 to below 1. A digest rather than a plain hash: neighbouring rows must not get neighbouring fractions.
    fn fraction(self, nth: u32) -> f64 {
        let text = format!("{}/{}/{}/{nth}", self.job_id, self.row_index, self.attempt);
        let bits = Sha256::digest(text)
            .iter()
            .take(4)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }
}

impl FromStr for Backoff {
    type Err = BackoffError;

    fn from_str(text: &str) -> Result<Self, BackoffError> {
        // The standard parser also takes `inf`, `nan`, `1e3` and `-1`.
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds: f64 = match text.parse() {
            Ok(seconds) if is_plain => seconds,
            _ => return Err(BackoffError::NotSeconds(text.to_owned())),
        };
        if seconds > DELAY_MAX.as_secs_f64() {
            return Err(BackoffError::TooLong(text.to_owned()));
        }
        Ok(Self {
            base: Duration::from_millis((seconds * 1000.0).round() as u64),
        })
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base.as_secs_f64())
    }
}

impl TryFrom<String> for Backoff {
    type Error = BackoffError;

    fn try_from(text: String) -> Result<Self, BackoffError> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(backoff: Backoff) -> Self {
        backoff.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobId {
        JobId::new("5f0c9f1e-0d5b-4a4c-9c55-0a4b1c6d7e8f")
    }

    fn delayed(job_id: &JobId, row_index: u64) -> Delayed<'_> {
        Delayed {
            job_id,
            row_index,
            attempt: 1,
        }
    }

    fn seconds(range: std::ops::Range<f64>, delay: Duration) -> bool {
        range.contains(&delay.as_secs_f64())
    }

    #[test]
    fn text_and_json_round_trip() {
        for text in ["0", "2", "0.5", "1.25", "0.001", "299.999", "300"] {
            let backoff: Backoff = text.parse().expect(text);
            assert_eq!(backoff.to_string(), text);
            let json = serde_json::to_string(&backoff).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Backoff>(&json).expect("read"),
                backoff
            );
        }
        assert_eq!("0".parse(), Ok(Backoff::default()));
    }

    #[test]
    fn errors_show_a_valid_value() {
        for text in [
            "", ".", "a", "-1", "+1", "1e3", "inf", "nan", "1.2.3", "5s", " 1",
        ] {
            let message = text.parse::<Backoff>().expect_err(text).to_string();
            let wanted = format!("`{text}` is not a number of seconds; for example: 2 or 0.5");
            assert_eq!(message, wanted);
        }
        let message = "301".parse::<Backoff>().expect_err("refused").to_string();
        assert_eq!(
            message,
            "`301` is longer than the longest delay, 300 seconds"
        );
    }

    #[test]
    fn delays_double_up_to_five_minutes() {
        let (job, backoff) = (job(), "4".parse::<Backoff>().expect("seconds"));
        for (failure, range) in [
            (0, 2.0..4.0),
            (1, 2.0..4.0),
            (2, 4.0..8.0),
            (3, 8.0..16.0),
            (7, 128.0..256.0),
            (8, 150.0..300.0),
            (u32::MAX, 150.0..300.0),
        ] {
            for row in 0..100 {
                let delay = backoff.after_failure(failure, delayed(&job, row));
                assert!(seconds(range.clone(), delay), "{failure} {row} {delay:?}");
            }
        }
        let none = Backoff::default().after_failure(9, delayed(&job, 0));
        assert_eq!(none, Duration::ZERO);
    }

    #[test]
    fn jitter_differs_between_rows_and_is_deterministic() {
        let (job, backoff) = (job(), "200".parse::<Backoff>().expect("seconds"));
        let delays: Vec<Duration> = (0..1000)
            .map(|row| backoff.after_failure(1, delayed(&job, row)))
            .collect();
        let mean = delays.iter().sum::<Duration>().as_secs_f64() / 1000.0;
        assert!((147.0..153.0).contains(&mean), "{mean}");
        let early = delays.iter().filter(|delay| delay.as_secs() < 110).count();
        assert!((70..130).contains(&early), "{early}");
        // Fixed for ever: a ledger of today resumed by a later version waits alike.
        let first = backoff.after_failure(1, delayed(&job, 0));
        assert_eq!(first.as_millis(), 109_037);
    }

    #[test]
    fn a_rate_limit_without_a_time_waits_longer_each_time() {
        let job = job();
        for (streak, range) in [
            (1, 7.5..15.0),
            (2, 15.0..30.0),
            (5, 120.0..240.0),
            (6, 150.0..300.0),
            (u32::MAX, 150.0..300.0),
        ] {
            let delay = after_rate_limit(streak, None, delayed(&job, 3));
            assert!(seconds(range, delay), "{streak} {delay:?}");
        }
    }

    #[test]
    fn after_an_outage_the_longer_delay_counts() {
        let job = job();
        for (nth, ours, range) in [
            (1, "0", 1.0..2.0),
            (3, "0", 4.0..8.0),
            (2, "20", 20.0..40.0),
        ] {
            let ours = ours.parse().expect("seconds");
            let delay = after_outage(nth, ours, delayed(&job, 3));
            assert!(seconds(range, delay), "{nth} {delay:?}");
        }
    }

    #[test]
    fn the_time_of_the_service_is_a_lower_bound() {
        let job = job();
        for (streak, asked_ms, range) in [
            (1, 12_000, 12.0..13.2),
            (3, 12_000, 12.0..13.2),
            (5, 12_000, 16.0..17.6),
            (1, 0, 1.0..1.1),
            (4, 28, 8.0..8.8),
            (u32::MAX, 28, 300.0..330.0),
            (1, 3_600_000, 3600.0..3960.0),
        ] {
            let retry_after = Some(Duration::from_millis(asked_ms));
            let delay = after_rate_limit(streak, retry_after, delayed(&job, 3));
            assert!(seconds(range, delay), "{streak} {asked_ms} {delay:?}");
        }
    }
}
