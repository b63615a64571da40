//! Files and folders that their owner alone can read: everything in a run's folder.
//!
//! Prompts, answers and logs may hold what nobody else on the machine is to see, so each is made with its mode (0600,
//! folders 0700), and the umask can only take more away. Rejected: a umask of our own, which workers and validation
//! commands would inherit for what they make in the user's tree; and a change of the mode after the fact, which leaves a
//! moment in between. What belongs to the user's own tree or to a path that the user named is no business of this module.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The mode of a file.
pub const FILE_MODE: u32 = 0o600;
/// The mode of a folder.
pub const FOLDER_MODE: u32 = 0o700;

/// Makes one folder; it must not be there yet.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(FOLDER_MODE).create(path)
}

/// Makes a folder and those above it that are missing.
pub fn make_folders(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .mode(FOLDER_MODE)
        .recursive(true)
        .create(path)
}

/// Options that make a file with its mode; what is opened for, and whether a file that is there will do, is for the
/// caller to add.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// An empty file to write to, in place of the content of one that is there.
pub fn create(path: &Path) -> io::Result<File> {
    options().write(true).create(true).truncate(true).open(path)
}

/// Writes a short-lived file, which a crash may cut; [`durable`](super::durable) has the other kind.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    create(path)?.write_all(content)
}

/// Copies a file. Of its mode only the owner's part comes along.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    io::copy(&mut File::open(from)?, &mut create(to)?)?;
    close(to)
}

/// Gives the file at `path` the owner's part of `mode`, so that a script stays one.
pub fn keep_owners_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode & 0o700 | 0o600))
}

/// Takes away what others may do with what stands at `path` and came from elsewhere, such as a file that was moved here.
/// Links are left as they are. What lies too deep for a path is behind a folder that was closed.
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
