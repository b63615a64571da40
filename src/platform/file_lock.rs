//! `flock` on an open file. The kernel releases the lock when its holder dies, so no lock is ever stale.
//!
//! It may be held a moment longer: a process that is killed while it starts a program leaves a copy of itself, which has its open
//! files until it has become that program. So [`take`] has some patience.

use super::interrupted::retry_interrupted;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

/// Who else can hold the lock at the same time.
#[derive(Clone, Copy, Debug)]
pub enum LockKind {
    /// Nobody.
    Exclusive,
    /// Others that want it shared as well.
    Shared,
}

/// Waits for the lock.
pub fn lock(file: &File, kind: LockKind) -> io::Result<()> {
    call(
        file,
        match kind {
            LockKind::Exclusive => FlockOperation::LockExclusive,
            LockKind::Shared => FlockOperation::LockShared,
        },
    )
}

/// How long [`take`] waits. The copies that kills left were seen to hold their locks for up to 5 milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the lock if it is free, or becomes free within a second; whether it did.
pub fn take(file: &File, kind: LockKind) -> io::Result<bool> {
    let began = Instant::now();
    loop {
        let is_taken = try_lock(file, kind)?;
        if is_taken || began.elapsed() >= PATIENCE {
            return Ok(is_taken);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Takes the lock if it is free; whether it was. For one who only looks, or tries again by itself.
pub fn try_lock(file: &File, kind: LockKind) -> io::Result<bool> {
    let taken = call(
        file,
        match kind {
            LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
            LockKind::Shared => FlockOperation::NonBlockingLockShared,
        },
    );
    match taken {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        taken => taken.map(|()| true),
    }
}

/// Releases the lock before the file is closed.
pub fn unlock(file: &File) -> io::Result<()> {
    call(file, FlockOperation::Unlock)
}

fn call(file: &File, operation: FlockOperation) -> io::Result<()> {
    retry_interrupted(|| Ok(flock(file, operation)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_freed_in_a_moment_is_taken_and_another_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let (held, file) = (
            File::create(&path).expect("a file"),
            File::open(&path).expect("the file"),
        );
        assert!(take(&held, LockKind::Exclusive).expect("a lock"));
        assert!(!take(&file, LockKind::Shared).expect("an answer"));
        let freed = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(held);
        });
        assert!(take(&file, LockKind::Exclusive).expect("an answer"));
        freed.join().expect("it ended");
    }
}
