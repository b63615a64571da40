//! A folder, and what stands beneath it: every path is opened from the folder down without following a link.
//!
//! A validation may have put a symbolic link where a folder stood. Through a path that is resolved anew by each system
//! call, a restore would then write, or move away, files outside of the repository. Here a path behind a link does not
//! exist: [`Beneath::stat`] finds nothing there, and everything else is refused.

use crate::platform::private;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, fsync, mkdirat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// A folder that is held open.
#[derive(Debug)]
pub(super) struct Beneath {
    folder: OwnedFd,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

impl Beneath {
    /// The folder at `path`, which itself may be reached through links.
    pub fn open(path: &Path) -> io::Result<Self> {
        let folder = openat(CWD, path, FOLDER, Mode::empty())?;
        Ok(Self { folder })
    }

    /// A folder beneath this one.
    pub fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
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
                // Before Linux 5.6, or where a filter of system calls does not know it.
                Err(Errno::NOSYS | Errno::PERM) => {}
                opened => return Ok(opened?),
            }
        }
        self.folder_by_steps(path)
    }

    fn folder_by_steps(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = openat(&self.folder, ".", FOLDER, Mode::empty())?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            folder = openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(folder)
    }

    /// The folder that `path` is in, and its name there.
    fn place<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        match path.components().next_back() {
            Some(Component::Normal(name)) => {
                Ok((self.folder(path.parent().unwrap_or(Path::new("")))?, name))
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// What stands at `path`; nothing also where a link or a file is on the way.
    pub fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let stat = self
            .place(path)
            .and_then(|(folder, name)| Ok(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?));
        match stat {
            Ok(stat) => Ok(Some(stat)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The content of a regular file.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (folder, name) = self.place(path)?;
        read_file(folder, name)
    }

    /// Where a symbolic link points.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let (folder, name) = self.place(path)?;
        let target = readlinkat(folder, name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Writes a file with its mode, in one step: a kill leaves what stood there or the whole file.
    pub fn write(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        let (temporary, mut file) = temporary_in(&folder)?;
        let written = file
            .write_all(content)
            .and_then(|()| Ok(fchmod(&file, Mode::from_raw_mode(mode & 0o7777))?))
            .and_then(|()| Ok(fsync(&file)?))
            .and_then(|()| {
                crate::platform::integrator_point();
                Ok(renameat(&folder, &temporary, &folder, name)?)
            });
        if written.is_err() {
            let _ = unlinkat(&folder, &temporary, AtFlags::empty());
        }
        written?;
        Ok(fsync(&folder)?)
    }

    /// Makes a symbolic link; nothing may stand there.
    pub fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(symlinkat(target, folder, name)?)
    }

    /// Makes one folder; one that is there is no error.
    pub fn make_folder(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets the permission bits of a file or folder; of a folder also when they keep its owner from opening it.
    pub fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            // It opens what must not be read, and the path below is that very file, whatever has its name by now.
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
        let (folder, name) = self.place(path)?;
        Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }

    /// Moves whatever stands at `path` to `to`, which is outside and free.
    pub fn move_out(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        private::make_folders(crate::platform::parent(to))?;
        match renameat(&folder, name, CWD, to) {
            // The run's folder is often on another file system.
            Err(Errno::XDEV) => {
                copy_tree(&folder, name, to)?;
                remove_tree(&folder, name)?;
            }
            moved => moved?,
        }
        private::close(to)
    }

    /// Copies the file or link at `path` to `to`, which is outside and free.
    pub fn copy_out(&self, path: &Path, to: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        private::make_folders(crate::platform::parent(to))?;
        copy_tree(&folder, name, to)
    }
}

/// Whether nothing stands there, or nothing that can be reached without following a link.
pub(super) fn is_absent(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(
        errno,
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV)
    )
}

/// The entries of an open folder with their types; `Unknown` is looked up.
pub(super) fn entries(folder: impl AsFd) -> io::Result<Vec<(OsString, FileType)>> {
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

/// Opens a folder right within `folder`.
pub(super) fn inner(folder: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    Ok(openat(
        folder,
        name,
        FOLDER | OFlags::NOFOLLOW,
        Mode::empty(),
    )?)
}

/// Not waiting for a named pipe that stands there instead.
fn read_file(folder: impl AsFd, name: &OsStr) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::with_capacity(metadata.len() as usize + 1);
    file.read_to_end(&mut content)?;
    Ok(content)
}

fn temporary_in(folder: &OwnedFd) -> io::Result<(OsString, File)> {
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

/// Copies files, links and folders; of what is none of these nothing can be kept.
fn copy_tree(folder: &OwnedFd, name: &OsStr, to: &Path) -> io::Result<()> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = readlinkat(folder, name, Vec::new())?;
            std::os::unix::fs::symlink(OsStr::from_bytes(target.as_bytes()), to)
        }
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from = File::from(openat(folder, name, flags, Mode::empty())?);
            io::copy(&mut from, &mut private::create(to)?).map(drop)?;
            private::keep_owners_mode(to, stat.st_mode)
        }
        FileType::Directory => {
            private::make_folders(to)?;
            let here = inner(folder, name)?;
            for (name, _) in entries(&here)? {
                copy_tree(&here, &name, &to.join(&name))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn remove_tree(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(unlinkat(folder, name, AtFlags::empty())?);
    }
    let here = inner(folder, name)?;
    for (name, _) in entries(&here)? {
        remove_tree(&here, &name)?;
    }
    Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn scene() -> (tempfile::TempDir, Beneath) {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(root.path().join("in/a")).expect("folders");
        std::fs::create_dir_all(root.path().join("out")).expect("folders");
        std::fs::write(root.path().join("out/f"), "theirs").expect("written");
        symlink("../out", root.path().join("in/l")).expect("a link");
        let beneath = Beneath::open(&root.path().join("in")).expect("opened");
        (root, beneath)
    }

    #[test]
    fn nothing_is_reached_through_a_link_or_upwards() {
        let (root, beneath) = scene();
        for path in ["l/f", "../out/f", "/etc/passwd", "a/../../out/f"] {
            let path = Path::new(path);
            assert!(!matches!(beneath.stat(path), Ok(Some(_))), "{path:?}");
            assert!(beneath.read(path).is_err(), "{path:?}");
            assert!(beneath.write(path, b"x", 0o644).is_err(), "{path:?}");
            let to = root.path().join("aside/f");
            assert!(beneath.move_out(path, &to).is_err(), "{path:?}");
            assert!(beneath.symlink(Path::new("x"), path).is_err(), "{path:?}");
        }
        assert_eq!(
            std::fs::read(root.path().join("out/f")).expect("there"),
            b"theirs"
        );
    }

    #[test]
    fn step_by_step_is_as_at_once() {
        let (_root, beneath) = scene();
        for (path, is_there) in [
            ("", true),
            ("a", true),
            ("l", false),
            ("../out", false),
            ("b", false),
        ] {
            let path = Path::new(path);
            assert_eq!(beneath.folder(path).is_ok(), is_there, "{path:?}");
            assert_eq!(beneath.folder_by_steps(path).is_ok(), is_there, "{path:?}");
        }
    }

    #[test]
    fn a_link_at_the_path_itself_is_replaced_and_not_followed() {
        let (root, beneath) = scene();
        beneath
            .write(Path::new("l"), b"mine", 0o640)
            .expect("written");
        assert_eq!(beneath.read(Path::new("l")).expect("read"), b"mine");
        let stat = beneath.stat(Path::new("l")).expect("seen").expect("there");
        assert_eq!(stat.st_mode & 0o7777, 0o640);
        assert!(root.path().join("out/f").exists());
        let names = std::fs::read_dir(root.path().join("in")).expect("a folder");
        assert_eq!(names.count(), 2, "no temporary file is left");
    }

    #[test]
    fn folders_are_copied_and_removed_as_they_are() {
        let (root, beneath) = scene();
        beneath
            .write(Path::new("a/x"), b"x", 0o755)
            .expect("written");
        symlink("../../out", root.path().join("in/a/l")).expect("a link");
        let (folder, name) = beneath.place(Path::new("a")).expect("a place");
        let to = root.path().join("copy");
        copy_tree(&folder, name, &to).expect("copied");
        remove_tree(&folder, name).expect("removed");
        assert!(beneath.stat(Path::new("a")).expect("seen").is_none());
        assert_eq!(std::fs::read(to.join("x")).expect("there"), b"x");
        assert!(
            std::fs::symlink_metadata(to.join("l"))
                .expect("there")
                .is_symlink()
        );
        assert!(root.path().join("out/f").exists());
    }
}
