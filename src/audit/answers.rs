//! Every accepted answer satisfies the schema of its wave and what its lane may return.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Answers {
    /// The last result of each row, until its verdict.
    results: BTreeMap<String, Value>,
    /// By wave; `None` for a schema that can't be used.
    validators: BTreeMap<u64, Option<Validator>>,
}

impl Check for Answers {
    fn name(&self) -> &'static str {
        "answers"
    }

    fn rule(&self) -> &'static str {
        "every accepted answer satisfies the schema of its wave and its lane"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        let row = record.text("item_id");
        match record.event.as_str() {
            "wave_compiled" => {
                let wave = record.number("wave");
                let schema = waves.get(wave).map(|wave| &wave.call["output_schema"]);
                let schema = schema.filter(|schema| schema.is_object());
                let validator = schema.and_then(|schema| jsonschema::validator_for(schema).ok());
                if schema.is_some() && validator.is_none() {
                    found.at(record, format!("wave {wave}"), "its schema can't be used");
                }
                self.validators.insert(wave, validator);
            }
            "attempt_reported" => {
                self.results
                    .insert(row.to_owned(), record.field("result").clone());
            }
            "verdict" => {
                let result = self.results.remove(row);
                if record.text("verdict") == "accepted" {
                    self.check(record, result.as_ref(), waves, found);
                }
            }
            _ => {}
        }
    }
}

impl Answers {
    fn check(
        &self,
        record: &Record,
        result: Option<&Value>,
        waves: &WaveFiles,
        found: &mut Findings,
    ) {
        let row = record.text("item_id");
        let Some(result) = result else {
            return found.at(record, row, "it was accepted without a reported answer");
        };
        let validator = self.validators.get(&record.number("wave"));
        if let Some(Some(validator)) = validator
            && let Err(error) = validator.validate(result)
        {
            found.at(
                record,
                row,
                format!(
                    "its answer does not fit the schema: {}: {error}",
                    error.instance_path()
                ),
            );
        }
        let lane = waves
            .row(row)
            .and_then(|(wave, cells)| wave.cell(cells, "lane"));
        let patch = result.get("patch").and_then(Value::as_str);
        match lane {
            Some("read_only") if patch.is_some_and(|patch| !patch.trim().is_empty()) => {
                found.at(record, row, "it returned a patch in a read-only lane");
            }
            Some("patch") if patch.is_none_or(|patch| patch.trim().is_empty()) => {
                found.at(record, row, "it returned no patch in a patch lane");
            }
            _ => {}
        }
    }
}
