//! After `git apply`: whether the tree is what the patch was found to make of it, byte for byte. Git places hunks by rules of its
//! own; whatever those do, nothing but the computed result stays. After a validation: which of these files it changed again.

use super::beneath::Beneath;
use super::error::IntegrateError;
use super::state::state_of;
use crate::model::{BeforeState, one_line};
use crate::patch::{Outcome, Patch};
use crate::platform::Repo;
use std::path::{Path, PathBuf};

/// The first path that is not as computed, in words; `None` when all are. `folder` takes files for git to compare.
pub(super) fn difference(
    repo: &Repo,
    patch: &Patch,
    folder: &Path,
) -> Result<Option<String>, IntegrateError> {
    let first = differing(repo, patch, folder)?.into_iter().next();
    Ok(first.map(|path| {
        format!(
            "`{}` is not what the patch makes of it, after git applied it; the tree was restored",
            one_line(&path.to_string_lossy())
        )
    }))
}

/// All paths of the patch that are not as computed.
pub(super) fn differing(
    repo: &Repo,
    patch: &Patch,
    folder: &Path,
) -> Result<Vec<PathBuf>, IntegrateError> {
    let root = Beneath::open(repo.root()).map_err(IntegrateError::io(repo.root()))?;
    let mut differing = Vec::new();
    for (path, outcome) in &patch.outcomes {
        if !is_as_computed(repo, &root, path, outcome, folder)? {
            differing.push(PathBuf::from(path));
        }
    }
    Ok(differing)
}

fn is_as_computed(
    repo: &Repo,
    root: &Beneath,
    path: &str,
    outcome: &Outcome,
    folder: &Path,
) -> Result<bool, IntegrateError> {
    let failed = || IntegrateError::io(Path::new(path));
    let now = state_of(root, Path::new(path)).map_err(failed())?;
    match (outcome, now) {
        // A folder may take the place of a file.
        (Outcome::Absent, Some(BeforeState::Absent) | None) => Ok(true),
        (Outcome::Link(wanted), Some(BeforeState::Link { target })) => {
            Ok(target.as_os_str().as_encoded_bytes() == wanted)
        }
        (Outcome::File(content), Some(BeforeState::File { .. })) => {
            let found = root.read(Path::new(path)).map_err(failed())?;
            Ok(found == *content || is_stored_alike(repo, path, &found, content, folder)?)
        }
        _ => Ok(false),
    }
}

/// Whether git would store the same for both contents of `path`.
fn is_stored_alike(
    repo: &Repo,
    path: &str,
    found: &[u8],
    computed: &[u8],
    folder: &Path,
) -> Result<bool, IntegrateError> {
    let files = [folder.join("found"), folder.join("computed")];
    for (file, content) in files.iter().zip([found, computed]) {
        crate::platform::write_private(file, content).map_err(IntegrateError::io(file))?;
    }
    let is_alike = repo.stores_alike(path, &files[0], &files[1])?;
    for file in &files {
        let _ = std::fs::remove_file(file);
    }
    Ok(is_alike)
}
