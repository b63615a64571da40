//! Checks a wave CSV and its call file: whoever works a wave, and whoever wrote it, must be able to rely on its shape.
//!
//! Pure: cells in, problems out. What is checked is what CONTRACT, section 3, promises: the columns, the ids, one round and
//! one concurrency number throughout, a lane in every row with one author per unit, and units whose scopes share no path.

use super::COLUMNS;
use crate::model::{Lane, RowId, RowKey};
use crate::protocol::HYDRATION;
use crate::scope::{Claims, Reach};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that is wrong with a wave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The row, counted from 1 after the header; `None` for the header and the call file.
    pub row: Option<usize>,
    /// The column, or the key of the call file.
    pub column: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.row {
            Some(row) => write!(f, "row {row}, column `{}`: {}", self.column, self.message),
            None => write!(f, "`{}`: {}", self.column, self.message),
        }
    }
}

/// Columns in which all rows of a wave say the same.
const SHARED: [&str; 7] = [
    "round",
    "lane",
    "wave",
    "max_concurrency",
    "timeout_seconds",
    "base_sha",
    "run_id",
];
/// Columns that hold a number from 1 on.
const NUMBERS: [&str; 4] = ["attempt", "wave", "max_concurrency", "timeout_seconds"];

/// Everything that is wrong with these rows, and with `call` where there is a call file.
pub fn lint(header: &[String], rows: &[Vec<String>], call: Option<&Value>) -> Vec<Problem> {
    if let Some(problem) = check_header(header) {
        return vec![problem];
    }
    let rows: Vec<Row<'_>> = rows
        .iter()
        .enumerate()
        .map(|(index, cells)| Row {
            number: index + 1,
            cells,
        })
        .collect();
    let mut problems = Vec::new();
    let Some(first) = rows.first() else {
        return vec![at(None, "id", "the wave has no rows")];
    };
    let mut ids = BTreeSet::new();
    for row in &rows {
        check_row(row, &mut problems);
        if !ids.insert(row.cell("id")) {
            problems.push(at(Some(row.number), "id", "is there twice"));
        }
        for column in SHARED {
            if row.cell(column) != first.cell(column) {
                let message = format!(
                    "is `{}`, but `{}` in row 1",
                    row.cell(column),
                    first.cell(column)
                );
                problems.push(at(Some(row.number), column, &message));
            }
        }
    }
    check_units(&rows, &mut problems);
    if let Some(call) = call {
        check_call(call, first, &mut problems);
    }
    problems
}

struct Row<'r> {
    number: usize,
    cells: &'r [String],
}

impl Row<'_> {
    fn cell(&self, column: &str) -> &str {
        let at = COLUMNS.iter().position(|name| *name == column);
        at.and_then(|at| self.cells.get(at))
            .map_or("", String::as_str)
    }

    fn scope(&self) -> Vec<String> {
        let globs = self
            .cell("scope")
            .split(';')
            .filter(|glob| !glob.is_empty());
        globs.map(str::to_owned).collect()
    }
}

fn at(row: Option<usize>, column: &str, message: &str) -> Problem {
    Problem {
        row,
        column: column.to_owned(),
        message: message.to_owned(),
    }
}

fn check_header(header: &[String]) -> Option<Problem> {
    let wrong = header
        .iter()
        .zip(COLUMNS)
        .position(|(is, wanted)| is != wanted);
    let index = wrong.unwrap_or(header.len().min(COLUMNS.len()));
    match (header.get(index), COLUMNS.get(index)) {
        (None, None) => None,
        (Some(is), Some(wanted)) => Some(at(
            None,
            is,
            &format!("column {} must be `{wanted}`", index + 1),
        )),
        (None, Some(wanted)) => Some(at(None, wanted, "this column is missing")),
        (Some(is), None) => Some(at(None, is, "is no column of a wave")),
    }
}

fn check_row(row: &Row<'_>, problems: &mut Vec<Problem>) {
    let mut add =
        |column: &str, message: &str| problems.push(at(Some(row.number), column, message));
    let id = RowId::new(row.cell("id"));
    let parts = ["unit", "round", "role", "attempt"].map(|column| row.cell(column));
    if id.as_str() != parts.join(".") || RowKey::parse(&id).is_none() {
        add(
            "id",
            "must be `<unit>.<round>.<role>.<attempt>` of the same row",
        );
    }
    if ![Lane::ReadOnly, Lane::Patch]
        .iter()
        .any(|lane| lane.as_str() == row.cell("lane"))
    {
        add("lane", "must be `read_only` or `patch`");
    }
    if !["low", "medium", "high"].contains(&row.cell("risk")) {
        add("risk", "must be `low`, `medium` or `high`");
    }
    for column in NUMBERS {
        if !row
            .cell(column)
            .parse::<u64>()
            .is_ok_and(|number| number > 0)
        {
            add(column, "must be a number from 1 on");
        }
    }
    for column in ["objective", "run_id", "base_sha", "prompt"] {
        if row.cell(column).trim().is_empty() {
            add(column, "is empty");
        }
    }
    if row.cell("scope").is_empty() && row.cell("round") != HYDRATION {
        add("scope", "is empty: nothing could be changed");
    }
}

/// What holds between the rows of a unit, and between units.
fn check_units(rows: &[Row<'_>], problems: &mut Vec<Problem>) {
    let mut units: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        units.entry(row.cell("unit")).or_default().push(row);
    }
    let mut reaches: Vec<(&Row<'_>, Reach)> = Vec::new();
    let mut claims = Claims::default();
    for rows in units.values() {
        let first = rows[0];
        for row in &rows[1..] {
            if row.cell("lane") == Lane::Patch.as_str() {
                problems.push(at(
                    Some(row.number),
                    "lane",
                    "a second author of the unit's patch",
                ));
            }
            if row.cell("scope") != first.cell("scope") {
                let message = format!("differs from that of the same unit in row {}", first.number);
                problems.push(at(Some(row.number), "scope", &message));
            }
        }
        match Reach::new(&first.scope()) {
            Ok(reach) => {
                if claims.conflict_with(&reach) {
                    problems.push(meeting(first, &reach, &reaches));
                }
                claims.add(reach.clone());
                reaches.push((first, reach));
            }
            Err(error) => problems.push(at(Some(first.number), "scope", &error.to_string())),
        }
    }
}

/// The first unit that this one may share a path with.
fn meeting(row: &Row<'_>, reach: &Reach, others: &[(&Row<'_>, Reach)]) -> Problem {
    let other = others.iter().find(|(_, other)| reach.may_meet(other));
    let whose = other.map_or_else(
        || "another unit".to_owned(),
        |(other, _)| format!("unit `{}` in row {}", other.cell("unit"), other.number),
    );
    at(
        Some(row.number),
        "scope",
        &format!("may share a path with that of {whose}"),
    )
}

fn check_call(call: &Value, first: &Row<'_>, problems: &mut Vec<Problem>) {
    let number = |column: &str| {
        first
            .cell(column)
            .parse::<u64>()
            .map_or(Value::Null, Value::from)
    };
    for (key, wanted) in [
        ("instruction", Value::from("{prompt}")),
        ("id_column", Value::from("id")),
        ("max_concurrency", number("max_concurrency")),
        ("max_runtime_seconds", number("timeout_seconds")),
    ] {
        if call[key] != wanted {
            let message = format!("is {} in the call file; the wave wants {wanted}", call[key]);
            problems.push(at(None, key, &message));
        }
    }
    if !call["output_schema"].is_object() {
        problems.push(at(None, "output_schema", "is no schema"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn header() -> Vec<String> {
        COLUMNS.map(str::to_owned).to_vec()
    }

    /// A row of unit `unit`, with some cells changed.
    fn row(unit: &str, changes: &[(&str, &str)]) -> Vec<String> {
        let id = format!("{unit}.critique.skeptic.1");
        let scope = format!("{unit}/**");
        let cells = [
            id.as_str(),
            unit,
            "Do it",
            "critique",
            "skeptic",
            "read_only",
            scope.as_str(),
            "a",
            "make",
            "low",
            "",
            "1",
            "2",
            "5",
            "60",
            "abc",
            "R",
            "Look.",
        ];
        let cell = |(column, cell): (&str, &str)| {
            let change = changes.iter().find(|(name, _)| *name == column);
            change.map_or(cell, |(_, value)| value).to_owned()
        };
        COLUMNS.into_iter().zip(cells).map(cell).collect()
    }

    fn problems(rows: &[Vec<String>]) -> Vec<String> {
        lint(&header(), rows, None)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_good_wave_has_no_problems() {
        assert_eq!(problems(&[row("a", &[]), row("b", &[])]), [""; 0]);
        let call = json!({"instruction": "{prompt}", "id_column": "id", "max_concurrency": 5, "max_runtime_seconds": 60, "output_schema": {}});
        assert_eq!(lint(&header(), &[row("a", &[])], Some(&call)), []);
    }

    #[test]
    fn each_cell_is_checked() {
        for (change, wanted) in [
            (
                ("id", "a.critique.skeptic.2"),
                "column `id`: must be `<unit>.<round>.<role>.<attempt>` of the same row",
            ),
            (
                ("lane", "write"),
                "column `lane`: must be `read_only` or `patch`",
            ),
            (("risk", ""), "column `risk`: must be"),
            (
                ("max_concurrency", "0"),
                "column `max_concurrency`: must be a number from 1 on",
            ),
            (
                ("timeout_seconds", "x"),
                "column `timeout_seconds`: must be a number",
            ),
            (("prompt", " "), "column `prompt`: is empty"),
            (("scope", ""), "column `scope`: is empty"),
            (
                ("scope", "../x"),
                "column `scope`: scope `../x`: leaves the repository",
            ),
        ] {
            let found = problems(&[row("a", &[change])]);
            assert!(
                found.iter().any(|problem| problem.contains(wanted)),
                "{change:?}: {found:?}"
            );
        }
    }

    #[test]
    fn rows_must_agree_and_units_must_not_meet() {
        let found = problems(&[
            row("a", &[]),
            row("b", &[("max_concurrency", "6"), ("scope", "c/x;a/b.rs")]),
            row("a", &[]),
        ]);
        assert_eq!(
            found,
            [
                "row 2, column `max_concurrency`: is `6`, but `5` in row 1",
                "row 3, column `id`: is there twice",
                "row 2, column `scope`: may share a path with that of unit `a` in row 1",
            ]
        );
        let author = [("lane", "patch")];
        assert!(problems(&[row("a", &author), row("a", &author)])[1].contains("a second author"));
    }

    #[test]
    fn the_header_and_the_call_file_are_checked_too() {
        let mut other = header();
        other.swap(1, 2);
        assert_eq!(
            lint(&other, &[], None)[0].to_string(),
            "`objective`: column 2 must be `unit`"
        );
        other.truncate(1);
        assert_eq!(
            lint(&other, &[], None)[0].to_string(),
            "`unit`: this column is missing"
        );
        other = header();
        other.push("more".to_owned());
        assert_eq!(
            lint(&other, &[], None)[0].to_string(),
            "`more`: is no column of a wave"
        );
        assert_eq!(
            lint(&header(), &[], None)[0].message,
            "the wave has no rows"
        );
        let call = json!({"instruction": "{prompt}", "id_column": "id", "max_concurrency": 4, "max_runtime_seconds": 60, "output_schema": {}});
        let found = lint(&header(), &[row("a", &[])], Some(&call));
        assert_eq!(
            found[0].to_string(),
            "`max_concurrency`: is 4 in the call file; the wave wants 5"
        );
        assert_eq!(found.len(), 1);
    }
}
