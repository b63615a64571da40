//! `mesh collect` that is killed while it saves answers.

use crate::fixture::*;
use std::path::Path;

/// More than are synced one by one.
const TASKS: usize = 20;

/// The answers that are saved in `units/`, each of which must be whole.
fn saved_answers(units: &Path) -> usize {
    let folders = std::fs::read_dir(units).expect("a folder");
    let files = folders.flat_map(|folder| {
        let folder = folder.expect("an entry").path();
        std::fs::read_dir(folder).expect("a folder")
    });
    let mut answers = 0;
    for file in files {
        let path = file.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.starts_with("proposal.") {
            serde_json::from_str::<serde_json::Value>(&read_file(&path)).expect("a whole answer");
            answers += 1;
        }
    }
    answers
}

#[cfg(debug_assertions)]
#[test]
fn a_kill_leaves_no_verdict_without_its_answer_and_collecting_again_continues() {
    let tasks: Vec<Task> = (0..TASKS).map(|n| Task::new(&format!("t{n}"))).collect();
    let bench = Bench::new(&tasks);
    bench.next("--run-id R max_tasks=20 parallel_tasks=20");
    let answers = bench.answers();
    let units = bench.run_folder().join("units");
    let mut killed = 0;
    for step in (1..).step_by(9) {
        let mut collecting = bench.command(&["collect", "R", &answers]);
        collecting.env("MESH_FAULT_KILL", format!("write:{step}"));
        let said = collecting.run_to_end();
        let saved = saved_answers(&units);
        let verdicts = bench.events_named("verdict").len();
        if said.code != KILLED {
            assert_eq!(
                (said.code, saved, verdicts),
                (0, TASKS, TASKS),
                "{}",
                said.err
            );
            break;
        }
        assert_eq!(verdicts, 0, "step {step}: all answers are saved before");
        killed += 1;
    }
    assert!(killed > 10, "{killed}");
    // A row keeps its first answer.
    assert_eq!(bench.events_named("attempt_reported").len(), TASKS);
}
