//! The end of a log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The last bytes of a file, as text; `None` if it is empty or can't be read.
pub fn tail(path: &Path, bytes: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let skipped = file.metadata().ok()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(skipped)).ok()?;
    let mut tail = Vec::new();
    file.take(bytes).read_to_end(&mut tail).ok()?;
    let text = String::from_utf8_lossy(&tail).trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}
