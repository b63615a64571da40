//! Text for messages: one line, bounded, without control characters; or a word of a command to paste.

/// The most characters that are kept.
const CHARS_MAX: usize = 300;

/// `text` as one line of at most 300 characters. [Hidden](is_hidden) characters become U+FFFD, so that text of a worker
/// or a cell can't move the cursor, change colours, reverse a line or break a table.
pub fn one_line(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// Like [`one_line`], without the limit.
pub fn visible(text: &str) -> String {
    let shown = |c: char| if is_hidden(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// `1 row`, `2 rows`: a number with a noun whose plural ends in `s`.
pub fn counted(number: u64, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        _ => format!("{number} {thing}s"),
    }
}

/// A duration in milliseconds: `0.25s`, `45s`, `9m45s`, `1h02m03s`.
pub fn span(ms: u64) -> String {
    if ms < 10_000 {
        return format!("{}s", (ms / 10 * 10) as f64 / 1000.0);
    }
    let all = ms.saturating_add(500) / 1000;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

/// Whether a terminal acts on `c` instead of showing it: controls (C0, DEL, C1), line and paragraph separators,
/// bidirectional controls, and the noncharacters that [`cli`](crate::cli) uses to mark colours.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
}

/// Replaces hidden characters in text of several lines; keeps line breaks and tabs.
pub fn visible_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| {
            if is_hidden(c) && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Escapes hidden characters in JSON as `\u202e`; keeps the line breaks between values. The value is the same.
pub fn visible_json(json: &str) -> String {
    escaped(json, |c| c == '\n')
}

/// Escapes hidden characters as `\u202e` in text that programs read; keeps line breaks and tabs.
pub fn escaped_lines(text: &str) -> String {
    escaped(text, |c| c == '\n' || c == '\t')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match is_hidden(c) && !stays(c) {
            // All of them are in the basic multilingual plane.
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    escaped
}

/// `code: text`, with the code once, however often the text starts with it; the code alone if there is no text.
pub fn with_code(code: &str, text: &str) -> String {
    let mut rest = text.trim();
    while let Some(more) = rest.strip_prefix(code) {
        match more.strip_prefix(':') {
            Some(more) => rest = more.trim_start(),
            None if more.is_empty() => rest = more,
            None => break,
        }
    }
    match rest {
        "" => code.to_owned(),
        rest => format!("{code}: {rest}"),
    }
}

/// `text` as a word to paste into a shell: unchanged if safe, else in single quotes.
pub fn shell_word(text: &str) -> String {
    let is_safe = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
    if !text.is_empty() && text.chars().all(is_safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_by_magnitude() {
        let cases = [
            0,
            255,
            9_999,
            10_400,
            59_600,
            585_000,
            3_723_000,
            360_000_000,
        ];
        assert_eq!(
            cases.map(span),
            [
                "0s",
                "0.25s",
                "9.99s",
                "10s",
                "1m00s",
                "9m45s",
                "1h02m03s",
                "100h00m00s"
            ]
        );
    }

    #[test]
    fn escapes_and_line_breaks_become_visible() {
        assert_eq!(one_line("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(one_line(&"x".repeat(400)).chars().count(), 301);
        let odd = "\u{7f}\u{9b}\u{202e}\u{2066}\u{2028}\u{fdd1}";
        assert_eq!(visible(odd), "\u{fffd}".repeat(6));
        assert_eq!(
            visible("\u{5d0}\u{200f}é\u{1f600}"),
            "\u{5d0}\u{200f}é\u{1f600}"
        );
        assert_eq!(visible_lines("a\r\n\tb\rc"), "a\n\tb\u{fffd}c");
    }

    #[test]
    fn a_code_appears_once() {
        assert_eq!(
            with_code("timeout", "timeout: timeout: after 1s"),
            "timeout: after 1s"
        );
        assert_eq!(with_code("worker_exit", "worker_exit"), "worker_exit");
        assert_eq!(with_code("timeout", "timeouts: 3"), "timeout: timeouts: 3");
        assert_eq!(with_code("no_response", ""), "no_response");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({"a\u{202e}": "\u{9b}31m\u{7f}\t\u{1b}", "b": 1});
        let shown = visible_json(&value.to_string());
        assert!(!shown.chars().any(is_hidden), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"),
            value
        );
        assert_eq!(escaped_lines("a\tb\u{202e}\n"), "a\tb\\u202e\n");
    }

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        assert_eq!(
            shell_word(".step/st-plan.jsonl.lock"),
            ".step/st-plan.jsonl.lock"
        );
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
    }
}
