//! Checks a wave CSV and its call file.
//!
//! Pure: text in, problems out. The rules are those of CONTRACT, section 3: the columns, the ids, one round and one concurrency
//! limit, a lane in every row and one author per unit, every role of the round ([`lint_team`](super::lint_team)), disjoint
//! scopes, and a call file ([`lint_call`](super::lint_call)) that agrees.

use super::lint_team::{Member, Team, check_team};
use super::problem::Problem;
use super::{COLUMNS, lint_call, lint_team};
use crate::model::{Lane, RowId, RowKey};
use crate::protocol::HYDRATION;
use crate::scope::{Claims, Reach};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A wave to check.
#[derive(Clone, Copy, Debug)]
pub struct LintInput<'w> {
    /// The wave CSV; paths in the call file are relative to its folder.
    pub csv: &'w Path,
    /// The header.
    pub header: &'w [String],
    /// The rows.
    pub rows: &'w [Vec<String>],
    /// The first line of each row.
    pub lines: &'w [u64],
    /// The text of the call file, if there is one.
    pub call: Option<&'w str>,
    /// The roles of the known rounds.
    pub teams: &'w [Team],
}

/// Columns with the same value in all rows of a wave.
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

/// The metadata in the prompt of a task that needs no validation.
const NO_VALIDATION: &str = "allow_no_validation: true";

/// All problems of a wave and its call file.
pub fn lint(input: LintInput<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_readable = match check_header(input.header) {
        Some(problem) => {
            problems.push(problem);
            false
        }
        None => true,
    };
    let rows: Vec<Row<'_>> = input
        .rows
        .iter()
        .enumerate()
        .filter(|_| is_readable)
        .map(|(index, cells)| Row {
            number: index + 1,
            cells,
        })
        .collect();
    if is_readable {
        check_rows(&rows, input.teams, &mut problems);
    }
    for problem in &mut problems {
        let index = problem.row.map(|row| row - 1);
        problem.line = match index {
            Some(index) => input.lines.get(index).copied(),
            None => Some(1),
        };
        problem.item = index.and_then(|index| Some(rows.get(index)?.cell("id").to_owned()));
    }
    let number = |column: &str| rows.first()?.cell(column).parse().ok();
    let limits = lint_call::RowLimits {
        max_concurrency: number("max_concurrency"),
        timeout_seconds: number("timeout_seconds"),
    };
    let schema = match rows.as_slice() {
        [] => None,
        rows => lint_team::expected_schema(&members(&rows.iter().collect::<Vec<_>>()), input.teams),
    };
    problems.extend(lint_call::check(
        input.csv,
        input.call,
        &limits,
        schema.as_ref(),
    ));
    problems
}

fn members<'r>(rows: &[&Row<'r>]) -> Vec<Member<'r>> {
    let member = |row: &&Row<'r>| Member {
        number: row.number,
        unit: row.cell("unit"),
        round: row.cell("round"),
        role: row.cell("role"),
        lane: row.cell("lane"),
        attempt: row.cell("attempt"),
    };
    rows.iter().map(member).collect()
}

fn check_rows(rows: &[Row<'_>], teams: &[Team], problems: &mut Vec<Problem>) {
    let Some(first) = rows.first() else {
        problems.push(problem_at(None, "id", "the wave has no rows"));
        return;
    };
    let mut ids = BTreeSet::new();
    for row in rows {
        check_row(row, problems);
        if !ids.insert(row.cell("id")) {
            problems.push(problem_at(Some(row.number), "id", "appears twice"));
        }
        for column in SHARED {
            if row.cell(column) != first.cell(column) {
                let message = format!(
                    "is `{}`, but `{}` in row 1",
                    row.cell(column),
                    first.cell(column)
                );
                problems.push(problem_at(Some(row.number), column, &message));
            }
        }
    }
    check_units(rows, teams, problems);
}

struct Row<'r> {
    number: usize,
    cells: &'r [String],
}

impl<'r> Row<'r> {
    fn cell(&self, column: &str) -> &'r str {
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

fn problem_at(row: Option<usize>, column: &str, message: &str) -> Problem {
    Problem {
        row,
        column: column.to_owned(),
        message: message.to_owned(),
        ..Problem::default()
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
        (Some(is), Some(expected)) => Some(problem_at(
            None,
            is,
            &format!("column {} must be `{expected}`", index + 1),
        )),
        (None, Some(expected)) => Some(problem_at(None, expected, "this column is missing")),
        (Some(is), None) => Some(problem_at(None, is, "is not a column of a wave")),
    }
}

fn check_row(row: &Row<'_>, problems: &mut Vec<Problem>) {
    let mut add =
        |column: &str, message: &str| problems.push(problem_at(Some(row.number), column, message));
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
            add(column, "must be a positive whole number");
        }
    }
    for column in ["objective", "run_id", "base_sha", "prompt"] {
        if row.cell(column).trim().is_empty() {
            add(column, "is empty");
        }
    }
    for column in ["scope", "depends_on"] {
        let cell = row.cell(column);
        if !cell.is_empty() && cell.split(';').any(|part| part.trim().is_empty()) {
            add(column, "has an empty part between its semicolons");
        }
    }
    let is_own = |part: &str| part.trim() == row.cell("unit");
    if row.cell("depends_on").split(';').any(is_own) {
        add("depends_on", "names the unit of the row itself");
    }
    // The hydration round asks for the missing metadata.
    if row.cell("round") == HYDRATION {
        return;
    }
    if row.cell("scope").is_empty() {
        add("scope", "is empty: nothing could be changed");
    }
    if row.cell("acceptance").trim().is_empty() {
        add("acceptance", "is empty: nothing says when the task is done");
    }
    let may_lack = row.cell("prompt").contains(NO_VALIDATION);
    if row.cell("validation").trim().is_empty() && !may_lack {
        add("validation", "is empty: no command would prove the result");
    }
}

/// Checks the rows of a unit together, and the units against each other.
fn check_units(rows: &[Row<'_>], teams: &[Team], problems: &mut Vec<Problem>) {
    let mut units: BTreeMap<&str, Vec<&Row<'_>>> = BTreeMap::new();
    for row in rows {
        units.entry(row.cell("unit")).or_default().push(row);
    }
    let mut reaches: Vec<(&Row<'_>, Reach)> = Vec::new();
    let mut claims = Claims::default();
    for rows in units.values() {
        let first = rows[0];
        problems.extend(check_team(&members(rows), teams));
        for row in &rows[1..] {
            let is_patch = row.cell("lane") == Lane::Patch.as_str();
            if is_patch && !are_candidates(first.cell("role"), row.cell("role")) {
                problems.push(problem_at(
                    Some(row.number),
                    "lane",
                    "a second author of the unit's patch",
                ));
            }
            if row.cell("scope") != first.cell("scope") {
                let message = format!("differs from that of the same unit in row {}", first.number);
                problems.push(problem_at(Some(row.number), "scope", &message));
            }
        }
        match Reach::new(&first.scope()) {
            Ok(reach) => {
                if claims.conflicts_with(&reach) {
                    problems.push(overlap(first, &reach, &reaches));
                }
                claims.add(reach.clone());
                reaches.push((first, reach));
            }
            Err(error) => {
                problems.push(problem_at(Some(first.number), "scope", &error.to_string()))
            }
        }
    }
}

/// Whether two roles are candidates for one patch: `author_1` and `author_2`.
fn are_candidates(one: &str, other: &str) -> bool {
    let author = |role: &str| {
        let (author, number) = role.rsplit_once('_')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| author.to_owned())
    };
    one != other && author(one).is_some() && author(one) == author(other)
}

/// The problem with the first unit that may share a path with this one.
fn overlap(row: &Row<'_>, reach: &Reach, others: &[(&Row<'_>, Reach)]) -> Problem {
    let other = others.iter().find(|(_, other)| reach.may_meet(other));
    let whose = other.map_or_else(
        || "another unit".to_owned(),
        |(other, _)| format!("unit `{}` in row {}", other.cell("unit"), other.number),
    );
    problem_at(
        Some(row.number),
        "scope",
        &format!("may overlap the scope of {whose}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, RoundName};
    use serde_json::{Value, json};

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

    fn good_call() -> Value {
        json!({
            "csv_path": "w.csv",
            "instruction": "{prompt}",
            "id_column": "id",
            "output_csv_path": "w.out.csv",
            "output_schema": {},
            "max_concurrency": 5,
            "max_runtime_seconds": 60,
        })
    }

    fn found(header: &[String], rows: &[Vec<String>], call: Option<&str>) -> Vec<Problem> {
        let team = Team {
            protocol: "p".to_owned(),
            round: RoundName::new("critique"),
            roles: vec![
                Role::new("critic"),
                Role::new("other"),
                Role::new("skeptic"),
            ],
            lane: Lane::ReadOnly,
            schema: None,
        };
        let alone = Team {
            roles: vec![Role::new("skeptic")],
            ..team.clone()
        };
        let hydration = Team {
            round: RoundName::new(HYDRATION),
            ..alone.clone()
        };
        lint(LintInput {
            csv: Path::new("/waves/w.csv"),
            header,
            rows,
            lines: &[2, 7, 9],
            call,
            teams: &[team, alone, hydration],
        })
    }

    fn problems(rows: &[Vec<String>]) -> Vec<String> {
        let found = found(&header(), rows, Some(&good_call().to_string()));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_wave_has_no_problems() {
        assert_eq!(problems(&[row("a", &[]), row("b", &[])]), [""; 0]);
    }

    #[test]
    fn each_cell_is_checked() {
        for (change, expected) in [
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
                "column `max_concurrency`: must be a positive whole number",
            ),
            (
                ("timeout_seconds", "x"),
                "column `timeout_seconds`: must be a positive whole number",
            ),
            (("prompt", " "), "column `prompt`: is empty"),
            (("acceptance", " \n"), "column `acceptance`: is empty"),
            (("validation", ""), "column `validation`: is empty"),
            (
                ("depends_on", "b;;c"),
                "column `depends_on`: has an empty part",
            ),
            (
                ("depends_on", "b; "),
                "column `depends_on`: has an empty part",
            ),
            (
                ("depends_on", "b;a"),
                "column `depends_on`: names the unit of the row itself",
            ),
            (("scope", "a/**;"), "column `scope`: has an empty part"),
            (
                ("lane", "patch"),
                "column `lane`: is `patch`; round `critique` of protocol `p` is `read_only`",
            ),
            (("scope", ""), "column `scope`: is empty"),
            (
                ("scope", "../x"),
                "column `scope`: scope `../x`: leaves the repository",
            ),
        ] {
            let found = problems(&[row("a", &[change])]);
            assert!(
                found.iter().any(|problem| problem.contains(expected)),
                "{change:?}: {found:?}"
            );
        }
    }

    #[test]
    fn rows_must_agree_and_scopes_must_not_overlap() {
        let found = problems(&[
            row("a", &[]),
            row("b", &[("max_concurrency", "6"), ("scope", "c/x;a/b.rs")]),
            row("a", &[]),
        ]);
        assert_eq!(
            found,
            [
                "row 2, item `b.critique.skeptic.1`, column `max_concurrency`: is `6`, but `5` in row 1",
                "row 3, item `a.critique.skeptic.1`, column `id`: appears twice",
                "row 2, item `b.critique.skeptic.1`, column `scope`: may overlap the scope of unit `a` in row 1",
            ]
        );
        let author = [("lane", "patch")];
        let found = problems(&[row("a", &author), row("a", &author)]);
        assert!(
            found
                .iter()
                .any(|problem| problem.contains("a second author")),
            "{found:?}"
        );
    }

    #[test]
    fn every_role_of_the_round_has_a_row() {
        let of = |role: &str, attempt: &str| {
            let id = format!("a.critique.{role}.{attempt}");
            row("a", &[("role", role), ("attempt", attempt), ("id", &id)])
        };
        let all = ["critic", "other", "skeptic"].map(|role| of(role, "1"));
        assert_eq!(problems(&all), [""; 0]);
        assert_eq!(
            problems(&all[..2]),
            [
                "row 1, item `a.critique.critic.1`, column `role`: unit `a` has no row of `skeptic`, which also answers in round `critique` of protocol `p`"
            ]
        );
        // Another protocol has the skeptic alone; and a later attempt asks only some again.
        assert_eq!(problems(&all[2..]), [""; 0]);
        assert_eq!(problems(&[of("critic", "2"), of("other", "2")]), [""; 0]);
        assert_eq!(
            problems(&[of("critic", "1"), of("king", "1"), of("skeptic", "1")]),
            [
                "row 2, item `a.critique.king.1`, column `role`: `king` has no part in round `critique` of any known protocol; pass the protocol of the wave with --protocol"
            ]
        );
    }

    #[test]
    fn a_task_may_say_that_it_needs_no_validation() {
        let metadata = [
            ("validation", ""),
            ("prompt", "scope: [a]\nallow_no_validation: true\n"),
        ];
        assert_eq!(problems(&[row("a", &metadata)]), [""; 0]);
        let asked = [
            ("round", HYDRATION),
            ("id", "a.hydrate.skeptic.1"),
            ("acceptance", ""),
            ("validation", ""),
            ("scope", ""),
        ];
        assert_eq!(problems(&[row("a", &asked)]), [""; 0]);
    }

    #[test]
    fn a_problem_has_its_line_and_item() {
        let found = found(
            &header(),
            &[row("a", &[]), row("b", &[("risk", "x")])],
            Some(&good_call().to_string()),
        );
        let [problem] = found.as_slice() else {
            panic!("{found:?}");
        };
        let item = problem.item.as_deref();
        assert_eq!(
            (problem.line, item),
            (Some(7), Some("b.critique.skeptic.1"))
        );
    }

    #[test]
    fn the_header_is_checked_too() {
        let call = good_call().to_string();
        let first = |header: &[String]| found(header, &[], Some(&call))[0].to_string();
        let mut other = header();
        other.swap(1, 2);
        assert_eq!(first(&other), "`objective`: column 2 must be `unit`");
        other.truncate(1);
        assert_eq!(first(&other), "`unit`: this column is missing");
        other = header();
        other.push("more".to_owned());
        assert_eq!(first(&other), "`more`: is not a column of a wave");
        assert_eq!(first(&header()), "`id`: the wave has no rows");
    }
}
