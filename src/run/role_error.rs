//! Why roles can't be worked by what they are bound to.

use crate::adapter::AdapterError;
use crate::model::{Role, near_name};

/// Why the binding of a role is refused.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Its adapter can't be used.
    #[error("role `{role}`")]
    Adapter {
        /// The role.
        role: Role,
        /// The cause.
        #[source]
        source: AdapterError,
    },
    /// It is bound to the adapter that starts no worker.
    #[error("role `{role}`: adapter `external` starts no worker, so it can only work all roles")]
    External {
        /// The role.
        role: Role,
    },
    /// No protocol has it.
    #[error("{whence}: unknown role `{role}`; roles: {}", known.join(", "))]
    Unknown {
        /// As given.
        role: Role,
        /// Where it is given.
        whence: &'static str,
        /// The roles.
        known: Vec<String>,
    },
    /// All rows have one worker here.
    #[error("roles can't be bound with {what}: {why}")]
    OneWorker {
        /// The adapter or executor.
        what: &'static str,
        /// The reason.
        why: &'static str,
    },
}

impl RoleError {
    /// Whether a name is wrong, rather than something missing on this machine.
    pub(super) fn is_input(&self) -> bool {
        let source = match self {
            RoleError::Adapter { source, .. } => source,
            _ => return true,
        };
        matches!(source, AdapterError::Unknown { .. })
    }

    /// Whether an adapter lacks a capability.
    pub(super) fn lacks_capability(&self) -> bool {
        match self {
            RoleError::Adapter { source, .. } => matches!(
                source,
                AdapterError::NoSuchOption { .. } | AdapterError::NoUsage { .. }
            ),
            RoleError::External { .. } | RoleError::OneWorker { .. } => true,
            RoleError::Unknown { .. } => false,
        }
    }

    /// A suggestion for the user, if there is one.
    pub(super) fn hint(&self) -> Option<String> {
        let mean = |name: &str, known: &[String]| {
            let near = near_name(name, known.iter().map(String::as_str))?;
            Some(format!("did you mean `{near}`?"))
        };
        match self {
            RoleError::Adapter {
                source: AdapterError::Unknown { name, known },
                ..
            } => mean(name, known),
            RoleError::Adapter { source, .. } => source.hint(),
            RoleError::External { .. } => None,
            RoleError::Unknown { role, known, .. } => mean(role.as_str(), known),
            RoleError::OneWorker { .. } => {
                Some("leave out --role, and `roles` of mesh.yaml and of the protocol".to_owned())
            }
        }
    }
}
