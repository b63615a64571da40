//! The bytes of a learnings file -> its records and its bad lines.
//!
//! Pure, and never fails: an unreadable line is a [`BadLine`]. Blank lines are skipped.

use super::record::{Flaw, Record};
use std::fmt;

/// The content of a learnings file.
#[derive(Debug, Default)]
pub struct Contents<'a> {
    /// Its records, in file order.
    pub records: Vec<Record<'a>>,
    /// The unreadable lines, in file order.
    pub bad_lines: Vec<BadLine>,
}

/// An unreadable line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// 1-based.
    pub line: usize,
    /// What is wrong with it.
    pub flaw: Flaw,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match self.flaw {
            Flaw::Torn => write!(f, "line {line}: torn off, no line end"),
            Flaw::NotUtf8 => write!(f, "line {line}: not UTF-8"),
            Flaw::NotJson { column } => write!(f, "line {line}, column {column}: not JSON"),
            Flaw::NoLearning => write!(f, "line {line}: no object with a `learning`"),
        }
    }
}

impl<'a> Contents<'a> {
    /// Parses a whole file.
    pub fn parse(bytes: &'a [u8]) -> Self {
        let mut contents = Self::default();
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse_line(line) {
                Ok(record) => contents.records.push(record),
                Err(flaw) => contents.bad_lines.push(BadLine {
                    line: index + 1,
                    flaw,
                }),
            }
        }
        contents
    }
}

fn parse_line(line: &[u8]) -> Result<Record<'_>, Flaw> {
    // With the line end, the column of an error there would be in the next line.
    let text = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line));
    match text.map_err(|_| Flaw::NotUtf8).and_then(Record::parse) {
        // A whole line has a line end; an unreadable one without it was cut, perhaps within a character.
        Err(Flaw::NotUtf8 | Flaw::NotJson { .. }) if !line.ends_with(b"\n") => Err(Flaw::Torn),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
        let Contents { records, bad_lines } = Contents::parse(bytes);
        let learnings = records.iter().map(|record| record.learning().to_owned());
        let bad = bad_lines.iter().map(BadLine::to_string);
        (learnings.collect(), bad.collect())
    }

    #[test]
    fn bad_lines_are_reported_and_the_others_are_read() {
        let file = b"{\"learning\":\"a\"}\n\n{\"learning\":\"\xff\"}\n{\"learning\":}\n{\"learn\n[1]\n{\"status\":\"x\"}\n{\"learning\":\" \"}\n{\"learning\":7}\r\n \t\r\n{\"learning\":\"b\",\"new\":{}}\r\n{\"learning\":\"c";
        let (learnings, bad) = parsed(file);
        assert_eq!(learnings, ["a", "b"]);
        assert_eq!(
            bad,
            [
                "line 3: not UTF-8",
                "line 4, column 13: not JSON",
                "line 5, column 7: not JSON",
                "line 6: no object with a `learning`",
                "line 7: no object with a `learning`",
                "line 8: no object with a `learning`",
                "line 9: no object with a `learning`",
                "line 12: torn off, no line end"
            ]
        );
    }

    #[test]
    fn a_last_line_without_its_end_is_torn_unless_it_is_json() {
        let whole = "{\"learning\":\"é\"}".as_bytes();
        assert_eq!(parsed(whole), (vec!["é".to_owned()], vec![]));
        for end in 1..whole.len() {
            let torn = vec!["line 1: torn off, no line end".to_owned()];
            assert_eq!(parsed(&whole[..end]), (vec![], torn), "{end} bytes");
        }
        assert_eq!(parsed(b""), (vec![], vec![]));
    }

    #[test]
    fn deeply_nested_json_is_a_bad_line() {
        let deep = format!("{}\n{{\"learning\":\"a\"}}\n", "[".repeat(1_000_000));
        assert_eq!(parsed(deep.as_bytes()).0, ["a"]);
    }
}
