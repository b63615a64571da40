//! What workers see of the repository. Never writes to the user's tree.
//!
//! ```text
//! user's tree -> fingerprint, tree_state (what it holds)
//!             -> git_view (a `.git` that shows the history)
//!             -> workspaces: shared_tree (one copy of a file in all of them), kept_copy (a copy for each wave)
//!             -> own_git (that of a copy for other hosts, with objects of its own)
//!             -> fingerprint (whether anybody changed it while workers ran), fingerprint_diff (what changed),
//!                fingerprint_change (what a joined run changed)
//! ```

mod error;
mod file_copy;
mod fingerprint;
mod fingerprint_change;
mod fingerprint_diff;
mod git_view;
mod kept_copy;
mod own_git;
mod shared_tree;
mod tree_state;
mod workspaces;

pub use error::SnapshotError;
pub use fingerprint::Fingerprint;
pub use fingerprint_change::FingerprintChange;
pub use fingerprint_diff::diff;
pub use kept_copy::{create_copy, refresh, remove};
pub use own_git::own_git;
pub use tree_state::TreeState;
pub use workspaces::{Lease, Workspaces};
