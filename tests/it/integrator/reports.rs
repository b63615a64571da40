//! The report in its other forms, and the parts of it that only some runs have.

use super::*;

fn troubled() -> Bench {
    let a = Task::new("a").agree(&[4]);
    let b = Task::new("b").validation(&["echo '<script> & | `x`'; exit 3"]);
    Bench::new(&[a, b])
}

#[test]
fn junit_has_a_case_for_each_task_and_each_command() {
    let bench = troubled();
    bench.run("max_tasks=2 junit=mesh.xml").exits(1);
    let xml = bench.read("mesh.xml");
    for part in [
        r#"<testsuite name="mesh run R" tests="4" skipped="0" errors="0" failures="2">"#,
        r#"<property name="mesh_run_id" value="R"/>"#,
        r#"<testcase name="a" classname="tasks""#,
        "vote 1: 4 agree, 1 disagree, 0 absent\nchanged a.txt",
        r#"<testcase name="grep -q new a.txt" classname="a""#,
        r#"<testcase name="b" classname="tasks""#,
        r#"type="validation_failed""#,
        "<system-out>&lt;script&gt; &amp; | `x`</system-out>",
    ] {
        assert!(xml.contains(part), "{part}: {xml}");
    }
    // From the ledger alone, later and elsewhere.
    bench.mesh("runs show R --junit again.xml").exits(0);
    assert_eq!(bench.read("again.xml"), xml);
}

#[test]
fn markdown_shows_what_was_said_and_never_becomes_markup() {
    let bench = troubled();
    bench
        .run("max_tasks=2 markdown=summary.md isolation=worktree")
        .exits(1);
    let text = bench.read("summary.md");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "## mesh run R: completed");
    assert_eq!(
        lines[2],
        "| task | state | votes | validation | changed | commit |"
    );
    assert!(
        lines[4].starts_with(
            "| a | completed | 4/5 | <code>grep -q new a.txt</code> exit 0 | <code>a.txt</code> |"
        ),
        "{}",
        lines[4]
    );
    assert!(
        lines[5].starts_with(
            "| b | blocked: validation\\_failed<br>\\`echo '&lt;script&gt; &amp; \\| "
        ),
        "{}",
        lines[5]
    );
    assert!(!text.contains("<script>"), "{text}");
    assert_contains(&text, "### Learnings");
    assert_contains(&text, "### Plan mutations");
    assert!(text.ends_with("`mesh_run_id=R`\n"), "{text}");
}

#[test]
fn a_report_that_cannot_be_written_names_its_path() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run("junit=a.txt/x.xml").exits(2);
    said.err_has("a.txt/x.xml` is below a file");
    let said = bench.run("junit=nodir/deep/x.xml").exits(2);
    said.err_has("nodir/deep/x.xml` is in a folder that does not exist");
    said.err_has("create it: mkdir -p ");
    assert!(!bench.path("nodir").exists());
    assert_eq!(bench.status_of("a"), "pending", "nothing was started");
    assert!(!bench.run_folder().exists(), "nothing was started");
    bench.write("rows.csv", "x\n1\n");
    bench
        .mesh("spawn rows.csv --run-id S --instruction 'do {x}' -- echo {}")
        .exits(0);
    let said = bench.mesh("runs show S --markdown s.md").exits(2);
    said.err_has("run `S` is a spawned CSV");
}

#[test]
fn optional_facts_appear_in_every_report_format() {
    // No metadata, and a first answer that is none.
    let bench = Bench::new(&[Task::new("a").notes("Words.")]);
    bench.answer("a", "hydrate.proposer.1", r#"{"mesh":{"scope":["a.txt"],"acceptance":["x"],"validation":["cargo --version","grep -q new a.txt"]},"plan":["p"],"assumptions":[],"risk":"low","risks":[]}"#);
    for attempt in ["1", "2"] {
        bench.answer("a", &format!("critique.critic_a.{attempt}"), "[]");
    }
    let said = bench.run("markdown=m.md trust_proposed_validation=true retries=0");
    let text = &said.out;
    for part in [
        "Hydrations\n  a: metadata proposed by a worker",
        "Protocol changes\n  a: swarm -> swarm3 (",
        "refused critique.critic_a.1: ",
        "  after wave 003 (",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let markdown = bench.read("m.md");
    for part in ["### Hydrations", "### Protocol changes", "### Backpressure"] {
        assert!(markdown.contains(part), "{part}: {markdown}");
    }
    let json = bench.mesh("runs show R --json");
    let json = report(&json);
    assert_eq!(json["hydrations"][0]["id"], "a");
    assert_eq!(json["protocol_changes"][0]["to"], "swarm3");
    assert_eq!(json["backpressure"][0]["wave"], 3);
    assert_eq!(
        json["tasks"][0]["refusals"][0]["row"],
        "a.critique.critic_a.1"
    );
}

#[test]
fn attempts_without_a_recorded_end_are_listed() {
    let bench = Bench::new(&[Task::new("a")]);
    let probe = Bench::new(&[Task::new("a")]);
    probe.run("");
    let started = probe
        .events()
        .iter()
        .position(|(name, _)| name == "attempt_started");
    let seq = started.expect("an attempt") + 1;
    let killed = bench
        .replay_command("")
        .env("MESH_FAULT_KILL", format!("after:{seq}"))
        .output();
    assert_eq!(killed.expect("mesh starts").status.code(), None);
    let said = bench.mesh("runs show R");
    said.out_has("0 closed, 1 never seen to end\n    never seen to end: a.proposal.proposer.1\n");
}

#[test]
fn the_line_for_planning_panels_comes_with_every_change_of_the_plan() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run("-v");
    let lines: Vec<&str> = said
        .err
        .lines()
        .filter(|line| line.starts_with("update_plan: "))
        .collect();
    assert_eq!(
        lines,
        [
            r#"update_plan: {"plan":[{"step":"Do a","status":"in_progress"}]}"#,
            r#"update_plan: {"plan":[{"step":"Do a","status":"completed"}]}"#
        ]
    );
    let bench = Bench::new(&[Task::new("a")]);
    assert!(!bench.run("").err.contains("update_plan"));
}

#[test]
fn junit_is_xml_and_has_every_line_whatever_a_command_prints() {
    let hostile = "printf 'one\\n\\033]0;never closed\\ntwo\\357\\277\\276\\357\\277\\277\\001\\000\\377\\nthree ]]> <&>\\r\\nfour'";
    let task = Task::new("a").validation(&[hostile, "grep -q new a.txt"]);
    let bench = Bench::new(&[task]);
    bench.run("junit=mesh.xml").exits(0);
    let xml = bench.read("mesh.xml");
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    assert!(xml.chars().all(is_char), "{xml:?}");
    for line in [
        "<system-out>one\n",
        "]0;never closed\n",
        "two\u{fffd}",
        "\nthree ]]",
        "\nfour</system-out>",
    ] {
        assert!(xml.contains(line), "{line:?} in {xml}");
    }
    assert!(bench.mesh("runs show R --junit again.xml").code == 0);
    assert_eq!(bench.read("again.xml"), xml);
}
