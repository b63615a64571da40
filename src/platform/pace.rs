//! How often a file or a queue is looked at, and how long a lease lives. In debug builds, `MESH_POLL_MS` bounds every interval,
//! `MESH_LEASE_MS` is the life of a lease, `MESH_NOTIFY_MS` the time of a command of `--notify`, and `MESH_HOUR_MS` an hour, so that
//! tests are quick.

use std::time::Duration;

/// The interval, `usual` unless a test wants a shorter one.
pub fn interval(usual: Duration) -> Duration {
    if !cfg!(debug_assertions) {
        return usual;
    }
    let most = std::env::var("MESH_POLL_MS").ok();
    let most = most.and_then(|text| text.parse().ok());
    most.map_or(usual, |most| usual.min(Duration::from_millis(most)))
}

/// How long a lease lives without a heartbeat.
const LEASE_LIFE: Duration = Duration::from_secs(60);

/// How long the leases of this process live.
pub fn lease_life() -> Duration {
    in_tests("MESH_LEASE_MS", LEASE_LIFE)
}

/// How long a command of `--notify` may take.
const NOTIFY_LIMIT: Duration = Duration::from_secs(30);

/// How long a command of `--notify` of this process may take.
pub fn notify_limit() -> Duration {
    in_tests("MESH_NOTIFY_MS", NOTIFY_LIMIT)
}

/// The time between two lines that sum up a run.
pub fn hour() -> Duration {
    in_tests("MESH_HOUR_MS", Duration::from_secs(60 * 60))
}

/// The milliseconds of a variable in debug builds, else `usual`.
fn in_tests(variable: &str, usual: Duration) -> Duration {
    let text = std::env::var(variable).ok();
    let given = text.filter(|_| cfg!(debug_assertions));
    let given = given.and_then(|text| text.parse().ok());
    given.map_or(usual, Duration::from_millis)
}
