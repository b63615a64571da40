//! Finds the common ancestor of the histories in a merged plan file, in the git history.
//!
//! Before git merged the lines, each side was committed as a file of its own. So the commits with exactly those lines are the
//! branches, and their merge base has the ancestor. Without a repository, such commits or git, the plan is merged without an
//! ancestor.

use std::path::Path;

use super::fold::Stream;
use super::histories::Side;
use super::lines::lines;
use super::state::Plan;
use crate::platform::Repo;

/// How many versions of the file are searched, newest first.
const VERSIONS_MAX: usize = 400;

/// The common ancestor of all `sides` of `file`; `None` if the repository does not have it.
pub(super) fn find(file: &Path, sides: &[Side]) -> Option<Plan> {
    let file = std::fs::canonicalize(file).ok()?;
    let repo = Repo::find(file.parent()?).ok()?;
    let path = file.strip_prefix(repo.root()).ok()?;
    let commits = repo.commits_of(path, VERSIONS_MAX).ok()?;
    let mut heads: Vec<Option<String>> = vec![None; sides.len()];
    for commit in commits {
        let Ok(Some(version)) = repo.file_at(&commit, path) else {
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
    let heads: Vec<String> = heads.into_iter().collect::<Option<_>>()?;
    let ancestor = repo.merge_base(&heads).ok()??;
    match repo.file_at(&ancestor, path).ok()? {
        Some(version) => Stream::parse(&version).ok().map(|stream| stream.plan),
        // Both branches created the file.
        None => Some(Plan::default()),
    }
}
