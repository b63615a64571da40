use super::*;
use jiff::Zoned;

/// A Sunday.
fn now(text: &str) -> Zoned {
    text.parse().expect("a time")
}

fn resolved(text: &str) -> Option<String> {
    let at = Reset::find(text)?.resolve(&now("2026-11-29T14:30:00+01:00[Europe/Berlin]"))?;
    Some(at.to_string())
}

#[test]
fn a_span_is_found() {
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
        ("Retry in 30s", 30_000),
        ("Please try again in 28ms.", 28),
        ("Please try again in 6m0s", 360_000),
        ("try again in 1h2m3s", 3_723_000),
        ("Try again in 1 minute, 5 seconds", 65_000),
        ("or try again in 3 hours 2 minutes.", 10_920_000),
        ("try again in 3 days 4 hours 51 minutes", 276_660_000),
        ("try again in 2 days, 3 hours and 5 minutes", 183_900_000),
        ("try again in 5 days 22 hours 11\nminutes.", 511_860_000),
        ("Your quota will reset after 12h34m16s.", 45_256_000),
        ("session limit reached – resets in 2 hours", 7_200_000),
        ("subscribe to Go retrying in 6h16m - attempt #1", 22_560_000),
        (
            "Your quota will reset after 5s.. Retrying after 6173ms...",
            5_000,
        ),
        ("try again in 20s. 3 retries left", 20_000),
        ("try again in 1h23m45s", 5_025_000),
        ("resets in 2 days", 172_800_000),
        ("resets in 2d 4h", 187_200_000),
        ("x-ratelimit-reset-requests: 6m0s", 360_000),
        ("Please wait 30 seconds.", 30_000),
        (
            "Please wait a moment, try again in about 2 hours",
            7_200_000,
        ),
        // The last one is the newest.
        ("try again in 4s\nretry-after: 9\ntry again in 7s", 7_000),
        ("try again in 4s\nretry-after: soon", 4_000),
    ] {
        let found = Reset::find(text);
        let Some(Reset::After(found)) = found else {
            panic!("{text}: {found:?}");
        };
        assert_eq!(found.as_millis(), ms, "{text}");
    }
    let long = format!("retry-after: {}", "9".repeat(400));
    assert_eq!(Reset::find(&long), Some(Reset::After(SPAN_MAX)));
}

#[test]
fn text_without_a_time_is_ignored() {
    for text in [
        "",
        "retry after 12 attempts",
        "retry after 12",
        "retry-after: -5",
        "retry-after: .5",
        "try again in a few minutes",
        "try again in 5 parsecs",
        "Retrying after 6173ms...",
        "Retrying in 5s",
        "retry_after_header: 5",
        "retry-after: 1.2.3",
        "retry-after:",
        "resets every 5h",
        "reset to 3",
        "resets 25:00",
        "resets 13pm",
        "resets 3",
        "resets Oct",
        "resets Oct 45 at 5pm",
        "resets 3pm (Mars/Olympus)",
        "usage limit reached|12345",
    ] {
        assert_eq!(resolved(text), None, "{text}");
    }
}

#[test]
fn a_moment_is_found_with_its_day_and_zone() {
    for (text, at) in [
        ("resets 11pm (UTC)", "2026-11-29T23:00:00Z"),
        ("resets 3pm", "2026-11-29T14:00:00Z"),
        ("resets 15:45", "2026-11-29T14:45:00Z"),
        ("resets 8:30pm (Asia/Tokyo)", "2026-11-30T11:30:00Z"),
        (
            "Your limit will reset at 3pm (America/New_York).",
            "2026-11-29T20:00:00Z",
        ),
        (
            "resets 12:50am (America/Los_Angeles)",
            "2026-11-30T08:50:00Z",
        ),
        ("resets 12pm (UTC)", "2026-11-30T12:00:00Z"),
        // Past, so tomorrow.
        ("resets 2pm", "2026-11-30T13:00:00Z"),
        // Just past.
        ("resets 14:29", "2026-11-29T13:29:00Z"),
        ("resets Dec 9 at 5pm", "2026-12-09T16:00:00Z"),
        ("resets Dec 9, 5pm (UTC)", "2026-12-09T17:00:00Z"),
        ("resets Jan 2 at 9am", "2027-01-02T08:00:00Z"),
        ("resets Dec 1", "2026-11-30T23:00:00Z"),
        ("resets 9 December 17:00 UTC", "2026-12-09T17:00:00Z"),
        ("resets Mon 9am", "2026-11-30T08:00:00Z"),
        ("resets Sunday at 9am", "2026-12-06T08:00:00Z"),
        ("resets on Sunday at 9pm", "2026-11-29T20:00:00Z"),
        ("resets tomorrow at noon", "2026-11-30T11:00:00Z"),
        ("try again at 5:12 PM.", "2026-11-29T16:12:00Z"),
        ("try again at 5:12\u{202f}PM.", "2026-11-29T16:12:00Z"),
        (
            "try again at Jul 5th, 2027 8:19 PM.",
            "2027-07-05T18:19:00Z",
        ),
        ("Access resets at 10:57 PM GMT-3.", "2026-11-30T01:57:00Z"),
        ("resets at 10:57 p.m. UTC+05:30", "2026-11-29T17:27:00Z"),
        ("resets 9am PST", "2026-11-29T17:00:00Z"),
        ("try again at 2026-12-05T20:19:00Z", "2026-12-05T20:19:00Z"),
        (
            r#""resets_at":"2026-12-05 20:19:00+02:00""#,
            "2026-12-05T18:19:00Z",
        ),
        (
            r#""quotaResetTimeStamp": "2026-12-05T20:19:00.123Z""#,
            "2026-12-05T20:19:00Z",
        ),
        (
            "Retry-After: Wed, 02 Dec 2026 07:28:00 GMT",
            "2026-12-02T07:28:00Z",
        ),
        ("resets Dec 5 at 9am", "2026-12-05T08:00:00Z"),
        ("resets Oct 5 at 9am (UTC)", "2027-10-05T09:00:00Z"),
        (
            "resets at 11:30pm (America/New_York)",
            "2026-11-30T04:30:00Z",
        ),
        (
            "Daily limit reached. Try again tomorrow at 9am (UTC).",
            "2026-11-30T09:00:00Z",
        ),
        ("Try again tomorrow.", "2026-11-29T23:00:00Z"),
        ("please wait until 15:45", "2026-11-29T14:45:00Z"),
        ("x-ratelimit-reset: 1796000000", "2026-11-30T00:53:20Z"),
        (
            "anthropic-ratelimit-requests-reset: 2026-12-05T20:19:00Z",
            "2026-12-05T20:19:00Z",
        ),
        ("resets 1pm", "2026-11-30T12:00:00Z"),
        // It is half past two in Berlin.
        ("resets 2:29pm", "2026-11-29T13:29:00Z"),
        ("usage limit reached|1796000000", "2026-11-30T00:53:20Z"),
        (r#"{"resets_at":1796000000}"#, "2026-11-30T00:53:20Z"),
        (r#"{"resetsAt": 1796000000000}"#, "2026-11-30T00:53:20Z"),
    ] {
        assert_eq!(resolved(text).as_deref(), Some(at), "{text}");
    }
}

#[test]
fn a_moment_in_the_past_is_unknown() {
    for text in [
        "Claude AI usage limit reached|1760000000",
        "try again at Oct 14th, 2025 8:53 AM.",
        "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",
        "resets 2:25pm",
    ] {
        assert!(Reset::find(text).is_some(), "{text}");
        assert_eq!(resolved(text), None, "{text}");
    }
}

#[test]
fn a_daylight_saving_change_does_not_shift_a_reset() {
    let at = |text: &str, from: &str| {
        let at = Reset::find(text).and_then(|reset| reset.resolve(&now(from)));
        at.map(|at| at.to_string())
    };
    // In the night to 2026-10-25 the hour from two to three comes twice in Berlin.
    let evening = "2026-10-24T22:00:00+02:00[Europe/Berlin]";
    assert_eq!(
        at("resets 9am", evening).as_deref(),
        Some("2026-10-25T08:00:00Z")
    );
    assert_eq!(
        at(
            "resets 9am (America/New_York)",
            "2026-03-07T20:00:00-05:00[America/New_York]"
        )
        .as_deref(),
        Some("2026-03-08T13:00:00Z")
    );
}
