//! The single writer: the only code that changes the repository and the plan.
//!
//! Apply, validate, then persist or restore. `integration_started` with the exact before-state of every path
//! is durable before the first byte changes, so after a kill the tree is brought back to that state and
//! the integration starts again. It runs no workers and believes none: a patch is checked against
//! the scope, by `git apply --check`, and by the task's own validation commands.

mod allow;
mod before;
mod evidence;
mod lock;
mod persist;
mod validate;

pub use allow::{VALIDATION_ALLOW, is_allowed};
pub use before::{Moment, Restored, Saved};
pub use evidence::{Evidence, examine};
pub use lock::RepoLock;
pub use persist::{Persisted, comment, persist};
pub use validate::{Limits, ValidationEnd, run as validate};

use crate::git::{GitError, Repo};
use crate::job::{Journal, Stop};
use crate::ledger::LedgerError;
use crate::model::{
    BlockReason, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted, UnitId,
};
use crate::patch;
use crate::plan::{Metadata, PlanError};
use crate::scope::Scope;
use std::io;
use std::path::{Path, PathBuf};

/// Why the integrator could not do its work. The tree is as before, or is restored at the next resume.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// Git could not be asked.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The ledger can't be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The plan can't be changed.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A file of the tree or of the run's folder can't be used.
    #[error("`{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// Some paths could not be brought back; a resume tries again.
    #[error("the tree could not be restored completely: {}", failures.join("; "))]
    Restore {
        /// `path: reason`.
        failures: Vec<String>,
    },
    /// An earlier run was ended in the middle of an integration.
    #[error("the run in `{}` was ended in the middle of an integration, and the tree is not settled", run_folder.display())]
    Pending {
        /// That run's folder.
        run_folder: PathBuf,
    },
    /// Another `mesh` works in this repository.
    #[error("another `mesh` is working in this repository (lock `{}`)", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

impl IntegrateError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// What a patch of a task is measured against.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'t> {
    /// Scope and validation commands.
    pub metadata: &'t Metadata,
    /// The compiled scope.
    pub scope: &'t Scope,
    /// The plan file, which no patch may touch.
    pub plan_file: &'t Path,
    /// Where runs keep their files, which no patch may touch either.
    pub artifacts: &'t Path,
    /// What any patch may be.
    pub limits: patch::Limits,
}

/// One accepted patch and what its task says about it.
#[derive(Clone, Copy, Debug)]
pub struct Order<'o> {
    /// The task.
    pub unit: &'o UnitId,
    /// What the patch is measured against.
    pub terms: Terms<'o>,
    /// The patch as the synthesizer gave it.
    pub patch: &'o str,
}

/// The writer of one run.
pub struct Integrator<'i> {
    /// The repository.
    pub repo: &'i Repo,
    /// The run's folder; copies and logs go to `units/<id>/` below it.
    pub run_folder: &'i Path,
    /// Bounds of a validation command.
    pub limits: Limits,
    /// Being asked to stop.
    pub stop: &'i Stop,
    /// The right to write.
    pub lock: &'i RepoLock,
}

impl Integrator<'_> {
    /// Applies the patch and validates it; on failure the tree is as before, byte for byte.
    ///
    /// The outcome is in the ledger when this returns: `applied`, `restored`, `refused`, or `rolled_back` when it was
    /// interrupted.
    pub fn integrate(
        &self,
        order: &Order<'_>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        if order.terms.metadata.validation.is_empty() && !order.terms.metadata.allow_no_validation {
            let detail =
                "the task has no validation command and does not say `allow_no_validation: true`";
            return self.refuse(order, BlockReason::MissingValidation, detail, journal);
        }
        let folder = self.unit_folder(order.unit);
        let evidence = examine(self.repo, &order.terms, order.patch, &folder)?;
        let patch = match evidence {
            Evidence::Applies { patch, .. } => patch,
            Evidence::Refused { detail, .. } => {
                return self.refuse(order, BlockReason::AmbiguousIntegration, &detail, journal);
            }
        };
        let paths = patch.paths();
        let saved = Saved::take(
            self.repo,
            &paths,
            order.terms.plan_file,
            &folder.join("before"),
        )?;
        self.lock.mark(self.run_folder)?;
        let patch_path = folder.join("patch.diff");
        crate::durable::write(&patch_path, patch.text().as_bytes())
            .map_err(IntegrateError::io(&patch_path))?;
        journal.record(&[Event::from(IntegrationStarted {
            unit: order.unit.clone(),
            patch_path: self.relative(&patch_path),
            paths: saved.paths.clone(),
            patched: saved.patched.iter().cloned().collect(),
            new_folders: saved.new_folders.clone(),
            left_alone: saved.left_alone.clone(),
        })])?;
        if let Err(error) = self.repo.apply(&patch_path) {
            let reason = BlockReason::AmbiguousIntegration;
            return self.undo(order, &saved, reason, &error.to_string(), journal);
        }
        let paths = paths.iter().map(PathBuf::from).collect();
        self.settle(order, &saved, paths, journal)
    }

    /// After a kill between `integration_started` and `integration_finished`: brings the tree back, as far as
    /// nobody else changed it since.
    pub fn roll_back(
        &self,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<Restored, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = Saved::of(started, &folder.join("before"));
        let restored = saved.restore(self.repo, &folder.join("aside"), Moment::Killed)?;
        // Nobody knows what was edited since the kill, so everything that gave way is named.
        let moved_aside = [&restored.moved_aside[..], &restored.overwritten[..]].concat();
        let detail = "`mesh` was ended during the integration; the tree was restored";
        let finished = IntegrationFinished {
            detail: Some(detail.to_owned()),
            moved_aside,
            ..IntegrationFinished::new(&started.unit, IntegrationOutcome::RolledBack)
        };
        self.finish(finished, journal)?;
        Ok(restored)
    }

    /// The patch is in the tree: validate, then keep or restore.
    fn settle(
        &self,
        order: &Order<'_>,
        saved: &Saved,
        paths: Vec<PathBuf>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        for (index, command) in order.terms.metadata.validation.iter().enumerate() {
            let log = self
                .unit_folder(order.unit)
                .join(format!("validation-{}.log", index + 1));
            let end = validate::run(command, self.repo.root(), &log, &self.limits, self.stop)?;
            let ValidationEnd::Finished(mut finished) = end else {
                return self.interrupted(order, saved, journal);
            };
            finished.unit = order.unit.clone();
            finished.log_path = self.relative(&log);
            let passed = finished.passed();
            let detail = format!("`{command}`: {}", finished.outcome());
            journal.record(&[Event::from(*finished)])?;
            if !passed {
                let reason = BlockReason::ValidationFailed;
                return self.undo(order, saved, reason, &detail, journal);
            }
        }
        let finished = IntegrationFinished {
            paths,
            ..IntegrationFinished::new(order.unit, IntegrationOutcome::Applied)
        };
        self.finish(finished, journal)
    }

    /// Restores the tree; of what gave way, the patch's own paths need no mention.
    fn restore(&self, order: &Order<'_>, saved: &Saved) -> Result<Vec<PathBuf>, IntegrateError> {
        let folder = self.unit_folder(order.unit);
        let restored = saved.restore(self.repo, &folder.join("aside"), Moment::Validated)?;
        let mut moved = restored.moved_aside;
        let overwritten = restored.overwritten.into_iter();
        moved.extend(overwritten.filter(|path| !saved.patched.contains(path)));
        Ok(moved)
    }

    fn undo(
        &self,
        order: &Order<'_>,
        saved: &Saved,
        reason: BlockReason,
        detail: &str,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let finished = IntegrationFinished {
            reason: Some(reason),
            detail: Some(detail.to_owned()),
            moved_aside: self.restore(order, saved)?,
            ..IntegrationFinished::new(order.unit, IntegrationOutcome::Restored)
        };
        self.finish(finished, journal)
    }

    fn interrupted(
        &self,
        order: &Order<'_>,
        saved: &Saved,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let finished = IntegrationFinished {
            detail: Some("stopped during validation".to_owned()),
            moved_aside: self.restore(order, saved)?,
            ..IntegrationFinished::new(order.unit, IntegrationOutcome::RolledBack)
        };
        self.finish(finished, journal)
    }

    fn refuse(
        &self,
        order: &Order<'_>,
        reason: BlockReason,
        detail: &str,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let finished = IntegrationFinished {
            reason: Some(reason),
            detail: Some(detail.to_owned()),
            ..IntegrationFinished::new(order.unit, IntegrationOutcome::Refused)
        };
        self.finish(finished, journal)
    }

    fn finish(
        &self,
        finished: IntegrationFinished,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        journal.record(&[Event::from(finished)])?;
        // Only now may another run begin: the tree is whole, and the ledger says so.
        self.lock.settled()
    }

    fn unit_folder(&self, unit: &UnitId) -> PathBuf {
        self.run_folder.join("units").join(unit.file_name())
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.run_folder)
            .unwrap_or(path)
            .to_owned()
    }
}
