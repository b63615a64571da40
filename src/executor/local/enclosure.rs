//! What an attempt in the sandbox has to itself: a folder that it may write to, and a file for what kept it from starting.

use crate::job::Worker;
use crate::model::{ReportToken, one_line};
use crate::platform::{Mechanism, Sandbox, machine_fault, private};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of one attempt in the sandbox.
pub(crate) struct Enclosure<'s> {
    sandbox: &'s Sandbox,
    folder: PathBuf,
    start_error: PathBuf,
}

impl<'s> Enclosure<'s> {
    /// Creates the folder, below `scratch`.
    pub fn create(sandbox: &'s Sandbox, scratch: &Path, token: &ReportToken) -> io::Result<Self> {
        let folder = scratch.join(format!("{token}.own"));
        private::make_folder(&folder)?;
        Ok(Self {
            sandbox,
            folder,
            start_error: scratch.join(format!("{token}.start-error")),
        })
    }

    /// The folder that the worker may write to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The command that starts the worker in the sandbox; its arguments are still to come.
    pub fn command(&self, worker: &Worker) -> Command {
        let program = worker.program.as_os_str();
        self.sandbox
            .command(program, &worker.folder, &self.folder, &self.start_error)
    }

    /// The folder for temporary files, where the usual one is not among those that may be written.
    pub fn temporary_folder(&self) -> Option<&Path> {
        (self.sandbox.mechanism == Mechanism::Landlock).then_some(&self.folder)
    }

    /// Removes the folder.
    ///
    /// # Errors
    /// The worker could not be started.
    pub fn close(self) -> io::Result<()> {
        let _ = std::fs::remove_dir_all(&self.folder);
        match std::fs::read_to_string(&self.start_error) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            read => {
                let _ = std::fs::remove_file(&self.start_error);
                Err(machine_fault::of_record(&one_line(&read?)))
            }
        }
    }
}
