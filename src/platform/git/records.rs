//! What git reports: changes of the tree, entries of the index, and what a patch does.

use std::path::PathBuf;

/// One entry of `git status`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Relative to the root.
    pub path: PathBuf,
    /// Git does not know the file.
    pub untracked: bool,
}

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Relative to the root.
    pub path: PathBuf,
    /// The object.
    pub id: String,
    /// It is a submodule.
    pub is_repository: bool,
    /// Git does not check it for changes, or it is in conflict.
    pub is_unsure: bool,
}

/// What git reports about a patch that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchReport {
    /// `added TAB deleted TAB path NUL` for each file, then the lines of `--summary`.
    pub forwards: String,
    /// The same records for its reverse, last one first; `None` where nothing is renamed or copied.
    pub backwards: Option<String>,
}

/// How a file of the tree may differ from its object although git reports it as unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// In carriage returns at the ends of lines.
    LineEnds,
    /// In anything: keywords, encodings, filters.
    Anything,
}
