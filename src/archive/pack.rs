//! Writes an archive.

use super::error::ArchiveError;
use super::manifest::{FILE_NAME, Manifest, Member, VERSION};
use super::members::list;
use super::redaction::clean;
use crate::redact::Redactor;
use std::io::{self, Read, Write};
use std::path::Path;
use tar::{Builder, EntryType, Header};
use zstd::stream::write::Encoder;

/// Of zstd: the best for its speed.
const LEVEL: i32 = 9;

/// Writes the run in `folder` to `out`, without the secrets that `redactor` knows.
///
/// # Errors
/// A file of the run can't be read, or the archive not be written.
pub fn export(
    folder: &Path,
    run_id: &str,
    redactor: &Redactor,
    out: impl Write,
) -> Result<Manifest, ArchiveError> {
    let encoder = Encoder::new(out, LEVEL).map_err(ArchiveError::Write)?;
    let mut tar = Builder::new(encoder);
    let mut manifest = Manifest {
        v: VERSION,
        mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
        run_id: run_id.to_owned(),
        members: Vec::new(),
    };
    for path in list(folder)? {
        let clean = clean(&folder.join(&path), redactor)?;
        let name = format!("{run_id}/{path}");
        append(&mut tar, &name, clean.bytes, clean.file).map_err(ArchiveError::Write)?;
        manifest.members.push(Member {
            path,
            bytes: clean.bytes,
            sha256: clean.sha256,
            redacted: clean.has_changed,
        });
    }
    let json = serde_json::to_vec(&manifest).unwrap_or_default();
    let name = format!("{run_id}/{FILE_NAME}");
    let finish = || {
        append(&mut tar, &name, json.len() as u64, json.as_slice())?;
        tar.into_inner()?.finish()?.flush()
    };
    finish().map_err(ArchiveError::Write)?;
    Ok(manifest)
}

/// A regular file for its owner, from 1970 and of nobody.
pub(super) fn append<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    bytes: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes);
    tar.append_data(&mut header, name, content)
}
