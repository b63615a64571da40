//! The state of one task of a run, also of one whose patch is kept instead of integrated (`integrate=false`) until a person takes
//! it.

use super::answer_place::AnswerPlace;
use crate::job::Spent;
use crate::model::{
    BlockReason, IntegrationFinished, IntegrationStarted, TaskAdmitted, TaskDecided, UndoFinished,
    UnitId, ValidationFinished, VerdictRecord, WaveNo,
};
use crate::protocol::{Integration, UnitState};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The state of a task whose patch is accepted and kept.
pub const ACCEPTED: &str = "accepted";
/// The state of a task whose patch is not accepted.
pub const REJECTED: &str = "rejected";

/// How a task ended in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// Its status in the plan.
    pub status: String,
    /// The block reason.
    pub reason: Option<BlockReason>,
    /// The block reason in words.
    pub detail: Option<String>,
    /// Whether a person or another run set that status.
    pub is_conflict: bool,
}

/// A task that was admitted. What few tasks have at a time is boxed, since a run may have very many.
#[derive(Clone, Debug)]
pub struct Unit {
    /// The task.
    pub id: UnitId,
    /// Rounds, tallies, integration.
    pub state: UnitState<AnswerPlace>,
    /// Its rows in all waves, by index, in order.
    pub rows: Vec<(WaveNo, u32)>,
    /// Whether it was admitted before its dependencies were completed, and is not `in_progress` in the plan yet.
    pub is_early: bool,
    /// The integration that has started and not finished.
    pub open_integration: Option<Box<IntegrationStarted>>,
    /// The last integration that finished.
    pub integration: Option<Box<IntegrationFinished>>,
    /// The usage of its rows, and how many have started.
    pub spent: Spent,
    /// The validation commands that ran before the vote, in order.
    pub previews: Vec<ValidationFinished>,
    /// Paths of the user's tree that changed while its commands ran in another tree.
    pub concurrent_changes: BTreeSet<PathBuf>,
    /// The refused answers, in order.
    pub refusals: Vec<VerdictRecord>,
    /// How far its patch is, if that is kept instead of integrated.
    pub proposal: Option<Box<Proposal>>,
    /// Its outcome, once persisted; or whether its patch is accepted, if that is kept.
    pub ended: Option<Box<TaskEnd>>,
    /// Its number among the patches of the run that were applied, from 1; 0 without one.
    pub applied_number: u64,
    /// Its patch that is being taken back.
    pub open_undo: Option<Box<IntegrationStarted>>,
    /// Its patch was taken back.
    pub undone: Option<Box<UndoFinished>>,
}

/// The status of a task whose patch is in the tree.
pub(super) const COMPLETED: &str = "completed";

/// How far the patch of a task is that is kept instead of integrated.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The task as the plan had it.
    pub admitted: TaskAdmitted,
    /// Whether its patch is accepted, once that is known.
    pub decided: Option<TaskDecided>,
    /// Whether a person took the patch: from then on it is integrated like any other.
    pub is_taken: bool,
}

impl Proposal {
    /// That of a task that was just admitted.
    pub fn of(admitted: &TaskAdmitted) -> Self {
        Self {
            admitted: admitted.clone(),
            decided: None,
            is_taken: false,
        }
    }

    /// Whether the patch is accepted, and not taken yet.
    pub fn is_open(&self) -> bool {
        let is_accepted = |decided: &TaskDecided| decided.reason.is_none();
        !self.is_taken && self.decided.as_ref().is_some_and(is_accepted)
    }
}

impl Unit {
    /// A task that was just admitted.
    pub(super) fn new(id: UnitId) -> Self {
        Self {
            id,
            state: UnitState::default(),
            rows: Vec::new(),
            is_early: false,
            open_integration: None,
            integration: None,
            spent: Spent::default(),
            previews: Vec::new(),
            concurrent_changes: BTreeSet::new(),
            refusals: Vec::new(),
            proposal: None,
            ended: None,
            applied_number: 0,
            open_undo: None,
            undone: None,
        }
    }

    pub(super) fn add_rows(&mut self, rows: Vec<(WaveNo, u32)>) {
        match self.rows.is_empty() {
            true => self.rows = rows,
            false => self.rows.extend(rows),
        }
    }

    /// Whether its patch is in the tree, or in a commit.
    pub fn is_applied(&self) -> bool {
        self.state.integration == Integration::Applied && self.undone.is_none()
    }

    /// Whether its patch is being taken back, or is taken back and the plan does not show it yet.
    pub fn is_undo_open(&self) -> bool {
        let is_old = |end: &TaskEnd| end.status == COMPLETED && !end.is_conflict;
        let is_unsaid = self.undone.is_some() && self.ended.as_deref().is_some_and(is_old);
        self.open_undo.is_some() || is_unsaid
    }

    /// Whether the run leaves the task in the plan as it is: its patch is kept.
    pub fn is_held(&self) -> bool {
        self.proposal.as_ref().is_some_and(|it| !it.is_taken)
    }

    /// Whether a person took its patch.
    pub fn is_taken(&self) -> bool {
        self.proposal.as_ref().is_some_and(|it| it.is_taken)
    }

    pub(super) fn apply_decision(&mut self, body: &TaskDecided) {
        let Some(proposal) = &mut self.proposal else {
            return;
        };
        proposal.decided = Some(body.clone());
        let status = match body.reason {
            None => ACCEPTED,
            Some(_) => REJECTED,
        };
        self.ended = Some(Box::new(TaskEnd {
            status: status.to_owned(),
            reason: body.reason,
            detail: body.detail.clone(),
            is_conflict: false,
        }));
    }

    /// The task is in flight again, and `pending` in the plan until its integration begins.
    pub(super) fn apply_taken(&mut self) {
        if let Some(proposal) = &mut self.proposal {
            proposal.is_taken = true;
            self.is_early = true;
            self.ended = None;
        }
    }
}
