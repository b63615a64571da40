//! Reading a call file: the arguments of one call of the substrate, as [`super::call`] writes them.

use serde::Deserialize;
use serde_json::Value;
use std::path::PathBuf;

/// The arguments of `spawn_agents_on_csv`; paths are relative to the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The rows.
    pub csv_path: PathBuf,
    /// What to do with a row.
    pub instruction: String,
    /// The column of the item id.
    #[serde(default)]
    pub id_column: Option<String>,
    /// Where the answers go.
    #[serde(default)]
    pub output_csv_path: Option<PathBuf>,
    /// JSON Schema of an answer.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// Workers at once.
    #[serde(default, alias = "max_workers")]
    pub max_concurrency: Option<usize>,
    /// Wall-clock limit of an attempt.
    #[serde(default)]
    pub max_runtime_seconds: Option<u64>,
}

impl Call {
    /// Reads the text of a call file; says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}
