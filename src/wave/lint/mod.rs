//! Checks a wave CSV and its call file.
//!
//! Pure: rows and text in, problems out. The rules are those of CONTRACT, section 3: the columns, the ids, one round and one concurrency
//! limit, a lane in every row and one author per unit, every role of the round ([`team`]), disjoint scopes ([`units`]), and a call file
//! ([`call`]) that agrees. Rows are checked one by one; of each only its place in the protocol and its scope are kept,
//! and not its prompt.

mod call;
mod row;
mod team;
#[cfg(test)]
mod tests;
mod units;

pub use team::Team;

use super::COLUMNS;
use super::problem::Problem;
use row::Row;
use std::path::Path;
use units::{KeptRow, Rows};

/// What is known of a wave before its rows.
#[derive(Clone, Copy, Debug)]
pub struct LintInput<'w> {
    /// The wave CSV; paths in the call file are relative to its folder.
    pub csv: &'w Path,
    /// The header.
    pub header: &'w [String],
    /// The text of the call file, if there is one.
    pub call: Option<&'w str>,
    /// The roles of the known rounds.
    pub teams: &'w [Team],
}

/// The check of a wave, which is given its rows in order.
pub struct Lint<'w> {
    input: LintInput<'w>,
    /// Whether the header is that of a wave; otherwise the rows are not looked at.
    is_readable: bool,
    problems: Vec<Problem>,
    first: Option<FirstRow>,
    rows: Rows,
}

/// The cells that all rows must share with the first one, and the limits that the call must repeat.
struct FirstRow {
    shared: [(&'static str, String); 7],
    limits: call::RowLimits,
}

impl FirstRow {
    fn new(row: &Row<'_>) -> Self {
        Self {
            shared: row.shared().map(|(column, cell)| (column, cell.to_owned())),
            limits: call::RowLimits {
                max_concurrency: row.max_concurrency.parse().ok(),
                timeout_seconds: row.timeout_seconds.parse().ok(),
            },
        }
    }
}

impl<'w> Lint<'w> {
    /// Checks the header.
    pub fn new(input: LintInput<'w>) -> Self {
        let problem = check_header(input.header);
        Self {
            input,
            is_readable: problem.is_none(),
            problems: problem.into_iter().collect(),
            first: None,
            rows: Rows::default(),
        }
    }

    /// Checks the next row, which begins on `line`.
    pub fn row<'r>(&mut self, cells: impl IntoIterator<Item = &'r str>, line: u64) {
        if !self.is_readable {
            return;
        }
        let row = Row::new(cells);
        let (id, is_new) = self.rows.ids.add(row.id);
        let number = self.rows.kept.len() + 1;
        let mut add = |column: &str, message: &str| {
            let problem = Problem::in_row(number, column, message);
            self.problems.push(problem.of_item(row.id, line));
        };
        row.check(&mut add);
        if !is_new {
            add("id", "appears twice");
        }
        let first = self.first.get_or_insert_with(|| FirstRow::new(&row));
        for ((column, cell), (_, expected)) in row.shared().into_iter().zip(&first.shared) {
            if cell != expected {
                add(column, &format!("is `{cell}`, but `{expected}` in row 1"));
            }
        }
        let mut keep = |cell| self.rows.texts.add(cell).0;
        let kept = KeptRow {
            line,
            id,
            unit: keep(row.unit),
            round: keep(row.round),
            role: keep(row.role),
            lane: keep(row.lane),
            attempt: keep(row.attempt),
            scope: keep(row.scope),
        };
        self.rows.kept.push(kept);
    }

    /// Checks the rows together, and the call file. All problems of the wave.
    pub fn finish(mut self) -> Vec<Problem> {
        let LintInput { teams, .. } = self.input;
        if self.is_readable && self.rows.kept.is_empty() {
            let problem = Problem::in_header("id", "the wave has no rows");
            self.problems.push(problem);
        }
        let rows = &self.rows;
        for problem in rows.check_units(teams) {
            self.problems.push(match problem.row {
                Some(number) => {
                    let row = &rows.kept[number - 1];
                    problem.of_item(rows.ids.at(row.id), row.line)
                }
                None => problem,
            });
        }
        let limits = self.first.map(|first| first.limits).unwrap_or_default();
        let members = (0..rows.kept.len()).map(|index| rows.member(index));
        let schema = team::expected_schema(members, teams);
        let LintInput { csv, call, .. } = self.input;
        self.problems
            .extend(call::check(csv, call, &limits, schema.as_ref()));
        self.problems
    }
}

fn check_header(header: &[String]) -> Option<Problem> {
    let wrong = header
        .iter()
        .zip(COLUMNS)
        .position(|(is, expected)| is != expected);
    let index = wrong.unwrap_or(header.len().min(COLUMNS.len()));
    match (header.get(index), COLUMNS.get(index)) {
        (None, None) => None,
        (Some(is), Some(expected)) => {
            let message = format!("column {} must be `{expected}`", index + 1);
            Some(Problem::in_header(is, message))
        }
        (None, Some(expected)) => Some(Problem::in_header(expected, "this column is missing")),
        (Some(is), None) => Some(Problem::in_header(is, "is not a column of a wave")),
    }
}
