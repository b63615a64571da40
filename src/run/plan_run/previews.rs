//! Previews in flight (`--prevalidate`): the validation commands run with a proposed patch in a scratch tree, for the voters to
//! see, while rows are sent out and judged.
//!
//! A wave with such patches is judged when all of its previews have ended, in one step with the other rows. Nothing is recorded of
//! a preview that has not ended, so a resume shows that patch again.

use super::begin::PlanRun;
use super::checkout::IntegratorFactory;
use super::compile::{PatchPart, Task};
use super::context::Context;
use super::in_flight::{Validated, Validation};
use super::integrations::{AcceptedPatch, PreviewInFlight};
use super::reproduction::is_test;
use crate::integrate::{Delivery, Preview};
use crate::job::{Journal, Stop};
use crate::model::{RowId, RowKey, UnitId, WaveNo};
use crate::run::error::RunError;
use crate::run::store::Unit;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

impl PlanRun {
    /// Commands in the tree of a branch watch the user's tree, as those of a preview do. A preview can't look at it while the run
    /// changes something, so none may be in flight then.
    pub(super) fn has_to_wait_for_previews(&self, unit: &Unit, context: &Context<'_, '_>) -> bool {
        let is_branch = self.settings.options.delivery == Delivery::Branch;
        is_branch && !unit.is_held() && context.in_flight.is_validating()
    }

    /// What was seen of the patch of row `id`, whose answer is `synthesis`; `None` if that is not known yet. Then its preview is in flight.
    pub(crate) fn preview(
        &self,
        task: &Task,
        wave: WaveNo,
        id: &RowId,
        synthesis: &Value,
        context: &mut Context<'_, '_>,
    ) -> Result<Option<Preview>, RunError> {
        if let Some(preview) = context.integrations.previews.get(id) {
            return Ok(preview.shown.clone());
        }
        let Some(key) = RowKey::parse(id) else {
            return Ok(None);
        };
        let is_test = is_test(task, &key.round);
        let test = match is_test {
            true => None,
            false => self.test_of(task)?,
        };
        let whole = self.patch_of(task, test.as_ref(), synthesis, None);
        let is_candidate = task.protocol.select().is_some() && !is_test;
        let part = match is_test {
            true => PatchPart::Test,
            false => whole.part,
        };
        let patch = AcceptedPatch {
            part,
            before: BTreeMap::new(),
            candidate: is_candidate.then_some(key.role),
            ..whole
        };
        let preview = PreviewInFlight {
            wave,
            patch: Some(patch),
            unit: task.unit.clone(),
            known: self.concurrent_changes(&task.unit),
            place: None,
            shown: None,
        };
        context.integrations.previews.insert(id.clone(), preview);
        Ok(None)
    }

    /// Starts previews, as many as may run at once.
    pub(crate) fn start_previews(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        while !context.is_stopping() {
            let parallel = self.settings.options.validation_parallel;
            let place = context.integrations.free_place();
            let integrations = &mut context.integrations;
            let running = integrations.running_validations() + integrations.running_previews();
            if running >= parallel {
                return Ok(());
            }
            let busy: BTreeSet<UnitId> = integrations.previewing_units();
            let known = &self.recorder.state().before;
            let mut waiting = integrations.previews.iter_mut();
            let next = waiting.find_map(|(row, it)| {
                // The first of several candidates also runs the commands without a patch; the others use these results.
                let commands = &it.patch.as_ref()?.commands.run;
                let is_known = commands
                    .iter()
                    .all(|command| known.contains_key(&command.text));
                if !is_known && busy.contains(&it.unit) {
                    return None;
                }
                it.place = Some(place);
                Some((row.clone(), it.patch.take()?))
            });
            let Some((row, patch)) = next else {
                return Ok(());
            };
            self.start_preview(row, patch, place, context)?;
        }
        Ok(())
    }

    fn start_preview(
        &mut self,
        row: RowId,
        mut patch: AcceptedPatch,
        place: usize,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        // What a test must change is seen on the tree as it is now.
        if patch.part != PatchPart::Test {
            patch.before.clone_from(&self.state().before);
        }
        patch.applied = self.state().applied;
        let checkout = self.checkout()?.separate();
        let (trees, scratch) = (self.trees(), self.folder.trial(place));
        let work = move |stop: &Stop, journal: &mut dyn Journal| {
            let factory = IntegratorFactory::new(checkout, &trees);
            let request = factory.request(&patch);
            let mut integrator = factory.integrator(&patch, scratch, stop);
            Ok(Validated::Preview(integrator.preview(&request, journal)?))
        };
        context
            .in_flight
            .start_validation(Validation::Preview(row), work)
    }

    /// Takes the end of a preview. Judges its wave if that was the last one it waits for.
    pub(super) fn end_preview(
        &mut self,
        row: &RowId,
        shown: Option<Preview>,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let previews = &mut context.integrations.previews;
        let Some(preview) = previews.get_mut(row) else {
            return Ok(());
        };
        preview.place = None;
        let (wave, unit) = (preview.wave, preview.unit.clone());
        let known = std::mem::take(&mut preview.known);
        preview.shown = shown;
        let is_shown = |it: &PreviewInFlight| it.wave != wave || it.shown.is_some();
        let is_complete = previews.values().all(is_shown);
        self.warn_of_concurrent_changes(&unit, &known, context.watcher);
        match is_complete {
            true => self.judge(wave, context),
            // Of a preview that was ended nothing is shown; the wave is judged when the run is resumed.
            false => Ok(()),
        }
    }

    /// Waits until all previews have ended and their waves are judged.
    pub(crate) fn finish_previews(
        &mut self,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        self.start_previews(context)?;
        while context.in_flight.is_validating() {
            let in_flight = &mut context.in_flight;
            in_flight.wait(None, &mut self.recorder, context.watcher);
            self.take_validated(context)?;
        }
        Ok(())
    }
}
