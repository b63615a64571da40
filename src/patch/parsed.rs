//! A parsed patch: changes in the order of the text, and the corrections that were made.

use super::change::Change;
use super::correction::Correction;
use super::tree::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// A patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The changes in the order of the text. Only plain edits may share a path.
    pub changes: Vec<Change>,
    /// The corrections.
    pub corrections: BTreeSet<Correction>,
    /// The result for every path, after the patch was fitted to a tree; none for binary content.
    pub outcomes: BTreeMap<String, Outcome>,
}
