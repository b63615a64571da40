//! The context of a learning: its repository, branch and changed files, from git. Also works outside a repository.

use super::error::LearningsError;
use crate::platform::{GitError, Repo, look};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The name of the learnings file, at the root of a repository.
pub const FILE_NAME: &str = ".learnings.jsonl";
/// The most changed files in a record, so that records stay small after a rewrite of the whole tree.
const PATHS_MAX: usize = 200;

/// The context of a learning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Context {
    /// `owner/name` of the remote `origin`, or the folder's name.
    pub repo: String,
    /// The current branch; empty outside a repository and with a detached HEAD.
    pub branch: String,
    /// The changed tracked files, staged or not, sorted; at most 200, without the learnings file.
    pub paths: Vec<String>,
}

/// A folder, with its repository, if any.
#[derive(Clone, Debug)]
pub struct Place {
    root: PathBuf,
    repo: Option<Repo>,
}

impl Place {
    /// The place of `folder`.
    ///
    /// # Errors
    /// Git could not be run, or failed for another reason than a missing repository.
    pub fn find(folder: &Path) -> Result<Self, LearningsError> {
        match Repo::find(folder) {
            Ok(repo) => Ok(Self {
                root: repo.root().to_owned(),
                repo: Some(repo),
            }),
            Err(GitError::NoRepository { .. }) => Ok(Self {
                // `a/..` has no name.
                root: real(folder)?,
                repo: None,
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The learnings file: at the root of the repository, or in the folder.
    pub fn file(&self) -> PathBuf {
        self.root.join(FILE_NAME)
    }

    /// The context of a learning that is captured here into `file`.
    ///
    /// # Errors
    /// Git failed.
    pub fn context(&self, file: &Path) -> Result<Context, LearningsError> {
        let Some(repo) = &self.repo else {
            return Ok(Context {
                repo: folder_name(&self.root),
                ..Context::default()
            });
        };
        let name = repo.origin()?.as_deref().and_then(repo_name);
        Ok(Context {
            repo: name.unwrap_or_else(|| folder_name(&self.root)),
            branch: repo.branch()?.unwrap_or_default(),
            paths: self.changed_paths(repo, file)?,
        })
    }

    fn changed_paths(&self, repo: &Repo, file: &Path) -> Result<Vec<String>, LearningsError> {
        // Without this filter, a tracked learnings file would be in every record after the first.
        let file = real(file)?;
        let mut paths: Vec<String> = repo
            .changed_tracked()?
            .into_iter()
            .filter(|path| self.root.join(path) != file)
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        paths.sort();
        paths.truncate(PATHS_MAX);
        Ok(paths)
    }
}

fn real(path: &Path) -> Result<PathBuf, LearningsError> {
    look::real(path).map_err(|source| LearningsError::Io {
        action: "look at",
        file: path.to_owned(),
        source,
    })
}

fn folder_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The last two parts of a remote's address: `owner/name`. Never a host or anything before it, which may hold a password.
fn repo_name(address: &str) -> Option<String> {
    let path = address_path(address.trim()).trim_end_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !["", ".", ".."].contains(part))
        .collect();
    let last_two = &parts[parts.len().saturating_sub(2)..];
    (!last_two.is_empty()).then(|| last_two.join("/"))
}

/// The path of `https://host/path` and of `user@host:path`, or a local path.
fn address_path(address: &str) -> &str {
    if let Some((_, rest)) = address.split_once("://") {
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        return path.split(['?', '#']).next().unwrap_or_default();
    }
    let head = address.find('/').unwrap_or(address.len());
    match address[..head].rfind(':') {
        Some(colon) => &address[colon + 1..],
        None => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_the_last_two_parts_of_its_address_as_name() {
        for (address, name) in [
            ("https://example.org/owner/name", Some("owner/name")),
            ("https://example.org/owner/name.git/", Some("owner/name")),
            ("https://example.org/group/sub/name.git", Some("sub/name")),
            (
                "ssh://git@example.org:2222/owner/name.git",
                Some("owner/name"),
            ),
            ("git@example.org:owner/name.git", Some("owner/name")),
            ("git@[::1]:owner/name.git", Some("owner/name")),
            ("example:name", Some("name")),
            ("file:///srv/git/name.git", Some("git/name")),
            ("/srv/git/owner/name", Some("owner/name")),
            ("../name.git\n", Some("name")),
            ("https://user:secret@example.org/name", Some("name")),
            ("https://example.org/o/n.git?token=secret/x", Some("o/n")),
            ("https://user:secret@example.org", None),
            ("ssh://git@example.org/", None),
            ("..", None),
            ("", None),
        ] {
            assert_eq!(repo_name(address).as_deref(), name, "{address}");
        }
    }
}
