//! How deep this process is in jobs of mesh: a worker that starts jobs whose workers start jobs would never end.

/// The depth of a process; a worker has that of its job plus one.
pub const DEPTH: &str = "MESH_DEPTH";
/// How deep jobs may be nested.
pub const DEPTH_MAX: &str = "MESH_MAX_DEPTH";
/// One level: a worker starts no jobs.
pub const DEPTH_MAX_DEFAULT: u32 = 1;

/// A job would be nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a worker of mesh can't start a job: it would be nested {depth} deep, and {DEPTH_MAX} is {max}"
)]
pub struct TooDeep {
    /// The depth of the workers of the job.
    pub depth: u32,
    /// The limit.
    pub max: u32,
}

/// The depth of this process; 0 outside of a worker.
pub fn depth() -> u32 {
    read(DEPTH).unwrap_or(0)
}

/// Refuses a job whose workers would be nested deeper than `MESH_MAX_DEPTH`.
///
/// # Errors
/// This process is a worker, or a descendant of one.
pub fn check_depth() -> Result<(), TooDeep> {
    check_depth_up_to(read(DEPTH_MAX).unwrap_or(DEPTH_MAX_DEFAULT))
}

/// The same with another limit.
///
/// # Errors
/// As [`check_depth`].
pub fn check_depth_up_to(max: u32) -> Result<(), TooDeep> {
    match depth() + 1 {
        depth if depth > max => Err(TooDeep { depth, max }),
        _ => Ok(()),
    }
}

fn read(name: &str) -> Option<u32> {
    std::env::var(name).ok()?.trim().parse().ok()
}
