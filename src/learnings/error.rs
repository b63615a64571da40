//! Why a learning could not be appended or recalled.

use crate::model::shell_word;
use crate::platform::GitError;
use std::io;
use std::path::PathBuf;

/// Why a learning could not be appended or recalled. Damaged lines are no reason: see [`BadLine`](super::lines::BadLine).
#[derive(Debug, thiserror::Error)]
pub enum LearningsError {
    /// Nothing but white space was to be learned.
    #[error("learning is empty")]
    Empty,
    /// The file system refused.
    #[error("cannot {action} `{}`", file.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The learnings file.
        file: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A folder, a pipe or a device stands where the learnings file should be.
    #[error("`{}` is not a regular file", file.display())]
    NotAFile {
        /// The path.
        file: PathBuf,
    },
    /// The file is larger than this program reads, or would be with the new record.
    #[error("learnings file `{}` is full: at most {bytes_max} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The bound.
        bytes_max: u64,
    },
    /// Repository, branch or changed files could not be found out.
    #[error("cannot determine the repository of the learning")]
    Context(#[from] GitError),
}

impl LearningsError {
    /// What mends it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            LearningsError::Empty => {
                Some("say in a sentence what was learned: --learning TEXT".to_owned())
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
