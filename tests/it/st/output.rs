//! What the commands print.

use super::*;

#[test]
fn init_reports_whether_the_file_existed() {
    let bench = Bench::new();
    assert_eq!(bench.ok("init"), "initialized .step/st-plan.jsonl\n");
    let text = bench.read(PLAN);
    assert!(
        text.starts_with(r#"{"v":3,"ts":""#)
            && text.ends_with("Z\",\"lane\":\"event\",\"seq\":1,\"op\":\"init\"}\n"),
        "{text}"
    );
    assert_eq!(
        bench.ok("init"),
        "already initialized: .step/st-plan.jsonl\n"
    );
    bench.ok("add --step x");
    assert_eq!(
        bench.ok("init --replace"),
        "already initialized: .step/st-plan.jsonl\ncleared plan in .step/st-plan.jsonl\n"
    );
    assert_eq!(bench.ok("show"), "- [ ] (empty plan)\n");
}

#[test]
fn changes_are_reported_and_mirror_the_plan() {
    let bench = Bench::with_plan();
    assert_eq!(
        bench.ok("add --step 'Lay the base'"),
        "upserted st-001\nupdate_plan: {\"plan\":[{\"step\":\"Lay the base\",\"status\":\"pending\"}]}\n"
    );
    bench.ok("add --step Paint --deps st-001");
    assert_eq!(
        bench.ok("set-status --id st-001 --status DONE"),
        "updated st-001 -> completed\nupdate_plan: {\"plan\":[{\"step\":\"Lay the base\",\"status\":\"completed\"},{\"step\":\"Paint\",\"status\":\"pending\"}]}\n"
    );
    let first = |args: &[&str]| bench.ok(args).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first(&[
            "set-deps",
            "--id",
            "st-002",
            "--deps",
            "st-001,st-001,st-001:after"
        ]),
        "updated st-002 deps -> st-001, st-001:after"
    );
    assert_eq!(
        first(&["set-deps", "--id", "st-002", "--deps", ""]),
        "updated st-002 deps -> (none)"
    );
    assert_eq!(
        first(&["set-notes", "--id", "st-002", "--notes", "-"]),
        "updated st-002 notes"
    );
    assert_eq!(
        first(&["add-comment", "--id", "st-002", "--text", "go"]),
        "added comment to st-002"
    );
    assert_eq!(first(&["remove", "--id", "st-001"]), "removed st-001");
    assert_eq!(bench.ok("ready"), "- st-002 Paint (dep_state: ready)\n");
    assert_eq!(bench.ok("blocked"), "- (none)\n");
    assert_eq!(
        bench.ok("emit-update-plan"),
        "{\"plan\":[{\"step\":\"Paint\",\"status\":\"pending\"}]}\n"
    );
}

#[test]
fn a_rewrite_is_an_event_and_a_checkpoint_at_one_number() {
    let bench = Bench::with_plan();
    bench.ok("add --id é --step s");
    let text = bench.read(PLAN);
    let lines: Vec<&str> = text.lines().collect();
    let state = r#","items":[{"id":"\u00e9","step":"s","status":"pending","deps":[],"notes":"","comments":[]}],"mutation":{"allow_multiple_in_progress":false,"actor":"tester","pid":"#;
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains(&format!(r#""lane":"event","seq":2,"op":"replace"{state}"#)),
        "{text}"
    );
    assert!(
        lines[1].contains(&format!(r#""lane":"checkpoint","seq":2{state}"#)),
        "{text}"
    );
    assert_eq!(bench.ok("doctor"), "seq contract ok: .step/st-plan.jsonl\n");
    assert_eq!(
        bench.files(".step"),
        ["st-plan.jsonl", "st-plan.jsonl.lock"]
    );
}

#[test]
fn the_hint_for_a_missing_plan_works_as_printed() {
    for (folder, file) in [("", PLAN), ("", "my plans/p.jsonl"), ("it's here", PLAN)] {
        let bench = Bench::new();
        let root = bench.path(folder);
        fs::create_dir_all(&root).expect("a folder");
        let run = |program: &str, args: &[&str]| {
            let mut command = bench.other(program);
            command.current_dir(&root).args(args);
            command.run_to_end()
        };
        run("git", &["init", "-q"]).exits(0);
        let mesh = env!("CARGO_BIN_EXE_mesh");
        let add = ["st", "add", "--step", "x", "--file", file];
        let said = run(mesh, &add).exits(2);
        let hint = said.err.split("hint: run: ").nth(1).expect("a hint");
        assert!(hint.contains("/.gitignore"), "{hint}");
        let script = format!("mesh() {{ '{mesh}' \"$@\"; }}; cd /; {hint}");
        let said = run("sh", &["-c", &script]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{hint}");
        assert_eq!(run(mesh, &add).code, 0, "{hint}");
    }
}

#[test]
fn export_and_import_are_inverse() {
    let bench = Bench::with_plan();
    bench.write(
        "in.json",
        r#"[{"id":"a","step":"A","deps":[],"priority":"low"},{"id":"b","step":"B","deps":["a"]}]"#,
    );
    let first = |args: &[&str]| bench.ok(args).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first(&["import-plan", "--input", "in.json"]),
        "imported 2 item(s) from in.json"
    );
    assert_eq!(bench.ok("export --output out.json"), "wrote out.json\n");
    assert_eq!(bench.read("out.json"), bench.ok("export"));
    bench.write(
        "some.json",
        r#"{"items":[{"id":"a","step":"A2","deps":[]}]}"#,
    );
    bench.ok("import-plan --input some.json");
    let shown = bench.ok("show --format json");
    assert_contains(&shown, "\"A2\"");
    assert_contains(&shown, "\"priority\": \"low\"");
    assert_contains(&shown, "\"B\"");
    assert_eq!(
        first(&["import-plan", "--input", "out.json", "--replace"]),
        "replaced plan from out.json"
    );
    assert_eq!(bench.ok("export"), bench.read("out.json"));
    assert_eq!(
        bench.refused("import-plan --input nobody.json"),
        format!(
            "error: cannot open `{}`: No such file or directory (os error 2)",
            bench.path("nobody.json").display()
        )
    );
}

#[test]
fn the_file_option_is_accepted_before_and_after_the_subcommand() {
    let bench = Bench::new();
    assert_eq!(
        bench.ok("init --file deep/er/plan.jsonl"),
        "initialized deep/er/plan.jsonl\n"
    );
    assert_eq!(bench.ok("--file deep/er/plan.jsonl ready"), "- (none)\n");
}

#[test]
fn marks_tabs_and_an_edge_without_a_type() {
    let bench = Bench::with_plan();
    for (id, status) in [
        ("a", "deferred"),
        ("b", "canceled"),
        ("c", "blocked"),
        ("d", "done"),
    ] {
        bench.ok(&["add", "--id", id, "--step", "x\ty", "--status", status]);
    }
    assert_eq!(
        bench
            .ok("add --id e --step z --deps 'd:, d :'")
            .lines()
            .next(),
        Some("upserted e")
    );
    assert_eq!(
        bench.ok("set-deps --id e --deps d:").lines().next(),
        Some("updated e deps -> d")
    );
    assert_eq!(
        bench.ok("show"),
        "### Ready\n- [ ] e z (dep_state: ready; deps: d)\n\n\
         ### Blocked\n- [!] c x\ty (dep_state: blocked_manual; status: blocked)\n\n\
         ### Deferred\n- [-] a x\ty (status: deferred)\n\n\
         ### Canceled\n- [ ] b ~~x\ty~~ (status: canceled)\n\n\
         ### Completed\n- [x] d x\ty\n"
    );
}
