//! How often a file or a queue is looked at. In debug builds, `MESH_POLL_MS` bounds every interval, so that tests are quick.

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
