//! Why a task is not selected.

use crate::plan::{ItemId, MetadataError};
use crate::scope::ScopeError;

/// Why a task can't be run.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SkipReason {
    /// Its metadata is broken.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Its scope is invalid.
    #[error("item `{item}`: {source}")]
    Scope {
        /// The plan item.
        item: ItemId,
        /// What is wrong with it.
        source: ScopeError,
    },
    /// The caller refuses it.
    #[error("{0}")]
    Refused(String),
}
