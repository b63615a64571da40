//! Signs of life of a running attempt, shared with other threads without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When an attempt's process started and last printed something.
#[derive(Debug)]
pub struct Heartbeat {
    created: Instant,
    /// Milliseconds after `created`; [`Heartbeat::NEVER`] before the process exists.
    started_ms: AtomicU64,
    output_ms: AtomicU64,
}

impl Heartbeat {
    const NEVER: u64 = u64::MAX;

    /// For an attempt that has not started.
    pub fn new() -> Self {
        Self {
            created: Instant::now(),
            started_ms: AtomicU64::new(Self::NEVER),
            output_ms: AtomicU64::new(Self::NEVER),
        }
    }

    /// Time since its process started; `None` before the start.
    pub fn running_for(&self) -> Option<Duration> {
        self.since(&self.started_ms)
    }

    /// Time since its process last printed something; `None` before the start.
    pub fn quiet_for(&self) -> Option<Duration> {
        self.since(&self.output_ms)
    }

    // The two numbers are for display and guard no other memory: relaxed ordering is enough.
    fn since(&self, event_ms: &AtomicU64) -> Option<Duration> {
        let event_ms = event_ms.load(Ordering::Relaxed);
        let event = (event_ms != Self::NEVER).then(|| Duration::from_millis(event_ms))?;
        Some(self.created.elapsed().saturating_sub(event))
    }

    pub fn start(&self, now: Instant) {
        self.record_output(now);
        let started_ms = self.output_ms.load(Ordering::Relaxed);
        self.started_ms.store(started_ms, Ordering::Relaxed);
    }

    pub fn record_output(&self, now: Instant) {
        let after = now.saturating_duration_since(self.created);
        self.output_ms
            .store(after.as_millis() as u64, Ordering::Relaxed);
    }
}
