//! Options from the command line, the environment and `mesh.yaml`.

use super::*;

#[test]
fn no_more_rows_run_concurrently_than_allowed() {
    let sandbox = with_rows("id\n1\n2\n3\n4\n5\n6\n7\n8\n");
    let options = "--id-column id -j 2 --max-runtime-seconds 30";
    spawn_agent(&sandbox, options, "--crowd 2 crowd").exits(0);
    let sizes: Vec<u32> = sandbox
        .read("crowd/sizes")
        .lines()
        .map(|line| line.trim().parse().expect("a number"))
        .collect();
    assert_eq!(sizes.len(), 8);
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
}

/// The concurrency that a dry run shows.
fn concurrency(sandbox: &Sandbox, options: impl Into<Args>, variable: Option<&str>) -> Value {
    let options = Args::from("--dry-run --json").and(options);
    let mut mesh = sandbox.command(arguments(options, "true"));
    mesh.envs(variable.map(|value| ("MESH_MAX_CONCURRENCY", value)));
    let said = mesh.run_to_end().exits(0);
    let object: Value = serde_json::from_str(&said.out).expect("an object");
    object["max_concurrency"].clone()
}

#[test]
fn the_command_line_counts_before_the_environment_and_that_before_the_file() {
    let sandbox = with_rows("id\na\n");
    assert_eq!(concurrency(&sandbox, "", None), 16);
    sandbox.write("mesh.yaml", "max_concurrency: 5\n");
    assert_eq!(concurrency(&sandbox, "", None), 5);
    assert_eq!(concurrency(&sandbox, "", Some("7")), 7);
    assert_eq!(concurrency(&sandbox, "-j 9", Some("7")), 9);
    assert_eq!(concurrency(&sandbox, "--max-workers 11", Some("7")), 11);
}

#[test]
fn an_adapter_of_the_file_is_taken_and_bounds_the_concurrency() {
    let sandbox = with_rows("id\na\n");
    let agent = fake_agent();
    sandbox.write(
        "mesh.yaml",
        &format!(
            "id_column: id\nadapters:\n  one: {{command: [{agent}, --good], fanout: 3}}\n  two: {{command: ['false'], preferred: true}}\n"
        ),
    );
    let spawn_configured = |options: &str| {
        let head = "spawn in.csv -o out.csv --instruction work";
        sandbox.mesh(Args::from(head).and(options))
    };
    let said = spawn_configured("--adapter one").exits(0);
    said.err_has("adapter=one concurrency=3");
    assert_eq!(rows(&sandbox)[0]["item_id"], "a");
    let said = spawn_configured("--force").exits(1);
    said.err_has("adapter=two concurrency=16");
}

#[test]
fn another_folder_is_where_paths_and_workers_start() {
    let sandbox = Sandbox::new();
    sandbox.write("sub/in.csv", "id\na\n");
    let script = "printf '{\"pwd\":\"%s\"}' \"${PWD##*/}\"";
    let args = arguments("", &["sh", "-c", script]);
    sandbox.mesh(Args::from("-C sub").and(args)).exits(0);
    assert!(sandbox.read("sub/out.csv").contains(r#"{""pwd"":""sub""}"#));
}

#[test]
fn a_run_folder_with_a_long_name_still_takes_reports() {
    let sandbox = with_rows("id\na\n");
    let deep = format!("{}/{}", "d".repeat(100), "e".repeat(100));
    spawn_agent(&sandbox, &["--artifacts", &deep], "--report").exits(0);
    assert!(sandbox.path(&deep).join("runs").is_dir());
}
