//! What of a work tree workers do not see, and whether git can read it at all.

use crate::model::path_text::path_to_text;
use crate::model::visible;
use crate::platform::Repo;
use crate::run::error::RunError;

/// How many submodules are named.
const NAMED_MAX: usize = 5;

/// Checks that git can read the tree. Returns what to tell about it, if anything.
pub fn check_tree(repo: &Repo) -> Result<Option<String>, RunError> {
    repo.check_filters()?;
    let submodules = repo.submodules()?;
    if submodules.is_empty() {
        return Ok(None);
    }
    let named = submodules.iter().take(NAMED_MAX);
    let mut named: Vec<String> = named
        .map(|path| format!("`{}`", visible(&path_to_text(path))))
        .collect();
    let beyond = submodules.len().saturating_sub(NAMED_MAX);
    if beyond > 0 {
        named.push(format!("{beyond} more"));
    }
    let (noun, verb) = match submodules.len() {
        1 => ("submodule", "is an empty folder"),
        _ => ("submodules", "are empty folders"),
    };
    Ok(Some(format!(
        "{noun} {} {verb} for workers and validations in a scratch tree, and no patch may change what is inside",
        named.join(", ")
    )))
}
