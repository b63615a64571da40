//! `mesh wave simulate`: the run with made-up results. What it predicts is what `mesh run` does, and it starts and writes nothing.

use crate::fixture::*;
use serde_json::{Value, json};

impl Bench {
    fn simulate(&self, args: impl Into<Args>) -> Said {
        self.mesh(Args::from("wave simulate").and(args))
    }

    /// The predictions, rolling first.
    fn predictions(&self, args: impl Into<Args>) -> Vec<Value> {
        let said = self.simulate(args.into().and("--json")).exits(0);
        let all: Value = serde_json::from_str(&said.out).expect("one object");
        all["predictions"].as_array().expect("a list").clone()
    }
}

/// `round xrows` of every wave.
fn waves(prediction: &Value) -> Vec<String> {
    let waves = prediction["waves"].as_array().expect("waves");
    let line = |wave: &Value| {
        let round = wave["round"].as_str().expect("a round");
        format!("{round} x{}", wave["rows"])
    };
    waves.iter().map(line).collect()
}

/// `id begin-end`, in seconds.
fn times(prediction: &Value) -> Vec<String> {
    let tasks = prediction["tasks"].as_array().expect("tasks");
    let line = |task: &Value| {
        let id = task["id"].as_str().expect("an id");
        format!("{id} {}-{}", task["begins_seconds"], task["ends_seconds"])
    };
    tasks.iter().map(line).collect()
}

/// Dependencies, a conflict of scopes, a task of its own size, and a vote that is lost once.
#[test]
fn a_run_under_barriers_makes_the_waves_that_were_predicted() {
    let disagree_once = [3, 5];
    let task = |id: &str| Task::new(id).agree(&disagree_once);
    let bench = Bench::new(&[
        task("a"),
        task("b").scope(&["b.txt", "x/**"]),
        task("c").scope(&["c.txt", "x/y"]),
        task("d").after(&["a"]),
        task("e").after(&["d", "c"]).more("swarm: {roles: 3}"),
        task("f"),
    ]);
    let settings = ["parallel_tasks=3", "max_tasks=5"];
    let predicted = bench.predictions(Args::from(&settings[..]).and("lost_votes=1"));
    let answers = bench.answers();
    let args = [
        &[
            "run",
            "--run-id",
            "R",
            "--adapter",
            "replay",
            "--answers",
            &answers,
        ],
        &settings[..],
    ];
    let mut mesh = bench.command(&args.concat());
    mesh.env("MESH_DISPATCH", "barrier");
    assert!(mesh.status().expect("mesh starts").success());
    let worked = bench.waves();
    let worked: Vec<String> = worked
        .iter()
        .map(|wave| format!("{} x{}", wave.rows[0]["round"], wave.rows.len()))
        .collect();
    assert!(worked.len() > 12, "{worked:?}");
    assert_eq!(waves(&predicted[1]), worked);
}

#[test]
fn a_free_slot_goes_to_the_longest_path_without_waiting_for_a_wave() {
    let bench = Bench::new(&[
        Task::new("short"),
        Task::new("first"),
        Task::new("second").after(&["first"]),
        Task::new("slow"),
    ]);
    bench.write(
        "times.csv",
        "task,round,seconds,remark\n,synthesis,10,\nslow,,35,all of it\n,integrate,1,\n",
    );
    let solo = "--protocol solo --durations times.csv parallel_tasks=4 -j2";
    let [rolling, barrier] = &bench.predictions(solo)[..] else {
        panic!("two predictions")
    };
    // `slow` is stretched: 35 s for its row and its integration, 10 to 1.
    assert_eq!(
        times(rolling),
        [
            "slow 0.0-35.0",
            "first 0.0-11.0",
            "short 0.0-21.0",
            "second 11.0-31.0"
        ]
    );
    assert_eq!(waves(rolling), ["synthesis x3", "synthesis x1"]);
    assert_eq!(
        times(barrier),
        [
            "short 0.0-42.818",
            "first 0.0-43.818",
            "slow 0.0-47.0",
            "second 47.0-58.0"
        ]
    );
    assert_eq!(rolling["lower_bound_seconds"], json!(35.0));
    assert_eq!(rolling["ratio"], json!(1.0));
}

#[test]
fn simulate_prints_its_assumptions() {
    let bench = Bench::new(&[
        Task::new("a"),
        Task::new("b").after(&["a"]),
        Task::new("unchecked")
            .without_validation()
            .more("allow_no_validation: false\nvalidation: []"),
        Task::new("behind").after(&["unchecked"]),
        Task::new("broken").notes("```mesh\nnonsense: 1\n```\n"),
        Task::new("done").status("completed"),
    ]);
    let before = bench.read(PLAN);
    let said = bench
        .simulate("parallel_tasks=2 --cost-per-row 0.5 ids=b,behind")
        .exits(0);
    assert_eq!(bench.read(PLAN), before);
    assert!(!bench.mesh_home().exists(), "nothing was written");
    insta::assert_snapshot!(said.out, @r#"
    .step/st-plan.jsonl: 4 unfinished tasks, protocol swarm, 10 rows at once, parallel_tasks=2

     DISPATCH  TASKS  WAVES  ROWS  MAKESPAN  BOUND  RATIO  BUSY
     rolling       3      8    30     8m00s  8m00s   1.00   38%
     barrier       3      8    30     8m00s  8m00s   1.00   38%

    No dispatch is faster than the largest of critical path 8m00s, work / slots 3m00s
    and integrations 0s. The critical path: a > b

     ROUND      ROWS   MEAN  KNOWN FROM
     proposal      3  1m00s  default
     critique      9  1m00s  default
     synthesis     3  1m00s  default
     vote         15  1m00s  default
     integrate     -     0s  default

    Cost: 30 rows at 0.5 USD: 15.00 USD
    "#);
    insta::assert_snapshot!(said.err, @r#"
    warning: item `unchecked` would be blocked: missing_validation: the task has no validation command
    "#);
    let said = bench.simulate("--waves --dispatch rolling ids=a --color never");
    insta::assert_snapshot!(said.out, @r#"
    .step/st-plan.jsonl: 1 unfinished task, protocol swarm, 5 rows at once, parallel_tasks=1

     DISPATCH  TASKS  WAVES  ROWS  MAKESPAN  BOUND  RATIO  BUSY
     rolling       1      4    10     4m00s  4m00s   1.00   50%

    No dispatch is faster than the largest of critical path 4m00s, work / slots 2m00s
    and integrations 0s. The critical path: a

     ROUND      ROWS   MEAN  KNOWN FROM
     proposal      1  1m00s  default
     critique      3  1m00s  default
     synthesis     1  1m00s  default
     vote          5  1m00s  default
     integrate     -     0s  default

    Waves, rolling:
     WAVE  ROUND      ROWS  BEGINS   ENDS
     1     proposal      1      0s  1m00s
     2     critique      3   1m00s  2m00s
     3     synthesis     1   2m00s  3m00s
     4     vote          5   3m00s  4m00s
    "#);
    let said = bench.simulate("");
    said.err_has("nonsense");
    said.err_has("it is left out\n");
}

#[test]
fn earlier_runs_say_how_long_rows_take() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let unknown = bench.simulate("--from-run R").exits(2);
    unknown.err_has("no run `R`");
    let nothing = bench.simulate("--learn").exits(0);
    nothing.err_has("nothing to learn from");

    bench.run("");
    for args in [&["--from-run", "R"][..], &["--learn", "--from-run", "R"]] {
        let said = bench.simulate(Args::from(args).and("--json"));
        let all: Value = serde_json::from_str(&said.out).expect("one object");
        let durations = all["durations"].as_array().expect("a list").iter();
        let origins = durations.map(|line| (line["round"].as_str(), line["from"].as_str()));
        let expected = [
            ("proposal", "learned (1)"),
            ("critique", "learned (3)"),
            ("synthesis", "learned (1)"),
            ("vote", "learned (5)"),
            ("integrate", "learned (1)"),
        ];
        let expected = expected.map(|(round, from)| (Some(round), Some(from)));
        assert_eq!(origins.collect::<Vec<_>>(), expected);
    }
    bench.write(
        "times.csv",
        "round,role,seconds\nvote,,7\ncritique,skeptic,9\n",
    );
    let said = bench.simulate("learn=true --durations times.csv");
    let origin = |round: &str| {
        let line = said
            .out
            .lines()
            .find(|line| line.trim_start().starts_with(round));
        line.expect("a line")
            .split("s ")
            .last()
            .expect("text")
            .trim()
            .to_owned()
    };
    assert_eq!(origin("vote"), "given");
    assert_eq!(origin("critique"), "given, learned (2)");
}

#[test]
fn unusable_input_is_reported() {
    let bench = Bench::new(&[Task::new("a")]);
    let error = |args: &[&str]| {
        let said = bench.simulate(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
        said.err
    };
    bench.write("times.csv", "round,seconds\nvote,1\nvote,soon\n");
    insta::assert_snapshot!(error(&["durations=times.csv"]), @r#"
    error: `times.csv`: row 2, column `seconds`: `soon` is not a number of seconds, such as 90 or 2.5
    hint: the column seconds is required, and round or task; role is optional; a row without a round is a whole task
    "#);
    insta::assert_snapshot!(error(&["retries=3x"]), @r#"
    error: unexpected argument '--retries' found

      tip: to pass '--retries' as a value, use '-- --retries'

    Usage: mesh wave simulate [OPTIONS] [KEY=VALUE]...

    For more information, try '--help'.
    "#);
    insta::assert_snapshot!(error(&["nonsense"]), @r#"
    error: `nonsense` is not a setting of `mesh wave simulate`
    hint: settings are key=value, such as max_tasks=2; see mesh wave simulate --help
    "#);
    insta::assert_snapshot!(error(&["cost_per_row=-1"]), @r#"
    error: invalid value '-1' for '--cost-per-row <USD>': must be an amount, such as 0.12

    For more information, try '--help'.
    "#);
    assert!(error(&["ids=z"]).contains("unknown id 'z'"));
    assert!(error(&["--protocol", "none"]).contains("`none`"));
    assert!(error(&["--durations", "none.csv"]).contains("`none.csv`"));
    bench.write("times.csv", "task,seconds\ngone,1\nlost,2\na,3\n");
    let said = bench.simulate("durations=times.csv -q").exits(0);
    assert_eq!(
        said.err,
        "warning: the durations name task `gone` and 1 more, which the plan does not have\n"
    );
    said.out_has(" 3s ");
    said.out_has("1 task has durations of its own");
}

#[test]
fn simulate_reads_run_options_from_the_same_sources_as_run() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b"), Task::new("c")]);
    bench.write(
        "mesh.yaml",
        "protocol: solo\nparallel_tasks: 2\ndispatch: barrier\n",
    );
    let predictions = bench.predictions("");
    assert_eq!(predictions.len(), 1);
    assert_eq!(predictions[0]["dispatch"], "barrier");
    assert_eq!(waves(&predictions[0]), ["synthesis x2", "synthesis x1"]);
    let predictions = bench.predictions("parallel_tasks=3 dispatch=both");
    assert_eq!(predictions.len(), 2);
    assert_eq!(waves(&predictions[0]), ["synthesis x3"]);
    let said = bench
        .command("wave simulate --json")
        .env("MESH_PROTOCOL", "duo")
        .run_to_end();
    let all: Value = serde_json::from_str(&said.out).expect("one object");
    assert_eq!(
        waves(&all["predictions"][0])[..2],
        ["synthesis x2", "vote x2"]
    );
}

/// A job on a cluster: no plan, nothing written, the same outcome for the same seed.
#[test]
fn a_job_on_a_cluster_is_simulated() {
    let bench = Bench::new(&[Task::new("a")]);
    // The executor of runs does not change what is simulated.
    bench.write("mesh.yaml", "executor: slurm\nrows: 1-3\n");
    bench.simulate("").exits(0).out_has("rolling");
    let job = "--executor slurm --rows 20000 --nodes 100 --submit-rate 20";
    let said = bench.simulate(job).exits(0);
    insta::assert_snapshot!(said.out, @r"
    20000 rows of 1m00s on 100 nodes: 1000 tasks of 20 rows, 100 at once

     makespan                   3h20m05s
     lower bound                3h20m00s
     ratio                         1.000
     result files                   1000
     squeue calls                   1200
     sbatch calls                      2
     node failures                     0
     slices submitted again            0
     rows run again                    0
     rows lost                         0
    ");
    let failing = Args::from(job).and("--node-failure-rate 0.2 --row-spread 0.5 --rows-at-once 2");
    let outcome = |seed: &str| {
        let said = bench.simulate(failing.clone().and(seed).and("--json"));
        serde_json::from_str::<Value>(&said.exits(0).out).expect("one object")
    };
    let first = outcome("--seed 7");
    assert_eq!(first, outcome("seed=7"));
    assert_ne!(first, outcome("--seed 8"));
    assert!(first["node_failures"].as_u64() > Some(0), "{first}");
    assert!(first["rows_run_again"].as_u64() > Some(0), "{first}");
    assert_eq!(
        (&first["rows_lost"], &first["stopped"]),
        (&json!(0), &json!(null))
    );
    let said = bench
        .simulate("--executor slurm --rows 4 --nodes 1 --row-seconds 90000 --node-failure-rate 60");
    said.exits(0)
        .err_has("the run would stop, resumable, with 4 rows left: slice ");
    assert!(!bench.mesh_home().exists(), "nothing was written");
}

#[test]
fn a_cluster_that_makes_no_sense_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    for (args, error) in [
        ("--rows 5 --nodes 2", "--executor <WHERE>"),
        ("--executor slurm --rows 5", "--nodes <N>"),
        ("--executor slurm --rows 0 --nodes 2", "from 1 to 100000000"),
        ("--executor slurm --rows 5 --nodes x", "from 1 to 100000"),
        (
            "--executor slurm --rows 5 --nodes 2 --submit-rate 0",
            "tasks each second",
        ),
        (
            "--executor slurm --rows 5 --nodes 2 --node-failure-rate -1",
            "failures each hour",
        ),
        (
            "--executor slurm --rows 5 --nodes 2 --row-spread NaN",
            "from 0 to 3",
        ),
        (
            "--executor slurm --rows 5 --nodes 2 --rows-per-task 0",
            "at least 1",
        ),
        (
            "--executor slurm --rows 5 --nodes 2 ids=a",
            "cannot be used with",
        ),
        ("--executor kubernetes --rows 5 --nodes 2", "slurm"),
    ] {
        let said = bench.simulate(args);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{args}");
        said.err_has(error);
    }
}
