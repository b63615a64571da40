//! What a patch needs to know of a tree: what stands at a path, and its content.

/// What stands at a path of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file.
    File,
    /// A symbolic link, and where it points.
    Link(String),
    /// A submodule, or another repository within this one.
    Submodule,
    /// A folder, or something stranger.
    Other,
}

/// The tree that a patch is for.
pub trait Tree {
    /// What stands at `path`, relative to the root.
    fn at(&self, path: &str) -> Found;

    /// The content of the file at `path`; `None` when it can't be read.
    fn content(&self, path: &str) -> Option<Vec<u8>>;

    /// All paths of the tree, for a refusal that names the nearest ones.
    fn paths(&self) -> Vec<String>;
}

/// What stands at a path afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No file.
    Absent,
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link with this target.
    Link(Vec<u8>),
}
