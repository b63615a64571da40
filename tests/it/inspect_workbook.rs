//! `--xlsx`: workbooks, read back by another library and compared cell by cell.

use crate::fixture::*;
use calamine::{Data, Range, Reader, Xlsx, open_workbook};
use std::path::Path;

type Book = Xlsx<std::io::BufReader<std::fs::File>>;

fn open(path: &Path) -> Book {
    open_workbook(path).expect("a workbook")
}

fn sheet(book: &mut Book, name: &str) -> Range<Data> {
    book.worksheet_range(name).expect(name)
}

/// The cells below the header `title`.
fn column(range: &Range<Data>, title: &str) -> Vec<Data> {
    let mut rows = range.rows();
    let header = rows.next().expect("a header");
    let at = header
        .iter()
        .position(|cell| *cell == Data::String(title.to_owned()));
    let at = at.unwrap_or_else(|| panic!("no column {title}: {header:?}"));
    rows.map(|row| row[at].clone()).collect()
}

fn texts(texts: &[&str]) -> Vec<Data> {
    let text = |text: &&str| match text.is_empty() {
        true => Data::Empty,
        false => Data::String((*text).to_owned()),
    };
    texts.iter().map(text).collect()
}

/// A CSV with these cells in column `text`.
fn csv(cells: &[&str]) -> String {
    let lines = cells.iter().enumerate().map(|(at, cell)| {
        let cell = cell.replace('"', "\"\"");
        format!("r{at},\"{cell}\",x\n")
    });
    format!("id,text,status\n{}", lines.collect::<String>())
}

/// Returns its cell and typed values; fails for r1.
const SCRIPT: &str = r#"case $MESH_ITEM_ID in r1) echo broken >&2; exit 3;; esac
printf '{"n": 1.5, "big": 12345678901234567890, "ok": true, "at": "2026-02-13T12:00:00Z", "day": "2026-02-13", "zip": "007", "f": "=1+1", "list": [1]}'"#;

fn spawn(sandbox: &Sandbox, more: &[&str]) -> Said {
    let args =
        Args::from("spawn in.csv --run-id R --id-column id --retries 0 -o out.csv --instruction x");
    sandbox.mesh(args.and(more).and("--").and(&["sh", "-c", SCRIPT]))
}

#[test]
fn hostile_texts_stay_texts_and_results_keep_their_types() {
    let sandbox = Sandbox::new();
    let long = "a".repeat(40_000);
    let cells = [
        "=cmd|'/C calc'!A0",
        "@SUM(1)",
        "+1",
        "-1",
        "a\tb",
        "a\rb",
        "a\r\nb",
        "http://example.com/",
        "007",
        "\u{1}\u{1b}[31m",
        "_x0041_ &amp; <b>",
        " spaces ",
        long.as_str(),
        "1e5",
        "TRUE",
        "😀\u{202e}",
    ];
    sandbox.write("in.csv", &csv(&cells));
    spawn(&sandbox, &["--xlsx", "out.xlsx"]).exits(1);
    let mut book = open(&sandbox.path("out.xlsx"));
    assert_eq!(
        book.sheet_names(),
        ["Summary", "Results", "Failures", "Cost", "Figures"]
    );
    let results = sheet(&mut book, "Results");
    let got = column(&results, "text");
    let mut expected = cells;
    (expected[5], expected[6], expected[9]) = ("a␍b", "a\nb", "␁␛[31m");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        if at != 12 {
            assert_eq!(*got, Data::String(expected.to_owned()));
        }
    }
    let Data::String(cut) = &got[12] else {
        panic!("{:?}", got[12])
    };
    assert_eq!(cut.chars().count(), 32_767);
    let end = format!(
        "[cut; all 40000 characters: {}]",
        sandbox.path("out.csv").display()
    );
    assert!(cut.ends_with(&end), "{}", &cut[32_600..]);
    for (title, value) in [
        ("result.n", Data::Float(1.5)),
        (
            "result.big",
            Data::String("12345678901234567890".to_owned()),
        ),
        ("result.ok", Data::Bool(true)),
        ("result.zip", Data::String("007".to_owned())),
        ("result.f", Data::String("=1+1".to_owned())),
        ("result.list", Data::String("[1]".to_owned())),
        ("attempts", Data::Float(1.0)),
        ("status", Data::String("completed".to_owned())),
        ("input.status", Data::String("x".to_owned())),
    ] {
        assert_eq!(column(&results, title)[0], value, "{title}");
    }
    for (title, iso) in [
        ("result.at", "2026-02-13T12:00:00"),
        ("result.day", "2026-02-13T00:00:00"),
    ] {
        let Data::DateTime(time) = &column(&results, title)[0] else {
            panic!("{title} is no date")
        };
        assert!(
            (time.as_f64()
                - if title == "result.at" {
                    46_066.5
                } else {
                    46_066.0
                })
            .abs()
                < 1e-9,
            "{iso}"
        );
    }
    assert_eq!(column(&results, "result.n")[1], Data::Empty);
    for name in ["Summary", "Results", "Failures", "Cost", "Figures"] {
        let formulas = book.worksheet_formula(name).expect(name);
        assert!(
            formulas.used_cells().next().is_none(),
            "{name} has formulas"
        );
    }
    let failures = sheet(&mut book, "Failures");
    assert_eq!(column(&failures, "item"), texts(&["r1"]));
    assert_eq!(column(&failures, "code"), texts(&["worker_exit"]));
    let Data::String(log) = &column(&failures, "error log")[0] else {
        panic!("no log")
    };
    assert_eq!(read_file(Path::new(log)), "broken\n");
    // The same rows from the output alone.
    sandbox
        .mesh("inspect out.csv --xlsx again.xlsx")
        .exits(0)
        .out_has("again.xlsx");
    let again = sheet(&mut open(&sandbox.path("again.xlsx")), "Results");
    for title in ["text", "status", "result.n", "result.at", "result.zip"] {
        assert_eq!(
            column(&again, title)[1..12],
            column(&results, title)[1..12],
            "{title}"
        );
    }
}

#[test]
fn failures_link_to_their_row_and_only_ours_are_links() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in.csv",
        &csv(&["http://a.example", "file:///etc/passwd", "mailto:x@y"]),
    );
    spawn(&sandbox, &["--xlsx", "out.xlsx"]).exits(1);
    let listed = sandbox.shell(r#"unzip -p out.xlsx xl/worksheets/sheet3.xml; echo; echo ==; unzip -p out.xlsx xl/worksheets/sheet2.xml"#, "").output();
    let listed = String::from_utf8_lossy(&listed.expect("unzip").stdout).into_owned();
    let (failures, results) = listed.split_once("\n==\n").expect("both sheets");
    assert!(
        failures.contains(r#"location="'Results'!A3""#),
        "{failures}"
    );
    assert!(!results.contains("<hyperlink"), "{results}");
    assert!(
        results.contains("autoFilter") && results.contains("state=\"frozen\""),
        "{results}"
    );
    assert!(results.contains("conditionalFormatting"), "{results}");
}

#[test]
fn a_plan_has_sheets_of_tasks_votes_waves_and_cost() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[4]),
        Task::new("b").scope(&["other.txt"]),
    ]);
    bench.run("max_tasks=2 xlsx=run.xlsx").exits(1);
    let mut book = open(&bench.path("run.xlsx"));
    let names = book.sheet_names();
    assert_eq!(
        names[..5],
        ["Summary", "Results", "Failures", "Tasks", "Votes"]
    );
    assert_eq!(names[names.len() - 2..], ["Cost", "Figures"]);
    assert_eq!(names.len() - 7, bench.waves().len(), "{names:?}");
    let wave = names[5].clone();
    assert!(wave.ends_with(" proposal"), "{wave}");
    let tasks = sheet(&mut book, "Tasks");
    assert_eq!(column(&tasks, "task"), texts(&["a", "b"]));
    assert_eq!(column(&tasks, "status"), texts(&["completed", "blocked"]));
    assert_eq!(
        column(&tasks, "first wave")[0],
        Data::String("001".to_owned())
    );
    let votes = sheet(&mut book, "Votes");
    let roles = column(&votes, "role");
    assert_eq!(roles.last(), Some(&Data::String("all".to_owned())));
    let first = column(&votes, "vote 1");
    assert_eq!(
        first.last(),
        Some(&Data::String("4 of 5 agree, 4 needed".to_owned()))
    );
    assert_eq!(
        first
            .iter()
            .filter(|vote| **vote == Data::String("agree".to_owned()))
            .count(),
        4
    );
    let rows = sheet(&mut book, &wave);
    let file = &bench.waves()[0];
    assert_eq!(column(&rows, "unit"), texts(&file.column("unit")));
    assert_eq!(column(&rows, "prompt"), texts(&file.column("prompt")));
    let cost = sheet(&mut book, "Cost");
    assert!(column(&cost, "by").contains(&Data::String("wave".to_owned())));
    let figures = sheet(&mut book, "Figures");
    for about in ["tasks", "votes", "role", "failure", "fan-out"] {
        let about = Data::String(about.to_owned());
        assert!(column(&figures, "about").contains(&about), "{about}");
    }
    // Results has every row of every wave, and the failures lead to it.
    let results = sheet(&mut book, "Results");
    assert_eq!(column(&results, "item").len(), bench.rows().len());
    assert!(
        column(&sheet(&mut book, "Failures"), "code")
            .contains(&Data::String("out_of_scope".to_owned()))
    );
    // Later, and of one wave alone.
    bench.mesh("runs show R --xlsx later.xlsx").exits(0);
    assert_eq!(open(&bench.path("later.xlsx")).sheet_names(), names);
    let csv = bench
        .run_folder()
        .join("waves/001-proposal.csv")
        .display()
        .to_string();
    bench
        .mesh(&["inspect", &csv, "--xlsx", "wave.xlsx"])
        .exits(0);
    let names = open(&bench.path("wave.xlsx")).sheet_names();
    assert_eq!(
        names,
        ["Summary", "Results", "Failures", "001 proposal", "Cost"]
    );
}

#[test]
fn a_workbook_replaces_a_file_only_by_force_and_is_checked_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", &csv(&["a"]));
    sandbox.write("there.xlsx", "mine");
    for (path, why) in [
        ("there.xlsx", "`there.xlsx` already exists"),
        ("in.csv", "is read by this command"),
        ("new/x.xlsx", "is in a folder that does not exist"),
        ("out.csv", "is the output"),
    ] {
        let refused = spawn(&sandbox, &["--xlsx", path]).exits(2);
        refused.err_has(why.trim_start_matches("`there.xlsx` "));
        assert!(
            !sandbox.mesh_home().exists() && !sandbox.path("out.csv").exists(),
            "{path}"
        );
    }
    spawn(&sandbox, &[]).exits(0);
    let refused = sandbox.mesh("inspect R --xlsx there.xlsx").exits(2);
    refused.err_has("hint: pass --force to replace it");
    assert_eq!(sandbox.read("there.xlsx"), "mine");
    sandbox
        .mesh("inspect out.csv --xlsx out.csv --force")
        .exits(2)
        .err_has("is what is inspected");
    sandbox.mesh("inspect R --xlsx there.xlsx --force").exits(0);
    assert_eq!(
        sheet(&mut open(&sandbox.path("there.xlsx")), "Results").height(),
        2
    );
}

#[test]
fn a_full_disk_leaves_no_half_workbook() {
    let sandbox = Sandbox::new();
    let random = (0..3000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string());
    let cells: Vec<String> = random.map(|text| text.repeat(5)).collect();
    let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
    sandbox.write("in.csv", &csv(&cells));
    let args = Args::from("spawn in.csv --run-id R --rows 1-2 --instruction x -o out.csv --")
        .and(&["sh", "-c", "echo '{}'"]);
    sandbox.mesh(args).exits(0);
    let header = sandbox.read("out.csv");
    let line = header.lines().nth(1).expect("a row").to_owned();
    let many: String = (0..3000)
        .map(|n| line.replace("r0", &format!("r{n}{}", cells[n])) + "\n")
        .collect();
    sandbox.write(
        "many.csv",
        &format!("{}\n{many}", header.lines().next().expect("a header")),
    );
    // A bound on the size of files is a full disk that needs no disk of its own.
    for blocks in ["8", "120"] {
        let script = format!(r#"ulimit -f {blocks}; exec "$@""#);
        let mut command = sandbox.shell(&script, "inspect many.csv --xlsx big.xlsx");
        let said = command.run_to_end().exits(3);
        said.err_has("error: workbook `");
        said.err_has("can't be written\n  caused by: ");
        said.err_lacks("panicked");
    }
    let left = std::fs::read_dir(sandbox.work()).expect("a folder");
    let left: Vec<_> = left
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert!(left.iter().all(|name| !name.contains("big")), "{left:?}");
}

#[test]
fn a_resume_writes_a_workbook_and_appends_to_the_summary_of_a_step() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", &csv(&["a", "b|c"]));
    sandbox.write("step.md", "before\n");
    let step = |args: Args| {
        let mut command = sandbox.command(args);
        command.env("GITHUB_STEP_SUMMARY", sandbox.path("step.md"));
        said(command.output().expect("run"))
    };
    let args = Args::from(
        "spawn in.csv --run-id R --id-column id --retries 0 -o out.csv --instruction x --",
    );
    step(args.and(&["sh", "-c", SCRIPT])).exits(1);
    let summary = sandbox.read("step.md");
    assert_starts_with(
        &summary,
        "before\n\n## mesh spawn R: completed\n\n1 of 2 rows completed, 1 failed.\n",
    );
    assert_contains(&summary, "\n| r1 | worker\\_exit: exit code 3: broken |\n");
    step(Args::from("resume R --xlsx out.csv"))
        .exits(2)
        .err_has("is the output");
    assert_eq!(sandbox.read("step.md"), summary);
    step(Args::from("resume R --xlsx out.xlsx")).exits(1);
    assert_eq!(
        sandbox.read("step.md").matches("## mesh spawn R").count(),
        2
    );
    let mut book = open(&sandbox.path("out.xlsx"));
    assert_eq!(
        column(&sheet(&mut book, "Results"), "id"),
        texts(&["r0", "r1"])
    );
    // Without the file, the run is not affected.
    std::fs::remove_file(sandbox.path("step.md")).expect("removed");
    step(Args::from("resume R"))
        .exits(1)
        .err_has("warning: the summary of the step can't be appended to `");
}
