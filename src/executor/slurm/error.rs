//! Why Slurm can't be used.

use crate::job::JobError;

/// Why Slurm can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SlurmError {
    /// One of its programs is missing.
    #[error("Slurm can't be used: there is no `{0}` on PATH")]
    NoProgram(&'static str),
    /// A command failed.
    #[error("{command} failed: {text}")]
    Failed {
        /// The program.
        command: &'static str,
        /// What it printed, on one line.
        text: String,
    },
}

impl SlurmError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoProgram(_) => Some(
                "start this on a host that submits jobs, or leave out --executor slurm".to_owned(),
            ),
            Self::Failed { command, .. } if *command == "sbatch" => Some(
                "correct --slurm-partition, --slurm-time, --slurm-memory, --slurm-cpus or --slurm-args, then resume; partitions: sinfo"
                    .to_owned(),
            ),
            Self::Failed { .. } => Some("see whether the controller answers: scontrol ping".to_owned()),
        }
    }
}

impl From<SlurmError> for JobError {
    fn from(error: SlurmError) -> Self {
        JobError::Slurm {
            why: error.to_string(),
            hint: error.hint(),
        }
    }
}
