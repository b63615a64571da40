//! The tree as a patch sees it: the entries at its paths, and their contents.

/// The entry at a path of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeEntry {
    /// Nothing.
    Nothing,
    /// A file.
    File,
    /// A symbolic link, with its target.
    Link(String),
    /// A submodule or another nested repository.
    Submodule,
    /// A folder, pipe, socket or device.
    Other,
}

/// The tree that a patch is for.
pub trait Tree {
    /// The entry at `path`, relative to the root.
    fn at(&self, path: &str) -> TreeEntry;

    /// The content of the file at `path`; `None` if it can't be read.
    fn content(&self, path: &str) -> Option<Vec<u8>>;

    /// All paths of the tree, for suggestions.
    fn paths(&self) -> Vec<String>;
}

/// The result of a patch at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No file.
    Absent,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link with this target.
    Link(Vec<u8>),
}
