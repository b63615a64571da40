use super::Client;
use crate::fixture::*;
use serde_json::json;
use std::os::unix::fs::symlink;

#[test]
fn paths_outside_of_the_root_are_refused() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("root")).expect("a folder");
    sandbox.write("outside.csv", "a\n1\n");
    sandbox.write("root/in.csv", "a\n1\n");
    symlink("../outside.csv", sandbox.path("root/link.csv")).expect("linked");
    symlink("..", sandbox.path("root/up")).expect("linked");
    let mut client = Client::start(&sandbox, "--root root -- sh -c 'echo {}'");
    let outside = sandbox.path("outside.csv").display().to_string();
    for bad in [
        "../outside.csv",
        &outside,
        "link.csv",
        "up/outside.csv",
        "x/../../outside.csv",
        "",
    ] {
        let call = json!({"csv_path": bad, "instruction": "x"});
        let (error, next) = client.refused("spawn_agents_on_csv", call);
        assert_starts_with(&error, "`csv_path`: ");
        assert_contains(&next, "pass a path in ");
        let output = format!("{bad}.out");
        for output in [output.as_str(), bad]
            .into_iter()
            .filter(|it| it.contains('/'))
        {
            let call = json!({"csv_path": "in.csv", "instruction": "x", "output_csv_path": output});
            let (error, _) = client.refused("spawn_agents_on_csv", call);
            assert_starts_with(&error, "`output_csv_path`: ");
        }
        let (error, _) = client.refused("list_ready_tasks", json!({"plan_file": bad}));
        assert_starts_with(&error, "`plan_file`: ");
    }
    assert!(!sandbox.mesh_home().exists(), "nothing was started");
    // The same file by its absolute path.
    let inside = sandbox.path("root/in.csv").display().to_string();
    let result = client.call(
        "spawn_agents_on_csv",
        json!({"csv_path": inside, "instruction": "x"}),
    );
    assert_eq!(result["status"], "completed");
    client.close();
}

#[test]
fn runs_of_other_folders_are_not_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("a/in.csv", "a\n1\n");
    sandbox.write("b/in.csv", "a\n1\n");
    let mut of_a = Client::start(&sandbox, "--root a -- sh -c 'echo {}'");
    let mut of_b = Client::start(&sandbox, "--root b -- sh -c 'echo {}'");
    let call = json!({"csv_path": "in.csv", "instruction": "x"});
    let job = of_a.call("spawn_agents_on_csv", call);
    let list = |client: &mut Client| {
        let answer = client.request("resources/list", json!({}));
        answer["result"]["resources"]
            .as_array()
            .expect("a list")
            .len()
    };
    assert_eq!((list(&mut of_a), list(&mut of_b)), (2, 0));
    for id in [&job["job_id"], &job["mesh_run_id"]] {
        for tool in [
            "get_agent_job",
            "get_failed_rows",
            "retry_failed_rows",
            "cancel_agent_job",
        ] {
            let (error, _) = of_b.refused(tool, json!({"job_id": id}));
            assert_starts_with(&error, "there is no job or run");
        }
        let uri = format!("mesh://runs/{}/report", id.as_str().expect("an id"));
        let answer = of_b.request("resources/read", json!({"uri": uri}));
        assert!(answer["error"].is_object(), "{answer}");
    }
}

#[test]
fn what_a_caller_asks_for_is_checked_before_anything_starts() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "a\n1\n");
    sandbox.write("there.csv", "kept");
    let mut client = Client::start(&sandbox, "-- sh -c 'echo {}'");
    for (more, error, next) in [
        (
            json!({"adapter": "codex"}),
            "('adapter' was unexpected)",
            "its arguments are csv_path, ",
        ),
        (
            json!({"max_concurrency": 0}),
            "/max_concurrency: ",
            "call spawn_agents_on_csv again",
        ),
        (
            json!({"max_runtime_seconds": 1.5}),
            "/max_runtime_seconds: ",
            "call spawn_agents_on_csv again",
        ),
        (
            json!({"output_csv_path": "there.csv"}),
            "already exists",
            "pass another output_csv_path",
        ),
        (
            json!({"id_column": "b"}),
            "has no column `b`",
            "correct the arguments",
        ),
        (
            json!({"output_schema": {"type": 7}}),
            "nothing was started: ",
            "correct the arguments",
        ),
    ] {
        let mut call = json!({"csv_path": "in.csv", "instruction": "x"});
        for (name, value) in more.as_object().expect("arguments") {
            call[name] = value.clone();
        }
        let refused = client.refused("spawn_agents_on_csv", call);
        assert_contains(&refused.0, error);
        assert_contains(&refused.1, next);
    }
    assert!(
        !sandbox.mesh_home().join("runs").exists(),
        "nothing was started"
    );
    assert_eq!(sandbox.read("there.csv"), "kept");
    client.close();
}

#[test]
fn a_worker_starts_no_jobs() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "a\n1\n");
    let script = "echo \"{\\\"depth\\\": $MESH_DEPTH}\"";
    let args = |more: &[&str]| Args::from("mcp").and(more).and(&["--", "sh", "-c", script]);
    let call = json!({"csv_path": "in.csv", "instruction": "x"});
    let mut nested = Client::of(sandbox.command(args(&[])).env("MESH_DEPTH", "1"));
    let (error, next) = nested.refused("spawn_agents_on_csv", call.clone());
    assert_contains(&error, "a worker of mesh can't start a job");
    assert_contains(&next, "without starting a job");
    let spawn = "spawn in.csv --instruction x -- sh -c 'echo {}'";
    let said = sandbox
        .command(spawn)
        .env("MESH_DEPTH", "1")
        .run_to_end()
        .exits(3);
    said.err_has("a worker of mesh can't start a job");
    said.err_has("MESH_MAX_DEPTH=2");
    assert!(!sandbox.mesh_home().join("runs").exists());
    let mut allowed = Client::of(
        sandbox
            .command(args(&["--max-depth", "2"]))
            .env("MESH_DEPTH", "1"),
    );
    let job = allowed.call("spawn_agents_on_csv", call);
    assert_eq!(job["status"], "completed");
    assert_contains(&sandbox.read_output(&job), "{\"\"depth\"\":2}");
}

#[test]
fn an_answer_is_bounded_and_names_where_the_rest_is() {
    let sandbox = Sandbox::new();
    let rows: String = (0..200).map(|number| format!("{number}\n")).collect();
    sandbox.write("in.csv", &format!("id\n{rows}"));
    let script = "printf '%01000d' 0 >&2; exit 3";
    let args = Args::from("--result-chars 2000").and(&["--", "sh", "-c", script]);
    let mut client = Client::start(&sandbox, args);
    let call =
        json!({"csv_path": "in.csv", "instruction": "long ".repeat(2000), "id_column": "id"});
    let job = client.call("spawn_agents_on_csv", call);
    assert_eq!(job["failed_items"], 200);
    let failed = client.call(
        "get_failed_rows",
        json!({"job_id": job["job_id"], "limit": 200}),
    );
    assert!(failed.to_string().len() <= 2000, "{failed}");
    assert_contains(failed["shortened"].as_str().expect("text"), "runs`");
    assert!(failed["rows_left_out"].as_u64() > Some(100), "{failed}");
    let row = client.call(
        "inspect_row",
        json!({"job_id": job["job_id"], "item_id": "7"}),
    );
    assert!(row.to_string().len() <= 2000, "{row}");
    assert_contains(row["prompt"].as_str().expect("text"), " more characters)");
    let uri = format!(
        "mesh://runs/{}/output",
        job["mesh_run_id"].as_str().expect("an id")
    );
    let read = client.request("resources/read", json!({"uri": uri}));
    let text = read["result"]["contents"][0]["text"]
        .as_str()
        .expect("text");
    assert!(text.chars().count() <= 2000, "{text}");
    let path = job["output_csv_path"].as_str().expect("a path");
    assert_contains(text, &format!("shortened; the whole file is `{path}`"));
    client.close();
}

impl Sandbox {
    /// The output of a job.
    fn read_output(&self, job: &serde_json::Value) -> String {
        read_file(job["output_csv_path"].as_str().expect("a path"))
    }
}
