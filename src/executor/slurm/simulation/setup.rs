//! What is simulated.

use crate::executor::slices::Slicing;
use crate::executor::slurm::slice_queue::{array_max, tasks_at_once};
use crate::job::Rows;

/// A job and its cluster.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The rows of the job, at least 1.
    pub rows: u64,
    /// The mean duration of a row, in seconds.
    pub row_seconds: u64,
    /// Sigma of the logarithm of the durations; 0: all rows take the same time.
    pub row_spread: f64,
    /// `--rows-per-task`.
    pub rows_per_task: Option<u64>,
    /// `--rows-at-once`, at least 1.
    pub rows_at_once: usize,
    /// `--slurm-array-max`.
    pub array_max: Option<u64>,
    /// `-j`; without it, as many rows as the nodes run.
    pub max_concurrency: Option<usize>,
    /// The nodes of the cluster, at least 1.
    pub nodes: usize,
    /// Tasks that the controller starts each second, more than 0.
    pub submit_rate: f64,
    /// Failures of a node each hour.
    pub node_failure_rate: f64,
    /// Other numbers, other durations and failures.
    pub seed: u64,
}

impl Setup {
    /// The slices, as a run cuts them.
    pub fn slicing(&self) -> Slicing {
        let rows = Rows::of_first(self.rows);
        let slices_max = array_max(self.array_max, None);
        Slicing::new(rows, self.rows_per_task, slices_max, self.rows_at_once)
    }

    /// How many tasks a run lets run at once.
    pub fn tasks_allowed(&self) -> usize {
        let nodes = self.nodes.saturating_mul(self.rows_at_once);
        tasks_at_once(self.max_concurrency.unwrap_or(nodes), self.rows_at_once)
    }

    /// How many rows run at once if all places are taken.
    pub fn concurrency(&self) -> usize {
        let tasks = self.tasks_allowed().min(self.nodes);
        tasks.saturating_mul(self.rows_at_once)
    }
}
