//! Reads an archive that may come from anybody into a private temporary folder.

use super::entries::{CopyError, Limits, Member, copy, is_plain, visit};
use super::error::ArchiveError;
use super::manifest::{FILE_NAME, Manifest, VERSION};
use crate::model::counted;
use crate::platform::{Hashed, TemporaryFolder, make_folders, options, parent};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// A run that was unpacked; dropping it removes the folder.
#[derive(Debug)]
pub struct Unpacked {
    folder: TemporaryFolder,
    /// What the archive has.
    pub manifest: Manifest,
}

impl Unpacked {
    /// The folder of the run.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.manifest.run_id)
    }
}

/// Unpacks the archive at `path`. Nothing outside of a new temporary folder is written, and nothing of an archive with a wrong
/// member is used.
///
/// # Errors
/// It is damaged or too large; a member is not a regular file, has a name outside of its run, or is not what the manifest says.
pub fn unpack(path: &Path, limits: Limits) -> Result<Unpacked, ArchiveError> {
    let mut unpacking = Unpacking::new(path, limits)?;
    let file = File::open(path).map_err(ArchiveError::read(path))?;
    visit(path, file, |member| unpacking.add(member))?;
    unpacking.finish()
}

struct Unpacking<'p> {
    path: &'p Path,
    left: Limits,
    limits: Limits,
    folder: TemporaryFolder,
    /// The first part of all names.
    run_id: Option<String>,
    /// Size and hash, by path.
    found: BTreeMap<String, (u64, String)>,
    manifest: Option<Manifest>,
}

impl<'p> Unpacking<'p> {
    fn new(path: &'p Path, limits: Limits) -> Result<Self, ArchiveError> {
        let folder = TemporaryFolder::new("mesh-run-");
        Ok(Self {
            path,
            left: limits,
            limits,
            folder: folder
                .map_err(|source| ArchiveError::unpack(path, &std::env::temp_dir(), source))?,
            run_id: None,
            found: BTreeMap::new(),
            manifest: None,
        })
    }

    fn add(&mut self, member: Member<'_>) -> Result<(), ArchiveError> {
        let name = member.name.clone();
        let below = self.check(&name)?;
        self.left.members = self
            .left
            .members
            .checked_sub(1)
            .ok_or_else(|| self.too_large(counted(self.limits.members, "member")))?;
        self.left.bytes = self.left.bytes.checked_sub(member.bytes).ok_or_else(|| {
            self.too_large(format!("{} of content", counted(self.limits.bytes, "byte")))
        })?;
        if below == FILE_NAME {
            self.manifest = Some(self.read_manifest(member)?);
            return Ok(());
        }
        let path = self.path;
        let failed = |source| ArchiveError::unpack(path, &std::env::temp_dir(), source);
        let unpacked = self.folder.path().join(&name);
        make_folders(parent(&unpacked)).map_err(failed)?;
        let file = options().write(true).create_new(true).open(&unpacked);
        let mut out = Hashed::new(BufWriter::new(file.map_err(
            |error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.wrong(&name, "it is there twice"),
                _ => failed(error),
            },
        )?));
        let bytes = copy(member.content, &mut out).map_err(|error| match error {
            CopyError::Read(source) => ArchiveError::damaged(path, source),
            CopyError::Write(source) => failed(source),
        })?;
        self.found.insert(below, (bytes, out.sha256()));
        Ok(())
    }

    /// The name of a member below the folder of its run.
    fn check(&mut self, name: &str) -> Result<String, ArchiveError> {
        if self.manifest.is_some() {
            return Err(self.wrong(name, "it comes after the manifest"));
        }
        let parts = name.split_once('/').filter(|_| is_plain(name));
        let (run, below) = parts.ok_or_else(|| self.wrong(name, "its name is not below a run"))?;
        if self.run_id.get_or_insert_with(|| run.to_owned()) != run {
            return Err(self.wrong(name, "it belongs to another run than the first member"));
        }
        Ok(below.to_owned())
    }

    fn read_manifest(&self, member: Member<'_>) -> Result<Manifest, ArchiveError> {
        let name = &member.name;
        if member.bytes > MANIFEST_BYTES_MAX {
            return Err(self.wrong(name, "it is too large"));
        }
        let mut text = Vec::new();
        let read = member.content.read_to_end(&mut text);
        read.map_err(|source| ArchiveError::damaged(self.path, source))?;
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| self.wrong(name, &error.to_string()))?;
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
        ArchiveError::member(self.path, member, why)
    }

    fn too_large(&self, what: String) -> ArchiveError {
        ArchiveError::TooLarge {
            path: self.path.to_owned(),
            what,
        }
    }
}
