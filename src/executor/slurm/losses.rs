//! What follows when a task ended before the rows of its slice.
//!
//! The slice is submitted again, and its rows run again without a failed attempt, with two bounds. A row that was running
//! each time its task used up the memory or the time fails like one that timed out, after as many tries. A slice that is
//! lost again and again without a row that ends keeps nobody waiting forever.

use crate::job::Failure;
use std::collections::HashMap;

/// How often a slice may be lost in a row without a row that ends: by a fault of its own, and by the cluster.
const FAULTS_MAX: u32 = 3;
const CLUSTER_LOSSES_MAX: u32 = 20;

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// It used up its memory.
    Memory,
    /// It used up its time.
    Time,
    /// Its node failed, or another job took its place.
    Cluster,
    /// Somebody cancelled it.
    Cancelled,
    /// It ended by itself.
    Fault,
}

impl Loss {
    /// By the state of the task and its reason; empty if the controller does not know it any more.
    pub fn of(state: &str, reason: &str) -> Self {
        match state {
            "FAILED" if reason == "JobLaunchFailure" || reason.starts_with("Node") => Self::Cluster,
            "OUT_OF_MEMORY" => Self::Memory,
            "TIMEOUT" | "DEADLINE" => Self::Time,
            "NODE_FAIL" | "BOOT_FAIL" | "PREEMPTED" | "" => Self::Cluster,
            "CANCELLED" => Self::Cancelled,
            _ => Self::Fault,
        }
    }

    /// The error of the rows that fail by it: `time_limit: the task of slice 3 used up its time on n2`.
    pub fn error(self, slice: u64, node: &str) -> Option<String> {
        let (failure, what) = match self {
            Self::Memory => (Failure::OutOfMemory, "memory"),
            Self::Time => (Failure::TimeLimit, "time"),
            Self::Cluster | Self::Cancelled | Self::Fault => return None,
        };
        Some(format!(
            "{failure}: the task of slice {slice} used up its {what} on {node}"
        ))
    }
}

/// The losses so far.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// By row.
    rows: HashMap<u64, u32>,
    /// In a row without a row that ended, by slice.
    slices: HashMap<u64, u32>,
}

/// What follows from a loss.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Consequence {
    /// The rows that fail.
    pub failed: Vec<u64>,
    /// Submitting the slice again is pointless.
    pub gives_up: bool,
}

impl Losses {
    /// Counts a loss of `slice` that cut rows off. `has_progress`: rows of it ended since the last one.
    pub fn count(
        &mut self,
        slice: u64,
        loss: Loss,
        cut_off: &[u64],
        has_progress: bool,
        retries: u32,
    ) -> Consequence {
        // Where rows ended, the time may have been short for the slice and not for the row.
        let is_at_fault = loss == Loss::Memory || (loss == Loss::Time && !has_progress);
        let mut failed = Vec::new();
        for row in cut_off.iter().filter(|_| is_at_fault) {
            let times = self.rows.entry(*row).or_default();
            *times += 1;
            if *times > retries {
                failed.push(*row);
            }
        }
        let times = self.slices.entry(slice).or_default();
        *times = match has_progress || !failed.is_empty() {
            true => 0,
            false => *times + 1,
        };
        let most = match loss {
            Loss::Cluster => CLUSTER_LOSSES_MAX,
            _ => FAULTS_MAX.max(retries + 1),
        };
        Consequence {
            gives_up: *times >= most,
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Consequence {
        Consequence::default()
    }

    fn fails(rows: &[u64]) -> Consequence {
        Consequence {
            failed: rows.to_vec(),
            gives_up: false,
        }
    }

    #[test]
    fn a_row_that_uses_up_the_memory_fails_after_its_retries() {
        let mut losses = Losses::default();
        assert_eq!(losses.count(1, Loss::Memory, &[7], false, 1), none());
        assert_eq!(losses.count(1, Loss::Memory, &[7], true, 1), fails(&[7]));
        assert_eq!(losses.count(1, Loss::Memory, &[8], false, 0), fails(&[8]));
    }

    #[test]
    fn time_that_was_short_for_the_slice_is_no_fault_of_the_row() {
        let mut losses = Losses::default();
        for _ in 0..5 {
            assert_eq!(losses.count(1, Loss::Time, &[7], true, 0), none());
        }
        assert_eq!(losses.count(1, Loss::Time, &[7], false, 0), fails(&[7]));
    }

    #[test]
    fn a_lost_node_is_nobodys_fault_and_a_fault_that_repeats_ends() {
        let mut losses = Losses::default();
        for _ in 1..CLUSTER_LOSSES_MAX {
            assert_eq!(losses.count(1, Loss::Cluster, &[7], false, 0), none());
        }
        assert!(losses.count(1, Loss::Cluster, &[7], false, 0).gives_up);
        assert_eq!(losses.count(2, Loss::Fault, &[], false, 0), none());
        assert_eq!(losses.count(2, Loss::Fault, &[], false, 0), none());
        assert!(losses.count(2, Loss::Fault, &[], false, 0).gives_up);
    }

    #[test]
    fn states_of_slurm() {
        for (state, reason, loss) in [
            ("OUT_OF_MEMORY", "OutOfMemory", Loss::Memory),
            ("TIMEOUT", "TimeLimit", Loss::Time),
            ("NODE_FAIL", "NodeDown", Loss::Cluster),
            ("FAILED", "JobLaunchFailure", Loss::Cluster),
            ("", "", Loss::Cluster),
            ("CANCELLED", "None", Loss::Cancelled),
            ("FAILED", "NonZeroExitCode", Loss::Fault),
            ("COMPLETED", "None", Loss::Fault),
        ] {
            assert_eq!(Loss::of(state, reason), loss, "{state}");
        }
    }
}
