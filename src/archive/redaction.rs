//! A file of a run without its secrets, in a temporary file, since an archive names the size of a member before its content.

use super::error::ArchiveError;
use crate::platform::Hashed;
use crate::redact::{Cut, Redactor};
use serde_json::Value;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::Path;

/// Other files are read in blocks of about this size, which end with a line.
const BLOCK_BYTES: usize = 4 << 20;

/// What is put into the archive.
pub struct Clean {
    /// At its beginning.
    pub file: File,
    pub bytes: u64,
    pub sha256: String,
    pub has_changed: bool,
}

/// Redacts the file at `path`.
pub fn clean(path: &Path, redactor: &Redactor) -> Result<Clean, ArchiveError> {
    let from = File::open(path).map_err(ArchiveError::read(path))?;
    let mut file = tempfile::tempfile().map_err(ArchiveError::Write)?;
    let mut out = Hashed::new(BufWriter::new(&mut file));
    let mut from = BufReader::with_capacity(1 << 16, from);
    let mut has_changed = false;
    let is_ledger = path
        .extension()
        .is_some_and(|extension| extension == "jsonl");
    let mut block = Vec::new();
    let mut is_first = true;
    loop {
        block.clear();
        let more = match is_ledger {
            true => read_line(&mut from, &mut block),
            false => read_block(&mut from, &mut block),
        };
        let has_more = more.map_err(ArchiveError::read(path))?;
        let clean = match is_ledger {
            // A torn last line was not recorded.
            true if !block.ends_with(b"\n") => break,
            true => clean_line(&block, redactor),
            false if block.is_empty() => break,
            false => redactor.redact_bytes(
                &block,
                Cut {
                    head: !is_first,
                    tail: has_more,
                },
            ),
        };
        is_first = false;
        has_changed |= matches!(clean, Cow::Owned(_));
        out.write_all(&clean).map_err(ArchiveError::Write)?;
    }
    out.flush().map_err(ArchiveError::Write)?;
    let sha256 = out.sha256();
    let bytes = file.stream_position().map_err(ArchiveError::Write)?;
    file.rewind().map_err(ArchiveError::Write)?;
    Ok(Clean {
        file,
        bytes,
        sha256,
        has_changed,
    })
}

/// A line with its end; the last one may have none.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    Ok(from.read_until(b'\n', line)? > 0)
}

/// Whole lines of [`BLOCK_BYTES`] together, or the rest; `true` if more follow. A line that is longer is cut.
fn read_block(from: &mut impl BufRead, block: &mut Vec<u8>) -> io::Result<bool> {
    while block.len() < BLOCK_BYTES {
        let room = (2 * BLOCK_BYTES - block.len()) as u64;
        if io::Read::take(&mut *from, room).read_until(b'\n', block)? == 0 {
            break;
        }
    }
    Ok(!from.fill_buf()?.is_empty())
}

/// An event is redacted value by value, so that it stays JSON.
fn clean_line<'l>(line: &'l [u8], redactor: &Redactor) -> Cow<'l, [u8]> {
    let Ok(mut event) = serde_json::from_slice::<Value>(line) else {
        return redactor.redact_bytes(line, Cut::default());
    };
    if redactor.redact_json(&mut event).is_empty() {
        return Cow::Borrowed(line);
    }
    let mut clean = event.to_string().into_bytes();
    clean.push(b'\n');
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn redactor() -> Redactor {
        let variables = [("API_KEY".to_owned(), "s3cret-value\"1".to_owned())];
        Redactor::new(variables)
    }

    fn cleaned(name: &str, content: &str) -> (String, bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        let mut clean = clean(&path, &redactor()).expect("clean");
        let mut text = String::new();
        clean.file.read_to_string(&mut text).expect("text");
        assert_eq!(clean.bytes, text.len() as u64);
        assert_eq!(
            clean.sha256,
            crate::platform::sha256_of_bytes(text.as_bytes())
        );
        (text, clean.has_changed)
    }

    #[test]
    fn an_event_stays_json_and_others_keep_their_bytes() {
        let plain = "{\"v\": 1,\"n\":1.50}\n";
        let secret = "{\"a\":\"s3cret-value\\\"1\"}\n";
        let (text, has_changed) = cleaned("ledger.jsonl", &format!("{plain}{secret}{{\"torn"));
        assert_eq!(text, format!("{plain}{{\"a\":\"[redacted:API_KEY]\"}}\n"));
        assert!(has_changed);
        assert_eq!(cleaned("ledger.jsonl", plain), (plain.to_owned(), false));
    }

    #[test]
    fn a_secret_is_found_wherever_a_block_ends() {
        let secret = "s3cret-value\"1";
        for missing in 0..secret.len() {
            let before = "x".repeat(2 * BLOCK_BYTES - missing);
            let (text, _) = cleaned("a.log", &format!("{before}{secret} end"));
            assert!(text.ends_with("end") && text.starts_with("xxx"));
            for part in ["s3cret", "value\"1"] {
                assert!(!text.contains(part), "{missing}: {part}");
            }
        }
    }
}
