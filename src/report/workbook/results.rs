//! The sheets Results and Failures: every row, and those that failed with a link to the former and to their logs.

use super::error::WorkbookError;
use super::place::Place;
use super::sheet::Sheet;
use super::style::Styles;
use super::survey::Survey;
use super::value::Value;
use crate::model::{RowId, WaveNo};
use crate::report::view::{Column, Source, ViewRow};
use crate::run::RunFolder;
use rust_xlsxwriter::Workbook;
use std::path::Path;
use std::rc::Rc;

/// Our columns before and after those of the input.
const BEFORE: [&str; 5] = ["item", "wave", "unit", "round", "role"];
const AFTER: [&str; 11] = [
    "adapter", "status", "verdict", "attempts", "seconds", "tokens", "cost", "started", "ended",
    "code", "error",
];
/// Our columns of a failure.
const FAILED: [&str; 8] = [
    "item", "wave", "unit", "round", "role", "attempts", "code", "error",
];
const COLOURED: [&str; 2] = ["status", "verdict"];

/// Both sheets.
pub struct Results {
    columns: Vec<Column>,
    properties: Vec<String>,
    has_rest: bool,
    failed: Vec<&'static str>,
    /// All rows.
    pub results: Sheet,
    /// The failed ones.
    pub failures: Sheet,
}

impl Results {
    /// Chooses the columns. Those of a wave's input are on the sheets of the waves, unless the wave was not run.
    pub fn begin(
        workbook: &mut Workbook,
        styles: &Rc<Styles>,
        source: &Source,
        survey: &Survey,
        with_input: bool,
    ) -> Result<Self, WorkbookError> {
        let own = |names: &[&'static str]| -> Vec<&'static str> {
            let used = |name: &&&str| **name == "item" || survey.has(name);
            names.iter().filter(used).copied().collect()
        };
        let input = source.header().iter().enumerate().filter(|_| with_input);
        let columns: Vec<Column> = own(&BEFORE)
            .into_iter()
            .map(Column::Own)
            .chain(input.map(|(at, name)| Column::Input(name.clone(), at)))
            .chain(own(&AFTER).into_iter().map(Column::Own))
            .collect();
        let properties: Vec<String> = survey.properties.iter().cloned().collect();
        let mut titles: Vec<String> = columns.iter().map(title).collect();
        titles.extend(properties.iter().map(|name| format!("result.{name}")));
        titles.extend(survey.has_more.then(|| "result".to_owned()));
        let failed = own(&FAILED);
        let names = failed.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = names
            .chain(["error log", "output log"].map(str::to_owned))
            .collect();
        Ok(Self {
            columns,
            properties,
            has_rest: survey.has_more,
            failed,
            results: Sheet::begin(workbook, styles, "Results", titles, &COLOURED)?,
            failures: Sheet::begin(workbook, styles, "Failures", names, &[])?,
        })
    }

    /// Adds a row, and again to the failures if it failed.
    pub fn row(
        &mut self,
        workbook: &mut Workbook,
        row: &ViewRow,
        folder: Option<&RunFolder>,
        whole: &Path,
    ) -> Result<Place, WorkbookError> {
        let mut values: Vec<Value> = self
            .columns
            .iter()
            .map(|column| value(column, row))
            .collect();
        let result = row.result.as_ref();
        let property = |name: &String| {
            let found = result.and_then(|result| result.get(name));
            found.map_or(Value::Empty, Value::of_json)
        };
        values.extend(self.properties.iter().map(property));
        let rest = || result.map_or(Value::Empty, |result| Value::text(result.to_string()));
        values.extend(self.has_rest.then(rest));
        let place = self.results.row(workbook, &values, whole)?;
        if row.has_failed() {
            let values = self.failure(row, &place, folder);
            self.failures.row(workbook, &values, whole)?;
        }
        Ok(place)
    }

    fn failure(&self, row: &ViewRow, place: &Place, folder: Option<&RunFolder>) -> Vec<Value> {
        let own = self.failed.iter().map(|name| match *name {
            "item" => Value::Row(row.item.clone(), place.clone()),
            "error" => Value::text(failure_text(row)),
            name => value(&Column::Own(name), row),
        });
        let mut values: Vec<Value> = own.collect();
        values.extend(logs(row, folder));
        values
    }
}

/// The failure, or why the answer was refused.
fn failure_text(row: &ViewRow) -> String {
    use crate::report::view::Headline;
    match row.headline() {
        Headline::Failure(text) => text,
        Headline::Answer(_) | Headline::Nothing => row.error.clone(),
    }
}

/// The kept logs of the last attempt: standard error, standard output.
fn logs(row: &ViewRow, folder: Option<&RunFolder>) -> [Value; 2] {
    let number = u32::try_from(row.attempts).unwrap_or(u32::MAX);
    let wave = WaveNo(row.wave.unwrap_or(1));
    let kept = folder.map(|folder| folder.kept_logs(wave, &RowId::new(&row.item), number));
    let kept = kept.unwrap_or_default();
    ["err", "out"].map(|suffix| {
        let is_it = |path: &&std::path::PathBuf| path.extension().is_some_and(|it| it == suffix);
        let found = kept.iter().find(is_it);
        found.map_or(Value::Empty, |path| {
            Value::File(super::place::absolute(path))
        })
    })
}

/// A column of the input with the name of one of ours is `input.NAME`, as in conditions.
fn title(column: &Column) -> String {
    match column {
        Column::Input(name, _) if Column::NAMES.contains(&name.as_str()) => format!("input.{name}"),
        column => column.title(),
    }
}

fn value(column: &Column, row: &ViewRow) -> Value {
    let cell = column.cell(row);
    match column {
        Column::Own("cost") => Value::dollars(row.cost_usd),
        Column::Own("started" | "ended") => Value::of_time(&cell.shown()),
        // A cell of the input is text, even if it looks like a number: 007 stays 007.
        _ => Value::of_cell(cell),
    }
}
