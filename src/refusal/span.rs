//! Spans of time in a text: "34.07s", "3 days 4 hours", `retry_after_ms: 1500`.

use std::time::Duration;

/// The longest span; a longer one is a mistake.
pub(super) const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// "Retrying in 5s": a span this short is the program's own retry, not a limit of the service.
pub(super) const OWN_RETRY_SECONDS_MAX: f64 = 60.0;

/// A span follows one of these markers.
pub(super) const SPAN_MARKERS: [&str; 21] = [
    "retry-after",
    "retry_after",
    "retry after",
    "retryafter",
    "retry in",
    "retrying in",
    "retrydelay",
    "try again in",
    "try again after",
    "please wait",
    "available in",
    "reset after",
    "reset in",
    "resets in",
    "reset_in",
    "resets_in",
    "reset-after",
    "resetsin",
    "resetin",
    "reset-requests",
    "reset-tokens",
];

/// Reads the span at the start of `rest`, the lower-case text after a marker, in seconds. A number without a unit counts
/// only after a colon or an equals sign.
pub(super) fn read_span(rest: &str) -> Option<f64> {
    let (rest, bare_unit) = key_unit(rest);
    let value = rest.trim_start_matches(|c| " \t:=\"'\\~".contains(c));
    let is_key = rest[..rest.len() - value.len()].contains([':', '=']);
    let value = ["about ", "approximately ", "for "]
        .iter()
        .find_map(|filler| value.strip_prefix(filler))
        .unwrap_or(value);
    let bare = || {
        number(value)
            .filter(|_| is_key)
            .map(|(number, _)| number * bare_unit)
    };
    spans(value).or_else(bare)
}

/// The unit in a key: `retry_after_ms`, `resets_in_seconds`. Returns the text after it and the unit in seconds.
fn key_unit(rest: &str) -> (&str, f64) {
    let named = [
        ("ms", 0.001),
        ("seconds", 1.0),
        ("secs", 1.0),
        ("minutes", 60.0),
    ];
    let bare = rest.trim_start_matches(['_', '-']);
    let found = named
        .iter()
        .find_map(|(name, unit)| Some((bare.strip_prefix(name)?, *unit)));
    found.unwrap_or((rest, 1.0))
}

/// Reads `12 seconds`, `6m0s`, `3 days 4 hours 51 minutes`; `None` if the first number has no unit.
fn spans(text: &str) -> Option<f64> {
    let span = |text| {
        let (number, rest) = number(text)?;
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        Some((number * unit(&rest[..end])?, &rest[end..]))
    };
    let (mut seconds, mut rest) = span(text)?;
    loop {
        let next = rest.trim_start_matches([' ', ',', '\n', '\r']);
        let next = next.strip_prefix("and ").unwrap_or(next);
        match span(next) {
            Some((more, after)) => (seconds, rest) = (seconds + more, after),
            None => return Some(seconds),
        }
    }
}

fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let digits = text[..end].trim_end_matches('.');
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    Some((
        digits.parse().ok().filter(|_| is_number)?,
        &text[digits.len()..],
    ))
}

fn unit(word: &str) -> Option<f64> {
    match word {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Some(0.001),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60.0),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3600.0),
        "d" | "day" | "days" => Some(86_400.0),
        "w" | "week" | "weeks" => Some(604_800.0),
        _ => None,
    }
}
