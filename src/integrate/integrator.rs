//! The integrator of one run: what it works with, and what a resume does with an integration that a kill interrupted.
//!
//! The only code that changes the repository. The way of one patch is in [`transaction`](super::transaction).

use super::content_store::kept_in;
use super::deliver::{CommitTo, Isolation, remove_commit_index};
use super::error::IntegrateError;
use super::lock::RepoLock;
use super::restore::Restored;
use super::saved_tree::SavedTree;
use super::state::RestoreCause;
use super::tree_watch::TreeWatch;
use super::validate::Limits;
use crate::job::{Journal, Stop};
use crate::model::{
    BlockReason, CommitRecord, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted,
    UnitId, ValidationFinished,
};
use crate::platform::{Process, Repo, Writers, fault};
use crate::redact::Redactor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The integrator of one run.
pub struct Integrator<'i> {
    /// The repository that patches are applied to.
    pub repo: &'i Repo,
    /// The run's folder; copies and logs go to `units/<id>/` below it.
    pub run_folder: &'i Path,
    /// Limits of a validation command.
    pub limits: Limits,
    /// The watch of the work tree and the plan of the run. Validations in a scratch tree can reach them too.
    pub watch: &'i TreeWatch,
    /// The scratch tree.
    pub scratch: PathBuf,
    /// Removes secrets from the output of commands.
    pub redactor: Redactor,
    /// The request to stop.
    pub stop: &'i Stop,
    /// The record of every child process that may write to the tree.
    pub writers: &'i Writers,
    /// The lock of the repository.
    pub lock: &'i RepoLock,
    /// Where a patch is applied and validated first.
    pub isolation: Isolation,
    /// Where a validated patch is committed; `None` leaves it in the tree.
    pub commit: Option<CommitTo<'i>>,
    /// The results of commands without the patch, as far as they are known for the tree as it is.
    pub before: BTreeMap<String, ValidationFinished>,
    /// How many patches of the run are applied.
    pub applied: u64,
}

/// Ends the processes that a killed `mesh` left running and that may write to the tree: validation commands, git and its
/// hooks. Call it before anything is restored or started.
pub fn end_writers(writers: &Writers, grace: Duration) -> Result<(), IntegrateError> {
    let left = writers
        .end(grace)
        .map_err(IntegrateError::io(writers.file()))?;
    let name = |process: &Process| format!("process {} (`{}`)", process.pid, process.name);
    match left.is_empty() {
        true => Ok(()),
        false => Err(IntegrateError::StillRunning {
            processes: left.iter().map(name).collect(),
        }),
    }
}

/// The result of recovering an interrupted integration.
#[derive(Debug)]
pub enum Recovered {
    /// The tree is as it was before the integration.
    Restored(Restored),
    /// The commit already existed; the integration is complete.
    Committed(CommitRecord),
}

/// The result of abandoning a restore.
#[derive(Debug)]
pub struct Abandoned {
    /// Where the saved state and the moved files are.
    pub detail: String,
    /// The paths that differ from the saved state.
    pub paths: Vec<PathBuf>,
}

impl Integrator<'_> {
    /// Recovers from a kill between `integration_started` and `integration_finished`: restores the tree, but keeps what
    /// others changed since. If the commit already exists, it completes the delivery instead. `validations` are the
    /// commands that had passed by then.
    pub fn recover(
        &self,
        started: &IntegrationStarted,
        validations: &[ValidationFinished],
        journal: &mut dyn Journal,
    ) -> Result<Recovered, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = SavedTree::load(started, &self.kept())?;
        // A git that died with `mesh` has left its locks, which would stop the next one.
        saved.remove_new_locks(self.repo, &folder.join("aside"))?;
        remove_commit_index(&folder);
        if let Some(commit) = self.complete_commit(started)? {
            let finished = IntegrationFinished {
                paths: started.patched.clone(),
                passed_before: self.passed_before(validations.iter().map(|run| &run.command)),
                commit: Some(commit.clone()),
                ..IntegrationFinished::new(&started.unit, IntegrationOutcome::Applied)
            };
            self.finish(finished, journal)?;
            return Ok(Recovered::Committed(commit));
        }
        self.repo.forget_changes();
        let restored = saved.restore(self.repo, &folder.join("aside"), RestoreCause::AfterKill)?;
        // Any overwritten file may have been edited since the kill, so all of them are reported.
        let moved_aside = [&restored.moved_aside[..], &restored.overwritten[..]].concat();
        let detail = "`mesh` was ended during the integration; the tree was restored";
        let finished = IntegrationFinished {
            detail: Some(detail.to_owned()),
            moved_aside,
            ..IntegrationFinished::new(&started.unit, IntegrationOutcome::RolledBack)
        };
        self.finish(finished, journal)?;
        Ok(Recovered::Restored(restored))
    }

    /// Abandons the restore of an integration that was interrupted or that failed: restores only the plan and the
    /// learnings, and leaves the rest of the tree as it is. Copies the saved content of each path that differs to a
    /// folder of the unit.
    pub fn abandon(
        &self,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<Abandoned, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = SavedTree::load(started, &self.kept())?;
        let aside = folder.join("aside");
        saved.repair_stores(self.repo, &aside)?;
        let before = folder.join("before");
        let exported = saved.export_differing(self.repo, &before)?;
        let detail = format!(
            "the restore of an interrupted integration was abandoned; the saved state is in {}{}; files that were moved aside are in {}",
            before.display(),
            exported.exception(),
            aside.display()
        );
        let finished = IntegrationFinished {
            reason: Some(BlockReason::AmbiguousIntegration),
            detail: Some(detail.clone()),
            by_validation: exported.paths.clone(),
            ..IntegrationFinished::new(&started.unit, IntegrationOutcome::Abandoned)
        };
        self.finish(finished, journal)?;
        Ok(Abandoned {
            detail,
            paths: exported.paths,
        })
    }

    /// Completes the commit that a killed process made; `None` if there is none, or if its branch refuses it.
    fn complete_commit(
        &self,
        started: &IntegrationStarted,
    ) -> Result<Option<CommitRecord>, IntegrateError> {
        let Some(commit) = self.commit.filter(|_| !started.head.is_empty()) else {
            return Ok(None);
        };
        let Some(id) = commit.find(self.repo, &started.unit, &started.head)? else {
            return Ok(None);
        };
        match commit.complete(self.repo, id)? {
            Ok(record) => Ok(Some(record)),
            Err(_) => {
                self.discard_commit(started)?;
                Ok(None)
            }
        }
    }

    /// Discards a commit that its branch refuses; only in a repository that was made for this run.
    pub(super) fn discard_commit(
        &self,
        started: &IntegrationStarted,
    ) -> Result<(), IntegrateError> {
        match self.commit.and_then(|commit| commit.publish) {
            Some(_) => Ok(self.repo.reset_to(&started.head)?),
            None => Ok(()),
        }
    }

    /// Those of `commands` that also passed without the patch.
    pub(super) fn passed_before<'c>(
        &self,
        commands: impl Iterator<Item = &'c String>,
    ) -> Vec<String> {
        let passed = |command: &&String| {
            let before = self.before.get(*command);
            before.is_some_and(ValidationFinished::passed)
        };
        commands.filter(passed).cloned().collect()
    }

    /// Records the outcome and allows other runs again.
    pub(super) fn finish(
        &self,
        mut finished: IntegrationFinished,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        // The detail may quote git or the hooks of a commit.
        if let Some(detail) = &mut finished.detail {
            *detail = self.redactor.redact_text(detail).into_owned();
        }
        self.finish_with(Event::from(finished), journal)
    }

    /// The same for any event that ends a change of the tree.
    pub(super) fn finish_with(
        &self,
        event: Event,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        fault::integrator_point();
        journal.record(&[event])?;
        fault::integrator_point();
        // Only after the ledger says that the tree is whole may another run start.
        self.lock.clear_pending()?;
        fault::integrator_point();
        Ok(())
    }

    pub(super) fn unit_folder(&self, unit: &UnitId) -> PathBuf {
        self.run_folder.join("units").join(unit.file_name())
    }

    /// The folder of saved states. It outlives an integration: the next one reuses contents that have not changed.
    pub(super) fn kept(&self) -> PathBuf {
        kept_in(self.run_folder)
    }
}
