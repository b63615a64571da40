//! Temporary files and folders, removed when they are dropped. The errors of `tempfile` lose which error of the system they were; so they
//! are created here.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file in `folder`, named `<prefix>XXXXXX<suffix>`.
pub fn file_in(folder: &Path, prefix: &str, suffix: &str, mode: u32) -> io::Result<NamedTempFile> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    let mut builder = tempfile::Builder::new();
    builder
        .prefix(prefix)
        .suffix(suffix)
        .make_in(folder, |path| options.open(path))
}

/// A folder that only this user can look into.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Creates `<prefix>XXXXXX` where temporary files belong.
    pub fn new(prefix: &str) -> io::Result<Self> {
        Self::new_in(&std::env::temp_dir(), prefix)
    }

    /// Creates `<prefix>XXXXXX` in `parent`.
    pub fn new_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.mode(super::FOLDER_MODE);
        let made = tempfile::Builder::new()
            .prefix(prefix)
            .disable_cleanup(true)
            .make_in(parent, |path| builder.create(path))?;
        Ok(Self(made.path().to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its path; it is not removed.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What can't be removed is in the folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_a_folder_go_with_their_owner() {
        let parent = TemporaryFolder::new("mesh-test-").expect("a folder");
        let file = file_in(parent.path(), "a", "z", 0o600).expect("a file");
        let inner = TemporaryFolder::new_in(parent.path(), "in").expect("a folder");
        std::fs::write(inner.path().join("b"), "b").expect("written");
        assert_eq!(std::fs::read_dir(parent.path()).expect("read").count(), 2);
        drop((file, inner));
        assert_eq!(std::fs::read_dir(parent.path()).expect("read").count(), 0);
        let path = parent.keep();
        assert!(path.is_dir());
        std::fs::remove_dir(path).expect("empty");
    }

    #[test]
    fn the_error_of_the_system_is_kept() {
        let nowhere = Path::new("/proc/self/nowhere");
        let numbers = [
            file_in(nowhere, "a", "z", 0o600)
                .map(drop)
                .expect_err("none"),
            TemporaryFolder::new_in(nowhere, "a")
                .map(drop)
                .expect_err("none"),
        ]
        .map(|error| error.raw_os_error());
        assert!(numbers.iter().all(Option::is_some), "{numbers:?}");
    }
}
