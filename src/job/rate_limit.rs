//! Whether a failed attempt met a rate limit, and how long the service asked to wait: read from what the agent printed.
//!
//! To be asked only about an attempt that exited non-zero without a result: a rate limit consumes no attempt, so a
//! false alarm makes a row wait for nothing, again and again. Agents also print the code and the tests they work on, in
//! which `overloaded`, `rate_limit` and `429` are common words; hence only the last 8 KiB count, and every pattern asks
//! for more than such a word. A miss costs little: the row fails with `worker_exit`. The patterns come from what codex,
//! claude, gemini and opencode print (their issue trackers, 2025 and 2026). Pure text; how long to wait is `backoff`.

use std::time::Duration;

/// How much of the end of a text is looked at.
const TAIL_BYTES: usize = 8 * 1024;
/// The longest time that is believed; asking again then is cheap.
const SAID_MAX: Duration = Duration::from_secs(60 * 60);

/// What says it by itself, in lower-case words. `overloaded` alone is what compilers say of functions and `quota
/// exceeded` alone what file systems say of disks.
const PHRASES: [&str; 22] = [
    // The reason phrase of HTTP status 429.
    "too many requests",
    // OpenAI SDK, when the answer has no body.
    "429 status code",
    // `rate_limit_error` (Anthropic), and the same as class and reason names.
    "rate limit error",
    "ratelimiterror",
    "ratelimitexceeded",
    "be rate limited",
    "is rate limited",
    "been rate limited",
    "was rate limited",
    // `overloaded_error` and status 529 (Anthropic).
    "overloaded error",
    "529 overloaded",
    // Status 503 (Gemini, OpenAI).
    "model is overloaded",
    "server is overloaded",
    "servers are overloaded",
    "currently overloaded",
    // Gemini, by minute and by day; the last two come without a code.
    "quota exceeded for",
    "exceeded your current quota",
    "quota will reset after",
    "resource has been exhausted",
    "exhausted your capacity",
    // Plans of claude.
    "hit your limit",
    "hour limit reached",
];

/// Beside `rate limit` and `usage limit`: what makes them an event. "Rate limit reached for …", "usage_limit_reached",
/// "You've hit your usage limit", "would exceed your account's rate limit", "Rate limit is exceeded".
const MET: [&str; 5] = ["reached", "exceeded", "exceeds", "exceed", "hit"];

/// After these comes a time. "Retrying after" is what the agent did by itself and is no such word.
const MARKERS: [&str; 13] = [
    "retry-after",
    "retry_after",
    "retry after",
    "retryafter",
    "retry in",
    "retrydelay",
    "try again in",
    "reset after",
    "reset in",
    "resets in",
    "reset_in",
    "resets_in",
    "reset-after",
];

/// Whether `text`, the end of what a failed agent printed, tells of a rate limit, an overloaded service or a used-up
/// plan: a phrase, `rate limit` or `usage limit` beside a verb, or status 429 or 529 as such (`status 429`, `Error: 429
/// {`, `"code": 429`, `HTTP/1.1 429`; not `line 429`, `0.429` or `error: 429 tests failed`).
///
/// `insufficient_quota` (OpenAI, also with status 429) is none: an account without money does not heal by waiting.
pub fn is_rate_limit(text: &str) -> bool {
    let text = tail(text);
    let words = words(text);
    if words.contains("insufficient quota") {
        return false;
    }
    PHRASES.iter().any(|phrase| words.contains(phrase)) || is_limit_met(&words) || has_status(text)
}

/// The last time to wait that `text` names, at most one hour: "Retry-After: 12", "try again in 6m0s", "retry after 12
/// seconds", `"retry_after_ms": 1500`, `"retryDelay": "34.07s"`, "reset after 12h34m16s". A bare number counts only
/// after a colon or an equals sign; dates are passed over, as there is no clock here.
pub fn retry_after(text: &str) -> Option<Duration> {
    let text = tail(text).to_ascii_lowercase();
    let said = |(at, marker): (usize, &str)| Some((at, time(&text[at + marker.len()..])?));
    MARKERS
        .iter()
        .flat_map(|marker| text.match_indices(marker))
        .filter_map(said)
        .max_by_key(|(at, _)| *at)
        .map(|(_, seconds)| {
            Duration::try_from_secs_f64(seconds).map_or(SAID_MAX, |said| said.min(SAID_MAX))
        })
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

/// Lower-case words with one blank between them, so that `rate_limit`, `Rate-Limit` and `rate limit` are one.
fn words(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `rate limit` or `usage limit` with a verb among the four words before or the three after.
fn is_limit_met(words: &str) -> bool {
    let words: Vec<&str> = words.split(' ').collect();
    let is_met = |at: usize| {
        let around = words[at.saturating_sub(4)..].iter().take(4 + 2 + 3);
        around.into_iter().any(|word| MET.contains(word))
    };
    words
        .windows(2)
        .enumerate()
        .any(|(at, pair)| matches!(pair, ["rate" | "usage", "limit" | "limits"]) && is_met(at))
}

/// Whether 429 or 529 stands somewhere as a status.
fn has_status(text: &str) -> bool {
    ["429", "529"].iter().any(|code| {
        text.match_indices(code)
            .any(|(at, _)| is_status(&text[..at], &text[at + code.len()..]))
    })
}

fn is_status(before: &str, after: &str) -> bool {
    let mut next = after.chars();
    let goes_on = match (next.next(), next.next()) {
        (Some(c), _) if c.is_alphanumeric() || "_%".contains(c) => true,
        (Some('.' | ','), Some(c)) => c.is_ascii_digit(),
        _ => false,
    };
    let stem = before.trim_end_matches(|c| " \t:=\"'\\([-".contains(c));
    if goes_on || stem.len() == before.len() {
        return false;
    }
    let stem = stem.to_ascii_lowercase();
    let version = stem.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match stem.rsplit(|c: char| !c.is_ascii_alphanumeric()).next() {
        Some("status" | "statuscode" | "http" | "rejected") => true,
        // A number of things, `error: 429 tests failed`, goes on with a small letter.
        Some("error" | "code" | "errorcode") => !after
            .trim_start_matches(' ')
            .starts_with(|c: char| c.is_lowercase()),
        _ => version.ends_with("http/"),
    }
}

/// The seconds that `rest`, the text after a marker, begins with.
fn time(rest: &str) -> Option<f64> {
    let (rest, bare_unit) = key_unit(rest);
    let value = rest.trim_start_matches(|c| " \t:=\"'\\".contains(c));
    let is_key = rest[..rest.len() - value.len()].contains([':', '=']);
    let bare = || {
        number(value)
            .filter(|_| is_key)
            .map(|(number, _)| number * bare_unit)
    };
    spans(value).or_else(bare)
}

/// What a key may say about its unit: `retry_after_ms`, `resets_in_seconds`.
fn key_unit(rest: &str) -> (&str, f64) {
    let named = [("ms", 0.001), ("seconds", 1.0), ("secs", 1.0)];
    let bare = rest.trim_start_matches(['_', '-']);
    let found = named
        .iter()
        .find_map(|(name, unit)| Some((bare.strip_prefix(name)?, *unit)));
    found.unwrap_or((rest, 1.0))
}

/// `12 seconds`, `6m0s`, `3 hours 2 minutes`; nothing when the first number has no unit.
fn spans(text: &str) -> Option<f64> {
    let span = |text| {
        let (number, rest) = number(text)?;
        let rest = rest.trim_start_matches(' ');
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        Some((number * unit(&rest[..end])?, &rest[end..]))
    };
    let (mut seconds, mut rest) = span(text)?;
    while let Some((more, after)) = span(rest.trim_start_matches([' ', ','])) {
        (seconds, rest) = (seconds + more, after);
    }
    Some(seconds)
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
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_agents_print_at_a_limit_is_known() {
        for text in [
            // codex
            "exceeded retry limit, last status: 429 Too Many Requests, request id: 9c84b52ce87fbe62-SJC",
            "stream disconnected before completion: Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 250000, Used 250000, Requested 58487. Please try again in 14.036s.",
            "stream disconnected before completion: Rate limit is exceeded. Try again in 17 seconds.",
            "You've hit your usage limit. Upgrade to Pro (https://openai.com/chatgpt/pricing) or try again in 3 hours 2 minutes.",
            r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","resets_in_seconds":602705}}"#,
            // claude
            r#"API Error: 429 {"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your account's rate limit. Please try again later."}}"#,
            r#"API Error (529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"#,
            "API Error: Repeated 529 Overloaded errors",
            "API Error: Request rejected (429)",
            r#"{"type":"result","is_error":true,"api_error_status":429,"result":"API Error"}"#,
            "Claude AI usage limit reached|1753088400",
            "You've hit your limit · resets 3pm",
            "5-hour limit reached ∙ resets 3pm",
            // gemini
            r#"[API Error: [{ "error": { "code": 429, "message": "Resource exhausted.""#,
            "Attempt 1 failed with status 429. Retrying with backoff...",
            "[API Error: Resource has been exhausted (e.g. check quota).]",
            "Quota exceeded for quota metric 'Gemini 2.5 Pro Requests' and limit 'per day'",
            "You exceeded your current quota, please check your plan and billing details. Please retry in 34.07s.",
            "You have exhausted your capacity on this model. Your quota will reset after 5s.",
            r#""reason": "RATE_LIMIT_EXCEEDED""#,
            "The model is overloaded. Please try again later.",
            // opencode and others
            r#"OpenAI API error (429): {"code":"rate_limit_exceeded","type":"rate_limit_error"}"#,
            "You have exceeded the request rate limit. Please wait a short period before retrying",
            r#"{"name":"APIError","data":{"statusCode":429}}"#,
            "openai.RateLimitError: Error code: 429 - {'error': {}}",
            "Error: 429 status code (no body)",
            "HTTP/1.1 429\r\nretry-after: 1",
            "HTTP 429",
            "request failed: status=429",
            "\"rateLimitExceeded\"",
            "the service is rate-limited",
            "That model is currently overloaded with other requests.",
        ] {
            assert!(is_rate_limit(text), "{text}");
        }
    }

    #[test]
    fn other_failures_are_no_limits() {
        for text in [
            "",
            "error: line 429: unexpected token",
            "src/status.rs:429:5: error: unused variable",
            "accuracy 0.429, error 0.529",
            "error: 429 tests failed",
            "status: 4290",
            "status 429.5",
            "error: 429,000 rows",
            "error429.txt not found",
            "barcode 429",
            "took 429ms",
            "error TS2769: No overload matches this call",
            "error: call of overloaded 'f(int)' is ambiguous",
            "operator== is overloaded",
            "Disk quota exceeded (os error 122)",
            "test middleware::rate_limit_header ... FAILED",
            "the rate limit is configured in limits.toml",
            "accurate limits reached",
            "API Error: 401 authentication_error",
            "API Error: 500 Internal server error",
            "Credit balance is too low",
            "connection refused",
            // Waiting does not fill an account.
            r#"Error: 429 {"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan"}"#,
        ] {
            assert!(!is_rate_limit(text), "{text}");
        }
    }

    #[test]
    fn only_the_end_of_a_text_counts() {
        let limit = "HTTP 429, retry-after: 5\n";
        let (short, long) = ("ä".repeat(4000), "ä".repeat(4100));
        assert!(is_rate_limit(&format!("{limit}{short}")));
        assert!(!is_rate_limit(&format!("{limit}{long}")));
        assert_eq!(retry_after(&format!("{limit}{long}")), None);
    }

    #[test]
    fn the_time_to_wait_is_found() {
        for (text, ms) in [
            ("Retry-After: 12", 12_000),
            ("retry-after: 12 date: Mon", 12_000),
            ("retry-after: 0\nx-request-id: 7", 0),
            ("'retry-after': '1.5'", 1_500),
            ("retry-after-ms: 1500", 1_500),
            (r#"{"retry_after_ms": 1500}"#, 1_500),
            (r#"{\"retryAfterMs\":1500}"#, 1_500),
            (r#"{"retry_after": 2.5}"#, 2_500),
            ("retry_after_seconds=3", 3_000),
            (r#"\"retryDelay\": \"34.074824224s\""#, 34_074),
            ("retryDelayMs: 5000", 5_000),
            (r#""resets_in_seconds":90}"#, 90_000),
            ("please retry after 12 seconds", 12_000),
            ("Please retry in 34.07s.", 34_070),
            ("Please try again in 3.5s. Visit https://x", 3_500),
            ("Please try again in 28ms.", 28),
            ("Please try again in 6m0s", 360_000),
            ("Try again in 1 minute, 5 seconds", 65_000),
            ("or try again in 3 hours 2 minutes.", 3_600_000),
            ("try again in 5 days 22 hours 11 minutes", 3_600_000),
            ("Your quota will reset after 12h34m16s.", 3_600_000),
            (
                "Your quota will reset after 5s.. Retrying after 6173ms...",
                5_000,
            ),
            ("try again in 20s. 3 retries left", 20_000),
            ("try again in 20 seconds, 3 retries left", 20_000),
            // The last one is the newest.
            ("try again in 4s\nretry-after: 9\ntry again in 7s", 7_000),
            ("try again in 4s\nretry-after: soon", 4_000),
        ] {
            let found = retry_after(text).map(|said| said.as_millis());
            assert_eq!(found, Some(ms), "{text}");
        }
        assert_eq!(
            retry_after(&format!("retry-after: {}", "9".repeat(400))),
            Some(SAID_MAX)
        );
    }

    #[test]
    fn what_is_no_time_is_passed_over() {
        for text in [
            "",
            "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT",
            "retry after 12 attempts",
            "retry after 12",
            "retry-after: -5",
            "retry-after: .5",
            "try again in a few minutes",
            "try again in 5 parsecs",
            "try again at Jul 5th, 2026 8:19 PM",
            "usage limit reached|1753088400",
            "Retrying after 6173ms...",
            "retry_after_header: 5",
            "retry-after: 1.2.3",
            "retry-after:",
        ] {
            assert_eq!(retry_after(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_too_odd(text in "(429|529|rate|limit|retry-after|try again in|[0-9.]{1,4}|ms|[ :=_-]|\\PC|\n){0,40}") {
            is_rate_limit(&text);
            prop_assert!(retry_after(&text).is_none_or(|said| said <= SAID_MAX));
        }
    }
}
