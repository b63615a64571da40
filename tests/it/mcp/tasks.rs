use super::Client;
use crate::fixture::*;
use serde_json::{Value, json};

const GATED: &str = "while [ ! -e gate ]; do sleep 0.02; done; echo '{\"ok\":true}'";

/// What a client of this version says in each request that knows tasks.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {
            "extensions": {"io.modelcontextprotocol/tasks": {}},
        },
    })
}

fn start(sandbox: &Sandbox) -> (Client, Value) {
    sandbox.write("in.csv", "id\na\nb\n");
    let args = Args::from("mcp -j 1").and(&["--", "sh", "-c", GATED]);
    let mut client = Client::connect(&mut sandbox.command(args));
    let call = json!({
        "name": "spawn_agents_on_csv",
        "arguments": {"csv_path": "in.csv", "instruction": "x"},
        "_meta": meta(),
    });
    let task = client.request("tools/call", call)["result"].clone();
    assert_eq!(
        (&task["resultType"], &task["status"]),
        (&json!("task"), &json!("working"))
    );
    (client, task)
}

/// What the only job has printed.
fn messages(sandbox: &Sandbox) -> String {
    let run = sandbox.only_run();
    let name = run.file_name().expect("a name");
    let jobs = sandbox.mesh_home().join("mcp/jobs");
    read_file(jobs.join(name).join("messages.txt"))
}

fn ask(client: &mut Client, method: &str, task: &Value) -> Value {
    client.request(method, json!({"taskId": task["taskId"], "_meta": meta()}))
}

fn ended(client: &mut Client, task: &Value) -> Value {
    for _ in 0..2400 {
        let state = ask(client, "tasks/get", task)["result"].clone();
        if state["status"] != "working" {
            return state;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("not within two minutes");
}

#[test]
fn a_client_that_knows_tasks_gets_one_at_once_and_the_result_later() {
    let sandbox = Sandbox::new();
    let (mut client, task) = start(&sandbox);
    assert_eq!(
        ask(&mut client, "tasks/get", &task)["result"]["status"],
        "working"
    );
    sandbox.write("gate", "");
    let state = ended(&mut client, &task);
    assert_eq!(state["status"], "completed", "{state}");
    let summary = &state["result"]["structuredContent"];
    assert_eq!(
        (&summary["status"], &summary["completed_items"]),
        (&json!("completed"), &json!(2))
    );
    let unknown = ask(&mut client, "tasks/get", &json!({"taskId": "none"}));
    assert_starts_with(
        unknown["error"]["message"].as_str().expect("text"),
        "there is no task `none`",
    );
    client.close();
}

#[test]
fn a_cancelled_task_ends_its_job() {
    let sandbox = Sandbox::new();
    let (mut client, task) = start(&sandbox);
    let answer = ask(&mut client, "tasks/cancel", &task);
    assert!(answer["result"].is_object(), "{answer}");
    wait_for("the job to take the request", || {
        messages(&sandbox).contains("stopping: requested by mesh cancel")
    });
    // The running row may finish.
    sandbox.write("gate", "");
    assert_eq!(ended(&mut client, &task)["status"], "cancelled");
    client.close();
}
