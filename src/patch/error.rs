//! Why a patch is refused, in words that its author can act on.

use super::forbidden::Forbidden;
use super::misfit::Misfit;
use crate::model::one_line;

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// There is no diff in the text.
    #[error("the patch is empty or has no file header (`--- a/path`, `+++ b/path`)")]
    Empty,
    /// There is one, and it leaves everything as it is.
    #[error("the patch changes nothing: its hunks have neither `+` nor `-` lines")]
    NoChange,
    /// Over the bound.
    #[error("the patch has {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        bytes_max: u64,
    },
    /// A line that can't be read without a guess.
    #[error("line {line} of the patch: {message}")]
    Malformed {
        /// 1-based, within the text that the model gave.
        line: usize,
        /// What is wrong, and how to write it.
        message: String,
    },
    /// A path that no task may touch, or not in this way.
    #[error("the patch touches `{path}`, which {why}")]
    Forbidden {
        /// Relative to the repository's root, as the patch names it; on one line.
        path: String,
        /// The rule.
        why: Forbidden,
    },
    /// It does not go into the tree as it is; all that is wrong, since a worker mends all of it at once.
    #[error("{}", crate::patch::misfit::told(misfits))]
    Misfit {
        /// In the order of the patch.
        misfits: Vec<Misfit>,
    },
    /// A path outside the task's scope.
    #[error("the patch touches `{path}`, which is outside the scope: {}", scope.join("; "))]
    OutOfScope {
        /// As the patch names it.
        path: String,
        /// The task's globs.
        scope: Vec<String>,
    },
}

impl PatchError {
    /// The failure code of a verdict.
    pub fn code(&self) -> &'static str {
        match self {
            PatchError::OutOfScope { .. } => "out_of_scope",
            PatchError::Misfit { .. } => "does_not_apply",
            _ => "patch_invalid",
        }
    }

    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Malformed { line, message }
    }

    pub(crate) fn forbidden(path: &str, why: Forbidden) -> Self {
        let path = one_line(&crate::patch::misfit::visible(path));
        Self::Forbidden { path, why }
    }
}
