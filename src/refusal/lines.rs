//! Selects the lines that may be a program's own messages: the last ones, without those of test runners and compilers.

use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::LazyLock;

/// How much of the end of a text is read,
const TAIL_BYTES: usize = 8 * 1024;
/// and how many lines that are neither blank nor of a stack trace: a failure, not the work before it.
const TAIL_LINES: usize = 30;
/// A retry message counts only in the last lines: otherwise the program continued.
const RETRY_LINES: usize = 3;

/// `text` without terminal escapes, which would split words.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    ESCAPES.replace_all(text, "")
}

/// The last lines of `text`.
pub(super) fn end(text: &str) -> &str {
    let mut from = text.len().saturating_sub(TAIL_BYTES);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let text = &text[from..];
    let is_blank = |line: &&str| line.trim().is_empty();
    let lines = text.split_inclusive('\n').rev();
    let mut visible = lines.filter(|line| !is_blank(line) && !STACK.is_match(line));
    let Some(first) = visible.nth(TAIL_LINES - 1) else {
        return text;
    };
    // Both point into the same text.
    let at = first.as_ptr() as usize - text.as_ptr() as usize;
    &text[at..]
}

/// `text` without lines about tests and sources, and without retries that were followed by other output.
pub(super) fn without_tools(text: &str) -> Cow<'_, str> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let late = lines.len().saturating_sub(RETRY_LINES);
    let is_kept = |(number, line): (usize, &&str)| {
        !TOOL.is_match(line) && (number >= late || !RETRY.is_match(line))
    };
    if lines.iter().enumerate().all(is_kept) {
        return text.into();
    }
    let kept = lines.iter().enumerate().filter(|line| is_kept(*line));
    let kept: Vec<&str> = kept.map(|(_, line)| *line).collect();
    kept.join("\n").into()
}

/// The last line that is not of a stack trace.
pub(super) fn last_message(text: &str) -> &str {
    let mut lines = text.lines().rev().filter(|line| !line.trim().is_empty());
    let line = lines.find(|line| !STACK.is_match(line));
    line.unwrap_or_default()
}

/// Whether a line is a list item, a heading or a quotation: part of an answer in prose.
pub(super) fn is_markup(line: &str) -> bool {
    let line = line.trim_start();
    let is_item = ["- ", "* ", "+ ", "> ", "#", "|", "`"];
    is_item.iter().any(|mark| line.starts_with(mark))
}

/// Whether a line starts like a program's error message: `Error:`, `x.y.ThrottlingException:`, `API Error (529`,
/// `429 Too Many Requests`.
pub(super) fn is_error(line: &str) -> bool {
    ERROR.is_match(line)
}

static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        "\x1b\\[[0-9;?]*[ -/]*[@-~]",
        "|\x1b\\][^\x07\x1b]*(\x07|\x1b\\\\)"
    ))
});

static TOOL: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^\s*(test |FAILED |PASSED |ok \d|not ok |--- (FAIL|PASS)|=== |E {2,})",
        r"|^\S+\.[a-z]{1,5}:\d+(:\d+)?: ",
        r"|\bassert(ion|ionerror|_\w+)?\b|\bpanicked at\b",
        r"|\bexpected\b.{0,80}\b(got|found|received|but was)\b",
    ))
});

/// Indented lines, closing brackets, and what Node.js, Go and shells print below an error.
static STACK: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^(\s{2}|\t|\s*\d+: 0x|-{3,}|\s*[}\])]+\W*$|node\.js v\d|aborted\b|goroutine \d|runtime stack:|exit status \d)",
        r"|^[\w./*()]+\(.*\)\s*$",
    ))
});

static RETRY: LazyLock<Regex> = LazyLock::new(|| regex(r"\bretr(ying|ied)\b"));

static ERROR: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^\W*(",
        r"(\w+ ){0,2}[\w.]*(error|exception)(\s*[:(\[]|\s+code\b|\s+\d{3}\b)",
        r"|(fatal|failed|curl|an error occurred)\s*[:(\[]",
        r"|http(/[\d.]+)?\s+[45]\d\d\b",
        r"|([\w.]+:\s+)?[45]\d\d\b",
        r")",
    ))
});

fn regex(source: &str) -> Regex {
    #[expect(
        clippy::unwrap_used,
        reason = "constants that the tests of this module compile"
    )]
    RegexBuilder::new(source)
        .case_insensitive(true)
        .build()
        .unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_bounded_in_bytes_and_in_lines() {
        let long = format!("first\n{}", "ä".repeat(5000));
        assert!(end(&long).len() <= TAIL_BYTES && end(&long).starts_with('ä'));
        let lines = |count: usize| "line\n\n".repeat(count);
        assert!(end(&format!("first\n{}", lines(TAIL_LINES - 1))).starts_with("first"));
        assert!(end(&format!("first\n{}", lines(TAIL_LINES))).starts_with("line"));
        assert_eq!(end(""), "");
    }

    #[test]
    fn lines_of_a_stack_trace_are_no_message() {
        let trace = "    at f (a.js:1:2)\n".repeat(TAIL_LINES);
        let text = format!("Error: x\n{trace}}}\n\nNode.js v22.1.0\n");
        assert_eq!((end(&text), last_message(&text)), (&*text, "Error: x"));
        let go = "fatal error: x\n\nruntime stack:\nruntime.throw({0x4, 0x1})\n\t/go/panic.go:1\n\ngoroutine 1 [running]:\nmain.main()\n\t/a.go:7\nexit status 2";
        assert_eq!(last_message(go), "fatal error: x");
        assert_eq!(last_message("a\nb (c)\n\n"), "b (c)");
    }

    #[test]
    fn lines_of_tools_are_left_out() {
        for line in [
            "test limits::quota_exceeded ... FAILED",
            "FAILED tests/test_quota.py::test_quota_exceeded",
            "src/quota.rs:12: error: quota exceeded is not handled",
            "thread 'main' panicked at src/a.rs:1:2: rate limit exceeded",
            "AssertionError: quota exceeded",
            "assert_eq!(status, 429)",
            "expected 401 Unauthorized, got 200 OK",
        ] {
            assert_eq!(without_tools(line), "", "{line}");
        }
        for line in [
            "Error: quota exceeded",
            "botocore.exceptions.ClientError: An error occurred (Throttling)",
            "exceeded retry limit, last status: 429 Too Many Requests",
            "retrying in 6h16m",
        ] {
            assert_eq!(without_tools(line), line);
        }
        let went_on = "429, retrying\na\nb\nc";
        assert_eq!(without_tools(went_on), "a\nb\nc");
    }

    #[test]
    fn an_error_message_is_recognised_by_its_start() {
        for line in [
            "Error: x",
            "✕ [API Error: x",
            "API Error (529 x",
            "openai.RateLimitError: Error code: 429",
            "ThrottlingException: x",
            "Error code: 429",
            "An error occurred (Throttling) when",
            "HTTP/1.1 429",
            "429 Too Many Requests",
            "google.api_core.exceptions.ResourceExhausted: 429 Resource has been exhausted",
            "curl: (22) x",
        ] {
            assert!(is_error(line), "{line}");
        }
        for line in [
            "Error handling: 429 is retried",
            "Errors: none",
            "The errors are mapped",
            "4290 rows",
            "I wrote it",
        ] {
            assert!(!is_error(line), "{line}");
        }
        assert!(is_markup("- Rate limit reached: a banner") && is_markup("# Limits"));
        assert!(!is_markup("■ You've hit your usage limit"));
    }
}
