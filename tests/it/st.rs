//! `mesh st` through the real binary: exact outputs, error exits, writers at once, what survives.

use crate::fixture::*;
use std::fs;
use std::ops::Deref;
use std::process::Command;

/// A sandbox outside every git repository, with a name for who works in it.
struct Bench {
    sandbox: Sandbox,
}

impl Deref for Bench {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Bench {
    fn new() -> Bench {
        Bench {
            sandbox: Sandbox::new(),
        }
    }

    fn with_plan() -> Bench {
        let bench = Bench::new();
        bench.ok("init");
        bench
    }

    /// Another program with the environment of `mesh st`.
    fn other(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let st = self.st_command("");
        command.current_dir(self.work()).env_clear();
        command.envs(
            st.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
    }

    fn st_command(&self, args: impl Into<Args>) -> Command {
        let mut command = self.command(Args::from("st").and(args));
        command
            .env("ST_ACTOR", "tester")
            .env("ST_COMMENT_AUTHOR", "ann");
        command
    }

    fn st(&self, args: impl Into<Args>) -> Said {
        self.st_command(args).run_to_end()
    }

    /// The standard output of a command that must succeed.
    #[track_caller]
    fn ok(&self, args: impl Into<Args>) -> String {
        let said = self.st(args).exits(0);
        assert_eq!(said.err, "");
        said.out
    }

    /// The first line of standard error of a command that must be refused.
    #[track_caller]
    fn refused(&self, args: impl Into<Args>) -> String {
        let said = self.st(args).exits(2);
        said.err.lines().next().unwrap_or_default().to_owned()
    }

    /// The names in a folder, sorted.
    fn files(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect(name);
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}

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
fn foreign_fields_of_other_programs_survive() {
    let bench = Bench::new();
    let item = r#"{"id":"a","priority":"high","step":"s","status":"pending","deps":[],"claim":{"by":"x","at":1.50},"notes":"","comments":[{"ts":"t","author":"u","text":"v","mood":1}],"proof":[null]}"#;
    let event =
        format!(r#"{{"v":4,"ts":"t","lane":"event","seq":7,"op":"replace","items":[{item}]}}"#);
    let checkpoint = format!(
        r#"{{"v":4,"ts":"t","lane":"checkpoint","seq":7,"items":[{item}],"graph":{{"nodes":[1e400]}}}}"#
    );
    bench.write(PLAN, &format!("{event}\n{checkpoint}\n"));
    bench.ok("add --id b --step after --deps a");
    bench.ok("add --id a --step s");
    let text = bench.read(PLAN);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with(r#"{"v":4,"#) && line.contains(item)),
        "{text}"
    );
    assert!(
        lines[1].contains(r#"}],"graph":{"nodes":[1e400]},"mutation":{"#)
            && !lines[0].contains("graph"),
        "{text}"
    );
    assert!(
        lines[1].contains(r#""lane":"checkpoint","seq":9,"#),
        "{text}"
    );
}

#[test]
fn concurrent_writers_lose_nothing() {
    let bench = Bench::with_plan();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for n in 0..100 {
                    bench.ok(&["add", "--step", &format!("writer {writer}, item {n}")]);
                }
            });
        }
    });
    let shown = bench.ok("show --format table");
    assert_eq!(shown.lines().count(), 2 + 800);
    assert!(shown.contains("\nst-800 "), "{shown}");
    for writer in 0..8 {
        assert_eq!(shown.matches(&format!("writer {writer}, ")).count(), 100);
    }
    assert_eq!(bench.ok("doctor"), "seq contract ok: .step/st-plan.jsonl\n");
}

#[cfg(debug_assertions)]
#[test]
fn a_kill_at_any_step_of_writing_leaves_the_old_plan_or_the_new_one() {
    let bench = Bench::with_plan();
    bench.ok("add --step x");
    let mut killed = 0;
    for step in 1.. {
        let before = bench.read(PLAN);
        let mut adding = bench.st_command("add --step y");
        adding.env("MESH_FAULT_KILL", format!("write:{step}"));
        let said = adding.run_to_end();
        if said.code != KILLED {
            break;
        }
        killed += 1;
        let items = bench.ok("show --format table").lines().count() - 2;
        assert_eq!(items > killed, bench.read(PLAN) != before, "step {step}");
        bench.ok("doctor");
        // Whatever the kill left, the next writer begins from the plan that is there, and cleans up.
        if items > killed {
            bench.ok(&["remove", "--id", &format!("st-{:03}", killed + 1)]);
        }
        bench.ok(&["add", "--step", &format!("after {step}")]);
        assert_eq!(
            bench.files(".step"),
            ["st-plan.jsonl", "st-plan.jsonl.lock"]
        );
    }
    assert_eq!(killed, 6, "every step of one write");
}

#[test]
fn a_full_disk_is_reported_and_leaves_the_old_plan() {
    let bench = Bench::with_plan();
    bench.ok(&["add", "--step", &"long ".repeat(2000)]);
    let before = bench.read(PLAN);
    // A bound on the size of files is a full disk that needs no disk of its own.
    let script = r#"trap '' XFSZ; ulimit -f 8; exec "$@""#;
    let adding = bench.st_command("add --step 'one more'");
    let said = under_shell(script, &adding).run_to_end();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.err.starts_with("error: cannot write `") && said.err.contains("File too large"),
        "{said:?}"
    );
    assert_eq!(bench.read(PLAN), before);
    assert_eq!(
        bench.files(".step"),
        ["st-plan.jsonl", "st-plan.jsonl.lock"]
    );
}

#[test]
fn foreign_fields_of_single_records_survive() {
    let bench = Bench::new();
    bench.write(
        PLAN,
        concat!(
            r#"{"v":2,"ts":"t","seq":1,"op":"upsert_item","item":{"id":"a","step":"A","deps":[]}}"#,
            "\n",
            r#"{"v":2,"ts":"t","seq":2,"op":"upsert","item":{"id":"b","step":"B","deps":["a"]}}"#,
            "\n",
            r#"{"v":3,"kind":"event","ts":"t","seq":3,"op":"set_deps","id":"b","deps":[{"id":"a","why":"x"}],"note":1e3}"#,
            "\n",
            r#"{"v":3,"ts":"t","lane":"event","seq":4,"op":"append_comment","id":"a","comment":{"ts":"t","mood":7,"author":"u","text":"v"}}"#,
            "\n",
            r#"{"v":3,"ts":"t","lane":"event","seq":5,"op":"comment","id":"a","author":"u","text":"w"}"#,
            "\n",
        ),
    );
    bench.ok("set-notes --id b --notes n");
    let text = bench.read(PLAN);
    for line in text.lines() {
        assert_contains(line, r#""deps":[{"id":"a","why":"x","type":"blocks"}]"#);
        assert_contains(line, r#"{"ts":"t","mood":7,"author":"u","text":"v"}"#);
        assert_contains(line, r#"{"ts":"t","author":"u","text":"w"}"#);
        assert!(line.contains(r#"],"note":1e3,"mutation":{"#), "{line}");
    }
}

#[test]
fn a_chain_of_100_000_items_fits_into_300_mib_and_into_the_stack() {
    let bench = Bench::new();
    let item = |n: usize| {
        let deps = if n == 99_999 {
            String::new()
        } else {
            format!("\"i{}\"", n + 1)
        };
        format!(r#"{{"id":"i{n}","step":"s","deps":[{deps}]}}"#)
    };
    let items: Vec<String> = (0..100_000).map(item).collect();
    let items = items.join(",");
    bench.write(
        PLAN,
        &format!(
            "{{\"v\":3,\"ts\":\"t\",\"lane\":\"event\",\"seq\":1,\"op\":\"replace\",\"items\":[{items}]}}\n\
             {{\"v\":3,\"ts\":\"t\",\"lane\":\"checkpoint\",\"seq\":1,\"items\":[{items}]}}\n"
        ),
    );
    // In KiB, of all the memory it maps, which is more than it uses; some systems have no such bound.
    let script = r#"ulimit -v 307200 2>/dev/null; exec "$@""#;
    let said = under_shell(script, &bench.st_command("ready")).run_to_end();
    assert_eq!(said.out, "- i99999 s (dep_state: ready)\n", "{}", said.err);
}

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
fn the_file_option_is_accepted_before_and_after_the_subcommand() {
    let bench = Bench::new();
    assert_eq!(
        bench.ok("init --file deep/er/plan.jsonl"),
        "initialized deep/er/plan.jsonl\n"
    );
    assert_eq!(bench.ok("--file deep/er/plan.jsonl ready"), "- (none)\n");
}

#[test]
fn every_name_of_a_plan_shares_one_lock() {
    let bench = Bench::with_plan();
    let link = bench.path("link.jsonl");
    std::os::unix::fs::symlink(PLAN, &link).expect("a link");
    bench.ok("--file link.jsonl add --step x");
    assert!(link.is_symlink() && !bench.path("link.jsonl.lock").exists());
    assert_eq!(bench.ok("ready"), "- st-001 x (dep_state: ready)\n");
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
