//! How often a file or a queue is looked at, and how long a lease lives. In debug builds, `MESH_POLL_MS` bounds every interval and
//! `MESH_LEASE_MS` is the life of a lease, so that tests are quick.

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
    let text = std::env::var("MESH_LEASE_MS").ok();
    let life = text.filter(|_| cfg!(debug_assertions));
    let life = life.and_then(|text| text.parse().ok());
    life.map_or(LEASE_LIFE, Duration::from_millis)
}
