//! Writers at once, kills, full disks, large plans, and the fields of other programs.

use super::*;

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
    let adding = bench.st_command("add --step 'one more'");
    let said = under_shell(FILE_SIZE_LIMIT, &adding).run_to_end();
    assert_eq!(said.code, 3, "{said:?}");
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
fn every_name_of_a_plan_shares_one_lock() {
    let bench = Bench::with_plan();
    let link = bench.path("link.jsonl");
    std::os::unix::fs::symlink(PLAN, &link).expect("a link");
    bench.ok("--file link.jsonl add --step x");
    assert!(link.is_symlink() && !bench.path("link.jsonl.lock").exists());
    assert_eq!(bench.ok("ready"), "- st-001 x (dep_state: ready)\n");
}
