//! The label of an exported wave, stored with its answers: it identifies run and wave, which row ids do not, since they are the
//! same in every run of a task.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Run, wave, commit, and the hash of the wave CSV.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The run.
    pub run_id: String,
    /// The wave.
    pub wave: u32,
    /// The commit that was checked out at the start of the run.
    pub base_sha: String,
    /// SHA-256 of the wave CSV, in hexadecimal.
    pub csv_sha256: String,
}

impl Label {
    /// The name of its file in the folder of answers.
    pub const FILE_NAME: &'static str = "wave.json";

    /// The label of a wave CSV with these cells; `None` if it has no row, or no run and wave.
    pub fn of(header: &[String], rows: &[Vec<String>], csv_sha256: String) -> Option<Self> {
        let first = rows.first()?;
        let cell = |name: &str| first.get(header.iter().position(|column| column == name)?);
        Some(Self {
            run_id: cell("run_id")?.clone(),
            wave: cell("wave")?.parse().ok()?,
            base_sha: cell("base_sha")?.clone(),
            csv_sha256,
        })
    }

    /// Parses a label.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("not the label of a wave: {error}"))
    }

    /// Takes a label that is part of another file.
    pub fn of_value(value: Value) -> Result<Self, String> {
        serde_json::from_value(value).map_err(|error| format!("not the label of a wave: {error}"))
    }

    /// The content of the label's file.
    pub fn text(&self) -> String {
        // Strings and a number always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
