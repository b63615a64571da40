//! The sheet Summary: what the workbook shows, the sums, its sheets, and what does not fit.

use super::place::Place;
use super::survey::Survey;
use super::value::Value;
use crate::report::view::{RunView, Source, TableKind, TableView, Totals};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;

/// The titles of the sheet.
pub const COLUMNS: [&str; 2] = ["what", "value"];

/// What did not fit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Omitted {
    /// Cells that were cut.
    pub cut: u64,
    /// Links that stayed text.
    pub unlinked: u64,
    /// Waves without a sheet of their own.
    pub further_waves: usize,
}

/// The rows of the sheet.
pub fn rows(
    source: &Source,
    survey: &Survey,
    sheets: &[Place],
    omitted: Omitted,
) -> Vec<Vec<Value>> {
    let mut rows = match source {
        Source::Run(run) => of_run(run),
        Source::Table(table) => of_table(table),
    };
    rows.extend(of_totals(&survey.totals));
    for sheet in sheets {
        rows.push((
            "sheet".to_owned(),
            Value::Row(sheet.sheet.clone(), sheet.clone()),
        ));
    }
    rows.extend(notes(omitted, survey.has_more));
    let pair = |(what, value): (String, Value)| vec![Value::text(what), value];
    rows.into_iter().map(pair).collect()
}

fn of_run(run: &RunView) -> Vec<(String, Value)> {
    let finished = run.state().finished.as_ref();
    let status = match (finished, run.is_driven()) {
        (_, true) => "running",
        (Some(finished), false) => finished.status.as_str(),
        (None, false) => "not ended",
    };
    let (first, last) = run.span_ms();
    let mut rows = vec![
        ("run", Value::text(run.folder().id().to_string())),
        ("status", Value::text(status)),
        ("started", time(first)),
        ("last event", time(last)),
        (
            "seconds",
            Value::Number((last - first).max(0) as f64 / 1000.0),
        ),
        (
            "folder",
            Value::File(super::place::absolute(run.folder().path())),
        ),
    ];
    if let Some(job) = run.job() {
        rows.push(("input", file(&job.csv_path)));
        rows.push((
            "output",
            file(run.state().spawned_output().unwrap_or(&job.output_csv_path)),
        ));
        rows.push(("instruction", Value::text(&job.instruction)));
    }
    let owned = |(what, value): (&str, Value)| (what.to_owned(), value);
    rows.into_iter().map(owned).collect()
}

fn of_table(table: &TableView) -> Vec<(String, Value)> {
    let what = match table.kind() {
        TableKind::Wave => "wave CSV",
        TableKind::Output(_) => "output CSV",
    };
    vec![(what.to_owned(), file(table.path()))]
}

fn of_totals(totals: &Totals) -> Vec<(String, Value)> {
    let mut rows = vec![("rows".to_owned(), Value::count(totals.rows))];
    let mut listed = |label: &str, counts: &BTreeMap<String, u64>| {
        let of = |(name, count): (&String, &u64)| (format!("{label} {name}"), Value::count(*count));
        rows.extend(counts.iter().map(of));
    };
    listed("rows", &totals.statuses);
    listed("failure", &totals.codes);
    listed("role", &totals.roles);
    listed("adapter", &totals.adapters);
    if totals.attempts > 0 {
        rows.push(("attempts".to_owned(), Value::count(totals.attempts)));
    }
    if totals.seconds > 0.0 {
        let seconds = (totals.seconds * 1000.0).round() / 1000.0;
        rows.push(("worker seconds".to_owned(), Value::Number(seconds)));
    }
    let tokens = totals
        .tokens
        .map(|tokens| ("tokens".to_owned(), Value::count(tokens)));
    let cost = totals
        .cost_usd
        .map(|cost| ("cost".to_owned(), Value::Dollars(cost)));
    rows.extend(tokens.into_iter().chain(cost));
    rows
}

fn notes(omitted: Omitted, has_more: bool) -> Vec<(String, Value)> {
    let notes = [
        (omitted.cut > 0).then(|| {
            format!(
                "{} too long for a cell, cut; each names the file that has all of it",
                crate::model::counted(omitted.cut, "text")
            )
        }),
        (omitted.further_waves > 0).then(|| {
            let waves = crate::model::counted(omitted.further_waves as u64, "wave");
            format!("{waves} without a sheet of their own, on the sheet Further waves")
        }),
        (omitted.unlinked > 0).then(|| {
            let links = crate::model::counted(omitted.unlinked, "link");
            format!("{links} left as text: a sheet has room for 60000")
        }),
        has_more.then(|| {
            "results have more than 500 properties; the column result has all of them".to_owned()
        }),
    ];
    let note = |text: String| ("note".to_owned(), Value::text(text));
    notes.into_iter().flatten().map(note).collect()
}

fn file(path: &Path) -> Value {
    Value::File(super::place::absolute(path))
}

fn time(ms: i64) -> Value {
    let time = Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0);
    time.map_or(Value::Empty, |time| Value::of_time(&time.to_string()))
}
