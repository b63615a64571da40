//! What is YAML but not wanted in a block, and where in its text it stands, in bytes.
//!
//! The parser takes these in silence, or refuses them without saying where. Nothing here knows what
//! a block means.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Where the parser found fault.
pub(super) fn place(error: &serde_yaml::Error) -> usize {
    error.location().map_or(0, |place| place.index())
}

/// The first character that may stand in YAML only as an escape.
pub(super) fn unprintable(text: &str) -> Option<(usize, char)> {
    let is_printable = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    };
    text.char_indices().find(|&(_, c)| !is_printable(c))
}

/// Where the bracket or brace stands that opens after `count` others. Those inside quotes are
/// counted as well, because where quotes end is for the parser to say.
pub(super) fn bracket(text: &str, count: usize) -> Option<usize> {
    let mut brackets = text.match_indices(['[', '{']);
    brackets.nth(count).map(|(at, _)| at)
}

/// Where the text opens with a directive. `%TAG` would give tags names that
/// [`anchor_alias_or_tag`] does not see.
pub(super) fn directive(text: &str) -> Option<usize> {
    let lines = text.split_inclusive('\n');
    let preamble: usize = lines
        .take_while(|line| says_nothing(line))
        .map(str::len)
        .sum();
    text[preamble..].starts_with('%').then_some(preamble)
}

/// Where the first anchor (`&name`), alias (`*name`) or tag (`!name`) stands. A few lines of
/// aliases can stand for gigabytes, and of `&str is taken` or `!src/**` the parser would silently
/// drop the first word.
///
/// The parser has no switch for it, and looking for the marks in the text would also find those
/// inside quotes and literals. So each is turned into that of an alias: elsewhere it means as
/// little as before, and the parser itself says where there is now an alias to nothing.
pub(super) fn anchor_alias_or_tag(text: &str) -> Option<usize> {
    let aliased = text.replace(['&', '!'], "*");
    if !aliased.contains('*') {
        return None;
    }
    let error = serde_yaml::from_str::<IgnoredAny>(&aliased).err()?;
    let said = error.to_string();
    let is_alias = said.contains("unknown anchor") || said.contains("while scanning an alias");
    is_alias.then(|| place(&error))
}

/// Where the first document is over: at a marker, or where the parser expects one.
pub(super) fn second_document(text: &str) -> usize {
    let mut has_begun = false;
    let is_in_first = |line: &&str| {
        let ends_it = has_begun && is_document_marker(line);
        has_begun |= !says_nothing(line);
        !ends_it
    };
    let first = text.split_inclusive('\n').take_while(is_in_first);
    let marker: usize = first.map(str::len).sum();
    let second = serde_yaml::Deserializer::from_str(text).nth(1);
    let error = second.and_then(|second| IgnoredAny::deserialize(second).err());
    error.map_or(marker, |error| place(&error).min(marker))
}

fn says_nothing(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn is_document_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or(line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
