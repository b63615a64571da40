//! `mesh run` with what can't be run: a message that names the culprit, the right exit code, and nothing started.

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::json;

/// Runs, expects a refusal with `code`, and that nothing was started or written. Gives what was said.
fn refused(sandbox: &Sandbox, code: i32, args: impl Into<Args>) -> String {
    let state = || (sandbox.tree(), std::fs::read(sandbox.path(PLAN)).ok());
    let before = state();
    let said = sandbox.mesh(args).exits(code);
    assert_eq!(said.out, "");
    assert!(state() == before, "something changed: {said}");
    assert!(
        !sandbox.mesh_home().join("runs").exists(),
        "a run is left: {said}"
    );
    said.err_starts_with("error: ");
    said.err
}

/// The same for a bench whose adapter is fine.
fn run_refused(bench: &Bench, code: i32, args: impl Into<Args>) -> String {
    let log = bench.beside("log").display().to_string();
    let worker = ["--", &fake_agent(), "--log", &log, "--good"];
    let said = refused(bench, code, Args::from("run").and(args).and(&worker));
    assert!(!bench.beside("log").exists(), "a worker was started");
    said
}

fn noted(notes: &str) -> Bench {
    Bench::new(&[Task::new("a").notes(notes)])
}

// Which plan.

#[test]
fn no_plan_gives_the_command_that_makes_one() {
    let sandbox = Sandbox::with_repo(&[("a.txt", "old\n")]);
    let said = refused(&sandbox, 3, "run -- true");
    assert_snapshot!(said, @r"
    error: no plan file at `.step/st-plan.jsonl`; create it with: mesh st init --file .step/st-plan.jsonl
    hint: run: mesh st init --file .step/st-plan.jsonl
    ");
    let command = said.split("run: ").nth(1).expect("a command").trim();
    let args: Vec<&str> = command.split(' ').skip(1).collect();
    sandbox.mesh(&args).exits(0);
    assert_eq!(sandbox.mesh("run -- true").code, 0, "{command} was enough");
}

#[test]
fn two_candidate_plans_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(".codex/st-plan.jsonl", &bench.read(PLAN));
    assert_snapshot!(run_refused(&bench, 3, ""), @r"
    error: both `.codex/st-plan.jsonl` and `.step/st-plan.jsonl` exist; choose one, recommended: plan_file=.step/st-plan.jsonl
    hint: pass plan_file=.step/st-plan.jsonl
    ");
    bench
        .run("--dry-run plan_file=.step/st-plan.jsonl")
        .exits(0);
}

#[test]
fn a_missing_plan_file_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = run_refused(&bench, 3, "plan_file=other.jsonl");
    assert!(said.contains("other.jsonl"), "{said}");
}

#[test]
fn a_lock_that_git_would_see() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(".gitignore", "");
    let said = run_refused(&bench, 3, "");
    assert_contains(
        &said,
        "lock sidecar '.step/st-plan.jsonl.lock' is not gitignored; run: cd ",
    );
}

// What is in it.

fn items(items: &[serde_json::Value]) -> Bench {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(PLAN, &plan_text(items));
    bench
}

#[test]
fn a_dependency_cycle_is_refused() {
    let item = |id: &str, dep: &str| json!({"id": id, "step": "s", "status": "pending", "deps": [{"id": dep, "type": "blocks"}], "notes": "", "comments": []});
    let said = run_refused(&items(&[item("a", "b"), item("b", "a")]), 2, "");
    assert_contains(&said, "dependency cycle detected: a -> b -> a");
}

#[test]
fn a_dependency_on_a_missing_item_is_refused() {
    let item = json!({"id": "a", "step": "s", "status": "pending", "deps": [{"id": "ghost", "type": "blocks"}], "notes": "", "comments": []});
    let said = run_refused(&items(&[item]), 2, "");
    assert_contains(&said, "item 'a' references unknown dependency 'ghost'");
}

#[test]
fn a_line_that_is_not_json_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(PLAN, &format!("{}{{\"v\":3,\n", bench.read(PLAN)));
    let said = run_refused(&bench, 2, "");
    assert!(said.contains("invalid JSON at line 3"), "{said}");
}

#[test]
fn ids_that_are_not_in_the_plan() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = run_refused(&bench, 2, "ids=a,ghost");
    assert!(said.contains("unknown id 'ghost'"), "{said}");
}

// The metadata of a task.

#[test]
fn a_block_that_is_not_yaml() {
    let said = run_refused(
        &noted("Words.\n\n```mesh\nscope: [a.txt]\nacceptance: [\nvalidation: []\n```"),
        2,
        "",
    );
    assert_contains(&said, "item `a`: the `mesh` block is broken at line ");
}

#[test]
fn a_block_with_an_unknown_key() {
    let notes = "```mesh\nscope: [a.txt]\nacceptance: []\nvalidaton: [make]\nvalidation: []\n```";
    let said = run_refused(&noted(notes), 2, "");
    assert_contains(
        &said,
        "item `a`: unknown key `validaton` in the `mesh` block at line 4 of the notes",
    );
}

#[test]
fn an_invalid_scope_is_refused() {
    for (glob, why) in [
        ("../x", "leaves the repository"),
        ("/etc/*", "is absolute"),
        ("src/[a", ""),
    ] {
        let notes = format!("```mesh\nscope: ['{glob}']\nacceptance: []\nvalidation: [make]\n```");
        let said = run_refused(&noted(&notes), 2, "");
        assert_contains(&said, "item `a`");
        assert_contains(&said, &format!("scope `{glob}`"));
        assert_contains(&said, why);
    }
}

#[test]
fn an_invalid_shared_path_is_refused() {
    let said = run_refused(&Bench::new(&[Task::new("a")]), 2, "shared_paths=../x");
    assert_contains(&said, "`shared_paths` can't be used");
    assert_contains(&said, "leaves the repository");
}

#[test]
fn a_swarm_that_no_protocol_has() {
    for (swarm, what) in [
        ("{roles: 4}", "`swarm.roles` is 4"),
        ("{consensus_threshold: 6}", "there are 5 voters"),
        (
            "{consensus_threshold: 0}",
            "`swarm.consensus_threshold` of the task is 0",
        ),
    ] {
        let bench = Bench::new(&[Task::new("a").more(&format!("swarm: {swarm}"))]);
        let said = run_refused(&bench, 2, "");
        assert!(said.contains("item `a`") && said.contains(what), "{said}");
    }
}

// The protocol.

const PROTOCOL: &str = "\
name: duo
roles: [synthesizer, skeptic]
rounds:
  - {name: synthesis, roles: [synthesizer], lane: patch, prompt: synthesis.md, schema: synthesis.json}
  - {name: vote, roles: [skeptic], lane: read_only, prompt: vote.md, schema: vote.json}
consensus: {round: vote, threshold: 1, retries: 0, retry_from: synthesis}
";

fn with_protocol(from: &str, to: &str) -> String {
    let text = PROTOCOL.replace(from, to);
    assert_ne!(text, PROTOCOL);
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("duo.yaml", &text);
    bench.write("broken.json", "{\n  \"type\": \n}\n");
    bench.write("odd.json", "{\"type\": \"nothing\"}");
    run_refused(&bench, 2, "protocol=duo.yaml")
}

#[test]
fn a_custom_protocol_file_is_used() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("duo.yaml", PROTOCOL);
    bench.run("protocol=duo.yaml").exits(0);
    assert_eq!(
        bench.rows(),
        ["a.synthesis.synthesizer.1", "a.vote.skeptic.1"]
    );
}

#[test]
fn a_protocol_with_an_unknown_role() {
    let said = with_protocol("roles: [skeptic], lane", "roles: [sceptic], lane");
    assert!(said.contains("protocol `duo.yaml`, line 5: round `vote` has the unknown role `sceptic`; roles: synthesizer, skeptic"), "{said}");
}

#[test]
fn a_protocol_without_its_template() {
    let said = with_protocol("vote.md", "ballot.md");
    assert_contains(
        &said,
        "protocol `duo.yaml`, line 5: no template `ballot.md` in its folder or built in",
    );
}

#[test]
fn a_protocol_with_a_bad_schema() {
    let said = with_protocol("vote.json", "broken.json");
    assert_contains(&said, "protocol `duo.yaml`");
    assert_contains(&said, "schema `broken.json`, line 3, column 1");
    let said = with_protocol("vote.json", "odd.json");
    assert!(said.contains("schema `odd.json` at /type"), "{said}");
}

#[test]
fn a_protocol_that_is_not_yaml() {
    let said = with_protocol(
        "roles: [synthesizer, skeptic]",
        "roles: [synthesizer, skeptic",
    );
    assert!(said.contains("protocol `duo.yaml`, line "), "{said}");
    let said = with_protocol("retries: 0", "retrys: 0");
    assert_contains(&said, "protocol `duo.yaml`, line 6");
    assert_contains(&said, "retrys");
}

#[test]
fn an_unknown_protocol_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let folder = run_refused(&bench, 2, "protocol=.git");
    assert_contains(&folder, "no protocol `.git`: neither known");
    let said = run_refused(&bench, 2, "protocol=swarm7");
    assert_contains(
        &said,
        "no protocol `swarm7`: neither known (best, duo, race, repro, solo, swarm, swarm3, tiered) nor a file",
    );
}

// Who does the work.

#[test]
fn a_missing_agent_is_reported() {
    let bench = Bench::new(&[Task::new("a")]);
    let mut mesh = bench.command("run");
    mesh.env("PATH", bench.path_with(&["git"]));
    let said = mesh.run_to_end().exits(3);
    assert_eq!(said.out, "");
    assert_snapshot!(said.err, @"
    error: no usable adapter: looked for `-- COMMAND` on the command line, `--adapter`, `adapters` in mesh.yaml, and the programs codex, claude, gemini, opencode on PATH
    hint: pass the agent's command after `--`, as in `… -- my-agent --json`; or try `mesh demo`, which needs no agent
    ");
    assert!(!bench.mesh_home().join("runs").exists());
}

#[test]
fn a_missing_program_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = refused(&bench, 3, "run -- no-such-agent --json");
    assert_contains(&said, "worker program `no-such-agent` does not exist");
    bench.write("agent", "#!/bin/sh\n");
    let said = refused(&bench, 3, "run -- ./agent");
    assert_contains(&said, "`./agent` is not executable");
    assert_contains(&said, "hint: chmod +x './agent'");
}

#[test]
fn an_unknown_adapter_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("mesh.yaml", "adapters:\n  mine: {command: ['true']}\n");
    let said = refused(&bench, 2, "run adapter=other");
    assert_contains(
        &said,
        "unknown adapter `other`; known: mine, codex, claude, gemini, opencode, replay",
    );
}

#[test]
fn two_adapters_that_are_preferred() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("mesh.yaml", "adapters:\n  one: {command: ['true'], preferred: true}\n  two: {command: ['true'], preferred: true}\n");
    let said = refused(&bench, 3, "run");
    assert_contains(&said, "several adapters as preferred: one, two");
}

#[test]
fn an_adapter_and_a_command() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = refused(&bench, 2, "run --adapter replay -- true");
    assert!(said.contains("conflicts with the command after"), "{said}");
}

#[test]
fn replay_without_answers() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = refused(&bench, 3, "run adapter=replay");
    assert_contains(&said, "hint: pass --adapter replay --answers DIR");
    let said = refused(&bench, 3, "run adapter=replay answers=nowhere");
    assert!(said.contains("nowhere` does not exist"), "{said}");
}

// Where.

#[test]
fn outside_a_repository_mesh_run_is_refused() {
    let sandbox = Sandbox::new();
    let said = refused(&sandbox, 2, "run -- true");
    assert_contains(&said, "is not inside a git repository");
    assert_contains(&said, "hint: create one with: git init");
}

#[test]
fn a_missing_directory_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = refused(&bench, 2, "-C missing run -- true");
    assert_snapshot!(said, @"error: `missing` is not a folder");
}

// Settings.

#[test]
fn invalid_settings_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    for setting in ["max_task=2", "max-tasks", "maxtasks=2", "=2"] {
        let said = run_refused(&bench, 2, &[setting]);
        assert_contains(
            &said,
            &format!("`{setting}` is not a setting of `mesh run`"),
        );
    }
}

#[test]
fn invalid_values_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    for (setting, option) in [
        ("max_tasks=abc", "--max-tasks"),
        ("max_concurrency=0", "--max-concurrency"),
        ("parallel_tasks=-1", "--parallel-tasks"),
        ("max_runtime_seconds=", "--max-runtime-seconds"),
    ] {
        let said = run_refused(&bench, 2, &[setting]);
        assert!(said.contains(option), "{setting}: {said}");
    }
}

#[test]
fn a_variable_with_a_bad_value() {
    let bench = Bench::new(&[Task::new("a")]);
    let output = bench
        .command("run -- true")
        .env("MESH_MAX_TASKS", "abc")
        .output()
        .expect("mesh starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("'abc' for '--max-tasks"), "{said}");
    assert!(!bench.mesh_home().exists());
}

#[test]
fn an_invalid_mesh_yaml_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    for (yaml, what) in [
        (
            "max_tasks: 1\nmax_taks: 2\n",
            "line 2: unknown key `max_taks`",
        ),
        ("max_tasks: [\n", "line "),
        ("max_tasks: {a: 1}\n", "line 1: `max_tasks` must be"),
        ("max_tasks: abc\n", "'abc' for '--max-tasks"),
        ("\nadapters:\n  x: {comand: [y]}\n", "line 2: `adapters`"),
        ("- a\n", "must be a mapping"),
    ] {
        bench.write("mesh.yaml", yaml);
        let said = run_refused(&bench, 2, "");
        assert!(said.contains(what), "{yaml}: {said}");
        assert!(
            said.contains("mesh.yaml") || yaml.contains("abc"),
            "{yaml}: {said}"
        );
    }
}

#[test]
fn precedence_of_settings() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b"),
        Task::new("c"),
        Task::new("d"),
    ]);
    bench.write("mesh.yaml", "parallel_tasks: 2\nmax_tasks: 9\n");
    let ids = |args: &[&str], variable: &str| {
        let mut command = bench.command(Args::from("run --dry-run").and(args).and("-- true"));
        if !variable.is_empty() {
            command.env("MESH_PARALLEL_TASKS", variable);
        }
        let said = command.run_to_end();
        selected(&said)
    };
    assert_eq!(ids(&[], ""), "a,b");
    assert_eq!(ids(&[], "3"), "a,b,c");
    assert_eq!(ids(&["parallel_tasks=1"], "3"), "a");
    assert_eq!(ids(&["--parallel-tasks", "4"], "3"), "a,b,c,d");
}

// Tasks that come later.

#[test]
fn a_later_task_with_invalid_metadata_is_reported_and_skipped() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").more("nonsense: 1")]);
    let said = bench.run("max_tasks=2").exits(0);
    said.err_has("item `b`: unknown key `nonsense` in the `mesh` block at line 7 of the notes; it is skipped");
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "pending"]
    );
}

#[test]
fn a_repository_without_a_commit_is_good_enough() {
    let bench = Bench::new(&[Task::new("a")]);
    std::fs::remove_dir_all(bench.path(".git")).expect("removed");
    bench.git("init --quiet");
    bench.run("").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    assert_eq!(bench.waves()[0].column("base_sha"), ["unborn"]);
}

#[test]
fn zero_parallel_tasks_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    run_refused(&bench, 2, "parallel_tasks=0");
}

#[test]
fn a_later_task_with_a_bad_swarm_does_not_end_the_run() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").more("swarm: {roles: 4}")]);
    let said = bench.run("max_tasks=2");
    assert_eq!(
        (
            bench.status_of("a").as_str(),
            bench.status_of("b").as_str(),
            said.code
        ),
        ("completed", "pending", 0),
        "{}",
        said.err
    );
}

#[test]
fn an_unusable_task_does_not_hide_a_good_one() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b").notes("words"),
        Task::new("c"),
    ]);
    bench.run("max_tasks=3");
    assert_eq!(bench.status_of("c"), "completed");
}

#[test]
fn the_init_command_works_where_it_is_shown() {
    let sandbox = Sandbox::with_repo(&[("sub/a.txt", "old\n")]);
    let refused = sandbox.mesh("-C sub run -- true");
    let command = refused.err.split("run: mesh ").nth(1).expect("a command");
    sandbox.mesh(command.trim()).exits(0);
    sandbox.mesh("-C sub run -- true").exits(0);
}

#[test]
fn the_init_command_can_be_pasted() {
    let sandbox = Sandbox::with_repo(&[("sub/a.txt", "old\n")]);
    let said = sandbox.mesh("run 'plan_file=my plan.jsonl' -- true");
    said.err_has("my plan.jsonl'\n");
}

#[test]
#[cfg(target_os = "linux")] // macOS refuses such names.
fn a_non_utf8_file_name_works() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new(&[Task::new("a").validation(&["echo x >>caf*; false"])]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(bench.work().join(name), "x\n").expect("it works");
    bench.git("add --all");
    bench.git("commit -qm x");
    let tree = bench.tree();
    bench.run("").exits(1);
    assert!((bench.tree() == tree));
}

#[test]
#[cfg(target_os = "linux")] // macOS refuses such names.
fn workers_see_files_whose_names_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::new(&[Task::new("a")]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
    std::fs::write(bench.work().join(name), "x\n").expect("it works");
    let answers = bench.answers();
    let seen = bench.beside("seen").display().to_string();
    let look = format!(
        "cat >/dev/null; ls >{seen}; exec {} --answers {answers} </dev/null",
        fake_agent()
    );
    bench.mesh(&["run", "--run-id", "R", "--", "sh", "-c", &look]);
    let seen = std::fs::read(&seen).expect("seen");
    assert!(
        seen.windows(3).any(|w| w == b"caf"),
        "{}",
        String::from_utf8_lossy(&seen)
    );
}
