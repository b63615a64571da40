//! The checks before the first worker starts. Writes nothing.

mod bindings;
mod closure;
mod doctor;
mod outputs;
mod prepare;
mod protocols;
mod tree;

pub use bindings::RoleSources;
pub(crate) use closure::{closure, empty_claims};
pub use doctor::{Finding, examine};
pub use outputs::InUse;
pub(crate) use outputs::normalize_path;
pub use prepare::{Preflight, Request, prepare};
pub use protocols::{ProtocolSearchPath, Protocols};
