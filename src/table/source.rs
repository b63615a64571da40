//! The bytes of a CSV file as UTF-8, from any encoding, with the positions that messages need.
//!
//! UTF-8 is passed through and checked later, field by field; other encodings are decoded in chunks. The bytes of the
//! current record are kept and the lines before it counted, so that an error has its line without reading the file
//! again. The size of a record is limited: a file without line ends would otherwise be held in memory as a whole.

use super::error::{RECORD_BYTES_MAX, TableError, io_error};
use crate::platform::retry_interrupted;
pub use encoding_rs::Encoding;
use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE};
use memchr::memchr_iter;
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::io::{Chain, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

/// The size of one read.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// How much of a file is examined to detect its format.
const LOOK_BYTES: usize = 4096;
/// The longest `sep=` line: some programs pad it to the width of the table, like a row.
const SEP_LINE_BYTES_MAX: usize = 1024;

/// The encoding with a name, in the spelling of the web (`windows-1252`, `latin1`, `shift_jis`) or close to it.
pub fn encoding_named(name: &str) -> Option<&'static Encoding> {
    let spellings = [
        name.to_owned(),
        name.replace('_', "-"),
        name.replace(['-', '_'], ""),
    ];
    let found = spellings
        .iter()
        .find_map(|name| Encoding::for_label(name.as_bytes()));
    // The web decodes some only to replacement characters.
    found.filter(|encoding| *encoding != encoding_rs::REPLACEMENT)
}

/// Files that are often mistaken for CSV, by their first bytes.
const NO_TEXT: [(&[u8], &str, &str); 6] = [
    (
        b"PK\x03\x04",
        "a workbook (.xlsx) or an archive",
        "save it from the spreadsheet program as \"CSV UTF-8 (comma delimited)\"",
    ),
    (
        b"\xD0\xCF\x11\xE0",
        "a workbook (.xls)",
        "save it from the spreadsheet program as \"CSV UTF-8 (comma delimited)\"",
    ),
    (
        b"\x1F\x8B",
        "compressed (gzip)",
        "unpack it: gunzip -k FILE",
    ),
    (
        b"\x28\xB5\x2F\xFD",
        "compressed (zstd)",
        "unpack it: unzstd FILE",
    ),
    (
        b"\xFF\xFE\x00\x00",
        "UTF-32",
        "convert it: iconv -f UTF-32 -t UTF-8 FILE > utf8.csv",
    ),
    (
        b"\x00\x00\xFE\xFF",
        "UTF-32",
        "convert it: iconv -f UTF-32 -t UTF-8 FILE > utf8.csv",
    ),
];

/// Bytes that could not be decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Undecodable {
    /// 1-based.
    pub line: u64,
    /// The name of the encoding.
    pub encoding: &'static str,
}

/// The bytes of a file.
pub(super) struct Source {
    raw: Chain<Cursor<Vec<u8>>, File>,
    decoding: Option<Decoding>,
    /// Bytes read to find a `sep=` line, to be returned first.
    front: Vec<u8>,
    /// The bytes of the file that are not returned: a byte-order mark and a `sep=` line.
    skipped: u64,
    undecodable: Option<Undecodable>,
    /// The bytes from the current record on.
    kept: Vec<u8>,
    /// The offset of `kept` in the returned bytes.
    kept_from: u64,
    /// Line ends before `kept`.
    lines_before: u64,
    /// The offset within `kept` whose line was asked for last, and the line ends from `kept_from` to it: records are asked for in
    /// their order, and counting all of them each time would take longer the more are kept.
    counted: Cell<(u64, u64)>,
    given: u64,
    begin: u64,
}

impl Source {
    /// Opens `path`. Also returns the delimiter of a `sep=` line.
    pub fn open(
        path: &Path,
        name: &Path,
        encoding: Option<&'static Encoding>,
    ) -> Result<(Self, Option<u8>), TableError> {
        let failed = |source| io_error(name, source);
        let mut file = File::open(path).map_err(failed)?;
        let mut head = Vec::new();
        let look = &mut (&mut file).take(LOOK_BYTES as u64);
        look.read_to_end(&mut head).map_err(failed)?;
        let looked = head.len();
        let encoding = encoding_of(&mut head, name, encoding)?;
        let skipped = (looked - head.len()) as u64;
        let mut source = Self {
            raw: Cursor::new(head).chain(file),
            decoding: (encoding != UTF_8).then(|| Decoding::new(encoding)),
            front: Vec::new(),
            skipped,
            undecodable: None,
            kept: Vec::new(),
            kept_from: 0,
            lines_before: 0,
            counted: Cell::default(),
            given: 0,
            begin: 0,
        };
        let separator = source.separator().map_err(failed)?;
        Ok((source, separator))
    }

    /// Marks the start of a record; earlier bytes may be dropped.
    pub fn begin_record(&mut self, begin: u64) {
        self.begin = begin;
    }

    /// Whether the record has reached the size limit.
    pub fn is_full(&self) -> bool {
        self.given >= self.begin.saturating_add(RECORD_BYTES_MAX)
    }

    /// The bytes that could not be decoded, if any.
    pub fn undecodable(&self) -> Option<Undecodable> {
        self.undecodable
    }

    /// The kept bytes in a range of the returned bytes.
    pub fn raw(&self, begin: u64, end: u64) -> &[u8] {
        let place = |offset: u64| {
            let place = usize::try_from(offset.saturating_sub(self.kept_from));
            place.map_or(self.kept.len(), |place| place.min(self.kept.len()))
        };
        let begin = place(begin);
        &self.kept[begin..place(end).max(begin)]
    }

    /// The line of a kept byte.
    pub fn line_at(&self, offset: u64) -> u64 {
        let offset = offset.min(self.kept_from + self.kept.len() as u64);
        let (from, lines) = match self.counted.get() {
            (from, lines) if (self.kept_from..=offset).contains(&from) => (from, lines),
            _ => (self.kept_from, 0),
        };
        let lines = lines + line_ends(self.raw(from, offset));
        self.counted.set((offset, lines));
        self.lines_before + 1 + lines
    }

    /// Whether the returned bytes are those of the file, so that an offset in them is one in the file.
    pub fn is_plain(&self) -> bool {
        self.decoding.is_none()
    }

    /// Continues at `offset` of the returned bytes, before which there are `lines` line ends.
    pub fn jump(&mut self, offset: u64, lines: u64) {
        self.lines_before = lines;
        self.counted.take();
        (self.kept_from, self.begin, self.given) = (offset, offset, offset);
    }

    fn separator(&mut self) -> io::Result<Option<u8>> {
        let mut chunk = [0; 64];
        while self.front.len() < SEP_LINE_BYTES_MAX {
            let mut length = 0;
            if self.undecodable.is_none() {
                length = self.fill(&mut chunk)?;
            }
            if length == 0 {
                break;
            }
            self.front.extend_from_slice(&chunk[..length]);
        }
        let Some((separator, length)) = sep_line(&self.front) else {
            return Ok(None);
        };
        self.front.drain(..length);
        self.skipped += length as u64;
        self.lines_before = 1;
        Ok(Some(separator))
    }

    fn forget(&mut self) {
        let done = usize::try_from(self.begin - self.kept_from).unwrap_or_default();
        let done = done.min(self.kept.len());
        let from = self.kept_from + done as u64;
        self.lines_before = self.line_at(from) - 1;
        self.kept.drain(..done);
        self.kept_from = from;
        self.counted.take();
    }

    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(decoding) = &mut self.decoding else {
            return retry_interrupted(|| self.raw.read(buffer));
        };
        let length = decoding.fill(&mut self.raw, buffer)?;
        if length == 0 && decoding.is_broken {
            self.undecodable = Some(Undecodable {
                line: self.lines_before + 1 + line_ends(&self.kept) + line_ends(&self.front),
                encoding: decoding.encoding.name(),
            });
        }
        Ok(length)
    }
}

/// Only from the start, in the returned bytes of a plain file; [`Source::jump`] must follow.
impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(offset) = to else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let (_, file) = self.raw.get_mut();
        file.seek(SeekFrom::Start(self.skipped + offset))?;
        let (head, _) = self.raw.get_mut();
        head.set_position(head.get_ref().len() as u64);
        self.front.clear();
        self.kept.clear();
        Ok(offset)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_full() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.forget();
        let length = match self.front.len() {
            0 => self.fill(buffer)?,
            front => {
                let length = front.min(buffer.len());
                buffer[..length].copy_from_slice(&self.front[..length]);
                self.front.drain(..length);
                length
            }
        };
        if self.undecodable.is_some() && length == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.kept.extend_from_slice(&buffer[..length]);
        self.given += length as u64;
        Ok(length)
    }
}

/// Decodes bytes to UTF-8.
struct Decoding {
    encoding: &'static Encoding,
    decoder: Decoder,
    chunk: Vec<u8>,
    from: usize,
    is_at_end: bool,
    /// The decoder has finished and must not be called again.
    is_done: bool,
    /// The next bytes can't be decoded.
    is_broken: bool,
}

impl Decoding {
    fn new(encoding: &'static Encoding) -> Self {
        Self {
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            chunk: Vec::new(),
            from: 0,
            is_at_end: false,
            is_done: false,
            is_broken: false,
        }
    }

    fn fill(&mut self, raw: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.is_broken && !self.is_done {
            if self.from == self.chunk.len() && !self.is_at_end {
                self.refill(raw)?;
            }
            let source = &self.chunk[self.from..];
            let (result, read, written) =
                self.decoder
                    .decode_to_utf8_without_replacement(source, buffer, self.is_at_end);
            self.from += read;
            self.is_broken = matches!(result, DecoderResult::Malformed(..));
            let written = self.decodable_length(&buffer[..written]);
            self.is_done = self.is_at_end && matches!(result, DecoderResult::InputEmpty);
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }

    fn refill(&mut self, raw: &mut impl Read) -> io::Result<()> {
        self.chunk.resize(CHUNK_BYTES, 0);
        self.from = 0;
        let length = retry_interrupted(|| raw.read(&mut self.chunk))?;
        self.chunk.truncate(length);
        self.is_at_end = length == 0;
        Ok(())
    }

    /// Windows code pages have bytes without a character; the web's tables map them to control characters, which are
    /// never intended.
    fn decodable_length(&mut self, text: &[u8]) -> usize {
        if !self.encoding.name().starts_with("windows-") {
            return text.len();
        }
        let is_control = |pair: &[u8]| pair[0] == 0xC2 && pair[1] < 0xA0;
        match text.windows(2).position(is_control) {
            Some(end) => {
                self.is_broken = true;
                end
            }
            None => text.len(),
        }
    }
}

/// The encoding of a file: by its byte-order mark, else the given one, else UTF-8. Removes the mark.
fn encoding_of(
    head: &mut Vec<u8>,
    name: &Path,
    asked: Option<&'static Encoding>,
) -> Result<&'static Encoding, TableError> {
    let path = || name.to_owned();
    let no_text = NO_TEXT.iter().find(|(begin, ..)| head.starts_with(begin));
    if let Some((_, what, hint)) = no_text {
        return Err(TableError::NoText {
            path: path(),
            what,
            hint,
        });
    }
    if let Some((encoding, mark)) = Encoding::for_bom(head) {
        head.drain(..mark);
        return Ok(encoding);
    }
    let order = byte_order(head);
    match (asked, order) {
        (None, Some(encoding)) => Err(TableError::Utf16 {
            path: path(),
            encoding: encoding.name(),
        }),
        // `utf-16` does not name a byte order.
        (Some(asked), Some(order)) if asked == UTF_16LE || asked == UTF_16BE => Ok(order),
        (asked, _) => Ok(asked.unwrap_or(UTF_8)),
    }
}

/// The byte order of UTF-16 without a mark: in text of any language, line ends and delimiters have a zero byte on one
/// side.
fn byte_order(head: &[u8]) -> Option<&'static Encoding> {
    let zeros = |side: usize| {
        let bytes = head.iter().skip(side).step_by(2);
        bytes.filter(|byte| **byte == 0).count()
    };
    // Some other characters have a zero byte on the other side.
    let (high, low) = (zeros(0), zeros(1));
    let is_plain = |many: usize, few: usize| many * 8 >= head.len() && many > few * 4;
    match (is_plain(low, high), is_plain(high, low)) {
        (true, _) => Some(UTF_16LE),
        (_, true) => Some(UTF_16BE),
        _ => None,
    }
}

/// The delimiter in a first line `sep=;` or `"sep=;"`, and the length of that line.
fn sep_line(front: &[u8]) -> Option<(u8, usize)> {
    let end = front.iter().position(|byte| *byte == b'\n');
    if end.is_none() && front.len() >= SEP_LINE_BYTES_MAX {
        return None;
    }
    let line = &front[..end.unwrap_or(front.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let bare = line.strip_prefix(b"\"");
    let (name, value) = bare.unwrap_or(line).split_at_checked(4)?;
    let (separator, padding) = value.split_first()?;
    let padding = match bare {
        Some(_) => padding.strip_prefix(b"\"")?,
        None => padding,
    };
    let is_padding = |byte: &u8| byte == separator || matches!(byte, b' ' | b'\t');
    let is_named = name.eq_ignore_ascii_case(b"sep=")
        && separator.is_ascii()
        && !b"\"\r\n".contains(separator)
        && padding.iter().all(is_padding);
    is_named.then(|| (*separator, end.map_or(front.len(), |end| end + 1)))
}

pub(super) fn line_ends(bytes: &[u8]) -> u64 {
    memchr_iter(b'\n', bytes).count() as u64
}
