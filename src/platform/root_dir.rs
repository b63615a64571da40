//! Access to the files below a folder that follows no symbolic link.
//!
//! A validation may have replaced a folder by a link. A restore that resolves the whole path in each system call would then
//! write or move files outside of the repository. Here a path that leads through a link does not exist:
//! [`RootDir::stat`] finds nothing, and every other operation fails.
//!
//! A change of a name or of content is on disk when its method returns, so that a power failure does not undo a restore that is
//! recorded.

use super::{Readers, durable, private};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fsync, mkdirat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// An open folder.
#[derive(Debug)]
pub struct RootDir {
    folder: OwnedFd,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl RootDir {
    /// Opens the folder at `path`, which itself may be reached through links.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self { folder })
    }

    /// Opens a folder below this one.
    pub fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{ResolveFlags, openat2};
            let rules = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let here = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            match openat2(&self.folder, here, FOLDER, Mode::empty(), rules) {
                // Before Linux 5.6, or if a seccomp filter refuses it.
                Err(Errno::NOSYS | Errno::PERM) => {}
                opened => return Ok(opened?),
            }
        }
        self.open_folder_stepwise(path)
    }

    fn open_folder_stepwise(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            folder = openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(folder)
    }

    /// Opens the folder that `path` is in; with the name in it.
    fn parent_and_name<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        match path.components().next_back() {
            Some(Component::Normal(name)) => Ok((
                self.open_folder(path.parent().unwrap_or(Path::new("")))?,
                name,
            )),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The status of `path`; `None` also if a link or a file is on the way.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let stat = self
            .parent_and_name(path)
            .and_then(|(folder, name)| Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match stat {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a regular file. Does not wait for the other end of a named pipe in its place.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.parent_and_name(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(folder, name, flags, Mode::empty())?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is not a regular file")),
        }
    }

    /// The content of a regular file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = self.open_file(path)?;
        let mut content = Vec::with_capacity(file.metadata()?.len() as usize + 1);
        file.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Whether the regular file at `path` has this content.
    pub fn has_content(&self, path: &Path, content: &[u8]) -> io::Result<bool> {
        let file = self.open_file(path)?;
        if file.metadata()?.len() != content.len() as u64 {
            return Ok(false);
        }
        let mut reader = BufReader::new(file);
        let mut rest = content;
        loop {
            let chunk = reader.fill_buf()?;
            match rest.strip_prefix(chunk) {
                Some(after) if !chunk.is_empty() => rest = after,
                same => return Ok(same.is_some() && rest.is_empty()),
            }
            let read = chunk.len();
            reader.consume(read);
        }
    }

    /// The target of a symbolic link.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let (folder, name) = self.parent_and_name(path)?;
        let target = readlinkat(folder, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Replaces a file atomically. A kill leaves the old file or the whole new one.
    pub fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        let (temporary, mut file) = create_temporary(&folder)?;
        let written = file
            .write_all(content)
            .and_then(|()| Ok(fchmod(&file, Mode::from_raw_mode(mode & 0o7777))?))
            .and_then(|()| Ok(fsync(&file)?))
            .and_then(|()| {
                super::fault::integrator_point();
                Ok(renameat(&folder, &temporary, &folder, name)?)
            });
        if written.is_err() {
            let _ = unlinkat(&folder, &temporary, AtFlags::empty());
        }
        written?;
        Ok(fsync(&folder)?)
    }

    /// Creates a symbolic link; the path must not exist.
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        symlinkat(target, &folder, name)?;
        Ok(fsync(&folder)?)
    }

    /// Creates one folder, unless it exists.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => Ok(fsync(&folder)?),
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets the permission bits of a file or folder; of a folder also when they keep its owner from opening it.
    pub fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            // `O_PATH` works without read permission, and the path below names this file even if its name was replaced.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let held = openat(&folder, name, flags, Mode::empty())?;
            let through = format!("/proc/self/fd/{}", held.as_raw_fd());
            if let Ok(()) = rustix::fs::chmod(through, mode) {
                return Ok(());
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let held = openat(&folder, name, flags, Mode::empty())?;
        Ok(fchmod(held, mode)?)
    }

    /// Removes an empty folder.
    pub fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        unlinkat(&folder, name, AtFlags::REMOVEDIR)?;
        Ok(fsync(&folder)?)
    }

    /// Moves the file, link or folder at `path` to `to`, which is outside and must not exist.
    pub fn move_out(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        durable::make_folders(durable::parent(to), Readers::Owner)?;
        match renameat(&folder, name, CWD, to) {
            // The run's folder may be on another file system.
            Err(Errno::XDEV) => {
                copy_tree(&folder, name, to)?;
                remove_tree(&folder, name)?;
            }
            moved => {
                moved?;
                durable::sync_folder(durable::parent(to))?;
            }
        }
        fsync(&folder)?;
        private::close(to)
    }

    /// Copies the file or link at `path` to `to`, which is outside and must not exist.
    pub fn copy_out(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (folder, name) = self.parent_and_name(path)?;
        durable::make_folders(durable::parent(to), Readers::Owner)?;
        copy_tree(&folder, name, to)
    }
}

/// Whether the error means that nothing exists at a path that leads through no link.
pub fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
    )
}

/// Lists the entries of an open folder with their types. Looks up a type that the file system does not report.
pub fn list_entries(folder: impl AsFd) -> io::Result<Vec<(OsString, FileType)>> {
    let folder = folder.as_fd();
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let mut kind = entry.file_type();
        if kind == FileType::Unknown {
            let stat = statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
            kind = FileType::from_raw_mode(stat.st_mode);
        }
        entries.push((OsStr::from_bytes(name).to_owned(), kind));
    }
    Ok(entries)
}

/// Opens a direct subfolder of `folder`.
pub fn open_subfolder(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(
        folder,
        name,
        FOLDER | OFlags::NOFOLLOW,
        Mode::empty(),
    )?)
}

fn create_temporary(folder: &OwnedFd) -> io::Result<(OsString, File)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for number in 0..1000 {
        let name = OsString::from(format!(".mesh-restore.{}.{number}", std::process::id()));
        match openat(folder, &name, flags, Mode::from_raw_mode(0o600)) {
            Err(Errno::EXIST) => {}
            opened => return Ok((name, File::from(opened?))),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Copies files, links and folders, which are on disk when this returns. Skips pipes, sockets and devices, which have no content.
fn copy_tree(folder: &OwnedFd, name: &OsStr, to: &Path) -> io::Result<()> {
    copy_entry(folder, name, to)?;
    durable::sync_folder(durable::parent(to))
}

fn copy_entry(folder: &OwnedFd, name: &OsStr, to: &Path) -> io::Result<()> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = readlinkat(folder, name, Vec::new())?;
            std::os::unix::fs::symlink(OsStr::from_bytes(target.as_bytes()), to)
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from = File::from(openat(folder, name, flags, Mode::empty())?);
            let mut copy = private::create(to)?;
            io::copy(&mut from, &mut copy)?;
            copy.sync_all()?;
            private::keep_owners_mode(to, stat.st_mode)
        }
        FileType::Directory => {
            private::make_folders(to)?;
            let here = open_subfolder(folder, name)?;
            for (name, _) in list_entries(&here)? {
                copy_entry(&here, &name, &to.join(&name))?;
            }
            durable::sync_folder(to)
        }
        _ => Ok(()),
    }
}

fn remove_tree(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(unlinkat(folder, name, AtFlags::empty())?);
    }
    let here = open_subfolder(folder, name)?;
    for (name, _) in list_entries(&here)? {
        remove_tree(&here, &name)?;
    }
    Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scene() -> (tempfile::TempDir, RootDir) {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("in/a")).expect("folders");
        std::fs::create_dir_all(root.path().join("out")).expect("folders");
        std::fs::write(root.path().join("out/f"), "theirs").expect("written");
        symlink("../out", root.path().join("in/l")).expect("a link");
        let root_dir = RootDir::open(&root.path().join("in")).expect("opened");
        (root, root_dir)
    }

    #[test]
    fn nothing_is_reached_through_a_link_or_upwards() {
        let (root, root_dir) = scene();
        for path in ["l/f", "../out/f", "/etc/passwd", "a/../../out/f"] {
            let path = Path::new(path);
            assert!(!matches!(root_dir.stat(path), Ok(Some(_))), "{path:?}");
            assert!(root_dir.read(path).is_err(), "{path:?}");
            assert!(root_dir.write(path, b"x", 0o644).is_err(), "{path:?}");
            let to = root.path().join("aside/f");
            assert!(root_dir.move_out(path, &to).is_err(), "{path:?}");
            assert!(root_dir.symlink(Path::new("x"), path).is_err(), "{path:?}");
        }
        assert_eq!(
            std::fs::read(root.path().join("out/f")).expect("there"),
            b"theirs"
        );
    }

    #[test]
    fn both_ways_to_open_a_folder_agree() {
        let (_root, root_dir) = scene();
        for (path, is_there) in [
            ("", true),
            ("a", true),
            ("l", false),
            ("../out", false),
            ("b", false),
        ] {
            let path = Path::new(path);
            assert_eq!(root_dir.open_folder(path).is_ok(), is_there, "{path:?}");
            assert_eq!(
                root_dir.open_folder_stepwise(path).is_ok(),
                is_there,
                "{path:?}"
            );
        }
    }

    #[test]
    fn a_link_at_the_path_itself_is_replaced_and_not_followed() {
        let (root, root_dir) = scene();
        root_dir
            .write(Path::new("l"), b"mine", 0o640)
            .expect("written");
        assert_eq!(root_dir.read(Path::new("l")).expect("read"), b"mine");
        for (content, is_same) in [
            ("mine", true),
            ("mino", false),
            ("min", false),
            ("mine!", false),
        ] {
            let found = root_dir.has_content(Path::new("l"), content.as_bytes());
            assert_eq!(found.expect("read"), is_same, "{content}");
        }
        let stat = root_dir.stat(Path::new("l")).expect("seen").expect("there");
        assert_eq!(stat.st_mode & 0o7777, 0o640);
        assert!(root.path().join("out/f").exists());
        let names = std::fs::read_dir(root.path().join("in")).expect("a folder");
        assert_eq!(names.count(), 2, "no temporary file is left");
    }

    #[test]
    fn folders_are_copied_and_removed_with_their_content() {
        let (root, root_dir) = scene();
        root_dir
            .write(Path::new("a/x"), b"x", 0o755)
            .expect("written");
        symlink("../../out", root.path().join("in/a/l")).expect("a link");
        let (folder, name) = root_dir.parent_and_name(Path::new("a")).expect("a place");
        let to = root.path().join("copy");
        copy_tree(&folder, name, &to).expect("copied");
        remove_tree(&folder, name).expect("removed");
        assert!(root_dir.stat(Path::new("a")).expect("seen").is_none());
        assert_eq!(std::fs::read(to.join("x")).expect("there"), b"x");
        assert!(
            std::fs::symlink_metadata(to.join("l"))
                .expect("there")
                .is_symlink()
        );
        assert!(root.path().join("out/f").exists());
    }
}
