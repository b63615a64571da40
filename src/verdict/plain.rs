//! A worker's output as plain text: decoded, without a byte-order mark and terminal escapes.
//!
//! Bytes that are not UTF-8 become U+FFFD, so that the rest can be read, and their positions are kept: an answer that
//! contains one is refused and never repaired.

use encoding_rs::Encoding;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

const ESC: u8 = 0x1B;
const BEL: u8 = 0x07;

/// A worker's text.
pub struct Plain<'b> {
    /// The text.
    pub text: Cow<'b, str>,
    /// Where bytes were replaced: the offset in the text, and in the bytes.
    replaced: Vec<(usize, usize)>,
    bytes: &'b [u8],
}

/// A byte that is not UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUtf8 {
    /// 0-based.
    pub offset: usize,
    /// Its value.
    pub byte: u8,
    /// 1-based.
    pub line: usize,
    /// 1-based, in bytes.
    pub column: usize,
}

impl NotUtf8 {
    /// The byte at `offset` of `bytes`.
    fn at(bytes: &[u8], offset: usize) -> Self {
        let before = &bytes[..offset];
        let line_start = before.iter().rposition(|byte| *byte == b'\n');
        Self {
            offset,
            byte: bytes.get(offset).copied().unwrap_or_default(),
            line: before.iter().filter(|byte| **byte == b'\n').count() + 1,
            column: offset - line_start.map_or(0, |at| at + 1) + 1,
        }
    }
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            byte,
            line,
            column,
        } = self;
        write!(
            f,
            "not valid UTF-8: byte 0x{byte:02X} at line {line} column {column} (byte offset {offset})"
        )
    }
}

/// Reads `bytes` as UTF-8, without a byte-order mark.
///
/// # Errors
/// The first byte that is not UTF-8.
pub fn strict(bytes: &[u8]) -> Result<&str, NotUtf8> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| NotUtf8::at(bytes, error.valid_up_to()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl<'b> Plain<'b> {
    /// Reads a worker's output.
    pub fn read(bytes: &'b [u8]) -> Self {
        if let Some(text) = utf16(bytes) {
            let text = Cow::Owned(without_escapes(text.as_bytes()).0);
            let replaced = Vec::new();
            return Self {
                text,
                replaced,
                bytes,
            };
        }
        let is_plain = !bytes.contains(&ESC);
        let (text, replaced) = match std::str::from_utf8(bytes) {
            Ok(text) if is_plain => (Cow::Borrowed(text), Vec::new()),
            _ => {
                let (text, replaced) = without_escapes(bytes);
                (Cow::Owned(text), replaced)
            }
        };
        let mut plain = Self {
            text,
            replaced,
            bytes,
        };
        plain.strip_byte_order_mark();
        plain
    }

    fn strip_byte_order_mark(&mut self) {
        let mark = '\u{feff}'.len_utf8();
        if !self.text.starts_with('\u{feff}') {
            return;
        }
        self.text = match std::mem::take(&mut self.text) {
            Cow::Borrowed(text) => Cow::Borrowed(&text[mark..]),
            Cow::Owned(text) => Cow::Owned(text[mark..].to_owned()),
        };
        for (at, _) in &mut self.replaced {
            *at -= mark;
        }
    }

    /// The first replaced byte in a range of the text.
    pub fn replaced_in(&self, range: &Range<usize>) -> Option<NotUtf8> {
        let first = self.replaced.partition_point(|(at, _)| *at < range.start);
        let (_, offset) = self.replaced.get(first).filter(|(at, _)| *at < range.end)?;
        Some(NotUtf8::at(self.bytes, *offset))
    }
}

/// Decodes UTF-16 with a byte-order mark, as shells of Windows write it. Every character of JSON syntax has a zero byte
/// in it; without a zero byte, the mark is two bytes that are not UTF-8.
fn utf16(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let (encoding, mark) = Encoding::for_bom(bytes)?;
    if encoding == encoding_rs::UTF_8 || !bytes.contains(&0) {
        return None;
    }
    encoding.decode_without_bom_handling_and_without_replacement(&bytes[mark..])
}

/// Removes terminal escapes. Returns the text and where bytes were replaced in it.
fn without_escapes(bytes: &[u8]) -> (String, Vec<(usize, usize)>) {
    let mut text = String::with_capacity(bytes.len());
    let mut replaced = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..].iter().position(|byte| *byte == ESC);
        let end = run.map_or(bytes.len(), |run| at + run);
        for chunk in bytes[at..end].utf8_chunks() {
            text.push_str(chunk.valid());
            at += chunk.valid().len();
            if !chunk.invalid().is_empty() {
                replaced.push((text.len(), at));
                text.push('\u{fffd}');
                at += chunk.invalid().len();
            }
        }
        at += escape_bytes(&bytes[end..]);
    }
    (text, replaced)
}

/// The length of the escape sequence at the start of `bytes` (ECMA-48); a malformed one ends at the fault.
fn escape_bytes(bytes: &[u8]) -> usize {
    let run = |from: usize, is_part: fn(&u8) -> bool| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| is_part(byte)).count()
    };
    let with_final = |at: usize, is_final: fn(&u8) -> bool| {
        at + usize::from(bytes.get(at).is_some_and(is_final))
    };
    let is_between: fn(&u8) -> bool = |byte| (0x20..=0x2F).contains(byte);
    match bytes.get(1) {
        None => bytes.len(),
        Some(b'[') => {
            let parameters = run(2, |byte| (0x30..=0x3F).contains(byte));
            with_final(run(parameters, is_between), |byte| {
                (0x40..=0x7E).contains(byte)
            })
        }
        // A string for the terminal, such as a title or a link, without line breaks.
        Some(b']' | b'P' | b'X' | b'^' | b'_') => {
            let end = run(2, |byte| !matches!(*byte, BEL | ESC | b'\n'));
            match bytes.get(end) {
                Some(&BEL) => end + 1,
                Some(&ESC) if bytes.get(end + 1) == Some(&b'\\') => end + 2,
                _ => end,
            }
        }
        // Character sets and similar: `ESC ( B`.
        Some(0x20..=0x2F) => with_final(run(1, is_between), |byte| (0x30..=0x7E).contains(byte)),
        Some(0x30..=0x7E) => 2,
        Some(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(bytes: &[u8]) -> String {
        Plain::read(bytes).text.into_owned()
    }

    #[test]
    fn only_marks_and_escapes_are_removed() {
        for (written, text) in [
            ("\u{feff}{}", "{}"),
            ("\x1b[?25h\x1b[32m{}\x1b[0m\r\n", "{}\r\n"),
            ("\x1b]0;a title\x07{}", "{}"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b(B{}\x1b7\x1b8\x1bc", "{}"),
            ("\x1bPq#0\x1b\\{}", "{}"),
            ("\x1b]never ended\n{}", "\n{}"),
            ("\x1b[3", ""),
            ("\x1b[1\u{e4}x", "\u{e4}x"),
            ("{}\x1b", "{}"),
            ("\x1b[0m\u{feff}{}", "{}"),
            ("a\u{feff}b", "a\u{feff}b"),
            ("[32m", "[32m"),
        ] {
            assert_eq!(plain(written.as_bytes()), text, "{written:?}");
        }
        assert_eq!(plain(b"\xff\xfe{\0}\0"), "{}");
        assert_eq!(plain(b"\xfe\xff\0{\0}"), "{}");
        assert_eq!(plain(b"\xff\xfe{\"n\":"), "\u{fffd}\u{fffd}{\"n\":");
    }

    #[test]
    fn invalid_bytes_are_reported_with_their_position() {
        let bytes = b"\x1b[1mlog \xe9\nab\xff\xffc";
        let plain = Plain::read(bytes);
        assert_eq!(plain.text, "log \u{fffd}\nab\u{fffd}\u{fffd}c");
        let all = 0..plain.text.len();
        let first = plain.replaced_in(&all).expect("a byte");
        assert_eq!(
            first.to_string(),
            "not valid UTF-8: byte 0xE9 at line 1 column 9 (byte offset 8)"
        );
        let second = plain.replaced_in(&(8..plain.text.len())).expect("a byte");
        assert_eq!((second.offset, second.line, second.column), (12, 2, 3));
        assert_eq!(plain.replaced_in(&(0..4)), None);
        // U+FFFD written by the worker itself is ordinary text.
        assert_eq!(
            Plain::read("\u{fffd}".as_bytes()).replaced_in(&(0..3)),
            None
        );
    }
}
