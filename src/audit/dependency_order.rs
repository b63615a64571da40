//! Guardrail 1: no row of a task starts before the tasks that it depends on are completed.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(super) struct DependencyOrder {
    /// The last status that the run wrote, by task.
    statuses: BTreeMap<String, String>,
    /// Tasks that the user allowed to begin early (`deps=advisory`).
    early: BTreeSet<String>,
    is_advisory: bool,
    reported: BTreeSet<(String, String)>,
}

impl Check for DependencyOrder {
    fn name(&self) -> &'static str {
        "dependency_order"
    }

    fn rule(&self) -> &'static str {
        "a row starts after the tasks that its task depends on are completed"
    }

    fn see(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        match record.event.as_str() {
            "run_started" => self.is_advisory = record.field("settings")["deps"] == "advisory",
            "plan_mutated" => {
                let (unit, status) = (record.text("unit"), record.text("status"));
                self.statuses.insert(unit.to_owned(), status.to_owned());
            }
            // From then on somebody else decides about it.
            "plan_conflict" => drop(self.statuses.remove(record.text("unit"))),
            "began_early" => {
                let unit = record.text("unit").to_owned();
                if !self.is_advisory {
                    found.at(
                        record,
                        &unit,
                        "it began before its dependencies although they are strict",
                    );
                }
                self.early.insert(unit);
            }
            "attempt_started" => self.check_row(record, waves, found),
            _ => {}
        }
    }
}

impl DependencyOrder {
    fn check_row(&mut self, record: &Record, waves: &WaveFiles, found: &mut Findings) {
        let row = record.text("item_id");
        let Some((wave, cells)) = waves.row(row) else {
            return;
        };
        let unit = wave.cell(cells, "unit").unwrap_or_default();
        if self.early.contains(unit) {
            return;
        }
        let needed = wave.cell(cells, "depends_on").unwrap_or_default();
        for dependency in needed.split(';').map(str::trim) {
            // A task that the run never touched was completed before.
            let status = self.statuses.get(dependency).map(String::as_str);
            // A person may complete a task that the run blocked.
            if matches!(status, None | Some("completed" | "blocked")) {
                continue;
            }
            let pair = (unit.to_owned(), dependency.to_owned());
            if self.reported.insert(pair) {
                found.at(
                    record,
                    row,
                    format!(
                        "it started while `{dependency}`, which `{unit}` depends on, was {}",
                        status.unwrap_or_default()
                    ),
                );
            }
        }
    }
}
