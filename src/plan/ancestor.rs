//! The common ancestor of the histories in a merged plan file, from the repository's history.
//!
//! Each side of a merge was committed as a file of its own before git merged the lines, so the commits that hold exactly
//! those lines are the branches, and where these began is the ancestor. Only a help: where there is no repository, no
//! such commit, or no git, the plan is merged without one.

use std::path::Path;

use super::fold::Stream;
use super::histories::Side;
use super::state::Plan;
use crate::platform::Repo;

/// How many versions of the file are looked at, newest first.
const VERSIONS_MAX: usize = 400;

/// The plan that all `sides` of `file` began from; `None` where the repository does not tell.
pub(super) fn find(file: &Path, sides: &[Side]) -> Option<Plan> {
    let file = std::fs::canonicalize(file).ok()?;
    let repo = Repo::find(file.parent()?).ok()?;
    let path = file.strip_prefix(repo.root()).ok()?;
    let commits = repo.commits_of(path, VERSIONS_MAX).ok()?;
    let mut of_sides: Vec<Option<String>> = vec![None; sides.len()];
    for commit in commits {
        let Ok(Some(version)) = repo.file_at(&commit, path) else {
            continue;
        };
        let lines: Vec<&[u8]> = crate::plan::lines::lines(&version)
            .map(|(_, line)| line)
            .collect();
        for (side, found) in sides.iter().zip(&mut of_sides) {
            if found.is_none() && side.lines == lines {
                *found = Some(commit.clone());
            }
        }
        if of_sides.iter().all(Option::is_some) {
            break;
        }
    }
    let of_sides: Vec<String> = of_sides.into_iter().collect::<Option<_>>()?;
    let ancestor = repo.merge_base(&of_sides).ok()??;
    match repo.file_at(&ancestor, path).ok()? {
        Some(version) => Stream::parse(&version).ok().map(|stream| stream.plan),
        // Both branches made the file.
        None => Some(Plan::default()),
    }
}
