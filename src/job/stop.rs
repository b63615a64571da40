//! Stop requests: the first starts no further rows, the second cancels running ones.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// How urgently the job was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// No request.
    None,
    /// Start no further rows; let running rows finish.
    Drain,
    /// Cancel running rows.
    Now,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSource {
    /// A signal.
    Signal(i32),
    /// `mesh cancel`, from another process.
    Cancel,
}

/// Shared between the signal thread, the pool's loop and every attempt.
#[derive(Debug)]
pub struct Stop {
    asked: AtomicU8,
    /// A signal's number, [`CANCEL`], or 0 before the first request.
    source: AtomicI32,
    // Dropping the write end makes the read end readable (end of file) for every poller at once.
    wake: OwnedFd,
    hold: Mutex<Option<OwnedFd>>,
}

/// No signal has this number.
const CANCEL: i32 = -1;

impl Stop {
    /// No request yet.
    pub fn new() -> io::Result<Self> {
        let (wake, hold) = io::pipe()?;
        Ok(Self {
            asked: AtomicU8::new(0),
            source: AtomicI32::new(0),
            wake: wake.into(),
            hold: Mutex::new(Some(hold.into())),
        })
    }

    /// Adds a request.
    pub fn ask(&self, source: StopSource) {
        let code = match source {
            StopSource::Signal(signal) => signal,
            StopSource::Cancel => CANCEL,
        };
        self.source.store(code, Ordering::SeqCst);
        if self.asked.fetch_add(1, Ordering::SeqCst) >= 1
            && let Ok(mut hold) = self.hold.lock()
        {
            hold.take();
        }
    }

    /// Starts no further rows, for a reason within the run.
    pub fn drain(&self) {
        self.asked.fetch_max(1, Ordering::SeqCst);
    }

    /// Cancels running rows, for a reason within the run.
    pub fn end_now(&self) {
        self.asked.fetch_add(2, Ordering::SeqCst);
        if let Ok(mut hold) = self.hold.lock() {
            hold.take();
        }
    }

    /// Whether running rows are to be cancelled, now or within `wait`.
    pub(crate) fn comes_within(&self, wait: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(10);
        let began = Instant::now();
        while self.urgency() != Urgency::Now {
            if began.elapsed() >= wait {
                return false;
            }
            std::thread::sleep(STEP);
        }
        true
    }

    /// The current urgency.
    pub fn urgency(&self) -> Urgency {
        match self.asked.load(Ordering::SeqCst) {
            0 => Urgency::None,
            1 => Urgency::Drain,
            _ => Urgency::Now,
        }
    }

    /// Who asked last.
    pub fn source(&self) -> Option<StopSource> {
        match self.source.load(Ordering::SeqCst) {
            0 => None,
            CANCEL => Some(StopSource::Cancel),
            signal => Some(StopSource::Signal(signal)),
        }
    }

    /// Readable from [`Urgency::Now`] on.
    pub(crate) fn wake_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
