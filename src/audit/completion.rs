//! Every completed task has consensus where its protocol votes, an applied patch, and validations that passed.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Completion {
    tasks: BTreeMap<String, Task>,
}

#[derive(Default)]
struct Task {
    has_votes: bool,
    has_consensus: bool,
    is_applied: bool,
    /// Whether each command passed the last time, by number.
    validations: BTreeMap<u64, bool>,
    /// Whether its rows name validation commands.
    wants_validation: bool,
}

impl Check for Completion {
    fn name(&self) -> &'static str {
        "consensus_and_validation"
    }

    fn rule(&self) -> &'static str {
        "every completed task has the votes it needs, an applied patch, and validations with exit 0"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        if record.event == "wave_compiled" {
            return self.see_wave(record, waves);
        }
        let unit = record.text("unit").to_owned();
        if unit.is_empty() {
            return;
        }
        let task = self.tasks.entry(unit.clone()).or_default();
        match record.event.as_str() {
            "tally" => {
                let is_reached = record.number("agree") >= record.number("threshold");
                let says_so = record.field("consensus") == true;
                // Among several patches, more voters may want none of them.
                let may_be_refused = !record.field("chosen").is_null();
                task.has_consensus = is_reached && says_so;
                if says_so != is_reached && !(may_be_refused && is_reached) {
                    found.at(
                        record,
                        unit,
                        "the count of the votes contradicts its consensus",
                    );
                }
                task.validations.clear();
            }
            "protocol_changed" => task.has_votes = false,
            "validation_finished" if record.field("stage").is_null() => {
                let passed = record.field("exit_code") == 0 && record.field("timed_out") != true;
                task.validations.insert(record.number("number"), passed);
            }
            "integration_finished" => task.is_applied = record.text("outcome") == "applied",
            "undo_finished" if record.text("outcome") == "undone" => task.is_applied = false,
            "plan_mutated" if record.text("status") == "completed" => {
                let lacks = [
                    (task.has_votes && !task.has_consensus, "without consensus"),
                    (!task.is_applied, "without an applied patch"),
                    (
                        task.wants_validation && task.validations.is_empty(),
                        "without a validation",
                    ),
                    (
                        task.validations.values().any(|passed| !passed),
                        "with a validation that failed",
                    ),
                ];
                for (_, lack) in lacks.into_iter().filter(|(is_so, _)| *is_so) {
                    found.at(record, &unit, format!("it was completed {lack}"));
                }
            }
            _ => {}
        }
    }
}

impl Completion {
    fn see_wave(&mut self, record: &Record, waves: &WaveFiles) {
        let Some(wave) = waves.get(record.number("wave")) else {
            return;
        };
        for row in &wave.rows {
            let cell = |column| wave.cell(row, column).unwrap_or_default();
            let task = self.tasks.entry(cell("unit").to_owned()).or_default();
            task.has_votes |= cell("round") == "vote";
            // A vote is only held among several patches if there are some left to choose from.
            let is_numbered = |role: &str| {
                role.rsplit_once('_')
                    .is_some_and(|(_, number)| number.parse::<u8>().is_ok())
            };
            task.has_votes &= !(cell("lane") == "patch" && is_numbered(cell("role")));
            task.wants_validation |= !cell("validation").is_empty();
        }
    }
}
