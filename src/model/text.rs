//! Text on its way into a message: one line, bounded, without control characters; or a word of a command to paste.

/// The most characters that are kept.
const CHARS_MAX: usize = 300;

/// `text` as one line of at most 300 characters; control characters become U+FFFD, so that nothing a worker or a
/// cell says can move a cursor, change a colour or break a table.
pub fn one_line(text: &str) -> String {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => visible(&text[..end]) + "…",
        None => visible(text),
    }
}

/// The same without the bound, for text that is shown as a whole.
pub fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// `text` as a person can paste it into a shell: as it is where that is safe, else in single quotes.
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
    fn escapes_and_line_breaks_become_visible() {
        assert_eq!(one_line("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(one_line(&"x".repeat(400)).chars().count(), 301);
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
