//! One patch on its way into the tree: its states, and the step from each to the next.
//!
//! ```text
//! Received -> Examined -> Tried -> Ready -> Applied -> Validated -> Ended
//!      a refusal or failure in any state ---------------->
//! ```
//!
//! `integration_started` is durable before the first byte changes. A step that fails after that restores the tree, byte
//! for byte, before the patch ends. The outcome is recorded in one place, when the state is [`State::Ended`].

use super::checks::{ChecksEnd, first_failure};
use super::deliver::{CommitTo, Isolation, commit_index_path, remove_commit_index};
use super::error::IntegrateError;
use super::integrator::Integrator;
use super::lock::wait_for_index;
use super::request::IntegrationRequest;
use super::saved_tree::SavedTree;
use super::state::RestoreCause;
use super::tree_state::TreeState;
use super::trial::Trial;
use super::verify::{differing_paths, first_difference};
use crate::job::Journal;
use crate::model::{
    BlockReason, CommitRecord, Event, IntegrationFinished, IntegrationOutcome, IntegrationStarted,
    Stage, UnitId, one_line,
};
use crate::patch::Patch;
use crate::platform::{CommitOrder, GitError, Repo, fault, machine_fault};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How far a patch has come.
enum State {
    /// It has not been checked.
    Received,
    /// It applies to the tree, and a commit of it would be possible.
    Examined(Patch),
    /// It passed in a scratch tree, a copy of the tree as it was then.
    Tried(TreeState),
    /// It applies to the tree, and passed in a scratch tree or is to be validated in the user's tree.
    Ready(Patch),
    /// It is in the tree, and the state before it is saved.
    Applied(Box<Applied>),
    /// The commands passed.
    Validated(Box<Applied>),
    /// The tree is as this record says.
    Ended(Box<IntegrationFinished>),
}

/// A patch that is in the tree, with what is needed to remove it.
pub(super) struct Applied {
    pub patch: Patch,
    saved: SavedTree,
    pub started: IntegrationStarted,
}

/// The file in the folder of a task with the patch as it was applied.
pub(super) const PATCH_NAME: &str = "patch.diff";

/// A patch that has been validated in a scratch tree, or was refused there.
pub struct Tried(State);

impl Tried {
    /// Whether the patch passed.
    pub fn has_passed(&self) -> bool {
        matches!(self.0, State::Tried(_))
    }

    /// The paths that have changed since a patch that passed was validated; `None` for one that did not pass.
    pub fn changed_since(&self, repo: &Repo) -> Result<Option<Vec<PathBuf>>, IntegrateError> {
        match &self.0 {
            State::Tried(then) => then.changed_since(repo).map(Some),
            _ => Ok(None),
        }
    }
}

impl Integrator<'_> {
    /// Checks the patch and validates it in a scratch tree. Only reads the user's tree.
    pub fn try_patch(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<Tried, IntegrateError> {
        fault::integrator_point();
        let mut state = State::Received;
        loop {
            state = match state {
                State::Received => self.examine_request(request)?,
                State::Examined(patch) => self.try_out(request, patch, journal)?,
                ended => return Ok(Tried(ended)),
            }
        }
    }

    /// Why the patch does not apply to the tree as it is, if so. Only reads the tree.
    pub fn find_misfit(
        &self,
        request: &IntegrationRequest<'_>,
    ) -> Result<Option<String>, IntegrateError> {
        Ok(self.examine(request)?.err())
    }

    /// Applies a patch that passed in a scratch tree; records the refusal of one that did not.
    pub fn apply_tried(
        &mut self,
        request: &IntegrationRequest<'_>,
        tried: Tried,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        self.run_from(tried.0, request, journal)
    }

    /// Records that a patch is refused, which was validated in vain.
    pub fn refuse(
        &self,
        request: &IntegrationRequest<'_>,
        detail: &str,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        match refused(request, BlockReason::AmbiguousIntegration, detail) {
            State::Ended(finished) => self.finish(*finished, journal),
            _ => Ok(()),
        }
    }

    /// Applies the patch and validates it; on failure the tree is as before, byte for byte.
    ///
    /// The outcome is in the ledger when this returns: `applied`, `restored`, `refused`, or `rolled_back` if it was
    /// interrupted.
    pub fn integrate(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        self.run_from(State::Received, request, journal)
    }

    fn run_from(
        &mut self,
        mut state: State,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<(), IntegrateError> {
        loop {
            state = match state {
                State::Received => self.examine_request(request)?,
                State::Examined(patch) => self.try_out(request, patch, journal)?,
                State::Tried(_) => self.examine_again(request)?,
                State::Ready(patch) => self.apply(request, patch, journal)?,
                State::Applied(applied) => self.validate(request, applied, journal)?,
                State::Validated(applied) => self.deliver(request, &applied)?,
                State::Ended(finished) => return self.finish(*finished, journal),
            }
        }
    }

    fn examine_request(&self, request: &IntegrationRequest<'_>) -> Result<State, IntegrateError> {
        let metadata = request.policy.metadata;
        if metadata.validation.is_empty() && !metadata.allow_no_validation {
            let detail =
                "the task has no validation command and does not say `allow_no_validation: true`";
            return Ok(refused(request, BlockReason::MissingValidation, detail));
        }
        let patch = match self.examine(request)? {
            Ok(patch) => patch,
            Err(why) => return Ok(refused(request, BlockReason::AmbiguousIntegration, &why)),
        };
        if let Some(commit) = &self.commit
            && let Some(why) = commit.obstacle(self.repo, &patch.paths())?
        {
            return Ok(refused(request, BlockReason::AmbiguousIntegration, &why));
        }
        Ok(State::Examined(patch))
    }

    fn try_out(
        &mut self,
        request: &IntegrationRequest<'_>,
        patch: Patch,
        journal: &mut dyn Journal,
    ) -> Result<State, IntegrateError> {
        if self.isolation == Isolation::Tree {
            return Ok(State::Ready(patch));
        }
        let conflict = |why: &str| refused(request, BlockReason::AmbiguousIntegration, why);
        let trial = self.try_in_scratch(request, &patch, journal)?;
        // The user may have edited the tree while the commands ran.
        self.repo.forget_changes();
        Ok(match trial {
            Trial::Passed(then) => State::Tried(then),
            Trial::Conflict(why) => conflict(&why),
            Trial::Failed(why) => refused(request, BlockReason::ValidationFailed, &why),
            Trial::Stopped => interrupted(request, Restored::default()),
        })
    }

    /// The user may have edited the tree while the commands ran.
    fn examine_again(&self, request: &IntegrationRequest<'_>) -> Result<State, IntegrateError> {
        Ok(match self.examine(request)? {
            Ok(patch) => State::Ready(patch),
            Err(why) => refused(request, BlockReason::AmbiguousIntegration, &why),
        })
    }

    fn apply(
        &self,
        request: &IntegrationRequest<'_>,
        patch: Patch,
        journal: &mut dyn Journal,
    ) -> Result<State, IntegrateError> {
        let (applied, failure) = self.place(
            request.unit,
            request.policy.plan_file,
            (patch, PATCH_NAME),
            |started| Event::from(started.clone()),
            journal,
        )?;
        match failure {
            None => Ok(State::Applied(Box::new(applied))),
            Some(why) => self.undo(request, &applied, BlockReason::AmbiguousIntegration, &why),
        }
    }

    /// Saves the state of the tree, records with `event` that it changes, and applies the patch. With the reason if the tree
    /// is not what the patch makes of it; then the caller restores it.
    pub(super) fn place(
        &self,
        unit: &UnitId,
        plan_file: &Path,
        (patch, patch_name): (Patch, &str),
        event: impl FnOnce(&IntegrationStarted) -> Event,
        journal: &mut dyn Journal,
    ) -> Result<(Applied, Option<String>), IntegrateError> {
        let folder = self.unit_folder(unit);
        wait_for_index(self.repo)?;
        let saved = SavedTree::save(
            self.repo,
            self.commit.as_ref().and_then(CommitTo::published),
            &patch.paths(),
            plan_file,
            &self.kept(),
            self.watch.memory(),
        )?;
        fault::integrator_point();
        let patched = saved.patched.iter().map(PathBuf::from);
        self.lock.set_pending(self.run_folder, patched)?;
        fault::integrator_point();
        let patch_path = folder.join(patch_name);
        crate::platform::write_private(&patch_path, &patch.bytes())
            .map_err(IntegrateError::io(&patch_path))?;
        let started = IntegrationStarted {
            unit: unit.clone(),
            patch_path: self.relative(&patch_path),
            paths: saved.patched_paths(),
            patched: saved.patched.iter().cloned().collect(),
            new_folders: saved.new_folders.clone(),
            left_alone: saved.left_alone.clone(),
            head: self.repo.head()?,
        };
        journal.record(&[event(&started)])?;
        fault::integrator_point();
        let applied = self.repo.apply(&patch_path);
        fault::integrator_point();
        // It says nothing about the patch that git can't be started, or that the disk is full.
        let failure = match machine_fault::apart(applied)? {
            Err(error @ GitError::Run(_)) => return Err(error.into()),
            Err(error) => Some(error.to_string()),
            Ok(()) => first_difference(self.repo, &patch, &folder)?,
        };
        let applied = Applied {
            patch,
            saved,
            started,
        };
        Ok((applied, failure))
    }

    fn validate(
        &self,
        request: &IntegrationRequest<'_>,
        applied: Box<Applied>,
        journal: &mut dyn Journal,
    ) -> Result<State, IntegrateError> {
        if self.isolation == Isolation::Worktree {
            return Ok(State::Validated(applied));
        }
        let checks = self.checks(request, Stage::Integration, self.repo.root());
        let ChecksEnd::Done(all) = checks.run(|_| true, journal)? else {
            return Ok(interrupted(request, self.restore(&applied)?));
        };
        match first_failure(&all) {
            None => Ok(State::Validated(applied)),
            Some(why) => self.undo(request, &applied, BlockReason::ValidationFailed, &why),
        }
    }

    /// Repairs the plan and the learnings, and commits the patch if that is asked for.
    fn deliver(
        &self,
        request: &IntegrationRequest<'_>,
        applied: &Applied,
    ) -> Result<State, IntegrateError> {
        let Applied {
            patch,
            saved,
            started,
        } = applied;
        let folder = self.unit_folder(request.unit);
        let moved_aside = saved.repair_stores(self.repo, &folder.join("aside"))?;
        // Before the commit: what its hooks change was not changed by a validation.
        let mut by_validation = match machine_fault::apart(saved.differing_paths(self.repo))? {
            Ok(paths) => paths,
            Err(IntegrateError::Git(error @ GitError::Failed { .. })) => {
                let why = one_line(&format!("git can't read the repository after it: {error}"));
                return self.undo(request, applied, BlockReason::ValidationFailed, &why);
            }
            Err(error) => return Err(error),
        };
        by_validation.extend(differing_paths(self.repo, patch, &folder)?);
        by_validation.sort();
        by_validation.dedup();
        let commit = match self.commit(request, started)? {
            Ok(commit) => commit,
            Err(why) => {
                return self.undo(request, applied, BlockReason::ValidationFailed, &why);
            }
        };
        let commands = request.commands.run.iter().map(|command| &command.text);
        Ok(State::Ended(Box::new(IntegrationFinished {
            paths: started.patched.clone(),
            by_validation,
            moved_aside,
            passed_before: match request.has_test {
                true => Vec::new(),
                false => self.passed_before(commands),
            },
            left_out: request.commands.left_out.clone(),
            commit,
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::Applied)
        })))
    }

    /// Commits if that is asked for; `Err` says why the commit was refused, and then there is none.
    fn commit(
        &self,
        request: &IntegrationRequest<'_>,
        started: &IntegrationStarted,
    ) -> Result<Result<Option<CommitRecord>, String>, IntegrateError> {
        let Some(commit) = &self.commit else {
            return Ok(Ok(None));
        };
        // The commit changes what differs from HEAD.
        self.repo.forget_changes();
        if self.repo.head()? != started.head {
            let why = "another commit was checked out while the validation ran";
            return Ok(Err(why.to_owned()));
        }
        let paths = started.patched.iter();
        let paths = paths.map(|path| path.to_string_lossy().into_owned());
        let folder = self.unit_folder(request.unit);
        let index = commit_index_path(&folder);
        fault::integrator_point();
        let made = self.repo.commit(&CommitOrder {
            paths: &paths.collect(),
            message: &commit.message(request.unit, request.subject, request.tally),
            index: &index,
            verify: commit.verify,
        })?;
        fault::integrator_point();
        remove_commit_index(&folder);
        let id = match made {
            Ok(id) => id,
            Err(said) => return Ok(Err(format!("`git commit` refused: {said}"))),
        };
        let completed = commit.complete(self.repo, id)?;
        fault::integrator_point();
        match completed {
            Ok(record) => Ok(Ok(Some(record))),
            Err(said) => {
                self.discard_commit(started)?;
                let branch = commit.branch;
                Ok(Err(format!(
                    "branch `{branch}` did not take the commit: {said}"
                )))
            }
        }
    }

    /// Restores the tree.
    pub(super) fn restore(&self, applied: &Applied) -> Result<Restored, IntegrateError> {
        let Applied {
            patch,
            saved,
            started,
        } = applied;
        let folder = self.unit_folder(&started.unit);
        // A path that differs from the patch's result may hold an edit of the user's. If that can't be determined, any may.
        let edited = differing_paths(self.repo, patch, &folder).ok();
        let edited = edited.map(|paths| paths.into_iter().collect::<BTreeSet<PathBuf>>());
        let is_result = |path: &PathBuf| {
            let is_edited = edited.as_ref().is_none_or(|edited| edited.contains(path));
            saved.patched.contains(path) && !is_edited
        };
        self.repo.forget_changes();
        let aside = folder.join("aside");
        let restored = saved.restore(self.repo, &aside, RestoreCause::AfterValidation)?;
        let mut moved_aside = restored.moved_aside;
        let overwritten = restored.overwritten.into_iter();
        moved_aside.extend(overwritten.filter(|path| !is_result(path)));
        Ok(Restored {
            moved_aside,
            by_validation: restored.kept,
        })
    }

    fn undo(
        &self,
        request: &IntegrationRequest<'_>,
        applied: &Applied,
        reason: BlockReason,
        detail: &str,
    ) -> Result<State, IntegrateError> {
        let Restored {
            moved_aside,
            by_validation,
        } = self.restore(applied)?;
        Ok(State::Ended(Box::new(IntegrationFinished {
            reason: Some(reason),
            detail: Some(detail.to_owned()),
            moved_aside,
            by_validation,
            left_out: request.commands.left_out.clone(),
            ..IntegrationFinished::new(request.unit, IntegrationOutcome::Restored)
        })))
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.run_folder)
            .unwrap_or(path)
            .to_owned()
    }
}

/// What a restore has to report. The patch's own results are not part of it.
#[derive(Default)]
pub(super) struct Restored {
    pub moved_aside: Vec<PathBuf>,
    /// What the validation changed and the restore left.
    by_validation: Vec<PathBuf>,
}

fn refused(request: &IntegrationRequest<'_>, reason: BlockReason, detail: &str) -> State {
    State::Ended(Box::new(IntegrationFinished {
        reason: Some(reason),
        detail: Some(detail.to_owned()),
        left_out: request.commands.left_out.clone(),
        ..IntegrationFinished::new(request.unit, IntegrationOutcome::Refused)
    }))
}

fn interrupted(request: &IntegrationRequest<'_>, restored: Restored) -> State {
    State::Ended(Box::new(IntegrationFinished {
        detail: Some("stopped during validation".to_owned()),
        moved_aside: restored.moved_aside,
        by_validation: restored.by_validation,
        ..IntegrationFinished::new(request.unit, IntegrationOutcome::RolledBack)
    }))
}
