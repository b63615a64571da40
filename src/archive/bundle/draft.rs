//! Collects the members of a bundle and writes it.

use super::ROOT;
use super::manifest::{BundleManifest, BundleMember, FILE_NAME, Kind, VERSION};
use crate::archive::entries::Limits;
use crate::archive::error::ArchiveError;
use crate::archive::pack::append;
use crate::platform::{Hashed, sha256_of_bytes, sha256_of_reader};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::Builder;
use zstd::stream::write::Encoder;

/// Of zstd: quick, since a bundle travels once.
const LEVEL: i32 = 3;

/// The members of a bundle that is not written yet.
#[derive(Debug, Default)]
pub struct Draft {
    members: Vec<(BundleMember, Content)>,
}

#[derive(Debug)]
enum Content {
    Nothing,
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Content {
    fn open(&self) -> Result<Box<dyn Read + '_>, ArchiveError> {
        Ok(match self {
            Self::Nothing => Box::new(io::empty()),
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::File(path) => Box::new(File::open(path).map_err(ArchiveError::read(path))?),
        })
    }
}

impl Draft {
    /// Adds a file with these bytes.
    pub fn add_bytes(&mut self, path: &str, bytes: Vec<u8>) {
        let size = bytes.len() as u64;
        self.push(path.to_owned(), Kind::File, size, 0, Content::Bytes(bytes));
    }

    /// Adds the file or program at `from`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn add_file(&mut self, path: &str, kind: Kind, from: &Path) -> Result<(), ArchiveError> {
        let metadata = fs::metadata(from).map_err(ArchiveError::read(from))?;
        let content = Content::File(from.to_owned());
        self.push(path.to_owned(), kind, metadata.len(), 0, content);
        Ok(())
    }

    /// Adds the folder at `from` as `path` with all files, folders and links below, except those that `skips`. What is neither,
    /// such as a socket, is left out.
    ///
    /// # Errors
    /// Something of it can't be read, or has a name that is not UTF-8.
    pub fn add_tree(
        &mut self,
        path: &str,
        from: &Path,
        skips: &dyn Fn(&Path) -> bool,
    ) -> Result<(), ArchiveError> {
        self.push(path.to_owned(), Kind::Folder, 0, 0, Content::Nothing);
        let read = fs::read_dir(from).map_err(ArchiveError::read(from))?;
        let entries: io::Result<Vec<_>> = read.collect();
        let mut entries = entries.map_err(ArchiveError::read(from))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let at = entry.path();
            if skips(&at) {
                continue;
            }
            let name = entry.file_name();
            let name = name.to_str().filter(|name| !name.contains('\\'));
            let below = format!("{path}/{}", name.ok_or(ArchiveError::Name(at.clone()))?);
            let metadata = fs::symlink_metadata(&at).map_err(ArchiveError::read(&at))?;
            let mtime = u64::try_from(metadata.mtime()).unwrap_or(0);
            if metadata.is_dir() {
                self.add_tree(&below, &at, skips)?;
            } else if metadata.is_symlink() {
                let target = fs::read_link(&at).map_err(ArchiveError::read(&at))?;
                let target = target.as_os_str().as_bytes().to_vec();
                let size = target.len() as u64;
                self.push(below, Kind::Link, size, 0, Content::Bytes(target));
            } else if metadata.is_file() {
                let kind = match metadata.mode() & 0o100 {
                    0 => Kind::File,
                    _ => Kind::Program,
                };
                self.push(below, kind, metadata.len(), mtime, Content::File(at));
            }
        }
        Ok(())
    }

    fn push(&mut self, path: String, kind: Kind, bytes: u64, mtime: u64, content: Content) {
        let member = BundleMember {
            path,
            kind,
            bytes,
            sha256: String::new(),
            mtime,
        };
        self.members.push((member, content));
    }

    /// Checks the sum of the sizes, before anything is written.
    ///
    /// # Errors
    /// [`ArchiveError::BundleTooLarge`].
    pub fn check(&self, limits: Limits) -> Result<(), ArchiveError> {
        let members = self.members.iter().map(|(member, _)| member);
        let bytes = members.clone().map(|member| member.bytes).sum::<u64>();
        if bytes <= limits.bytes && self.members.len() as u64 <= limits.members {
            return Ok(());
        }
        let largest = members.max_by_key(|member| member.bytes);
        let in_mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(1 << 20));
        let count = crate::model::counted(self.members.len() as u64, "member");
        Err(ArchiveError::BundleTooLarge {
            size: format!("{} in {count}", in_mib(bytes)),
            max: format!("{} in {} members", in_mib(limits.bytes), limits.members),
            largest: largest.map_or(String::new(), |member| member.path.clone()),
            largest_size: in_mib(largest.map_or(0, |member| member.bytes)),
        })
    }

    /// Hashes all members and writes the bundle to `out`, manifest first.
    ///
    /// # Errors
    /// A file can't be read or changes meanwhile, or `out` can't be written.
    pub fn write(mut self, out: impl Write) -> Result<BundleManifest, ArchiveError> {
        for (member, content) in &mut self.members {
            member.sha256 = match &*content {
                Content::Nothing => continue,
                Content::Bytes(bytes) => sha256_of_bytes(bytes),
                Content::File(path) => {
                    let exactly = content.open()?.take(member.bytes);
                    sha256_of_reader(exactly).map_err(ArchiveError::read(path))?
                }
            };
        }
        let manifest = BundleManifest {
            v: VERSION,
            mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
            members: self.members.iter().map(|(one, _)| one.clone()).collect(),
        };
        let encoder = Encoder::new(out, LEVEL).map_err(ArchiveError::Write)?;
        let mut tar = Builder::new(encoder);
        let json = serde_json::to_vec(&manifest).unwrap_or_default();
        let name = format!("{ROOT}/{FILE_NAME}");
        append(&mut tar, &name, json.len() as u64, json.as_slice()).map_err(ArchiveError::Write)?;
        for (member, content) in &self.members {
            if member.kind == Kind::Folder {
                continue;
            }
            let changed = || match content {
                Content::File(path) => ArchiveError::Changed(path.clone()),
                _ => ArchiveError::Changed(PathBuf::from(&member.path)),
            };
            let mut hashed = Hashed::new(content.open()?.take(member.bytes));
            let mut exactly = Exactly {
                inner: &mut hashed,
                left: member.bytes,
                is_short: false,
            };
            let name = format!("{ROOT}/{}", member.path);
            let added = append(&mut tar, &name, member.bytes, &mut exactly);
            if exactly.is_short {
                return Err(changed());
            }
            added.map_err(ArchiveError::Write)?;
            if hashed.sha256() != member.sha256 {
                return Err(changed());
            }
        }
        let finish = || tar.into_inner()?.finish()?.flush();
        finish().map_err(ArchiveError::Write)?;
        Ok(manifest)
    }
}

/// Tells a file that has become shorter from an archive that can't be written.
struct Exactly<'r, R> {
    inner: &'r mut R,
    left: u64,
    is_short: bool,
}

impl<R: Read> Read for Exactly<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left -= read as u64;
        self.is_short = read == 0 && self.left > 0 && !buffer.is_empty();
        Ok(read)
    }
}
