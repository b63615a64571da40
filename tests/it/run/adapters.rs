//! Who works the rows.

use super::*;

#[test]
fn the_command_after_a_double_dash_is_the_worker() {
    let bench = Bench::new(&[Task::new("a")]);
    let log = bench.beside("log").display().to_string();
    let said = bench.run_agent("", &["--log", &log]).exits(0);
    assert!(preflight(&said).contains(" adapter=command "));
    let mut worked: Vec<String> = read_file(log).lines().map(str::to_owned).collect();
    let mut rows = bench.rows();
    worked.sort();
    rows.sort();
    assert_eq!(worked, rows);
}

fn mesh_yaml(bench: &Bench, flags: &[(&str, &str)]) {
    let answers = bench.answers();
    let mut yaml = "adapters:\n".to_owned();
    for (name, more) in flags {
        let command = json!([fake_agent(), "--answers", answers]);
        yaml.push_str(&format!("  {name}: {{command: {command}{more}}}\n"));
    }
    bench.write("mesh.yaml", &yaml);
}

#[test]
fn mesh_yaml_names_adapters_and_the_preferred_one_is_taken() {
    let bench = Bench::new(&[Task::new("a")]);
    mesh_yaml(
        &bench,
        &[("one", ""), ("two", ", preferred: true, fanout: 2")],
    );
    let said = bench.mesh("run --run-id R").exits(0);
    assert!(
        preflight(&said).contains(" adapter=two ") && preflight(&said).ends_with(" concurrency=2"),
        "{}",
        said.err
    );
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn an_adapter_too_narrow_for_five_roles_gets_three() {
    let bench = Bench::new(&[Task::new("a")]);
    mesh_yaml(&bench, &[("one", ", fanout: 2")]);
    let said = bench.mesh("run --run-id R").exits(0);
    said.err_has("warning: adapter_capacity: `one` runs 2 at once, too few for protocol `swarm`; `swarm3` instead\n");
    assert_eq!(bench.waves()[1].column("role"), ["skeptic"]);
    let wide = Bench::new(&[Task::new("a")]);
    mesh_yaml(&wide, &[("one", ", fanout: 5")]);
    wide.mesh("run --run-id R").exits(0);
    assert_eq!(wide.waves()[1].column("role").len(), 3);
}

#[test]
fn the_command_line_goes_before_the_preferred_adapter() {
    let bench = Bench::new(&[Task::new("a")]);
    mesh_yaml(&bench, &[("one", ""), ("two", ", preferred: true")]);
    let said = bench.mesh("run --dry-run adapter=one");
    assert!(preflight(&said).contains(" adapter=one "), "{}", said.err);
}

#[test]
fn recorded_answers_replay() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 5]),
        Task::new("b").validation(&["false"]),
    ]);
    let before = bench.tree();
    let plan = bench.read(PLAN);
    let record = bench.beside("recorded").display().to_string();
    let first = bench.run_agent(&["max_tasks=2", "--record", &record], "");
    let after = bench.tree();
    assert_eq!(first.code, 1, "{}", first.err);
    let rows = bench.rows();
    for id in &rows {
        let (unit, name) = id.split_once('.').expect("a dot");
        assert!(
            bench
                .beside("recorded")
                .join(unit)
                .join(format!("{name}.json"))
                .is_file(),
            "{id}"
        );
    }

    bench.git("checkout --quiet .");
    bench.write(PLAN, &plan);
    assert_eq!(bench.tree(), before);
    std::fs::remove_dir_all(bench.mesh_home()).expect("removed");
    bench
        .mesh(&format!(
            "run --run-id R max_tasks=2 --adapter replay --answers {record}"
        ))
        .exits(1);
    assert_eq!(bench.tree(), after);
    assert_eq!(bench.rows(), rows);
}
