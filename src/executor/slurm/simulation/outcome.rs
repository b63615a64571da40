//! What a simulation found, as text and JSON.

use super::setup::Setup;
use crate::executor::slices::Slicing;
use crate::model::{counted, span};
use serde_json::{Value, json};

/// What a simulation found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rows of the job.
    pub rows: u64,
    /// The nodes of the cluster.
    pub nodes: usize,
    /// The slices of the job.
    pub slices: u64,
    /// The rows of a slice.
    pub rows_per_task: u64,
    /// The mean duration of a row that was given, in seconds.
    pub row_seconds: u64,
    /// How many rows run at once at most.
    pub concurrency: usize,
    /// The durations of all rows that ran, each once, in microseconds.
    work_us: u64,
    /// The longest of them.
    longest_us: u64,
    /// From the submission to the end of the last row.
    pub makespan_ms: u64,
    /// The files of the slices.
    pub result_files: u64,
    /// How often Slurm was asked for the tasks.
    pub squeue_calls: u64,
    /// Submissions: the probe of the folder, the first array, and those of slices again.
    pub sbatch_calls: u64,
    /// Failures of nodes.
    pub node_failures: u64,
    /// Slices that were submitted again.
    pub slices_submitted_again: u64,
    /// Rows that were started again because their task was lost; twice if that happened twice.
    pub rows_run_again: u64,
    /// Rows with a result.
    pub rows_ended: u64,
    /// Rows that `mesh` still has to run.
    pub rows_left: u64,
    /// Results of rows that had one; never any.
    pub rows_counted_twice: u64,
    /// The slice that was lost so often that the job stopped.
    pub stopped_by: Option<u64>,
}

impl Outcome {
    pub(super) fn of(setup: &Setup, slicing: &Slicing) -> Self {
        Self {
            rows: setup.rows,
            nodes: setup.nodes,
            slices: slicing.count(),
            rows_per_task: slicing.rows_per_slice,
            row_seconds: setup.row_seconds,
            concurrency: setup.concurrency(),
            work_us: 0,
            longest_us: 0,
            makespan_ms: 0,
            result_files: 0,
            squeue_calls: 0,
            // The probe.
            sbatch_calls: 1,
            node_failures: 0,
            slices_submitted_again: 0,
            rows_run_again: 0,
            rows_ended: 0,
            rows_left: 0,
            rows_counted_twice: 0,
            stopped_by: None,
        }
    }

    /// A row starts for the first time, and takes so long.
    pub(super) fn count_row(&mut self, took_us: u64) {
        self.work_us = self.work_us.saturating_add(took_us);
        self.longest_us = self.longest_us.max(took_us);
    }

    /// Rows that have no result and that nothing will run; never any.
    pub fn rows_lost(&self) -> u64 {
        self.rows.saturating_sub(self.rows_ended + self.rows_left)
    }

    /// No job of these rows is faster: the durations spread evenly over all places, or the longest row.
    pub fn lower_bound_ms(&self) -> u64 {
        let spread = self.work_us.div_ceil(self.concurrency as u64);
        spread.max(self.longest_us).div_ceil(1000)
    }

    /// The makespan by its lower bound.
    pub fn ratio(&self) -> f64 {
        match self.lower_bound_ms() {
            0 => 1.0,
            bound => self.makespan_ms as f64 / bound as f64,
        }
    }

    /// Why the job stopped before its end.
    pub fn stop_text(&self) -> Option<String> {
        let slice = self.stopped_by?;
        Some(format!(
            "the run would stop, resumable, with {} left: slice {slice} ended again and again without an answer",
            counted(self.rows_left, "row")
        ))
    }

    /// For a person.
    pub fn text(&self) -> String {
        let head = format!(
            "{} of {} on {}: {} of {}, {} at once",
            counted(self.rows, "row"),
            span(self.row_seconds.saturating_mul(1000)),
            counted(self.nodes as u64, "node"),
            counted(self.slices, "task"),
            counted(self.rows_per_task, "row"),
            self.concurrency,
        );
        let lines = [
            ("makespan", span(self.makespan_ms)),
            ("lower bound", span(self.lower_bound_ms())),
            ("ratio", format!("{:.3}", self.ratio())),
            ("result files", self.result_files.to_string()),
            ("squeue calls", self.squeue_calls.to_string()),
            ("sbatch calls", self.sbatch_calls.to_string()),
            ("node failures", self.node_failures.to_string()),
            (
                "slices submitted again",
                self.slices_submitted_again.to_string(),
            ),
            ("rows run again", self.rows_run_again.to_string()),
            ("rows lost", self.rows_lost().to_string()),
        ];
        let lines = lines.map(|(name, value)| format!(" {name:<22} {value:>12}"));
        format!("{head}\n\n{}", lines.join("\n"))
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        json!({
            "executor": "slurm",
            "rows": self.rows,
            "nodes": self.nodes,
            "tasks": self.slices,
            "rows_per_task": self.rows_per_task,
            "max_concurrency": self.concurrency,
            "makespan_seconds": seconds(self.makespan_ms),
            "lower_bound_seconds": seconds(self.lower_bound_ms()),
            "ratio": (self.ratio() * 1000.0).round() / 1000.0,
            "result_files": self.result_files,
            "squeue_calls": self.squeue_calls,
            "sbatch_calls": self.sbatch_calls,
            "node_failures": self.node_failures,
            "slices_submitted_again": self.slices_submitted_again,
            "rows_run_again": self.rows_run_again,
            "rows_lost": self.rows_lost(),
            "rows_left": self.rows_left,
            "stopped": self.stop_text(),
        })
    }
}
