//! How much a run does for a task: counts, which do not depend on the speed of the machine.

use super::*;

/// What a run may start before its first task and after its last one.
const FIXED: usize = 30;
/// What a task may start that is done in one attempt.
const A_TASK: usize = 6;

#[test]
fn a_solo_task_that_completes_in_one_attempt_starts_at_most_six_git_processes() {
    let names: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    for parallel in [1, 4] {
        let few = count(&names[..1], parallel);
        let all = count(&names, parallel);
        let most = few + A_TASK * (names.len() - 1);
        assert!(few <= FIXED + A_TASK, "{few} for one task");
        assert!(
            all <= most,
            "{all} for {} tasks, {few} for one",
            names.len()
        );
    }
}

fn count(names: &[String], parallel: usize) -> usize {
    let tasks: Vec<Task> = names.iter().map(|name| Task::new(name)).collect();
    let bench = Bench::new(&tasks);
    for name in names {
        let answer = synthesis(&format!("{name}.txt"), "new");
        bench.answer(name, "synthesis.author.1", &answer);
    }
    let log = bench.beside("git.log");
    let path = bench.path_with_git(&format!("echo \"$*\" >>'{}'", log.display()));
    let max = format!("max_tasks={}", names.len());
    let parallel = format!("parallel_tasks={parallel}");
    let mut mesh = bench.replay_command(&["--protocol", "solo", &max, &parallel]);
    mesh.env("PATH", path).run_to_end().exits(0);
    for name in names {
        assert_eq!(bench.read(&format!("{name}.txt")), "new\n");
    }
    std::fs::read_to_string(log)
        .expect("git ran")
        .lines()
        .count()
}

#[test]
fn the_record_of_an_integration_does_not_grow_with_the_tasks_that_are_done() {
    let names: Vec<String> = (0..8).map(|number| format!("t{number}")).collect();
    let tasks: Vec<Task> = names.iter().map(|name| Task::new(name)).collect();
    let bench = Bench::new(&tasks);
    bench.run("max_tasks=8 protocol=swarm3").exits(0);
    let started = bench.events_named("integration_started");
    let paths = started
        .iter()
        .map(|body| body["paths"].as_array().map(Vec::len));
    assert_eq!(paths.collect::<Vec<_>>(), [Some(1); 8]);
}
