//! A record of the tree before an integration: every tracked file that git reports as unchanged, with the source of its
//! content, and every folder with its mode, also the empty ones.
//!
//! Only files are read that may differ from their git objects although git reports them as unchanged (line ends,
//! keywords, filters), and only if the census of the last integration does not have them. Later a [`Stamp`] tells which
//! files to read again. Rejected: asking git what changed, because it reports a file that lost its carriage returns as
//! unchanged, and writes the output of a filter instead of the bytes that were in the tree.

use super::content_store::{ContentStore, object_id};
use super::scan::Stamp;
use crate::model::path_text;
use crate::platform::root_dir::RootDir;
use crate::platform::{Conversion, Tracked, sha256_of_reader};
use rustix::fs::FileType;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Limit of the copies of tracked files in all; files beyond it are left alone.
const COPIED_BYTES_MAX: u64 = 1024 * 1024 * 1024;

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

/// The input of a census.
pub(super) struct CensusSource<'s> {
    pub root: &'s RootDir,
    pub store: &'s ContentStore,
    /// The entries of the index, in its order.
    pub tracked: &'s [Tracked],
    /// Their current stamps.
    pub stamps: &'s [Option<Stamp>],
    /// Whether each of them is no part of the census: it is saved as a copy, or left alone.
    pub is_left_out: &'s [bool],
    pub converted: &'s BTreeMap<PathBuf, Conversion>,
}

impl CensusSource<'_> {
    /// The files of the census, and paths that exceed the limit of copies. `last` has those of the previous one, in the order of
    /// the index; what differs from it goes to `record`.
    pub fn follow(
        &self,
        last: Vec<CensusFile>,
        record: &mut Vec<u8>,
    ) -> io::Result<(Vec<CensusFile>, Vec<PathBuf>)> {
        let mut bytes_left = COPIED_BYTES_MAX;
        let (mut files, mut skipped) = (Vec::with_capacity(self.tracked.len()), Vec::new());
        let mut last = last.into_iter().peekable();
        for ((tracked, stamp), is_left_out) in
            self.tracked.iter().zip(self.stamps).zip(self.is_left_out)
        {
            let name = tracked.path.as_os_str().as_bytes();
            while let Some(gone) = last.next_if(|known| known.path.as_os_str().as_bytes() < name) {
                write_removed(record, &gone.path);
            }
            let known = last.next_if(|known| known.path == tracked.path);
            let stamp = stamp.filter(|_| !is_left_out && !tracked.is_repository);
            let content = match stamp {
                Some(stamp) => self.content(tracked, stamp, known.as_ref(), &mut bytes_left)?,
                None => Found::Nothing,
            };
            if let Found::TooLarge = content {
                skipped.push(tracked.path.clone());
            }
            match (known, content, stamp) {
                (Some(known), Found::Same, Some(stamp)) if known.stamp == stamp => {
                    files.push(known);
                }
                (Some(known), Found::Same, Some(stamp)) => {
                    let file = CensusFile { stamp, ..known };
                    file.write(record);
                    files.push(file);
                }
                (_, Found::Other(content), Some(stamp)) => {
                    let path = tracked.path.clone();
                    let file = CensusFile {
                        path,
                        stamp,
                        content,
                    };
                    file.write(record);
                    files.push(file);
                }
                (Some(gone), ..) => write_removed(record, &gone.path),
                (None, ..) => {}
            }
        }
        for gone in last {
            write_removed(record, &gone.path);
        }
        Ok((files, skipped))
    }

    fn content(
        &self,
        tracked: &Tracked,
        stamp: Stamp,
        known: Option<&CensusFile>,
        bytes_left: &mut u64,
    ) -> io::Result<Found> {
        let conversion = match tracked.is_unsure {
            true => Some(Conversion::Anything),
            false => self.converted.get(&tracked.path).copied(),
        };
        let is_object =
            |known: &CensusFile| matches!(&known.content, Content::Object(id) if *id == tracked.id);
        Ok(match (stamp.kind(), conversion) {
            (FileType::Symlink, _) if known.is_some_and(|known| known.is_unchanged(&stamp, "")) => {
                Found::Same
            }
            (FileType::Symlink, _) => {
                Found::Other(Content::Link(self.root.read_link(&tracked.path)?))
            }
            (FileType::RegularFile, None) if known.is_some_and(is_object) => Found::Same,
            (FileType::RegularFile, None) => Found::Other(Content::Object(tracked.id.clone())),
            (FileType::RegularFile, Some(_))
                if known.is_some_and(|known| known.is_unchanged(&stamp, &tracked.id)) =>
            {
                Found::Same
            }
            (FileType::RegularFile, Some(_)) if stamp.size() > *bytes_left => Found::TooLarge,
            (FileType::RegularFile, Some(conversion)) => {
                let content = self.converted_content(tracked, conversion)?;
                if matches!(content, Content::Copy(_)) {
                    *bytes_left -= stamp.size();
                }
                Found::Other(content)
            }
            _ => Found::Nothing,
        })
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

/// What a file holds, compared with the last census.
enum Found {
    Same,
    Other(Content),
    /// It is to be copied, and exceeds the limit.
    TooLarge,
    /// Neither a file nor a link.
    Nothing,
}

impl CensusFile {
    fn is_unchanged(&self, stamp: &Stamp, id: &str) -> bool {
        let is_same_object = match &self.content {
            Content::Object(own) => own == id,
            Content::Copy(_) | Content::Link(_) => true,
        };
        self.stamp == *stamp && is_same_object
    }

    /// Appends its line.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let (kind, name) = match &self.content {
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
        } = self.stamp;
        let _ = write!(
            bytes,
            "{kind} {mode} {device} {inode} {size} {written_ns} {changed_ns} {name} "
        );
        bytes.extend_from_slice(self.path.as_os_str().as_bytes());
        bytes.push(0);
    }
}

/// Appends the line of a folder.
pub(super) fn write_folder(bytes: &mut Vec<u8>, path: &OsStr, mode: u32) {
    let _ = write!(bytes, "d {mode} ");
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
}

/// Appends the line of a file that is no longer in a census.
fn write_removed(bytes: &mut Vec<u8>, path: &Path) {
    bytes.extend_from_slice(REMOVED);
    bytes.extend_from_slice(path.as_os_str().as_bytes());
    bytes.push(0);
}

/// How the line of a file starts that is no longer in a census.
pub(super) const REMOVED: &[u8] = b"x ";

/// A line of a census.
pub(super) enum Line {
    File(CensusFile),
    Folder(OsString, u32),
}

impl Line {
    /// Decodes a line without its end.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (kind, rest) = line.split_at_checked(2)?;
        let words = if kind == b"d " { 2 } else { 8 };
        let mut words: Vec<&[u8]> = rest.splitn(words, |byte| *byte == b' ').collect();
        let path = OsStr::from_bytes(words.pop()?);
        let text = |at: usize| std::str::from_utf8(words.get(at)?).ok();
        let mode: u32 = text(0)?.parse().ok()?;
        if kind == b"d " {
            return Some(Self::Folder(path.to_owned(), mode));
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
        let content = match kind {
            b"o " => Content::Object(name.to_owned()),
            b"c " => Content::Copy(name.to_owned()),
            b"l " => Content::Link(path_text::decode_hex(name)?),
            _ => return None,
        };
        Some(Self::File(CensusFile {
            path: path.into(),
            stamp,
            content,
        }))
    }
}

const HEAD: &str = "mesh census 1";

impl Census {
    /// Encodes the census for a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.files.len() * 200);
        bytes.extend_from_slice(HEAD.as_bytes());
        bytes.push(0);
        for (folder, mode) in &self.folders {
            write_folder(&mut bytes, folder, *mode);
        }
        for file in &self.files {
            file.write(&mut bytes);
        }
        bytes.extend_from_slice(HEAD.as_bytes());
        bytes.push(0);
        bytes
    }

    /// Decodes a census; `None` if the bytes are incomplete or not a census.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut lines = bytes.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        let is_whole = lines.next()? == HEAD.as_bytes() && lines.next_back()? == HEAD.as_bytes();
        let mut census = Self::default();
        for line in lines {
            match Line::parse(line)? {
                Line::File(file) => census.files.push(file),
                Line::Folder(path, mode) => drop(census.folders.insert(path, mode)),
            }
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
}
