//! What a validation, or a person, changes while the commands run: an older plan is put back, an edit is named and kept.

use super::*;

/// How the plan ends when a validation puts the state from before the run in its place.
fn with_an_older_plan(option: &str, end: &str) -> (Bench, Said) {
    let command = format!("cd \"$MESH_HOME/../work\" && cp ../older {PLAN}; cd \"$OLDPWD\"; {end}");
    let bench = Bench::new(&[Task::new("a").validation(&[&command]), Task::new("b")]);
    std::fs::copy(bench.path(PLAN), bench.beside("older")).expect("copied");
    bench.git("config user.name t");
    bench.git("config user.email t@example.invalid");
    let said = bench.run(&["max_tasks=2", option]);
    (bench, said)
}

#[test]
fn an_older_state_of_the_plan_is_put_back() {
    for option in ["isolation=tree", "isolation=worktree", "delivery=branch"] {
        for (end, code, status) in [
            ("false", 1, "blocked"),
            ("grep -q new a.txt", 0, "completed"),
        ] {
            let (bench, said) = with_an_older_plan(option, end);
            assert_eq!(said.code, code, "{option} {end}: {}", said.err);
            let statuses = ["a", "b"].map(|id| bench.status_of(id));
            assert_eq!(statuses, [status, "completed"], "{option} {end}");
        }
    }
}

#[test]
fn a_newer_plan_is_kept() {
    for option in ["isolation=tree", "isolation=worktree"] {
        let mesh = env!("CARGO_BIN_EXE_mesh");
        let command = format!(
            "(cd \"$MESH_HOME/../work\" && '{mesh}' st add-comment --file {PLAN} --id a --text mine) && grep -q new a.txt"
        );
        let bench = Bench::new(&[Task::new("a").validation(&[&command])]);
        let said = bench.run(&[option]);
        assert_eq!(said.code, 0, "{option}: {}", said.err);
        assert!(bench.comments("a").iter().any(|text| text == "mine"));
        said.err_lacks("the work tree changed");
    }
}

#[test]
fn an_edit_of_a_patched_file_that_gives_way_to_a_restore_is_named_with_its_place() {
    let task = Task::new("a").validation(&["echo mine >a.txt; false"]);
    let bench = Bench::new(&[task]);
    let before = bench.read("a.txt");
    let said = bench.run("").exits(1);
    assert_eq!(bench.read("a.txt"), before);
    let aside = bench.run_folder().join("units/a/aside");
    let kept = std::fs::read_to_string(aside.join("a.txt"));
    assert_eq!(kept.expect("kept"), "mine\n");
    let finished = event(&bench, "integration_finished");
    assert_eq!(finished["moved_aside"], json!(["a.txt"]));
    let place = format!("[\"a.txt\"]; it is in {}", aside.display());
    said.err_has(&place);
    let told = "    moved aside a.txt\n    moved to units/a/aside in the run's folder\n";
    said.out_has(told);
}

#[test]
fn the_patched_file_is_rolled_back_without_a_warning() {
    let bench = Bench::new(&[Task::new("a").validation(&["false"])]);
    let said = bench.run("").exits(1);
    assert_eq!(
        event(&bench, "integration_finished")["moved_aside"],
        Value::Null
    );
    said.err_lacks("gave way");
    said.out_lacks("moved ");
}

#[test]
fn what_changes_in_the_users_tree_while_commands_run_elsewhere_is_named_and_no_failure() {
    for option in ["isolation=worktree", "delivery=branch"] {
        let command = "(cd \"$MESH_HOME/../work\" && echo x >>kept.txt && echo y >new.txt); grep -q new a.txt";
        let bench = Bench::new(&[Task::new("a").validation(&[command])]);
        bench.git("config user.name t");
        bench.git("config user.email t@example.invalid");
        let said = bench.run(&[option]);
        assert_eq!(said.code, 0, "{option}: {}", said.err);
        let told = "a: the work tree changed while commands ran in another tree: [\"kept.txt\", \"new.txt\"]";
        said.err_has(told);
        let told = "    changed while commands ran elsewhere: kept.txt\n";
        said.out_has(told);
        assert_eq!(bench.read("new.txt"), "y\n");
    }
}

#[test]
fn what_changes_while_a_patch_is_shown_to_the_voters_is_named() {
    let command =
        "(cd \"$MESH_HOME/../work\" && test -e a.lock || echo x >>kept.txt; touch a.lock)";
    let bench = Bench::new(&[Task::new("a").validation(&[command])]);
    let said = bench.run("--prevalidate --json");
    assert_eq!(
        report(&said)["tasks"][0]["changed_meanwhile"],
        json!(["kept.txt"]),
        "{}",
        said.err
    );
}
