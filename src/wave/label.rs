//! The label of an exported wave: whose answers the folder beside it holds. Row ids alone do not tell, since every run over a
//! task has the same ones.

use serde::{Deserialize, Serialize};

/// Run, wave, commit, and what the wave's CSV hashes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The run.
    pub run_id: String,
    /// The wave.
    pub wave: u32,
    /// The commit that was checked out at the start of the run.
    pub base_sha: String,
    /// SHA-256 of the wave CSV, which has all prompts, in hexadecimal.
    pub csv_sha256: String,
}

impl Label {
    /// Its file among the answers.
    pub const FILE_NAME: &'static str = "wave.json";

    /// The label of a wave CSV with these cells; `None` where it does not say whose it is.
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

    /// Reads a label, or says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("no label of a wave: {error}"))
    }

    /// The label as its file has it.
    pub fn text(&self) -> String {
        // Strings and a number always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}
