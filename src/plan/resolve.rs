//! Which file is the plan (section 5 of the contract): the one that was named, else the one that
//! exists of the two usual places. Two candidates are a question for the user, never a guess.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::lock::init_command;
use crate::model::shell_word;

/// Where a new plan goes, relative to the repository.
pub const PLAN_FILE_DEFAULT: &str = ".step/st-plan.jsonl";

/// Where an older layout keeps it.
pub const PLAN_FILE_CODEX: &str = ".codex/st-plan.jsonl";

/// Why there is no one plan file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// Both usual places hold one.
    #[error(
        "both `{PLAN_FILE_CODEX}` and `{PLAN_FILE_DEFAULT}` exist; choose one, recommended: plan_file={PLAN_FILE_DEFAULT}"
    )]
    Both,
    /// There is none.
    #[error("no plan file at `{}`; create it with: mesh st init --file {}", file.display(), shell_word(&file.to_string_lossy()))]
    Missing {
        /// Where it was looked for: as it was named, or the default.
        file: PathBuf,
        /// What a shell runs to make it.
        init: String,
    },
}

impl ResolveError {
    /// The argument or command that mends it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ResolveError::Both => format!("pass plan_file={PLAN_FILE_DEFAULT}"),
            ResolveError::Missing { init, .. } => format!("run: {init}"),
        })
    }

    /// There is no `file`, which is relative to `root` or absolute.
    pub fn missing(root: &Path, file: &Path) -> ResolveError {
        ResolveError::Missing {
            file: file.to_owned(),
            init: init_command(&root.join(file), file),
        }
    }
}

/// The plan file of the repository at `root`. An `explicit` one that is relative is taken relative
/// to `root`.
///
/// # Errors
/// [`ResolveError::Both`] and [`ResolveError::Missing`]; the latter also when the explicit file is
/// not there.
pub fn resolve(root: &Path, explicit: Option<&Path>) -> Result<PathBuf, ResolveError> {
    let there = |name: &Path| Some(root.join(name)).filter(|path| path.is_file());
    if let Some(file) = explicit {
        return there(file).ok_or_else(|| ResolveError::missing(root, file));
    }
    match (
        there(Path::new(PLAN_FILE_CODEX)),
        there(Path::new(PLAN_FILE_DEFAULT)),
    ) {
        (Some(_), Some(_)) => Err(ResolveError::Both),
        (Some(file), None) | (None, Some(file)) => Ok(file),
        (None, None) => Err(ResolveError::missing(root, Path::new(PLAN_FILE_DEFAULT))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_candidate_is_taken_and_two_are_a_question() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let root = root.path();
        let put = |name: &str| {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("has a folder"))
                .and_then(|()| fs::write(&path, ""))
                .expect("written");
            path
        };
        let missing = resolve(root, None).expect_err("nothing there");
        assert!(
            missing
                .to_string()
                .ends_with("mesh st init --file .step/st-plan.jsonl"),
            "{missing}"
        );

        let codex = put(PLAN_FILE_CODEX);
        assert_eq!(resolve(root, None), Ok(codex));
        let step = put(PLAN_FILE_DEFAULT);
        assert_eq!(resolve(root, None), Err(ResolveError::Both));
        assert!(
            ResolveError::Both
                .to_string()
                .contains("plan_file=.step/st-plan.jsonl")
        );
        assert_eq!(resolve(root, Some(Path::new(PLAN_FILE_DEFAULT))), Ok(step));
        assert!(resolve(root, Some(Path::new("other.jsonl"))).is_err());
    }
}
