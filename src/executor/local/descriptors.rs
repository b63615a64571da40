//! File descriptors for the pool: each running worker needs a few.

use crate::job::JobError;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Both output pipes, the exit watch, and pipe ends that are open briefly while a process starts.
const PER_SLOT: u64 = 8;
/// Ledger, input, socket, open reports, standard streams.
const RESERVE: u64 = 64;

/// Raises the soft limit on open files if `slots` workers need more. Fails if the hard limit is too low.
pub(crate) fn make_room_for(slots: usize) -> Result<(), JobError> {
    let needed = RESERVE + PER_SLOT * slots as u64;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    if needed <= allowed && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    Err(JobError::Descriptors {
        slots,
        needed,
        allowed,
    })
}
