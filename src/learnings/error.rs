//! Why a learning could not be appended or recalled.

use crate::model::shell_word;
use crate::platform::GitError;
use std::io;
use std::path::PathBuf;

/// Why a learning could not be appended or recalled. Damaged lines are no error: see [`BadLine`](super::lines::BadLine).
#[derive(Debug, thiserror::Error)]
pub enum LearningsError {
    /// The learning is blank.
    #[error("learning is empty")]
    Empty,
    /// An error of the file system.
    #[error("cannot {action} `{}`", file.display())]
    Io {
        /// The action, as a verb.
        action: &'static str,
        /// The learnings file.
        file: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The path is a folder, a pipe or a device.
    #[error("`{}` is not a regular file", file.display())]
    NotAFile {
        /// The path.
        file: PathBuf,
    },
    /// The file is too large, or would be with the new record.
    #[error("learnings file `{}` is full: at most {bytes_max} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// Repository, branch or changed files could not be determined.
    #[error("cannot determine the repository of the learning")]
    Context(#[from] GitError),
}

impl LearningsError {
    /// How to fix it, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            LearningsError::Empty => {
                Some("describe in a sentence what was learned: --learning TEXT".to_owned())
            }
            LearningsError::Io { file, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                let folder = file.parent()?.display().to_string();
                Some(format!("run: mkdir -p {}", shell_word(&folder)))
            }
            LearningsError::TooLarge { file, .. } => {
                let file = shell_word(&file.display().to_string());
                Some(format!("start a new file: mv {file} {file}.old"))
            }
            _ => None,
        }
    }
}
