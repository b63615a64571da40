//! Keeps the output of workers: `<logs>/<wave>/<item>.<attempt>.out` and `….err`.
//!
//! Logs decide nothing, so writing them can't fail a job: on a full disk the files are missing or cut, and the job
//! continues. Empty output has no file, and without files there is no folder. The reader of the output limits its size.

use crate::model::{RowId, WaveNo};
use crate::platform::private;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fmt, io};

/// Whose output is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Logs {
    /// Of every attempt: up to two files each, two million for a million rows.
    All,
    /// Of attempts without a result.
    #[default]
    Failed,
    /// Of no attempt.
    None,
}

/// Not a value of [`Logs`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `all`, `failed` or `none`")]
pub struct NotLogs(String);

impl Logs {
    /// The value as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Logs::All => "all",
            Logs::Failed => "failed",
            Logs::None => "none",
        }
    }

    /// Whether the output of an attempt with this end is kept.
    fn keeps(self, end: LogEnd) -> bool {
        match self {
            Logs::All => true,
            Logs::Failed => end == LogEnd::Failed,
            Logs::None => false,
        }
    }
}

impl FromStr for Logs {
    type Err = NotLogs;

    fn from_str(text: &str) -> Result<Self, NotLogs> {
        [Self::All, Self::Failed, Self::None]
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| NotLogs(text.to_owned()))
    }
}

impl fmt::Display for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How an attempt ended, for its logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogEnd {
    /// With a result.
    Completed,
    /// Without a result.
    Failed,
}

/// The logs of one wave.
pub(crate) struct LogFolder {
    logs: Logs,
    path: PathBuf,
}

impl LogFolder {
    /// The folder for `wave` below `root`; created with its first file.
    pub fn new(logs: Logs, root: &Path, wave: WaveNo) -> Self {
        Self {
            logs,
            path: root.join(wave.to_string()),
        }
    }

    /// Writes the output of attempt number `attempt` of `item`, if it is kept. A crash may cut the files.
    pub fn keep(&self, item: &RowId, attempt: u32, end: LogEnd, stdout: &[u8], stderr: &[u8]) {
        if !self.logs.keeps(end) {
            return;
        }
        for (suffix, bytes) in [("out", stdout), ("err", stderr)] {
            if !bytes.is_empty() {
                let name = format!("{}.{attempt}.{suffix}", item.file_name());
                let _ = self.write(&self.path.join(name), bytes);
            }
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match private::write(path, bytes) {
            // The first file creates the folder; checking before each file would cost two more system calls.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                private::make_folders(&self.path)?;
                private::write(path, bytes)
            }
            written => written,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep_both(folder: &LogFolder) {
        let item = RowId::new("../a b");
        folder.keep(&item, 1, LogEnd::Completed, b"one", b"");
        folder.keep(&item, 2, LogEnd::Failed, b"two", b"why");
        folder.keep(&item, 3, LogEnd::Failed, b"", b"");
    }

    fn kept(logs: Logs) -> Option<Vec<String>> {
        let root = tempfile::tempdir().expect("a folder");
        keep_both(&LogFolder::new(logs, &root.path().join("logs"), WaveNo(7)));
        let folder = std::fs::read_dir(root.path().join("logs/007")).ok()?;
        let mut files: Vec<String> = folder
            .flatten()
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).expect("text");
                format!("{} {text}", entry.file_name().to_string_lossy())
            })
            .collect();
        files.sort();
        Some(files)
    }

    #[test]
    fn only_the_selected_output_is_kept() {
        let failed = ["%2E.%2Fa%20b.2.err why", "%2E.%2Fa%20b.2.out two"];
        assert_eq!(kept(Logs::Failed).expect("a folder"), failed);
        let all = ["%2E.%2Fa%20b.1.out one", failed[0], failed[1]];
        assert_eq!(kept(Logs::All).expect("a folder"), all);
        assert_eq!(kept(Logs::None), None);
    }

    #[test]
    fn a_folder_that_cannot_be_created_is_no_error() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("logs");
        std::fs::write(&file, "mine").expect("written");
        keep_both(&LogFolder::new(Logs::All, &file, WaveNo(7)));
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "mine");
    }

    #[test]
    fn values_round_trip() {
        for logs in [Logs::All, Logs::Failed, Logs::None] {
            assert_eq!(logs.as_str().parse(), Ok(logs));
            assert_eq!(serde_json::to_value(logs).expect("JSON"), logs.as_str());
        }
        let error = "All".parse::<Logs>().expect_err("not a value");
        assert_eq!(error.to_string(), "`All` is not `all`, `failed` or `none`");
    }
}
