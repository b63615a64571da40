//! Finds YAML that a block may not use, by its offset in bytes: the parser accepts it silently, or refuses it without a place.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The offset of a parser error.
pub(super) fn place(error: &serde_yaml::Error) -> usize {
    error.location().map_or(0, |place| place.index())
}

/// The first character that YAML allows only as an escape.
pub(super) fn unprintable(text: &str) -> Option<(usize, char)> {
    let is_printable = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    };
    text.char_indices().find(|&(_, c)| !is_printable(c))
}

/// The opening bracket or brace after `count` others. Those in quotes are counted as well, because only the parser knows where
/// quotes end.
pub(super) fn bracket(text: &str, count: usize) -> Option<usize> {
    let mut brackets = text.match_indices(['[', '{']);
    brackets.nth(count).map(|(at, _)| at)
}

/// A directive at the start of the text. `%TAG` would define tags that [`anchor_alias_or_tag`] does not find.
pub(super) fn directive(text: &str) -> Option<usize> {
    let lines = text.split_inclusive('\n');
    let preamble: usize = lines.take_while(|line| is_blank(line)).map(str::len).sum();
    text[preamble..].starts_with('%').then_some(preamble)
}

/// The first anchor (`&name`), alias (`*name`) or tag (`!name`). A few lines of aliases can expand to gigabytes, and of
/// `&str is taken` or `!src/**` the parser would silently drop the first word.
///
/// The parser has no option for this, and a search of the text would also find the marks in quotes and literals. So each mark
/// is replaced by that of an alias, which has no meaning in quotes, and the parser reports the place of the unknown alias.
pub(super) fn anchor_alias_or_tag(text: &str) -> Option<usize> {
    if !text
        .match_indices(MARKS)
        .any(|(at, _)| may_begin(&text[..at]))
    {
        return None;
    }
    let aliased = text.replace(MARKS, "*");
    let error = serde_yaml::from_str::<IgnoredAny>(&aliased).err()?;
    let message = error.to_string();
    let is_alias =
        message.contains("unknown anchor") || message.contains("while scanning an alias");
    is_alias.then(|| place(&error))
}

/// What an anchor, an alias and a tag begin with.
const MARKS: [char; 3] = ['&', '*', '!'];

/// Whether a token of YAML may begin after `before`: none does within a word or a path, as in `src/**`.
fn may_begin(before: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '*');
    !before.ends_with(inside)
}

/// The end of the first document: a marker, or where the parser expects one.
pub(super) fn second_document(text: &str) -> usize {
    let mut has_begun = false;
    let is_in_first = |line: &&str| {
        let is_end = has_begun && is_document_marker(line);
        has_begun |= !is_blank(line);
        !is_end
    };
    let first = text.split_inclusive('\n').take_while(is_in_first);
    let marker: usize = first.map(str::len).sum();
    let second = serde_yaml::Deserializer::from_str(text).nth(1);
    let error = second.and_then(|second| IgnoredAny::deserialize(second).err());
    error.map_or(marker, |error| place(&error).min(marker))
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn is_document_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or(line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}
