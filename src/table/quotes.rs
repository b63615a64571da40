//! Finds the quotes in the bytes of a record by the states of the `csv` parser, which does not report them.

use super::source::line_ends;
use memchr::{memchr, memchr2};

/// An opening quote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    /// Line ends before it.
    pub lines_before: u64,
    /// Its field, 1-based.
    pub column: usize,
}

/// The suspicious quotes of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quotes {
    /// A quote that is open at the end.
    pub unclosed: Option<Quote>,
    /// The first quote whose field has a line break.
    pub spanning: Option<Quote>,
    /// The first of these that is closed in the middle of a field, by a quote meant to open another one.
    pub stray: Option<Quote>,
    /// The first quote whose field is closed after a backslash, in the middle: `"say \"so\""`.
    pub escaped: Option<Quote>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted(Quote),
    /// After a quote in a quoted field, which closes the field unless another quote follows.
    Closing(Quote),
}

/// Scans the bytes of one record, after optional blank lines.
pub(super) fn find_quotes(raw: &[u8], delimiter: u8) -> Quotes {
    let mut found = Quotes::default();
    let mut state = State::FieldStart;
    let (mut lines, mut column) = (0, 1);
    let (mut spans, mut follows_backslash) = (false, false);
    let mut at = 0;
    while let Some(byte) = raw.get(at).copied() {
        if let State::Quoted(quote) = state {
            // Most of a record is in quotes, where nothing counts but a quote and line breaks.
            let rest = &raw[at..];
            let length = memchr(b'"', rest).unwrap_or(rest.len());
            let inside = &rest[..length];
            if memchr2(b'\n', b'\r', inside).is_some() {
                spans = true;
                found.spanning.get_or_insert(quote);
            }
            lines += line_ends(inside);
            at += length;
            if at < raw.len() {
                follows_backslash = raw[at - 1] == b'\\';
                state = State::Closing(quote);
                at += 1;
            }
            continue;
        }
        state = match state {
            State::FieldStart if byte == b'"' => {
                spans = false;
                State::Quoted(Quote {
                    lines_before: lines,
                    column,
                })
            }
            State::Closing(quote) if byte == b'"' => State::Quoted(quote),
            _ if byte == delimiter => {
                column += 1;
                State::FieldStart
            }
            _ if matches!(byte, b'\n' | b'\r') => State::FieldStart,
            State::Closing(quote) => {
                if spans {
                    found.stray.get_or_insert(quote);
                }
                if follows_backslash {
                    found.escaped.get_or_insert(quote);
                }
                State::Unquoted
            }
            State::FieldStart | State::Unquoted | State::Quoted(_) => State::Unquoted,
        };
        lines += u64::from(byte == b'\n');
        at += 1;
    }
    if let State::Quoted(quote) = state {
        found.unclosed = Some(quote);
    }
    found
}

/// Whether each line of a record looks like a row: `columns` fields if quotes are ignored, as when two stray quotes
/// enclose rows. A space after a delimiter is a sign of prose, not of rows.
pub(super) fn looks_like_rows(raw: &[u8], delimiter: u8, columns: usize) -> bool {
    let lines = raw.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut lines = lines.filter(|line| !line.is_empty()).peekable();
    let is_row = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == delimiter);
        let first = fields.next().is_some();
        let mut count = usize::from(first);
        fields.all(|field| {
            count += 1;
            !field.starts_with(b" ")
        }) && count == columns
    };
    columns > 1 && lines.peek().is_some() && lines.all(is_row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_within_a_cell_are_distinguished_from_prose() {
        for (raw, columns, is_rows) in [
            ("1,\"abc,x\n2,def,y\n3,ghi\",z\n", 3, true),
            ("\r\n1,\"abc,x\r\n2,def,y\r\n3,ghi\",z\r\n", 3, true),
            ("1,\"a\n2,b\"\n", 2, true),
            ("1,\"Look at this, please\nand that\"\n", 2, false),
            ("1,\"Look\nat this, please\"\n", 2, false),
            ("1,\"- one\n- two\"\n", 2, false),
            ("\"a\nb\"\n", 1, false),
            ("1,\"def f(a,b):\n  return a,b\"\n", 2, false),
        ] {
            assert_eq!(
                looks_like_rows(raw.as_bytes(), b',', columns),
                is_rows,
                "{raw}"
            );
        }
    }

    fn at(lines_before: u64, column: usize) -> Option<Quote> {
        Some(Quote {
            lines_before,
            column,
        })
    }

    #[test]
    fn quotes_are_found_where_the_parser_finds_them() {
        let find = |raw: &str| find_quotes(raw.as_bytes(), b',');
        for good in [
            "a,b\n",
            "a,\"b\"",
            "a,\"b \"\"c\"\"\"",
            "5\" pipe, \"x\n",
            "\"a\"b,c\n",
            "a,\"\"\n",
            "a,\"C:\\\",b\n",
            "a,\"C:\\\"\n",
            "a,\"\\\"\" b\"\n",
            "a,b \\\"c\\\"\n",
        ] {
            assert_eq!(find(good), Quotes::default(), "{good}");
        }
        assert_eq!(find("\n\na,\"x\nb\n").unclosed, at(2, 2));
        assert_eq!(find("\"a\nb\",\"c").unclosed, at(1, 2));
        let spanning = find("a,\"b\nc\",d\n");
        assert_eq!((spanning.unclosed, spanning.stray), (None, None));
        assert_eq!(spanning.spanning, at(0, 2));
        assert_eq!(find("a,\"x\nb,\"y\"\n").stray, at(0, 2));
        assert_eq!(find("a,\"b \\\"c\\\" d\"\n").escaped, at(0, 2));
        assert_eq!(find("\na,\"{\\\"b\\\", 1}\"\n").escaped, at(1, 2));
    }
}
