//! A file of answers that is refused.

use std::path::{Path, PathBuf};

/// The most faults of one file that are listed.
pub(crate) const FAULTS_MAX: usize = 5;

/// A file or folder that was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The file or folder.
    pub path: PathBuf,
    /// The reason.
    pub why: String,
}

impl Refusal {
    pub(crate) fn new(path: &Path, why: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// All faults of a file as one reason.
    pub(crate) fn of_faults(path: &Path, faults: &[String]) -> Self {
        let mut why = faults[..faults.len().min(FAULTS_MAX)].join("; ");
        if faults.len() > FAULTS_MAX {
            why.push_str(&format!("; and {} more", faults.len() - FAULTS_MAX));
        }
        Self::new(path, why)
    }
}
