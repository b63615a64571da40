//! The order in which accepted patches are validated and applied.
//!
//! Patches are applied one at a time, in the order in which they were accepted, however long each validation takes: the same
//! ledger gives the same order. Several may be validated at once, each on the tree as it is then. When its turn to be
//! applied comes, a patch is validated again if paths that it may touch have changed since.

use crate::model::UnitId;
use crate::scope::{Claims, Reach};
use std::path::PathBuf;

/// How far an accepted patch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is to be validated.
    Waiting,
    /// Its validation runs.
    Validating,
    /// Its validation has ended; it is applied, or refused, when it is the first.
    Validated,
}

/// The patches that are accepted and not applied, in the order of their acceptance.
#[derive(Clone, Debug, Default)]
pub struct IntegrationQueue {
    patches: Vec<(UnitId, Step)>,
}

impl IntegrationQueue {
    /// Whether there is no patch.
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Whether the patch of `unit` is in the queue.
    pub fn has(&self, unit: &UnitId) -> bool {
        self.patches.iter().any(|(known, _)| known == unit)
    }

    /// Adds an accepted patch at the end, unless it is there.
    pub fn add(&mut self, unit: &UnitId) {
        if !self.has(unit) {
            self.patches.push((unit.clone(), Step::Waiting));
        }
    }

    /// The patch whose validation starts next, if fewer than `parallel` run.
    pub fn next_to_validate(&self, parallel: usize) -> Option<&UnitId> {
        let running = self.patches.iter();
        let running = running.filter(|(_, step)| *step == Step::Validating);
        let mut waiting = self.patches.iter();
        let waiting = waiting.find(|(_, step)| *step == Step::Waiting);
        waiting
            .filter(|_| running.count() < parallel)
            .map(|(unit, _)| unit)
    }

    /// The patch to apply or refuse now: the first, if its validation has ended.
    pub fn next_to_apply(&self) -> Option<&UnitId> {
        let first = self.patches.first();
        first
            .filter(|(_, step)| *step == Step::Validated)
            .map(|(unit, _)| unit)
    }

    /// The validation of a patch starts.
    pub fn start(&mut self, unit: &UnitId) {
        self.set(unit, Step::Validating);
    }

    /// The validation of a patch has ended.
    pub fn end(&mut self, unit: &UnitId) {
        self.set(unit, Step::Validated);
    }

    /// The result of a validation no longer holds.
    pub fn validate_again(&mut self, unit: &UnitId) {
        self.set(unit, Step::Waiting);
    }

    /// Removes a patch that was applied or refused, or whose task the run has released.
    pub fn remove(&mut self, unit: &UnitId) {
        self.patches.retain(|(known, _)| known != unit);
    }

    fn set(&mut self, unit: &UnitId, step: Step) {
        let mut patches = self.patches.iter_mut();
        if let Some((_, known)) = patches.find(|(known, _)| known == unit) {
            *known = step;
        }
    }
}

/// Whether a patch that was validated before `changed` did is validated again: if a task that changes these paths could not
/// run together with its own, or in any case if `is_strict`. `claims` has the shared paths; `reach` is what its task may touch.
pub fn must_validate_again(
    changed: &[PathBuf],
    reach: &Reach,
    mut claims: Claims,
    is_strict: bool,
) -> bool {
    let mut paths = changed.iter();
    let are_known = paths.all(|path| {
        let path = path.to_str().map(Reach::of_path);
        let Some(Ok(path)) = path else {
            return false;
        };
        claims.add(path);
        true
    });
    !changed.is_empty() && (is_strict || !are_known || claims.conflicts_with(reach))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn unit(number: usize) -> UnitId {
        UnitId::new(format!("u{number}"))
    }

    proptest! {
        /// Whatever the order in which validations end, and whichever are repeated, the patches are applied in the order of
        /// their acceptance, and never more run at once than are allowed.
        #[test]
        fn patches_are_applied_in_order(
            parallel in 1usize..5,
            choices in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 60..200),
        ) {
            let mut queue = IntegrationQueue::default();
            let (mut running, mut applied) = (BTreeSet::new(), Vec::new());
            let mut accepted = 0;
            for (choice, repeat) in choices {
                if accepted < 12 {
                    queue.add(&unit(accepted));
                    accepted += 1;
                }
                while let Some(next) = queue.next_to_validate(parallel).cloned() {
                    queue.start(&next);
                    prop_assert!(running.insert(next));
                }
                prop_assert!(running.len() <= parallel);
                if !running.is_empty() {
                    let ended = choice.get(&running.iter().cloned().collect::<Vec<_>>()).clone();
                    running.remove(&ended);
                    queue.end(&ended);
                }
                while let Some(next) = queue.next_to_apply().cloned() {
                    if repeat == 0 {
                        queue.validate_again(&next);
                        break;
                    }
                    queue.remove(&next);
                    applied.push(next);
                }
            }
            let expected: Vec<UnitId> = (0..applied.len()).map(unit).collect();
            prop_assert_eq!(applied, expected);
        }
    }

    #[test]
    fn one_place_validates_one_patch_and_the_next_when_that_has_ended() {
        let mut queue = IntegrationQueue::default();
        queue.add(&unit(1));
        queue.add(&unit(2));
        assert_eq!(queue.next_to_validate(1), Some(&unit(1)));
        queue.start(&unit(1));
        assert_eq!(
            (queue.next_to_validate(1), queue.next_to_apply()),
            (None, None)
        );
        queue.end(&unit(1));
        assert_eq!(queue.next_to_apply(), Some(&unit(1)));
        queue.remove(&unit(1));
        assert_eq!(queue.next_to_validate(1), Some(&unit(2)));
    }

    #[test]
    fn a_patch_is_validated_again_if_a_changed_path_conflicts_with_its_scope() {
        let globs = |globs: &[&str]| -> Reach {
            let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            Reach::new(&globs).expect("valid globs")
        };
        let again = |changed: &[&str], scope: &[&str], is_strict| {
            let changed: Vec<PathBuf> = changed.iter().map(PathBuf::from).collect();
            let shared = globs(&["Cargo.toml", "*.lock"]);
            must_validate_again(&changed, &globs(scope), Claims::new(shared), is_strict)
        };
        assert!(again(&["src/a.rs"], &["src/**"], false));
        assert!(!again(&["docs/a.md"], &["src/**"], false));
        assert!(again(&["docs/a.md"], &["src/**"], true));
        assert!(!again(&[], &["**"], true), "nothing has changed");
        // Two shared paths conflict, as two tasks with them do.
        assert!(again(&["Cargo.toml"], &["yarn.lock"], false));
        // A path is no glob.
        assert!(!again(&["src/*.rs"], &["src/a.rs"], false));
        assert!(again(&["src/[a].rs", "!x"], &["src/?a?.rs"], false));
        // A file in place of a folder.
        assert!(again(&["src"], &["src/a.rs"], false));
    }
}
