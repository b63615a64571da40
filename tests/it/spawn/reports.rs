//! `--junit` and `--markdown` of a spawned CSV.

use super::*;
use quick_junit::TestCaseStatus;

/// `b` fails, with what XML would read as markup.
const WORKER: &str = "if [ $MESH_ITEM_ID = b ]; then echo 'no </failure> & so on' >&2; exit 3; fi; echo '{\"x\": 1}'";

fn cases(xml: &str) -> Vec<(String, String)> {
    let report = quick_junit::Report::deserialize_from_str(xml).expect("JUnit");
    let cases = report.test_suites[0].test_cases.iter();
    let status = |case: &quick_junit::TestCase| match &case.status {
        TestCaseStatus::Success { .. } => "success".to_owned(),
        TestCaseStatus::NonSuccess { ty, .. } => ty.as_deref().unwrap_or_default().to_owned(),
        TestCaseStatus::Skipped { .. } => "skipped".to_owned(),
    };
    cases
        .map(|case| (case.name.to_string(), status(case)))
        .collect()
}

#[test]
fn each_row_is_a_test_case() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\nb\nc\n");
    let said = sandbox.mesh(&[
        "spawn",
        "in.csv",
        "--id-column",
        "id",
        "--instruction",
        "x",
        "--retries",
        "0",
        "-j",
        "1",
        "--max-rows",
        "2",
        "--run-id",
        "R",
        "--junit",
        "rows.xml",
        "--markdown",
        "rows.md",
        "--",
        "sh",
        "-c",
        WORKER,
    ]);
    said.exits(4);
    let xml = sandbox.read("rows.xml");
    assert!(
        xml.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""),
        "{xml}"
    );
    let expected = |c: &str| {
        [("a", "success"), ("b", "worker_exit"), ("c", c)]
            .map(|(id, status)| (id.to_owned(), status.to_owned()))
    };
    assert_eq!(cases(&xml), expected("skipped"));
    assert!(
        sandbox
            .read("rows.md")
            .contains("1 of 3 rows completed, 1 failed")
    );
    sandbox
        .mesh("resume R --max-rows 9 --junit rows.xml --markdown rows.md")
        .exits(1);
    assert_eq!(cases(&sandbox.read("rows.xml")), expected("success"));
    assert!(sandbox.read("rows.md").contains("| b | worker"));
    sandbox.mesh("inspect R --junit again.xml").exits(0);
    sandbox.mesh("runs show R --junit shown.xml").exits(0);
    assert_eq!(
        ["again.xml", "shown.xml"].map(|file| sandbox.read(file)),
        [sandbox.read("rows.xml"), sandbox.read("rows.xml")]
    );
}

#[test]
fn a_report_that_can_not_be_written_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\na\n");
    for (report, told) in [
        ("nowhere/rows.xml", "nowhere"),
        ("in.csv", "is read by this command"),
        ("out.csv", "is the output"),
    ] {
        let said = sandbox.mesh(&[
            "spawn",
            "in.csv",
            "-o",
            "out.csv",
            "--instruction",
            "x",
            "--junit",
            report,
            "--",
            "true",
        ]);
        said.exits(2).err_has(told);
        assert!(!sandbox.mesh_home().join("runs").exists());
    }
}
