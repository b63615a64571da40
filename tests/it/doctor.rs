//! `mesh doctor`: what it says of a healthy place, and that it goes on after the first thing that is wrong.

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::Value;

fn said(bench: &Bench, args: impl Into<Args>) -> (i32, String) {
    let said = bench.mesh(Args::from("doctor").and(args));
    let root = bench.work().display().to_string();
    (said.code, said.out.replace(&root, "[root]"))
}

#[test]
fn doctor_passes_in_a_healthy_repository() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b").notes("words"),
        Task::new("c").status("completed"),
    ]);
    let (code, out) = said(&bench, "--sandbox none -- /bin/sh");
    assert_snapshot!(out, @r"
    ok   repository   [root]
    ok   plan         .step/st-plan.jsonl: 3 tasks, 2 open
    ok   tasks        1 ready to run, 1 without metadata, which a worker will propose
    ok   protocol     swarm: at most 5 rows at once for a task
    ok   workers      command: /bin/sh
    ok   sandbox      none: changes by workers are only noticed
    ok   delivery     patches stay in the tree
    ok   integration  none interrupted
    ");
    assert_eq!(code, 0);
}

#[test]
fn all_errors_are_reported_together() {
    let bench = Bench::new(&[Task::new("a").more("unknown: 1"), Task::new("b")]);
    bench.write("p.yaml", "name: p\nroles: [a]\nrounds:\n  - {name: r, roles: [b], lane: patch, prompt: x.md, schema: synthesis.json}\n");
    let (code, out) = said(&bench, "--protocol p.yaml --sandbox none -- no-such-agent");
    assert_snapshot!(out, @r"
    ok   repository   [root]
    ok   plan         .step/st-plan.jsonl: 2 tasks, 2 open
    FAIL task         item `a`: unknown key `unknown` in the `mesh` block at line 7 of the notes
         hint:        known keys: scope, test_scope, acceptance, validation, risk, swarm, allow_no_validation
    ok   tasks        1 ready to run
    FAIL protocol     protocol `p.yaml`, line 4: round `r` has the unknown role `b`; roles: a
    FAIL workers      adapter `command`
      caused by: worker program `no-such-agent` does not exist
         hint:        install it, add its folder to PATH, or pass its path
    ok   sandbox      none: changes by workers are only noticed
    ok   delivery     patches stay in the tree
    ok   integration  none interrupted
    ");
    assert_eq!(code, 1);
}

#[test]
fn outside_of_a_repository_and_as_json() {
    let sandbox = Sandbox::new();
    let said = sandbox.mesh("--json doctor -- /bin/sh");
    let lines: Vec<Value> = said
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let found: Vec<(&str, bool)> = lines
        .iter()
        .map(|line| (line["what"].as_str().expect("text"), line["ok"] == true))
        .collect();
    assert_eq!(found, [("repository", false), ("workers", true)]);
    assert!(
        lines[0]["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("git init"))
    );
    // Rows of a CSV can be worked anywhere.
    assert_eq!((&lines[0]["level"], said.code), (&"warning".into(), 0));
    let said = sandbox.mesh("doctor -- /bin/sh");
    said.out_starts_with("warn repository   `");
    said.out_has("; mesh spawn works here; mesh run needs a repository\n");
    let said = sandbox.mesh("doctor -- no-such-agent").exits(1);
    assert_eq!(said.out.matches("FAIL ").count(), 2, "{}", said.out);
}

#[test]
fn suggested_commands_work_from_the_folder_of_the_call() {
    let sandbox = Sandbox::new();
    sandbox.write("repo/a.txt", "a\n");
    sandbox.git("init -q repo");
    for json in ["", "--json"] {
        let args = format!("-C repo {json} doctor -- /bin/sh");
        let said = sandbox.mesh(args.as_str()).exits(1);
        said.out_has("mesh -C repo st init");
        assert!(!said.out.contains("mesh st init"), "{}", said.out);
    }
    let said = sandbox.mesh("-C repo run -- /bin/sh");
    said.err_has("mesh -C repo st init");
}

#[test]
fn the_projects_own_protocols_are_looked_at_whichever_is_chosen() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("mesh.yaml", "protocols: {mine: p.yaml, gone: q.yaml}\n");
    bench.write("p.yaml", "name: p\nroles: [a]\nrounds:\n  - {name: r, roles: [b], lane: patch, prompt: hydrate.md, schema: synthesis.json}\n");
    let (code, out) = said(&bench, "-- /bin/sh");
    assert_eq!(code, 1);
    let mine = "FAIL protocol     protocol `p.yaml`, line 4: round `r` has the unknown role `b`";
    assert!(out.contains(mine), "{out}");
    assert!(out.contains("FAIL protocol     `[root]/q.yaml`\n"), "{out}");
    assert!(out.contains("ok   protocol     swarm"), "{out}");
}

#[test]
fn a_template_with_an_unknown_placeholder_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let protocol = "name: p\nroles: [a]\nrounds:\n  - {name: r, roles: [a], lane: patch, prompt: mine.md, schema: synthesis.json}\n";
    bench.write("protocols/p.yaml", protocol);
    let message = "template `protocols/mine.md` of protocol `protocols/p.yaml`, line 3: unknown placeholder `{objektive}`; nearest: `{objective}`";
    bench.write(
        "protocols/mine.md",
        "# {task_id}\n{{objektive}} { not one } {\"vote\": \"agree\"}\n{{{{x}}}} {objektive}\n",
    );
    let (code, out) = said(&bench, "--protocol protocols/p.yaml -- /bin/sh");
    assert_eq!(code, 1);
    assert_contains(&out, &format!("FAIL protocol     {message}\n"));
    assert_contains(&out, "hint:        known: {task_id}, {objective}, ");
    for command in [
        &["run"][..],
        &["run", "--dry-run"],
        &["wave", "next"],
        &["wave", "simulate"],
    ] {
        let args = [
            command,
            &["--protocol", "protocols/p.yaml", "--", "/bin/sh"],
        ]
        .concat();
        let args: Vec<&str> = match command {
            ["wave", ..] => args[..4].to_vec(),
            _ => args,
        };
        let said = bench.mesh(&args);
        assert_eq!(said.code, 2, "{args:?}: {}", said.err);
        assert!(
            said.err.starts_with(&format!("error: {message}\n")),
            "{args:?}: {}",
            said.err
        );
    }
    // Braces that are doubled, and what is no name at all, are text.
    bench.write(
        "protocols/mine.md",
        "# {task_id}\n{{objektive}} {\"vote\": \"agree\"} {}\n",
    );
    let (code, out) = said(&bench, "--protocol protocols/p.yaml -- /bin/sh");
    assert_eq!(code, 0, "{out}");
}
