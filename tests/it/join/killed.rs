//! Joined runs that are killed, and what is left of them to others.

use super::*;

/// Run `R` is killed at every step of `part`, or at some of them, and `S` finishes the plan; then `R` is resumed.
fn is_cleared_up_after_a_kill(delivery: &str, part: &str, steps: impl Iterator<Item = usize>) {
    let tasks = [Task::new("a"), Task::new("b").after(&["a"])];
    for step in steps {
        let bench = Bench::new(&tasks);
        bench.git("config user.name 'A Person'");
        bench.git("config user.email person@example.invalid");
        let args = format!("max_tasks=9 allow_protected=true delivery={delivery}");
        let mut first = bench.joined("R", &args);
        first.env("MESH_FAULT_KILL", format!("{part}:{step}"));
        let is_killed = code(spawn(first, &bench.beside("R.err"))).is_none();
        bench.joined("S", &args).run_to_end();
        let done = ["a", "b"].map(|id| bench.status_of(id));
        assert_eq!(done, ["completed", "completed"], "{step}");
        if !bench.records("R").is_empty() {
            bench.resumed("R").run_to_end();
        }
        let changed = bench.git("status --porcelain --untracked-files=no");
        let expected = match delivery {
            "patch" => " M a.txt\n M b.txt\n",
            _ => "",
        };
        assert_eq!(changed, expected, "{step}");
        check(
            &bench,
            &["R", "S"].map(str::to_owned),
            &["a", "b"].map(str::to_owned),
        );
        if !is_killed {
            return;
        }
    }
}

#[test]
fn a_run_that_is_killed_in_an_integration_is_cleared_up_by_another() {
    is_cleared_up_after_a_kill("patch", "integrator", (1..).step_by(2));
}

#[test]
fn a_run_that_is_killed_in_a_commit_is_cleared_up_by_another() {
    is_cleared_up_after_a_kill("commit", "integrator", (2..).step_by(2));
}

#[test]
fn a_run_that_is_killed_while_it_writes_a_file_is_cleared_up_by_another() {
    is_cleared_up_after_a_kill("patch", "write", (3..).step_by(37));
}

#[test]
fn a_run_that_is_killed_after_its_last_record_leaves_the_others_when_it_is_resumed() {
    let tasks = [Task::new("a")];
    let whole = Bench::new(&tasks);
    assert_eq!(
        whole.joined("R", "").output().expect("mesh").status.code(),
        Some(0)
    );
    let last = whole.events().len();
    let bench = Bench::new(&tasks);
    let mut killed = bench.joined("R", "");
    killed.env("MESH_FAULT_KILL", format!("after:{last}"));
    assert_eq!(killed.output().expect("mesh").status.code(), None);
    let left = |bench: &Bench| {
        let shared = bench.path(".git/mesh.join");
        ["leases", "runs", "changes.jsonl", "change.json"]
            .map(|name| shared.join(name))
            .into_iter()
            .filter(|path| match std::fs::read_dir(path) {
                Ok(mut entries) => entries.next().is_some(),
                Err(_) => path.exists(),
            })
            .count()
    };
    assert!(left(&bench) > 1, "it left nothing: another kill is needed");
    let resumed = bench.resumed("R").output().expect("mesh");
    assert_eq!(resumed.status.code(), Some(0));
    assert_eq!((left(&bench), left(&whole)), (0, 0));
}
