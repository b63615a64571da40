//! How well a run knows the tree.

/// What the state that a run expects says of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeSight {
    /// How it was before time passed.
    Past,
    /// How it is at this turn of the loop.
    Now,
    /// How it was before the changes that the run has made at this turn. They are looked at together, before time passes.
    Changed,
}
