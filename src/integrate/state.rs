//! The state of one path: its kind, its permission bits and the hash of its content.

use super::census::Stamp;
use super::error::IntegrateError;
use super::root_dir::RootDir;
use crate::model::BeforeState;
use crate::platform::{Repo, sha256_of_reader};
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

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
    let Some(stamp) = read_stamp(root, path)? else {
        return Ok(Some(BeforeState::Absent));
    };
    Ok(match stamp.kind() {
        FileType::Symlink => Some(BeforeState::Link {
            target: root.read_link(path)?,
        }),
        FileType::RegularFile => Some(BeforeState::File {
            mode: stamp.permissions(),
            sha256: sha256_of_reader(root.open_file(path)?)?,
        }),
        _ => None,
    })
}
