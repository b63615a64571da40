//! Guesses the delimiter of a header that was read with another one.

use crate::model::shell_word;

/// The usual delimiters, most likely first.
const SEPARATORS: [char; 4] = [';', '\t', '|', ','];
/// Names of delimiters that are hard to type or to see.
const NAMES: [(&str, char); 5] = [
    ("tab", '\t'),
    ("comma", ','),
    ("semicolon", ';'),
    ("pipe", '|'),
    ("space", ' '),
];

/// A guessed delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probable {
    /// The delimiter.
    pub separator: char,
    /// Whether one of the wanted names becomes a column.
    pub gives_column: bool,
}

/// Guesses the delimiter of a header that was read with `delimiter`: of those in its names, the one that makes most of
/// the `wanted` names columns.
pub fn probable(header: &[String], delimiter: u8, wanted: &[&str]) -> Option<Probable> {
    let columns = |separator: char| {
        let names = header.iter().flat_map(|name| name.split(separator));
        let names: Vec<&str> = names.map(|name| name.trim_matches(['"', ' '])).collect();
        wanted.iter().filter(|name| names.contains(name)).count()
    };
    let is_present = |separator: &char| {
        u32::from(*separator) != u32::from(delimiter)
            && header.iter().any(|name| name.contains(*separator))
    };
    let found = SEPARATORS.into_iter().filter(is_present);
    // The first of several best ones.
    let best = found.rev().max_by_key(|separator| columns(*separator))?;
    Some(Probable {
        separator: best,
        gives_column: columns(best) > 0,
    })
}

/// A delimiter as shown in messages.
pub fn shown(separator: char) -> String {
    match separator {
        '\t' => "\\t".to_owned(),
        other => other.to_string(),
    }
}

/// The option that sets a delimiter, to paste.
pub fn option(separator: char) -> String {
    match separator {
        '\t' => "--delimiter tab".to_owned(),
        other => format!("--delimiter {}", shell_word(&other.to_string())),
    }
}

/// The delimiter in an option: one ASCII character, `\t`, or its name.
pub fn named(text: &str) -> Option<char> {
    let by_name = NAMES
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    match (by_name, text) {
        (Some((_, separator)), _) => Some(*separator),
        (None, "\\t") => Some('\t'),
        (None, text) => {
            let mut chars = text.chars();
            let only = chars.next().filter(|_| chars.next().is_none())?;
            (only.is_ascii() && !"\"\r\n\0".contains(only)).then_some(only)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_with_most_columns_is_guessed() {
        let found = |header: &[&str], delimiter, wanted: &[&str]| {
            let header: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
            probable(&header, delimiter, wanted).map(|found| (found.separator, found.gives_column))
        };
        assert_eq!(found(&["path;topic"], b',', &["path"]), Some((';', true)));
        assert_eq!(found(&["a;b\tpath"], b',', &["path"]), Some(('\t', true)));
        assert_eq!(found(&["a;b", "c"], b',', &["x"]), Some((';', false)));
        assert_eq!(found(&["a,b"], b';', &["b"]), Some((',', true)));
        assert_eq!(found(&["a", "b"], b',', &["x"]), None);
    }

    #[test]
    fn delimiters_have_names() {
        for (text, separator) in [
            ("tab", Some('\t')),
            ("TAB", Some('\t')),
            ("\\t", Some('\t')),
            ("\t", Some('\t')),
            ("semicolon", Some(';')),
            (";", Some(';')),
            ("space", Some(' ')),
            (";;", None),
            ("\"", None),
            ("ä", None),
            ("", None),
        ] {
            assert_eq!(named(text), separator, "{text:?}");
        }
        assert_eq!(option(';'), "--delimiter ';'");
        assert_eq!(option('\t'), "--delimiter tab");
        assert_eq!(option(','), "--delimiter ,");
    }
}
