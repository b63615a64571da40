//! What is in flight of the integrations: the queue of accepted patches, with the scratch tree or the result of each.

use super::compile::{PatchPart, Task};
use crate::integrate::{Commands, Preview, Tried};
use crate::model::{Role, RowId, Tally, UnitId, ValidationFinished, WaveNo};
use crate::schedule::IntegrationQueue;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The integrations in flight.
#[derive(Default)]
pub(crate) struct Integrations {
    pub(super) queue: IntegrationQueue,
    pub(super) patches: BTreeMap<UnitId, InFlight>,
    pub(super) previews: BTreeMap<RowId, PreviewInFlight>,
}

/// An accepted patch that is not applied yet.
#[derive(Default)]
pub(crate) struct InFlight {
    /// The number of its scratch tree while it is validated.
    pub place: Option<usize>,
    /// The result of the validation.
    pub tried: Option<Tried>,
    /// How often it was validated.
    pub tries: usize,
    /// The changes of the tree that the user was warned of before.
    pub known: BTreeSet<PathBuf>,
}

/// The validation of a proposed patch, which the verdict of its row waits for.
pub(crate) struct PreviewInFlight {
    pub wave: WaveNo,
    pub unit: UnitId,
    /// The patch, until the preview starts.
    pub patch: Option<AcceptedPatch>,
    /// The number of its scratch tree while it runs.
    pub place: Option<usize>,
    /// What was seen.
    pub shown: Option<Preview>,
    /// The changes of the tree that the user was warned of before.
    pub known: BTreeSet<PathBuf>,
}

impl Integrations {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a patch can be applied or refused now.
    pub fn has_validated(&self) -> bool {
        self.queue.next_to_apply().is_some()
    }

    /// The lowest number of a scratch tree that no validation uses.
    pub fn free_place(&self) -> usize {
        let patches = self.patches.values().filter_map(|it| it.place);
        let previews = self.previews.values().filter_map(|it| it.place);
        let used: BTreeSet<usize> = patches.chain(previews).collect();
        (1..).find(|place| !used.contains(place)).unwrap_or(1)
    }

    /// How many accepted patches are being validated.
    pub fn running_validations(&self) -> usize {
        let patches = self.patches.values();
        patches.filter(|it| it.place.is_some()).count()
    }

    /// How many previews run.
    pub fn running_previews(&self) -> usize {
        let previews = self.previews.values();
        previews.filter(|it| it.place.is_some()).count()
    }

    /// The units of which previews run.
    pub fn previewing_units(&self) -> BTreeSet<UnitId> {
        let previews = self.previews.values();
        let running = previews.filter(|it| it.place.is_some());
        running.map(|it| it.unit.clone()).collect()
    }

    /// Whether a wave waits for previews.
    pub fn is_previewing(&self, wave: WaveNo) -> bool {
        self.previews.values().any(|preview| preview.wave == wave)
    }

    /// Forgets the previews of a wave that is judged.
    pub fn forget_previews(&mut self, wave: WaveNo) {
        self.previews.retain(|_, preview| preview.wave != wave);
    }

    /// Removes a patch that was applied or refused, or whose task is released.
    pub fn remove(&mut self, unit: &UnitId) -> Option<InFlight> {
        self.queue.remove(unit);
        self.patches.remove(unit)
    }

    /// Removes the patches that `is_over` says, unless their validation runs.
    pub fn remove_if(&mut self, is_over: impl Fn(&UnitId, &InFlight) -> bool) {
        let over = self.patches.iter();
        let over = over.filter(|(unit, patch)| patch.place.is_none() && is_over(unit, patch));
        let over: Vec<UnitId> = over.map(|(unit, _)| unit.clone()).collect();
        for unit in over {
            self.remove(&unit);
        }
    }
}

/// An accepted patch with all that an integrator needs for it.
pub(crate) struct AcceptedPatch {
    pub task: Task,
    pub commands: Commands,
    pub text: String,
    /// What of the task it is.
    pub part: PatchPart,
    pub tally: Option<Tally>,
    /// Its role, if it is one of several that are tried.
    pub candidate: Option<Role>,
    /// The results of commands without the patch.
    pub before: BTreeMap<String, ValidationFinished>,
    /// How many patches of the run are applied.
    pub applied: u64,
}
