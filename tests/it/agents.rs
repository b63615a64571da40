//! Who can work rows beside a plain command: agents that are spoken to in their own way, commands described in
//! `mesh.yaml`, the report tool; and what they use up.

use crate::fixture::*;
use crate::mcp::Client;
use insta::assert_snapshot;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SCHEMA: &str = r#"{"type":"object","required":["answer"],"properties":{"answer":{"type":"string"},"note":{"type":"string"}}}"#;

fn beside(sandbox: &Sandbox, name: &str) -> PathBuf {
    sandbox.work().parent().expect("a root").join(name)
}

/// A sandbox with rows, a schema, and a PATH on which the fake `codex` is the only agent.
struct WithCodex {
    sandbox: Sandbox,
    path: PathBuf,
}

impl WithCodex {
    fn new(rows: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", rows);
        sandbox.write("schema.json", SCHEMA);
        std::fs::create_dir(beside(&sandbox, "codex-home")).expect("a folder");
        let path = sandbox.path_with(&["git", "cat", "env", "sort"]);
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agents/fake-codex");
        std::os::unix::fs::symlink(fake, path.join("codex")).expect("linked");
        Self { sandbox, path }
    }

    fn mesh(&self, args: impl Into<Args>) -> Said {
        self.sandbox
            .command(args)
            .env("PATH", &self.path)
            .env("CODEX_HOME", beside(&self.sandbox, "codex-home"))
            .env("OPENAI_API_KEY", "key")
            .env("OTHER_KEY", "secret")
            .run_to_end()
    }

    fn spawn(&self, more: impl Into<Args>) -> Said {
        let head = "spawn in.csv -o out.csv --id-column id --instruction 'Do {id}' --output-schema schema.json -j 1";
        self.mesh(Args::from(head).and(more))
    }

    fn kept(&self, name: &str) -> String {
        let path = beside(&self.sandbox, "codex-home").join(name);
        read_file(path)
    }
}

fn finished(sandbox: &Sandbox) -> Vec<Value> {
    let events = sandbox.events().into_iter();
    let finished = events.filter(|(name, _)| name == "attempt_finished");
    finished.map(|(_, record)| record).collect()
}

#[test]
fn a_refused_answer_is_corrected_in_the_same_session() {
    let world = WithCodex::new("id\none\n");
    world
        .spawn("--adapter codex --model m-1 --effort low")
        .exits(0);
    let args = world.kept("args");
    let args: Vec<&str> = args.lines().collect();
    assert!(
        args[0].starts_with("exec --json ") && args[1].starts_with("exec resume T-one --json "),
        "{args:?}"
    );
    for args in &args {
        assert!(
            args.contains(" sandbox_mode=\"read-only\" ")
                && args.contains(" -m m-1 ")
                && args.ends_with(" -"),
            "{args}"
        );
        assert_contains(args, "model_reasoning_effort=\"low\"");
        assert_contains(args, "/codex-schema.json");
    }
    let prompts = world.kept("prompts");
    let (first, second) = prompts.split_once("====\n").expect("two prompts");
    assert_contains(
        first,
        "with the tool `report_agent_job_result`, or as your last message",
    );
    assert_snapshot!(second.trim_end_matches("====\n"), @r#"
    Your answer was refused:

    invalid_output_schema: /answer: value is not of type "string"

    Fix exactly that, and return the whole result again, as one JSON object that matches the schema, in the same way as before.
    "#);
    let attempts = finished(&world.sandbox);
    let used: Vec<_> = attempts
        .iter()
        .map(|it| it["usage"]["input_tokens"].clone())
        .collect();
    assert_eq!(
        used,
        [100, 150],
        "the second one gives the total of the conversation"
    );
    assert_eq!(attempts[0]["session"]["id"], "T-one");
    assert_eq!(attempts[1].get("session"), None);
    assert!(
        world
            .sandbox
            .read("out.csv")
            .contains(r#","{""answer"":""good""}","#),
        "a filler is no answer"
    );
}

#[test]
fn an_agent_sees_its_own_variables_and_no_others() {
    let world = WithCodex::new("id\none\n");
    world.spawn("").exits(0);
    let env = world.kept("env");
    assert_contains(&env, "OPENAI_API_KEY=key\n");
    assert_lacks(&env, "OTHER_KEY");
}

#[test]
fn a_session_is_resumed_by_a_later_call() {
    let world = WithCodex::new("id\none\n");
    world.spawn("--retries 0").exits(1);
    assert!(
        world.kept("args").contains(" --ephemeral "),
        "nobody was to go on with it"
    );
    let world = WithCodex::new("id\none\n");
    // The conversation is named in the ledger when the retry is recorded; the kill comes right behind.
    world
        .sandbox
        .command(&[
            "spawn",
            "in.csv",
            "-o",
            "out.csv",
            "--id-column",
            "id",
            "--instruction",
            "Do {id}",
            "--output-schema",
            "schema.json",
        ])
        .env("PATH", &world.path)
        .env("CODEX_HOME", beside(&world.sandbox, "codex-home"))
        .env("MESH_FAULT_KILL", "after:4")
        .run_to_end()
        .exits(128 + 9);
    let run = world.sandbox.only_run();
    let id = run
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    world.mesh(&["resume", &id]).exits(0);
    let args = world.kept("args");
    assert!(
        args.lines()
            .last()
            .expect("a line")
            .starts_with("exec resume T-one "),
        "{args}"
    );
}

#[test]
fn adapters_are_listed_with_what_they_can_do_and_what_is_missing() {
    let world = WithCodex::new("id\n");
    world.sandbox.write("mesh.yaml", "adapters:\n  mine: {command: [./mine], fanout: 3}\n  fast: {agent: codex, model: m}\n  big: {command: [no-such]}\nprices:\n  m: {input: 1, output: 2}\n");
    world.sandbox.write("mine", "#!/bin/sh\n");
    let said = world.mesh("adapters --json").exits(0);
    let listed: Value = serde_json::from_str(&said.out).expect("JSON");
    let one = |name: &str| {
        let all = listed["adapters"].as_array().expect("a list");
        all.iter()
            .find(|it| it["name"] == name)
            .expect("listed")
            .clone()
    };
    assert_eq!(one("codex")["version"], "9.9.9");
    let tried = one("codex")["tried_with"]
        .as_str()
        .expect("text")
        .to_owned();
    assert_eq!(
        (&one("codex")["is_default"], &one("fast")["is_default"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(
        (
            &one("codex")["capabilities"]["cost"],
            &one("fast")["capabilities"]["cost"]
        ),
        (&json!(false), &json!(true))
    );
    assert!(
        one("mine")["missing"]
            .as_str()
            .expect("text")
            .contains("is not executable"),
        "{}",
        one("mine")
    );
    assert!(
        one("claude")["missing"]
            .as_str()
            .expect("text")
            .contains("npm install -g @anthropic-ai/claude-code")
    );
    for name in ["command", "replay", "external"] {
        assert_eq!(one(name)["source"], "built in");
        assert!(one(name)["usage"].is_string(), "{}", one(name));
    }
    let text = world.mesh("adapters");
    text.out_has("\nreplay     recorded answers: --adapter replay --answers DIR\n");
    let codex = format!("codex      9.9.9 (tested with {tried}) /");
    text.out_has(&codex);
    text.out_has("big        missing: worker program `no-such` does not exist\n");
    text.err_has("Default adapter: codex");
}

#[test]
fn the_first_available_agent_is_the_default() {
    let world = WithCodex::new("id\none\n");
    let said = world.spawn("--json");
    said.err_has(" adapter=codex ");
    let summary: Value =
        serde_json::from_str(said.out.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        summary["usage"],
        json!({"input_tokens": 250, "cached_input_tokens": 0, "output_tokens": 10})
    );
}

#[test]
fn unsupported_agent_options_are_refused_before_anything_starts() {
    let world = WithCodex::new("id\none\n");
    let refused = |args: &str| world.spawn(args).exits(3).err;
    assert_snapshot!(refused("--adapter claude"), @r"
    error: adapter `claude`: its program `claude` is not on PATH
    hint: npm install -g @anthropic-ai/claude-code
    ");
    assert_snapshot!(refused("--max-cost-usd 1"), @"
    error: adapter `codex` does not report what it cost, so `--max-cost-usd` can't be enforced
    hint: set the price of the model in mesh.yaml, per million tokens: prices: {MODEL: {input: 1.25, output: 10}}
    ");
    assert_snapshot!(refused("--max-tokens 1 -- cat"), @"
    error: adapter `command` does not report how many tokens it used, so `--max-tokens` can't be enforced
    hint: in mesh.yaml, set `usage` of the adapter to where its output reports it; see docs/adapters.md
    ");
    assert_snapshot!(refused("--effort high -- cat"), @"
    error: adapter `command` takes no `--effort`
    hint: add it to the command itself, or leave `--effort` out
    ");
    assert!(!world.sandbox.mesh_home().exists());
}

#[test]
fn workers_have_a_tool_to_report_with() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\none\n");
    sandbox.write("schema.json", SCHEMA);
    let agent = fake_agent();
    let args = [
        "spawn",
        "in.csv",
        "-o",
        "out.csv",
        "--id-column",
        "id",
        "--instruction",
        "x",
        "--output-schema",
        "schema.json",
        "--env",
        "MESH,SAID",
        "--",
        &agent,
        "--tool",
    ];
    sandbox
        .command(&args)
        .env("SAID", sandbox.path("said"))
        .run_to_end()
        .exits(0);
    let answers: Vec<Value> = sandbox
        .read("said")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let tool = &answers[1]["result"]["tools"][0];
    assert_eq!(tool["name"], "report_agent_job_result");
    assert_eq!(
        tool["inputSchema"]["properties"]["result"]["required"],
        json!(["answer"])
    );
    let content: Vec<_> = answers[2..]
        .iter()
        .map(|it| &it["result"]["structuredContent"])
        .collect();
    assert!(
        content[0]["reason"]
            .as_str()
            .expect("text")
            .starts_with("the result does not fit the schema: /answer: "),
        "{}",
        content[0]
    );
    assert_eq!(
        content[1..],
        [
            &json!({"accepted": true}),
            &json!({"accepted": false, "reason": "a result was already reported for this attempt"})
        ]
    );
    let reported = sandbox
        .events()
        .into_iter()
        .find(|(name, _)| name == "attempt_reported");
    assert_eq!(reported.expect("reported").1["via"], "report");
}

#[test]
fn the_tool_outside_of_a_worker_says_what_is_missing() {
    let sandbox = Sandbox::new();
    // Also where another option makes it take the long way through the command line.
    for args in ["mcp --worker", "mcp --worker --quiet"] {
        let mut client = Client::of(&mut sandbox.command(args));
        let call = json!({"name": "report_agent_job_result", "arguments": {"result": {}}});
        let answer = client.request("tools/call", call);
        let content = &answer["result"]["structuredContent"];
        let reason = content["reason"].as_str().expect("text");
        assert_starts_with(reason, "`MESH_REPORT_SOCKET` is not set");
        assert_eq!(answer["result"]["isError"], true);
        client.close();
    }
}

/// A command that says what it used, for ten rows.
fn with_usage() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in.csv",
        &format!(
            "id\n{}",
            (1..=10).map(|n| format!("r{n}\n")).collect::<String>()
        ),
    );
    sandbox.write("mesh.yaml", "adapters:\n  counted:\n    command: [/bin/echo, '{\"answer\": \"x\", \"in\": 900, \"out\": 100, \"usd\": 0.5}']\n    usage: {input_tokens: /in, output_tokens: /out, cost_usd: /usd}\n");
    sandbox
}

fn budgeted(sandbox: &Sandbox, option: impl Into<Args>) -> Said {
    let head = "spawn in.csv -o out.csv --id-column id --instruction x --run-id R";
    sandbox.mesh(Args::from(head).and(option))
}

#[test]
fn a_job_stops_before_it_exceeds_its_budget_and_resumes_with_a_raised_one() {
    for (option, value, more, rows) in [
        ("--max-rows", "3", "5", 3),
        ("--max-tokens", "4500", "6500", 4),
        ("--max-cost-usd", "2.25", "3.25", 4),
    ] {
        let sandbox = with_usage();
        let said = budgeted(&sandbox, &[option, value, "-j", "2"]).exits(4);
        let name = option.trim_start_matches("--").replace('-', "_");
        said.err_has(&format!(
            "{rows} of 10 rows completed, 0 failed ({name} of {value} reached)"
        ));
        said.err_ends_with(&format!("mesh resume R {option} MORE\n"));
        let reached = sandbox
            .events()
            .into_iter()
            .find(|(name, _)| name == "budget_reached");
        let reached = reached.expect("an event").1;
        assert_eq!(
            (
                reached["budget"].as_str(),
                reached["limit"].to_string().as_str()
            ),
            (Some(name.as_str()), value)
        );
        let same = sandbox.mesh("resume R");
        assert!(
            same.code == 4 && same.err.contains(&format!("{rows} of 10 rows")),
            "{}",
            same.err
        );
        let raised = sandbox.mesh(&["resume", "R", option, more]);
        assert!(
            raised.code == 4 && raised.err.contains(&format!("{} of 10 rows", rows + 2)),
            "{}",
            raised.err
        );
        let done = sandbox
            .mesh(&["spawn", "--resume=R", option, "100000"])
            .exits(0);
        done.err_has("used: 9.0k tokens in, 1.0k out, $5.00\n");
    }
}

#[test]
fn a_budget_that_is_not_reached_stops_nothing() {
    let sandbox = with_usage();
    budgeted(
        &sandbox,
        "--max-rows 10 --max-tokens 10000 --max-cost-usd 5",
    )
    .exits(0);
}

#[test]
fn rows_waiting_for_budget_start_when_it_is_freed() {
    let sandbox = with_usage();
    // Room for the estimates of two rows at first, and for all ten in the end.
    budgeted(&sandbox, "--max-tokens 45000 -j 10").exits(0);
}

#[test]
fn a_plan_run_keeps_its_budget_across_waves_and_resumes() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.run("--max-rows 3").exits(4);
    first.out_has("max_rows of 3 reached");
    let started = || {
        bench
            .events()
            .iter()
            .filter(|(name, _)| name == "attempt_started")
            .count()
    };
    assert_eq!(started(), 3, "one proposal, and two of the critics");
    let done = bench.mesh("resume R --max-rows 100 --json").exits(0);
    assert_eq!(report(&done)["tasks"][0]["state"], "completed");
    assert_eq!(started(), 10);
}

#[test]
fn the_report_of_a_plan_run_says_what_was_used() {
    let bench = Bench::new(&[Task::new("a")]);
    let answers = bench.answers();
    // The keys are kept with the answer, as unknown ones are; here they are the usage.
    let script = format!(
        "{} --answers {answers} | sed '1s/{{/{{\"used\": {{\"in\": 90, \"out\": 10}}, /'",
        fake_agent()
    );
    let config = json!({"adapters": {"counted": {"command": ["/bin/sh", "-c", script], "usage": {"input_tokens": "/used/in", "output_tokens": "/used/out"}}}, "prices": {"*": {"input": 10000, "output": 10000}}});
    bench.write("mesh.yaml", &config.to_string());
    let said = bench.mesh("run --run-id R --json").exits(0);
    let report = report(&said);
    assert_eq!(
        report["usage"],
        json!({"input_tokens": 900, "cached_input_tokens": 0, "output_tokens": 100, "cost_usd": 10.0})
    );
    assert_eq!(report["tasks"][0]["usage"], report["usage"]);
    let waves: Vec<_> = report["wave_usage"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["output_tokens"].clone())
        .collect();
    assert_eq!(waves, [10, 30, 10, 50]);
    let shown = bench.mesh("runs show R");
    shown.out_has("  used 900 tokens in, 100 out, $10.00\n");
}

#[test]
fn a_rate_limit_matched_by_a_custom_pattern_costs_no_attempt() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\none\n");
    let marker = sandbox.path("marker").display().to_string();
    let config = json!({"adapters": {"mine": {"command": [fake_agent(), "--limited", marker, "the line is busy, try again in 1s"], "rate_limit_patterns": ["line is busy"]}}});
    sandbox.write("mesh.yaml", &config.to_string());
    sandbox
        .mesh("spawn in.csv -o out.csv --id-column id --instruction x -j 4")
        .exits(0);
    assert_eq!(
        finished(&sandbox)
            .iter()
            .map(|it| it["end"].clone())
            .collect::<Vec<_>>(),
        ["rate_limited", "completed"]
    );
    let limited = sandbox
        .events()
        .into_iter()
        .find(|(name, _)| name == "rate_limited");
    assert_eq!(
        limited.expect("an event").1["places"],
        1,
        "the one row had one place"
    );
}

#[test]
fn a_quota_in_an_envelope_counts_after_an_exit_with_0() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\none\ntwo\n");
    let path = sandbox.path_with(&["git", "cat", "sh"]);
    let envelope = r#"{"session_id":"s","error":{"type":"Error","message":"You have exhausted your capacity on this model. Your quota will reset after 5h34m16s.","code":1}}"#;
    let agent = format!("#!/bin/sh\ncat >/dev/null\necho '{envelope}'\n");
    write_program(&path.join("gemini"), &agent);
    let said = sandbox
        .command("spawn in.csv -o out.csv --instruction x --adapter gemini")
        .env("PATH", &path)
        .run_to_end()
        .exits(4);
    said.err_has("longer than rate_limit_wait_max allows: exit code 0: You have exhausted");
    let ends = finished(&sandbox);
    assert!(
        ends.iter().all(|it| it["end"] == "rate_limited"),
        "{ends:?}"
    );
}

#[test]
fn a_prompt_can_come_in_a_file_and_a_result_go_into_one() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\none\n");
    let script = r#"read line && exit 9; printf '{"answer": "%s"}' "$(grep -c '^Item: one$' "$1")" >"$2"; echo '{"answer": "not this"}'; cp "$1" prompt"#;
    let config = json!({"adapters": {"mine": {"command": ["/bin/sh", "-c", script, "sh", "{MESH_PROMPT_FILE}", "{MESH_RESULT_FILE}"], "prompt": "file", "result": "file"}}});
    sandbox.write("mesh.yaml", &config.to_string());
    sandbox
        .mesh("spawn in.csv -o out.csv --id-column id --instruction x")
        .exits(0);
    assert!(
        sandbox.read("out.csv").contains(r#""{""answer"":""1""}""#),
        "{}",
        sandbox.read("out.csv")
    );
    assert!(
        sandbox
            .read("prompt")
            .contains("Write it to the file named by MESH_RESULT_FILE. Then stop.")
    );
    let scratch = sandbox.only_run().join("scratch");
    wait_for("nothing is left of the prompt", || !scratch.exists());
}

#[test]
fn standard_output_is_no_answer_where_a_file_or_a_report_is_wanted() {
    for result in ["file", "report"] {
        let sandbox = Sandbox::new();
        sandbox.write("in.csv", "id\none\n");
        let config = json!({"adapters": {"mine": {"command": [fake_agent(), "--good"], "result": result, "timeout_seconds": 30}}});
        sandbox.write("mesh.yaml", &config.to_string());
        let said = sandbox
            .mesh("spawn in.csv -o out.csv --instruction x --retries 0")
            .exits(1);
        said.err_has("no_response: ");
    }
}

#[test]
fn a_command_cannot_raise_its_own_timeout() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\none\n");
    let config =
        json!({"adapters": {"mine": {"command": ["/bin/sleep", "60"], "timeout_seconds": 1}}});
    sandbox.write("mesh.yaml", &config.to_string());
    let said = sandbox
        .mesh("spawn in.csv -o out.csv --instruction x --retries 0 --max-runtime-seconds 600");
    said.err_has("timeout: worker exceeded max runtime of 1s");
}
