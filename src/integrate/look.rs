//! What the tree of a run holds at one time: git's answer about changes, and the stamps of all files.
//!
//! The look after one integration is the look before the next, as long as no time passes between them. Of a later look, git is
//! asked only about files whose stamps differ, and for the names of untracked files: of a file with the same stamp it says
//! the same. What else its answer depends on, the index, the commit, settings and attributes, is compared; if any of them
//! differs, git is asked about all.

use super::error::IntegrateError;
use super::scan::{Scan, Stamp, scan};
use super::state::open_root;
use crate::platform::{
    Change, Conversion, FileClock, FileMark, IndexListing, Repo, SettingsMark, clock,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Up to so many files are named to git; above it, asking about all is faster.
const NAMED_MAX: usize = 64;

/// The tree at one time.
#[derive(Debug)]
pub(super) struct Look {
    pub index: Arc<IndexListing>,
    pub changes: Arc<Vec<Change>>,
    /// The stamps of the entries of the index, in its order.
    pub stamps: Vec<Option<Stamp>>,
    /// Those of untracked files.
    untracked: HashMap<PathBuf, Option<Stamp>>,
    /// As in [`Scan`].
    pub folders: Arc<BTreeMap<OsString, u32>>,
    pub git_folders: BTreeSet<PathBuf>,
    pub unlisted: BTreeSet<PathBuf>,
    attributes: BTreeMap<PathBuf, Stamp>,
    head: String,
    settings: SettingsMark,
    /// When it began, in nanoseconds since 1970.
    since_ns: i128,
}

impl Look {
    /// Looks at everything. Git's answer is the one that `repo` remembers, where that still holds.
    pub fn take(repo: &Repo) -> Result<Self, IntegrateError> {
        let began = Began::of(repo)?;
        let remembered = repo.remembered_changes();
        let before = remembered.as_ref().map_or(&[][..], |known| &known.all);
        let mut seen = Seen::scan(repo, &began.index, untracked(before).collect())?;
        let known = match remembered {
            // Git looks after the scan: what it then calls unchanged had the content of its object.
            None => repo.known_changes()?,
            Some(known) => {
                let old: HashSet<&Path> = known.all.iter().map(|it| it.path.as_path()).collect();
                let clock = FileClock::of(repo.root());
                let has_changed = |at: usize, path: &Path| match seen.scan.stamps[at] {
                    Some(stamp) => !clock.is_settled(stamp.changed_ns, known.since_ns),
                    None => !old.contains(path),
                };
                match ask_of(repo, &began.index, &known.all, has_changed)? {
                    Some(changes) if changes == *known.all => known,
                    Some(changes) => repo.remember_changes(changes, known.since_ns),
                    None => repo.remember_changes(repo.changes()?, began.since_ns),
                }
            }
        };
        seen.add(repo, &began.index, &known.all)?;
        Ok(began.end(known.all, seen))
    }

    /// Looks again. `repo` remembers git's answer.
    pub fn again(&self, repo: &Repo) -> Result<Self, IntegrateError> {
        let began = Began::of(repo)?;
        let mut seen = Seen::scan(repo, &began.index, self.untracked.keys().cloned().collect())?;
        let changes = match self.changes_at(repo, &began, &seen.scan)? {
            Some(changes) => changes,
            None => repo.changes()?,
        };
        let known = repo.remember_changes(changes, began.since_ns);
        seen.add(repo, &began.index, &known.all)?;
        Ok(began.end(known.all, seen))
    }

    /// Whether `repo` still remembers what this look has seen.
    pub fn is_current(&self, repo: &Repo) -> bool {
        let remembered = repo.remembered_changes();
        remembered.is_some_and(|known| Arc::ptr_eq(&known.all, &self.changes))
    }

    /// The changes when the tree is as `scanned` says; `None` if git has to be asked about all.
    fn changes_at(
        &self,
        repo: &Repo,
        began: &Began,
        scanned: &Scan,
    ) -> Result<Option<Vec<Change>>, IntegrateError> {
        let is_same = Arc::ptr_eq(&self.index, &began.index)
            && self.head == began.head
            && self.settings == began.settings
            && self.attributes == scanned.attributes
            && self.has_settled_attributes();
        if !is_same {
            return Ok(None);
        }
        let has_changed = |at: usize, _: &Path| !self.is_still(self.stamps[at], scanned.stamps[at]);
        let tracked = ask_of(repo, &self.index, &self.changes, has_changed)?;
        let Some(mut changes) = tracked else {
            return Ok(None);
        };
        changes.retain(|change| !change.untracked);
        let untracked = repo.untracked()?.into_iter();
        changes.extend(untracked.map(|path| Change {
            path,
            untracked: true,
        }));
        Ok(Some(changes))
    }

    /// Whether a file that had the stamp `before` when this look saw it is the same file now.
    fn is_still(&self, before: Option<Stamp>, now: Option<Stamp>) -> bool {
        before == now && before.is_none_or(|stamp| stamp.is_settled(self.since_ns))
    }

    /// Whether `path` was seen as it is in `other`; `None` if one of them has not seen it.
    pub fn is_same(&self, other: &Self, path: &Path) -> Option<bool> {
        Some(self.is_still(self.stamp(path)?, other.stamp(path)?))
    }

    /// The stamp of a path that was looked at.
    pub fn stamp(&self, path: &Path) -> Option<Option<Stamp>> {
        match self.position(path) {
            Some(at) => Some(self.stamps[at]),
            None => self.untracked.get(path).copied(),
        }
    }

    /// The position of a tracked file in the index, which is in the order of the bytes of the paths.
    pub fn position(&self, path: &Path) -> Option<usize> {
        let bytes = path.as_os_str().as_bytes();
        let tracked = &self.index.tracked;
        let found = tracked.binary_search_by(|entry| entry.path.as_os_str().as_bytes().cmp(bytes));
        found.ok()
    }

    /// How git converts the files.
    pub fn converted(
        &self,
        repo: &Repo,
    ) -> Result<Arc<BTreeMap<PathBuf, Conversion>>, IntegrateError> {
        let marks = || -> Vec<FileMark> { self.attributes.values().map(Stamp::mark).collect() };
        let marks = self.has_settled_attributes().then(marks);
        Ok(repo.converted_files(&self.index, marks)?)
    }

    fn has_settled_attributes(&self) -> bool {
        let mut stamps = self.attributes.values();
        stamps.all(|stamp| stamp.is_settled(self.since_ns))
    }
}

/// The changes `before`, with those of tracked files that have changed since as git reports them now; `None` if git has to be
/// asked about all.
fn ask_of(
    repo: &Repo,
    index: &IndexListing,
    before: &[Change],
    has_changed: impl Fn(usize, &Path) -> bool,
) -> Result<Option<Vec<Change>>, IntegrateError> {
    // A change within a submodule is one of its entry.
    if index.tracked.iter().any(|entry| entry.is_repository) {
        return Ok(None);
    }
    let tracked = index.tracked.iter().enumerate();
    let differing = tracked.filter(|(at, entry)| has_changed(*at, &entry.path));
    let differing: BTreeSet<&Path> = differing.map(|(_, entry)| entry.path.as_path()).collect();
    if differing.len() > NAMED_MAX {
        return Ok(None);
    }
    let paths: Vec<&Path> = differing.iter().copied().collect();
    // What is named may be a folder by now, with other files in it.
    let asked = repo.changes_of(&paths)?.into_iter();
    let asked = asked.filter(|change| differing.contains(change.path.as_path()));
    let is_asked =
        |change: &&Change| !change.untracked && differing.contains(change.path.as_path());
    let others = before.iter().filter(|change| !is_asked(change));
    Ok(Some(others.cloned().chain(asked).collect()))
}

/// What a look needs besides the files.
struct Began {
    index: Arc<IndexListing>,
    head: String,
    settings: SettingsMark,
    since_ns: i128,
}

impl Began {
    fn of(repo: &Repo) -> Result<Self, IntegrateError> {
        Ok(Self {
            since_ns: clock::now().as_nanosecond(),
            index: repo.index()?,
            head: repo.head()?,
            settings: repo.settings_mark()?,
        })
    }

    fn end(self, changes: Arc<Vec<Change>>, seen: Seen) -> Look {
        let mut stamps = seen.scan.stamps;
        let others = stamps.split_off(self.index.tracked.len());
        let still: HashSet<&Path> = untracked_of(&changes).collect();
        let others = seen.untracked.into_iter().zip(others);
        Look {
            untracked: others
                .filter(|(path, _)| still.contains(path.as_path()))
                .collect(),
            stamps,
            folders: Arc::new(seen.scan.folders),
            git_folders: seen.scan.git_folders,
            unlisted: seen.scan.unlisted,
            attributes: seen.scan.attributes,
            changes: Arc::clone(&changes),
            index: self.index,
            head: self.head,
            settings: self.settings,
            since_ns: self.since_ns,
        }
    }
}

/// A scan of the tracked files, and of untracked ones after them.
struct Seen {
    scan: Scan,
    untracked: Vec<PathBuf>,
}

impl Seen {
    /// Folders of nested repositories are not entered.
    fn scan(
        repo: &Repo,
        index: &IndexListing,
        untracked: Vec<PathBuf>,
    ) -> Result<Self, IntegrateError> {
        let tracked = &index.tracked;
        let mut paths: Vec<&Path> = tracked.iter().map(|entry| entry.path.as_path()).collect();
        paths.extend(untracked.iter().map(PathBuf::as_path));
        let excluded = excluded(index, &paths[tracked.len()..]);
        let scan = scan(&open_root(repo)?, &paths, &excluded);
        Ok(Self {
            scan: scan.map_err(IntegrateError::io(repo.root()))?,
            untracked,
        })
    }

    /// Adds the untracked files among `changes` that are missing.
    fn add(
        &mut self,
        repo: &Repo,
        index: &IndexListing,
        changes: &[Change],
    ) -> Result<(), IntegrateError> {
        let known: HashSet<&Path> = self.untracked.iter().map(PathBuf::as_path).collect();
        let new: Vec<&Path> = untracked_of(changes)
            .filter(|path| !known.contains(path))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let more = scan(&open_root(repo)?, &new, &excluded(index, &new));
        let more = more.map_err(IntegrateError::io(repo.root()))?;
        self.scan.stamps.extend(more.stamps);
        self.scan.folders.extend(more.folders);
        self.scan.git_folders.extend(more.git_folders);
        self.scan.unlisted.extend(more.unlisted);
        self.scan.attributes.extend(more.attributes);
        let new: Vec<PathBuf> = new.into_iter().map(Path::to_owned).collect();
        self.untracked.extend(new);
        Ok(())
    }
}

/// The folders of nested repositories, and untracked paths, which may be some.
fn excluded<'p>(index: &'p IndexListing, untracked: &[&'p Path]) -> HashSet<&'p OsStr> {
    let nested = index.tracked.iter().filter(|entry| entry.is_repository);
    let nested = nested.map(|entry| entry.path.as_os_str());
    let untracked = untracked.iter().map(|path| path.as_os_str());
    nested.chain(untracked).collect()
}

fn untracked(changes: &[Change]) -> impl Iterator<Item = PathBuf> {
    untracked_of(changes).map(Path::to_owned)
}

fn untracked_of(changes: &[Change]) -> impl Iterator<Item = &Path> {
    let untracked = changes.iter().filter(|change| change.untracked);
    untracked.map(|change| change.path.as_path())
}
