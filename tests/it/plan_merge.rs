//! Plan files that git merged line by line: `mesh st doctor` says so, and its repair keeps what both branches did.

use crate::fixture::*;

const PLAN: &str = ".step/st-plan.jsonl";

/// A command line of `mesh st`; a part in single quotes is one argument.
fn st(sandbox: &Sandbox, line: &str) -> Said {
    let mut args = vec!["st"];
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            0 => args.extend(part.split_whitespace()),
            _ => args.push(part),
        }
    }
    sandbox.mesh(&args)
}

fn ok(sandbox: &Sandbox, line: &str) -> String {
    let said = st(sandbox, line);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "mesh st {line}");
    said.out
}

/// Two branches that went on from one plan, merged by git with `merge=union`.
fn merged(common: &[&str], ours: &[&str], theirs: &[&str]) -> Sandbox {
    let sandbox = Sandbox::with_repo(&[(".gitattributes", "*.jsonl merge=union\n")]);
    let work = |lines: &[&str], branch: &str| {
        lines.iter().for_each(|line| drop(ok(&sandbox, line)));
        sandbox.git("add --all");
        sandbox.git(&["commit", "--quiet", "--allow-empty", "-m", branch]);
    };
    ok(&sandbox, "init");
    work(common, "common");
    sandbox.git("checkout --quiet -b other");
    work(theirs, "theirs");
    sandbox.git("checkout --quiet main");
    work(ours, "ours");
    sandbox.git("merge --quiet -m merged other");
    assert_eq!(
        sandbox.read(PLAN).lines().count(),
        4,
        "{}",
        sandbox.read(PLAN)
    );
    sandbox
}

/// The same file where no repository tells of the common ancestor.
fn without_history(merged: &Sandbox) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(PLAN, &merged.read(PLAN));
    sandbox
}

fn items(sandbox: &Sandbox) -> Vec<serde_json::Value> {
    let shown = ok(sandbox, "show --format json --allow-multiple-in-progress");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    shown["items"].as_array().expect("a list").clone()
}

/// `id:status` of every item.
fn statuses(sandbox: &Sandbox) -> String {
    let of = |item: &serde_json::Value| {
        let part = |name: &str| item[name].as_str().expect("text").to_owned();
        format!("{}:{}", part("id"), part("status"))
    };
    items(sandbox).iter().map(of).collect::<Vec<_>>().join(" ")
}

const COMMON: [&str; 3] = [
    "add --step 'One'",
    "add --step 'Two'",
    "add --step 'Three' --deps st-001",
];

#[test]
fn changes_of_both_branches_are_kept_with_and_without_the_ancestor() {
    let sandbox = merged(
        &COMMON,
        &[
            "set-status --id st-001 --status done",
            "add --id ours --step 'Ours' --status deferred",
            "add-comment --id st-002 --text 'from ours'",
            "set-notes --id st-003 --notes 'ours wrote this'",
        ],
        &[
            "add --id theirs --step 'Theirs' --deps st-002",
            "set-status --id st-002 --status blocked",
            "add-comment --id st-002 --text 'from theirs'",
            "add-comment --id st-001 --text 'and here'",
        ],
    );
    for sandbox in [&without_history(&sandbox), &sandbox] {
        // Every command refuses it, though the numbers may be in order.
        for line in [
            "show",
            "ready",
            "add --step 'x'",
            "export",
            "emit-update-plan",
            "emit-plan-sync",
        ] {
            let said = st(sandbox, line);
            assert_eq!(said.code, 2, "{line}: {}", said.out);
            assert!(said.err.contains("mesh st doctor"), "{line}: {}", said.err);
        }
        let before = sandbox.read(PLAN);
        let said = st(sandbox, "doctor").exits(2);
        said.out_has("has 2 histories, records ");
        said.out_has("status of 'st-001' is `completed`");
        said.err_has("hint: to see the changes of each, run: mesh st doctor");
        assert_eq!(sandbox.read(PLAN), before);

        let out = ok(sandbox, "doctor --repair-seq");
        assert!(out.contains("'ours' is only in records"), "{out}");
        assert_contains(&out, "\nrepaired seq contract via checkpoint seq ");
        let mut all: Vec<String> = statuses(sandbox).split(' ').map(str::to_owned).collect();
        all.sort();
        assert_eq!(
            all.join(" "),
            "ours:deferred st-001:completed st-002:blocked st-003:pending theirs:pending"
        );
        let all = items(sandbox);
        let item = |id: &str| all.iter().find(|item| item["id"] == id).expect("there");
        assert_eq!(item("st-003")["notes"], "ours wrote this");
        assert_eq!(item("theirs")["deps"][0]["id"], "st-002");
        let said: Vec<&str> = item("st-002")["comments"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|comment| comment["text"].as_str().expect("text"))
            .collect();
        assert_eq!(said.len(), 2);
        assert!(said.contains(&"from ours") && said.contains(&"from theirs"));
        assert_eq!(item("st-001")["comments"][0]["text"], "and here");
        assert_eq!(ok(sandbox, "doctor"), format!("seq contract ok: {PLAN}\n"));
        ok(sandbox, "add --step 'goes on'");
    }
}

#[test]
fn the_ancestor_shows_removed_items_and_reverted_values() {
    let sandbox = merged(
        &[
            "add --step 'One' --status blocked",
            "add --step 'Two'",
            "add --step 'Three' --deps st-002",
        ],
        &[
            "set-status --id st-001 --status pending",
            "set-deps --id st-003 --deps ''",
            "remove --id st-002",
        ],
        &["add --step 'Four'"],
    );
    let out = ok(&sandbox, "doctor --repair-seq");
    assert!(out.contains("- 'st-002' was removed in records "), "{out}");
    assert_eq!(
        statuses(&sandbox),
        "st-001:pending st-003:pending st-004:pending"
    );
    assert!(
        items(&sandbox)[1]["deps"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
}

#[test]
fn a_conflict_is_reported_and_resolved_only_with_force() {
    let sandbox = merged(
        &COMMON,
        &[
            "add --step 'Ours'",
            "add --step 'After ours' --deps st-004",
            "set-status --id st-002 --status deferred",
            "set-notes --id st-001 --notes 'left'",
        ],
        &[
            "add --step 'Theirs'",
            "add --id last --step 'After theirs' --deps st-004",
            "set-status --id st-002 --status blocked",
            "set-notes --id st-001 --notes 'right'",
        ],
    );
    let before = sandbox.read(PLAN);
    for line in ["doctor", "doctor --repair-seq"] {
        let said = st(&sandbox, line).exits(2);
        for named in [
            "3 conflicts between records ",
            "'st-004' is `",
            "; with --force the latter gets the id 'st-006'",
            "status of 'st-002' is `",
            "notes of 'st-001' is `",
            "hint: to resolve them as shown above, run: mesh st doctor --repair-seq --force --file ",
        ] {
            assert!(said.err.contains(named), "{named}: {}", said.err);
        }
        assert_eq!(sandbox.read(PLAN), before);
    }
    assert_eq!(
        st(&sandbox, "doctor --force").code,
        2,
        "only with --repair-seq"
    );

    let out = ok(&sandbox, "doctor --repair-seq --force");
    assert_eq!(out.matches("- conflict: ").count(), 3, "{out}");
    let all = items(&sandbox);
    let by_step = |step: &str| all.iter().find(|item| item["step"] == step).expect("there");
    assert_eq!(all.len(), 7);
    // Each goes on waiting for what it waited for.
    for (after, step) in [("After ours", "Ours"), ("After theirs", "Theirs")] {
        assert_eq!(by_step(after)["deps"][0]["id"], by_step(step)["id"]);
    }
    let text = |step: &str| by_step(step).to_string();
    for (step, both) in [("Two", ["deferred", "blocked"]), ("One", ["left", "right"])] {
        assert!(
            both.iter().all(|value| text(step).contains(value)),
            "{}",
            text(step)
        );
        assert!(text(step).contains("of the other side: "), "{}", text(step));
    }
    assert_eq!(ok(&sandbox, "doctor"), format!("seq contract ok: {PLAN}\n"));
}

#[test]
fn changes_that_break_a_rule_together_are_conflicts() {
    let sandbox = merged(
        &COMMON,
        &[
            "set-status --id st-001 --status done",
            "set-status --id st-003 --status done",
            "set-deps --id st-002 --deps st-003",
        ],
        &[
            "add --step 'Open'",
            "set-deps --id st-003 --deps st-001,st-004",
            "set-deps --id st-001 --deps st-002",
        ],
    );
    let said = st(&sandbox, "doctor --repair-seq").exits(2);
    said.err_has("form a cycle: ");
    said.err_has("'st-003' is completed on one side, and depends on ");
    let out = ok(&sandbox, "doctor --repair-seq --force");
    assert!(out.contains("- conflict: 'st-003' is completed"), "{out}");
    ok(&sandbox, "show");
    assert!(
        sandbox
            .read(PLAN)
            .contains("merged plan: was completed, while ")
    );

    // Two tasks at once need the word that allows it.
    let sandbox = merged(
        &COMMON,
        &["set-status --id st-001 --status doing"],
        &["set-status --id st-002 --status doing"],
    );
    let said = st(&sandbox, "doctor --repair-seq").exits(2);
    said.err_has("multiple in_progress items found: st-001, st-002");
    ok(&sandbox, "doctor --repair-seq --allow-multiple-in-progress");
    assert_eq!(
        statuses(&sandbox),
        "st-001:in_progress st-002:in_progress st-003:pending"
    );
}

/// A record with all items, as a writer makes it.
fn state(lane: &str, seq: u64, items: &str, more: &str) -> String {
    let op = if lane == "event" {
        r#","op":"replace""#
    } else {
        ""
    };
    format!(
        r#"{{"v":4,"ts":"2026-01-01T00:00:0{}Z","lane":"{lane}","seq":{seq}{op},"items":[{items}]{more}}}"#,
        seq % 10
    )
}

fn item(id: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","step":"Do {id}","deps":[]{more}}}"#)
}

#[test]
fn nothing_is_lost_whatever_the_order_of_merged_lines() {
    let base = item("a", "");
    let ours = format!(
        "{},{}",
        item("a", r#","status":"completed","proof":{"n":1e3}"#),
        item("b", "")
    );
    let theirs = format!(
        "{},{}",
        item("a", r#","claim":"x""#),
        item("c", r#","status":"deferred""#)
    );
    let pair = |seq, items: &str| {
        [
            state("event", seq, items, ""),
            state("checkpoint", seq, items, ""),
        ]
    };
    let [e0, c0] = pair(3, &base);
    let [e1, c1] = pair(5, &ours);
    let init = r#"{"v":3,"ts":"t","lane":"event","seq":1,"op":"init"}"#.to_owned();
    for seq in [4, 5, 7] {
        let [e2, c2] = pair(seq, &theirs);
        for lines in [
            vec![&e1, &c1, &e2, &c2],
            vec![&e2, &c2, &e1, &c1],
            vec![&e1, &e2, &c1, &c2],
            vec![&e1, &e2, &c2, &c1],
            vec![&e0, &c0, &e1, &c1, &e2, &c2],
            vec![&e0, &e1, &e2, &c0, &c1, &c2],
            vec![&init, &e1, &c1, &e2, &c2],
            vec![&c1, &c2],
            vec![&e1, &c1, &c2],
            vec![&e0, &c0, &e1, &c1, &e2, &c2, &e1, &c1],
        ] {
            let sandbox = Sandbox::new();
            let text: Vec<&str> = lines.iter().map(|line| line.as_str()).collect();
            sandbox.write(PLAN, &(text.join("\n") + "\n"));
            assert_eq!(st(&sandbox, "show").code, 2, "{text:#?}");
            let said = st(&sandbox, "doctor");
            assert!(
                said.out.contains("has 2 histories"),
                "{}\n{text:#?}",
                said.out
            );
            ok(&sandbox, "doctor --repair-seq");
            let mut all: Vec<String> = statuses(&sandbox).split(' ').map(str::to_owned).collect();
            all.sort();
            assert_eq!(
                all.join(" "),
                "a:completed b:pending c:deferred",
                "{text:#?}"
            );
            let repaired = sandbox.read(PLAN);
            assert!(
                repaired.contains(r#""proof":{"n":1e3}"#) && repaired.contains(r#""claim":"x""#)
            );
        }
    }
}

#[test]
fn a_comment_missing_in_later_states_belongs_to_one_side() {
    let said = |text: &str| {
        let comment = format!(r#"{{"ts":"2026-01-01T00:00:00Z","author":"x","text":"{text}"}}"#);
        item("a", &format!(r#","comments":[{comment}]"#))
    };
    let lines = [(3, "first"), (4, "second"), (5, "third")].map(|(seq, text)| {
        let event = state("event", seq, &said(text), "");
        format!("{event}\n{}\n", state("checkpoint", seq, &said(text), ""))
    });
    let sandbox = Sandbox::new();
    sandbox.write(PLAN, &lines.concat());
    ok(&sandbox, "doctor --repair-seq");
    let comments = items(&sandbox)[0]["comments"].to_string();
    for text in ["first", "second", "third"] {
        assert!(comments.contains(text), "{text}: {comments}");
    }
}

#[test]
fn events_of_two_branches_after_one_checkpoint_are_two_histories() {
    let event =
        |seq: u64, rest: &str| format!(r#"{{"v":3,"ts":"t","lane":"event","seq":{seq},{rest}}}"#);
    let add = |id: &str| format!(r#""op":"upsert","item":{}"#, item(id, ""));
    let set =
        |id: &str, status: &str| format!(r#""op":"set_status","id":"{id}","status":"{status}""#);
    let checkpoint = state(
        "checkpoint",
        5,
        &[item("a", ""), item("z", "")].join(","),
        "",
    );
    let sandbox = Sandbox::new();
    let write = |lines: &[String]| sandbox.write(PLAN, &(lines.join("\n") + "\n"));
    write(&[
        checkpoint.clone(),
        event(6, &add("b")),
        event(7, &set("a", "done")),
        event(6, &add("c")),
        event(7, &set("c", "blocked")),
        event(8, r#""op":"remove","id":"z""#),
    ]);
    let said = st(&sandbox, "doctor");
    said.out_starts_with("seq contract invalid: ");
    said.out_has("has 2 histories, records 1-3");
    ok(&sandbox, "doctor --repair-seq");
    assert_eq!(statuses(&sandbox), "a:completed b:pending c:blocked");

    write(&[
        checkpoint,
        event(6, &set("a", "done")),
        event(6, &set("a", "blocked")),
    ]);
    let said = st(&sandbox, "doctor --repair-seq").exits(2);
    said.err_has("status of 'a' is `completed` in records 1-2");
}

#[test]
fn several_checkpoints_in_one_history_are_not_a_merge() {
    let event =
        |seq: u64, rest: &str| format!(r#"{{"v":3,"ts":"t","lane":"event","seq":{seq},{rest}}}"#);
    let add = |seq, id: &str| event(seq, &format!(r#""op":"upsert","item":{}"#, item(id, "")));
    let full = |ids: &[&str]| {
        let items = ids.iter().map(|id| {
            format!(r#"{{"id":"{id}","step":"Do {id}","status":"pending","deps":[],"notes":"","comments":[]}}"#)
        });
        items.collect::<Vec<_>>().join(",")
    };
    for lines in [
        vec![
            add(1, "a"),
            state("checkpoint", 1, &full(&["a"]), ""),
            add(2, "b"),
            state("checkpoint", 2, &full(&["a", "b"]), ""),
        ],
        // The checkpoint settles what stands before it.
        vec![
            add(1, "a"),
            add(1, "b"),
            state("checkpoint", 1, &full(&["b"]), ""),
        ],
        vec![
            state("event", 2, &full(&["a"]), ""),
            state("checkpoint", 2, &full(&["a"]), ""),
            state("checkpoint", 2, &full(&["a"]), ""),
        ],
        vec![
            state("event", 2, &full(&["a"]), ""),
            state("checkpoint", 2, &full(&["a"]), ""),
            state("event", 3, &full(&["b"]), ""),
        ],
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(PLAN, &(lines.join("\n") + "\n"));
        assert_eq!(
            ok(&sandbox, "doctor"),
            format!("seq contract ok: {PLAN}\n"),
            "{lines:#?}"
        );
        ok(&sandbox, "show");
    }
}

#[test]
fn differing_record_fields_are_conflicts() {
    let pair = |seq, id: &str| {
        let items = item(id, "");
        let graph = format!(r#","graph":{{"of":"{id}"}}"#);
        [
            state("event", seq, &items, ""),
            state("checkpoint", seq, &items, &graph),
        ]
        .join("\n")
    };
    let sandbox = Sandbox::new();
    sandbox.write(PLAN, &format!("{}\n{}\n", pair(4, "a"), pair(5, "b")));
    let said = st(&sandbox, "doctor --repair-seq").exits(2);
    said.err_has("the records' field `graph` differs");
    ok(&sandbox, "doctor --repair-seq --force");
    assert!(sandbox.read(PLAN).contains(r#""graph":{"of":"b"}"#));
    assert_eq!(statuses(&sandbox), "a:pending b:pending");
}

#[test]
fn conflict_markers_are_named_with_their_line_by_every_command() {
    let sandbox = Sandbox::with_repo(&[]);
    ok(&sandbox, "init");
    ok(&sandbox, "add --step 'One'");
    let plan = sandbox.read(PLAN);
    let (event, checkpoint) = plan.split_once('\n').expect("two lines");
    for (marker, line) in [
        ("<<<<<<< HEAD", 2),
        ("||||||| 1234567", 2),
        ("=======", 2),
        (">>>>>>> other", 2),
        ("<<<<<<<<<<< longer", 2),
    ] {
        sandbox.write(PLAN, &format!("{event}\n{marker}\r\n{checkpoint}"));
        let message = format!("error: git conflict marker at line {line}: `{marker}`\n");
        for command in [
            "show",
            "ready",
            "blocked",
            "export",
            "emit-update-plan",
            "emit-plan-sync",
            "add --step 'x'",
            "set-status --id st-001 --status done",
            "set-deps --id st-001 --deps ''",
            "set-notes --id st-001 --notes n",
            "add-comment --id st-001 --text t",
            "remove --id st-001",
            "import-plan --input in.json",
            "init --replace",
            "doctor",
            "doctor --repair-seq",
        ] {
            sandbox.write("in.json", "[]");
            let said = st(&sandbox, command);
            assert_eq!(said.code, 2, "{command}");
            assert!(said.err.starts_with(&message), "{command}: {}", said.err);
            said.err_has("\nhint: remove the lines that begin with <<<<<<<");
        }
        let said = sandbox.mesh("doctor -- /bin/sh").exits(1);
        said.out_has("FAIL plan         git conflict marker at line 2");
    }
    // An earlier record that is broken does not hide it.
    sandbox.write(PLAN, &format!("{{\n{event}\n=======\n{checkpoint}"));
    assert!(
        st(&sandbox, "show")
            .err
            .starts_with("error: git conflict marker at line 3")
    );
    sandbox.write(PLAN, &plan);
    sandbox.write("in.json", "{\n<<<<<<< HEAD\n\"items\":[]\n}");
    let said = st(&sandbox, "import-plan --input in.json");
    said.err_starts_with("error: git conflict marker at line 2: `<<<<<<< HEAD`\n");
}

#[test]
fn the_doctor_of_runs_reports_a_merged_plan() {
    let sandbox = merged(
        &COMMON,
        &["add --step 'Ours'"],
        &["add --id t --step 'Theirs'"],
    );
    let said = sandbox.mesh("doctor -- /bin/sh").exits(1);
    said.out_has("FAIL plan ");
    assert!(
        said.out.contains("histories") || said.out.contains("seq contract invalid"),
        "{}",
        said.out
    );
    said.out_has("mesh st doctor --repair-seq");
}
