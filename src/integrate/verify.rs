//! After `git apply`: whether the tree is what the patch was found to make of it, byte for byte. Git places hunks by rules of its
//! own; whatever those do, nothing but the computed result stays.

use super::IntegrateError;
use crate::git::Repo;
use crate::model::one_line;
use crate::patch::{Outcome, Patch};
use std::path::Path;

/// The first path that is not as computed, in words; `None` when all are. `folder` takes a file for git to compare with.
pub(super) fn difference(
    repo: &Repo,
    patch: &Patch,
    folder: &Path,
) -> Result<Option<String>, IntegrateError> {
    for (path, outcome) in &patch.outcomes {
        if !is_as_computed(repo, path, outcome, folder)? {
            return Ok(Some(format!(
                "`{}` is not what the patch makes of it, after git applied it; the tree was restored",
                one_line(path)
            )));
        }
    }
    Ok(None)
}

fn is_as_computed(
    repo: &Repo,
    path: &str,
    outcome: &Outcome,
    folder: &Path,
) -> Result<bool, IntegrateError> {
    let full = repo.root().join(path);
    let there = std::fs::symlink_metadata(&full);
    let is_file = there.as_ref().is_ok_and(|there| there.is_file());
    let is_link = there.as_ref().is_ok_and(|there| there.is_symlink());
    match outcome {
        // A folder may take the place of a file.
        Outcome::Absent => Ok(!is_file && !is_link),
        Outcome::Link(target) => {
            let found = std::fs::read_link(&full).ok();
            Ok(found.is_some_and(|found| found.as_os_str().as_encoded_bytes() == target))
        }
        Outcome::File(_) if !is_file => Ok(false),
        Outcome::File(content) => {
            let found = std::fs::read(&full).map_err(IntegrateError::io(&full))?;
            if found == *content {
                return Ok(true);
            }
            let computed = folder.join("computed");
            crate::durable::write_private(&computed, content)
                .map_err(IntegrateError::io(&computed))?;
            let is_alike = repo.stores_alike(path, &computed)?;
            let _ = std::fs::remove_file(&computed);
            Ok(is_alike)
        }
    }
}
