use super::*;
use crate::model::{Lane, Role, RoundName};
use crate::protocol::HYDRATION;
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
    let teams = [team, alone, hydration];
    let mut lint = Lint::new(LintInput {
        csv: Path::new("/waves/w.csv"),
        header,
        call,
        teams: &teams,
    });
    for (row, line) in rows.iter().zip([2, 7, 9]) {
        lint.row(row.iter().map(String::as_str), line);
    }
    lint.finish()
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
