//! Where the rows of a job run, as data: the executors themselves are in `executor/`.

use serde::{Deserialize, Serialize};

/// Where the rows of a job run. As JSON: `"local"`, or `{"slurm": {…}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorChoice {
    /// As processes on this machine.
    #[default]
    Local,
    /// As tasks of Slurm job arrays.
    Slurm(SlurmOptions),
}

impl ExecutorChoice {
    /// Takes over what `changes` sets, for the tasks that are submitted from now on.
    pub fn change(&mut self, changes: &SlurmOptions) {
        if let Self::Slurm(options) = self {
            let SlurmOptions {
                partition,
                time,
                memory,
                cpus,
                args,
                ..
            } = changes.clone();
            options.partition = partition.or(options.partition.take());
            options.time = time.or(options.time.take());
            options.memory = memory.or(options.memory.take());
            options.cpus = cpus.or(options.cpus);
            if !args.is_empty() {
                options.args = args;
            }
        }
    }

    /// Whether it is the default.
    pub fn is_local(&self) -> bool {
        *self == Self::Local
    }
}

/// How job arrays are submitted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlurmOptions {
    /// `--partition` of sbatch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// `--time` of sbatch, for one task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// `--mem` of sbatch, for one task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// `--cpus-per-task` of sbatch; by default one for each row at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u64>,
    /// Further arguments of sbatch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// How many tasks an array has at most; by default 1000, or `MaxArraySize` if that is lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array_max: Option<u64>,
    /// Rows of one task; by default as many as make at most `array_max` tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_per_task: Option<u64>,
    /// Rows of one task that run at once.
    pub rows_at_once: usize,
}
