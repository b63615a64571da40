//! The difference of two fingerprints of a tree, as a diff for people.
//!
//! A fingerprint has the content of the files that differed from the commit that was checked out. Every other file was as in
//! that commit, so its content is an object of git's.

use super::error::SnapshotError;
use super::file_copy::FileStamp;
use super::fingerprint::{COMMIT, Content, Fingerprint, KEPT_BYTES};
use crate::model::counted;
use crate::patch::{Diff, DiffSide};
use crate::platform::{Conversion, PastEntry, Repo};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many paths are shown.
const PATHS_MAX: usize = 20;

/// The differences at `paths`, and at those that differ between the commits of both fingerprints, but not at `except`. Files
/// larger than 256 KiB and binary ones are only named, with their sizes; so are paths beyond the first 20, with their number.
pub fn diff(
    repo: &Repo,
    before: &Fingerprint,
    now: &Fingerprint,
    paths: &[PathBuf],
    except: Option<&Path>,
) -> Result<Vec<u8>, SnapshotError> {
    let mut text = Vec::new();
    let mut all = paths.to_vec();
    if before.commit != now.commit {
        all.retain(|path| path != Path::new(COMMIT));
        text.extend(format!("{COMMIT} {} -> {}\n", before.commit, now.commit).into_bytes());
        let is_known = |commit: &str| commit != UNBORN;
        if is_known(&before.commit) && is_known(&now.commit) {
            let moved = repo.paths_between(&before.commit, &now.commit)?;
            all.extend(moved.into_iter().filter(|path| !paths.contains(path)));
        }
    }
    all.retain(|path| Some(path.as_path()) != except);
    let beyond = all.len().saturating_sub(PATHS_MAX);
    all.truncate(PATHS_MAX);
    let shown: Vec<&Path> = all.iter().map(PathBuf::as_path).collect();
    let (old, new) = (
        Stored::of(repo, before, &shown)?,
        Stored::of(repo, now, &shown)?,
    );
    let converted = repo.converted(&shown)?;
    for path in shown {
        let (mut old, mut new) = (old.side(before, path), new.side(now, path));
        // Only what lies in the tree has the tree's line ends.
        if converted.contains_key(path) && old.is_stored() != new.is_stored() {
            match converted.get(path) {
                Some(Conversion::LineEnds) => {
                    old.convert_line_ends();
                    new.convert_line_ends();
                }
                _ => text.extend(b"one side as git stores it, the other as git checks it out:\n"),
            }
        }
        let path = path.as_os_str().as_bytes();
        let (old, new) = (old.shown(), new.shown());
        text.extend(Diff { path, old, new }.text());
    }
    if beyond > 0 {
        let more = counted(beyond as u64, "more path");
        text.extend(format!("and {more}\n").into_bytes());
    }
    Ok(text)
}

/// The commit of a fingerprint of a repository without one.
const UNBORN: &str = "unborn";

/// What the commit of a fingerprint has at the paths that were as in the commit.
struct Stored(BTreeMap<PathBuf, (PastEntry, Option<Vec<u8>>)>);

impl Stored {
    fn of(repo: &Repo, of: &Fingerprint, paths: &[&Path]) -> Result<Self, SnapshotError> {
        let clean = paths
            .iter()
            .filter(|path| !of.files.contains_key(path.as_os_str()));
        let clean: Vec<&Path> = clean.copied().collect();
        if clean.is_empty() || of.commit == UNBORN {
            return Ok(Self(BTreeMap::new()));
        }
        let entries = repo.entries_at(&of.commit, &clean)?;
        let is_small = |entry: &PastEntry| entry.bytes.is_some_and(|bytes| bytes <= KEPT_BYTES);
        let (small, large): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_small);
        let ids: Vec<&str> = small.iter().map(|entry| entry.id.as_str()).collect();
        let contents = match ids.is_empty() {
            true => Vec::new(),
            false => repo.objects(&ids)?,
        };
        let small = small.into_iter().zip(contents);
        let large = large.into_iter().map(|entry| (entry, None));
        let all = small.chain(large);
        Ok(Self(all.map(|one| (one.0.path.clone(), one)).collect()))
    }

    fn side<'s>(&'s self, of: &'s Fingerprint, path: &Path) -> Side<'s> {
        match (of.files.get(path.as_os_str()), self.0.get(path)) {
            (Some(content), _) => Side::in_tree(content),
            (None, Some((entry, content))) => Side::stored(entry, content.as_deref()),
            (None, None) => Side::Nothing,
        }
    }
}

/// One side of a path.
enum Side<'s> {
    Nothing,
    Content {
        mode: &'static str,
        bytes: Cow<'s, [u8]>,
        is_stored: bool,
    },
    Named(String),
}

impl<'s> Side<'s> {
    fn in_tree(content: &'s Content) -> Self {
        let Some(FileStamp { mode, size, .. }) = content.stamp else {
            return Self::Nothing;
        };
        match (&content.bytes, mode & 0o170_000) {
            (Some(bytes), kind) => Self::Content {
                mode: match (kind, mode & 0o100) {
                    (0o120_000, _) => LINK,
                    (_, 0) => PLAIN,
                    _ => EXECUTABLE,
                },
                bytes: Cow::Borrowed(bytes),
                is_stored: false,
            },
            (None, 0o100_000) => Self::Named(bytes_of(size)),
            (None, 0o040_000) => Self::Named("a folder".to_owned()),
            (None, _) => Self::Named("neither a file nor a folder".to_owned()),
        }
    }

    fn stored(entry: &PastEntry, content: Option<&'s [u8]>) -> Self {
        let mode = match entry.mode.as_str() {
            LINK => LINK,
            EXECUTABLE => EXECUTABLE,
            _ => PLAIN,
        };
        match (content, entry.bytes) {
            (Some(bytes), _) => Self::Content {
                mode,
                bytes: Cow::Borrowed(bytes),
                is_stored: true,
            },
            (None, Some(bytes)) => Self::Named(bytes_of(bytes)),
            (None, None) => Self::Named(format!("a repository at {}", entry.id)),
        }
    }

    fn is_stored(&self) -> bool {
        matches!(
            self,
            Self::Content {
                is_stored: true,
                ..
            }
        )
    }

    fn convert_line_ends(&mut self) {
        if let Self::Content { bytes, .. } = self {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let converted = lines.flat_map(|line| match line.strip_suffix(b"\r\n") {
                Some(line) => [line, b"\n"],
                None => [line, b""],
            });
            *bytes = Cow::Owned(converted.flatten().copied().collect());
        }
    }

    fn shown(&self) -> DiffSide<'_> {
        match self {
            Self::Nothing => DiffSide::Nothing,
            Self::Content { mode, bytes, .. } => DiffSide::Content { mode, bytes },
            Self::Named(what) => DiffSide::Named { what },
        }
    }
}

const PLAIN: &str = "100644";
const EXECUTABLE: &str = "100755";
const LINK: &str = "120000";

fn bytes_of(number: u64) -> String {
    counted(number, "byte")
}
