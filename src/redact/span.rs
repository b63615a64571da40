//! A secret in a text, by its place.

/// A range of bytes to replace.
pub(super) struct Span {
    pub begin: usize,
    pub end: usize,
    /// The name to put in its place.
    pub name: String,
    /// Decides the name of overlapping spans: the length of a variable's value, 0 for a token format.
    pub weight: usize,
}

/// Merges overlapping spans, so that no part of either remains.
pub(super) fn merge_spans(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.begin, span.end));
    let mut merged: Vec<Span> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.begin < last.end => {
                last.end = last.end.max(span.end);
                if span.weight > last.weight {
                    (last.name, last.weight) = (span.name, span.weight);
                }
            }
            _ => merged.push(span),
        }
    }
    merged
}
