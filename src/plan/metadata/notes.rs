//! Reads the metadata of an item from its notes or fields, and writes it into its notes.

use super::error::MetadataError;
use super::fence::Block;
use super::fields::Metadata;
use super::{block, fence};
use crate::plan::id::ItemId;
use crate::plan::item::Item;
use serde_json::Value;

/// Reads the metadata of an item.
///
/// `validation` may be an empty list, and may be absent with `allow_no_validation: true`; the integrator decides what an
/// empty list means.
///
/// # Errors
/// See [`MetadataError`].
pub fn read(item: &Item) -> Result<Metadata, MetadataError> {
    item.metadata_or_read(|| read_anew(item))
}

fn read_anew(item: &Item) -> Result<Metadata, MetadataError> {
    match read_notes(item.id(), item.notes())? {
        Some(metadata) => Ok(metadata),
        None => read_fields(item),
    }
}

/// The notes of `item` with `metadata` as their block: it replaces the old block, with its fence and line ends, or comes
/// first. The text around the block is unchanged; comments in the YAML of a block that differs from `metadata` are lost.
///
/// # Errors
/// A block that [`read`] refuses as wrong is not overwritten, and `metadata` that it would refuse is not written. See
/// [`MetadataError`].
pub fn write(item: &Item, metadata: &Metadata) -> Result<String, MetadataError> {
    match read(item) {
        Ok(present) if present == *metadata => return Ok(item.notes().to_owned()),
        Err(error) if !error.needs_hydration() => return Err(error),
        _ => {}
    }
    let notes = replace_block(item, &metadata.to_yaml())?;
    // The metadata may be a worker's answer.
    read_notes(item.id(), &notes)?;
    Ok(notes)
}

/// [`write`] without the key `validation`, for the user to fill in.
///
/// # Errors
/// As [`write`], except for the missing key.
pub fn write_without_validation(item: &Item, metadata: &Metadata) -> Result<String, MetadataError> {
    if let Err(error) = read(item)
        && !error.needs_hydration()
    {
        return Err(error);
    }
    let notes = replace_block(item, &metadata.to_yaml_without_validation())?;
    match read_notes(item.id(), &notes) {
        Err(MetadataError::Incomplete { keys, .. }) if keys == ["validation"] => Ok(notes),
        read => read.map(|_| notes),
    }
}

fn replace_block(item: &Item, yaml: &str) -> Result<String, MetadataError> {
    let old = only_block(item.id(), item.notes())?;
    Ok(fence::put(item.notes(), old.as_ref(), yaml))
}

/// The metadata in the notes, if they have a block.
fn read_notes(item: &ItemId, notes: &str) -> Result<Option<Metadata>, MetadataError> {
    let block = only_block(item, notes)?;
    block.map(|block| block::read(item, &block)).transpose()
}

/// The block of the notes, if there is one.
pub(super) fn only_block<'n>(
    item: &ItemId,
    notes: &'n str,
) -> Result<Option<Block<'n>>, MetadataError> {
    let mut blocks = fence::mesh_blocks(notes);
    let Some(first) = blocks.next() else {
        return Ok(fence::bare(notes));
    };
    let lines: Vec<usize> = std::iter::once(first.line)
        .chain(blocks.map(|block| block.line))
        .collect();
    let item = item.clone();
    match lines.as_slice() {
        [_] if first.is_closed => Ok(Some(first)),
        [line] => Err(MetadataError::Unclosed { item, line: *line }),
        _ => Err(MetadataError::Several { item, lines }),
    }
}

/// The metadata in the fields of the item itself. Without them, or with an empty scope, there is none.
fn read_fields(item: &Item) -> Result<Metadata, MetadataError> {
    let list = |field| match item.field(field) {
        Some(Value::Array(entries)) => Some(entries),
        _ => None,
    };
    let (Some(scope), Some(validation)) = (list("scope"), list("validation")) else {
        return Err(missing(item));
    };
    if scope.is_empty() {
        return Err(missing(item));
    }
    Ok(Metadata {
        scope: texts(item, "scope", &scope)?,
        acceptance: match item.field("acceptance") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => texts(item, "acceptance", &entries)?,
            Some(_) => return Err(broken_field(item, "acceptance")),
        },
        validation: texts(item, "validation", &validation)?,
        ..Metadata::default()
    })
}

/// The texts of a list in `field`; none may be empty.
fn texts(
    item: &Item,
    field: &'static str,
    entries: &[Value],
) -> Result<Vec<String>, MetadataError> {
    let text = |entry: &Value| match entry.as_str().map(str::trim) {
        None | Some("") => None,
        Some(text) => Some(text.to_owned()),
    };
    let texts: Option<Vec<String>> = entries.iter().map(text).collect();
    texts.ok_or_else(|| broken_field(item, field))
}

fn missing(item: &Item) -> MetadataError {
    let item = item.id().clone();
    MetadataError::Missing { item }
}

fn broken_field(item: &Item, field: &'static str) -> MetadataError {
    let item = item.id().clone();
    MetadataError::BrokenField { item, field }
}
