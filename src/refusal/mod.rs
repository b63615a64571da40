//! What agents and the services behind them print instead of an answer: a limit, a used-up quota, a missing log-in, a
//! network that is down. And until when a limit holds, as far as the text says.
//!
//! Data and pure functions: the words are in `templates/limits/`, one file for each program, with examples that are the
//! tests. To be asked only about an attempt without a usable answer. Agents also print the code and the tests that they
//! work on, in which `overloaded`, `rate_limit` and `429` are common words; hence only the last 8 KiB count, and every
//! pattern asks for more than such a word. No clock here: a time of day becomes a moment in [`Reset::resolve`].

mod pattern;
mod reset;

pub use reset::Reset;

use crate::model::Fault;
use pattern::BOOK;
use serde_json::{Map, Value};

/// How much of the end of a text is looked at.
const TAIL_BYTES: usize = 8 * 1024;
/// A sentence of a program begins its line, behind a mark or two.
const LEAD_BYTES_MAX: usize = 24;

/// What a text says about the attempt that printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kept the agent from an answer.
    pub fault: Fault,
    /// When it is worth asking again, where the text says so.
    pub reset: Option<Reset>,
}

/// What `text`, the end of what a failed agent printed, tells of; nothing where it is an ordinary failure.
pub fn read(text: &str) -> Option<Refusal> {
    let text = tail(text);
    let fault = BOOK.find(text, |_| true)?;
    Some(Refusal {
        fault,
        reset: Reset::find(text),
    })
}

/// The same of an agent that ended well and left no answer. It may have talked about limits in prose, so the line has to
/// be the program's own: it begins with the sentence, or with the word `error`.
pub fn read_instead_of_answer(text: &str) -> Option<Refusal> {
    let text = tail(text);
    let found = text.lines().find_map(|line| {
        let is_error = is_error_line(line);
        BOOK.find(line, |place| {
            is_error || (place.is_alone && place.begins <= LEAD_BYTES_MAX)
        })
    })?;
    (found != Fault::Network).then(|| Refusal {
        fault: found,
        reset: Reset::find(text),
    })
}

/// What an object tells of that is no answer but the envelope of a failure: `{"type":"result","is_error":true,…}` of
/// claude, `turn.failed` of codex, the error body of a service.
pub fn read_envelope(object: &Map<String, Value>) -> Option<Refusal> {
    is_envelope(object)
        .then(|| Value::Object(object.clone()).to_string())
        .and_then(|text| read(&text))
}

fn is_envelope(object: &Map<String, Value>) -> bool {
    let kind = object.get("type").and_then(Value::as_str);
    let is_failed_result = kind == Some("result") && object.get("is_error") == Some(&true.into());
    let is_event = matches!(kind, Some("error" | "turn.failed"));
    let holds = |keys: &[&str]| object.keys().all(|key| keys.contains(&key.as_str()));
    let is_body = object.contains_key("error")
        && holds(&[
            "error",
            "type",
            "status",
            "code",
            "message",
            "request_id",
            "session_id",
        ]);
    is_failed_result || is_event || is_body
}

/// How to log in to what speaks in `text`.
pub fn log_in_advice(text: &str) -> &'static str {
    BOOK.log_in(tail(text))
}

fn is_error_line(line: &str) -> bool {
    let line = line.trim_start_matches(|c: char| !c.is_alphanumeric());
    let begins = |word: &str| {
        line.get(..word.len())
            .is_some_and(|lead| lead.eq_ignore_ascii_case(word))
    };
    [
        "error",
        "api error",
        "openai api error",
        "http",
        "fatal",
        "exception",
        "throttlingexception",
    ]
    .iter()
    .any(|word| begins(word))
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_end_of_a_text_counts() {
        let limit = "HTTP 429, retry-after: 5\n";
        let (short, long) = ("ä".repeat(4000), "ä".repeat(4100));
        assert!(read(&format!("{limit}{short}")).is_some());
        assert_eq!(read(&format!("{limit}{long}")), None);
    }

    #[test]
    fn instead_of_an_answer_the_line_has_to_be_the_programs_own() {
        let fault = |text: &str| read_instead_of_answer(text).map(|refusal| refusal.fault);
        for text in [
            "You've hit your limit · resets 11pm (UTC)",
            "working…\n■ You've hit your usage limit. Try again at 5:12 PM.\n",
            "Claude AI usage limit reached|1760000000",
            "5-hour limit reached ∙ resets 3pm",
        ] {
            assert_eq!(fault(text), Some(Fault::Quota), "{text}");
        }
        for text in [
            "API Error: 429 Too Many Requests",
            "API Error: Server is temporarily limiting requests (not your usage\n limit)",
            "Error: HTTP 529",
        ] {
            assert_eq!(fault(text), Some(Fault::RateLimit), "{text}");
        }
        assert_eq!(
            fault("Not logged in · Please run /login"),
            Some(Fault::LogIn)
        );
        for text in [
            "I added the limiter: a client that has hit its rate limit gets 429 Too Many Requests.",
            "Requests beyond it get HTTP 429 with retry-after: 5.",
            "The docs say what happens when you have reached your weekly limit: nothing.",
            "error: could not connect: ECONNREFUSED",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn an_envelope_of_a_failure_is_no_answer() {
        let fault = |text: &str| {
            let object: Map<String, Value> = serde_json::from_str(text).expect("an object");
            read_envelope(&object).map(|refusal| refusal.fault)
        };
        for text in [
            r#"{"type":"result","is_error":true,"result":"You've hit your limit · resets 3pm"}"#,
            r#"{"type":"turn.failed","error":{"message":"You've hit your usage limit."}}"#,
            r#"{"error":{"type":"usage_limit_reached","message":"x"}}"#,
        ] {
            assert_eq!(fault(text), Some(Fault::Quota), "{text}");
        }
        for text in [
            r#"{"type":"result","is_error":false,"result":"You've hit your limit"}"#,
            r#"{"answer":"You've hit your limit · resets 3pm"}"#,
            r#"{"error":"rate limit exceeded","answer":1}"#,
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_too_odd(text in "(429|529|rate|limit|resets|retry-after|try again (in|at)|[0-9.:]{1,4}|pm|ms|\\(|\\)|Oct|[ :=_-]|\\PC|\n){0,40}") {
            let now: jiff::Zoned = "2026-11-29T12:00:00+00:00[UTC]".parse().expect("a time");
            read_instead_of_answer(&text);
            if let Some(Refusal { reset: Some(reset), .. }) = read(&text) {
                reset.resolve(&now);
            }
            if let Some(reset) = Reset::find(&text) {
                reset.resolve(&now);
            }
        }
    }
}
