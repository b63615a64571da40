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
    /// The diff changes nothing.
    #[error("the patch changes nothing: its hunks have neither `+` nor `-` lines")]
    NoChange,
    /// The patch exceeds the limit.
    #[error("the patch has {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        bytes_max: u64,
    },
    /// A line is ambiguous or not valid.
    #[error("line {line} of the patch: {message}")]
    Malformed {
        /// 1-based, in the model's text.
        line: usize,
        /// What is wrong, and how to write it instead.
        message: String,
    },
    /// No task may change the path, or not in this way.
    #[error("the patch touches `{path}`, which {why}")]
    Forbidden {
        /// The path as the patch names it, on one line.
        path: String,
        /// The rule.
        why: Forbidden,
    },
    /// The patch does not apply to the tree. All problems are listed, so that the worker can fix them together.
    #[error("{}", crate::patch::misfit::join_misfits(misfits))]
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
        let path = one_line(&crate::patch::misfit::escape_invisible(path));
        Self::Forbidden { path, why }
    }
}
