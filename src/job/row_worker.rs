//! What works a row: the worker command, how to talk to it, and what confines it. All rows of a job have the same, or some have
//! another one.

use super::agent_protocol::AgentProtocol;
use super::policy::SharedLimits;
use super::worker_command::Worker;
use crate::platform::Sandbox;
use std::sync::Arc;

/// A worker for some rows of a job.
#[derive(Clone, Debug)]
pub struct RowWorker {
    /// The worker command.
    pub worker: Worker,
    /// Its agent protocol, if it has one.
    pub agent_protocol: Option<Arc<dyn AgentProtocol>>,
    /// What its processes can't write; `None`: nothing keeps them from it.
    pub sandbox: Option<Arc<Sandbox>>,
    /// The time limit of its attempts, if it is not that of the job.
    pub max_runtime_seconds: Option<u64>,
    /// The limits of its account; `None`: those of the job.
    pub limits: Option<Arc<SharedLimits>>,
}

/// The workers of a job beside the one of its settings, and the rows that they work.
#[derive(Clone, Debug, Default)]
pub struct OtherWorkers {
    /// The workers.
    pub workers: Vec<RowWorker>,
    /// By row number: the place in `workers`; `None`, as for rows beyond the end: the worker of the settings.
    pub rows: Vec<Option<usize>>,
}

impl OtherWorkers {
    /// The place of the worker of a row.
    pub fn place(&self, row_index: u64) -> Option<usize> {
        let index = usize::try_from(row_index).ok()?;
        self.rows.get(index).copied().flatten()
    }
}

/// What works a row, borrowed from the settings.
#[derive(Clone, Copy, Debug)]
pub struct RowWorkerRef<'s> {
    /// The worker command.
    pub worker: &'s Worker,
    /// Its agent protocol, if it has one.
    pub agent_protocol: Option<&'s Arc<dyn AgentProtocol>>,
    /// What its processes can't write.
    pub sandbox: Option<&'s Sandbox>,
    /// The time limit of its attempts, in seconds.
    pub max_runtime_seconds: u64,
    /// The limits of its account; `None`: those of the job.
    pub limits: Option<&'s SharedLimits>,
}
