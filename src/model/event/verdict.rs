//! Fields of the events about the verdict on a row and the count of a vote.

use super::super::id::{Role, RowId, UnitId, WaveNo};
use super::super::row::Fault;
use serde::{Deserialize, Serialize};

/// Whether a report may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The report becomes an artifact of its unit.
    Accepted,
    /// The role answers again, with the reason in its prompt.
    Retry,
    /// The role gave no usable answer in this round.
    Rejected,
}

impl VerdictKind {
    /// The value in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            VerdictKind::Accepted => "accepted",
            VerdictKind::Retry => "retry",
            VerdictKind::Rejected => "rejected",
        }
    }
}

/// Fields of `verdict`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// The verdict.
    pub verdict: VerdictKind,
    /// The failure code, unless accepted: a job's code, `lane`, `patch_invalid`, `out_of_scope`, `does_not_apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason as text; shown to the role on retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why the worker gave no answer, if that was not the row's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Findings of the mechanical checks (patch rows only); shown to the voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
    /// What the validation commands said of a candidate, in a copy of the tree (rows of a round with `candidates` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<PatchEvidence>,
}

/// What `mesh` has seen of one of several candidates for a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchEvidence {
    /// Whether every validation command passed with the patch.
    pub passed: bool,
    /// Whether every one of them had passed without it as well, so that they say little about it.
    pub weak: bool,
    /// Lines that the patch adds and removes.
    pub lines: u64,
    /// SHA-256 of the files that it leaves, regardless of blanks at the ends of lines: equal for patches that do the same.
    pub result: String,
    /// The first failure; empty if it passed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub failure: String,
}

/// One role's vote within a tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteLine {
    /// Who voted.
    pub role: Role,
    /// `agree`, `disagree`, `absent`, or `not_asked` if the outcome was settled before.
    pub vote: String,
    /// The one-line reason of the vote, or of its absence.
    pub reason: String,
}

/// Fields of `tally`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The task.
    pub unit: UnitId,
    /// Number of the vote within its unit, from 1.
    pub attempt: u32,
    /// Votes for the patch.
    pub agree: u32,
    /// Votes against it.
    pub disagree: u32,
    /// Roles without a usable vote.
    pub absent: u32,
    /// Votes needed for the patch.
    pub threshold: u32,
    /// `agree >= threshold`; in a vote among candidates also that no more voters want none of them.
    pub consensus: bool,
    /// The candidate with most votes, in a vote among candidates; `agree` are the votes for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Role>,
    /// Every vote with its reason.
    pub votes: Vec<VoteLine>,
}
