//! Why a task is not selected.

use crate::plan::{ItemId, MetadataError};
use crate::scope::ScopeError;

/// What keeps a task from being worked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SkipReason {
    /// Its metadata is broken.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// Its scope is none.
    #[error("item `{item}`: {source}")]
    Scope {
        /// The plan item.
        item: ItemId,
        /// What is wrong with it.
        source: ScopeError,
    },
    /// The caller can't work what it asks for.
    #[error("{0}")]
    Refused(String),
}
