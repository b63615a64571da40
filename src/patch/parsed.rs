//! A patch as it was read: changes in the order of the text, and what was mended in reading.

use super::change::Change;
use super::mended::Mended;
use super::tree::Outcome;
use std::collections::{BTreeMap, BTreeSet};

/// A patch: what it does to which path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// In the order of the text. Only edits of the content may share a path.
    pub changes: Vec<Change>,
    /// What was put right.
    pub mended: BTreeSet<Mended>,
    /// What every path is afterwards, once the patch is fitted to a tree; of binary content only git knows.
    pub outcomes: BTreeMap<String, Outcome>,
}
