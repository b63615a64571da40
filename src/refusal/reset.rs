//! Finds in a text when a limit ends, as people and machines write it.
//!
//! A span after a marker ("Please retry in 34.07s", `"retry_after_ms": 1500`, "try again in 3 days 4 hours"), a number of
//! seconds since 1970 (`reached|1760000000`, `"resets_at": 1760000000`), or a time of day with or without a day and a zone
//! ("resets 11pm (UTC)", "resets Oct 9 at 5pm", "try again at Jul 5th, 2026 8:19 PM", "resets at 10:57 PM GMT-3"). If a
//! text names several, the last one is the newest.

use super::moment::Reset;
use super::moment_text::{MOMENT_MARKERS, read_moment};
use super::span::{OWN_RETRY_SECONDS_MAX, SPAN_MARKERS, SPAN_MAX, read_span};
use std::time::Duration;

impl Reset {
    /// Finds the last reset time in `text`.
    pub fn find(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let spans = SPAN_MARKERS.iter().flat_map(|marker| {
            let read = |(at, _): (usize, &str)| {
                let seconds = read_span(&lower[at + marker.len()..])?;
                let is_own = *marker == "retrying in" && seconds < OWN_RETRY_SECONDS_MAX;
                let span = Duration::try_from_secs_f64(seconds).unwrap_or(SPAN_MAX);
                (!is_own).then(|| (at, marker.len(), Self::After(span.min(SPAN_MAX))))
            };
            lower.match_indices(marker).filter_map(read)
        });
        let moments = MOMENT_MARKERS.iter().flat_map(|marker| {
            let read = |(at, _): (usize, &str)| {
                Some((at, marker.len(), read_moment(&text[at + marker.len()..])?))
            };
            lower.match_indices(marker).filter_map(read)
        });
        let last = spans
            .chain(moments)
            .max_by_key(|(at, length, _)| (*at, *length));
        last.map(|(.., reset)| reset)
    }
}

#[cfg(test)]
mod tests;
