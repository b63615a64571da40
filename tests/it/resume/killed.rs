//! Runs that were killed at every event.

use super::*;

/// Kills the run at every fourth event, beginning with `first`.
fn killed_at(side: &str, first: usize) {
    let start = two_tasks();
    let untouched = start.copy();
    let said = untouched.run(&[RUN[0], RUN[1], "--json"]);
    let expected = outcome(&untouched, &said);
    assert_eq!(
        (
            said.code,
            expected.plan[0].1.len(),
            expected.plan[1].1.len()
        ),
        (1, 1, 1)
    );
    let events = untouched.events().len();
    assert!(events > 40, "{events}");
    for point in (first..=events).step_by(4) {
        let wish = format!("{side}:{point}");
        let bench = start.copy();
        let git = bench.git_state();
        assert_eq!(run_until(&bench, &wish), Some(9), "{wish}");
        let said = bench.mesh("resume R --json");
        assert_eq!(said.code, 1, "{wish}: {}", said.err);
        assert_eq!(outcome(&bench, &said), expected, "{wish}");
        assert_eq!(bench.git_state(), git, "{wish}");
        nothing_ran_twice(&bench.events());
    }
}

macro_rules! killed {
    ($($name:ident: $side:literal $first:literal;)*) => {$(
        #[test]
        fn $name() {
            killed_at($side, $first);
        }
    )*};
}

// `before:1` leaves an empty ledger; it has a test of its own.
killed! {
    killed_before_every_event_from_2: "before" 2;
    killed_before_every_event_from_3: "before" 3;
    killed_before_every_event_from_4: "before" 4;
    killed_before_every_event_from_5: "before" 5;
    killed_after_every_event_from_1: "after" 1;
    killed_after_every_event_from_2: "after" 2;
    killed_after_every_event_from_3: "after" 3;
    killed_after_every_event_from_4: "after" 4;
}

#[test]
fn a_run_that_was_killed_before_its_first_event_never_began() {
    let bench = two_tasks();
    let before = (bench.tree(), bench.read(PLAN));
    assert_eq!(run_until(&bench, "before:1"), Some(9));
    let said = bench.mesh("resume R").exits(2);
    said.err_has("its ledger is empty: it was killed before it started anything");
    assert_eq!((bench.tree(), bench.read(PLAN)), before);
    bench.mesh("runs list").exits(0);
}

/// Two tasks whose waves are under way at once; which event is which differs from run to run.
fn killed_while_rolling(side: &str) {
    let args = "max_tasks=2 parallel_tasks=2";
    for point in (3..75).step_by(9) {
        let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
        let answers = bench.answers();
        let head: &[&str] = &["run", "--run-id", "R", "--adapter", "replay"];
        let mut command = bench.command(Args::from(head).and(&["--answers", &answers]).and(args));
        let wish = format!("{side}:{point}");
        command.env("MESH_FAULT_KILL", &wish);
        let output = command.output().expect("mesh starts");
        assert_eq!(output.status.signal(), Some(9), "{wish}");
        let said = bench.mesh("resume R");
        assert_eq!(said.code, 0, "{wish}: {}", said.err);
        assert_eq!(bench.read("a.txt") + &bench.read("b.txt"), "new\nnew\n");
        let comments = ["a", "b"].map(|id| (bench.status_of(id), bench.comments(id).len()));
        let done = ("completed".to_owned(), 1);
        assert_eq!(comments, [done.clone(), done], "{wish}");
        nothing_ran_twice(&bench.events());
    }
}

#[test]
fn killed_before_events_while_two_tasks_are_in_flight() {
    killed_while_rolling("before");
}

#[test]
fn killed_after_events_while_two_tasks_are_in_flight() {
    killed_while_rolling("after");
}

#[test]
fn killed_twice_in_the_same_integration() {
    let untouched = two_tasks();
    let said = untouched.run(&[RUN[0], RUN[1], "--json"]);
    let expected = outcome(&untouched, &said);
    let of_b =
        |(name, record): &(String, Value)| name == "validation_finished" && record["unit"] == "b";
    let at = untouched
        .events()
        .iter()
        .position(of_b)
        .expect("a validation")
        + 1;
    let bench = two_tasks();
    assert_eq!(run_until(&bench, &format!("before:{at}")), Some(9));
    let mut again = bench.command("resume R");
    let again = again
        .env("MESH_FAULT_KILL", format!("before:{}", at + 3))
        .output()
        .expect("mesh starts");
    assert_eq!(again.status.signal(), Some(9));
    let said = bench.mesh("resume R --json").exits(1);
    assert_eq!(outcome(&bench, &said), expected);
}

// The same over the demo.

struct Demo {
    sandbox: Sandbox,
}

impl Demo {
    fn new() -> Self {
        Self {
            sandbox: Sandbox::new(),
        }
    }

    fn run(&self, wish: &str) -> std::process::Output {
        let mut command = self.sandbox.command("demo --dir demo --run-id R --json");
        command
            .env("MESH_FAULT_KILL", wish)
            .output()
            .expect("mesh starts")
    }

    fn outcome(&self, out: &str) -> (String, Vec<String>, Value) {
        let repo = self.sandbox.path("demo/repo");
        let git = std::process::Command::new("git")
            .args(["diff", "HEAD", "--", ".", ":!.step"])
            .current_dir(&repo)
            .output()
            .expect("git starts");
        let plan = self.sandbox.read("demo/repo/.step/st-plan.jsonl");
        let plan: Value = serde_json::from_str(plan.lines().last().expect("a line")).expect("JSON");
        let items = plan["items"].as_array().expect("items").iter();
        let items = items.map(|item| {
            let comments = item["comments"].as_array().expect("comments");
            let comments: Vec<&str> = comments
                .iter()
                .filter_map(|comment| comment["text"].as_str())
                .collect();
            let comments = without_learning_times(&comments.join("\n"));
            format!("{} {} {comments}", item["id"], item["status"])
        });
        let report = out
            .lines()
            .rfind(|line| line.starts_with('{'))
            .expect("a report");
        let mut report = without_timing(serde_json::from_str(report).expect("JSON"));
        report["waves"] = Value::Null;
        (
            String::from_utf8_lossy(&git.stdout).into_owned(),
            items.collect(),
            report,
        )
    }
}

/// Kills the demo's run at six events that are far apart.
fn demo_killed(side: &str, points: [usize; 6]) {
    let untouched = Demo::new();
    let output = untouched.run("");
    assert_eq!(output.status.code(), Some(0));
    let expected = untouched.outcome(&String::from_utf8_lossy(&output.stdout));
    assert!(untouched.sandbox.events().len() >= points[5]);
    for point in points {
        let wish = format!("{side}:{point}");
        let demo = Demo::new();
        assert_eq!(demo.run(&wish).status.signal(), Some(9), "{wish}");
        let said = demo.sandbox.mesh("resume R --json");
        assert_eq!(said.code, 1, "{wish}: {}", said.err);
        assert_eq!(demo.outcome(&said.out), expected, "{wish}");
        nothing_ran_twice(&demo.sandbox.events());
    }
}

#[test]
fn the_demo_killed_before_events() {
    demo_killed("before", [5, 75, 145, 215, 285, 355]);
}

#[test]
fn the_demo_killed_after_events() {
    demo_killed("after", [40, 110, 180, 250, 320, 405]);
}

// What else can have happened to a run.

/// Paths below a folder that are temporary files, or are there only while a run is driven.
fn leftovers(folder: &Path) -> Vec<std::path::PathBuf> {
    let driven = ["snapshot", "scratch", "trial", "branch", "mesh.pending"];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if name.ends_with(".tmp") || driven.contains(&&*name) {
            found.push(path);
        } else if path.is_dir() && name != "objects" {
            found.extend(leftovers(&path));
        }
    }
    found
}

#[test]
fn a_resume_leaves_no_temporary_file_of_the_killed_process() {
    let start = two_tasks();
    let mut killed = 0;
    for step in (1..150).step_by(7) {
        let bench = start.copy();
        if run_until(&bench, &format!("write:{step}")).is_none() {
            break;
        }
        killed += 1;
        if bench.run_folder().join("ledger.jsonl").exists() {
            assert_eq!(bench.mesh("resume R").code, 1, "{step}");
            let left = [bench.run_folder(), bench.work()].map(|folder| leftovers(&folder));
            assert_eq!(left.concat(), Vec::<std::path::PathBuf>::new(), "{step}");
        }
    }
    assert!(killed > 5, "{killed}");
}

#[test]
fn a_run_that_was_killed_after_its_last_record_is_cleaned_up_by_a_resume() {
    let start = two_tasks();
    let whole = start.copy();
    whole.run(&RUN);
    let last = whole.events().len();
    assert_eq!(run_until(&start, &format!("after:{last}")), Some(9));
    assert_ne!(
        leftovers(&start.run_folder()),
        Vec::<std::path::PathBuf>::new()
    );
    start.mesh("resume R").exits(1);
    assert_eq!(
        leftovers(&start.run_folder()),
        Vec::<std::path::PathBuf>::new()
    );
    let list = read_file(start.path(".git/mesh.runs"));
    assert_eq!(list, "", "it is in the list of runs that have not ended");
}
