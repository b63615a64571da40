//! Copies one file, and tells by its stamp whether it changed since.

use crate::platform::private;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file that changed less than this many nanoseconds before it was read may change again with the same stamp, because
/// file systems have coarse times and the clocks of two machines differ.
pub(super) const RACE_NS: i128 = 2_000_000_000;
/// Files up to this size are read and written as a whole.
const SMALL_BYTES: u64 = 128 * 1024;

/// Tells whether a file is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub inode: u64,
    pub size: u64,
    pub mode: u32,
    pub written_ns: i128,
    pub changed_ns: i128,
}

impl FileStamp {
    /// `None` if nothing is there.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(Self::from(&metadata))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a workspace holds it: a file, a link or a folder.
    pub fn is_copied(&self) -> bool {
        matches!(self.mode & 0o170_000, 0o040_000 | 0o100_000 | 0o120_000)
    }
}

impl From<&fs::Metadata> for FileStamp {
    fn from(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            written_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
            changed_ns: i128::from(metadata.ctime()) * 1_000_000_000
                + i128::from(metadata.ctime_nsec()),
        }
    }
}

/// Copies the file or link `from`, which has the stamp `source`, to `to`, where nothing is, with the time of its last
/// writing. `None` if it is neither: of a folder, which is a repository of its own, an empty one is made; of a socket or a pipe
/// nothing.
pub(super) fn copy_file(
    from: &Path,
    to: &Path,
    source: &FileStamp,
) -> io::Result<Option<FileStamp>> {
    match source.mode & 0o170_000 {
        0o120_000 => {
            symlink(fs::read_link(from)?, to)?;
            keep_time(to, source)?;
            FileStamp::of(to)
        }
        0o100_000 => copy_content(from, to, source).map(Some),
        0o040_000 => match private::make_folder(to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Only the owner's part of the mode. Others have no access to a copy, and git records no more. A file that can't be read is an
/// empty one, which can't be read either.
fn copy_content(from: &Path, to: &Path, source: &FileStamp) -> io::Result<FileStamp> {
    let mode = source.mode & 0o700;
    let original = match open(from) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
        opened => Some(opened?),
    };
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(to)?;
    match original {
        // Small files gain nothing from shared blocks.
        Some(mut original) if source.size <= SMALL_BYTES => {
            let mut content = Vec::with_capacity(source.size as usize + 1);
            original.read_to_end(&mut content)?;
            copy.write_all(&content)?;
        }
        Some(mut original) => copy_large(&mut original, &mut copy)?,
        None => {}
    }
    rustix::fs::futimens(&copy, &times(source))?;
    let stamp = FileStamp::from(&copy.metadata()?);
    if stamp.mode & 0o7777 == mode {
        return Ok(stamp);
    }
    // The umask removed bits.
    copy.set_permissions(Permissions::from_mode(mode))?;
    Ok(FileStamp::from(&copy.metadata()?))
}

/// Opens a file for reading. Another kind of file may be in its place by now, and reading a pipe could block forever.
pub(super) fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path)?;
    match opened.metadata()?.is_file() {
        true => Ok(opened),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Shares blocks if the file system can, and leaves holes as they are.
fn copy_large(original: &mut File, copy: &mut File) -> io::Result<()> {
    let metadata = original.metadata()?;
    if metadata.blocks() * 512 >= metadata.size() {
        return io::copy(original, copy).map(drop);
    }
    let mut end = 0;
    while let Some(data) = next_data(original, end)? {
        original.seek(SeekFrom::Start(data.start))?;
        copy.seek(SeekFrom::Start(data.start))?;
        io::copy(&mut original.take(data.end - data.start), copy)?;
        end = data.end;
    }
    copy.set_len(metadata.size())
}

/// The next range at or after `from` that is no hole.
#[cfg(target_os = "linux")]
fn next_data(file: &File, from: u64) -> io::Result<Option<std::ops::Range<u64>>> {
    use rustix::fs::{SeekFrom, seek};
    let start = match seek(file, SeekFrom::Data(from)) {
        Err(rustix::io::Errno::NXIO) => return Ok(None),
        start => start?,
    };
    let end = seek(file, SeekFrom::Hole(start))?;
    Ok(Some(start..end))
}

#[cfg(not(target_os = "linux"))]
fn next_data(file: &File, from: u64) -> io::Result<Option<std::ops::Range<u64>>> {
    let size = file.metadata()?.len();
    Ok((from < size).then_some(from..size))
}

fn keep_time(path: &Path, source: &FileStamp) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, utimensat};
    let of_link = AtFlags::SYMLINK_NOFOLLOW;
    Ok(utimensat(CWD, path, &times(source), of_link)?)
}

fn times(source: &FileStamp) -> rustix::fs::Timestamps {
    use rustix::fs::{Timespec, UTIME_OMIT};
    rustix::fs::Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: source.written_ns.div_euclid(1_000_000_000) as i64,
            tv_nsec: source.written_ns.rem_euclid(1_000_000_000) as i64,
        },
    }
}

/// All folders above `files`, outermost first.
pub(super) fn list_folders<'f>(files: impl Iterator<Item = &'f Path>) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::new();
    for file in files {
        for folder in file.ancestors().skip(1) {
            if folder.as_os_str().is_empty() || !folders.insert(folder.to_owned()) {
                break;
            }
        }
    }
    folders
}

/// Restores the permissions that a worker may have removed from a folder of the copy.
pub(super) fn restore_access(folder: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(folder)?.mode();
    match mode & 0o700 {
        0o700 => Ok(()),
        _ => fs::set_permissions(folder, Permissions::from_mode(mode | 0o700)),
    }
}

/// Removes `path` and everything below, also folders without permissions. Does not follow links. Not an error if nothing is there.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        other => other?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        other => return other,
    }
    restore_access(path)?;
    for entry in fs::read_dir(path)? {
        remove_tree(&entry?.path())?;
    }
    fs::remove_dir(path)
}

pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
