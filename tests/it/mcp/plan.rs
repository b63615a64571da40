use super::Client;
use crate::fixture::*;
use serde_json::{Value, json};

fn client(bench: &Bench, options: &str) -> Client {
    let answers = bench.answers();
    let worker = format!("--adapter replay {options}");
    Client::of(
        bench
            .command(Args::from("mcp").and(&worker))
            .env("MESH_ANSWERS", answers),
    )
}

#[test]
fn ready_tasks_are_listed() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").after(&["a"])]);
    let mut client = client(&bench, "");
    let ready = client.call("list_ready_tasks", json!({}));
    assert_eq!(ready["plan_file"], PLAN);
    let ids: Vec<&Value> = ready["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| &task["id"])
        .collect();
    assert_eq!(ids, ["a"]);
    client.close();
}

#[test]
fn a_wave_is_compiled_run_by_the_same_server_and_collected() {
    let bench = Bench::new(&[Task::new("a")]);
    let mut client = client(&bench, "");
    let next = client.call("compile_wave", json!({"ids": ["a"]}));
    let run = next["mesh_run_id"].clone();
    let wave = &next["waves"][0];
    assert_eq!(
        (&wave["wave"], &wave["round"]),
        (&json!(1), &json!("proposal"))
    );
    assert_contains(next["next"].as_str().expect("text"), "collect_wave");
    let again = client.call("compile_wave", json!({"mesh_run_id": run}));
    assert_eq!(again["waves"], next["waves"]);
    let (_, next_call) = client.refused("collect_wave", json!({"mesh_run_id": run}));
    assert_contains(&next_call, "give_up");
    // A wave is a CSV like any other, although it is in the folder of its run.
    let call = json!({
        "csv_path": wave["csv_path"], "instruction": "{prompt}", "id_column": "id",
        "output_csv_path": wave["output_csv_path"],
    });
    let job = client.call("spawn_agents_on_csv", call);
    assert_eq!(job["status"], "completed", "{job}");
    let collected = client.call("collect_wave", json!({"mesh_run_id": run, "wave": 1}));
    assert_eq!(
        (&collected["taken"], &collected["missing"]),
        (&json!(1), &json!([]))
    );
    let next = client.call("compile_wave", json!({"mesh_run_id": run}));
    assert_eq!(next["waves"][0]["wave"], 2);
    let row = next["waves"][0]["rows"][0].clone();
    let shown = client.call("inspect_row", json!({"job_id": run, "item_id": row}));
    assert!(shown["prompt"].is_string(), "{shown}");
    let uri = format!(
        "mesh://runs/{}/waves/001-proposal.csv",
        run.as_str().expect("an id")
    );
    let read = client.request("resources/read", json!({"uri": uri}));
    let text = read["result"]["contents"][0]["text"]
        .as_str()
        .expect("text");
    assert_starts_with(text, "id,unit,objective,round,");
    let ended = client.call("cancel_agent_job", json!({"job_id": run}));
    assert_eq!(ended["status"], "cancelled");
    client.close();
}

#[test]
fn tasks_are_run_only_where_that_is_allowed() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let mut without = client(&bench, "");
    let call = json!({"name": "run_ready_tasks", "arguments": {}});
    let refused = without.request("tools/call", call);
    assert_eq!(
        refused["error"]["message"],
        "there is no tool `run_ready_tasks`"
    );
    without.close();
    let mut client = client(&bench, "--allow-run");
    for id in ["a", "b"] {
        let report = client.call("run_ready_tasks", json!({}));
        assert_eq!(report["status"], "completed", "{report}");
        assert_eq!(bench.status_of(id), "completed");
    }
    let nothing = client.call("run_ready_tasks", json!({}));
    assert_contains(
        nothing["detail"].as_str().expect("text"),
        "no runnable tasks",
    );
    client.close();
}

#[test]
fn the_plan_of_a_larger_repository_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    std::fs::create_dir(bench.path("part")).expect("a folder");
    let mut client = client(&bench, "--allow-run --root part");
    for tool in ["compile_wave", "run_ready_tasks"] {
        let (error, next) = client.refused(tool, json!({}));
        assert_contains(&error, "is not in the folder of this server");
        assert_contains(&next, "--root");
    }
    client.close();
}
