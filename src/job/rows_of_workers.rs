//! Which worker of a job works a row.

use super::row_worker::RowWorkerRef;
use super::settings::Settings;
use std::path::Path;

impl Settings {
    /// Lets all workers start in `folder`.
    pub fn set_folder(&mut self, folder: &Path) {
        folder.clone_into(&mut self.worker.folder);
        for other in &mut self.others.workers {
            folder.clone_into(&mut other.worker.folder);
        }
    }

    /// All workers: first that of most rows, then the others in their order.
    pub fn row_workers(&self) -> impl Iterator<Item = RowWorkerRef<'_>> {
        (0..=self.others.workers.len()).map(|place| self.worker_at(place))
    }

    /// The place of a row's worker in [`row_workers`](Self::row_workers).
    pub fn worker_place(&self, row_index: u64) -> usize {
        self.others.place(row_index).map_or(0, |place| place + 1)
    }

    /// The worker of a row.
    pub fn worker_of(&self, row_index: u64) -> RowWorkerRef<'_> {
        self.worker_at(self.worker_place(row_index))
    }

    fn worker_at(&self, place: usize) -> RowWorkerRef<'_> {
        let usual_seconds = self.bounds.max_runtime_seconds;
        match place
            .checked_sub(1)
            .and_then(|other| self.others.workers.get(other))
        {
            None => RowWorkerRef {
                worker: &self.worker,
                agent_protocol: self.agent_protocol.as_ref(),
                sandbox: self.sandbox.as_deref(),
                max_runtime_seconds: usual_seconds,
                limits: None,
            },
            Some(other) => RowWorkerRef {
                worker: &other.worker,
                agent_protocol: other.agent_protocol.as_ref(),
                sandbox: other.sandbox.as_deref(),
                max_runtime_seconds: other.max_runtime_seconds.unwrap_or(usual_seconds),
                limits: other.limits.as_deref(),
            },
        }
    }

    /// The adapter of a row, if its worker is not that of the job.
    pub fn other_adapter(&self, row_index: u64) -> Option<&str> {
        let other = self.others.workers.get(self.others.place(row_index)?)?;
        Some(&other.worker.adapter)
    }
}
