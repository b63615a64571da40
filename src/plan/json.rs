//! Reading the items of a plan from JSON.

use super::error::PlanError;
use super::foreign;
use super::item::Item;
use serde_json::value::RawValue;
use std::collections::HashSet;

/// Reads the items of a list, each id once.
pub(super) fn items(list: &RawValue) -> Result<Vec<Item>, PlanError> {
    let values = foreign::list(list).unwrap_or_default();
    let mut items = Vec::with_capacity(values.len());
    for (at, value) in values.into_iter().enumerate() {
        items.push(Item::read(value, at + 1)?);
    }
    let mut seen = HashSet::with_capacity(items.len());
    match items.iter().find(|item| !seen.insert(item.id())) {
        Some(twice) => Err(PlanError::DuplicateItem {
            id: twice.id().clone(),
        }),
        None => Ok(items),
    }
}
