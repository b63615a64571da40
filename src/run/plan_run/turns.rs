//! The turns of a joined run (`mesh run --join`): it has the repository's lock while it reads or writes the tree or the plan, and
//! other runs have it in between.
//!
//! ```text
//! begin: lock ─► restore what a killed run left ─► accept the changes of others ─► leases: what is held, what was taken over
//! a turn of the loop: judge, integrate, admit, start waves
//! end: complete the tasks of applied patches ─► release the leases of tasks that have ended ─► unlock ─► wait for rows
//! ```
//!
//! Nobody takes a lease over while another one has its turn, so what is held at the beginning of a turn is held to its end: an
//! owner whose lease was taken over integrates nothing. A run that is stopped within its turn keeps the others waiting, because nobody
//! can know what it still writes.

use super::begin::PlanRun;
use super::context::Context;
use crate::integrate::{Delivery, Holder, IntegrateError, OpenChange};
use crate::job::{Journal, Urgency};
use crate::ledger::LedgerError;
use crate::model::{Event, IntegrationOutcome, RunId, UnitId};
use crate::plan::{Item, ItemId, Plan, Status};
use crate::platform::{pace, process};
use crate::run::error::RunError;
use crate::run::preflight::{closure, empty_claims};
use crate::run::store::{HeartbeatThread, RunFolder, Unit, task_holds};
use crate::schedule::item_scope;
use crate::scope::Reach;
use crate::workspace::{Fingerprint, FingerprintChange};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often a run with free task slots looks for tasks that other runs have made ready.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long one wait for the turn lasts, before the request to stop is looked at.
const WAIT_STEP: Duration = Duration::from_secs(1);
/// After this the user is told what the run waits for.
const WAIT_SILENTLY: Duration = Duration::from_secs(10);

impl PlanRun {
    /// The first turn of a process: shows that it is there, and acquires the leases of the run's tasks in flight again.
    pub(crate) fn join_others(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let Some(join) = &mut self.join else {
            return Ok(());
        };
        // Before the turn, which may be long in coming.
        let heartbeat =
            HeartbeatThread::start(&join.folder, join.owner.clone(), pace::lease_life())?;
        join.heartbeat = Some(heartbeat);
        self.take_turn(context)?;
        task_holds::add_run(&self.repo, &self.folder, &self.lock)?;
        let plan = self.store.current()?;
        self.acquire_again(&plan)
    }

    fn acquire_again(&mut self, plan: &Plan) -> Result<(), RunError> {
        let in_flight = self.state().in_flight();
        let in_flight: Vec<UnitId> = in_flight.map(|unit| unit.id.clone()).collect();
        // The next step releases them.
        let changed: BTreeSet<ItemId> = self.changed_items(plan);
        let Some(join) = &mut self.join else {
            return Ok(());
        };
        // The tree was not looked at before.
        join.changes.read_new()?;
        join.leases.read()?;
        // A kill between a lease and the ledger leaves a lease without a task.
        join.leases.release_if(|unit| !in_flight.contains(unit))?;
        let own: BTreeSet<UnitId> = join
            .leases
            .of_own_run()
            .into_iter()
            .map(|one| one.unit)
            .collect();
        let shared = &self.settings.options.shared_paths;
        let mut events = Vec::new();
        for unit in in_flight {
            // Who has taken it over may have ended by now.
            let is_lost = join
                .leases
                .last_owner(&unit)
                .is_some_and(|run| *run != join.owner.run);
            let item = ItemId::try_from(unit.to_string()).ok();
            let item = item.and_then(|id| plan.get(&id)).filter(|_| !is_lost);
            let Some(item) = item.filter(|item| !changed.contains(item.id())) else {
                continue;
            };
            let scope = item_scope(item).map_err(RunError::UnusableTask)?;
            if !own.contains(&unit) {
                let mut claims = empty_claims(shared)?;
                join.claim_all(&mut claims)?;
                let reach = Reach::new(&scope).map_err(RunError::scope(item))?;
                if claims.conflicts_with(&reach) {
                    return Err(RunError::ScopeLeased { unit });
                }
            }
            events.extend(join.leases.acquire(&unit, scope)?.map(Event::from));
        }
        self.recorder.record(&events)?;
        Ok(())
    }

    /// Begins a turn of a joined run; without effect while it lasts.
    pub(crate) fn begin_turn(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        if self.join.is_none() {
            return Ok(());
        }
        self.take_turn(context)?;
        self.accept_changes()?;
        self.read_leases()
    }

    /// Reads the leases, and releases those that a killed run has left of tasks that have ended: nobody will take them over.
    fn read_leases(&mut self) -> Result<(), RunError> {
        let plan = self.store.current()?;
        let Some(join) = &mut self.join else {
            return Ok(());
        };
        join.leases.read()?;
        join.leases.release_expired_if(|unit| {
            let item = ItemId::try_from(unit.to_string()).ok();
            let item = item.and_then(|id| plan.get(&id));
            let status = item.map(Item::status);
            !matches!(status, Some(Status::Pending | Status::InProgress))
        })
    }

    /// Ends the turn, so that others have theirs.
    pub(crate) fn end_turn(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        self.complete_in_turn(context)?;
        self.release_leases(false)?;
        Ok(self.lock.end_turn()?)
    }

    /// Completes the tasks whose patches are applied, also in a run that stops. No turn ends without that: whoever took such a task
    /// over would apply the patch once more.
    pub(crate) fn complete_in_turn(
        &mut self,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let is_applied = |unit: &Unit| {
            let last = unit.integration.as_ref();
            last.is_some_and(|one| one.outcome == IntegrationOutcome::Applied)
        };
        if self.join.is_none() || !self.state().in_flight().any(is_applied) {
            return Ok(());
        }
        self.with_expected_change(context, |run, context| {
            run.complete_applied(context.watcher)
        })
    }

    /// Ends the last turn of a run that has ended. Its heartbeat goes last: while the file is there, something may be left of the run. It goes
    /// within the turn, since who comes next forgets the released leases only if nobody else is there.
    pub(crate) fn leave_others(&mut self) -> Result<(), RunError> {
        self.release_leases(true)?;
        if let Some(join) = &self.join {
            join.leases.forget_if_last()?;
        }
        self.lock.leave()?;
        if let Some(heartbeat) = self.join.as_mut().and_then(|join| join.heartbeat.take()) {
            heartbeat.end();
        }
        Ok(self.lock.end_turn()?)
    }

    /// Whether an ended run may have left something to others, since it was killed before it had left them.
    pub(crate) fn is_among_others(&self) -> bool {
        let join = self.join.as_ref();
        join.is_some_and(|join| HeartbeatThread::is_left(&join.folder, &join.owner.run))
    }

    fn release_leases(&mut self, is_over: bool) -> Result<(), RunError> {
        let state = self.recorder.state();
        let has_ended = |unit: &UnitId| state.unit(unit).is_none_or(|unit| unit.ended.is_some());
        match &mut self.join {
            Some(join) => join.leases.release_if(|unit| is_over || has_ended(unit)),
            None => Ok(()),
        }
    }

    /// Leases tasks that are about to be admitted, in the files first, then in the ledger. Returns those that it got.
    pub(super) fn lease_tasks(
        &mut self,
        plan: &Plan,
        ids: Vec<ItemId>,
    ) -> Result<Vec<ItemId>, RunError> {
        let Some(join) = &mut self.join else {
            return Ok(ids);
        };
        let (mut leased, mut events) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(item) = plan.get(&id) else {
                continue;
            };
            let scope = item_scope(item).map_err(RunError::UnusableTask)?;
            if let Some(acquired) = join.leases.acquire(&UnitId::new(id.as_str()), scope)? {
                events.push(Event::from(acquired));
                leased.push(id);
            }
        }
        self.recorder.record(&events)?;
        Ok(leased)
    }

    /// Narrows the lease of a task whose metadata has become known.
    pub(super) fn narrow_lease(&mut self, unit: &UnitId, scope: &[String]) -> Result<(), RunError> {
        match &mut self.join {
            Some(join) => join.leases.set_scope(unit, scope),
            None => Ok(()),
        }
    }

    /// Whether other runs share the plan.
    pub(super) fn has_joined(&self) -> bool {
        self.join.is_some()
    }

    /// The run that has taken a task in flight over, if one has.
    pub(super) fn taken_by(&self, unit: &UnitId) -> Option<&RunId> {
        self.join.as_ref()?.leases.taken_by(unit)
    }

    /// How often a joined run with free slots looks for tasks that others have made ready.
    pub(super) fn look_every(&self) -> Option<Duration> {
        let is_looking = self.join.is_some() && self.free_slots() > 0;
        is_looking.then(|| pace::interval(LOOK_EVERY))
    }

    /// Whether a run without work waits for others: they may make tasks ready, or leave theirs. Waits for a moment, without the
    /// lock.
    pub(super) fn wait_for_others(
        &mut self,
        context: &mut Context<'_, '_>,
    ) -> Result<bool, RunError> {
        let Some(interval) = self.look_every() else {
            return Ok(false);
        };
        if context.is_stopping() || !self.may_take_more()? {
            return Ok(false);
        }
        self.end_turn(context)?;
        let began = Instant::now();
        while began.elapsed() < interval && !context.is_stopping() {
            std::thread::sleep(interval.min(Duration::from_millis(20)));
        }
        self.begin_turn(context)?;
        Ok(true)
    }

    /// Whether another run works a task, and a task is left that this run may take when that one has ended, or was lost.
    fn may_take_more(&self) -> Result<bool, RunError> {
        let Some(join) = &self.join else {
            return Ok(false);
        };
        if join.leases.of_others().next().is_none() {
            return Ok(false);
        }
        let plan = self.store.current()?;
        let closure = closure(&plan, &self.settings.ids)?;
        let held = self.holds.units();
        let is_left = |item: &&Item| {
            let unit = UnitId::new(item.id().as_str());
            matches!(item.status(), Status::Pending | Status::InProgress)
                && closure.as_ref().is_none_or(|ids| ids.contains(item.id()))
                && self.state().unit(&unit).is_none()
                && !held.contains(&unit)
        };
        Ok(plan.items().iter().any(|item| is_left(&item)))
    }

    /// Waits for the lock, with a tree that no killed run has left halfway.
    fn take_turn(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            self.wait_for_turn(context)?;
            let Some(why) = self.finish_for_others(context)? else {
                return Ok(());
            };
            self.lock.end_turn()?;
            if context.stop.urgency() == Urgency::Now {
                return Err(why);
            }
            if began.elapsed() >= WAIT_SILENTLY && !std::mem::replace(&mut is_told, true) {
                context.watcher.warn(&format!("waiting: {why}"));
            }
            context.run_blocking(&mut self.recorder, |_| {
                std::thread::sleep(pace::interval(WAIT_STEP));
                Ok(())
            })?;
        }
    }

    fn wait_for_turn(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        if self.lock.begin_turn(Duration::ZERO)?.is_ok() {
            return Ok(());
        }
        let lock = Arc::clone(&self.lock);
        let began = Instant::now();
        let mut is_told = false;
        loop {
            let wait = |_: &mut dyn Journal| Ok(lock.begin_turn(WAIT_STEP)?);
            let holder = match context.run_blocking(&mut self.recorder, wait)? {
                Ok(()) => return Ok(()),
                Err(holder) => holder,
            };
            if began.elapsed() < WAIT_SILENTLY {
                continue;
            }
            if context.stop.urgency() == Urgency::Now {
                let path = self.repo.common_dir()?.join("mesh.lock");
                return Err(IntegrateError::Locked { path, holder }.into());
            }
            if !std::mem::replace(&mut is_told, true) {
                let of = holder
                    .as_ref()
                    .map_or(String::new(), |holder: &Holder| format!(" of {holder}"));
                context
                    .watcher
                    .say(&format!("waiting for the turn{of} to end"));
            }
        }
    }

    /// Finishes the change of a killed run, as a resume of that run does first: restores the tree after an interrupted integration, and
    /// completes the tasks whose patches were applied. Returns why it can't be done here and now.
    fn finish_for_others(
        &mut self,
        context: &mut Context<'_, '_>,
    ) -> Result<Option<RunError>, RunError> {
        let pending = self.lock.pending_run()?;
        let open = match &self.join {
            Some(join) => join.folder.open_change()?,
            None => None,
        };
        let is_local = open.as_ref().is_none_or(OpenChange::is_local);
        let folder = pending.clone().or(open.map(|open| open.folder));
        let Some(path) = folder.filter(|path| path != self.folder.path()) else {
            return Ok(None);
        };
        let interrupted = IntegrateError::Pending {
            run_folder: path.clone(),
        };
        // Its commands may still run on that machine.
        if pending.is_some() && !is_local {
            return Ok(Some(interrupted.into()));
        }
        let Some(folder) = RunFolder::at(&path)? else {
            if !is_local {
                return Ok(Some(interrupted.into()));
            }
            // Whoever removed it gave up what it could say.
            self.lock.clear_pending()?;
            return Ok(None);
        };
        let id = folder.id().clone();
        match Self::open_to_restore(folder, &self.lock) {
            // Only that command can go on with it.
            Ok(other) if other.state().units.iter().any(Unit::is_undo_open) => {
                Ok(Some(interrupted.into()))
            }
            Ok(mut other) => {
                let text = format!("run {id} was ended while it changed the plan or the tree");
                context.watcher.warn(&text);
                other.with_context(context.watcher, context.stop, |run, context| {
                    run.roll_back(context)?;
                    run.complete_applied(context.watcher)
                })?;
                self.accept_changes()?;
                Ok(None)
            }
            // It is being resumed.
            Err(RunError::Ledger(LedgerError::Locked { .. })) => Ok(Some(interrupted.into())),
            Err(error) => Err(error),
        }
    }

    /// Expects the tree to be as the other runs have left it.
    fn accept_changes(&mut self) -> Result<(), RunError> {
        let open = match &self.join {
            Some(join) => join.folder.open_change()?,
            None => None,
        };
        if let Some(OpenChange {
            run,
            paths,
            commits,
            ..
        }) = open
        {
            // Its process was killed: the change was made, or it was not. It can't be told from other changes of these paths.
            self.forget_tree();
            let now = self.fingerprint()?;
            self.add_change(&run, FingerprintChange::at(&now, &paths, commits))?;
            self.lock.close_change()?;
        }
        let new = match &mut self.join {
            Some(join) => join.changes.read_new()?,
            None => Vec::new(),
        };
        if new.is_empty() {
            return Ok(());
        }
        if let Some(expected) = &mut self.expected {
            new.into_iter().for_each(|change| expected.apply(change));
        }
        self.expected_plan = self.store.current().ok();
        Ok(())
    }

    fn add_change(&mut self, run: &RunId, change: FingerprintChange) -> Result<(), RunError> {
        match self.join.as_mut().filter(|_| !change.is_empty()) {
            Some(join) => join.changes.add(run, change),
            None => Ok(()),
        }
    }

    /// Before a change of the plan or the tree, which other runs must not take for one by a worker.
    pub(super) fn announce_change(&self) -> Result<(), RunError> {
        if self.join.is_none() {
            return Ok(());
        }
        let commits = self.settings.options.delivery != Delivery::Patch;
        let plan = path_in(self.repo.root(), self.store.file());
        Ok(self.lock.open_change(OpenChange {
            run: self.id().clone(),
            folder: self.folder.path().to_owned(),
            host: process::host(),
            paths: vec![plan],
            commits,
        })?)
    }

    /// After the change: `before` is the tree as it was.
    pub(super) fn pass_change_on(&mut self, before: Option<&Fingerprint>) -> Result<(), RunError> {
        if self.join.is_none() {
            return Ok(());
        }
        let change = before.zip(self.expected.as_ref());
        let Some((before, now)) = change else {
            return Ok(());
        };
        let change = FingerprintChange::between(before, now);
        let run = self.id().clone();
        self.add_change(&run, change)
    }
}

/// The path of a file as a fingerprint has it.
fn path_in(root: &Path, file: &Path) -> PathBuf {
    file.strip_prefix(root).unwrap_or(file).to_owned()
}
