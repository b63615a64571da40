//! The tasks of a job, as `squeue` lists them.

use std::collections::BTreeMap;

/// A task in the queue, or one that ended a short time ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// The array, or the job of a probe.
    pub id: u64,
    /// `PENDING`, `RUNNING`, `TIMEOUT`, …
    pub state: String,
    /// Why it waits or ended: `Priority`, `BadConstraints`, …
    pub reason: String,
    /// Where it runs or ran.
    pub node: String,
}

impl Task {
    /// Whether it may still work its slice.
    pub fn is_active(&self) -> bool {
        const ENDED: [&str; 9] = [
            "BOOT_FAIL",
            "CANCELLED",
            "COMPLETED",
            "DEADLINE",
            "FAILED",
            "NODE_FAIL",
            "OUT_OF_MEMORY",
            "TIMEOUT",
            // Not requeued any more.
            "PREEMPTED",
        ];
        !ENDED.contains(&self.state.as_str())
    }

    pub fn is_pending(&self) -> bool {
        self.state == "PENDING"
    }
}

/// The tasks of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tasks {
    /// By slice; the newest one of each.
    pub of_slices: BTreeMap<u64, Task>,
    /// The probe.
    pub probe: Option<Task>,
}

impl Tasks {
    /// Reads lines `ARRAY|SLICE|STATE|REASON|NODE`.
    pub fn parse(text: &str) -> Self {
        let mut tasks = Self::default();
        for line in text.lines() {
            let mut fields = line.trim().split('|');
            let mut next = || fields.next().unwrap_or_default().to_owned();
            let (id, index, state, reason, node) = (next(), next(), next(), next(), next());
            let Ok(id) = id.parse() else {
                continue;
            };
            let task = Task {
                id,
                state,
                reason,
                node,
            };
            let Ok(index) = index.parse() else {
                tasks.probe = Some(task);
                continue;
            };
            let is_newer =
                |known: &Task| (task.is_active(), task.id) > (known.is_active(), known.id);
            if tasks.of_slices.get(&index).is_none_or(is_newer) {
                tasks.of_slices.insert(index, task);
            }
        }
        tasks
    }

    /// Whether slice `number` has a task that may still work it.
    pub fn has_active(&self, number: u64) -> bool {
        self.of_slices.get(&number).is_some_and(Task::is_active)
    }

    /// The tasks that may still work their slices.
    pub fn active(&self) -> impl Iterator<Item = &Task> {
        self.of_slices.values().filter(|task| task.is_active())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_task_of_a_slice_counts_and_an_active_one_more() {
        let tasks = Tasks::parse(
            "17|N/A|COMPLETED|None|n1\n18|1|RUNNING|None|n2\n18|2|FAILED|NonZeroExitCode|n3\n19|2|PENDING|Resources|\n\
             18|3|NODE_FAIL|None|n1\n",
        );
        assert_eq!(tasks.probe.as_ref().map(|task| task.id), Some(17));
        let of = |slice: u64| {
            let task = &tasks.of_slices[&slice];
            (task.id, task.state.as_str(), task.is_active())
        };
        assert_eq!(of(1), (18, "RUNNING", true));
        assert_eq!(of(2), (19, "PENDING", true));
        assert_eq!(of(3), (18, "NODE_FAIL", false));
    }
}
