//! Reads a call file, as [`super::call_json`] writes it.

use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// The arguments of `spawn_agents_on_csv`; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The wave CSV.
    pub csv_path: PathBuf,
    /// The instruction for each row.
    pub instruction: String,
    /// The column of the item id.
    #[serde(default)]
    pub id_column: Option<String>,
    /// The output CSV.
    #[serde(default)]
    pub output_csv_path: Option<PathBuf>,
    /// The JSON Schema of an answer.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// How many rows run at once.
    #[serde(default, alias = "max_workers")]
    pub max_concurrency: Option<usize>,
    /// Wall-clock limit of an attempt.
    #[serde(default)]
    pub max_runtime_seconds: Option<u64>,
}

impl Call {
    /// Parses a call file. The error has its position.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}
