//! The single writer: the only code that changes the repository and the plan.
//!
//! Apply, validate, then persist or restore. `integration_started` with the exact before-state of every path
//! is durable before the first byte changes, so after a kill the tree is brought back to that state and
//! the integration starts again. It runs no workers and believes none: a patch is checked against
//! the scope, by `git apply --check`, and by the task's own validation commands.
//!
//! Under [`Isolation::Worktree`] a patch is validated in a scratch tree first and touches the user's only when it has
//! passed. A commit is made only where [`Delivery`] asks for one, as the last step, of nothing but the patch's paths.

mod allow;
mod before;
mod beneath;
mod census;
mod checks;
mod deliver;
mod elsewhere;
mod error;
mod evidence;
mod guard;
mod integrator;
mod lock;
mod messages;
mod outputs;
mod persist;
mod put_back;
mod request;
mod scratch;
mod state;
mod store;
mod stores;
mod validate;
mod verify;

pub use allow::{Commands, VALIDATION_ALLOW, is_allowed};
pub use before::Restored;
pub use deliver::{CommitTo, Delivery, DeliveryError, Isolation, branch_of, check};
pub use elsewhere::recover_stores;
pub use error::IntegrateError;
pub use evidence::{Evidence, examine};
pub use integrator::{Integrator, Recovered, end_writers};
pub use lock::RepoLock;
pub use outputs::own_outputs;
pub use persist::{Outcome, Persisted, comment, is_outcome_of, persist};
pub use request::{IntegrationRequest, PatchPolicy};
pub use stores::Stores;
pub use validate::Limits;
