//! What the loop tells somebody who is away.

use super::begin::PlanRun;
use crate::model::{BlockReason, UnitId};
use crate::run::notice::{Notice, Standing};
use crate::run::watcher::Watcher;

impl PlanRun {
    /// Tells that a task was blocked, once that is recorded.
    pub(super) fn tell_blocked(
        &self,
        task: &UnitId,
        reason: BlockReason,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) {
        let notice = Notice::Blocked {
            task,
            reason,
            detail,
        };
        watcher.notice(&notice, Standing::of(self.state()));
    }

    /// Tells that the run waits for its plan.
    pub(super) fn tell_nothing_ready(&self, watcher: &mut dyn Watcher) {
        watcher.notice(&Notice::NothingReady, Standing::of(self.state()));
    }
}
