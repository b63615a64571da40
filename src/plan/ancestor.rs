//! Finds the common ancestor of the histories in a merged plan file, in the git history.
//!
//! Before git merged the lines, each side was committed as a file of its own. So the commits with exactly those lines are the
//! branches, and their merge base has the ancestor. Without a repository, such commits or git, the plan is merged without an
//! ancestor.

use std::io;
use std::path::Path;

use super::fold::Stream;
use super::histories::Side;
use super::lines::lines;
use super::state::Plan;
use crate::platform::{GitError, Repo, look, parent};

/// How many versions of the file are searched, newest first.
const VERSIONS_MAX: usize = 400;

/// The common ancestor of all `sides` of `file`; `None` if the repository does not have it.
///
/// # Errors
/// A fault of the machine: it may have it.
pub(super) fn find(file: &Path, sides: &[Side]) -> io::Result<Option<Plan>> {
    let file = look::real(file)?;
    let found = look::reachable(Repo::find(parent(&file))).map_err(io::Error::other)?;
    let Some(repo) = found else {
        return Ok(None);
    };
    let Ok(path) = file.strip_prefix(repo.root()) else {
        return Ok(None);
    };
    look::reachable(search(&repo, path, sides))
        .map(Option::flatten)
        .map_err(io::Error::other)
}

fn search(repo: &Repo, path: &Path, sides: &[Side]) -> Result<Option<Plan>, GitError> {
    let commits = repo.commits_of(path, VERSIONS_MAX)?;
    let mut heads: Vec<Option<String>> = vec![None; sides.len()];
    for commit in commits {
        let Some(Some(version)) = look::reachable(repo.file_at(&commit, path))? else {
            continue;
        };
        let lines: Vec<&[u8]> = lines(&version).map(|(_, line)| line).collect();
        for (side, found) in sides.iter().zip(&mut heads) {
            if found.is_none() && side.lines == lines {
                *found = Some(commit.clone());
            }
        }
        if heads.iter().all(Option::is_some) {
            break;
        }
    }
    let Some(heads) = heads.into_iter().collect::<Option<Vec<String>>>() else {
        return Ok(None);
    };
    let Some(ancestor) = repo.merge_base(&heads)? else {
        return Ok(None);
    };
    Ok(match repo.file_at(&ancestor, path)? {
        Some(version) => Stream::parse(&version).ok().map(|stream| stream.plan),
        // Both branches created the file.
        None => Some(Plan::default()),
    })
}
