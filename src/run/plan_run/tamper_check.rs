//! The watch over what no worker may change: the user's tree and the plan file.
//!
//! While waves run, the tree must look as it did when it was last looked at, but for what `mesh` itself changes in between
//! ([`PlanRun::with_expected_change`]). Several waves may be under way at once, and nobody can tell which of their workers it was: then all of
//! them are suspects, and nothing that they bring is accepted.

use super::in_flight::WavesInFlight;
use super::main_loop::PlanRun;
use crate::integrate::own_outputs;
use crate::job::Journal;
use crate::model::{Event, Violation, WaveNo};
use crate::run::error::RunError;
use crate::run::watcher::Watcher;
use crate::workspace::{Fingerprint, SnapshotError};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;

impl PlanRun {
    /// From now on the tree is to look as it looks now.
    pub(crate) fn record_fingerprint(&mut self) -> Result<(), RunError> {
        self.expected = Some(self.fingerprint()?);
        Ok(())
    }

    /// Records what somebody changed since the last look, as a violation of every wave that is under way.
    pub(crate) fn check_for_tampering(
        &mut self,
        in_flight: &WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let now = self.fingerprint()?;
        let before = self.expected.replace(now.clone());
        let mut paths = before.map_or(Vec::new(), |before| before.differences(&now));
        // Where somebody keeps the runs in the repository, `mesh` itself writes there all the time.
        paths.retain(|path| !self.repo.root().join(path).starts_with(self.folder.runs()));
        if !paths.is_empty() {
            let outputs = own_outputs();
            paths.retain(|path| {
                let there = std::fs::symlink_metadata(self.repo.root().join(path));
                !there.is_ok_and(|there| outputs.contains(&(there.dev(), there.ino())))
            });
        }
        if paths.is_empty() || in_flight.is_empty() {
            return Ok(());
        }
        let detail = "the work tree or the plan changed while workers ran";
        watcher.warn(&format!("violation: {detail}: {paths:?}"));
        let suspects: BTreeSet<WaveNo> = in_flight.waves().collect();
        let violations = suspects.into_iter().map(|wave| {
            Event::from(Violation {
                wave,
                paths: paths.clone(),
                detail: detail.to_owned(),
            })
        });
        self.recorder.record(&violations.collect::<Vec<_>>())?;
        Ok(())
    }

    /// Does something to the tree or the plan that is no violation.
    pub(crate) fn with_expected_change<T>(
        &mut self,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
        change: impl FnOnce(
            &mut Self,
            &mut WavesInFlight<'_, '_>,
            &mut dyn Watcher,
        ) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        if in_flight.is_empty() {
            return change(self, in_flight, watcher);
        }
        self.check_for_tampering(in_flight, watcher)?;
        let done = change(self, in_flight, watcher)?;
        self.record_fingerprint()?;
        Ok(done)
    }

    fn fingerprint(&self) -> Result<Fingerprint, SnapshotError> {
        Fingerprint::take(&self.repo, &[self.store.file()])
    }
}
