//! Protocols that begin with a test: it is seen to fail before the patch and to pass after it, and an empty one is refused.

use super::*;

const RUN: &str = "for t in tests/*.t; do [ -e $t ] || continue; sh $t || exit 1; done\n";
const GOOD: &str = r#"[ "$(sh code.sh)" = right ]"#;

/// A repository whose `code.sh` prints `wrong`, and whose validation runs all tests in `tests/`.
fn bench(more: &str) -> Bench {
    let task = Task::new("a")
        .scope(&["code.sh", "a.txt"])
        .validation(&["sh tests/run.sh"])
        .more(more);
    Bench::with_files(
        &[task],
        &[("code.sh", "echo wrong\n"), ("tests/run.sh", RUN)],
    )
}

fn answer(bench: &Bench, name: &str, patch: &str, commands: &[&str]) {
    let answer =
        json!({"decision_log": [], "patch": patch, "validation": commands, "residual_risk": "low"});
    bench.answer("a", name, &answer.to_string());
}

/// The answers of a run whose test has this line, and whose patch is right.
fn answers(bench: &Bench, path: &str, line: &str, commands: &[&str]) {
    for attempt in 1..=2 {
        let name = format!("reproduction.tester.{attempt}");
        answer(bench, &name, &create(path, line), commands);
    }
    let fix = edit("code.sh", "echo wrong", "echo right");
    answer(bench, "synthesis.author.1", &fix, &[]);
}

const TEST_SCOPE: &str = "test_scope: ['tests/*.t']";

#[test]
fn a_test_that_fails_first_goes_in_with_the_patch_that_makes_it_pass() {
    let bench = bench(TEST_SCOPE);
    answers(&bench, "tests/new.t", GOOD, &[]);
    let said = bench.run("--protocol repro --json").exits(0);
    assert_eq!(bench.read("code.sh"), "echo right\n");
    assert_eq!(bench.read("tests/new.t"), format!("{GOOD}\n"));
    assert_eq!(
        bench.rows(),
        ["a.reproduction.tester.1", "a.synthesis.author.1"]
    );
    let waves = bench.waves();
    assert_eq!(waves[0].column("scope"), ["tests/*.t"]);
    assert_eq!(waves[1].column("scope"), ["code.sh;a.txt"]);
    assert_contains(&bench.prompt("a.synthesis.author.1"), GOOD);
    // The command passed without the test, which is no weakness here.
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["passed_before"], json!([]));
    assert_eq!(task["changed_paths"], json!(["code.sh", "tests/new.t"]));
    bench.mesh("audit R").exits(0);
    bench.mesh("undo R").exits(0);
    assert_eq!(bench.read("code.sh"), "echo wrong\n");
}

#[test]
fn no_patch_is_accepted_by_an_empty_test() {
    let lines = [
        "true",
        ":",
        "# nothing",
        "exit 0",
        "[ 1 = 1 ]",
        "sh code.sh >/dev/null",
        r#"[ "$(sh code.sh)" = wrong ]"#,
        r#"[ -n "$(sh code.sh)" ]"#,
        r#"[ "$(sh code.sh)" = right ] || true"#,
        r#"exit 0; [ "$(sh code.sh)" = right ]"#,
        r#"if false; then [ "$(sh code.sh)" = right ]; fi"#,
        r#"check() { [ "$(sh code.sh)" = right ]; }"#,
        r#"trap 'exit 0' EXIT; [ "$(sh code.sh)" = right ]"#,
        r#"[ "$(sh code.sh)" = right ] & true"#,
        r#"([ "$(sh code.sh)" = right ]); true"#,
        r#"echo '[ "$(sh code.sh)" = right ]'"#,
        r#"[ "$(sh code.sh)" = right ] | cat"#,
        "test -e code.sh",
        "sh -n code.sh",
        "grep -q echo code.sh",
        "cat code.sh",
        r#"! [ "$(sh code.sh)" = right ]"#,
    ];
    let mut cases: Vec<(&str, &str, &[&str])> = Vec::new();
    cases.extend(lines.map(|line| ("tests/new.t", line, &[][..])));
    // A good test that nothing runs, or outside of its place; and commands that fail with or without it.
    cases.extend([
        ("tests/new.test", GOOD, &[][..]),
        ("new.t", GOOD, &[][..]),
        ("code.sh.t", "true", &[][..]),
        ("tests/new.t", "true", &["false"][..]),
        ("tests/new.t", "true", &["sh tests/none.t"][..]),
        ("tests/new.t", "true", &["sh tests/new.t"][..]),
        ("tests/new.t", "true", &["no-such-program"][..]),
        ("tests/new.t", "true", &["sh -c 'exit 1'"][..]),
        ("tests/new.t", "no-such-program", &[][..]),
        ("tests/new.t", "sleep 100", &[][..]),
    ]);
    assert!(cases.len() >= 30, "{}", cases.len());
    for (path, line, commands) in cases {
        let bench = bench(TEST_SCOPE);
        answers(&bench, path, line, commands);
        let limit = if line == "sleep 100" { 1 } else { 60 };
        let said = bench.run(&format!(
            "--protocol repro --trust-proposed-validation --validation-timeout-seconds {limit} --json"
        ));
        let task = &report(&said.exits(1))["tasks"][0];
        assert_eq!(task["state"], "blocked", "{path}: {line} {commands:?}");
        assert_eq!(bench.read("code.sh"), "echo wrong\n");
        let is_asked = bench.rows().contains(&"a.synthesis.author.1".to_owned());
        // Only the program that is not there makes the command fail, and no patch can make it pass.
        assert_eq!(
            is_asked,
            line == "no-such-program",
            "{path}: {line} {commands:?}"
        );
    }
}

#[test]
fn a_refused_test_is_written_again_and_a_patch_may_not_change_it() {
    let bench = bench("test_scope: ['tests/*.t']\n");
    answers(&bench, "tests/new.t", GOOD, &[]);
    answer(
        &bench,
        "reproduction.tester.1",
        &create("tests/new.t", "true"),
        &[],
    );
    bench.run("--protocol repro").exits(0);
    let refused = bench.prompt("a.reproduction.tester.2");
    assert_contains(
        &refused,
        "empty_test: no validation command fails with the test",
    );

    // The scope of the task covers the test as well.
    let task = Task::new("a")
        .scope(&["**"])
        .validation(&["sh tests/run.sh"])
        .more(TEST_SCOPE);
    let files = [("code.sh", "echo wrong\n"), ("tests/run.sh", RUN)];
    let bench = Bench::with_files(&[task], &files);
    answers(&bench, "tests/new.t", GOOD, &[]);
    let cheat = create("tests/new.t", "true");
    answer(&bench, "synthesis.author.1", &cheat, &[]);
    answer(&bench, "synthesis.author.2", &cheat, &[]);
    let said = bench.run("--protocol repro --json").exits(1);
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["reason"], "ambiguous_integration");
    assert_contains(
        task["detail"].as_str().expect("text"),
        "`tests/new.t` is within `test_scope`",
    );
}

#[test]
fn a_command_that_the_tester_proposes_validates_the_patch_too() {
    let bench = bench(TEST_SCOPE);
    answers(&bench, "tests/new.t", GOOD, &["sh tests/new.t"]);
    let said = bench
        .run("--protocol repro --trust-proposed-validation --json")
        .exits(0);
    let commands = report(&said)["tasks"][0]["validation"].clone();
    let commands: Vec<&Value> = commands.as_array().expect("a list").iter().collect();
    assert_eq!(commands.len(), 2);
    assert_eq!(commands[1]["command"], "sh tests/new.t");
}

#[test]
fn a_task_without_a_place_for_its_test_is_blocked_before_any_row() {
    let bench = bench("");
    let said = bench.run("--protocol repro --json").exits(1);
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["reason"], "missing_validation");
    assert_contains(task["detail"].as_str().expect("text"), "lacks `test_scope`");
    assert!(bench.rows().is_empty());
}

#[test]
fn a_test_may_not_weaken_another_one_and_a_patch_not_the_way_tests_are_found() {
    let files = [
        ("code.sh", "echo wrong\n"),
        ("tests/run.sh", RUN),
        ("tests/old.t", "[ -e kept.txt ]\n"),
    ];
    let task = Task::new("a")
        .scope(&["**"])
        .validation(&["sh tests/run.sh"])
        .more("test_scope: ['tests/**']");
    let bench = Bench::with_files(&[task], &files);
    answers(&bench, "tests/new.t", GOOD, &[]);
    let weaker = create("tests/new.t", GOOD) + &edit("tests/old.t", "[ -e kept.txt ]", "true");
    answer(&bench, "reproduction.tester.1", &weaker, &[]);
    // Its first patch makes the validation skip the test.
    let skips = edit("tests/run.sh", RUN.trim_end(), "true");
    answer(&bench, "synthesis.author.1", &skips, &[]);
    let fix = edit("code.sh", "echo wrong", "echo right");
    answer(&bench, "synthesis.author.2", &fix, &[]);
    bench.run("--protocol repro").exits(0);
    let again = bench.prompt("a.reproduction.tester.2");
    assert_contains(&again, "out_of_scope: a test may add files and lines");
    let again = bench.prompt("a.synthesis.author.2");
    assert_contains(
        &again,
        "out_of_scope: `tests/run.sh` is within `test_scope`",
    );
    assert_eq!(bench.read("code.sh"), "echo right\n");
}

#[test]
fn test_and_patch_are_read_by_themselves() {
    let bench = bench(TEST_SCOPE);
    answers(&bench, "tests/new.t", GOOD, &[]);
    // Names without a prefix, after words: only by itself this is what it is.
    let fix = "Here it is:\n\n--- code.sh\n+++ code.sh\n@@ -1 +1 @@\n-echo wrong\n+echo right\n";
    answer(&bench, "synthesis.author.1", fix, &[]);
    bench.run("--protocol repro").exits(0);
    assert_eq!(bench.read("code.sh"), "echo right\n");
    assert_eq!(bench.read("tests/new.t"), format!("{GOOD}\n"));
}
