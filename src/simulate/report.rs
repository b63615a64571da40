//! The predictions of one plan as text and JSON, with the warnings that go with them.

use super::durations::{Durations, INTEGRATION, Source};
use super::predict::Prediction;
use super::setup::End;
use crate::model::{RoundName, counted, span};
use crate::plan::ItemId;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The predictions of one plan, and what they were made from.
pub struct SimulationReport<'r> {
    /// The plan, as it is shown.
    pub plan_file: String,
    /// The protocol, as given.
    pub protocol: &'r str,
    /// Tasks that are not completed.
    pub unfinished: usize,
    /// Maximum number of concurrent tasks.
    pub parallel_tasks: u32,
    /// The concurrency number.
    pub slots: usize,
    /// US dollars.
    pub cost_per_row: Option<f64>,
    /// The durations, with their sources.
    pub durations: &'r Durations,
    /// One for each dispatch.
    pub predictions: Vec<Prediction>,
}

/// The duration of the rows of a round.
struct RoundDuration {
    round: RoundName,
    rows: usize,
    /// Of a row, over all tasks and roles.
    mean_ms: u64,
    from: String,
}

impl SimulationReport<'_> {
    /// What keeps tasks from being completed.
    pub fn warnings(&self) -> Vec<String> {
        let Some(prediction) = self.predictions.first() else {
            return Vec::new();
        };
        let skipped = prediction.skipped.iter();
        let skipped = skipped.map(|skipped| format!("{}; it is left out", skipped.why));
        let blocked = prediction.tasks.iter().filter_map(|task| match &task.end {
            End::Completed => None,
            End::Blocked(reason, detail) => Some(format!(
                "item `{}` would be blocked: {reason}: {detail}",
                task.id
            )),
        });
        skipped.chain(blocked).collect()
    }

    /// Whether tasks run one after the other that could run together.
    pub fn is_sequential(&self) -> bool {
        let first = self.predictions.first();
        self.parallel_tasks == 1 && first.is_some_and(|prediction| prediction.tasks.len() > 1)
    }

    /// The report for a person; `heading` marks the header of the first table.
    pub fn text(&self, with_waves: bool, heading: impl Fn(&str) -> String) -> String {
        let Some(first) = self.predictions.first() else {
            return String::new();
        };
        let mut parts = vec![self.head(), self.summary(heading)];
        let is_same = |other: &Prediction| other.bound == first.bound;
        parts.extend(match self.predictions.iter().all(is_same) {
            true => vec![bound_text(first)],
            // With `max_tasks` the dispatches need not have run the same tasks.
            false => self.predictions.iter().map(bound_text).collect(),
        });
        parts.push(self.durations_text());
        match self.tasks_with_durations() {
            0 => {}
            1 => parts
                .push("1 task has durations of its own, which the means above include.".to_owned()),
            many => parts.push(format!(
                "{many} tasks have durations of their own, which the means above include."
            )),
        }
        if let Some(each) = self.cost_per_row {
            let rows = first.rows();
            parts.push(format!(
                "Cost: {} at {each} USD: {:.2} USD",
                counted(rows as u64, "row"),
                each * rows as f64
            ));
        }
        if with_waves {
            parts.extend(self.predictions.iter().map(waves_text));
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        format!(
            "{}: {}, protocol {}, {} at once, parallel_tasks={}",
            self.plan_file,
            counted(self.unfinished as u64, "unfinished task"),
            self.protocol,
            counted(self.slots as u64, "row"),
            self.parallel_tasks,
        )
    }

    fn summary(&self, heading: impl Fn(&str) -> String) -> String {
        let header = [
            "DISPATCH", "TASKS", "WAVES", "ROWS", "MAKESPAN", "BOUND", "RATIO", "BUSY",
        ];
        let mut table = borderless(&header);
        for prediction in &self.predictions {
            table.add_row([
                prediction.dispatch.as_str().to_owned(),
                prediction.tasks.len().to_string(),
                prediction.waves.len().to_string(),
                prediction.rows().to_string(),
                span(prediction.makespan_ms),
                span(prediction.bound.ms()),
                format!("{:.2}", prediction.ratio()),
                format!("{:.0}%", prediction.utilization() * 100.0),
            ]);
        }
        let text = table.trim_fmt();
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", heading(head))
    }

    fn durations_text(&self) -> String {
        let mut table = borderless(&["ROUND", "ROWS", "MEAN", "KNOWN FROM"]);
        for line in self.round_durations() {
            let rows = match line.rows {
                0 => "-".to_owned(),
                rows => rows.to_string(),
            };
            table.add_row([line.round.to_string(), rows, span(line.mean_ms), line.from]);
        }
        align_left(&mut table, 3);
        table.trim_fmt()
    }

    /// One line for each round, and one for applying and validating.
    fn round_durations(&self) -> Vec<RoundDuration> {
        let first = self.predictions.first();
        let rounds = first.map_or(&[][..], |prediction| &prediction.rounds);
        let rounds = rounds.iter().map(|round| {
            let sources = round.roles.iter();
            let sources = sources.map(|role| self.durations.row_duration(&round.name, role).1);
            RoundDuration {
                from: sources_text(sources.collect()),
                rows: round.rows,
                mean_ms: round.work_ms / round.rows.max(1) as u64,
                round: round.name.clone(),
            }
        });
        let (mean_ms, source) = self.durations.integration_duration();
        let integration = RoundDuration {
            round: RoundName::new(INTEGRATION),
            rows: 0,
            mean_ms,
            from: sources_text(vec![source]),
        };
        rounds.chain([integration]).collect()
    }

    /// How many of the tasks are named in the file of durations.
    fn tasks_with_durations(&self) -> usize {
        let given = self.durations.given.tasks();
        let named: BTreeSet<&str> = given.map(|task| task.as_str()).collect();
        let tasks = self.predictions.first().into_iter();
        tasks
            .flat_map(|prediction| &prediction.tasks)
            .filter(|task| named.contains(task.id.as_str()))
            .count()
    }

    /// The report for programs.
    pub fn json(&self) -> Value {
        let durations = self.round_durations().into_iter().map(|line| {
            json!({"round": line.round, "rows": line.rows, "seconds": seconds(line.mean_ms), "from": line.from})
        });
        let predictions = self.predictions.iter();
        let predictions = predictions.map(|prediction| self.prediction_json(prediction));
        json!({
            "plan_file": self.plan_file,
            "protocol": self.protocol,
            "unfinished_tasks": self.unfinished,
            "parallel_tasks": self.parallel_tasks,
            "max_concurrency": self.slots,
            "durations": durations.collect::<Vec<_>>(),
            "tasks_with_durations": self.tasks_with_durations(),
            "predictions": predictions.collect::<Vec<_>>(),
        })
    }

    fn prediction_json(&self, prediction: &Prediction) -> Value {
        let bound = &prediction.bound;
        let tasks = prediction.tasks.iter().map(|task| {
            let reason = match &task.end {
                End::Completed => None,
                End::Blocked(reason, _) => Some(reason.as_str()),
            };
            json!({"id": task.id, "begins_seconds": seconds(task.begins_ms), "ends_seconds": seconds(task.ends_ms), "blocked": reason})
        });
        let waves = prediction.waves.iter().enumerate().map(|(index, wave)| {
            json!({"wave": index + 1, "round": wave.round, "rows": wave.rows, "begins_seconds": seconds(wave.begins_ms), "ends_seconds": seconds(wave.ends_ms)})
        });
        let thousandths = |ratio: f64| (ratio * 1000.0).round() / 1000.0;
        json!({
            "dispatch": prediction.dispatch.as_str(),
            "row_count": prediction.rows(),
            "makespan_seconds": seconds(prediction.makespan_ms),
            "lower_bound_seconds": seconds(bound.ms()),
            "ratio": thousandths(prediction.ratio()),
            "critical_path_seconds": seconds(bound.critical_path_ms),
            "critical_path": bound.critical_path,
            "work_per_slot_seconds": seconds(bound.work_per_slot_ms()),
            "integration_seconds": seconds(bound.integration_ms),
            "busy": thousandths(prediction.utilization()),
            "cost_usd": self.cost_per_row.map(|each| each * prediction.rows() as f64),
            "tasks": tasks.collect::<Vec<_>>(),
            "waves": waves.collect::<Vec<_>>(),
        })
    }
}

/// The sources of a duration, most reliable first: `given, learned (5)`.
fn sources_text(sources: Vec<Source>) -> String {
    let mut words = Vec::new();
    if sources.contains(&Source::Given) {
        words.push("given".to_owned());
    }
    let learned = sources.iter().filter_map(|source| match source {
        Source::Learned(samples) => Some(samples),
        _ => None,
    });
    if learned.clone().next().is_some() {
        words.push(format!("learned ({})", learned.sum::<usize>()));
    }
    if sources.contains(&Source::Default) {
        words.push("default".to_owned());
    }
    words.join(", ")
}

/// The lower bound of a prediction and its parts.
fn bound_text(prediction: &Prediction) -> String {
    let bound = &prediction.bound;
    format!(
        "No dispatch is faster than the largest of critical path {}, work / slots {}\nand integrations {}. The critical path: {}",
        span(bound.critical_path_ms),
        span(bound.work_per_slot_ms()),
        span(bound.integration_ms),
        path_text(&bound.critical_path),
    )
}

/// The first and last tasks of a path, and how many are left out between them.
fn path_text(path: &[ItemId]) -> String {
    /// Tasks shown at each end.
    const ENDS: usize = 3;
    let names: Vec<String> = path.iter().map(ItemId::to_string).collect();
    match names.len() {
        0 => "none".to_owned(),
        few if few <= 2 * ENDS + 1 => names.join(" > "),
        many => format!(
            "{} > ({} more) > {}",
            names[..ENDS].join(" > "),
            many - 2 * ENDS,
            names[many - ENDS..].join(" > ")
        ),
    }
}

fn waves_text(prediction: &Prediction) -> String {
    let mut table = borderless(&["WAVE", "ROUND", "ROWS", "BEGINS", "ENDS"]);
    for (index, wave) in prediction.waves.iter().enumerate() {
        table.add_row([
            (index + 1).to_string(),
            wave.round.to_string(),
            wave.rows.to_string(),
            span(wave.begins_ms),
            span(wave.ends_ms),
        ]);
    }
    align_left(&mut table, 1);
    format!(
        "Waves, {}:\n{}",
        prediction.dispatch.as_str(),
        table.trim_fmt()
    )
}

/// A table without borders; all columns but the first are aligned to the right.
fn borderless(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn align_left(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Left);
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_is_shortened_in_the_middle() {
        let path = |count: usize| -> Vec<ItemId> {
            (1..=count)
                .map(|at| format!("t{at}").parse().expect("an id"))
                .collect()
        };
        assert_eq!(path_text(&[]), "none");
        assert_eq!(path_text(&path(7)), "t1 > t2 > t3 > t4 > t5 > t6 > t7");
        assert_eq!(
            path_text(&path(9)),
            "t1 > t2 > t3 > (3 more) > t7 > t8 > t9"
        );
    }
}
