//! A record of the tree before an integration: every tracked file that git reports as unchanged, with the source of its
//! content, and every folder with its mode, also the empty ones.
//!
//! Only files are read that may differ from their git objects although git reports them as unchanged (line ends,
//! keywords, filters), and only if the census of the last integration does not have them. Later a [`Stamp`] tells which
//! files to read again. Rejected: asking git what changed, because it reports a file that lost its carriage returns as
//! unchanged, and writes the output of a filter instead of the bytes that were in the tree.

use super::content_store::{ContentStore, object_id};
use crate::model::path_text;
use crate::platform::root_dir::{RootDir, is_absent, list_entries, open_subfolder};
use crate::platform::{Conversion, Tracked, sha256_of_reader};
use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, FileType, Stat, fstat, statat};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Limit of the copies of tracked files in all; files beyond it are left alone.
const COPIED_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The depth to which nested empty folders are searched.
const DEPTH_MAX: usize = 64;

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    /// Tracked files that were unchanged.
    pub files: Vec<CensusFile>,
    /// Folders with tracked or untracked files, and empty ones, with their permission bits; outermost first.
    pub folders: BTreeMap<OsString, u32>,
}

/// One tracked file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CensusFile {
    /// Relative to the root.
    pub path: PathBuf,
    /// Its stamp at that time.
    pub stamp: Stamp,
    /// The source of its content.
    pub content: Content,
}

/// The source of the content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The git object with this id, byte for byte.
    Object(String),
    /// The copy with this name in the content store.
    Copy(String),
    /// The file is a symbolic link to this path.
    Link(PathBuf),
}

/// Tells whether a file is unchanged: only the kernel can set the time of the last status change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Permission bits and the kind of the file.
    pub mode: u32,
    written_ns: i128,
    changed_ns: i128,
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

    /// The time of the last status change, in nanoseconds since 1970.
    pub fn changed_ns(&self) -> i128 {
        self.changed_ns
    }
}

impl Content {
    /// Whether the file at `path`, which has the kind in `stamp`, has this content.
    pub fn is_at(&self, root: &RootDir, path: &Path, stamp: &Stamp) -> io::Result<bool> {
        Ok(match (self, stamp.kind()) {
            (Self::Object(id), FileType::RegularFile) => object_id(&root.read(path)?, id) == *id,
            (Self::Copy(name), FileType::RegularFile) => {
                sha256_of_reader(root.open_file(path)?)? == *name
            }
            (Self::Link(target), FileType::Symlink) => root.read_link(path)? == *target,
            _ => false,
        })
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
    };
    for folder in scans.into_iter().flatten() {
        for (number, stamp) in folder.stamps {
            seen.stamps[number] = Some(stamp);
        }
        seen.folders.extend(folder.folders);
        seen.git_folders.extend(folder.git_folder);
        seen.unlisted.extend(folder.unlisted);
    }
    seen.folders.remove(OsStr::new(""));
    Ok(seen)
}

struct FolderScan {
    stamps: Vec<(usize, Stamp)>,
    folders: Vec<(OsString, u32)>,
    git_folder: Option<PathBuf>,
    unlisted: Vec<PathBuf>,
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
            FileType::Unknown => statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |stat| {
                    FileType::from_raw_mode(stat.st_mode)
                }),
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
        if kind != FileType::Directory || name == "." || name == ".." {
            continue;
        }
        if name == ".git" {
            found.git_folder = (!path.is_empty()).then(|| Path::new(path).join(name));
            continue;
        }
        let inside = Path::new(path).join(name);
        if is_other(inside.as_os_str()) {
            found
                .folders
                .extend(empty_folders(&folder, name, &inside, DEPTH_MAX).unwrap_or_default());
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
) -> Option<Vec<(OsString, u32)>> {
    let folder = open_subfolder(above, name).ok()?;
    let mut all = vec![(path.as_os_str().to_owned(), permissions(&folder).ok()?)];
    for (name, kind) in list_entries(&folder).ok()? {
        if kind != FileType::Directory || name == ".git" || depth == 0 {
            return None;
        }
        all.extend(empty_folders(&folder, &name, &path.join(&name), depth - 1)?);
    }
    Some(all)
}

#[expect(
    clippy::useless_conversion,
    reason = "the type of the field is not the same on all systems"
)]
fn permissions(folder: &OwnedFd) -> io::Result<u32> {
    Ok(u32::from(fstat(folder)?.st_mode) & 0o7777)
}

/// The input of a census.
pub(super) struct CensusSource<'s> {
    pub root: &'s RootDir,
    pub store: &'s ContentStore,
    /// Tracked files that git reports as unchanged.
    pub clean: &'s [&'s Tracked],
    /// Their current stamps.
    pub stamps: &'s [Option<Stamp>],
    pub converted: &'s BTreeMap<PathBuf, Conversion>,
    /// The previous census.
    pub last: &'s Census,
}

impl CensusSource<'_> {
    /// The files of the census, and paths that exceed the limit of copies.
    pub fn collect_files(&self) -> io::Result<(Vec<CensusFile>, Vec<PathBuf>)> {
        let last: HashMap<&OsStr, &CensusFile> = match self.converted.is_empty() {
            true => HashMap::new(),
            false => {
                let last = self.last.files.iter();
                last.map(|known| (known.path.as_os_str(), known)).collect()
            }
        };
        let mut bytes_left = COPIED_BYTES_MAX;
        let (mut files, mut skipped) = (Vec::with_capacity(self.clean.len()), Vec::new());
        for (tracked, stamp) in self.clean.iter().zip(self.stamps) {
            let Some(stamp) = *stamp else { continue };
            let conversion = match tracked.is_unsure {
                true => Some(Conversion::Anything),
                false => self.converted.get(&tracked.path).copied(),
            };
            let known = last.get(tracked.path.as_os_str());
            let content = match (stamp.kind(), conversion) {
                (FileType::Symlink, _) => Content::Link(self.root.read_link(&tracked.path)?),
                (FileType::RegularFile, None) => Content::Object(tracked.id.clone()),
                (FileType::RegularFile, Some(conversion)) => {
                    let known = known.filter(|known| known.is_unchanged(&stamp, &tracked.id));
                    let is_new = known.is_none();
                    if is_new && stamp.size() > bytes_left {
                        skipped.push(tracked.path.clone());
                        continue;
                    }
                    match known {
                        Some(known) => known.content.clone(),
                        None => {
                            let content = self.converted_content(tracked, conversion)?;
                            if matches!(content, Content::Copy(_)) {
                                bytes_left -= stamp.size();
                            }
                            content
                        }
                    }
                }
                _ => continue,
            };
            files.push(CensusFile {
                path: tracked.path.clone(),
                stamp,
                content,
            });
        }
        Ok((files, skipped))
    }

    fn converted_content(&self, tracked: &Tracked, conversion: Conversion) -> io::Result<Content> {
        let content = self.root.read(&tracked.path)?;
        // Line-end conversion does not change a file without carriage returns.
        let is_object = conversion == Conversion::LineEnds && !content.contains(&b'\r');
        Ok(match is_object {
            true => Content::Object(tracked.id.clone()),
            false => Content::Copy(self.store.put(&content)?),
        })
    }
}

impl CensusFile {
    fn is_unchanged(&self, stamp: &Stamp, id: &str) -> bool {
        let is_same_object = match &self.content {
            Content::Object(own) => own == id,
            Content::Copy(_) | Content::Link(_) => true,
        };
        self.stamp == *stamp && is_same_object
    }
}

const HEAD: &str = "mesh census 1";

impl Census {
    /// Encodes the census for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        use std::io::Write;
        let mut bytes = Vec::with_capacity(self.files.len() * 200);
        let mut line = |parts: std::fmt::Arguments<'_>, path: &OsStr| {
            let _ = bytes.write_fmt(parts);
            bytes.extend_from_slice(path.as_bytes());
            bytes.push(0);
        };
        line(format_args!("{HEAD}"), OsStr::new(""));
        for (folder, mode) in &self.folders {
            line(format_args!("d {mode} "), folder);
        }
        for CensusFile {
            path,
            stamp,
            content,
        } in &self.files
        {
            let (kind, name) = match content {
                Content::Object(id) => ("o", id.clone()),
                Content::Copy(name) => ("c", name.clone()),
                Content::Link(target) => ("l", path_text::encode_hex(target)),
            };
            let Stamp {
                device,
                inode,
                size,
                mode,
                written_ns,
                changed_ns,
            } = stamp;
            line(
                format_args!(
                    "{kind} {mode} {device} {inode} {size} {written_ns} {changed_ns} {name} "
                ),
                path.as_os_str(),
            );
        }
        line(format_args!("{HEAD}"), OsStr::new(""));
        bytes
    }

    /// Decodes a census; `None` if the bytes are incomplete or not a census.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let is_whole = lines.next()? == HEAD.as_bytes() && lines.next_back()? == HEAD.as_bytes();
        let mut census = Self::default();
        for line in lines {
            let (kind, rest) = line.split_at_checked(2)?;
            let words = if kind == b"d " { 2 } else { 8 };
            let mut words: Vec<&[u8]> = rest.splitn(words, |byte| *byte == b' ').collect();
            let path = OsStr::from_bytes(words.pop()?);
            let text = |at: usize| std::str::from_utf8(words.get(at)?).ok();
            let mode: u32 = text(0)?.parse().ok()?;
            if kind == b"d " {
                census.folders.insert(path.to_owned(), mode);
                continue;
            }
            let stamp = Stamp {
                mode,
                device: text(1)?.parse().ok()?,
                inode: text(2)?.parse().ok()?,
                size: text(3)?.parse().ok()?,
                written_ns: text(4)?.parse().ok()?,
                changed_ns: text(5)?.parse().ok()?,
            };
            let name = text(6)?;
            census.files.push(CensusFile {
                path: path.into(),
                stamp,
                content: match kind {
                    b"o " => Content::Object(name.to_owned()),
                    b"c " => Content::Copy(name.to_owned()),
                    b"l " => Content::Link(path_text::decode_hex(name)?),
                    _ => return None,
                },
            });
        }
        is_whole.then_some(census)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(mode: u32) -> Stamp {
        Stamp {
            device: 1,
            inode: 2,
            size: 3,
            mode,
            written_ns: -4,
            changed_ns: 5,
        }
    }

    #[test]
    fn a_census_round_trips_and_an_incomplete_one_is_refused() {
        let odd = OsStr::from_bytes(b"a b/\xff \n1 2");
        let known = |content: Content| CensusFile {
            path: odd.into(),
            stamp: stamp(0o100_644),
            content,
        };
        let census = Census {
            files: vec![
                known(Content::Object("aa".to_owned())),
                known(Content::Copy("bb".to_owned())),
                known(Content::Link(odd.into())),
            ],
            folders: BTreeMap::from([(odd.to_owned(), 0o755), ("x".into(), 0)]),
        };
        let bytes = census.to_bytes();
        assert_eq!(Census::from_bytes(&bytes), Some(census));
        for cut in 0..bytes.len() {
            assert_eq!(Census::from_bytes(&bytes[..cut]), None, "{cut}");
        }
    }

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
