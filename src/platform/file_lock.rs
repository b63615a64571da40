//! `flock` on an open file. The kernel releases the lock when its holder dies, so no lock is ever stale.

use super::interrupted::retry_interrupted;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;

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

/// Takes the lock if it is free; whether it was.
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
