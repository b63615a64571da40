//! The claim of a run on its output file, so that two runs never write the same file, by whatever path.
//!
//! The claim is a `flock` on `.<name>.mesh-lock` beside the file, which the kernel releases when the holder dies. The lock
//! file names the run and the process that hold it, for messages; an orderly end removes it. The output file itself can't
//! be locked, because it may not exist yet and is replaced as a whole.

use super::digest::sha256_of_bytes;
use super::file_lock::{LockKind, take};
use super::look;
use crate::model::RunId;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Another run holds the claim.
    #[error("output `{}` is in use by {holder}", path.display())]
    Held {
        /// The file, as given.
        path: PathBuf,
        /// `run 20260213T015500Z (process 4711)`.
        holder: String,
    },
    /// The lock file could not be created.
    #[error("output `{}` can't be written", path.display())]
    Io {
        /// The file, as given.
        path: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
}

/// The claim, held while the run may write the file.
#[derive(Debug)]
pub struct Claim {
    locks: Vec<LockFile>,
    /// Folders that were created for the file, innermost first.
    made: Vec<PathBuf>,
}

#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    file: File,
}

impl Claim {
    /// Claims `output`, and the target if it is a symbolic link. Creates a missing folder, and removes it with the claim if
    /// it is still empty.
    pub fn take(output: &Path) -> Result<Self, ClaimError> {
        let failed = |source| ClaimError::Io {
            path: output.to_owned(),
            source,
        };
        let folder = super::durable::parent(output);
        let mut claim = Self {
            locks: Vec::new(),
            made: look::missing_folders(folder).map_err(failed)?,
        };
        super::private::make_open_folders(folder).map_err(failed)?;
        for path in lock_paths(output).map_err(failed)? {
            match LockFile::take(&path).map_err(failed)? {
                Ok(lock) => claim.locks.push(lock),
                Err(holder) => {
                    return Err(ClaimError::Held {
                        path: output.to_owned(),
                        holder,
                    });
                }
            }
        }
        Ok(claim)
    }

    /// Writes the run to the lock file. A failure is ignored, because the lock itself is held.
    pub fn sign(&self, run: &RunId) {
        for lock in &self.locks {
            let _ = lock.write(&format!("run {run} ({})", this_process()));
        }
    }
}

impl Claim {
    /// Ends the claim. Gives the lock files that could not be removed; they keep nobody out.
    pub fn release(mut self) -> Vec<PathBuf> {
        self.remove_locks()
    }

    fn remove_locks(&mut self) -> Vec<PathBuf> {
        let mut locks = std::mem::take(&mut self.locks);
        locks.retain(|lock| match lock.is_current() {
            Ok(true) => std::fs::remove_file(&lock.path).is_err(),
            Ok(false) => false,
            Err(_) => true,
        });
        locks.into_iter().map(|lock| lock.path).collect()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.remove_locks();
        // Only empty folders can be removed.
        for folder in &self.made {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

impl LockFile {
    /// Takes the lock, or describes its holder.
    fn take(path: &Path) -> io::Result<Result<Self, String>> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(path)?;
            let lock = Self {
                path: path.to_owned(),
                file,
            };
            if !take(&lock.file, LockKind::Exclusive)? {
                return Ok(Err(lock.holder()));
            }
            // Its holder may have removed it between the two calls: then it keeps nobody out.
            if lock.is_current()? {
                lock.write(&this_process())?;
                return Ok(Ok(lock));
            }
        }
    }

    /// Whether the lock file still has its name.
    fn is_current(&self) -> io::Result<bool> {
        let id = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        match look::entry(&self.path)? {
            Some(named) => Ok(id(named) == id(self.file.metadata()?)),
            None => Ok(false),
        }
    }

    fn holder(&self) -> String {
        const BYTES_MAX: u64 = 256;
        let mut text = String::new();
        let read = (&self.file).take(BYTES_MAX).read_to_string(&mut text);
        match (read, text.lines().next()) {
            (Ok(_), Some(line)) => crate::model::one_line(line),
            _ => "another mesh".to_owned(),
        }
    }

    fn write(&self, holder: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(format!("{holder}\n").as_bytes())
    }
}

fn this_process() -> String {
    format!("process {}", std::process::id())
}

/// The lock file of `output`, whose folder exists; for a link also that of its target.
fn lock_paths(output: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = vec![lock_path(output)?];
    if let Some(target) = look::reachable(std::fs::read_link(output))? {
        let target = look::reachable(std::fs::canonicalize(output))?
            .unwrap_or_else(|| super::durable::parent(output).join(target));
        // A link to nowhere names no file that anybody could write.
        paths.extend(look::reachable(lock_path(&target))?);
    }
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn lock_path(output: &Path) -> io::Result<PathBuf> {
    let folder = std::fs::canonicalize(super::durable::parent(output))?;
    let name = output.file_name().unwrap_or_default();
    Ok(folder.join(lock_name(name)))
}

/// `.<name>.mesh-lock`, with the hash of a name that is too long.
fn lock_name(name: &OsStr) -> std::ffi::OsString {
    const BYTES_MAX: usize = 200;
    let mut lock = std::ffi::OsString::from(".");
    match name.len() <= BYTES_MAX {
        true => lock.push(name),
        false => lock.push(sha256_of_bytes(name.as_bytes())),
    }
    lock.push(".mesh-lock");
    lock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(output: &Path) -> Option<String> {
        match Claim::take(output) {
            Ok(_) => None,
            Err(ClaimError::Held { holder, .. }) => Some(holder),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn every_spelling_of_a_path_is_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("real")).expect("a folder");
        std::os::unix::fs::symlink("real", at("linked")).expect("a link");
        std::os::unix::fs::symlink("real/out.csv", at("link.csv")).expect("a link");
        let claim = Claim::take(&at("real/out.csv")).expect("free");
        claim.sign(&RunId::new("r1"));
        let words = format!("run r1 (process {})", std::process::id());
        for name in ["real/out.csv", "real/../linked/./out.csv", "linked/out.csv"] {
            assert_eq!(holder(&at(name)).as_deref(), Some(words.as_str()), "{name}");
        }
        std::fs::write(at("real/out.csv"), "").expect("written");
        assert!(holder(&at("link.csv")).is_some());
        assert!(holder(&at("real/other.csv")).is_none());
        drop(claim);
        assert!(holder(&at("linked/out.csv")).is_none());
        std::fs::remove_file(at("real/out.csv")).expect("removed");
        assert_eq!(std::fs::read_dir(at("real")).expect("a folder").count(), 0);
    }

    #[test]
    fn a_folder_that_was_made_for_nothing_goes_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let output = folder.path().join("a/b/out.csv");
        drop(Claim::take(&output).expect("free"));
        assert!(!folder.path().join("a").exists());
        let claim = Claim::take(&output).expect("free");
        std::fs::write(&output, "rows").expect("written");
        drop(claim);
        assert!(output.exists());
    }

    #[test]
    fn a_long_name_has_a_lock_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let long = |end: char| folder.path().join(format!("{}{end}", "x".repeat(254)));
        let _claim = Claim::take(&long('a')).expect("free");
        assert!(holder(&long('a')).is_some());
        assert!(holder(&long('b')).is_none());
    }

    #[test]
    fn a_lock_file_that_a_dead_process_left_keeps_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(".out.csv.mesh-lock"), "process 1\n").expect("written");
        assert!(holder(&folder.path().join("out.csv")).is_none());
    }
}
