//! The state of one path before an integration: what it is, its stamp, the hash of its content.

use super::beneath::Beneath;
use super::census::Stamp;
use super::error::IntegrateError;
use super::store::sha256;
use crate::model::BeforeState;
use crate::platform::Repo;
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// When a restore happens, which decides what it may take for granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right after the validation: whatever differs was changed by it.
    Validated,
    /// Some time after a kill: a file outside the patch may differ because a person edited it since, so it stays.
    Killed,
}

/// What stands at `paths` now.
pub(crate) fn states(
    repo: &Repo,
    paths: &BTreeSet<String>,
) -> Result<Vec<Option<BeforeState>>, IntegrateError> {
    let root = open_root(repo)?;
    let states = paths.iter().map(|path| {
        let path = Path::new(path);
        state_of(&root, path).map_err(IntegrateError::io(path))
    });
    states.collect()
}

pub(crate) fn open_root(repo: &Repo) -> Result<Beneath, IntegrateError> {
    Beneath::open(repo.root()).map_err(IntegrateError::io(repo.root()))
}

pub(crate) fn stamp_of(root: &Beneath, path: &Path) -> io::Result<Option<Stamp>> {
    Ok(root.stat(path)?.map(|stat| Stamp::from(&stat)))
}

/// What stands at `path`; `None` for what is neither file nor link.
pub(crate) fn state_of(root: &Beneath, path: &Path) -> io::Result<Option<BeforeState>> {
    let Some(stamp) = stamp_of(root, path)? else {
        return Ok(Some(BeforeState::Absent));
    };
    Ok(match stamp.kind() {
        FileType::Symlink => Some(BeforeState::Link {
            target: root.read_link(path)?,
        }),
        FileType::RegularFile => Some(BeforeState::File {
            mode: stamp.permissions(),
            sha256: sha256(&root.read(path)?),
        }),
        _ => None,
    })
}
