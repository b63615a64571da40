//! What is said and refused before the first worker.

use super::*;

#[test]
fn the_preflight_line_comes_first() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench.run("max_tasks=2 --parallel-tasks 2");
    assert_snapshot!(preflight(&said), @"mesh_preflight mesh_run_id=R plan_file=.step/st-plan.jsonl adapter=replay ids=a,b overrides=max_tasks=2,parallel_tasks=2 concurrency=10");
}

#[test]
fn the_preflight_line_without_overrides() {
    let bench = Bench::new(&[Task::new("a")]);
    assert_snapshot!(preflight(&bench.run("")), @"mesh_preflight mesh_run_id=R plan_file=.step/st-plan.jsonl adapter=replay ids=a overrides=none concurrency=5");
}

#[test]
fn a_switch_from_the_environment_is_shown_with_its_value() {
    let bench = Bench::new(&[Task::new("a")]);
    for (set, shown) in [("0", "false"), ("1", "true")] {
        let mut mesh = bench.replay_command("--dry-run");
        mesh.env("MESH_PREVALIDATE", set);
        let said = mesh.run_to_end();
        let expected = format!(" overrides=prevalidate={shown} ");
        assert!(preflight(&said).contains(&expected), "{}", said.err);
    }
}

#[test]
fn run_ids_are_times_and_do_not_collide() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let answers = bench.answers();
    for _ in 0..2 {
        let said = bench.mesh(&["run", "--adapter", "replay", "--answers", &answers]);
        let id = preflight(&said)
            .split(' ')
            .find_map(|word| word.strip_prefix("mesh_run_id="));
        let id = id.expect("an id");
        let (date, time) = id.split_once('T').expect("a T");
        assert_eq!(
            (date.len(), time.split_once('Z').map(|(time, _)| time.len())),
            (8, Some(6)),
            "{id}"
        );
        assert!(
            bench
                .mesh_home()
                .join("runs")
                .join(id)
                .join("ledger.jsonl")
                .is_file()
        );
        said.out_has(&format!("\nmesh_run_id={id}\n"));
    }
}

#[test]
fn a_dry_run_shows_the_first_wave_and_leaves_no_trace() {
    let bench = Bench::new(&[Task::new("a")]);
    let state = || {
        let mut git: Vec<_> = std::fs::read_dir(bench.path(".git"))
            .expect("git's folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        git.sort();
        (
            bench.tree(),
            bench.read(PLAN),
            bench.path(".step/st-plan.jsonl.lock").exists(),
            git,
        )
    };
    let before = state();
    let log = bench.beside("log").display().to_string();
    let said = bench.run_agent("--dry-run", &["--log", &log]).exits(0);
    said.out_starts_with("First wave: 001-proposal (1 row)\n\na.proposal.proposer.1 [read_only]\n");
    said.out_has("Do a");
    said.out_has("`a.txt`:\n\n```\nold\n```");
    assert_eq!(state(), before);
    assert!(!bench.mesh_home().exists() && !bench.beside("log").exists());
}

#[test]
fn a_dry_run_as_json_is_the_call_and_its_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    let shown = report(&bench.run("--dry-run --json"));
    assert_eq!(shown["call"]["csv_path"], "001-proposal.csv");
    assert_eq!(shown["rows"][0]["id"], "a.proposal.proposer.1");
}
