//! Finds the plan file (section 5 of the contract): the given one, otherwise the existing one of two default places. If both
//! exist, the user must choose.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::lock::init_command;
use crate::model::shell_word;
use crate::platform::look;

/// The place of a new plan, relative to the repository.
pub const PLAN_FILE_DEFAULT: &str = ".step/st-plan.jsonl";

/// Its place in an older layout.
pub const PLAN_FILE_CODEX: &str = ".codex/st-plan.jsonl";

/// Why the plan file is not determined.
#[derive(Debug, Error)]
pub enum ResolveError {
    /// Both default places hold one.
    #[error(
        "both `{PLAN_FILE_CODEX}` and `{PLAN_FILE_DEFAULT}` exist; choose one, recommended: plan_file={PLAN_FILE_DEFAULT}"
    )]
    Both,
    /// It does not exist.
    #[error("no plan file at `{}`; create it with: mesh st init --file {}", file.display(), shell_word(&file.to_string_lossy()))]
    Missing {
        /// The given path, or the default.
        file: PathBuf,
        /// The shell command that creates it.
        init: String,
    },
    /// It can't be looked at.
    #[error("cannot open `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the file system.
        #[source]
        source: io::Error,
    },
}

impl ResolveError {
    /// The argument or command that resolves it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            ResolveError::Both => format!("pass plan_file={PLAN_FILE_DEFAULT}"),
            ResolveError::Missing { init, .. } => format!("run: {init}"),
            ResolveError::Unreadable { .. } => return None,
        })
    }

    /// The error for a missing `file`, relative to `root` or absolute.
    pub fn missing(root: &Path, file: &Path) -> ResolveError {
        ResolveError::Missing {
            file: file.to_owned(),
            init: init_command(&root.join(file), file),
        }
    }
}

/// The plan file of the repository at `root`. A relative `explicit` path is relative to `root`.
///
/// # Errors
/// [`ResolveError::Both`]; [`ResolveError::Missing`], also for a missing explicit file; [`ResolveError::Unreadable`].
pub fn resolve(root: &Path, explicit: Option<&Path>) -> Result<PathBuf, ResolveError> {
    let existing = |name: &Path| {
        let file = root.join(name);
        match look::is_file(&file) {
            Ok(is_there) => Ok(is_there.then_some(file)),
            Err(source) => Err(ResolveError::Unreadable { file, source }),
        }
    };
    if let Some(file) = explicit {
        return existing(file)?.ok_or_else(|| ResolveError::missing(root, file));
    }
    let codex = existing(Path::new(PLAN_FILE_CODEX))?;
    let default = existing(Path::new(PLAN_FILE_DEFAULT))?;
    match (codex, default) {
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
    fn one_candidate_is_chosen_and_two_are_refused() {
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
        assert_eq!(resolve(root, None).expect("one"), codex);
        let step = put(PLAN_FILE_DEFAULT);
        assert!(matches!(resolve(root, None), Err(ResolveError::Both)));
        assert!(
            ResolveError::Both
                .to_string()
                .contains("plan_file=.step/st-plan.jsonl")
        );
        let given = resolve(root, Some(Path::new(PLAN_FILE_DEFAULT)));
        assert_eq!(given.expect("there"), step);
        assert!(resolve(root, Some(Path::new("other.jsonl"))).is_err());
    }
}
