//! The files of a wave: its CSV and its call file. The same rows give the same bytes.
//!
//! ```text
//! rows -> csv, call -> export (scripts for other runners), lint
//! ```
//!
//! A wave is one round of one or more units, and one call of `spawn_agents_on_csv`. Columns and call file: CONTRACT, section 3.

mod call;
mod export;
mod label;
mod lint;
mod problem;

pub use call::Call;
pub use export::{Export, Runner, Script, folder_of_wave, index_of_task};
pub use label::Label;
pub use lint::{Lint, LintInput, Team};
pub use problem::Problem;

use crate::model::{Lane, Risk, RoundName, RowKey, RunId, WaveNo};
use crate::table::Writer;
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// The columns of a wave CSV, in order.
pub const COLUMNS: [&str; 18] = [
    "id",
    "unit",
    "objective",
    "round",
    "role",
    "lane",
    "scope",
    "acceptance",
    "validation",
    "risk",
    "depends_on",
    "attempt",
    "wave",
    "max_concurrency",
    "timeout_seconds",
    "base_sha",
    "run_id",
    "prompt",
];

/// A row of a wave.
#[derive(Clone, Debug)]
pub struct WaveRow {
    /// Unit, round, role and attempt; together the id.
    pub key: RowKey,
    /// The step of the plan item.
    pub objective: String,
    /// What the row may return.
    pub lane: Lane,
    /// Globs of the paths that the task may touch.
    pub scope: Vec<String>,
    /// Checkable statements.
    pub acceptance: Vec<String>,
    /// Shell commands that prove the result.
    pub validation: Vec<String>,
    /// The risk of the task.
    pub risk: Risk,
    /// The dependencies of the task.
    pub depends_on: Vec<String>,
    /// The rendered prompt.
    pub prompt: String,
}

/// The values that all rows of a wave share.
#[derive(Clone, Debug)]
pub struct WaveHead {
    /// The run.
    pub run_id: RunId,
    /// The wave's number.
    pub wave: WaveNo,
    /// The round.
    pub round: RoundName,
    /// How many rows run at once.
    pub max_concurrency: usize,
    /// Wall-clock limit of an attempt.
    pub timeout_seconds: u64,
    /// The commit that was checked out at the start of the run.
    pub base_sha: String,
}

impl WaveHead {
    /// `001-proposal`, the stem of the wave's files.
    pub fn stem(&self) -> String {
        format!("{}-{}", self.wave, self.round)
    }

    /// The name of the wave CSV.
    pub fn csv_name(&self) -> PathBuf {
        format!("{}.csv", self.stem()).into()
    }

    /// The name of the call file.
    pub fn call_name(&self) -> PathBuf {
        format!("{}.call.json", self.stem()).into()
    }

    /// The wave number in the name of an output CSV: 2 in `002-critique.out.csv`, also with other words in the middle.
    pub fn number_in(file_name: &str) -> Option<WaveNo> {
        let (number, rest) = file_name.split_once('-')?;
        let is_number = number.len() >= 3 && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_output = rest.ends_with(".out.csv");
        let number = number.parse().ok().filter(|_| is_number && is_output);
        number.map(WaveNo)
    }

    /// The name of the output CSV.
    pub fn output_name(&self) -> PathBuf {
        format!("{}.out.csv", self.stem()).into()
    }
}

/// Writes the wave CSV row by row.
pub struct CsvWriter<'h, W: Write> {
    head: &'h WaveHead,
    table: Writer<W>,
}

impl<'h, W: Write> CsvWriter<'h, W> {
    /// Writes the header.
    pub fn new(sink: W, head: &'h WaveHead) -> std::io::Result<Self> {
        let table = Writer::new(sink, COLUMNS)?;
        Ok(Self { head, table })
    }

    /// Writes one row.
    pub fn row(&mut self, row: &WaveRow) -> std::io::Result<()> {
        let head = self.head;
        let fields = [
            row.key.id().to_string(),
            row.key.unit.to_string(),
            row.objective.clone(),
            row.key.round.to_string(),
            row.key.role.to_string(),
            row.lane.as_str().to_owned(),
            row.scope.join(";"),
            row.acceptance.join("\n"),
            row.validation.join("\n"),
            row.risk.as_str().to_owned(),
            row.depends_on.join(";"),
            row.key.attempt.to_string(),
            head.wave.0.to_string(),
            head.max_concurrency.to_string(),
            head.timeout_seconds.to_string(),
            head.base_sha.clone(),
            head.run_id.to_string(),
            row.prompt.clone(),
        ];
        self.table.row(fields.iter().map(String::as_str))
    }

    /// Flushes the rows.
    pub fn finish(self) -> std::io::Result<()> {
        self.table.finish()
    }
}

/// The call file: the arguments of `spawn_agents_on_csv` for the wave; paths are relative to the file.
pub fn call_json(head: &WaveHead, output_schema: &Value) -> Value {
    json!({
        "csv_path": head.csv_name(),
        "instruction": "{prompt}",
        "id_column": "id",
        "output_csv_path": head.output_name(),
        "output_schema": output_schema,
        "max_concurrency": head.max_concurrency,
        "max_runtime_seconds": head.timeout_seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, UnitId};

    #[test]
    fn a_row_has_the_columns_of_the_contract() {
        let head = WaveHead {
            run_id: RunId::new("20260213T015500Z"),
            wave: WaveNo(7),
            round: RoundName::new("vote"),
            max_concurrency: 5,
            timeout_seconds: 60,
            base_sha: "abc".to_owned(),
        };
        let row = WaveRow {
            key: RowKey {
                unit: UnitId::new("st-001"),
                round: head.round.clone(),
                role: Role::new("skeptic"),
                attempt: 2,
            },
            objective: "Do it, well".to_owned(),
            lane: Lane::ReadOnly,
            scope: vec!["a".to_owned(), "b/*".to_owned()],
            acceptance: vec!["one".to_owned(), "two".to_owned()],
            validation: vec!["make test".to_owned()],
            risk: Risk::Low,
            depends_on: vec![],
            prompt: "say {this}".to_owned(),
        };
        let mut bytes = Vec::new();
        let mut writer = CsvWriter::new(&mut bytes, &head).expect("a header");
        writer.row(&row).expect("written");
        writer.finish().expect("flushed");
        let text = String::from_utf8(bytes).expect("text");
        let (header, rest) = text.split_once('\n').expect("a header");
        assert_eq!(header, COLUMNS.join(","));
        assert_eq!(
            rest,
            "st-001.vote.skeptic.2,st-001,\"Do it, well\",vote,skeptic,read_only,a;b/*,\"one\ntwo\",make test,low,,2,7,5,60,abc,20260213T015500Z,say {this}\n"
        );
        assert_eq!(call_json(&head, &json!({}))["csv_path"], "007-vote.csv");
    }
}
