//! Takes patches of a run back from the work tree: the reverse of each patch, in the reverse order of their integration.
//!
//! All patches are checked together first, against the tree as it would be then ([`check_undo`]), so that nothing changes where
//! one of them can't be taken back. Each is then applied like a patch of a worker: the state of the tree is durable before the
//! first byte changes, the result is compared, and a kill is rolled back by the next call.

use super::error::IntegrateError;
use super::evidence::{Evidence, WorkTree, check_policy, examine_patch};
use super::integrator::Integrator;
use super::request::PatchPolicy;
use super::restore;
use super::saved_tree::SavedTree;
use super::state::RestoreCause;
use super::transaction::PATCH_NAME;
use crate::job::Journal;
use crate::model::{Event, IntegrationStarted, UndoFinished, UndoOutcome, UndoStarted, UnitId};
use crate::patch::{Outcome, Patch, Tree, TreeEntry};
use crate::platform::{Repo, fault};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file in the folder of a task with the reverse patch as it was applied.
const UNDO_NAME: &str = "undo.diff";

/// The reverse of a patch that a run applied.
#[derive(Clone, Debug)]
pub struct ReversePatch {
    /// The task.
    pub unit: UnitId,
    patch: Patch,
}

impl ReversePatch {
    /// Reads the patch of `unit` in its folder `folder`. `Err` inside says why it can't be reversed.
    pub fn read(
        unit: &UnitId,
        folder: &Path,
        policy: &PatchPolicy<'_>,
    ) -> Result<Result<Self, String>, IntegrateError> {
        let path = folder.join(PATCH_NAME);
        let bytes = std::fs::read(&path).map_err(IntegrateError::io(&path))?;
        let reversed = Patch::parse_applied(&bytes, &policy.limits).and_then(Patch::reversed);
        Ok(reversed
            .map(|patch| Self {
                unit: unit.clone(),
                patch,
            })
            .map_err(|error| error.to_string()))
    }

    /// The paths that it changes.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.patch.paths().into_iter().map(PathBuf::from).collect()
    }
}

/// Why patches, in this order, can't be taken back: each with the conflicts, by task. The tree is only read.
pub fn check_undo(
    repo: &Repo,
    policy: &PatchPolicy<'_>,
    patches: &[ReversePatch],
) -> Result<Vec<(UnitId, String)>, IntegrateError> {
    let mut tree = Ahead {
        tree: WorkTree::of(repo)?,
        outcomes: BTreeMap::new(),
    };
    let mut conflicts = Vec::new();
    for ReversePatch { unit, patch } in patches {
        let checked = check_policy(policy, patch, repo.root())?;
        let fitted = checked.and_then(|()| patch.clone().fit(&tree));
        tree.tree.check_looks()?;
        match fitted {
            Ok(fitted) => tree.take(&fitted),
            Err(error) => conflicts.push((unit.clone(), error.to_string())),
        }
    }
    Ok(conflicts)
}

/// The tree as it would be after the patches so far.
struct Ahead<'r> {
    tree: WorkTree<'r>,
    outcomes: BTreeMap<String, Outcome>,
}

impl Ahead<'_> {
    fn take(&mut self, fitted: &Patch) {
        for path in fitted.paths() {
            // A binary result is unknown here; git compares it when the patch is applied.
            let unknown = Outcome::File(Vec::new());
            let outcome = fitted.outcomes.get(&path).cloned().unwrap_or(unknown);
            self.outcomes.insert(path, outcome);
        }
    }
}

impl Tree for Ahead<'_> {
    fn at(&self, path: &str) -> TreeEntry {
        match self.outcomes.get(path) {
            Some(Outcome::Absent) => TreeEntry::Nothing,
            Some(Outcome::File(_)) => TreeEntry::File,
            Some(Outcome::Link(target)) => {
                TreeEntry::Link(String::from_utf8_lossy(target).into_owned())
            }
            None => self.tree.at(path),
        }
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        match self.outcomes.get(path) {
            Some(Outcome::File(content)) => Some(content.clone()),
            Some(_) => None,
            None => self.tree.content(path),
        }
    }

    fn paths(&self) -> Vec<String> {
        self.tree.paths()
    }
}

impl Integrator<'_> {
    /// Takes a patch back. `Err` inside says why not, and then the tree is as before; what happened is in the ledger.
    pub fn take_back(
        &self,
        reverse: ReversePatch,
        policy: &PatchPolicy<'_>,
        journal: &mut dyn Journal,
    ) -> Result<Result<(), String>, IntegrateError> {
        let ReversePatch { unit, patch } = reverse;
        self.repo.forget_changes();
        fault::integrator_point();
        let patch = match examine_patch(self.repo, policy, patch, &self.unit_folder(&unit))? {
            Evidence::Applies { patch, .. } => patch,
            Evidence::Refused { detail, .. } => return Ok(Err(detail)),
        };
        let (applied, failure) = self.place(
            &unit,
            policy.plan_file,
            (patch, UNDO_NAME),
            |started| Event::from(UndoStarted(started.clone())),
            journal,
        )?;
        let mut finished = UndoFinished {
            unit,
            outcome: UndoOutcome::Undone,
            detail: None,
            paths: applied.started.patched.clone(),
            moved_aside: Vec::new(),
        };
        if let Some(why) = &failure {
            finished.moved_aside = self.restore(&applied)?.moved_aside;
            finished.outcome = UndoOutcome::Restored;
            finished.detail = Some(why.clone());
        }
        self.repo.forget_changes();
        self.finish_with(Event::from(finished), journal)?;
        Ok(failure.map_or(Ok(()), Err))
    }

    /// Restores the tree after a kill between `undo_started` and `undo_finished`, but keeps what others changed since.
    pub fn recover_undo(
        &self,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<restore::Restored, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = SavedTree::load(started, &self.kept())?;
        self.repo.forget_changes();
        let restored = saved.restore(self.repo, &folder.join("aside"), RestoreCause::AfterKill)?;
        let finished = UndoFinished {
            unit: started.unit.clone(),
            outcome: UndoOutcome::RolledBack,
            detail: Some(
                "`mesh` was ended while it took the patch back; the tree was restored".to_owned(),
            ),
            paths: started.patched.clone(),
            moved_aside: [&restored.moved_aside[..], &restored.overwritten[..]].concat(),
        };
        self.finish_with(Event::from(finished), journal)?;
        Ok(restored)
    }

    /// Leaves the tree as an interrupted undo left it; repairs only the plan and the learnings, and copies the saved content of
    /// each path that differs to a folder of the unit. Returns where that is.
    pub fn abandon_undo(
        &self,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<String, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = SavedTree::load(started, &self.kept())?;
        saved.repair_stores(self.repo, &folder.join("aside"))?;
        let before = folder.join("before");
        let exported = saved.export_differing(self.repo, &before)?;
        let detail = format!(
            "the restore of an interrupted undo was abandoned; the saved state is in {}{}",
            before.display(),
            exported.exception()
        );
        let finished = UndoFinished {
            unit: started.unit.clone(),
            outcome: UndoOutcome::Abandoned,
            detail: Some(detail.clone()),
            paths: exported.paths,
            moved_aside: Vec::new(),
        };
        self.finish_with(Event::from(finished), journal)?;
        Ok(detail)
    }
}
