//! What of a work tree workers do not see, and whether git can read it at all.

use crate::model::path_text::path_to_text;
use crate::model::visible;
use crate::platform::{Repo, look};
use crate::run::error::RunError;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How many folders of a kind are named.
const NAMED_MAX: usize = 5;

/// Checks that git can read the tree. Returns what to tell about it, if anything.
pub fn check_tree(repo: &Repo) -> Result<Option<String>, RunError> {
    repo.check_filters()?;
    // Git lists the files of an untracked folder, but a repository as a whole.
    let mut nested = BTreeSet::new();
    for path in repo.untracked()? {
        let full = repo.root().join(&path);
        let found = look::entry(&full).map_err(RunError::io(&full))?;
        if found.is_some_and(|found| found.is_dir()) {
            nested.insert(path);
        }
    }
    let told: Vec<String> = [
        (repo.submodules()?, ["submodule", "submodules"]),
        (nested, ["untracked repository", "untracked repositories"]),
    ]
    .into_iter()
    .filter(|(folders, _)| !folders.is_empty())
    .map(|(folders, nouns)| describe(&folders, nouns))
    .collect();
    Ok((!told.is_empty()).then(|| {
        format!(
            "{} for workers and validations in a scratch tree, and no patch may change what is inside",
            told.join("; ")
        )
    }))
}

fn describe(folders: &BTreeSet<PathBuf>, [one, several]: [&str; 2]) -> String {
    let named = folders.iter().take(NAMED_MAX);
    let mut named: Vec<String> = named
        .map(|path| format!("`{}`", visible(&path_to_text(path))))
        .collect();
    let beyond = folders.len().saturating_sub(NAMED_MAX);
    if beyond > 0 {
        named.push(format!("{beyond} more"));
    }
    let (noun, verb) = match folders.len() {
        1 => (one, "is an empty folder"),
        _ => (several, "are empty folders"),
    };
    format!("{noun} {} {verb}", named.join(", "))
}
