//! The rules of a plan, and files that are none.

use super::*;

#[test]
fn a_lock_that_git_does_not_ignore_is_refused() {
    let bench = Bench::new();
    bench.git("init -q");
    let root = fs::canonicalize(bench.work()).expect("a real path");
    let message = format!(
        "error: lock sidecar '.step/st-plan.jsonl.lock' is not gitignored; run: cd {0} && echo .step/st-plan.jsonl.lock >> .gitignore",
        root.display()
    );
    assert_eq!(bench.refused("init"), message);
    assert!(!bench.path(".step").exists());
    bench.write(".gitignore", ".step/st-plan.jsonl.lock\n");
    bench.ok("init");
    bench.write(".gitignore", "");
    assert_eq!(bench.refused("add --step x"), message);
    assert_eq!(bench.ok("show"), "- [ ] (empty plan)\n");
}

#[test]
fn a_rule_violation_changes_nothing() {
    let bench = Bench::with_plan();
    bench.ok("add --id a --step A");
    bench.ok("add --id b --step B --deps a");
    let before = bench.read(PLAN);
    for (args, message) in [
        (
            vec!["set-deps", "--id", "a", "--deps", "a"],
            "item 'a' cannot depend on itself",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "z"],
            "item 'a' references unknown dependency 'z'",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "b"],
            "dependency cycle detected: a -> b -> a",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "b,,"],
            "--deps contains an empty dependency token",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "done"],
            "item 'b' cannot be completed; unresolved dependencies: a",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "doing"],
            "item 'b' cannot be in_progress; unresolved dependencies: a",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "x"],
            "invalid status 'x'; expected one of: blocked, canceled, completed, deferred, in_progress, pending",
        ),
        (
            vec!["set-status", "--id", "x", "--status", "done"],
            "unknown id 'x'",
        ),
        (
            vec!["set-notes", "--id", " ", "--notes", "n"],
            "--id cannot be empty",
        ),
        (vec!["add", "--step", " "], "--step cannot be empty"),
        (
            vec!["add-comment", "--id", "a", "--text", ""],
            "--text cannot be empty",
        ),
        (
            vec!["remove", "--id", "a"],
            "item 'b' references unknown dependency 'a'",
        ),
    ] {
        assert_eq!(bench.refused(&args), format!("error: {message}"));
    }
    assert_eq!(bench.read(PLAN), before);
}

#[test]
fn several_in_progress_need_the_flag() {
    let bench = Bench::with_plan();
    let begin = "add --step x --status doing";
    bench.ok(begin);
    assert_eq!(
        bench.refused(begin),
        "error: multiple in_progress items found: st-001, st-002"
    );
    bench.ok("add --step x --status doing --allow-multiple-in-progress");
    assert_eq!(
        bench.refused("show"),
        "error: multiple in_progress items found: st-001, st-002"
    );
    assert!(
        bench
            .ok("show --allow-multiple-in-progress")
            .starts_with("### In Progress\n- [~] st-001 x")
    );
    bench.ok("set-status --id st-001 --status pending");
    bench.ok("show");
}

#[test]
fn a_broken_sequence_stops_every_command_except_doctor() {
    let bench = Bench::new();
    let line = |seq: u64| {
        format!("{{\"v\":3,\"ts\":\"t\",\"lane\":\"event\",\"seq\":{seq},\"op\":\"init\"}}\n")
    };
    bench.write(PLAN, &[4, 4, 3, 2, 1].map(line).concat());
    let said = bench.st("doctor").exits(2);
    assert_eq!(
        said.out,
        "seq contract invalid: .step/st-plan.jsonl\n\
         - record 2: event seq 4 does not rise above the watermark 4\n\
         - record 3: event seq 3 does not rise above the watermark 4\n\
         - record 4: event seq 2 does not rise above the watermark 4\n\
         - record 5: event seq 1 does not rise above the watermark 4\n"
    );
    for args in [
        vec!["show"],
        vec!["add", "--step", "x"],
        vec!["init", "--replace"],
    ] {
        let message = bench.refused(&args);
        assert!(
            message.starts_with("error: seq contract invalid: ") && message.ends_with(" (+1 more)"),
            "{message}"
        );
    }
    assert_eq!(
        bench.ok("doctor --repair-seq"),
        "repaired seq contract via checkpoint seq 5\nupdate_plan: {\"plan\":[]}\n"
    );
    assert!(
        bench
            .read(PLAN)
            .lines()
            .all(|line| line.ends_with(r#","repair":{"op":"doctor_repair_seq"}}"#))
    );
    assert_eq!(
        bench.ok("doctor --repair-seq"),
        "seq contract ok: .step/st-plan.jsonl\n"
    );
}

#[test]
fn a_missing_file_or_one_that_is_not_a_plan_is_refused() {
    let bench = Bench::new();
    for args in [
        vec!["show"],
        vec!["add", "--step", "x"],
        vec!["doctor", "--repair-seq"],
    ] {
        assert!(
            bench
                .refused(&args)
                .ends_with("st-plan.jsonl` does not exist"),
            "{args:?}"
        );
    }
    assert!(!bench.path(".step").exists());
    bench.write(PLAN, "{\"v\":3,\n");
    assert_eq!(
        bench.refused("show"),
        "error: invalid JSON at line 1: EOF while parsing a value (column 7)"
    );
}

#[test]
fn removing_an_unknown_item_is_an_error_only_for_the_command() {
    let bench = Bench::with_plan();
    assert_eq!(bench.refused("remove --id X"), "error: unknown id 'X'");
    let before = bench.read(PLAN);
    let record = r#"{"v":3,"ts":"t","lane":"event","seq":2,"op":"remove","id":"X"}"#;
    bench.write(PLAN, &format!("{before}{record}\n"));
    assert_eq!(bench.ok("show"), "- [ ] (empty plan)\n");
}

#[test]
fn one_item_may_be_in_progress_unless_more_are_allowed() {
    let bench = Bench::with_plan();
    for id in ["a", "b"] {
        let begun =
            format!("add --id {id} --step {id} --status doing --allow-multiple-in-progress");
        bench.ok(&begun);
    }
    let message = "error: multiple in_progress items found: a, b";
    assert_eq!(bench.refused("emit-update-plan"), message);
    assert_eq!(
        bench.ok("emit-update-plan --allow-multiple-in-progress"),
        "{\"plan\":[{\"step\":\"a\",\"status\":\"in_progress\"},{\"step\":\"b\",\"status\":\"in_progress\"}]}\n"
    );
    assert!(bench.ok("emit-plan-sync").starts_with("{\"version\":1,"));
}
