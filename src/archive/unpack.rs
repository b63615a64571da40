//! Reads an archive that may come from anybody into a private temporary folder.

use super::error::ArchiveError;
use super::manifest::{FILE_NAME, Manifest, VERSION};
use crate::model::counted;
use crate::platform::{Hashed, make_folders, options, parent};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Archive, Entry, EntryType};
use tempfile::TempDir;
use zstd::stream::read::Decoder;

/// The first bytes of a zstd stream.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Of the memory that a stream may ask for: 128 MiB.
const WINDOW_LOG_MAX: u32 = 27;
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

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

/// A run that was unpacked; dropping it removes the folder.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
    /// What the archive has.
    pub manifest: Manifest,
}

impl Unpacked {
    /// The folder of the run.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.manifest.run_id)
    }
}

/// Whether the file at `path` is compressed with zstd.
pub fn is_archive(path: &Path) -> bool {
    let mut first = [0; MAGIC.len()];
    let mut read = || File::open(path)?.read_exact(&mut first);
    path.is_file() && read().is_ok() && first == MAGIC
}

/// Unpacks the archive at `path`. Nothing outside of a new temporary folder is written, and nothing of an archive with a wrong
/// member is used.
///
/// # Errors
/// It is damaged or too large; a member is not a regular file, has a name outside of its run, or is not what the manifest says.
pub fn unpack(path: &Path, limits: Limits) -> Result<Unpacked, ArchiveError> {
    let mut unpacking = Unpacking::new(path, limits)?;
    let damaged = |source| ArchiveError::Damaged {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(ArchiveError::read(path))?;
    let mut decoder = Decoder::new(file).map_err(damaged)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(damaged)?;
    let mut archive = Archive::new(decoder);
    for entry in archive.entries().map_err(damaged)? {
        unpacking.add(entry.map_err(damaged)?)?;
    }
    unpacking.finish()
}

struct Unpacking<'p> {
    path: &'p Path,
    left: Limits,
    limits: Limits,
    folder: TempDir,
    /// The first part of all names.
    run_id: Option<String>,
    /// Size and hash, by path.
    found: BTreeMap<String, (u64, String)>,
    manifest: Option<Manifest>,
}

impl<'p> Unpacking<'p> {
    fn new(path: &'p Path, limits: Limits) -> Result<Self, ArchiveError> {
        let folder = tempfile::Builder::new().prefix("mesh-run-").tempdir();
        Ok(Self {
            path,
            left: limits,
            limits,
            folder: folder.map_err(|source| ArchiveError::Unpack {
                path: path.to_owned(),
                source,
            })?,
            run_id: None,
            found: BTreeMap::new(),
            manifest: None,
        })
    }

    fn add(&mut self, mut entry: Entry<'_, impl Read>) -> Result<(), ArchiveError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let below = self.check(&name, &entry)?;
        self.left.members = self
            .left
            .members
            .checked_sub(1)
            .ok_or_else(|| self.too_large(counted(self.limits.members, "member")))?;
        self.left.bytes = self.left.bytes.checked_sub(entry.size()).ok_or_else(|| {
            self.too_large(format!("{} of content", counted(self.limits.bytes, "byte")))
        })?;
        if below == FILE_NAME {
            self.manifest = Some(self.read_manifest(&name, entry)?);
            return Ok(());
        }
        let (path, unpacked) = (self.path, self.folder.path().join(&name));
        let failed = |source| ArchiveError::Unpack {
            path: path.to_owned(),
            source,
        };
        make_folders(parent(&unpacked)).map_err(failed)?;
        let file = options().write(true).create_new(true).open(&unpacked);
        let mut out = Hashed::new(BufWriter::new(file.map_err(
            |error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.wrong(&name, "it is there twice"),
                _ => failed(error),
            },
        )?));
        let bytes = copy(&mut entry, &mut out).map_err(|error| match error {
            CopyError::Read(source) => ArchiveError::Damaged {
                path: path.to_owned(),
                source,
            },
            CopyError::Write(source) => failed(source),
        })?;
        self.found.insert(below, (bytes, out.sha256()));
        Ok(())
    }

    /// The name of a member below the folder of its run.
    fn check(&mut self, name: &str, entry: &Entry<'_, impl Read>) -> Result<String, ArchiveError> {
        if self.manifest.is_some() {
            return Err(self.wrong(name, "it comes after the manifest"));
        }
        if entry.header().entry_type() != EntryType::Regular {
            return Err(self.wrong(name, "it is not a regular file"));
        }
        let is_plain = |part: &str| !matches!(part, "" | "." | "..");
        let is_below = name.split('/').all(is_plain);
        let parts = name.split_once('/').filter(|(run, below)| {
            is_below && !run.is_empty() && !below.is_empty() && !name.contains(['\\', '\0'])
        });
        let (run, below) = parts.ok_or_else(|| self.wrong(name, "its name is not below a run"))?;
        if self.run_id.get_or_insert_with(|| run.to_owned()) != run {
            return Err(self.wrong(name, "it belongs to another run than the first member"));
        }
        Ok(below.to_owned())
    }

    fn read_manifest(
        &self,
        name: &str,
        entry: Entry<'_, impl Read>,
    ) -> Result<Manifest, ArchiveError> {
        if entry.size() > MANIFEST_BYTES_MAX {
            return Err(self.wrong(name, "it is too large"));
        }
        let manifest: Manifest = serde_json::from_reader(io::BufReader::new(entry))
            .map_err(|error| self.wrong(name, &error.to_string()))?;
        if manifest.v > VERSION {
            let why = format!("version {} is newer than this mesh", manifest.v);
            return Err(self.wrong(name, &why));
        }
        if Some(&manifest.run_id) != self.run_id.as_ref() {
            return Err(self.wrong(name, "it is that of another run"));
        }
        Ok(manifest)
    }

    fn finish(mut self) -> Result<Unpacked, ArchiveError> {
        let Some(manifest) = self.manifest.take() else {
            return Err(self.wrong(FILE_NAME, "it is missing"));
        };
        for member in &manifest.members {
            let why = match self.found.remove(&member.path) {
                None => "it is missing",
                Some((bytes, _)) if bytes != member.bytes => "its size is not that of the manifest",
                Some((_, hash)) if hash != member.sha256 => {
                    "its SHA-256 is not that of the manifest"
                }
                Some(_) => continue,
            };
            return Err(self.wrong(&member.path, why));
        }
        if let Some(path) = self.found.keys().next() {
            return Err(self.wrong(path, "the manifest does not list it"));
        }
        Ok(Unpacked {
            folder: self.folder,
            manifest,
        })
    }

    fn wrong(&self, member: &str, why: &str) -> ArchiveError {
        ArchiveError::Member {
            path: self.path.to_owned(),
            member: member.to_owned(),
            why: why.to_owned(),
        }
    }

    fn too_large(&self, what: String) -> ArchiveError {
        ArchiveError::TooLarge {
            path: self.path.to_owned(),
            what,
        }
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// [`io::copy`] that tells which side failed.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64, CopyError> {
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(CopyError::Read)?,
        };
        if read == 0 {
            to.flush().map_err(CopyError::Write)?;
            return Ok(bytes);
        }
        to.write_all(&chunk[..read]).map_err(CopyError::Write)?;
        bytes += read as u64;
    }
}
