//! Which paths a task may touch, from its metadata.

use super::skip_reason::SkipReason;
use crate::plan::{Item, Metadata, MetadataError, metadata};
use crate::scope::Reach;

/// What an item's task can touch.
pub fn reach_of(item: &Item) -> Result<Reach, SkipReason> {
    reach(item, metadata_of(item)?.as_ref())
}

pub(crate) fn metadata_of(item: &Item) -> Result<Option<Metadata>, MetadataError> {
    match metadata::read(item) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.needs_hydration() => Ok(None),
        Err(error) => Err(error),
    }
}

/// A task that says nothing of itself may touch anything.
pub(crate) fn reach(item: &Item, metadata: Option<&Metadata>) -> Result<Reach, SkipReason> {
    let anything = ["**".to_owned()];
    let globs = metadata.map_or(&anything[..], |metadata| &metadata.scope);
    Reach::new(globs).map_err(|source| SkipReason::Scope {
        item: item.id().clone(),
        source,
    })
}
