//! The heartbeat of a joined run: a number in a file, counted up by a thread of its own at a third of the life of a lease.
//!
//! The thread does nothing else and needs no lock, so a run that waits for its turn or for a long validation keeps its leases. If
//! the file can't be written, the leases expire, and the run finds in its next turn that they were taken over.

use super::leases::{heartbeat_path, write_json};
use crate::integrate::JoinFolder;
use crate::model::{RunId, RunProcess};
use crate::platform::threads;
use crate::run::error::RunError;
use crate::schedule::Heartbeat;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

/// The heartbeat of this process, until it is dropped.
#[derive(Debug)]
pub struct HeartbeatThread {
    path: PathBuf,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HeartbeatThread {
    /// Starts to count. The first beat is on disk when this returns.
    pub fn start(folder: &JoinFolder, owner: RunProcess, life: Duration) -> Result<Self, RunError> {
        let path = heartbeat_path(folder, &owner.run);
        let mut heartbeat = Heartbeat {
            owner,
            beat: 1,
            life_ms: u64::try_from(life.as_millis()).unwrap_or(u64::MAX),
        };
        write_json(&path, &heartbeat)?;
        let (stop, stopped) = bounded::<()>(0);
        let file = path.clone();
        let thread = threads::start("heartbeat", move || {
            while stopped.recv_timeout(life / 3) == Err(RecvTimeoutError::Timeout) {
                heartbeat.beat += 1;
                // See above for what follows if this fails.
                let _ = write_json(&file, &heartbeat);
            }
        });
        let thread = thread.map_err(RunError::Thread)?;
        Ok(Self {
            path,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Whether that of an earlier process of `run` is left.
    pub fn is_left(folder: &JoinFolder, run: &RunId) -> bool {
        heartbeat_path(folder, run).try_exists().unwrap_or(true)
    }

    /// Ends it after the run has released its leases.
    pub fn end(mut self) {
        self.join();
        // Left behind, it names a process that has ended.
        let _ = std::fs::remove_file(&self.path);
    }

    fn join(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can't panic.
            let _ = thread.join();
        }
    }
}

impl Drop for HeartbeatThread {
    fn drop(&mut self) {
        self.join();
    }
}
