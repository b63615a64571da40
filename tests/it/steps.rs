//! A run one command at a time: `mesh wave next`, `mesh collect`, `mesh integrate`, and waves for other runners.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::PathBuf;

impl Bench {
    pub fn next(&self, args: impl Into<Args>) -> Value {
        let said = self.mesh(Args::from("wave next --json").and(args)).exits(0);
        report(&said)
    }

    /// Works a wave with the recorded answers.
    pub fn work_wave(&self, wave: &Value) {
        let answers = self.answers();
        let call = wave["call_path"].as_str().expect("a path");
        let args = ["spawn", "--call", call, "--adapter", "replay"];
        let elsewhere = self.beside("elsewhere").display().to_string();
        let more = ["--answers", &answers, "--artifacts", &elsewhere];
        let said = self.mesh(Args::from(&args[..]).and(&more));
        assert!(said.code <= 1, "{}", said.err);
    }

    /// Steps run `R` to its end.
    fn step_through(&self, args: impl Into<Args>) -> Said {
        let mut handed = self.next(Args::from("--run-id R").and(args));
        for _ in 0..40 {
            for wave in handed["waves"].as_array().expect("waves") {
                self.work_wave(wave);
                let number = wave["wave"].to_string();
                let said = self.mesh(&["collect", "R", "--wave", &number]);
                assert!(said.code <= 1, "{}", said.err);
            }
            if handed["to_integrate"] != json!([]) {
                let said = self.mesh("integrate R --json");
                if said.out.contains("plan_mutations") {
                    return said;
                }
                assert_eq!(said.code, 0, "{}", said.err);
            }
            let said = self.mesh("wave next --json --run R");
            handed = report(&said);
            if handed
                .get("waves")
                .is_none_or(|waves| !waves[0].is_object())
                && handed.get("to_integrate").is_none()
            {
                return said;
            }
        }
        panic!("it does not end");
    }

    /// The ledger, without what depends on who works the rows and when.
    fn fold(&self) -> Vec<String> {
        let own = [
            "v",
            "seq",
            "ts",
            "via",
            "duration_ms",
            "completed_at",
            "reported_at",
            "job_id",
            "exit_code",
            "head",
            "settings",
            "key_line",
            "log_path",
            "csv_sha256",
            "root",
        ];
        let line = |(name, mut record): (String, Value)| {
            let fields = record.as_object_mut().expect("an object");
            fields.retain(|key, _| !own.contains(&key.as_str()));
            undated(&format!("{name} {record}"))
        };
        self.events().into_iter().map(line).collect()
    }
}

/// Ids of learnings without the second in which they were captured.
fn undated(text: &str) -> String {
    let mut parts = text.split("lrn-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (_time, rest) = part.split_at("20260213T015500Z".len());
        format!("{text}lrn-TIME{rest}")
    })
}

fn tasks() -> Vec<Task> {
    vec![
        Task::new("a").agree(&[3, 5]),
        Task::new("b").after(&["a"]),
        Task::new("c").validation(&["false"]),
    ]
}

/// Everything that a run leaves in the repository.
fn left(bench: &Bench) -> (Vec<String>, Vec<String>, Vec<String>) {
    let ids = ["a", "b", "c"];
    let files = ids.map(|id| bench.read(&format!("{id}.txt")));
    let statuses = ids.map(|id| bench.status_of(id));
    let comments = ids.map(|id| undated(&bench.comments(id).join("\n")));
    (files.into(), statuses.into(), comments.into())
}

#[test]
fn single_steps_equal_a_whole_run() {
    let whole = Bench::new(&tasks());
    let run = whole.run("max_tasks=3 --json");
    let stepped = Bench::new(&tasks());
    let steps = stepped.step_through("max_tasks=3");
    assert_eq!((run.code, steps.code), (1, 1), "{} {}", run.err, steps.err);
    assert_eq!(left(&whole), left(&stepped));
    assert_eq!(sorted(whole.fold()), sorted(stepped.fold()));
    let states = |said: &Said| {
        let tasks = report(said)["tasks"].clone();
        let tasks = tasks.as_array().expect("tasks").clone();
        let state = |task: &Value| format!("{} {} {}", task["id"], task["state"], task["reason"]);
        tasks.iter().map(state).collect::<Vec<_>>()
    };
    assert_eq!(states(&run), states(&steps));
}

#[test]
fn single_steps_make_the_same_commits() {
    let args = "max_tasks=3 delivery=commit allow_protected=true";
    let named = || {
        let bench = Bench::new(&tasks());
        bench.git("config user.name 'A Person'");
        bench.git("config user.email person@example.org");
        bench
    };
    let (whole, stepped) = (named(), named());
    let run = whole.run(args);
    let steps = stepped.step_through(args);
    assert_eq!((run.code, steps.code), (1, 1), "{} {}", run.err, steps.err);
    // Trees, authors and messages with their trailers; the times differ, and so do the names.
    let commits = |bench: &Bench| bench.git("log '--format=%T %an <%ae>%n%B'");
    assert_eq!(commits(&whole), commits(&stepped));
    assert_eq!(
        commits(&whole).matches("Mesh-Task: ").count(),
        2,
        "{}",
        run.err
    );
}

/// Within a wave, rows are worked at once in one and taken in one after the other in the other.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn the_wave_is_handed_out_again_until_it_is_answered() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.next("--run-id R");
    assert_eq!(bench.status_of("a"), "in_progress");
    assert_eq!(first["waves"][0]["rows"], json!(["a.proposal.proposer.1"]));
    let snapshot = PathBuf::from(first["snapshot"].as_str().expect("a folder"));
    let seen = std::fs::read_to_string(snapshot.join("a.txt"));
    assert_eq!(seen.expect("a copy"), "old\n");
    assert_eq!(bench.next("--run R"), first);
    let early = bench.mesh("integrate R").exits(0);
    assert_eq!(early.out, "0 tasks ended\n");
}

#[test]
fn a_task_continues_while_the_wave_of_another_waits() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let args = "--run-id R max_tasks=2 parallel_tasks=2";
    let first = bench.next(Args::from(args).and("dispatch=rolling"));
    assert_eq!(first["waves"].as_array().map(Vec::len), Some(2));
    bench.work_wave(&first["waves"][1]);
    let said = bench.mesh("collect R").exits(0);
    said.out_has("wave 002: 1 answer collected\nwave 001: no new answers in ");
    said.err_has("mesh collect R --wave 1 --give-up");
    let next = bench.next("--run R");
    let rounds: Vec<&Value> = next["waves"]
        .as_array()
        .expect("waves")
        .iter()
        .map(|wave| &wave["round"])
        .collect();
    assert_eq!(rounds, [&json!("proposal"), &json!("critique")]);
}

#[test]
fn answers_from_outside_are_believed_no_more_than_our_own() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let answers = bench.beside("brought");
    let bring = |name: &str, text: &str| {
        std::fs::create_dir_all(&answers).expect("a folder");
        std::fs::write(answers.join(name), text).expect("written");
    };
    let folder = answers.display().to_string();
    bring("a.proposal.proposer.1.json", r#"Here: {"plan": 5}"#);
    let refused = bench.mesh(&["collect", "R", &folder]).exits(1);
    refused.out_has("invalid_output_schema");
    bench.next("--run R");
    bring(
        "a.proposal.proposer.2.json",
        r#"{"plan":["x"],"assumptions":[],"risk":"huge","risks":[]}"#,
    );
    let refused = bench.mesh(&["collect", "R", &folder]);
    refused.out_has("a.proposal.proposer.2 refused: invalid_output_schema");
    let events = bench.trace("verdict");
    assert_eq!(events.len(), 2);
    let nothing = bench.mesh(&["collect", "R", &folder]).exits(2);
    nothing.err_has("no wave awaits answers");
}

#[test]
fn a_wave_waits_for_its_last_row_or_is_given_up() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.next("--run-id R");
    bench.work_wave(&first["waves"][0]);
    bench.mesh("collect R").exits(0);
    bench.next("--run R");
    let answers = bench.beside("answers").join("a");
    std::fs::remove_file(answers.join("critique.skeptic.1.json")).expect("removed");
    let folder = bench.answers();
    let partly = bench.mesh(&["collect", "R", &folder, "--json"]).exits(1);
    assert_eq!(report(&partly)["taken"], 2);
    assert_eq!(report(&partly)["missing"], json!(["a.critique.skeptic.1"]));
    assert!(bench.trace("verdict").len() == 1, "nothing is judged yet");
    let given_up = bench.mesh(&["collect", "R", &folder, "--give-up", "--json"]);
    assert_eq!(
        report(&given_up)["refused"],
        json!([{"id": "a.critique.skeptic.1", "code": "no_response"}])
    );
    assert_eq!(bench.trace("verdict").len(), 4);
    let again = bench.next("--run R");
    assert_eq!(again["waves"][0]["rows"], json!(["a.critique.skeptic.2"]));
}

#[test]
fn a_kill_between_answers_and_verdicts_loses_neither() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.next("--run-id R");
    bench.work_wave(&first["waves"][0]);
    // The wave's start, and three events of its one attempt.
    let before_verdict = bench.events().len() + 4 + 1;
    bench
        .command("collect R")
        .env("MESH_FAULT_KILL", format!("before:{before_verdict}"))
        .run_to_end()
        .exits(128 + 9);
    assert_eq!(bench.trace("attempt_reported verdict").len(), 1);
    let next = bench.next("--run R");
    assert_eq!(next["waves"][0]["round"], "critique");
    assert_eq!(bench.trace("attempt_reported verdict").len(), 2);
}

#[test]
fn an_output_of_another_wave_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    bench.write(
        "other.csv",
        "item_id,status,result_json\nb.vote.x.1,completed,{}\n",
    );
    let said = bench.mesh("collect R other.csv").exits(2);
    said.err_has("`b.vote.x.1` is no row of this wave");
    bench.write("other.csv", "a,b\n1,2\n");
    let said = bench.mesh("collect R other.csv");
    said.err_has("no column `item_id` or `id`");
    assert!(bench.trace("attempt_started").is_empty());
}

#[test]
fn an_external_run_stops_when_it_waits_for_answers() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.mesh("run --run-id R --adapter external").exits(4);
    said.out_has("awaiting answers for wave 001");
    let folder = bench.answers();
    for _ in 0..4 {
        bench.mesh(&["collect", "R", &folder]).exits(0);
        let said = bench.mesh("resume R");
        assert!([0, 4].contains(&said.code), "{}", said.err);
    }
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(bench.read("a.txt"), "new\n");
    bench
        .mesh("spawn a.txt --instruction x --adapter external")
        .exits(2);
}

#[test]
fn a_started_run_accepts_no_new_settings() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    bench.next("--run-id R");
    for (args, named) in [
        (&["max_tasks=2"][..], "`--max-tasks` can't be changed"),
        (&["--run-id", "Q"], "`--run-id` can't"),
        (&["--", "my-agent"], "the agent's command can't"),
    ] {
        let said = bench.mesh(Args::from("wave next --run R").and(args));
        assert_eq!(said.code, 2, "{args:?}: {}", said.out);
        assert!(said.err.contains(named), "{args:?}: {}", said.err);
    }
    let home = bench.mesh_home().display().to_string();
    bench.next(&["--run", "R", "--artifacts", &home]);
}

#[test]
fn a_dry_run_of_a_step_starts_nothing() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.mesh("wave next --dry-run").exits(0);
    said.out_has("First wave: 001-proposal");
    assert_eq!(bench.status_of("a"), "pending");
    assert!(!bench.mesh_home().join("runs").exists());
    let bench = Bench::new(&[Task::new("a").validation(&[])]);
    let said = bench.mesh("wave next --dry-run");
    said.err_has("a: would be blocked (missing_validation: ");
}

#[test]
fn a_task_that_must_fail_for_lack_of_validation_gets_no_wave() {
    let bench = Bench::new(&[Task::new("a").validation(&[]), Task::new("b")]);
    let first = bench.next("--run-id R max_tasks=2");
    assert_eq!(first["waves"][0]["rows"], json!(["b.proposal.proposer.1"]));
    assert_eq!(first["to_integrate"], json!([]));
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["blocked", "in_progress"]
    );
}

#[test]
fn a_run_that_stopped_for_answers_is_said_to_wait() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.mesh("run --run-id R --adapter external").exits(4);
    said.out_has("Run waiting (awaiting answers");
    said.out_has("  a          in_progress");
    said.err_has("mesh collect R && mesh resume R");
    let listed = bench.mesh("runs list").out;
    assert!(listed.contains("waiting"), "{listed}");
    let shown = bench.mesh("runs show R");
    shown.err_has("continue with: mesh wave next --run R");
}

#[test]
fn a_run_between_single_steps_is_not_listed_as_running() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let shown = bench.mesh("runs show R");
    shown.out_has("Run waiting");
}

/// The names in the folder of the waves of run `R`.
fn wave_files(bench: &Bench) -> Vec<String> {
    let folder = bench.run_folder().join("waves");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_stop_while_compiling_leaves_whole_waves_and_the_next_call_compiles_the_rest() {
    const PARALLEL: &str = "max_tasks=3 parallel_tasks=3";
    let tasks = ["a", "b", "c"].map(Task::new);
    for (dispatch, block, before) in [
        ("barrier", 1, &[][..]),
        (
            "rolling",
            2,
            &["001-proposal.call.json", "001-proposal.csv"][..],
        ),
    ] {
        let settings = Args::from("--dispatch").and(&[dispatch]).and(PARALLEL);
        let whole = Bench::new(&tasks);
        whole.next(Args::from("--run-id R").and(settings.clone()));

        let bench = Bench::new(&tasks);
        let next = Args::from("wave next --run-id R").and(settings);
        let mut mesh = bench.command(next);
        mesh.env("MESH_FAULT_TERM", format!("compile:{block}"));
        let said = mesh.run_to_end().exits(128 + 15);
        said.err_has("to go on: mesh wave next --run R");
        assert_eq!(wave_files(&bench), before, "{dispatch}");

        let waves = bench.next("--run R")["waves"].clone();
        assert_eq!(waves.as_array().map(Vec::len), Some(whole.waves().len()));
        assert_eq!(bench.rows(), whole.rows(), "{dispatch}");
        assert_eq!(wave_files(&bench), wave_files(&whole), "{dispatch}");
    }
}

#[test]
fn a_run_that_was_stopped_while_compiling_is_resumed() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let mut mesh = bench.replay_command("max_tasks=2 parallel_tasks=2");
    mesh.env("MESH_FAULT_TERM", "compile:1");
    mesh.run_to_end().exits(128 + 15);
    assert!(wave_files(&bench).is_empty());
    bench.mesh("resume R").exits(0);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}
