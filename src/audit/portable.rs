//! Guardrails 5 and 6: a wave CSV names roles, lanes and rounds as data in one vocabulary, and no agent, model or tool.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::{WaveFile, WaveFiles};

/// The contract's, written down once more: what compiles the waves takes no part in judging them.
const COLUMNS: [&str; 18] = [
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
/// Names that bind a row to one agent, as a word of their own.
const BINDING: [&str; 7] = [
    "codex", "claude", "gemini", "opencode", "gpt", "sonnet", "opus",
];
/// The tool of one agent.
const TOOL: &str = "spawn_agent";

#[derive(Default)]
pub(super) struct Portable {
    run_id: String,
}

impl Check for Portable {
    fn name(&self) -> &'static str {
        "portable_waves"
    }

    fn rule(&self) -> &'static str {
        "a wave has the columns of the contract, known lanes, and no role or tool of one agent"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        match record.event.as_str() {
            "run_started" => self.run_id = record.text("run_id").to_owned(),
            "wave_compiled" => {
                if let Some(wave) = waves.get(record.number("wave"))
                    && !wave.header.is_empty()
                {
                    self.check(record, wave, found);
                }
            }
            _ => {}
        }
    }
}

impl Portable {
    fn check(&self, record: &Record, wave: &WaveFile, found: &mut Findings) {
        if wave.header != COLUMNS {
            found.at(
                record,
                &wave.csv_path,
                format!("its columns are {}", wave.header.join(", ")),
            );
            return;
        }
        let number = record.number("wave").to_string();
        for row in &wave.rows {
            let cell = |column| wave.cell(row, column).unwrap_or_default();
            let id = cell("id");
            let expected = [cell("unit"), cell("round"), cell("role"), cell("attempt")].join(".");
            if id != expected {
                found.at(record, id, format!("its id is not {expected}"));
            }
            for (column, right) in [
                ("wave", number.as_str()),
                ("run_id", &self.run_id),
                ("round", record.text("round")),
                ("lane", record.text("lane")),
            ] {
                if cell(column) != right {
                    found.at(
                        record,
                        id,
                        format!("its {column} is {:?} instead of {right:?}", cell(column)),
                    );
                }
            }
            if !["read_only", "patch"].contains(&cell("lane")) {
                found.at(record, id, format!("{:?} is no lane", cell("lane")));
            }
            for column in ["round", "role", "lane"] {
                let lower = cell(column).to_lowercase();
                let mut words = lower.split(|c: char| !c.is_alphanumeric());
                let agent = words.find(|word| BINDING.contains(word));
                if let Some(word) = agent.or(lower.contains(TOOL).then_some(TOOL)) {
                    found.at(
                        record,
                        id,
                        format!("its {column} {:?} binds it to {word}", cell(column)),
                    );
                }
            }
        }
    }
}
