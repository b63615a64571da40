//! Compares the tree with the computed results of a patch, byte for byte: after `git apply`, which places hunks by its own
//! rules, and after a validation, which may change these files again.

use super::error::IntegrateError;
use super::state::read_stamp;
use crate::model::one_line;
use crate::patch::{Outcome, Patch};
use crate::platform::root_dir::RootDir;
use crate::platform::{self, Readers, Repo};
use rustix::fs::FileType;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Describes the first path that differs from its computed result, if any. Files for git to compare go to `folder`.
pub(super) fn first_difference(
    repo: &Repo,
    patch: &Patch,
    folder: &Path,
) -> Result<Option<String>, IntegrateError> {
    let first = differing_paths(repo, patch, folder)?.into_iter().next();
    Ok(first.map(|path| {
        format!(
            "`{}` is not what the patch makes of it, after git applied it; the tree was restored",
            one_line(&path.to_string_lossy())
        )
    }))
}

/// The paths of the patch that differ from their computed results.
pub(super) fn differing_paths(
    repo: &Repo,
    patch: &Patch,
    folder: &Path,
) -> Result<Vec<PathBuf>, IntegrateError> {
    let root = RootDir::open(repo.root()).map_err(IntegrateError::io(repo.root()))?;
    let mut differing = Vec::new();
    for (path, outcome) in &patch.outcomes {
        if !matches_outcome(repo, &root, path, outcome, folder)? {
            differing.push(PathBuf::from(path));
        }
    }
    Ok(differing)
}

fn matches_outcome(
    repo: &Repo,
    root: &RootDir,
    path: &str,
    outcome: &Outcome,
    folder: &Path,
) -> Result<bool, IntegrateError> {
    let failed = || IntegrateError::io(Path::new(path));
    let full = Path::new(path);
    let stamp = read_stamp(root, full).map_err(failed())?;
    match (outcome, stamp.map(|stamp| stamp.kind())) {
        (Outcome::Absent, Some(FileType::RegularFile | FileType::Symlink)) => Ok(false),
        // A folder may replace a removed file.
        (Outcome::Absent, _) => Ok(true),
        (Outcome::Link(wanted), Some(FileType::Symlink)) => {
            let target = root.read_link(full).map_err(failed())?;
            Ok(target.as_os_str().as_encoded_bytes() == wanted)
        }
        (Outcome::File(content), Some(FileType::RegularFile)) => {
            if root.has_content(full, content).map_err(failed())? {
                return Ok(true);
            }
            let found = root.read(full).map_err(failed())?;
            is_stored_alike(repo, path, &found, content, folder)
        }
        _ => Ok(false),
    }
}

/// Whether git stores the same object for both contents of `path`.
fn is_stored_alike(
    repo: &Repo,
    path: &str,
    found: &[u8],
    computed: &[u8],
    folder: &Path,
) -> Result<bool, IntegrateError> {
    let staged = |name: &str, content: &[u8]| {
        let file = folder.join(name);
        let staged = platform::stage(&file, Readers::Owner, |writer| writer.write_all(content));
        staged.map_err(IntegrateError::io(&file))
    };
    let found = staged("found", found)?;
    let computed = staged("computed", computed)?;
    Ok(repo.stores_alike(path, found.path(), computed.path())?)
}
