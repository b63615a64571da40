//! `--output-bytes-max`: how much an attempt may print.

use super::*;

#[test]
fn output_of_exactly_the_limit_is_accepted() {
    let result = r#"{"n":1234567}"#;
    for (max, wanted) in [
        (13, format!("completed | 1 |  | {result}")),
        (
            12,
            "failed | 1 | output_too_large: more than 12 bytes on standard output |".to_owned(),
        ),
        (
            1,
            "failed | 1 | output_too_large: more than 1 bytes on standard output |".to_owned(),
        ),
    ] {
        let sandbox = with_rows("id\na\n");
        let max = max.to_string();
        spawn(
            &sandbox,
            &["--output-bytes-max", &max],
            &["printf", "%s", result],
        );
        assert_eq!(ended(&sandbox), wanted, "{max}");
    }
}

#[test]
fn the_output_limit_does_not_apply_to_reports_or_result_files() {
    for way in ["--report", "--file"] {
        let sandbox = with_rows("id\na\n");
        let said = spawn_agent(&sandbox, "--output-bytes-max 1", &[way]);
        assert_eq!(said.code, 0, "{way}: {}", said.err);
    }
}

#[test]
fn a_report_is_kept_when_the_worker_prints_too_much_afterwards() {
    let sandbox = with_rows("id\na\n");
    let script = r#""$MESH" report-result --result '{"n":1}'; yes"#;
    let options = "--output-bytes-max 1000 --env MESH";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(0);
    assert_eq!(ended(&sandbox), r#"completed | 1 |  | {"n":1}"#);
}

#[test]
fn the_tail_of_standard_error_is_kept_within_the_limit() {
    let sandbox = with_rows("id\na\n");
    let script = "yes noise | head -n 5000 >&2; echo 'the real error' >&2; exit 3";
    spawn(&sandbox, "--output-bytes-max 100", &["sh", "-c", script]);
    assert_eq!(
        ended(&sandbox),
        "failed | 1 | worker_exit: exit code 3: the real error |"
    );
    let log = sandbox.only_run().join("logs/001/row-1.1.err");
    let log = read_file(log);
    assert!(log.ends_with("noise\nthe real error\n"), "{log:?}");
    assert!(log.len() <= 100, "{} bytes", log.len());
}

#[test]
fn an_invalid_output_limit_is_refused() {
    for bound in ["0", "-1", "much"] {
        let sandbox = with_rows("id\na\n");
        let option = format!("--output-bytes-max={bound}");
        let said = spawn(&sandbox, &[&option], "touch started");
        assert_eq!(said.code, 2, "{bound}: {}", said.err);
        assert!(!sandbox.path("started").exists());
    }
}

#[test]
fn a_limit_may_be_u64_max() {
    let most = u64::MAX.to_string();
    let sandbox = with_rows("id\na\n");
    let script = "echo talk >&2; echo '{\"n\":1}'";
    let options = ["--output-bytes-max", &most, "--max-wall-seconds", &most];
    spawn(&sandbox, &options, &["sh", "-c", script]).exits(0);
    assert_eq!(ended(&sandbox), r#"completed | 1 |  | {"n":1}"#);
}
