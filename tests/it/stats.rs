//! `mesh stats`: figures over the runs of a folder, from their ledgers alone.

use crate::fixture::*;
use serde_json::Value;

/// A spawned CSV of three rows, one of which fails twice.
fn spawn(sandbox: &Sandbox, run: &str) {
    sandbox.write("in.csv", "n\n1\n2\n3\n");
    let output = format!("{run}.csv");
    let command = "[ $MESH_ITEM_ID = row-2 ] || echo '{}'";
    let said = sandbox.mesh(&[
        "spawn",
        "in.csv",
        "--run-id",
        run,
        "-o",
        &output,
        "-j",
        "2",
        "--retries",
        "1",
        "--retry-delay",
        "0",
        "--instruction",
        "x",
        "--",
        "sh",
        "-c",
        command,
    ]);
    said.exits(1);
}

fn stats(sandbox: &Sandbox, args: &str) -> Value {
    let said = sandbox.mesh(&format!("stats --json {args}")).exits(0);
    serde_json::from_str(&said.out).expect("JSON")
}

#[test]
fn figures_of_a_spawned_csv() {
    let sandbox = Sandbox::new();
    spawn(&sandbox, "R");
    let json = stats(&sandbox, "");
    let csv = &json["csv"];
    assert_eq!((&csv["completed"], &csv["failed"]), (&2.into(), &1.into()));
    assert_eq!(csv["spent"]["attempts"], 4, "{csv}");
    let failure = &json["failures"][0];
    assert_eq!(failure["code"], "no_response");
    assert_eq!(
        (&failure["rows"], &failure["attempts"]),
        (&1.into(), &2.into())
    );
    let receipt = &json["runs"][0]["fan_out"];
    assert_eq!(
        (&receipt["asked"], &receipt["attempts"]),
        (&2.into(), &4.into())
    );
    // Busy and idle slot-seconds add up to the slots times the time.
    let seconds = |value: &Value| value.as_f64().expect("seconds");
    let idle = receipt["idle_slot_seconds"].as_object().expect("causes");
    let idle: f64 = idle.values().map(seconds).sum();
    let all = idle + seconds(&receipt["busy_slot_seconds"]);
    assert!(
        (all - 2.0 * seconds(&receipt["seconds"])).abs() < 1e-6,
        "{receipt}"
    );
    let text = sandbox.mesh("stats R").exits(0).out;
    for part in ["CSV jobs", "Failures", "no_response", "Fan-out"] {
        assert_contains(&text, part);
    }
}

#[test]
fn damaged_runs_are_named_and_left_out() {
    let sandbox = Sandbox::new();
    spawn(&sandbox, "good");
    spawn(&sandbox, "torn");
    let ledger = sandbox.mesh_home().join("runs/torn/ledger.jsonl");
    let text = read_file(&ledger).replacen("{\"v\":1,\"seq\":2,", "{\"v\":1,\"seq\":7,", 1);
    std::fs::write(&ledger, text).expect("written");
    sandbox.breaks(&["ledger"]);
    let said = sandbox.mesh("stats --json").exits(0);
    said.err_has("torn is left out: ledger");
    let json: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(json["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["left_out"][0]["run"], "torn");
    sandbox
        .mesh("stats torn")
        .exits(1)
        .err_has("no runs to sum up");
    sandbox
        .mesh("stats nowhere")
        .exits(2)
        .err_has("no run `nowhere`");
}

#[test]
fn runs_are_chosen_by_name_folder_archive_and_age() {
    let sandbox = Sandbox::new();
    spawn(&sandbox, "A");
    spawn(&sandbox, "B");
    sandbox.mesh("runs export A a.tar.zst").exits(0);
    let names = |args: &str| {
        let json = stats(&sandbox, args);
        let runs = json["runs"].as_array().expect("runs").iter();
        let names = runs.map(|run| run["mesh_run_id"].as_str().expect("an id").to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(""), "A B");
    assert_eq!(names("B"), "B");
    let folder = sandbox.mesh_home().join("runs/A");
    assert_eq!(names(&format!("{} a.tar.zst", folder.display())), "A A");
    assert_eq!(names("--since 1h"), "A B");
    assert_eq!(names("--since 2001-02-03"), "A B");
    assert_eq!(names("--since 2999-01-01T00:00:00Z"), "");
    sandbox
        .mesh("stats --since soon")
        .exits(2)
        .err_has("must be an age");
    sandbox
        .mesh("stats A --since 1d")
        .exits(2)
        .err_has("cannot be used with");
}

#[test]
fn a_plan_has_tasks_votes_and_causes_of_idle_slots() {
    let sandbox = Sandbox::new();
    sandbox.mesh("demo --dir demo --run-id D").exits(0);
    let json = stats(&sandbox, "--by risk");
    let tasks = &json["tasks"];
    assert_eq!(
        (&tasks["tasks"], &tasks["completed"]),
        (&6.into(), &5.into())
    );
    assert_eq!(tasks["blocked"]["validation_failed"], 1);
    assert_eq!(
        (&tasks["votes"]["decisions"], &tasks["votes"]["validated"]),
        (&8.into(), &6.into())
    );
    let groups = json["groups"].as_array().expect("groups");
    let sum: u64 = groups
        .iter()
        .filter_map(|group| group["tasks"].as_u64())
        .sum();
    assert_eq!(sum, 6, "{groups:?}");
    assert!(
        groups.iter().all(|group| group["name"] != "not recorded"),
        "{groups:?}"
    );
    let idle = &json["runs"][0]["fan_out"]["idle_slot_seconds"];
    assert!(idle["dependencies"].is_number(), "{idle}");
    let text = sandbox.mesh("stats --by protocol").exits(0).out;
    assert_contains(&text, "PROTOCOL");
    assert_contains(&text, "Votes and validation");
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}

#[test]
fn the_page_of_a_run_has_its_receipt() {
    let sandbox = Sandbox::new();
    spawn(&sandbox, "R");
    sandbox.mesh("inspect R --html page.html").exits(0);
    let page = sandbox.read("page.html");
    let receipt = stats(&sandbox, "R")["runs"][0]["fan_out"].clone();
    assert_contains(&page, &format!("\"fan_out\":{receipt}"));
}
