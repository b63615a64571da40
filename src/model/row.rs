//! The key of a wave row, and the enumerations of its columns.

use super::id::{Role, RoundName, RowId, UnitId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a row may return (column `lane`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// No patch: an answer with a patch is rejected.
    ReadOnly,
    /// A patch is required.
    Patch,
}

impl Lane {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Lane::ReadOnly => "read_only",
            Lane::Patch => "patch",
        }
    }
}

/// The risk of a task (column `risk`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Local and easily undone.
    Low,
    /// The default.
    Medium,
    /// Needs every check.
    High,
}

impl Risk {
    /// The column's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        }
    }
}

/// Why a task was blocked: the five codes of the seed's "Persistence requirements".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockReason {
    /// Fewer agreeing votes than the threshold, after the last consensus retry.
    NoConsensus,
    /// A role gave no usable answer, even after its retries.
    NoResponse,
    /// No validation command, and the task does not set `allow_no_validation`.
    MissingValidation,
    /// A validation command failed; the tree was restored.
    ValidationFailed,
    /// The patch is not usable: it does not parse, is out of scope, or does not apply.
    AmbiguousIntegration,
}

impl BlockReason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::NoConsensus,
        Self::NoResponse,
        Self::MissingValidation,
        Self::ValidationFailed,
        Self::AmbiguousIntegration,
    ];

    /// The reason code in comments and events.
    pub fn as_str(self) -> &'static str {
        match self {
            BlockReason::NoConsensus => "no_consensus",
            BlockReason::NoResponse => "no_response",
            BlockReason::MissingValidation => "missing_validation",
            BlockReason::ValidationFailed => "validation_failed",
            BlockReason::AmbiguousIntegration => "ambiguous_integration",
        }
    }
}

impl fmt::Display for BlockReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The four parts of a wave row's id, `<unit>.<round>.<role>.<attempt>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// The task.
    pub unit: UnitId,
    /// The round.
    pub round: RoundName,
    /// Who answers.
    pub role: Role,
    /// The attempt number of this round for this unit, from 1.
    pub attempt: u32,
}

impl RowKey {
    /// The row's id.
    pub fn id(&self) -> RowId {
        RowId::new(format!(
            "{}.{}.{}.{}",
            self.unit, self.round, self.role, self.attempt
        ))
    }

    /// Splits a row id from the right, because unit ids may contain dots.
    pub fn parse(id: &RowId) -> Option<Self> {
        let mut parts = id.as_str().rsplitn(4, '.');
        let attempt = parts.next()?.parse().ok()?;
        let role = Role::new(parts.next()?);
        let round = RoundName::new(parts.next()?);
        let unit = UnitId::new(parts.next().filter(|unit| !unit.is_empty())?);
        Some(Self {
            unit,
            round,
            role,
            attempt,
        })
    }
}

/// Why a worker gave no answer though the row was not at fault. Never counts as a vote or a critique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The service asks to wait.
    RateLimit,
    /// The account's quota is used up for now.
    Quota,
    /// The account has no credit left; waiting does not help.
    Credit,
    /// The agent is not logged in, or has no permission.
    LogIn,
    /// The service is unreachable or broken.
    Network,
    /// The worker ran out of memory, or was killed from outside, as by the kernel when memory runs out.
    Memory,
    /// The program could not be started.
    Program,
}

impl Fault {
    /// Whether the network or the machine failed, rather than the service or the account refusing.
    pub fn is_outage(self) -> bool {
        matches!(self, Fault::Network | Fault::Memory | Fault::Program)
    }

    /// As a short phrase.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::RateLimit => "a rate limit",
            Fault::Quota => "a used-up quota",
            Fault::Credit => "an account without credit",
            Fault::LogIn => "a missing log-in",
            Fault::Network => "a service out of reach",
            Fault::Memory => "a fault of the machine or a kill from outside",
            Fault::Program => "a program that can't be started",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_id_is_split_from_the_right() {
        let id = RowId::new("v1.2.vote.critic_a.3");
        let key = RowKey::parse(&id).expect("four parts");
        assert_eq!(key.unit.as_str(), "v1.2");
        assert_eq!(key.attempt, 3);
        assert_eq!(key.id(), id);
        assert_eq!(RowKey::parse(&RowId::new("row-1")), None);
    }
}
