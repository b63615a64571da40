//! The recorded cases of the original tool, byte for byte.

//! The cases recorded from the original tool: whole outputs, byte for byte.

use super::*;

/// Runs the recorded input with a worker that does what the model did, and compares the whole output.
fn agrees(name: &str, options: impl Into<Args>, code: u8, changed: &[(&str, &str)]) {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    let sandbox = Sandbox::new();
    let input = std::fs::read(cases.join(format!("{name}.csv"))).expect("an input");
    std::fs::write(sandbox.path("in.csv"), input).expect("written");
    let options = Args::from("--retries 0").and(options);
    let said = spawn_agent(&sandbox, options, "--recorded {mock}");
    assert_eq!(said.code, i32::from(code), "{name}: {}", said.err);
    let recorded = std::fs::read_to_string(cases.join(format!("{name}.out.csv")));
    let mut expected = redacted(&recorded.expect("an output"));
    for (theirs, ours) in changed {
        expected = expected.replace(theirs, ours);
    }
    assert_eq!(redacted(&sandbox.read("out.csv")), expected, "{name}");
}

#[test]
fn inputs_of_every_shape() {
    for name in [
        "all_empty_row",
        "bom",
        "empty_header",
        "empty_line",
        "formula",
        "header_only",
        "semicolon",
        "ws_header",
    ] {
        agrees(name, "", 0, &[]);
    }
}

#[test]
fn a_missing_report() {
    let ours = (
        "worker finished without calling report_agent_job_result",
        "\"no_response: the worker ended without a report, a result file or any output\"",
    );
    for name in ["missing_report", "nest"] {
        agrees(name, "--id-column id", 1, &[ours]);
    }
}

#[test]
fn a_recorded_timeout_gives_the_recorded_output() {
    // Longer than recorded, so that the rows that do answer have time to on a busy machine.
    let ours = (
        "worker exceeded max runtime of 1s",
        "timeout: worker exceeded max runtime of 5s",
    );
    let options = "--id-column id --max-runtime-seconds 5";
    agrees("timeout", options, 1, &[ours]);
}

#[test]
fn a_recorded_stop_gives_the_recorded_output() {
    agrees("stop", "--id-column id -j 1", 4, &[]);
}
