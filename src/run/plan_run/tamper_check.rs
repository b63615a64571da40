//! Detects changes of the work tree and the plan file, which no worker may make.
//!
//! While waves run, the tree must match the last fingerprint, except for the changes that `mesh` makes itself
//! ([`PlanRun::with_expected_change`]). With several waves in flight the worker at fault is not known, so all of them
//! are suspects and none of their answers is accepted.

use super::begin::PlanRun;
use super::context::Context;
use super::tree_sight::TreeSight;
use super::violation_diff::TreeChange;
use crate::integrate::{OwnOutputs, Quiet};
use crate::job::Journal;
use crate::model::{Event, Violation, WaveNo};
use crate::plan::Plan;
use crate::platform::{clock, durable, look};
use crate::run::error::RunError;
use crate::workspace::{Fingerprint, SnapshotError};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// How often a plan that a command has taken away is written again after one change.
const REWRITES_MAX: usize = 3;

impl PlanRun {
    /// Expects the tree to stay as it is now.
    pub(crate) fn record_fingerprint(&mut self) -> Result<(), RunError> {
        let now = self.fingerprint()?;
        self.expect(now);
        self.tree_sight = TreeSight::Now;
        Ok(())
    }

    /// Expects the tree to stay as it is now, if the run has changed it since it was looked at.
    pub(crate) fn record_own_changes(&mut self) -> Result<(), RunError> {
        match self.tree_sight {
            TreeSight::Changed => self.record_fingerprint(),
            TreeSight::Past | TreeSight::Now => Ok(()),
        }
    }

    /// Expects the tree to stay at the state `now`. Returns the state that was expected before.
    fn expect(&mut self, now: Fingerprint) -> (Option<Fingerprint>, Option<Arc<Plan>>) {
        // A plan that can't be read is reported by whoever needs it.
        let plan = self.store.current().ok();
        (
            self.expected.replace(now),
            std::mem::replace(&mut self.expected_plan, plan),
        )
    }

    /// Takes the state of the tree for the waves that start now, unless it is known at this turn of the loop.
    pub(crate) fn look_at_tree(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        match (self.tree_sight, context.in_flight.is_empty()) {
            (TreeSight::Now, _) => Ok(()),
            (TreeSight::Changed, _) | (TreeSight::Past, true) => self.record_fingerprint(),
            (TreeSight::Past, false) => self.check_for_tampering(context),
        }
    }

    /// Forgets the state of the tree: time passes in which it may change.
    pub(crate) fn forget_tree(&mut self) {
        self.tree_sight = TreeSight::Past;
        self.tree_forgotten_ns = clock::now().as_nanosecond();
        self.repo.forget_changes();
    }

    /// Records every change since the last fingerprint as a violation of each wave in flight.
    pub(crate) fn check_for_tampering(
        &mut self,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        self.forget_tree();
        let now = self.fingerprint()?;
        self.tree_sight = TreeSight::Now;
        let (before, plan) = self.expect(now.clone());
        let Some(before) = before else {
            return Ok(());
        };
        let mut paths = before.differences(&now);
        // The runs may lie in the repository, where `mesh` itself writes all the time.
        paths.retain(|path| !self.repo.root().join(path).starts_with(self.folder.runs()));
        // What a killed writer of the plan left is removed by the next one.
        let file = self.store.file();
        let target = look::real(file).map_err(RunError::io(file))?;
        paths.retain(|path| {
            let path = self.repo.root().join(path);
            !(durable::is_temporary_of(&path, file) || durable::is_temporary_of(&path, &target))
        });
        if !paths.is_empty() {
            let mut outputs = OwnOutputs::default();
            let mut foreign = Vec::new();
            for path in paths {
                let full = self.repo.root().join(&path);
                let found = look::reachable(std::fs::symlink_metadata(&full));
                let found = found.map_err(RunError::io(&full))?;
                let is_own = match found {
                    Some(found) => outputs.contain((found.dev(), found.ino())),
                    None => Ok(false),
                };
                if !is_own.map_err(RunError::io(&full))? {
                    foreign.push(path);
                }
            }
            paths = foreign;
        }
        if paths.is_empty() || context.in_flight.is_empty() {
            return Ok(());
        }
        let change = TreeChange {
            before: &before,
            now: &now,
            plan: plan.as_deref(),
            paths: &paths,
        };
        let shown = self.store_diff(&change);
        let violation = |wave| Violation {
            wave,
            paths: paths.clone(),
            detail: "the work tree or the plan changed while workers ran".to_owned(),
            diff: shown.as_ref().ok().map(|shown| shown.path.clone()),
        };
        let suspects: BTreeSet<WaveNo> = context.in_flight.waves().collect();
        let violations: Vec<Violation> = suspects.into_iter().map(violation).collect();
        if let Some(violation) = violations.first() {
            let shown = match &shown {
                Ok(shown) => shown.excerpt.clone(),
                Err(error) => format!("  no diff: {error}"),
            };
            let text = format!("violation: {}\n{shown}", violation.message());
            context.watcher.warn(&text);
        }
        let events: Vec<Event> = violations.into_iter().map(Event::from).collect();
        self.recorder.record(&events)?;
        Ok(())
    }

    /// Calls `change`, which changes the tree or the plan on behalf of the run: that is no violation.
    pub(crate) fn with_expected_change(
        &mut self,
        context: &mut Context<'_, '_>,
        change: impl FnOnce(&mut Self, &mut Context<'_, '_>) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let watch = Arc::clone(&self.watch);
        let is_watched = context.in_flight.is_validating();
        // No validation copies the tree, or takes the change for one of its commands.
        let mut quiet = is_watched.then(|| watch.quiet());
        let is_needed = is_watched || !context.in_flight.is_empty() || self.has_joined();
        if is_needed && self.tree_sight == TreeSight::Past {
            self.check_for_tampering(context)?;
        }
        if let (Some(quiet), Some(before)) = (&mut quiet, &self.expected) {
            quiet.note(before)?;
        }
        let before = self.expected.clone().filter(|_| self.has_joined());
        self.announce_change()?;
        // An integration makes the repository forget its changes. Any other change is one of the plan, which is always looked at.
        self.tree_sight = TreeSight::Past;
        change(self, context)?;
        if !is_needed {
            return Ok(());
        }
        if !is_watched && !self.has_joined() {
            self.tree_sight = TreeSight::Changed;
            return Ok(());
        }
        if let Some(quiet) = &mut quiet {
            // A command may have damaged the plan since it was changed; what it finds now would count as right. The guard has the
            // plan as it was before the change.
            quiet.repair_stores()?;
            self.store.rewrite_if_lost(&self.mutate_options())?;
        }
        self.record_fingerprint()?;
        if let Some(quiet) = &mut quiet {
            self.guard_what_is_expected(quiet)?;
        }
        self.pass_change_on(before.as_ref())
    }

    /// Guards the plan as it is now. If a command has just taken it away, it is written again, and guarded then.
    fn guard_what_is_expected(&mut self, quiet: &mut Quiet<'_>) -> Result<(), RunError> {
        for rewrites in 0..=REWRITES_MAX {
            if let Some(now) = &self.expected {
                quiet.expect(now.clone())?;
            }
            if rewrites == REWRITES_MAX || !self.store.rewrite_if_lost(&self.mutate_options())? {
                break;
            }
            self.record_fingerprint()?;
        }
        Ok(())
    }

    pub(super) fn fingerprint(&self) -> Result<Fingerprint, SnapshotError> {
        let changes = self.repo.known_changes()?;
        let known = self.expected.as_ref();
        Fingerprint::of(&self.repo, &changes.all, &[self.store.file()], known)
    }
}
