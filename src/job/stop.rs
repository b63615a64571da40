//! Being asked to stop: once means "start nothing more", twice means "end what runs".

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU8, Ordering};

/// How urgently the job was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    None,
    /// Start no further row; let running ones end.
    Drain,
    /// End running rows now.
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
    /// A signal's number, [`CANCEL`], or 0 as long as nobody has asked.
    source: AtomicI32,
    // The read end becomes readable (end of file) for every poller at once when the write end is dropped.
    wake: OwnedFd,
    hold: Mutex<Option<OwnedFd>>,
}

/// No signal has this number.
const CANCEL: i32 = -1;

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> io::Result<Self> {
        let (wake, hold) = io::pipe()?;
        Ok(Self {
            asked: AtomicU8::new(0),
            source: AtomicI32::new(0),
            wake: wake.into(),
            hold: Mutex::new(Some(hold.into())),
        })
    }

    /// Asks once more.
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

    /// Lets nothing more start, for a reason of the run's own.
    pub fn drain(&self) {
        self.asked.fetch_max(1, Ordering::SeqCst);
    }

    /// Ends what runs, not because of a signal but because the job can't go on.
    pub fn end_now(&self) {
        self.asked.fetch_add(2, Ordering::SeqCst);
        if let Ok(mut hold) = self.hold.lock() {
            hold.take();
        }
    }

    /// How urgent it is.
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
