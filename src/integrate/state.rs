//! The state of one path: its kind, its permission bits and the hash of its content.

use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::scan::Stamp;
use crate::model::BeforeState;
use crate::platform::root_dir::RootDir;
use crate::platform::{Repo, clock, sha256_of_reader};
use rustix::fs::FileType;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Why the tree is restored. It decides which changes the restore may undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreCause {
    /// Right after a validation, which made all changes.
    AfterValidation,
    /// After a kill. A file outside the patch may hold an edit that the user made since, so it is kept.
    AfterKill,
}

/// The current states of `paths`.
pub(crate) fn read_states(
    repo: &Repo,
    paths: &BTreeSet<String>,
) -> Result<Vec<Option<BeforeState>>, IntegrateError> {
    let root = open_root(repo)?;
    let states = paths.iter().map(|path| {
        let path = Path::new(path);
        read_state(&root, path).map_err(IntegrateError::io(path))
    });
    states.collect()
}

pub(crate) fn open_root(repo: &Repo) -> Result<RootDir, IntegrateError> {
    RootDir::open(repo.root()).map_err(IntegrateError::io(repo.root()))
}

pub(crate) fn read_stamp(root: &RootDir, path: &Path) -> io::Result<Option<Stamp>> {
    Ok(root.stat(path)?.map(|stat| Stamp::from(&stat)))
}

/// The current state of `path`; `None` if it is neither a file nor a link.
pub(crate) fn read_state(root: &RootDir, path: &Path) -> io::Result<Option<BeforeState>> {
    read_state_with(root, path, || sha256_of_file(root, path))
}

fn sha256_of_file(root: &RootDir, path: &Path) -> io::Result<String> {
    sha256_of_reader(root.open_file(path)?)
}

/// The same, with the `digest` of a file.
fn read_state_with(
    root: &RootDir,
    path: &Path,
    digest: impl FnOnce() -> io::Result<String>,
) -> io::Result<Option<BeforeState>> {
    let Some(stamp) = read_stamp(root, path)? else {
        return Ok(Some(BeforeState::Absent));
    };
    Ok(match stamp.kind() {
        FileType::Symlink => Some(BeforeState::Link {
            target: root.read_link(path)?,
        }),
        FileType::RegularFile => Some(BeforeState::File {
            mode: stamp.permissions(),
            sha256: digest()?,
        }),
        _ => None,
    })
}

/// The states of files of one tree and of its git folder, so that a file is read again only when its stamp is another one. A tree
/// holds the changes of all tasks before, and each integration saves them. A stamp has the inode, so two files may have one name.
#[derive(Debug, Default)]
pub(super) struct KnownStates(Mutex<HashMap<PathBuf, (Stamp, BeforeState)>>);

impl KnownStates {
    /// [`read_state`], of a path of this tree.
    pub fn read(&self, root: &RootDir, path: &Path) -> io::Result<Option<BeforeState>> {
        let Some(stamp) = read_stamp(root, path)? else {
            return Ok(Some(BeforeState::Absent));
        };
        let digest = || sha256_of_file(root, path);
        self.read_with(root, path, stamp, |_| true, digest)
    }

    /// The same, and the content of a file is in `store` when this returns. A path with a `stamp` was looked at.
    pub fn save(
        &self,
        root: &RootDir,
        path: &Path,
        stamp: Option<Stamp>,
        store: &ContentStore,
    ) -> io::Result<Option<BeforeState>> {
        let stamp = stamp.map_or_else(|| read_stamp(root, path), |stamp| Ok(Some(stamp)))?;
        let Some(stamp) = stamp else {
            return Ok(Some(BeforeState::Absent));
        };
        // What is copied is what a restore writes, also if the file has changed since it was looked at.
        let put = || store.put(&root.read(path)?);
        self.read_with(root, path, stamp, |sha256| store.has(sha256), put)
    }

    fn read_with(
        &self,
        root: &RootDir,
        path: &Path,
        stamp: Stamp,
        is_enough: impl FnOnce(&str) -> bool,
        digest: impl FnOnce() -> io::Result<String>,
    ) -> io::Result<Option<BeforeState>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, state)) = known.get(path).filter(|known| known.0 == stamp)
            && let BeforeState::File { sha256, .. } = state
            && is_enough(sha256)
        {
            return Ok(Some(state.clone()));
        }
        known.remove(path);
        let now_ns = clock::now().as_nanosecond();
        let state = read_state_with(root, path, digest)?;
        if let Some(state @ BeforeState::File { .. }) = &state
            && stamp.is_settled(now_ns)
            && read_stamp(root, path)? == Some(stamp)
        {
            known.insert(path.to_owned(), (stamp, state.clone()));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::sha256_of_bytes;

    #[test]
    fn a_known_file_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (root, known) = (
            RootDir::open(folder.path()).expect("a root"),
            KnownStates::default(),
        );
        let (path, file) = (Path::new("a"), folder.path().join("a"));
        let content = |state: Option<BeforeState>| match state {
            Some(BeforeState::File { sha256, .. }) => sha256,
            other => panic!("{other:?}"),
        };
        for text in ["one", "two", "three"] {
            std::fs::write(&file, text).expect("written");
            for _ in 0..2 {
                let state = known.read(&root, path).expect("read");
                assert_eq!(content(state), sha256_of_bytes(text.as_bytes()));
            }
        }
        let is_remembered = || {
            known.read(&root, path).expect("read");
            !known.0.lock().expect("unpoisoned").is_empty()
        };
        while !is_remembered() {}
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(
            known.read(&root, path).expect("read"),
            Some(BeforeState::Absent)
        );
        std::fs::write(&file, "THREE").expect("written");
        let state = known.read(&root, path).expect("read");
        assert_eq!(content(state), sha256_of_bytes(b"THREE"));
    }

    #[test]
    fn what_is_saved_is_in_the_store_also_if_the_file_is_known() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = RootDir::open(folder.path()).expect("a root");
        let (path, known) = (Path::new("a"), KnownStates::default());
        std::fs::write(folder.path().join(path), "one").expect("written");
        let is_remembered = || {
            known.read(&root, path).expect("read");
            !known.0.lock().expect("unpoisoned").is_empty()
        };
        while !is_remembered() {}
        let sha256 = sha256_of_bytes(b"one");
        for name in ["first", "second"] {
            let store = ContentStore::open(&folder.path().join(name)).expect("a store");
            let state = known.save(&root, path, None, &store).expect("saved");
            assert!(
                matches!(state, Some(BeforeState::File { sha256: found, .. }) if found == sha256)
            );
            assert_eq!(store.get(&sha256).expect("stored"), b"one");
        }
        let gone = known.save(
            &root,
            Path::new("b"),
            None,
            &ContentStore::at(folder.path()),
        );
        assert_eq!(gone.expect("looked"), Some(BeforeState::Absent));
    }
}
