//! Unpacks a bundle that may have been damaged or made by anybody.

use super::ROOT;
use super::manifest::{BundleManifest, BundleMember, FILE_NAME, Fault, Kind, VERSION};
use crate::archive::entries::{CopyError, Limits, Member, copy, is_archive, visit};
use crate::archive::error::ArchiveError;
use crate::platform::{Hashed, make_folders, options, parent, private};
use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Unpacks the bundle at `path` into the folder `into`, which is empty and private. Nothing is written before the manifest fits
/// `limits`. If this fails, `into` has a part of the members. `is_stopped` is asked while it reads.
///
/// # Errors
/// It is no bundle, damaged, cut off or too large; a member differs from the manifest, or has a name outside of `into`.
pub fn unpack_bundle(
    path: &Path,
    limits: Limits,
    into: &Path,
    is_stopped: &dyn Fn() -> bool,
) -> Result<BundleManifest, ArchiveError> {
    let file = File::open(path).map_err(ArchiveError::read(path))?;
    if !is_archive(path).map_err(ArchiveError::read(path))? {
        return Err(ArchiveError::NoBundle(path.to_owned()));
    }
    let mut unpacking = Unpacking {
        path,
        limits,
        into,
        manifest: None,
        next: 0,
        links: Vec::new(),
    };
    let file = Stoppable { file, is_stopped };
    visit(path, file, |member| unpacking.add(member))?;
    unpacking.finish()
}

struct Stoppable<'s> {
    file: File,
    is_stopped: &'s dyn Fn() -> bool,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.is_stopped)() {
            true => Err(io::Error::other("stopped")),
            false => self.file.read(buffer),
        }
    }
}

struct Unpacking<'p> {
    path: &'p Path,
    limits: Limits,
    into: &'p Path,
    manifest: Option<BundleManifest>,
    /// Where in the manifest the next member is looked for.
    next: usize,
    /// Links with their targets, which are made last.
    links: Vec<(PathBuf, Vec<u8>)>,
}

impl Unpacking<'_> {
    fn add(&mut self, member: Member<'_>) -> Result<(), ArchiveError> {
        let Some(manifest) = &self.manifest else {
            let manifest = self.read_manifest(member)?;
            for folder in manifest.folders() {
                let made = make_folders(&self.into.join(folder));
                made.map_err(|error| self.failed(error))?;
            }
            self.manifest = Some(manifest);
            return Ok(());
        };
        let name = member.name.strip_prefix(ROOT);
        let name = name.and_then(|name| name.strip_prefix('/'));
        let name = name.ok_or_else(|| self.wrong(&member.name, "its name is not in the bundle"))?;
        let listed = manifest.members.get(self.next..).unwrap_or_default();
        let skipped = listed.iter().take_while(|one| one.kind == Kind::Folder);
        let skipped = skipped.count();
        let Some(expected) = listed.get(skipped).cloned() else {
            return Err(self.wrong(name, "the manifest does not list it"));
        };
        if expected.path != name {
            let is_listed = listed.iter().any(|one| one.path == name);
            return Err(match is_listed {
                true => self.wrong(&expected.path, "it is missing"),
                false => self.wrong(name, "the manifest does not list it here"),
            });
        }
        if expected.bytes != member.bytes {
            return Err(self.wrong(name, "its size is not that of the manifest"));
        }
        self.next += skipped + 1;
        match expected.kind {
            Kind::Link => self.add_link(&expected, member),
            _ => self.add_file(&expected, member),
        }
    }

    fn add_file(&self, expected: &BundleMember, member: Member<'_>) -> Result<(), ArchiveError> {
        let to = self.into.join(&expected.path);
        let failed = |error| self.failed(error);
        make_folders(parent(&to)).map_err(failed)?;
        let file = options().write(true).create_new(true).open(&to);
        let file = file.map_err(failed)?;
        let written = file.try_clone().map_err(failed)?;
        self.copy(expected, member, &mut BufWriter::new(file))?;
        if expected.kind == Kind::Program {
            private::keep_owners_mode(&to, 0o700).map_err(failed)?;
        }
        if expected.mtime > 0 {
            // Only git looks at it, and only to be quicker.
            let _ = set_mtime(&written, expected.mtime);
        }
        Ok(())
    }

    fn add_link(
        &mut self,
        expected: &BundleMember,
        member: Member<'_>,
    ) -> Result<(), ArchiveError> {
        let mut target = Vec::new();
        self.copy(expected, member, &mut target)?;
        self.links.push((self.into.join(&expected.path), target));
        Ok(())
    }

    fn copy(
        &self,
        expected: &BundleMember,
        member: Member<'_>,
        to: &mut dyn Write,
    ) -> Result<(), ArchiveError> {
        let mut out = Hashed::new(to);
        let copied = copy(member.content, &mut out).map_err(|error| match error {
            CopyError::Read(source) => ArchiveError::damaged(self.path, source),
            CopyError::Write(source) => self.failed(source),
        })?;
        if copied != expected.bytes {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(ArchiveError::damaged(self.path, source));
        }
        match out.sha256() == expected.sha256 {
            true => Ok(()),
            false => Err(self.wrong(&expected.path, "its SHA-256 is not that of the manifest")),
        }
    }

    fn read_manifest(&self, member: Member<'_>) -> Result<BundleManifest, ArchiveError> {
        if member.name != format!("{ROOT}/{FILE_NAME}") {
            return Err(ArchiveError::NoBundle(self.path.to_owned()));
        }
        if member.bytes > MANIFEST_BYTES_MAX {
            return Err(self.wrong(FILE_NAME, "it is too large"));
        }
        let mut text = Vec::new();
        let read = member.content.read_to_end(&mut text);
        read.map_err(|source| ArchiveError::damaged(self.path, source))?;
        let bad = |error: serde_json::Error| self.wrong(FILE_NAME, &error.to_string());
        let value: Value = serde_json::from_slice(&text).map_err(bad)?;
        if value["v"].as_u64().is_some_and(|v| v > u64::from(VERSION)) {
            let why = format!("version {} is newer than this mesh", value["v"]);
            return Err(self.wrong(FILE_NAME, &why));
        }
        let manifest: BundleManifest = serde_json::from_value(value).map_err(bad)?;
        manifest.check(self.limits).map_err(|fault| match fault {
            Fault::Member(member, why) => self.wrong(&member, why),
            Fault::TooLarge(what) => ArchiveError::TooLarge {
                path: self.path.to_owned(),
                what,
            },
        })?;
        Ok(manifest)
    }

    fn finish(mut self) -> Result<BundleManifest, ArchiveError> {
        let Some(manifest) = self.manifest.take() else {
            return Err(ArchiveError::NoBundle(self.path.to_owned()));
        };
        let rest = manifest.members.get(self.next..).unwrap_or_default();
        if let Some(missing) = rest.iter().find(|one| one.kind != Kind::Folder) {
            return Err(self.wrong(&missing.path, "it is missing"));
        }
        for (path, target) in &self.links {
            let made = make_folders(parent(path)).and_then(|()| {
                let target = std::ffi::OsStr::from_bytes(target);
                symlink(target, path)
            });
            made.map_err(|error| self.failed(error))?;
        }
        Ok(manifest)
    }

    fn wrong(&self, member: &str, why: &str) -> ArchiveError {
        ArchiveError::member(self.path, member, why)
    }

    fn failed(&self, source: io::Error) -> ArchiveError {
        ArchiveError::unpack(self.path, self.into, source)
    }
}

/// Sets when `file` was written last, in seconds since 1970.
fn set_mtime(file: &File, seconds: u64) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT as _,
        },
        last_modification: Timespec {
            tv_sec: i64::try_from(seconds).map_err(io::Error::other)?,
            tv_nsec: 0,
        },
    };
    Ok(rustix::fs::futimens(file, &times)?)
}
