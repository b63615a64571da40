//! Delivery of a validated patch: it stays in the tree, or becomes a commit on the branch that is checked out, or on a branch
//! of the run, which leaves the user's tree unchanged. Nothing is ever pushed or merged.

use super::error::IntegrateError;
use crate::model::{CommitRecord, RunId, Tally, UnitId, one_line};
use crate::platform::{Repo, durable};
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

/// How a validated patch is delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It stays in the work tree, uncommitted.
    #[default]
    Patch,
    /// A commit on the branch that is checked out.
    Commit,
    /// A commit on a branch of the run; the work tree stays as it is.
    Branch,
}

/// Where a patch is applied and validated first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// In the user's tree, which is restored when it fails.
    #[default]
    Tree,
    /// In a scratch tree. Only a patch that passed is applied to the user's tree.
    Worktree,
}

/// A value that is not one of the allowed words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {allowed}")]
pub struct InvalidWord {
    word: String,
    allowed: &'static str,
}

impl FromStr for Delivery {
    type Err = InvalidWord;

    fn from_str(word: &str) -> Result<Self, InvalidWord> {
        match word {
            "patch" => Ok(Self::Patch),
            "commit" => Ok(Self::Commit),
            "branch" => Ok(Self::Branch),
            _ => Err(InvalidWord {
                word: word.to_owned(),
                allowed: "`patch`, `commit` or `branch`",
            }),
        }
    }
}

impl FromStr for Isolation {
    type Err = InvalidWord;

    fn from_str(word: &str) -> Result<Self, InvalidWord> {
        match word {
            "tree" => Ok(Self::Tree),
            "worktree" => Ok(Self::Worktree),
            _ => Err(InvalidWord {
                word: word.to_owned(),
                allowed: "`tree` or `worktree`",
            }),
        }
    }
}

/// Branches that are always protected.
pub const PROTECTED: [&str; 2] = ["main", "master"];

/// Why a delivery is not possible.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The branch that is checked out is protected.
    #[error("branch `{branch}` is protected, and `--delivery commit` would commit to it")]
    Protected {
        /// The branch.
        branch: String,
    },
    /// A pattern of protected branches does not parse.
    #[error("`protected_branches`: {0}")]
    Pattern(String),
    /// `HEAD` is detached.
    #[error("no branch is checked out, so `--delivery commit` has none to commit to")]
    NoBranch,
    /// There is no commit to build on.
    #[error("the repository has no commit yet, so there is nothing to deliver on top of")]
    NoCommit,
    /// A merge, rebase or the like is in progress.
    #[error("a {what} is in progress in this repository; a commit would become part of it")]
    UnderWay {
        /// `merge`, `rebase`, …
        what: &'static str,
    },
    /// A branch `mesh` exists, so git can't create `mesh/<run id>`.
    #[error("a branch `mesh` exists, so git can't create `mesh/<run id>`")]
    InTheWay,
    /// Git has no author name or address.
    #[error("git has no author for the commit: {said}")]
    NoAuthor {
        /// Git's message.
        said: String,
    },
}

impl DeliveryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Protected { branch } => format!(
                "git switch -c a-branch-of-yours, or --delivery branch; --allow-protected commits to `{branch}` anyway"
            ),
            Self::Pattern(_) => "names or globs, such as release/*".to_owned(),
            Self::NoBranch => "git switch a-branch, or --delivery branch".to_owned(),
            Self::NoCommit => "git commit first, or --delivery patch".to_owned(),
            Self::UnderWay { what } => format!("finish the {what} first, or --delivery patch"),
            Self::InTheWay => "git branch -m mesh another-name, or --delivery commit".to_owned(),
            Self::NoAuthor { .. } => {
                "git config user.name NAME && git config user.email ADDRESS".to_owned()
            }
        }
    }
}

/// Refuses a delivery that is not possible, before anything starts. Returns the branch that is checked out if commits go to
/// it. `protected` has further protected branches, as names or globs.
pub fn check_delivery(
    repo: &Repo,
    delivery: Delivery,
    protected: &[String],
    allow_protected: bool,
) -> Result<Result<Option<String>, DeliveryError>, IntegrateError> {
    if delivery == Delivery::Patch {
        return Ok(Ok(None));
    }
    if repo.head()? == "unborn" {
        return Ok(Err(DeliveryError::NoCommit));
    }
    if let Err(said) = repo.author()? {
        let said = one_line(said.lines().last().unwrap_or_default());
        return Ok(Err(DeliveryError::NoAuthor { said }));
    }
    if delivery == Delivery::Branch {
        return Ok(match repo.tip_of("mesh")? {
            Some(_) => Err(DeliveryError::InTheWay),
            None => Ok(None),
        });
    }
    if let Some(what) = repo.under_way()? {
        return Ok(Err(DeliveryError::UnderWay { what }));
    }
    let Some(branch) = repo.branch()? else {
        return Ok(Err(DeliveryError::NoBranch));
    };
    Ok(match protected_globs(protected) {
        Err(error) => Err(error),
        Ok(globs) if globs.is_match(&branch) && !allow_protected => {
            Err(DeliveryError::Protected { branch })
        }
        Ok(_) => Ok(Some(branch)),
    })
}

fn protected_globs(protected: &[String]) -> Result<GlobSet, DeliveryError> {
    let pattern = |error: globset::Error| DeliveryError::Pattern(error.to_string());
    let mut globs = GlobSetBuilder::new();
    for glob in PROTECTED
        .iter()
        .copied()
        .chain(protected.iter().map(String::as_str))
    {
        globs.add(Glob::new(glob).map_err(pattern)?);
    }
    globs.build().map_err(pattern)
}

/// The branch of a run under [`Delivery::Branch`].
pub fn run_branch(run_id: &RunId) -> String {
    format!("mesh/{run_id}")
}

/// Where commits of this run go.
#[derive(Clone, Copy, Debug)]
pub struct CommitTo<'c> {
    /// The run.
    pub run_id: &'c RunId,
    /// The branch.
    pub branch: &'c str,
    /// The repository of the branch, if the integrator works in another one.
    pub publish: Option<&'c Repo>,
    /// Whether to run the hooks of the repository, which may refuse the commit.
    pub verify: bool,
}

impl CommitTo<'_> {
    /// The repository other than the integrator's whose branch takes the commit, and the branch.
    pub(super) fn published(&self) -> Option<(&Repo, &str)> {
        self.publish.map(|repo| (repo, self.branch))
    }

    /// Why no commit is possible now, although it was when the run started.
    pub(super) fn obstacle(
        &self,
        repo: &Repo,
        paths: &BTreeSet<String>,
    ) -> Result<Option<String>, IntegrateError> {
        if self.publish.is_some() {
            return Ok(None);
        }
        if let Some(what) = repo.under_way()? {
            return Ok(Some(format!("a {what} is in progress in the repository")));
        }
        let branch = repo.branch()?;
        if branch.as_deref() != Some(self.branch) {
            let current = branch.as_deref().unwrap_or("no branch");
            let text = format!(
                "`{current}` is checked out, and this run commits to `{}`",
                self.branch
            );
            return Ok(Some(text));
        }
        let uncommitted: Vec<String> = repo.uncommitted(paths)?.into_iter().collect();
        Ok((!uncommitted.is_empty()).then(|| {
            format!(
                "the patch touches {}, where there are uncommitted changes that the commit would include; commit or stash them, or deliver a patch",
                uncommitted.join(", ")
            )
        }))
    }

    /// The commit message, with the trailers that identify the commit.
    pub(super) fn message(&self, unit: &UnitId, subject: &str, tally: Option<&Tally>) -> String {
        let subject = subject_line(subject).unwrap_or_else(|| format!("Task {unit}"));
        let [run, task] = self.trailers(unit);
        let mut message = format!(
            "{subject}\n\n{}: {}\n{}: {}\n",
            run.0, run.1, task.0, task.1
        );
        if let Some(tally) = tally {
            let all = tally.agree + tally.disagree + tally.absent;
            message.push_str(&format!("Mesh-Votes: {}/{all}\n", tally.agree));
        }
        message
    }

    /// The two trailers that together identify the commit.
    pub(super) fn trailers(&self, unit: &UnitId) -> [(&'static str, String); 2] {
        [
            ("Mesh-Run", one_line(self.run_id.as_str())),
            ("Mesh-Task", one_line(unit.as_str())),
        ]
    }

    /// Finds the commit that this run made for `unit` after `base`.
    pub(super) fn find(
        &self,
        repo: &Repo,
        unit: &UnitId,
        base: &str,
    ) -> Result<Option<String>, IntegrateError> {
        let trailers = self.trailers(unit);
        let trailers = [
            (trailers[0].0, trailers[0].1.as_str()),
            (trailers[1].0, trailers[1].1.as_str()),
        ];
        // Search the branch, because the user may have checked out another one meanwhile.
        let tip = match self.publish {
            Some(_) => Some(repo.head()?),
            None => repo.tip_of(self.branch)?,
        };
        Ok(match tip {
            Some(tip) => repo.commit_with(base, &tip, &trailers)?,
            None => None,
        })
    }

    /// Completes a commit: updates the index, and the branch if that is in another repository. Idempotent. Returns git's
    /// message if the branch refuses the commit.
    pub(super) fn complete(
        &self,
        repo: &Repo,
        id: String,
    ) -> Result<Result<CommitRecord, String>, IntegrateError> {
        if self.publish.is_some() || repo.branch()?.as_deref() == Some(self.branch) {
            repo.settle_index(&id)?;
        }
        crate::platform::integrator_point();
        if let Some(real) = self.publish
            && let Err(said) = real.take_branch(repo, self.branch)?
        {
            return Ok(Err(said));
        }
        let branch = self.branch.to_owned();
        Ok(Ok(CommitRecord { id, branch }))
    }
}

/// The first line that is not blank, cut to 72 characters.
fn subject_line(text: &str) -> Option<String> {
    const CHARS_MAX: usize = 72;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line = one_line(line);
    Some(match line.char_indices().nth(CHARS_MAX) {
        Some(_) => line.chars().take(CHARS_MAX - 1).chain(['…']).collect(),
        None => line,
    })
}

/// The path of the temporary index from which the commit is made.
pub(super) fn commit_index_path(unit_folder: &Path) -> std::path::PathBuf {
    unit_folder.join("commit.index")
}

/// Removes that index and its lock, which a killed git leaves. One that can't be removed stops the next commit, which says so.
pub(super) fn remove_commit_index(unit_folder: &Path) {
    let index = commit_index_path(unit_folder);
    let _ = durable::remove(&index.with_extension("index.lock"));
    let _ = durable::remove(&index);
}
