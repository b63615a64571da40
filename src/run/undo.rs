//! `mesh undo`: takes the patches of a run that has ended back from the work tree, and makes their tasks pending again.
//!
//! ```text
//! Undo::read    which tasks, in the reverse order of their integration; commits are only named
//!   -> check    whether all of their patches can be taken back; nothing is written
//! UndoRun::open ledger and repository locked; what a kill interrupted is rolled back or completed
//!   -> undo     one task: the tree (`integrate::undo`), then the plan, each recorded in the ledger of the run
//! ```

use super::error::RunError;
use super::settings::Settings;
use super::store::{Recorder, RunFolder, State, TaskHolds, Unit};
use crate::integrate::{
    Integrator, Isolation, Limits, Outcome, PatchPolicy, RepoLock, ReversePatch, TreeWatch,
    check_undo,
};
use crate::job::{Journal, Stop};
use crate::ledger::Ledger;
use crate::model::{
    CommitRecord, Event, IntegrationStarted, PlanConflict, PlanMutated, RunKind, UnitId,
};
use crate::plan::{ItemId, Metadata, MutateOptions, Status, Store};
use crate::platform::{Repo, Writers};
use crate::scope::Scope;
use crate::{integrate, job, patch};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The tasks of a run whose patches are to be taken back.
#[derive(Clone, Debug)]
pub struct Undo {
    /// In the reverse order of their integration.
    pub tasks: Vec<UndoTask>,
    /// Whether the tasks are all those of the run that were applied and not undone.
    pub is_whole: bool,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct UndoTask {
    /// The task.
    pub unit: UnitId,
    /// Its commit, if the run delivered one.
    pub commit: Option<CommitRecord>,
    /// The paths that its patch changed.
    pub paths: Vec<PathBuf>,
}

/// Why a patch can't be taken back.
#[derive(Clone, Debug)]
pub struct UndoConflict {
    /// The task.
    pub unit: UnitId,
    /// Path, line, what was expected and what is there.
    pub detail: String,
    /// Tasks that the same run integrated later on the same paths and that are not taken back.
    pub later: Vec<UnitId>,
}

/// A task that was undone.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The task.
    pub unit: UnitId,
    /// The status that somebody else had set meanwhile; it is left unchanged.
    pub found: Option<String>,
}

impl Undo {
    /// The tasks of the run in `folder` to undo: `units`, or all whose patch is in the tree or in a commit.
    ///
    /// # Errors
    /// The run has not ended, or a task has no patch to take back.
    pub fn read(folder: &RunFolder, units: &[UnitId]) -> Result<Self, RunError> {
        folder.check_kind(RunKind::Plan)?;
        Self::of(&State::read(&folder.ledger())?, folder, units)
    }

    /// Whether a kill left an undo of the run half done.
    pub fn is_interrupted(folder: &RunFolder) -> Result<bool, RunError> {
        let state = State::read(&folder.ledger())?;
        Ok(state.units.iter().any(Unit::is_undo_open))
    }

    fn of(state: &State, folder: &RunFolder, units: &[UnitId]) -> Result<Self, RunError> {
        let refuse = |why: String, hint: Option<String>| RunError::NotUndone {
            id: folder.id().clone(),
            why,
            hint,
        };
        if state.finished.is_none() || state.can_continue() {
            let id = folder.id();
            let hint = format!("end it first: mesh resume {id}, or mesh cancel {id}");
            return Err(refuse("it has not ended".to_owned(), Some(hint)));
        }
        for id in units {
            let why = match state.unit(id) {
                None => format!("it has no task `{id}`"),
                Some(unit) if unit.undone.is_some() && !unit.is_undo_open() => {
                    format!("task `{id}` is undone already")
                }
                Some(unit) if !unit.is_applied() && !unit.is_undo_open() => {
                    format!("task `{id}` has no patch in the tree")
                }
                Some(_) => continue,
            };
            return Err(refuse(why, None));
        }
        let applied = || state.units.iter().filter(|unit| unit.is_applied());
        let is_selected = |unit: &&Unit| units.is_empty() || units.contains(&unit.id);
        let mut selected: Vec<&Unit> = applied().filter(is_selected).collect();
        if selected.is_empty() && !state.units.iter().any(Unit::is_undo_open) {
            return Err(refuse(
                "none of its patches is in the tree".to_owned(),
                None,
            ));
        }
        selected.sort_by_key(|unit| std::cmp::Reverse(unit.applied_number));
        Ok(Self {
            is_whole: selected.len() == applied().count(),
            tasks: selected.into_iter().map(UndoTask::of).collect(),
        })
    }

    /// The commits of the tasks, newest first; empty if their patches are in the tree.
    pub fn commits(&self) -> Vec<&CommitRecord> {
        let commits = self.tasks.iter();
        commits.filter_map(|task| task.commit.as_ref()).collect()
    }

    /// The conflicts that keep the patches from being taken back. Nothing is written.
    pub fn check(&self, folder: &RunFolder) -> Result<Vec<UndoConflict>, RunError> {
        let state = State::read(&folder.ledger())?;
        let settings = settings_of(&state, folder)?;
        let root = state.started.as_ref().map(|started| started.root.clone());
        let repo = Repo::find(&root.unwrap_or_default())?;
        self.conflicts(&repo, &Rules::of(&settings, folder)?, &state, folder)
    }

    fn conflicts(
        &self,
        repo: &Repo,
        rules: &Rules,
        state: &State,
        folder: &RunFolder,
    ) -> Result<Vec<UndoConflict>, RunError> {
        let mut patches = Vec::new();
        let mut found = Vec::new();
        for task in &self.tasks {
            match ReversePatch::read(&task.unit, &folder.unit(&task.unit), &rules.policy())? {
                Ok(patch) => patches.push(patch),
                Err(why) => found.push((task.unit.clone(), why)),
            }
        }
        found.extend(check_undo(repo, &rules.policy(), &patches)?);
        let conflict = |(unit, detail): (UnitId, String)| UndoConflict {
            later: self.later_than(&unit, state),
            unit,
            detail,
        };
        Ok(found.into_iter().map(conflict).collect())
    }

    /// The tasks that were integrated after `unit` on the same paths and are not to be undone.
    fn later_than(&self, unit: &UnitId, state: &State) -> Vec<UnitId> {
        let Some(this) = state.unit(unit) else {
            return Vec::new();
        };
        let paths = &this.state.changed_paths;
        let is_later = |other: &&Unit| {
            other.is_applied()
                && other.applied_number > this.applied_number
                && other
                    .state
                    .changed_paths
                    .iter()
                    .any(|path| paths.contains(path))
                && !self.tasks.iter().any(|task| task.unit == other.id)
        };
        let later = state.units.iter().filter(is_later);
        later.map(|other| other.id.clone()).collect()
    }
}

impl UndoTask {
    fn of(unit: &Unit) -> Self {
        let integration = unit.integration.as_ref();
        Self {
            unit: unit.id.clone(),
            commit: integration.and_then(|one| one.commit.clone()),
            paths: unit.state.changed_paths.clone(),
        }
    }
}

fn settings_of(state: &State, folder: &RunFolder) -> Result<Settings, RunError> {
    let settings = state.started.as_ref().map(|started| &started.settings);
    let settings = settings.cloned().unwrap_or_default();
    serde_json::from_value(settings).map_err(|error| RunError::NotUndone {
        id: folder.id().clone(),
        why: format!("its settings are not understood: {error}"),
        hint: None,
    })
}

/// What a reverse patch must obey: the rules of every patch, without the scope of a task, which was checked then.
struct Rules {
    metadata: Metadata,
    scope: Scope,
    plan_file: PathBuf,
    artifacts: PathBuf,
}

impl Rules {
    fn of(settings: &Settings, folder: &RunFolder) -> Result<Self, RunError> {
        let globs = vec!["**".to_owned()];
        Ok(Self {
            scope: Scope::new(&globs).map_err(RunError::SharedPaths)?,
            metadata: Metadata {
                scope: globs,
                ..Metadata::default()
            },
            plan_file: settings.plan_file.clone(),
            artifacts: folder.runs().to_owned(),
        })
    }

    fn policy(&self) -> PatchPolicy<'_> {
        PatchPolicy {
            metadata: &self.metadata,
            globs: &self.metadata.scope,
            scope: &self.scope,
            plan_file: &self.plan_file,
            artifacts: &self.artifacts,
            limits: patch::Limits {
                bytes_max: u64::MAX,
                allow_binary: true,
            },
        }
    }
}

/// A run that is being undone, with its ledger and its repository locked.
pub struct UndoRun {
    folder: RunFolder,
    repo: Repo,
    lock: RepoLock,
    recorder: Recorder,
    settings: Settings,
    rules: Rules,
    watch: TreeWatch,
    writers: Writers,
}

impl UndoRun {
    /// Locks the run in `folder` and its repository.
    ///
    /// # Errors
    /// A process drives the run, or another run holds the repository or an interrupted integration.
    pub fn open(folder: RunFolder) -> Result<Self, RunError> {
        folder.check_kind(RunKind::Plan)?;
        let mut state = State::default();
        let (ledger, _) = Ledger::open_with(&folder.ledger(), |record, place| {
            if place == 0 {
                folder.claim();
            }
            state.apply_record(&record, place);
        })?;
        let settings = settings_of(&state, &folder)?;
        let root = state.started.as_ref().map(|started| started.root.clone());
        let writers = folder.writers();
        let repo = Repo::find(&root.unwrap_or_default())?;
        let lock = RepoLock::take(&repo, Some(folder.path()))?;
        let repo = repo.recorded(&writers);
        Ok(Self {
            rules: Rules::of(&settings, &folder)?,
            watch: TreeWatch::new(&repo, &settings.plan_file, folder.path()),
            recorder: Recorder::new(ledger, state),
            folder,
            repo,
            lock,
            settings,
            writers,
        })
    }

    /// The tasks to undo, as [`Undo::read`].
    pub fn select(&self, units: &[UnitId]) -> Result<Undo, RunError> {
        Undo::of(self.recorder.state(), &self.folder, units)
    }

    /// Rolls back what a kill interrupted, and completes in the plan what was taken back. Returns the tasks that were
    /// completed, and those that were rolled back.
    pub fn recover(&mut self) -> Result<(Vec<Undone>, Vec<UnitId>), RunError> {
        let is_open = |unit: &&Unit| unit.is_undo_open();
        let open: Vec<Unit> = self
            .recorder
            .state()
            .units
            .iter()
            .filter(is_open)
            .cloned()
            .collect();
        let integrations = &self.recorder.state().units;
        if integrations
            .iter()
            .any(|unit| unit.open_integration.is_some())
        {
            return Ok((Vec::new(), Vec::new()));
        }
        let grace = Duration::from_secs(self.settings.options.bounds.grace_seconds);
        integrate::end_writers(&self.writers, grace)?;
        let (mut completed, mut rolled_back) = (Vec::new(), Vec::new());
        for unit in open {
            match &unit.open_undo {
                Some(started) => {
                    self.roll_back(started)?;
                    rolled_back.push(unit.id);
                }
                None => completed.push(self.reopen(&unit.id)?),
            }
        }
        // A kill between the mark and `undo_started` leaves the mark alone: nothing was changed.
        self.lock.clear_pending()?;
        Ok((completed, rolled_back))
    }

    /// Leaves the tree as an interrupted undo left it. Returns where the saved contents are, for each.
    pub fn abandon(&mut self) -> Result<Vec<(UnitId, String)>, RunError> {
        let stop = Stop::new().map_err(RunError::io(self.folder.path()))?;
        let units = &self.recorder.state().units;
        let open = units
            .iter()
            .filter_map(|unit| unit.open_undo.as_deref().cloned());
        let open: Vec<IntegrationStarted> = open.collect();
        let (integrator, recorder, _) = self.parts(&stop);
        let mut abandoned = Vec::new();
        for started in open {
            let detail = integrator.abandon_undo(&started, recorder)?;
            abandoned.push((started.unit, detail));
        }
        Ok(abandoned)
    }

    fn roll_back(&mut self, started: &IntegrationStarted) -> Result<(), RunError> {
        let stop = Stop::new().map_err(RunError::io(self.folder.path()))?;
        let (integrator, recorder, _) = self.parts(&stop);
        integrator.recover_undo(started, recorder)?;
        Ok(())
    }

    /// Why the patches can't be taken back. Nothing is written.
    ///
    /// # Errors
    /// Another run holds one of the tasks.
    pub fn check(&self, undo: &Undo) -> Result<Vec<UndoConflict>, RunError> {
        let plan_file = &self.settings.plan_file;
        let holds = TaskHolds::read(&self.repo, plan_file, Some(self.folder.path()))?;
        if let Some(refusal) = undo.tasks.iter().find_map(|task| holds.refusal(&task.unit)) {
            return Err(refusal);
        }
        undo.conflicts(&self.repo, &self.rules, self.recorder.state(), &self.folder)
    }

    /// Undoes one task: takes its patch back and makes its item pending. `Err` inside says why it was refused; then nothing of
    /// this task has changed.
    pub fn undo(&mut self, unit: &UnitId) -> Result<Result<Undone, String>, RunError> {
        let stop = Stop::new().map_err(RunError::io(self.folder.path()))?;
        let folder = self.folder.unit(unit);
        let (integrator, recorder, rules) = self.parts(&stop);
        let policy = rules.policy();
        let reverse = match ReversePatch::read(unit, &folder, &policy)? {
            Ok(reverse) => reverse,
            Err(why) => return Ok(Err(why)),
        };
        if let Err(why) = integrator.take_back(reverse, &policy, recorder)? {
            return Ok(Err(why));
        }
        Ok(Ok(self.reopen(unit)?))
    }

    /// The integrator, which validates and commits nothing, with the ledger that it writes and the rules of its patches.
    fn parts<'p>(&'p mut self, stop: &'p Stop) -> (Integrator<'p>, &'p mut Recorder, &'p Rules) {
        let options = &self.settings.options;
        let integrator = Integrator {
            repo: &self.repo,
            run_folder: self.folder.path(),
            limits: Limits {
                timeout: Duration::from_secs(options.validation_timeout_seconds),
                grace: Duration::from_secs(options.bounds.grace_seconds),
                log_bytes_max: 0,
            },
            watch: &self.watch,
            scratch: self.folder.trial(1),
            redactor: job::redactor(self.settings.workers()),
            stop,
            writers: &self.writers,
            lock: &self.lock,
            isolation: Isolation::Tree,
            commit: None,
            before: BTreeMap::new(),
            applied: 0,
        };
        (integrator, &mut self.recorder, &self.rules)
    }

    /// Makes the item pending and records that, followed by the end of the run again: an earlier version takes events after the
    /// end for a run that goes on.
    fn reopen(&mut self, unit: &UnitId) -> Result<Undone, RunError> {
        let state = self.recorder.state();
        let undone = state.unit(unit).and_then(|unit| unit.undone.as_ref());
        let paths = undone
            .map(|undone| undone.paths.clone())
            .unwrap_or_default();
        let end = state.finished.clone();
        let text = integrate::undo_comment(&paths, self.folder.id());
        let options = MutateOptions {
            allow_multiple_in_progress: true,
            ..MutateOptions::default()
        };
        let store = Store::at(&self.settings.plan_file);
        let item = ItemId::try_from(unit.to_string())?;
        let outcome = integrate::reopen(&store, &item, &text, self.folder.id(), options)?;
        let (event, found) = match outcome {
            Outcome::Persisted(_) => {
                let mutated = PlanMutated {
                    unit: unit.clone(),
                    status: Status::Pending.as_str().to_owned(),
                    comment: Some(text),
                    reason: None,
                    detail: None,
                };
                (Event::from(mutated), None)
            }
            Outcome::Superseded(found) => {
                let conflict = PlanConflict {
                    unit: unit.clone(),
                    found: found.clone(),
                    taken_by: None,
                };
                (Event::from(conflict), Some(found))
            }
        };
        let events: Vec<Event> = [Some(event), end.map(Event::from)]
            .into_iter()
            .flatten()
            .collect();
        self.recorder.record(&events)?;
        Ok(Undone {
            unit: unit.clone(),
            found,
        })
    }
}
