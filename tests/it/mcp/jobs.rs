use super::Client;
use crate::fixture::*;
use serde_json::{Value, json};

/// A worker that waits for a file of the test.
const GATED: &str = "while [ ! -e gate ]; do sleep 0.02; done; echo '{\"ok\":true}'";
/// A worker that answers at once, unless there is the file `bad`.
const CHECKED: &str = "[ -e bad ] && exit 3; echo '{\"ok\":true}'";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id,path\na,one\nb,two\nc,three\n");
    sandbox
}

fn client(sandbox: &Sandbox, options: &str, script: &str) -> Client {
    Client::start(
        sandbox,
        Args::from(options).and(&["--", "sh", "-c", script]),
    )
}

fn call() -> Value {
    json!({"csv_path": "in.csv", "instruction": "Look at {path}", "id_column": "id"})
}

impl Sandbox {
    /// Until a job runs its rows.
    fn wait_for_running_rows(&self) {
        wait_for("a running row", || {
            let runs = std::fs::read_dir(self.mesh_home().join("runs"));
            runs.into_iter().flatten().flatten().any(|run| {
                let ledger = std::fs::read_to_string(run.path().join("ledger.jsonl"));
                ledger.is_ok_and(|text| text.contains("attempt_started"))
            })
        });
    }
}

#[test]
fn a_csv_is_run_to_its_result() {
    let sandbox = sandbox();
    let script = "echo '{\"ok\":true,\"n\":12345678901234567890}'";
    let mut client = client(&sandbox, "", script);
    let schema =
        json!({"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}});
    let mut arguments = call();
    arguments["output_csv_path"] = json!("new/out.csv");
    arguments["output_schema"] = schema;
    arguments["max_concurrency"] = json!(2.0);
    let result = client.call("spawn_agents_on_csv", arguments);
    let mut shown = result.clone();
    shown["mesh_run_id"] = json!("RUN");
    let shown = redacted(&shown.to_string()).replace(&sandbox.work().display().to_string(), "WORK");
    insta::assert_snapshot!(shown, @r#"{"job_id":"JOB","status":"completed","output_csv_path":"WORK/new/out.csv","total_items":3,"completed_items":3,"failed_items":0,"job_error":null,"failed_item_errors":null,"mesh_run_id":"RUN"}"#);
    let output = sandbox.read("new/out.csv");
    assert_contains(&output, "a,one,");
    assert_contains(&output, "\"\"n\"\":12345678901234567890");
    let started = sandbox.events_named("run_started");
    assert_eq!(
        started[0]["settings"]["job"]["bounds"]["max_concurrency"],
        2
    );
    // Both ids lead to the job.
    for id in ["job_id", "mesh_run_id"] {
        let job = client.call("get_agent_job", json!({"job_id": result[id]}));
        assert_eq!(job, result);
    }
    let row = client.call(
        "inspect_row",
        json!({"job_id": result["job_id"], "item_id": "b"}),
    );
    assert_contains(row["prompt"].as_str().expect("a prompt"), "Look at two");
    assert_eq!(row["row"]["result"]["ok"], true);
    client.close();
}

#[test]
fn a_call_returns_the_state_and_the_same_call_waits_for_the_rest() {
    let sandbox = sandbox();
    let mut client = client(&sandbox, "--block-seconds 0", GATED);
    let first = client.call("spawn_agents_on_csv", call());
    assert_eq!(first["status"], "running");
    assert_contains(first["next"].as_str().expect("text"), "get_agent_job");
    client.close();
    // Another server, as after a restart of the client.
    let mut client = self::client(&sandbox, "", GATED);
    let id = client.send_call("spawn_agents_on_csv", call());
    sandbox.write("gate", "");
    let second = client.content(id);
    assert_eq!(second["status"], "completed");
    assert_eq!(second["job_id"], first["job_id"]);
    // And again: the result is still there.
    let third = client.call("spawn_agents_on_csv", call());
    assert_eq!(third, second);
    sandbox.only_run();
    // Without it, or with another input, the rows are run again.
    let output = second["output_csv_path"].as_str().expect("a path");
    std::fs::remove_file(output).expect("removed");
    let fourth = client.call("spawn_agents_on_csv", call());
    assert_ne!(fourth["job_id"], second["job_id"]);
    sandbox.write("in.csv", "id,path\na,one\n");
    let fifth = client.call("spawn_agents_on_csv", call());
    assert_eq!(fifth["total_items"], 1);
    client.close();
}

#[test]
fn a_client_that_dies_leaves_its_job_running() {
    let sandbox = sandbox();
    let mut first = client(&sandbox, "", GATED);
    first.send_call("spawn_agents_on_csv", call());
    sandbox.wait_for_running_rows();
    first.kill();
    let mut second = client(&sandbox, "", GATED);
    let id = second.send_call("spawn_agents_on_csv", call());
    sandbox.write("gate", "");
    let result = second.content(id);
    assert_eq!(
        (&result["status"], &result["completed_items"]),
        (&json!("completed"), &json!(3))
    );
    sandbox.only_run();
    second.close();
}

#[test]
fn two_clients_at_once_get_one_job() {
    let sandbox = sandbox();
    let mut clients = [client(&sandbox, "", GATED), client(&sandbox, "", GATED)];
    let ids = clients
        .each_mut()
        .map(|client| client.send_call("spawn_agents_on_csv", call()));
    sandbox.wait_for_running_rows();
    sandbox.write("gate", "");
    let mut answers = clients
        .iter_mut()
        .zip(ids)
        .map(|(client, id)| client.content(id));
    let (one, other) = (answers.next(), answers.next());
    assert_eq!(one, other);
    assert_eq!(one.expect("an answer")["status"], "completed");
    sandbox.only_run();
}

#[test]
fn progress_is_sent_to_a_client_that_asks_for_it() {
    let sandbox = sandbox();
    let mut client = client(&sandbox, "", GATED);
    let id = client.send(
        "tools/call",
        json!({"name": "spawn_agents_on_csv", "arguments": call(), "_meta": {"progressToken": "t"}}),
    );
    sandbox.wait_for_running_rows();
    // While it waits, other calls are answered, and progress arrives before those answers.
    wait_for_progress(&mut client);
    sandbox.write("gate", "");
    assert_eq!(client.content(id)["status"], "completed");
    let progress: Vec<f64> = client
        .notifications
        .iter()
        .map(|one| {
            assert_eq!(one["method"], "notifications/progress");
            assert_eq!(
                (&one["params"]["progressToken"], &one["params"]["total"]),
                (&json!("t"), &json!(3.0))
            );
            one["params"]["progress"].as_f64().expect("a number")
        })
        .collect();
    assert!(
        progress.windows(2).all(|two| two[0] < two[1]),
        "{progress:?}"
    );
    client.close();
}

fn wait_for_progress(client: &mut Client) {
    for _ in 0..2400 {
        client.request("ping", json!({}));
        if client.notifications.len() > 1 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("no progress within two minutes");
}

#[test]
fn a_cancelled_call_stops_waiting_and_the_job_goes_on() {
    let sandbox = sandbox();
    let mut client = client(&sandbox, "", GATED);
    let id = client.send_call("spawn_agents_on_csv", call());
    sandbox.wait_for_running_rows();
    client.notify(
        "notifications/cancelled",
        json!({"requestId": id, "reason": "enough"}),
    );
    // Messages are handled in their order.
    client.request("ping", json!({}));
    sandbox.write("gate", "");
    // No answer to the cancelled call comes before this one: the client would refuse it.
    let result = client.call("spawn_agents_on_csv", call());
    assert_eq!(result["status"], "completed");
    sandbox.only_run();
    client.close();
}

#[test]
fn a_job_is_cancelled_and_its_rest_retried() {
    let sandbox = sandbox();
    let mut client = client(&sandbox, "--block-seconds 0 -j 1", GATED);
    let job = client.call("spawn_agents_on_csv", call());
    sandbox.wait_for_running_rows();
    let id = json!({"job_id": job["job_id"]});
    client.call(
        "cancel_agent_job",
        json!({"job_id": job["job_id"], "now": true}),
    );
    let mut other = self::client(&sandbox, "", GATED);
    let wait = json!({"job_id": job["job_id"], "wait_seconds": 50});
    let ended = other.call("get_agent_job", wait);
    assert_eq!(ended["status"], "cancelled");
    assert_contains(ended["next"].as_str().expect("text"), "retry_failed_rows");
    sandbox.write("gate", "");
    let result = other.call("retry_failed_rows", id);
    assert_eq!(
        (&result["status"], &result["completed_items"]),
        (&json!("completed"), &json!(3))
    );
    client.close();
    other.close();
}

#[test]
fn failed_rows_are_listed_shown_and_retried() {
    let sandbox = sandbox();
    sandbox.write("bad", "");
    let mut client = client(&sandbox, "", CHECKED);
    let job = client.call("spawn_agents_on_csv", call());
    assert_eq!(
        (&job["status"], &job["failed_items"]),
        (&json!("completed"), &json!(3))
    );
    assert_eq!(
        job["failed_item_errors"][0]["last_error"],
        "worker_exit: exit code 3"
    );
    let id = json!({"job_id": job["job_id"]});
    let failed = client.call(
        "get_failed_rows",
        json!({"job_id": job["job_id"], "offset": 1, "limit": 1}),
    );
    assert_eq!(
        (&failed["failed_items"], &failed["more"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(failed["rows"][0]["item_id"], "b");
    // The same call shows the same failures: a retry is a call of its own.
    assert_eq!(client.call("spawn_agents_on_csv", call()), job);
    std::fs::remove_file(sandbox.path("bad")).expect("removed");
    let retried = client.call("retry_failed_rows", id.clone());
    assert_eq!(
        (&retried["completed_items"], &retried["job_id"]),
        (&json!(3), &job["job_id"])
    );
    assert_eq!(
        client.call("retry_failed_rows", id),
        retried,
        "nothing is left to retry"
    );
    sandbox.only_run();
    client.close();
}

#[test]
fn the_job_of_a_killed_process_goes_on() {
    let sandbox = sandbox();
    let begins = format!(": >began.$MESH_ITEM_ID; {GATED}");
    let mut client = client(&sandbox, "--block-seconds 0", &begins);
    let job = client.call("spawn_agents_on_csv", call());
    // A process that is being started holds the lock of the ledger as well.
    wait_for("all rows", || {
        let began = ["a", "b", "c"].map(|id| sandbox.path(&format!("began.{id}")));
        began.iter().all(|path| path.exists())
    });
    let ledger = sandbox.only_run().join("ledger.jsonl");
    let metadata = std::fs::metadata(&ledger).expect("a ledger");
    let holder = mesh::platform::lock_holder(&metadata);
    signal(holder.expect("a process"), "-KILL");
    let mut other = self::client(&sandbox, "", &begins);
    wait_for("the end of the process", || {
        mesh::platform::lock_holder(&metadata).is_none()
    });
    let state = other.call("get_agent_job", json!({"job_id": job["job_id"]}));
    assert_eq!(state["status"], "not ended");
    sandbox.write("gate", "");
    let result = other.call("spawn_agents_on_csv", call());
    assert_eq!(
        (&result["status"], &result["job_id"]),
        (&json!("completed"), &job["job_id"])
    );
    client.close();
}

#[test]
fn the_report_tool_is_for_workers() {
    let sandbox = sandbox();
    let mut client = client(&sandbox, "", CHECKED);
    let arguments = json!({"job_id": "j", "item_id": "i", "result": {}});
    let call = json!({"name": "report_agent_job_result", "arguments": arguments});
    let answer = client.request("tools/call", call);
    let content = &answer["result"]["structuredContent"];
    assert_eq!(content["accepted"], false);
    let reason = content["reason"].as_str().expect("text");
    assert_starts_with(reason, "`MESH_REPORT_SOCKET` is not set");
    client.close();
}
