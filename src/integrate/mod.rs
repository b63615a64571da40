//! The single writer: the only code that changes the repository and the plan.
//!
//! ```text
//! patch of an accepted answer
//!   │ Received    `evidence`: parse, check the scope and the policy, `git apply --check`
//!   │ Examined    `trial`: under `Isolation::Worktree`, validate in a `scratch` tree first
//!   │ Tried       `evidence` again: the tree may have changed meanwhile
//!   │ Ready       `saved_tree`: save the state of the tree, then apply the patch
//!   │ Applied     `verify`: the tree is what the patch computes; `checks`: run the validation commands
//!   │ Validated   `deliver`: leave the patch in the tree, or commit its paths
//!   ▼ Ended       `integration_finished` in the ledger; `persist`: status and comment in the plan
//! any refusal ──▶ Ended; any failure after Ready ──▶ `restore`, then Ended
//! ```
//!
//! The states and the step between them are in `transaction`. `integration_started` with the exact state of every path
//! is durable before the first byte changes, so that a resume after a kill can restore the tree (`Integrator::recover`)
//! and integrate again.
//!
//! Up to `Tried` the user's tree is only read, so that part runs beside workers and other validations ([`Tried`]). All that
//! follows is the single writer's, one patch at a time.
//!
//! `undo` takes a patch of a run back in the same way: its reverse is examined and applied, without validation.
//!
//! A saved tree is copies in a `content_store`, a `census` of the unchanged files and a `guard` of git's own files, the
//! plan and the learnings. All access to the tree goes through a `platform::root_dir`, which follows no link. While commands run in a
//! scratch tree, a `tree_watch` protects the plan and the learnings. The code trusts no worker: it runs none, and what
//! it runs for one is limited to [`Commands`].

mod census;
mod checks;
mod commands;
mod content_store;
mod deliver;
mod error;
mod evidence;
mod guard;
mod integrator;
mod joined;
mod lock;
mod look;
mod outputs;
mod persist;
mod request;
mod restore;
mod restore_path;
mod saved_log;
mod saved_tree;
mod scan;
mod scratch;
mod state;
mod transaction;
mod tree_diff;
mod tree_memory;
mod tree_state;
mod tree_watch;
mod trial;
mod undo;
mod validate;
mod verify;

pub use commands::{Commands, VALIDATION_ALLOW, is_allowed};
pub use deliver::{CommitTo, Delivery, DeliveryError, Isolation, check_delivery, run_branch};
pub use error::IntegrateError;
pub use evidence::{Evidence, examine};
pub use integrator::{Integrator, Recovered, end_writers};
pub use joined::{JoinFolder, OpenChange, has_ended};
pub use lock::{Holder, RepoLock};
pub use outputs::OwnOutputs;
pub use persist::{
    Outcome, Persisted, add_proposal_comment, comment, is_outcome_of, persist, proposal_comment,
    reopen, undo_comment,
};
pub use request::{IntegrationRequest, PatchPolicy};
pub use restore::Restored;
pub use transaction::Tried;
pub use tree_watch::{Quiet, TreeWatch, recover_stores};
pub use trial::Preview;
pub use undo::{ReversePatch, check_undo};
pub use validate::{Limits, ValidationEnd, run as run_command};
