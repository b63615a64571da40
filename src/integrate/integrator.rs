//! The integrator: applies one patch, runs the validation, persists the outcome or restores the tree.
//!
//!     examine -> save -> apply -> verify -> validate -> deliver -> persist
//!                          any failure -> restore
//!
//! The only code that changes the repository. It runs no worker.

use super::allow::Command;
use super::before::{Restored, Saved};
use super::checks::{Checked, Checks};
use super::deliver::{CommitTo, Isolation};
use super::error::IntegrateError;
use super::evidence::{Evidence, examine};
use super::lock::RepoLock;
use super::messages::{does_not_apply, edited_meanwhile};
use super::request::IntegrationRequest;
use super::scratch::Scratch;
use super::state::Moment;
use super::stores::{Stores, kept_in};
use super::validate::Limits;
use crate::job::{Journal, Stop};
use crate::model::{
    BlockReason, CommitRecord, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted,
    Stage, UnitId, ValidationFinished,
};
use crate::patch::Patch;
use crate::platform::{CommitOrder, GitError, Process, Repo, Writers, fault};
use crate::redact::Redactor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The writer of one run.
pub struct Integrator<'i> {
    /// The repository that patches are applied to.
    pub repo: &'i Repo,
    /// The run's folder; copies and logs go to `units/<id>/` below it.
    pub run_folder: &'i Path,
    /// Bounds of a validation command.
    pub limits: Limits,
    /// The work tree and the plan that the run is about; validations elsewhere can reach them too.
    pub stores: Stores<'i>,
    /// What is taken out of what they print.
    pub redactor: Redactor,
    /// Being asked to stop.
    pub stop: &'i Stop,
    /// Where every child that may write the tree is recorded.
    pub writers: &'i Writers,
    /// The right to write.
    pub lock: &'i RepoLock,
    /// Where a patch is tried first.
    pub isolation: Isolation,
    /// Where a validated patch is committed; `None` leaves it in the tree.
    pub commit: Option<CommitTo<'i>>,
    /// How commands ended without any patch, as far as that is known for the tree as it is.
    pub before: BTreeMap<String, ValidationFinished>,
}

/// Ends what a killed `mesh` left running that may write the tree: validation commands, git with its hooks. To be
/// called before anything is restored or begun.
pub fn end_writers(writers: &Writers, grace: Duration) -> Result<(), IntegrateError> {
    let left = writers.end(grace);
    let named = |process: &Process| format!("process {} (`{}`)", process.pid, process.name);
    match left.is_empty() {
        true => Ok(()),
        false => Err(IntegrateError::StillRunning {
            processes: left.iter().map(named).collect(),
        }),
    }
}

/// What became of an integration that a kill interrupted.
#[derive(Debug)]
pub enum Recovered {
    /// The tree is as before.
    Restored(Restored),
    /// The commit had been made already: the integration is complete.
    Committed(CommitRecord),
}

/// What was given up.
#[derive(Debug)]
pub struct Abandoned {
    /// Where everything is.
    pub detail: String,
    /// The paths that are not as they were.
    pub paths: Vec<PathBuf>,
}

impl Integrator<'_> {
    /// Applies the patch and validates it; on failure the tree is as before, byte for byte.
    ///
    /// The outcome is in the ledger when this returns: `applied`, `restored`, `refused`, or `rolled_back` when it was
    /// interrupted.
    pub fn integrate(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        if request.policy.metadata.validation.is_empty()
            && !request.policy.metadata.allow_no_validation
        {
            let detail =
                "the task has no validation command and does not say `allow_no_validation: true`";
            return self.refuse(request, BlockReason::MissingValidation, detail, journal);
        }
        let mut patch = match self.examine(request)? {
            Ok(applicable) => applicable,
            Err(detail) => {
                return self.refuse(request, BlockReason::AmbiguousIntegration, &detail, journal);
            }
        };
        if let Some(commit) = &self.commit
            && let Some(why) = commit.obstacle(self.repo, &patch.paths())?
        {
            return self.refuse(request, BlockReason::AmbiguousIntegration, &why, journal);
        }
        if self.isolation == Isolation::Worktree {
            match self.try_out(request, &patch, journal)? {
                Tried::Passed => {}
                Tried::Overtaken(why) => {
                    return self.refuse(request, BlockReason::AmbiguousIntegration, &why, journal);
                }
                Tried::Failed(why) => {
                    return self.refuse(request, BlockReason::ValidationFailed, &why, journal);
                }
                Tried::Stopped => return self.interrupted(request, None, journal),
            }
            // The tree is the user's, who may have gone on in it while the commands ran.
            patch = match self.examine(request)? {
                Ok(applicable) => applicable,
                Err(detail) => {
                    return self.refuse(
                        request,
                        BlockReason::AmbiguousIntegration,
                        &detail,
                        journal,
                    );
                }
            };
        }
        self.begin(request, &patch, journal)
    }

    /// Runs the commands without the patch and with it, in a scratch tree, for the voters; `None` when `mesh` was asked to
    /// stop. The user's tree is only read.
    pub fn preview(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<Option<String>, IntegrateError> {
        if let Err(detail) = self.examine(request)? {
            return Ok(Some(does_not_apply(&detail)));
        }
        match self.in_scratch(request, Stage::Preview, journal)? {
            Checked::Stopped => Ok(None),
            Checked::Overtaken(why) => Ok(Some(does_not_apply(&why))),
            Checked::Done(all) => {
                let outcomes = self.before.iter();
                let outcomes = outcomes.map(|(command, run)| (command.clone(), run.outcome()));
                crate::integrate::checks::shown(&all, &outcomes.collect(), self.run_folder)
                    .map(Some)
            }
        }
    }

    /// After a kill between `integration_started` and `integration_finished`: brings the tree back, as far as
    /// nobody else changed it since. When the commit had been made, what was still to be done after it is done.
    /// `validations` are the commands that had passed by then.
    pub fn recover(
        &self,
        started: &IntegrationStarted,
        validations: &[ValidationFinished],
        journal: &mut dyn Journal,
    ) -> Result<Recovered, IntegrateError> {
        if let Some(commit) = self.committed(started)? {
            let finished = IntegrationFinished {
                paths: started.patched.clone(),
                passed_before: self.passed_before(validations.iter().map(|run| &run.command)),
                commit: Some(commit.clone()),
                ..IntegrationFinished::new(&started.unit, IntegrationOutcome::Applied)
            };
            self.finish(finished, journal)?;
            return Ok(Recovered::Committed(commit));
        }
        let folder = self.unit_folder(&started.unit);
        let saved = Saved::of(started, &self.kept());
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
        Ok(Recovered::Restored(restored))
    }

    /// Gives up the restore of an integration that a kill interrupted or that failed: the tree stays as it is, but for
    /// the plan and the learnings. What stood before at each path that differs is laid out in a folder of the unit.
    pub fn abandon(
        &self,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<Abandoned, IntegrateError> {
        let folder = self.unit_folder(&started.unit);
        let saved = Saved::of(started, &self.kept());
        let aside = folder.join("aside");
        saved.mend_stores(self.repo, &aside)?;
        let before = folder.join("before");
        let paths = saved.lay_out(self.repo, &before)?;
        let detail = format!(
            "the restore of an interrupted integration was given up; what stood before is in {}, what was moved away in {}",
            before.display(),
            aside.display()
        );
        let finished = IntegrationFinished {
            reason: Some(BlockReason::AmbiguousIntegration),
            detail: Some(detail.clone()),
            by_validation: paths.clone(),
            ..IntegrationFinished::new(&started.unit, IntegrationOutcome::Abandoned)
        };
        self.finish(finished, journal)?;
        Ok(Abandoned { detail, paths })
    }

    /// The commit that a killed process made, brought to its end.
    fn committed(
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
                self.take_back_commit(started)?;
                Ok(None)
            }
        }
    }

    /// The patch as it can be applied now, or why it can't be.
    fn examine(
        &self,
        request: &IntegrationRequest<'_>,
    ) -> Result<Result<Patch, String>, IntegrateError> {
        let folder = self.unit_folder(request.unit);
        Ok(
            match examine(self.repo, &request.policy, request.patch, &folder)? {
                Evidence::Applies { patch, .. } => Ok(patch),
                Evidence::Refused { detail, .. } => Err(detail),
            },
        )
    }

    /// Validates the patch where nothing of the user's can be touched. What is validated is what will be applied: when
    /// somebody edits a file of the patch meanwhile, it is tried once more with that.
    fn try_out(
        &mut self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        journal: &mut dyn Journal,
    ) -> Result<Tried, IntegrateError> {
        const TRIES: usize = 3;
        let paths = patch.paths();
        for _ in 0..TRIES {
            let before = crate::integrate::state::states(self.repo, &paths)?;
            let tried = self.try_once(request, journal)?;
            if !matches!(tried, Tried::Passed | Tried::Failed(_))
                || crate::integrate::state::states(self.repo, &paths)? == before
            {
                return Ok(tried);
            }
            if let Err(detail) = self.examine(request)? {
                return Ok(Tried::Overtaken(edited_meanwhile(&detail)));
            }
        }
        let why = format!(
            "files of the patch were edited each time while it was validated, {TRIES} times"
        );
        Ok(Tried::Overtaken(why))
    }

    fn try_once(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<Tried, IntegrateError> {
        Ok(
            match self.in_scratch(request, Stage::Integration, journal)? {
                Checked::Stopped => Tried::Stopped,
                Checked::Overtaken(why) => Tried::Overtaken(edited_meanwhile(&why)),
                Checked::Done(all) => match crate::integrate::checks::failure_of(&all) {
                    Some(why) => Tried::Failed(why),
                    None => Tried::Passed,
                },
            },
        )
    }

    /// The commands in a scratch tree: those that were never run without the patch, then all of them with it.
    fn in_scratch(
        &mut self,
        request: &IntegrationRequest<'_>,
        stage: Stage,
        journal: &mut dyn Journal,
    ) -> Result<Checked, IntegrateError> {
        let folder = self.run_folder.join("trial");
        let is_known = |command: &Command| self.before.contains_key(&command.text);
        if !request.commands.run.iter().all(is_known) {
            let scratch = Scratch::of(self.repo, &folder)?;
            let checks = self.checks(request, Stage::Before, scratch.root());
            match checks.run(|command| !is_known(command), journal)? {
                early @ (Checked::Stopped | Checked::Overtaken(_)) => return Ok(early),
                Checked::Done(all) => {
                    let all = all.into_iter().map(|run| (run.command.clone(), run));
                    self.before.extend(all);
                }
            }
        }
        match self.patched(request, &folder)? {
            Ok(scratch) => self
                .checks(request, stage, scratch.root())
                .run(|_| true, journal),
            Err(why) => Ok(Checked::Overtaken(why)),
        }
    }

    /// A scratch tree with the patch, placed anew: the user may have gone on since it was examined, while commands ran.
    fn patched(
        &self,
        request: &IntegrationRequest<'_>,
        folder: &Path,
    ) -> Result<Result<Scratch, String>, IntegrateError> {
        const TRIES: usize = 3;
        let candidate = self.unit_folder(request.unit).join("candidate.diff");
        let mut tries = 0;
        loop {
            let scratch = Scratch::of(self.repo, folder)?;
            if let Err(detail) = self.examine(request)? {
                return Ok(Err(detail));
            }
            tries += 1;
            match scratch.apply(&candidate) {
                Ok(()) => return Ok(Ok(scratch)),
                // An edit came between the copy and the look at the tree.
                Err(IntegrateError::Git(GitError::Failed { .. })) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn checks<'c>(
        &'c self,
        request: &'c IntegrationRequest<'c>,
        stage: Stage,
        folder: &'c Path,
    ) -> Checks<'c> {
        Checks {
            request,
            stage,
            folder,
            run_folder: self.run_folder,
            limits: &self.limits,
            writers: self.writers,
            redactor: &self.redactor,
            stop: self.stop,
            stores: (folder != self.stores.repo.root()).then_some(self.stores),
            kept: self.kept(),
        }
    }

    /// The transaction on the tree itself.
    fn begin(
        &self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let folder = self.unit_folder(request.unit);
        crate::integrate::lock::wait_for_index(self.repo)?;
        let saved = Saved::take(
            self.repo,
            &patch.paths(),
            request.policy.plan_file,
            &self.kept(),
        )?;
        fault::integrator_point();
        self.lock.mark(self.run_folder)?;
        fault::integrator_point();
        let patch_path = folder.join("patch.diff");
        crate::platform::write_private(&patch_path, &patch.bytes())
            .map_err(IntegrateError::io(&patch_path))?;
        let started = IntegrationStarted {
            unit: request.unit.clone(),
            patch_path: self.relative(&patch_path),
            paths: saved.paths.clone(),
            patched: saved.patched.iter().cloned().collect(),
            new_folders: saved.new_folders.clone(),
            left_alone: saved.left_alone.clone(),
            head: self.repo.head()?,
        };
        journal.record(&[Event::from(started.clone())])?;
        fault::integrator_point();
        let applied = self.repo.apply(&patch_path);
        fault::integrator_point();
        if let Err(error) = applied {
            let reason = BlockReason::AmbiguousIntegration;
            return self.undo(request, patch, &saved, reason, &error.to_string(), journal);
        }
        if let Some(why) = crate::integrate::verify::difference(self.repo, patch, &folder)? {
            let reason = BlockReason::AmbiguousIntegration;
            return self.undo(request, patch, &saved, reason, &why, journal);
        }
        self.settle(request, patch, &saved, &started, journal)
    }

    /// The patch is in the tree: validate, then keep and deliver, or restore.
    fn settle(
        &self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        saved: &Saved,
        started: &IntegrationStarted,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        if self.isolation == Isolation::Tree {
            let checks = self.checks(request, Stage::Integration, self.repo.root());
            let Checked::Done(all) = checks.run(|_| true, journal)? else {
                return self.interrupted(request, Some((patch, saved)), journal);
            };
            if let Some(why) = crate::integrate::checks::failure_of(&all) {
                return self.undo(
                    request,
                    patch,
                    saved,
                    BlockReason::ValidationFailed,
                    &why,
                    journal,
                );
            }
        }
        let aside = self.unit_folder(request.unit).join("aside");
        let put_back = saved.mend_stores(self.repo, &aside)?;
        // A commit may tidy up, by its hooks; what they do is no validation's.
        let mut by_validation = saved.differing(self.repo)?;
        let folder = self.unit_folder(request.unit);
        by_validation.extend(crate::integrate::verify::differing(
            self.repo, patch, &folder,
        )?);
        by_validation.sort();
        by_validation.dedup();
        let moved_aside = put_back;
        let commit = match self.deliver(request, started)? {
            Ok(commit) => commit,
            Err(why) => {
                return self.undo(
                    request,
                    patch,
                    saved,
                    BlockReason::ValidationFailed,
                    &why,
                    journal,
                );
            }
        };
        let commands = request.commands.run.iter().map(|command| &command.text);
        let finished = IntegrationFinished {
            paths: started.patched.clone(),
            by_validation,
            moved_aside,
            passed_before: self.passed_before(commands),
            left_out: request.commands.left_out.clone(),
            commit,
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::Applied)
        };
        self.finish(finished, journal)
    }

    /// Commits where that is asked for; `Err` is why it was refused, and then there is no commit.
    fn deliver(
        &self,
        request: &IntegrationRequest<'_>,
        started: &IntegrationStarted,
    ) -> Result<Result<Option<CommitRecord>, String>, IntegrateError> {
        let Some(commit) = &self.commit else {
            return Ok(Ok(None));
        };
        if self.repo.head()? != started.head {
            let why = "another commit was checked out while the validation ran";
            return Ok(Err(why.to_owned()));
        }
        let paths = started.patched.iter();
        let paths = paths.map(|path| path.to_string_lossy().into_owned());
        let index = crate::integrate::deliver::index_in(&self.unit_folder(request.unit));
        fault::integrator_point();
        let made = self.repo.commit(&CommitOrder {
            paths: &paths.collect(),
            message: &commit.message(request.unit, request.subject, request.tally),
            index: &index,
            verify: commit.verify,
        })?;
        fault::integrator_point();
        // Of no use any more; one that stays is written anew.
        let _ = std::fs::remove_file(&index);
        let id = match made {
            Ok(id) => id,
            Err(said) => return Ok(Err(format!("`git commit` refused: {said}"))),
        };
        let completed = commit.complete(self.repo, id)?;
        fault::integrator_point();
        match completed {
            Ok(record) => Ok(Ok(Some(record))),
            Err(said) => {
                self.take_back_commit(started)?;
                let branch = commit.branch;
                Ok(Err(format!(
                    "branch `{branch}` did not take the commit: {said}"
                )))
            }
        }
    }

    /// A commit that its branch does not take goes; only in a repository that was made for this run.
    fn take_back_commit(&self, started: &IntegrationStarted) -> Result<(), IntegrateError> {
        if let Some(real) = self.commit.and_then(|commit| commit.publish) {
            real.borrowed(self.repo.root(), &started.head)?;
        }
        Ok(())
    }

    /// Those of `commands` that passed without the patch as well.
    fn passed_before<'c>(&self, commands: impl Iterator<Item = &'c String>) -> Vec<String> {
        let passed = |command: &&String| {
            let before = self.before.get(*command);
            before.is_some_and(ValidationFinished::passed)
        };
        commands.filter(passed).cloned().collect()
    }

    /// Restores the tree; of what gave way, the patch's own results need no mention. Gives what was moved aside, and what
    /// was left as the validation left it.
    fn restore(
        &self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        saved: &Saved,
    ) -> Result<(Vec<PathBuf>, Vec<PathBuf>), IntegrateError> {
        let folder = self.unit_folder(request.unit);
        // Something else than the patch's result may be an edit of the user's. Where that can't be told, all may be.
        let edited: Option<BTreeSet<PathBuf>> =
            crate::integrate::verify::differing(self.repo, patch, &folder)
                .ok()
                .map(|paths| paths.into_iter().collect());
        let is_result = |path: &PathBuf| {
            let is_edited = edited.as_ref().is_none_or(|edited| edited.contains(path));
            saved.patched.contains(path) && !is_edited
        };
        let restored = saved.restore(self.repo, &folder.join("aside"), Moment::Validated)?;
        let mut moved = restored.moved_aside;
        let overwritten = restored.overwritten.into_iter();
        moved.extend(overwritten.filter(|path| !is_result(path)));
        Ok((moved, restored.kept))
    }

    fn undo(
        &self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        saved: &Saved,
        reason: BlockReason,
        detail: &str,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let (moved_aside, by_validation) = self.restore(request, patch, saved)?;
        let finished = IntegrationFinished {
            reason: Some(reason),
            detail: Some(detail.to_owned()),
            moved_aside,
            by_validation,
            left_out: request.commands.left_out.clone(),
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::Restored)
        };
        self.finish(finished, journal)
    }

    /// `saved` is `None` where nothing was touched yet.
    fn interrupted(
        &self,
        request: &IntegrationRequest<'_>,
        saved: Option<(&Patch, &Saved)>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let (moved_aside, by_validation) = match saved {
            Some((patch, saved)) => self.restore(request, patch, saved)?,
            None => Default::default(),
        };
        let finished = IntegrationFinished {
            detail: Some("stopped during validation".to_owned()),
            moved_aside,
            by_validation,
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::RolledBack)
        };
        self.finish(finished, journal)
    }

    fn refuse(
        &self,
        request: &IntegrationRequest<'_>,
        reason: BlockReason,
        detail: &str,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        let finished = IntegrationFinished {
            reason: Some(reason),
            detail: Some(detail.to_owned()),
            left_out: request.commands.left_out.clone(),
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::Refused)
        };
        self.finish(finished, journal)
    }

    fn finish(
        &self,
        mut finished: IntegrationFinished,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        // Git and the hooks of a commit say what they like.
        if let Some(detail) = &mut finished.detail {
            *detail = self.redactor.text(detail).into_owned();
        }
        fault::integrator_point();
        journal.record(&[Event::from(finished)])?;
        fault::integrator_point();
        // Only now may another run begin: the tree is whole, and the ledger says so.
        self.lock.clear_pending()?;
        fault::integrator_point();
        Ok(())
    }

    fn unit_folder(&self, unit: &UnitId) -> PathBuf {
        self.run_folder.join("units").join(unit.file_name())
    }

    /// Where the before-state is kept while an integration is under way; the next one finds there what is still so.
    fn kept(&self) -> PathBuf {
        kept_in(self.run_folder)
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.run_folder)
            .unwrap_or(path)
            .to_owned()
    }
}

/// What became of a patch in a scratch tree.
enum Tried {
    Passed,
    /// The user's tree changed meanwhile.
    Overtaken(String),
    Failed(String),
    Stopped,
}
