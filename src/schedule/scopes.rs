//! Which paths a task may touch, from its metadata.

use super::skip_reason::SkipReason;
use crate::plan::{Item, Metadata, MetadataError, metadata};
use crate::scope::Reach;

/// The paths that the task of an item may touch.
pub fn item_reach(item: &Item) -> Result<Reach, SkipReason> {
    scope_reach(item, read_metadata(item)?.as_ref())
}

pub(super) fn read_metadata(item: &Item) -> Result<Option<Metadata>, MetadataError> {
    match metadata::read(item) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.needs_hydration() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The globs of a task: the paths that it may touch; any path without metadata.
pub fn item_scope(item: &Item) -> Result<Vec<String>, SkipReason> {
    let metadata = read_metadata(item)?;
    let anything = || vec!["**".to_owned()];
    Ok(metadata.map_or_else(anything, |metadata| metadata.reach()))
}

/// The paths that a task with this metadata may touch; any path without metadata.
pub(super) fn scope_reach(item: &Item, metadata: Option<&Metadata>) -> Result<Reach, SkipReason> {
    let anything = ["**".to_owned()];
    let globs = metadata.map_or(anything.to_vec(), Metadata::reach);
    Reach::new(&globs).map_err(|source| SkipReason::Scope {
        item: item.id().clone(),
        source,
    })
}
