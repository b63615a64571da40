//! The members of an archive that may come from anybody: regular files with plain names, one after the other.
//!
//! The headers are read raw, because the library would read the data of a long name into memory whatever its size.

use super::error::ArchiveError;
use crate::platform::{look, retry_interrupted};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tar::{Archive, EntryType};
use zstd::stream::read::Decoder;

/// The first bytes of a zstd stream.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Of the memory that a stream may ask for: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
/// The longest name of a member, as the longest path of Linux.
const NAME_BYTES_MAX: u64 = 4096;
/// Zeros after the last member; tar fills a record of 10 KiB, other programs more.
const PADDING_BYTES_MAX: u64 = 1 << 20;

/// What is unpacked at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all members.
    pub bytes: u64,
    /// Members.
    pub members: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 16 << 30,
            members: 1_000_000,
        }
    }
}

/// A regular file of an archive.
pub struct Member<'m> {
    /// As the archive has it.
    pub name: String,
    /// As the archive says.
    pub bytes: u64,
    /// The content.
    pub content: &'m mut dyn Read,
}

/// Whether the file at `path` is compressed with zstd.
///
/// # Errors
/// A fault of the machine.
pub fn is_archive(path: &Path) -> io::Result<bool> {
    if !look::reach(path)?.is_some_and(|found| found.is_file()) {
        return Ok(false);
    }
    let mut first = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    Ok(look::reachable(read)?.is_some() && first == MAGIC)
}

/// Whether `name` leads below a folder, wherever that is: parts other than `.` and `..` between single slashes.
pub fn is_plain(name: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    name.split('/').all(is_part) && !name.contains(['\\', '\0'])
}

/// Passes the members of the archive at `path`, whose bytes are `file`, to `take`, to its very end.
///
/// # Errors
/// It is damaged or cut off, or has a member that is not a regular file; and those of `take`.
pub fn visit(
    path: &Path,
    file: impl Read,
    mut take: impl FnMut(Member<'_>) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let damaged = |source| ArchiveError::damaged(path, source);
    let mut decoder = Decoder::new(file).map_err(damaged)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let mut archive = Archive::new(decoder);
    let mut long_name = None;
    for entry in archive.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let (kind, bytes) = (entry.header().entry_type(), entry.size());
        let name = long_name
            .take()
            .unwrap_or_else(|| String::from_utf8_lossy(&entry.path_bytes()).into_owned());
        match kind {
            EntryType::GNULongName if bytes <= NAME_BYTES_MAX => {
                let mut named = Vec::new();
                entry.read_to_end(&mut named).map_err(damaged)?;
                let named = String::from_utf8_lossy(&named);
                long_name = Some(named.trim_end_matches('\0').to_owned());
            }
            EntryType::Regular => take(Member {
                name,
                bytes,
                content: &mut entry,
            })?,
            _ => {
                return Err(ArchiveError::member(
                    path,
                    &name,
                    "it is not a regular file",
                ));
            }
        }
    }
    // A file that is cut off behind its last member ends within the compressed stream.
    let mut rest = archive.into_inner().take(PADDING_BYTES_MAX);
    io::copy(&mut rest, &mut io::sink()).map_err(damaged)?;
    match rest.limit() {
        0 => Err(damaged(io::Error::other("bytes follow the last member"))),
        _ => Ok(()),
    }
}

/// Which side of [`copy`] failed.
pub enum CopyError {
    /// The archive.
    Read(io::Error),
    /// The file.
    Write(io::Error),
}

/// [`io::copy`] that tells which side failed.
pub fn copy(from: &mut dyn Read, to: &mut dyn io::Write) -> Result<u64, CopyError> {
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = retry_interrupted(|| from.read(&mut chunk)).map_err(CopyError::Read)?;
        if read == 0 {
            to.flush().map_err(CopyError::Write)?;
            return Ok(bytes);
        }
        to.write_all(&chunk[..read]).map_err(CopyError::Write)?;
        bytes += read as u64;
    }
}
