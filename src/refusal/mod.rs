//! Recognises what agents, their services and the machine print instead of an answer: a limit, a used-up quota, a missing
//! log-in, an account without credit, an unreachable network, a lack of memory; and when a limit ends, if the text says so.
//!
//! ```text
//! lines: the lines that count -> pattern: the fault that they name
//! reset: when it ends -> span, moment_text -> moment
//! ```
//!
//! Data and pure functions: the patterns are in `templates/limits/`, one file per program, one for services and one for the
//! machine, with examples that are tests.
//! Used only for attempts without a usable answer. Agents also print the code and tests that they work on, in which
//! `overloaded`, `rate_limit` and `429` are common words. Therefore only the last lines count, without those of test
//! runners and compilers ([`mod@lines`]), and every pattern requires more than such a word. Reads no clock: a time of day
//! becomes a moment in [`Reset::resolve`].

mod lines;
mod moment;
mod moment_text;
mod pattern;
mod reset;
mod span;

pub use moment::Reset;

use crate::model::Fault;
use lines::{end, is_error, is_markup, last_message, plain, without_tools};
use pattern::BUILT_IN;
use serde_json::{Map, Value};

/// A program's own sentence starts its line, after at most this many bytes of marks.
const LEAD_BYTES_MAX: usize = 24;

/// A refusal by the service or the account, found in an attempt's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why the agent gave no answer.
    pub fault: Fault,
    /// When to try again, if the text says so.
    pub reset: Option<Reset>,
}

impl Refusal {
    /// An account that names a reset time has a quota, not a lack of credit.
    fn new(fault: Fault, text: &str) -> Self {
        let reset = Reset::find(text);
        let fault = match fault {
            Fault::Credit if reset.is_some() => Fault::Quota,
            fault => fault,
        };
        Self { fault, reset }
    }
}

/// Finds a refusal in `text`, the end of a failed agent's output; `None` for an ordinary failure.
pub fn read(text: &str) -> Option<Refusal> {
    let text = plain(text);
    let text = end(&text);
    let fault = BUILT_IN.find(&without_tools(text), |_| true)?;
    Some(Refusal::new(fault, text))
}

/// Finds a refusal in the output of an agent that exited with 0 but gave no answer. It may mention limits in prose, so the
/// line must be the program's own: it starts with the sentence, or with the word `error`, or it is the envelope of a
/// failure at the end.
pub fn read_own_lines(text: &str) -> Option<Refusal> {
    let is_refusal = |fault: &Fault| !fault.is_outage();
    if let Some(refusal) = last_envelope(text).filter(|it| is_refusal(&it.fault)) {
        return Some(refusal);
    }
    let text = plain(text);
    let text = end(&text);
    let lines = without_tools(text);
    let own_lines = lines.lines().filter(|line| !is_markup(line));
    let fault = own_lines.filter_map(own_line_fault).find(is_refusal)?;
    Some(Refusal::new(fault, text))
}

/// The outage of the network or the machine that a program's last message in `text` reports.
pub fn outage(text: &str) -> Option<Fault> {
    let plain = plain(text);
    let line = without_tools(last_message(end(&plain)));
    let of_line = || own_line_fault(&line).filter(|_| !is_markup(&line));
    let fault = last_envelope(text).map(|it| it.fault).or_else(of_line)?;
    fault.is_outage().then_some(fault)
}

/// The refusal in a failure envelope that is the whole `text` or its last line.
fn last_envelope(text: &str) -> Option<Refusal> {
    let text = text.trim();
    let last = text.lines().next_back()?;
    [text, last].into_iter().find_map(|json| {
        let object = json.starts_with('{').then(|| serde_json::from_str(json));
        read_envelope(&object?.ok()?)
    })
}

/// The fault of a line that starts with the sentence, or with the word `error`.
fn own_line_fault(line: &str) -> Option<Fault> {
    let is_error = is_error(line);
    BUILT_IN.find(line, |place| {
        is_error || (place.is_alone && place.begins <= LEAD_BYTES_MAX)
    })
}

/// Finds a refusal in an object that is not an answer but the envelope of a failure: `{"type":"result","is_error":true,…}` of
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
    let is_empty = |value: &Value| value.is_null() || value == "";
    let holds = |keys: &[&str]| {
        let mut entries = object.iter();
        entries.all(|(key, value)| keys.contains(&key.as_str()) || is_empty(value))
    };
    let is_body = object.get("error").is_some_and(|error| !is_empty(error))
        && holds(&[
            "error",
            "type",
            "status",
            "code",
            "message",
            "request_id",
            "session_id",
        ]);
    // `{"statusCode":429,"message":"…"}` of a gateway.
    let status = ["statusCode", "status", "code"];
    let has_failed = |key: &str| {
        let number = object.get(key).and_then(Value::as_u64);
        number.is_some_and(|number| (400..600).contains(&number))
    };
    let is_from_gateway = status.into_iter().any(has_failed)
        && object.contains_key("message")
        && holds(&[
            "statusCode",
            "status",
            "code",
            "message",
            "error",
            "path",
            "timestamp",
        ]);
    is_failed_result || is_event || is_body || is_from_gateway
}

/// How to log in to the program that printed `text`.
pub fn log_in_advice(text: &str) -> &'static str {
    BUILT_IN.log_in(&without_tools(end(&plain(text))))
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
    fn without_an_answer_only_the_programs_own_lines_count() {
        let fault = |text: &str| read_own_lines(text).map(|refusal| refusal.fault);
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
    fn missing_credit_with_a_reset_time_is_a_quota() {
        let found = |text: &str| read(text).map(|it| (it.fault, it.reset.is_some()));
        let plan = "You exceeded your current quota, please check your plan and billing details.";
        for text in [
            plan,
            "Credit balance is too low",
            "Billing hard limit has been reached",
            r#"{"error":{"code":"insufficient_quota"}}"#,
        ] {
            assert_eq!(found(text), Some((Fault::Credit, false)), "{text}");
            let text = format!("{text} Please retry in 34.07s.");
            assert_eq!(found(&text), Some((Fault::Quota, true)), "{text}");
        }
    }

    #[test]
    fn an_outage_is_found_only_in_the_programs_last_message() {
        let stack = "TypeError: fetch failed\n    at node:internal/deps (undici:1:2) {\n  [cause]: x\n}\n\nNode.js v22.1.0";
        let heap = "<--- Last few GCs --->\n\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\n 1: 0xb8d0a3 node::OOMErrorHandler [node]\n 2: 0xf06250 v8 [node]\n";
        for (text, fault) in [
            ("API Error: Connection error.", Fault::Network),
            ("Error: connect ECONNREFUSED 127.0.0.1:443", Fault::Network),
            ("getaddrinfo ENOTFOUND api.x", Fault::Network),
            ("working\nfetch failed\n", Fault::Network),
            (stack, Fault::Network),
            (r#"{"error":{"message":"fetch failed"}}"#, Fault::Network),
            (heap, Fault::Memory),
            ("bash: fork: Cannot allocate memory", Fault::Memory),
            ("Traceback:\n  File \"a.py\"\nMemoryError", Fault::Memory),
        ] {
            assert_eq!(outage(text), Some(fault), "{text}");
        }
        for text in [
            "The client retries after ECONNREFUSED.",
            "- error: connect ECONNREFUSED is retried",
            "API Error: 429 Too Many Requests",
            "Error: connect ECONNREFUSED 127.0.0.1:5432\nthe test fails without a database; I mended it",
            "    except MemoryError:",
            "done",
        ] {
            assert_eq!(outage(text), None, "{text}");
        }
    }

    #[test]
    fn a_failure_envelope_is_not_an_answer() {
        let fault = |text: &str| {
            let object: Map<String, Value> = serde_json::from_str(text).expect("an object");
            read_envelope(&object).map(|refusal| refusal.fault)
        };
        for text in [
            r#"{"type":"result","is_error":true,"result":"You've hit your limit · resets 3pm"}"#,
            r#"{"type":"turn.failed","error":{"message":"You've hit your usage limit."}}"#,
            r#"{"error":{"type":"usage_limit_reached","message":"x"}}"#,
            r#"{"statusCode":429,"message":"quota exceeded"}"#,
            r#"{"session_id":"s","response":"","error":{"message":"You've hit your usage limit."}}"#,
        ] {
            assert_eq!(fault(text), Some(Fault::Quota), "{text}");
            let own = read_own_lines(&format!("working\n{text}\n"));
            assert_eq!(own.map(|it| it.fault), Some(Fault::Quota), "{text}");
        }
        for text in [
            r#"{"type":"result","is_error":false,"result":"You've hit your limit"}"#,
            r#"{"answer":"You've hit your limit · resets 3pm"}"#,
            r#"{"error":"rate limit exceeded","answer":1}"#,
            r#"{"code":7,"message":"quota exceeded"}"#,
            r#"{"code":429,"message":"quota exceeded","answer":1}"#,
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_text_can_be_read(text in "(429|529|rate|limit|resets|retry-after|try again (in|at)|[0-9.:]{1,4}|pm|ms|\\(|\\)|Oct|[ :=_-]|\\PC|\n){0,40}") {
            let now: jiff::Zoned = "2026-11-29T12:00:00+00:00[UTC]".parse().expect("a time");
            read_own_lines(&text);
            if let Some(Refusal { reset: Some(reset), .. }) = read(&text) {
                reset.resolve(&now);
            }
            if let Some(reset) = Reset::find(&text) {
                reset.resolve(&now);
            }
        }
    }
}
