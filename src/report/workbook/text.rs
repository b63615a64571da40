//! Any text as one that a cell can hold.
//!
//! A cell holds 32,767 units of UTF-16. XML can't hold most control characters; each is replaced by its picture (`␀` for U+0000), so
//! that a reader sees that there was one.

use std::path::Path;

/// The most UTF-16 units of a cell.
pub const UNITS_MAX: usize = 32_767;

/// The text with visible control characters, and whether it was cut. A cut text ends with a pointer to `whole`, the file that has
/// all of it.
pub fn fit(text: &str, whole: &Path) -> (String, bool) {
    let text = replace_controls(text);
    let units = text.encode_utf16().count();
    if units <= UNITS_MAX {
        return (text, false);
    }
    let chars = text.chars().count();
    let end = format!("… [cut; all {chars} characters: {}]", whole.display());
    let end: String = end.chars().take(UNITS_MAX / 4).collect();
    let room = UNITS_MAX - end.encode_utf16().count();
    (first_units(&text, room).to_owned() + &end, true)
}

/// The longest beginning of `text` with at most `units` UTF-16 units.
fn first_units(text: &str, units: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > units
    });
    end.map_or(text, |(at, _)| &text[..at])
}

/// A line break is a line feed in a cell, so only a lone carriage return is shown.
fn replace_controls(text: &str) -> String {
    let needs_none = |c: char| matches!(c, '\t' | '\n') || (' '..'\u{fffe}').contains(&c);
    if text.chars().all(needs_none) {
        return text.to_owned();
    }
    let text = text.replace("\r\n", "\n");
    text.chars().map(visible).collect()
}

fn visible(c: char) -> char {
    match c {
        '\t' | '\n' => c,
        '\0'..' ' => char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(text: &str) -> (String, bool) {
        fit(text, Path::new("/runs/out.csv"))
    }

    #[test]
    fn control_characters_are_shown_and_line_breaks_kept() {
        let (text, cut) = fitted("a\0b\tc\r\nd\re\u{1b}[1m\u{ffff}😀");
        assert_eq!(text, "a␀b\tc\nd␍e␛[1m\u{fffd}😀");
        assert!(!cut);
    }

    #[test]
    fn a_long_text_is_cut_between_characters_with_a_pointer() {
        assert!(!fitted(&"a".repeat(UNITS_MAX)).1);
        for c in ["a", "é", "😀"] {
            let (text, cut) = fitted(&c.repeat(40_000));
            assert!(cut);
            let units = text.encode_utf16().count();
            assert!((UNITS_MAX - 1..=UNITS_MAX).contains(&units), "{units}");
            assert!(text.ends_with("… [cut; all 40000 characters: /runs/out.csv]"));
        }
    }
}
