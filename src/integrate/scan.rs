//! One walk over the tree: the stamps of files, and the folders that hold them.
//!
//! Nothing is read but folders, and no link is followed.

use crate::platform::root_dir::{RootDir, is_absent, list_entries, open_subfolder};
use crate::platform::{FileMark, look};
use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, FileType, Stat, fstat, statat};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The depth to which nested empty folders are searched.
const DEPTH_MAX: usize = 64;

/// Longer than a tick of any file system's clock: two changes within one can have the same times.
const CLOCK_TICK_NS: i128 = 20_000_000;

/// Tells whether a file is unchanged: only the kernel can set the time of the last status change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Permission bits and the kind of the file.
    pub mode: u32,
    pub written_ns: i128,
    pub changed_ns: i128,
}

#[expect(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    reason = "the types of these fields are not the same on all systems"
)]
impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        let ns = |seconds: i64, ns: i128| i128::from(seconds) * 1_000_000_000 + ns;
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino.into(),
            size: stat.st_size as u64,
            mode: u32::from(stat.st_mode),
            written_ns: ns(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: ns(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }
}

impl Stamp {
    /// Device and inode.
    pub fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// The permission bits.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.mode as rustix::fs::RawMode)
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether every change of the file after `now_ns`, nanoseconds since 1970, gives it another stamp.
    pub fn is_settled(&self, now_ns: i128) -> bool {
        self.changed_ns + CLOCK_TICK_NS < now_ns
    }

    /// The same as git's files are marked with.
    pub fn mark(&self) -> FileMark {
        const SECOND_NS: i128 = 1_000_000_000;
        let seconds = |ns: i128| ns.div_euclid(SECOND_NS) as i64;
        let rest = |ns: i128| ns.rem_euclid(SECOND_NS) as i64;
        let (written, changed) = (self.written_ns, self.changed_ns);
        Some((
            self.device,
            self.inode,
            self.size,
            seconds(written),
            rest(written),
            seconds(changed),
            rest(changed),
        ))
    }
}

/// The result of a scan of the tree.
#[derive(Debug)]
pub(super) struct Scan {
    /// For each requested path, in that order.
    pub stamps: Vec<Option<Stamp>>,
    /// As in [`Census::folders`].
    pub folders: BTreeMap<OsString, u32>,
    /// `.git` entries below the root: each turns a folder with files of this repository into a nested repository.
    pub git_folders: BTreeSet<PathBuf>,
    /// In folders with files of this repository: pipes, sockets and devices, which git never lists, and `.gitignore` files,
    /// which may keep git from listing others.
    pub unlisted: BTreeSet<PathBuf>,
    /// The `.gitattributes` in those folders.
    pub attributes: BTreeMap<PathBuf, Stamp>,
}

/// Scans `paths`, all folders above them, and empty folders. Does not enter the folders in `excluded`.
pub(super) fn scan(
    root: &RootDir,
    paths: &[&Path],
    excluded: &HashSet<&OsStr>,
) -> io::Result<Scan> {
    let mut folders: HashMap<&OsStr, Vec<usize>> = HashMap::from([(OsStr::new(""), Vec::new())]);
    for (number, path) in paths.iter().enumerate() {
        let folder = path.parent().unwrap_or(Path::new(""));
        folders.entry(folder.as_os_str()).or_default().push(number);
        for above in folder.ancestors().skip(1) {
            if folders.contains_key(above.as_os_str()) {
                break;
            }
            folders.insert(above.as_os_str(), Vec::new());
        }
    }
    let is_other = |path: &OsStr| !folders.contains_key(path) && !excluded.contains(path);
    let scans = folders.par_iter().map(|(folder, numbers)| {
        let names = numbers.iter().map(|number| (*number, paths[*number]));
        scan_folder(root, folder, names, &is_other)
    });
    let scans: Vec<Option<FolderScan>> = scans.collect::<io::Result<_>>()?;
    let mut seen = Scan {
        stamps: vec![None; paths.len()],
        folders: BTreeMap::new(),
        git_folders: BTreeSet::new(),
        unlisted: BTreeSet::new(),
        attributes: BTreeMap::new(),
    };
    for folder in scans.into_iter().flatten() {
        for (number, stamp) in folder.stamps {
            seen.stamps[number] = Some(stamp);
        }
        seen.folders.extend(folder.folders);
        seen.git_folders.extend(folder.git_folder);
        seen.unlisted.extend(folder.unlisted);
        seen.attributes.extend(folder.attributes);
    }
    seen.folders.remove(OsStr::new(""));
    Ok(seen)
}

struct FolderScan {
    stamps: Vec<(usize, Stamp)>,
    folders: Vec<(OsString, u32)>,
    git_folder: Option<PathBuf>,
    unlisted: Vec<PathBuf>,
    attributes: Option<(PathBuf, Stamp)>,
}

fn scan_folder<'p>(
    root: &RootDir,
    path: &OsStr,
    names: impl Iterator<Item = (usize, &'p Path)>,
    is_other: &impl Fn(&OsStr) -> bool,
) -> io::Result<Option<FolderScan>> {
    let folder = match root.open_folder(Path::new(path)) {
        Err(error) if is_absent(&error) => return Ok(None),
        opened => opened?,
    };
    let mut found = FolderScan {
        stamps: Vec::new(),
        folders: vec![(path.to_owned(), permissions(&folder)?)],
        git_folder: None,
        unlisted: Vec::new(),
        attributes: None,
    };
    for (number, path) in names {
        let Some(name) = path.file_name() else {
            continue;
        };
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => found.stamps.push((number, Stamp::from(&stat))),
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let kind = match entry.file_type() {
            FileType::Unknown => match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(rustix::io::Errno::NOENT) => continue,
                Err(errno) => return Err(errno.into()),
            },
            kind => kind,
        };
        let is_unlisted = match kind {
            FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice => true,
            _ => name == ".gitignore" && kind != FileType::Directory,
        };
        if is_unlisted {
            found.unlisted.push(Path::new(path).join(name));
        }
        if name == ".gitattributes" {
            let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
            found.attributes = Some((Path::new(path).join(name), Stamp::from(&stat)));
        }
        if kind != FileType::Directory || name == "." || name == ".." {
            continue;
        }
        if name == ".git" {
            found.git_folder = (!path.is_empty()).then(|| Path::new(path).join(name));
            continue;
        }
        let inside = Path::new(path).join(name);
        if is_other(inside.as_os_str()) {
            let empty = empty_folders(&folder, name, &inside, DEPTH_MAX);
            // One that can't be looked into, such as the mount of a server that is gone, is not known to be empty.
            let empty = look::of_others(empty)?.flatten();
            found.folders.extend(empty.unwrap_or_default());
        }
    }
    Ok(Some(found))
}

/// The folder and those in it, if it contains nothing but folders.
fn empty_folders(
    above: impl AsFd,
    name: &OsStr,
    path: &Path,
    depth: usize,
) -> io::Result<Option<Vec<(OsString, u32)>>> {
    let folder = open_subfolder(above, name)?;
    let mut all = vec![(path.as_os_str().to_owned(), permissions(&folder)?)];
    for (name, kind) in list_entries(&folder)? {
        if kind != FileType::Directory || name == ".git" || depth == 0 {
            return Ok(None);
        }
        let Some(below) = empty_folders(&folder, &name, &path.join(&name), depth - 1)? else {
            return Ok(None);
        };
        all.extend(below);
    }
    Ok(Some(all))
}

#[expect(
    clippy::useless_conversion,
    reason = "the type of the field is not the same on all systems"
)]
fn permissions(folder: &OwnedFd) -> io::Result<u32> {
    Ok(u32::from(fstat(folder)?.st_mode) & 0o7777)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_folders_are_found_and_unrelated_ones_are_not_entered() {
        let root = tempfile::tempdir().expect("a folder");
        for folder in [
            "known",
            "known/empty/deep",
            "ignored/empty",
            "hollow",
            "sub/empty",
            "n/.git",
        ] {
            std::fs::create_dir_all(root.path().join(folder)).expect("folders");
        }
        for file in ["known/f", "ignored/f"] {
            std::fs::write(root.path().join(file), "x").expect("written");
        }
        let root_dir = RootDir::open(root.path()).expect("opened");
        let paths = [
            Path::new("known/f"),
            Path::new("known/gone"),
            Path::new("gone/f"),
        ];
        let excluded = HashSet::from([OsStr::new("sub")]);
        let seen = scan(&root_dir, &paths, &excluded).expect("seen");
        let is_there: Vec<bool> = seen.stamps.iter().map(Option::is_some).collect();
        assert_eq!(is_there, [true, false, false]);
        let folders: Vec<&OsStr> = seen.folders.keys().map(OsString::as_os_str).collect();
        assert_eq!(
            folders,
            ["hollow", "known", "known/empty", "known/empty/deep"]
        );
    }
}
