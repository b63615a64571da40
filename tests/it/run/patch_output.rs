//! `--output patch`: one fenced diff on standard output, or one line that says why there is none.

use super::*;

#[test]
fn the_patch_of_the_task_is_the_only_output() {
    for integrate in ["true", "false"] {
        let bench = Bench::new(&[Task::new("a")]);
        let setting = format!("integrate={integrate}");
        let said = bench.run(&["output=patch", &setting]).exits(0);
        let diff = edit("a.txt", "old", "new");
        assert_eq!(said.out, format!("```diff\n{diff}```\n"));
    }
}

#[test]
fn a_diff_with_fences_has_a_longer_one() {
    let task = Task::new("a").patches(&[&edit("a.txt", "old", "```new")]);
    let said = Bench::new(&[task]).run("output=patch").exits(0);
    said.out_starts_with("````diff\n");
    assert!(said.out.ends_with("+```new\n````\n"), "{}", said.out);
}

#[test]
fn without_a_patch_one_line_says_why() {
    let say = |task: Task, args: &str, code: i32| {
        let bench = Bench::new(&[task]);
        let args = format!("output=patch {args}");
        bench.run(&args).exits(code).out
    };
    assert_eq!(
        say(Task::new("a").agree(&[0, 0, 0]), "", 1),
        "NO_DIFF: no_consensus: 0 of 5 agreed in vote 3\n"
    );
    assert_eq!(
        say(Task::new("a").validation(&["false"]), "integrate=false", 1),
        "NO_DIFF: validation_failed: `false`: exit 1\n"
    );
    assert_eq!(
        say(Task::new("a").status("completed"), "", 0),
        "NO_DIFF: no runnable tasks: ready=0 waiting=0 blocked=0 completed=1\n"
    );
    assert_contains(
        &say(Task::new("a"), "max_rows=2", 4),
        "NO_DIFF: the run is cancelled: ",
    );
}

#[test]
fn several_tasks_and_json_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    for args in [
        "output=patch max_tasks=2",
        "output=patch max_tasks=auto",
        "output=patch --json",
    ] {
        let said = bench.run(args).exits(2);
        assert_eq!(said.out, "");
        said.err_has("`--output patch`");
    }
    bench.run("output=patch --dry-run").exits(2);
}
