//! Files and folders that only their owner can read: everything in a run's folder.
//!
//! Prompts, answers and logs may be confidential, so each file is created with its mode (0600, folders 0700), which the
//! umask can only restrict further. Rejected: setting a umask, which workers and validation commands would inherit for
//! files in the user's tree; and changing the mode afterwards, which leaves a short time with the wrong mode. Files of the
//! user's tree and at paths that the user named are not written here.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The mode of a file.
pub const FILE_MODE: u32 = 0o600;
/// The mode of a folder.
pub const FOLDER_MODE: u32 = 0o700;

/// Creates one folder, which must not exist.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)
}

/// Creates a folder and its missing parents.
pub fn make_folders(path: &Path) -> io::Result<()> {
    make_with(DirBuilder::new().mode(FOLDER_MODE), path)
}

/// Creates a folder and its missing parents, for all users that the umask lets in.
pub fn make_open_folders(path: &Path) -> io::Result<()> {
    make_with(&mut DirBuilder::new(), path)
}

fn make_with(builder: &mut DirBuilder, path: &Path) -> io::Result<()> {
    match builder.recursive(true).create(path) {
        // One that exists and can't be looked at is reported as if it were no folder.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match std::fs::metadata(path)?.is_dir() {
                true => Ok(()),
                false => Err(error),
            }
        }
        made => made,
    }
}

/// Options that create a file with its mode. The caller adds the access, and whether the file may exist.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Creates a file, or truncates an existing one.
pub fn create(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// Writes a short-lived file, which a crash may truncate. For durable files see [`durable`](super::durable).
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path)?.write_all(content)
}

/// Copies a file with the owner's part of its mode.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut create(to)?)?;
    close(to)
}

/// Gives the file at `path` the owner's part of `mode`, so that a script stays executable.
pub fn keep_owners_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700 | 0o600))
}

/// Removes the access of others to `path` and everything below, such as a file that was moved here. Skips links. Files too
/// deep for a path are below a folder that was closed.
pub fn close(path: &Path) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            match close(&entry?.path()) {
                Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {}
                closed => closed?,
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        let metadata = std::fs::symlink_metadata(path).expect("there");
        metadata.permissions().mode() & 0o777
    }

    #[test]
    fn what_came_from_elsewhere_is_closed_to_others() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("moved/inner");
        std::fs::create_dir_all(&folder).expect("folders");
        let (script, target) = (folder.join("script"), root.path().join("mine"));
        for path in [&script, &target] {
            std::fs::write(path, "x").expect("written");
            std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("set");
        }
        symlink(&target, folder.join("link")).expect("linked");
        close(&root.path().join("moved")).expect("closed");
        assert_eq!((mode(&folder), mode(&script)), (0o700, 0o700));
        assert_eq!(mode(&target), 0o755, "nothing is followed");
    }
}
