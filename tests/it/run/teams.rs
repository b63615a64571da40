//! Roles with an adapter of their own: one wave is worked by several.

use super::*;
use std::collections::BTreeMap;

/// Two adapters, `one` and `two`, that give the recorded answers and note each row in a file beside the repository.
fn bench(more: &str) -> Bench {
    let bench = Bench::new(&[Task::new("a")]);
    write_config(&bench, ["", ""], more);
    bench
}

/// `settings` are further keys of the adapters.
fn write_config(bench: &Bench, settings: [&str; 2], more: &str) {
    let mut yaml = "adapters:\n".to_owned();
    for (name, settings) in ["one", "two"].iter().zip(settings) {
        let log = bench.beside(name).display().to_string();
        let command = json!([fake_agent(), "--log", log, "--answers", bench.answers()]);
        yaml.push_str(&format!("  {name}: {{command: {command}{settings}}}\n"));
    }
    bench.write("mesh.yaml", &format!("{yaml}{more}"));
}

/// The rows that an adapter worked, without the name of the task, in order.
fn worked(bench: &Bench, adapter: &str) -> Vec<String> {
    let log = std::fs::read_to_string(bench.beside(adapter)).unwrap_or_default();
    let rows = log
        .lines()
        .map(|row| row.trim_start_matches("a.").to_owned());
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

/// Of each row, the adapter that `mesh inspect` shows.
fn inspected(bench: &Bench) -> BTreeMap<String, String> {
    let said = bench.mesh("inspect R --columns item,adapter").exits(0);
    let rows = said
        .out
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once('\t'));
    rows.map(|(row, adapter)| (row.to_owned(), adapter.to_owned()))
        .collect()
}

const CRITIC: [&str; 2] = ["critique.critic_a.1", "vote.critic_a.1"];

#[test]
fn a_wave_is_worked_by_the_adapters_of_its_roles_and_says_nothing_of_them() {
    let bench = bench("");
    let said = bench
        .mesh("run --run-id R adapter=one role=critic_a=two")
        .exits(0);
    assert!(
        preflight(&said).ends_with(" overrides=role=critic_a=two concurrency=5 roles=critic_a=two")
    );
    assert_eq!(worked(&bench, "two"), CRITIC);
    assert_eq!(worked(&bench, "one").len(), 8);
    assert_eq!(bench.status_of("a"), "completed");
    for wave in bench.waves() {
        let cells = wave.rows.iter().flat_map(BTreeMap::values);
        assert!(wave.header.iter().all(|name| name != "adapter"));
        assert!(cells.into_iter().all(|cell| cell != "two"), "{}", wave.name);
    }
    let named = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "attempt_started");
    let named = named.filter(|(_, event)| event["adapter"] == "two");
    assert_eq!(named.count(), 2);
    let shown = inspected(&bench);
    assert_eq!(
        (
            shown["a.vote.critic_a.1"].as_str(),
            shown["a.vote.critic_b.1"].as_str()
        ),
        ("two", "one")
    );
    let stats = bench.mesh("stats R --by adapter --json").exits(0);
    let stats: Value = serde_json::from_str(&stats.out).expect("JSON");
    let rows = |index: usize| {
        let group = &stats["groups"][index];
        (
            group["name"].clone(),
            group["spent"]["rows"].clone(),
            group["completed"].clone(),
        )
    };
    assert_eq!(rows(0), (json!("one"), json!(8), json!(1)));
    assert_eq!(rows(1), (json!("two"), json!(2), json!(1)));
    bench.mesh("audit R").exits(0);
}

#[test]
fn the_command_line_goes_before_mesh_yaml_and_that_before_the_protocol() {
    let bench = bench("roles: {critic_b: {adapter: two}, skeptic: {adapter: two}}\n");
    let swarm = include_str!("../../../templates/swarm.yaml");
    let listed = "roles: [proposer, critic_a, critic_b, skeptic, synthesizer]";
    assert_contains(swarm, &format!("name: swarm\n{listed}"));
    let mapped = "roles: {proposer: {}, critic_a: {adapter: two}, critic_b: {adapter: one}, skeptic: , synthesizer: {adapter: one}}";
    let head = format!("name: swarm\n{listed}");
    bench.write(
        "own.yaml",
        &swarm.replace(&head, &format!("name: own\n{mapped}")),
    );
    let said = bench
        .mesh("run --dry-run adapter=one --protocol own.yaml --role skeptic=one")
        .exits(0);
    let line = preflight(&said);
    assert!(line.ends_with(" roles=critic_a=two,critic_b=two"), "{line}");
}

#[test]
fn candidates_are_bound_together_or_one_by_one() {
    let bench = bench("roles: {author: {adapter: two}, author_1: {adapter: one}}\n");
    let said = bench
        .mesh("run --dry-run adapter=one --protocol race")
        .exits(0);
    let line = preflight(&said);
    // The author itself asks for metadata.
    let roles = " roles=author=two,author_2=two,author_3=two";
    assert!(line.ends_with(roles), "{line}");
    let said = bench
        .mesh("run --dry-run adapter=one --protocol race --role author_3=one")
        .exits(0);
    let line = preflight(&said);
    assert!(line.ends_with(" roles=author=two,author_2=two"), "{line}");
}

#[test]
fn what_a_role_can_not_have_is_refused_with_its_name() {
    let bench = bench("");
    for (args, expected) in [
        (
            "--adapter one --role critik_a=two",
            "--role: unknown role `critik_a`; roles: critic_a, critic_b, proposer, skeptic, synthesizer\nhint: did you mean `critic_a`?\n",
        ),
        (
            "--adapter one --role skeptic=twoo",
            "role `skeptic`\n  caused by: unknown adapter `twoo`; known: counted, one, two, codex, claude, gemini, opencode, replay, external\nhint: did you mean `two`?\n",
        ),
        (
            "--adapter one --role skeptic=two:big",
            "role `skeptic`\n  caused by: adapter `two` takes no `--model`\n",
        ),
        (
            "--adapter one --role skeptic=external",
            "role `skeptic`: adapter `external` starts no worker",
        ),
        (
            "--role skeptic=two --adapter external",
            "roles can't be bound with adapter `external`",
        ),
        (
            "--role skeptic=two --max-tokens 9 --adapter counted",
            "role `skeptic`\n  caused by: adapter `two` does not report how many tokens it used",
        ),
    ] {
        let counted = "  counted: {command: ['/bin/true'], usage: {input_tokens: /in, output_tokens: /out}}\n";
        write_config(&bench, ["", ""], counted);
        let args = Args::from("run").and(args);
        let said = bench.mesh(args);
        assert_ne!(said.code, 0);
        said.err_has(expected);
    }
    write_config(&bench, ["", ""], "roles: {juge: {adapter: two}}\n");
    bench
        .mesh("run --adapter one")
        .err_has("`roles` of mesh.yaml: unknown role `juge`");
    // The role of another protocol.
    write_config(&bench, ["", ""], "roles: {author: {adapter: two}}\n");
    bench.mesh("run --adapter one --dry-run").exits(0);
    assert!(worked(&bench, "one").is_empty());
}

#[test]
fn a_killed_run_is_resumed_with_its_bindings() {
    let bench = bench("roles: {critic_a: {adapter: two}}\n");
    let mut mesh = bench.command("run --run-id R --adapter one");
    // Within the critique, whose rows have begun.
    mesh.env("MESH_FAULT_KILL", "before:14");
    mesh.run_to_end().exits(128 + 9);
    write_config(&bench, ["", ""], "");
    bench.mesh("resume R").exits(0);
    let mut rows = worked(&bench, "two");
    rows.dedup();
    assert_eq!(rows, CRITIC);
    assert_eq!(inspected(&bench)["a.vote.critic_a.1"], "two");
}

#[test]
fn a_run_of_recorded_answers_replays_all_roles() {
    let bench = bench("roles: {critic_a: {adapter: two}}\n");
    let recorded = bench.beside("recorded").display().to_string();
    let record = Args::from("run --run-id R --adapter one --record").and(&[&recorded]);
    bench.mesh(record).exits(0);
    let again = Bench::new(&[Task::new("a")]);
    again.write("mesh.yaml", "roles: {critic_a: {adapter: no-such}}\n");
    let said =
        again.mesh(Args::from("run --run-id R --adapter replay --answers").and(&[&recorded]));
    said.err_has("warning: adapter `replay` works all roles; what mesh.yaml or the protocol binds them to is not used\n");
    assert_eq!(again.status_of("a"), "completed");
}

#[test]
fn doctor_shows_the_program_of_each_role() {
    let bench = bench("roles: {critic_a: {adapter: two}}\n");
    let said = bench.mesh("doctor --adapter one").exits(0);
    assert_contains(
        &said.out,
        &format!("ok   role         critic_a=two: {}\n", fake_agent()),
    );
    let said = bench.mesh("doctor --adapter one --role skeptic=no");
    assert_contains(&said.out, "role `skeptic`");
}

/// An agent that speaks like codex: it notes its row and its arguments, and gives the recorded answer.
fn fake_codex(bench: &Bench) -> String {
    let script = r#"#!/bin/sh
[ "${1:-}" = --version ] && { echo "codex-cli 9.9.9"; exit 0; }
echo "$MESH_ITEM_ID $*" >>LOG
answer=$(AGENT --answers ANSWERS </dev/null | STRING)
cat <<END
{"type":"thread.started","thread_id":"T-$MESH_ITEM_ID"}
{"type":"turn.started"}
{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":$answer}}
{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":0,"output_tokens":10}}
END
"#;
    let script = script
        .replace("LOG", &bench.beside("calls").display().to_string())
        .replace("AGENT", &fake_agent())
        .replace("ANSWERS", &bench.answers())
        .replace("STRING", &json_string());
    let path = bench.beside("codex-like");
    write_program(&path, &script);
    path.display().to_string()
}

#[test]
fn two_critics_with_one_agent_have_a_conversation_each_and_models_of_their_own() {
    let bench = bench("");
    let more = format!(
        "  like: {{agent: codex, program: {}}}\n",
        fake_codex(&bench)
    );
    let roles = "roles: {critic_a: {adapter: like, model: m-1}, critic_b: {adapter: like, model: m-1}, skeptic: {adapter: like, model: m-2, effort: high}}\n";
    write_config(&bench, ["", ""], &format!("{more}{roles}"));
    bench.mesh("run --run-id R --adapter one").exits(0);
    let calls = read_file(bench.beside("calls"));
    let mut calls: Vec<&str> = calls.lines().collect();
    calls.sort_unstable();
    assert_eq!(calls.len(), 6);
    for call in calls {
        let (row, args) = call.split_once(' ').expect("arguments");
        assert_starts_with(args, "exec --json ");
        assert!(!args.contains("resume") && !args.contains("T-a"), "{call}");
        let is_skeptic = row.contains(".skeptic.");
        assert_eq!(args.contains(" -m m-2 "), is_skeptic, "{call}");
        assert_eq!(
            args.contains("model_reasoning_effort=\"high\""),
            is_skeptic,
            "{call}"
        );
    }
    let stats = bench.mesh("stats R --by model --json").exits(0);
    let stats: Value = serde_json::from_str(&stats.out).expect("JSON");
    let groups = stats["groups"].as_array().expect("groups").iter();
    let groups: Vec<String> = groups
        .map(|group| {
            format!(
                "{} {} {}",
                group["name"], group["spent"]["rows"], group["spent"]["tokens"]
            )
        })
        .collect();
    assert_eq!(
        groups,
        ["\"m-1\" 4 440", "\"m-2\" 2 220", "\"not set\" 4 null"]
    );
}

#[test]
fn a_limit_of_one_account_stops_no_row_of_another() {
    let bench = bench("");
    let answered = bench.beside("answered").display().to_string();
    let agent = |more: Value| {
        let mut command = vec![json!(fake_agent())];
        command.extend(more.as_array().expect("a list").clone());
        command.extend([json!("--answers"), json!(bench.answers())]);
        json!(command)
    };
    // The quota of `two` ends when `one` has worked another row of the wave; each has a slot in turn.
    let limited = "echo \"You've hit your usage limit. Try again in 1s\" >&2; exit 1";
    let one = agent(json!(["--meddle-at", "a.critique.critic_b.1", answered]));
    let two = agent(json!(["--fail-at", "critique.critic_a", answered, limited]));
    let yaml = format!("adapters:\n  one: {{command: {one}}}\n  two: {{command: {two}}}\n");
    bench.write("mesh.yaml", &yaml);
    let said = bench.mesh("run --run-id R --adapter one --role critic_a=two -j 1");
    said.exits(0);
    let trace = bench.trace("attempt_started attempt_finished");
    let position = |wanted: &str| trace.iter().position(|line| line == wanted);
    let answer = position("attempt_finished a.critique.critic_b.1").expect("answered");
    let starts = trace.iter().enumerate();
    let starts = starts.filter(|(_, line)| *line == "attempt_started a.critique.critic_a.1");
    let last = starts.map(|(at, _)| at).max();
    assert!(last > Some(answer), "{trace:?}");
    assert_eq!(bench.status_of("a"), "completed");
}
