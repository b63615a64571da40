//! Guardrail 3: one concurrency number, the same wherever it stands, and never more rows in flight.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct OneNumber {
    /// That of the preflight.
    full: u64,
    /// After backpressure.
    current: u64,
    running: BTreeSet<(u64, String, u64)>,
    most: u64,
}

impl Check for OneNumber {
    fn name(&self) -> &'static str {
        "one_concurrency_number"
    }

    fn rule(&self) -> &'static str {
        "preflight, waves, call files and ledger hold one concurrency number, and no more rows run at once"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        match record.event.as_str() {
            "run_started" => self.set_full(record.field("settings")),
            "run_resumed" => {
                self.set_full(record.field("changed"));
                // What a killed process ran has ended.
                self.running.clear();
            }
            "backpressure" => self.current = record.number("to"),
            "wave_compiled" => self.check_wave(record, waves, found),
            "wave_started" => {
                let number = record.number("max_concurrency");
                if self.full != 0 && number > self.full {
                    found.at(
                        record,
                        format!("wave {}", record.number("wave")),
                        format!(
                            "it started with {number} rows at once; the run has {}",
                            self.full
                        ),
                    );
                }
            }
            "attempt_started" => {
                self.running.insert(record.attempt());
                let running = self.running.len() as u64;
                if self.full != 0 && running > self.full && running > self.most {
                    found.at(
                        record,
                        record.text("item_id"),
                        format!("{running} rows ran at once; the number is {}", self.full),
                    );
                }
                self.most = self.most.max(running);
            }
            "attempt_finished" => {
                self.running.remove(&record.attempt());
            }
            _ => {}
        }
    }
}

impl OneNumber {
    fn set_full(&mut self, settings: &Value) {
        let number = &settings["bounds"]["max_concurrency"];
        let number = number.as_u64().or(settings["max_concurrency"].as_u64());
        if let Some(number) = number {
            (self.full, self.current) = (number, number);
        }
    }

    fn check_wave(&self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        let wave = record.number("wave");
        let place = format!("wave {wave}");
        let expected = record.number("max_concurrency");
        if expected != self.current {
            found.at(
                record,
                &place,
                format!(
                    "the ledger says {expected} rows at once for it; the current number is {}",
                    self.current
                ),
            );
        }
        let Some(files) = waves.get(wave) else {
            return;
        };
        if files.call.is_object() && files.call["max_concurrency"] != expected {
            found.at(
                record,
                &place,
                format!(
                    "its call file says {} rows at once instead of {expected}",
                    files.call["max_concurrency"]
                ),
            );
        }
        for row in &files.rows {
            let number = files.cell(row, "max_concurrency").unwrap_or_default();
            if number != expected.to_string() {
                let id = files.cell(row, "id").unwrap_or_default();
                found.at(
                    record,
                    id,
                    format!("its row says {number:?} rows at once instead of {expected}"),
                );
            }
        }
    }
}
