//! Why tasks wait: a warning for more than their turn, once.

use super::tasks::Tasks;
use crate::job::Observer;
use crate::model::counted;
use std::collections::{BTreeMap, BTreeSet};

/// Reasons for which a task waits its turn, which need no warning.
const PLAIN_REASONS: [&str; 8] = [
    "None",
    "Priority",
    "Resources",
    "Dependency",
    "JobArrayTaskLimit",
    "BeginTime",
    "Cleaning",
    "Prolog",
];

/// Says once why tasks wait, if it is more than their turn.
pub(super) fn warn_of_waiting(
    tasks: &Tasks,
    told: &mut BTreeSet<String>,
    observer: &mut dyn Observer,
) {
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    let pending = tasks.of_slices.values().filter(|task| task.is_pending());
    for task in pending.filter(|task| !PLAIN_REASONS.contains(&task.reason.as_str())) {
        *reasons.entry(&task.reason).or_default() += 1;
    }
    for (reason, count) in reasons {
        if told.insert(reason.to_owned()) {
            let tasks = counted(count, "task");
            observer.warn(&format!("Slurm holds {tasks}: {reason}{}", meaning(reason)));
        }
    }
}

/// What a reason means for the person who submitted.
fn meaning(reason: &str) -> &'static str {
    match reason {
        "BadConstraints" | "PartitionNodeLimit" | "ReqNodeNotAvail" => {
            "; no node can give what --slurm-cpus, --slurm-memory or --slurm-args ask for"
        }
        "PartitionTimeLimit" => "; --slurm-time is longer than the partition allows",
        "JobHeldUser" | "JobHeldAdmin" => "; release them with: scontrol release",
        reason if reason.starts_with("Assoc") || reason.starts_with("QOS") => {
            "; a limit of the account, they start when it allows"
        }
        _ => "",
    }
}

/// Warns once.
pub(super) fn tell(told: &mut BTreeSet<String>, observer: &mut dyn Observer, text: String) {
    if !told.contains(&text) {
        observer.warn(&text);
        told.insert(text);
    }
}
