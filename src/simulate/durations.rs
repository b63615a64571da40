//! The durations of rows: from a file, else from earlier runs, else a default.

use super::learned::{Learned, Median};
use super::setup::Times;
use crate::model::{Role, RoundName, RowKey, UnitId};
use std::collections::HashMap;

/// The value of the column `round` for applying and validating a patch.
pub const INTEGRATION: &str = "integrate";

/// The default duration of a row, in seconds.
pub const ROW_SECONDS_DEFAULT: u64 = 60;

/// The maximum of a duration: some three hundred years.
const SECONDS_MAX: f64 = 1e10;

/// Why a table of durations was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationsError {
    /// A required column is missing.
    #[error("no column `{0}`")]
    NoColumn(&'static str),
    /// A cell is invalid. Rows are counted from 1, without the header.
    #[error("row {row}, column `{column}`: {message}")]
    Cell {
        /// The row.
        row: usize,
        /// The column.
        column: &'static str,
        /// The problem.
        message: String,
    },
}

impl DurationsError {
    /// A suggestion for the user.
    pub fn hint(&self) -> String {
        "the column seconds is required, and round or task; role is optional; a row without a round is a whole task"
            .to_owned()
    }
}

/// The durations in a file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Durations of a row, by round and optional task and role.
    rows_ms: HashMap<RowsOf, u64>,
    tasks_ms: HashMap<UnitId, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RowsOf {
    task: Option<UnitId>,
    round: RoundName,
    role: Option<Role>,
}

impl Given {
    /// Reads a table with the columns `seconds` and any of `task`, `round`, `role`; other columns are ignored.
    ///
    /// A row with a round is the duration of each row in that round, or only of those of `task` and `role`; the round `integrate`
    /// is applying and validating. A row with a task and no round is the duration of that task from its first row to its
    /// integration, if it never waits.
    pub fn read(header: &[String], rows: &[Vec<String>]) -> Result<Self, DurationsError> {
        let column = |name: &str| header.iter().position(|column| column.trim() == name);
        let seconds = column("seconds").ok_or(DurationsError::NoColumn("seconds"))?;
        let [task, round, role] = ["task", "round", "role"].map(column);
        if task.or(round).is_none() {
            return Err(DurationsError::NoColumn("round"));
        }
        let mut given = Self::default();
        for (index, cells) in rows.iter().enumerate() {
            let cell = |at: Option<usize>| {
                let text = cells.get(at?)?.trim();
                (!text.is_empty()).then_some(text)
            };
            let line = Line {
                row: index + 1,
                task: cell(task).map(UnitId::new),
                round: cell(round).map(RoundName::new),
                role: cell(role).map(Role::new),
            };
            let ms = line.milliseconds(cell(Some(seconds)))?;
            given.add_line(line, ms)?;
        }
        Ok(given)
    }

    fn add_line(&mut self, line: Line, ms: u64) -> Result<(), DurationsError> {
        let twice = line.error("seconds", "is given twice".to_owned());
        let before = match (&line.task, &line.round, &line.role) {
            (None, None, _) => {
                return Err(line.error("round", "names neither a round nor a task".to_owned()));
            }
            (_, None, Some(_)) => {
                return Err(line.error("role", "a role needs its round".to_owned()));
            }
            (Some(task), None, None) => self.tasks_ms.insert(task.clone(), ms),
            (task, Some(round), role) => self.rows_ms.insert(
                RowsOf {
                    task: task.clone(),
                    round: round.clone(),
                    role: role.clone(),
                },
                ms,
            ),
        };
        before.map_or(Ok(()), |_| Err(twice))
    }

    /// The tasks with durations of their own.
    pub fn tasks(&self) -> impl Iterator<Item = &UnitId> {
        let rows = self.rows_ms.keys().filter_map(|key| key.task.as_ref());
        self.tasks_ms.keys().chain(rows)
    }

    /// The most specific duration; a task takes precedence over a role.
    fn row_ms(&self, task: Option<&UnitId>, round: &RoundName, role: Option<&Role>) -> Option<u64> {
        let find = |task: Option<&UnitId>, role: Option<&Role>| {
            let key = RowsOf {
                task: task.cloned(),
                round: round.clone(),
                role: role.cloned(),
            };
            self.rows_ms.get(&key).copied()
        };
        find(task, role)
            .or_else(|| find(task, None))
            .or_else(|| find(None, role))
            .or_else(|| find(None, None))
    }
}

struct Line {
    row: usize,
    task: Option<UnitId>,
    round: Option<RoundName>,
    role: Option<Role>,
}

impl Line {
    fn milliseconds(&self, seconds: Option<&str>) -> Result<u64, DurationsError> {
        let seconds = seconds.unwrap_or_default();
        let number = seconds.parse::<f64>().ok();
        match number.filter(|number| (0.0..=SECONDS_MAX).contains(number)) {
            Some(number) => Ok((number * 1000.0).round() as u64),
            None => Err(self.error(
                "seconds",
                format!("`{seconds}` is not a number of seconds, such as 90 or 2.5"),
            )),
        }
    }

    fn error(&self, column: &'static str, message: String) -> DurationsError {
        DurationsError::Cell {
            row: self.row,
            column,
            message,
        }
    }
}

/// The source of a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    Given,
    /// This many rows of earlier runs.
    Learned(usize),
    /// The default.
    Default,
}

/// All known durations.
#[derive(Clone, Debug)]
pub struct Durations {
    /// Those in a file, which take precedence.
    pub given: Given,
    /// Those of earlier runs.
    pub learned: Learned,
    /// The default duration of a row, in milliseconds. That of an integration is 0.
    pub row_default_ms: u64,
}

impl Durations {
    /// The duration of a row of `round` in any task, with its source.
    pub fn row_duration(&self, round: &RoundName, role: &Role) -> (u64, Source) {
        if let Some(ms) = self.given.row_ms(None, round, Some(role)) {
            return (ms, Source::Given);
        }
        let learned = &self.learned;
        let found = learned.row(round, role);
        let found = found.or_else(|| learned.round(round));
        match found.or_else(|| learned.any_row()) {
            Some(Median { ms, samples }) => (ms, Source::Learned(samples)),
            None => (self.row_default_ms, Source::Default),
        }
    }

    /// The duration of an integration in any task, with its source.
    pub fn integration_duration(&self) -> (u64, Source) {
        let round = RoundName::new(INTEGRATION);
        match (
            self.given.row_ms(None, &round, None),
            self.learned.integration(),
        ) {
            (Some(ms), _) => (ms, Source::Given),
            (None, Some(Median { ms, samples })) => (ms, Source::Learned(samples)),
            (None, None) => (0, Source::Default),
        }
    }
}

impl Times for Durations {
    fn row_ms(&self, row: &RowKey) -> u64 {
        let (task, role) = (Some(&row.unit), Some(&row.role));
        let given = self.given.row_ms(task, &row.round, role);
        given.unwrap_or_else(|| self.row_duration(&row.round, &row.role).0)
    }

    fn integration_ms(&self, unit: &UnitId) -> u64 {
        let round = RoundName::new(INTEGRATION);
        let given = self.given.row_ms(Some(unit), &round, None);
        given.unwrap_or_else(|| self.integration_duration().0)
    }

    fn task_ms(&self, unit: &UnitId) -> Option<u64> {
        self.given.tasks_ms.get(unit).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Given, DurationsError> {
        let mut lines = text.lines().map(|line| {
            let cells = line.split(',');
            cells.map(str::to_owned).collect::<Vec<_>>()
        });
        let header = lines.next().expect("a header");
        Given::read(&header, &lines.collect::<Vec<_>>())
    }

    fn known(text: &str) -> Durations {
        Durations {
            given: read(text).expect("usable"),
            learned: Learned::default(),
            row_default_ms: 60_000,
        }
    }

    #[test]
    fn the_most_specific_duration_applies() {
        let durations = known(
            "task,round,role,seconds\n,vote,,1\n,vote,skeptic,2\na,vote,,3\na,vote,skeptic,4.5\nb,,,600\n,integrate,,7\na,integrate,,8\n",
        );
        let row = |unit: &str, round: &str, role: &str| {
            durations.row_ms(&RowKey {
                unit: UnitId::new(unit),
                round: RoundName::new(round),
                role: Role::new(role),
                attempt: 1,
            })
        };
        assert_eq!(row("a", "vote", "skeptic"), 4500);
        assert_eq!(row("a", "vote", "proposer"), 3000);
        assert_eq!(row("b", "vote", "skeptic"), 2000);
        assert_eq!(row("b", "vote", "proposer"), 1000);
        assert_eq!(row("b", "critique", "skeptic"), 60_000);
        assert_eq!(durations.task_ms(&UnitId::new("b")), Some(600_000));
        assert_eq!(durations.integration_ms(&UnitId::new("a")), 8000);
        assert_eq!(durations.integration_ms(&UnitId::new("b")), 7000);
    }

    #[test]
    fn an_error_names_row_and_column() {
        let error = |text: &str| read(text).expect_err("not usable").to_string();
        assert_eq!(error("round,minutes\n"), "no column `seconds`");
        assert_eq!(error("seconds,role\n"), "no column `round`");
        assert_eq!(
            error("round,seconds\nvote,1\nvote,soon\n"),
            "row 2, column `seconds`: `soon` is not a number of seconds, such as 90 or 2.5"
        );
        for seconds in ["-1", "NaN", "inf", "1e99", ""] {
            assert!(
                error(&format!("round,seconds\nvote,{seconds}\n"))
                    .starts_with("row 1, column `seconds`"),
                "{seconds}"
            );
        }
        assert_eq!(
            error("round,seconds\nvote,1\nvote,2\n"),
            "row 2, column `seconds`: is given twice"
        );
        assert_eq!(
            error("round,task,seconds\n,,2\n"),
            "row 1, column `round`: names neither a round nor a task"
        );
        assert_eq!(
            error("round,role,task,seconds\n,skeptic,a,2\n"),
            "row 1, column `role`: a role needs its round"
        );
    }
}
