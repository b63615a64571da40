//! `mesh run`: which tasks, which waves and rows, how votes and refusals go on, and what is reported.

use crate::env::{Said, fake_agent, wait_for};
use crate::plan_fixture::{Bench, PLAN, Task, WaveFile, create, edit, report, selected};
use insta::assert_snapshot;
use serde_json::{Value, json};

fn preflight(said: &Said) -> &str {
    said.err.lines().next().unwrap_or_default()
}

/// ` in 0.0s` and the like, which differ from run to run.
fn without_times(text: &str) -> String {
    let words = text.split_inclusive(['\n', ' ']);
    let redacted = words.map(|word| {
        let number = word.trim_end().trim_end_matches(':').strip_suffix('s');
        match number.and_then(|number| number.parse::<f64>().ok()) {
            Some(_) => word.replace(number.unwrap_or_default(), "N"),
            None => word.to_owned(),
        }
    });
    redacted.collect()
}

// Which tasks.

#[test]
fn the_task_in_progress_goes_first() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").status("in_progress")]);
    assert_eq!(selected(&bench.run(&["--dry-run"])), "b");
}

#[test]
fn else_the_first_task_that_waits_for_nothing() {
    let tasks = [
        Task::new("a").after(&["c"]),
        Task::new("b").status("blocked"),
        Task::new("c"),
        Task::new("d"),
    ];
    assert_eq!(selected(&Bench::new(&tasks).run(&["--dry-run"])), "c");
}

#[test]
fn ids_let_in_what_the_named_task_depends_on_and_nothing_else() {
    let tasks = [
        Task::new("a"),
        Task::new("b"),
        Task::new("c").after(&["b"]),
        Task::new("d").after(&["c"]),
    ];
    let bench = Bench::new(&tasks);
    let said = bench.run(&["ids=c", "max_tasks=9"]);
    assert_eq!(
        (said.code, selected(&said).as_str()),
        (0, "b"),
        "{}",
        said.err
    );
    let statuses = ["a", "b", "c", "d"].map(|id| bench.status_of(id));
    assert_eq!(statuses, ["pending", "completed", "completed", "pending"]);
}

#[test]
fn no_more_tasks_than_asked_for() {
    let tasks = [Task::new("a"), Task::new("b"), Task::new("c")];
    let bench = Bench::new(&tasks);
    assert_eq!(bench.run(&["max_tasks=2"]).code, 0);
    let statuses = ["a", "b", "c"].map(|id| bench.status_of(id));
    assert_eq!(statuses, ["completed", "completed", "pending"]);
}

#[test]
fn tasks_with_disjoint_scopes_share_their_waves() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench.run(&["max_tasks=2", "parallel_tasks=2"]);
    assert_eq!(
        (said.code, selected(&said).as_str()),
        (0, "a,b"),
        "{}",
        said.err
    );
    let sizes: Vec<usize> = bench.waves().iter().map(|wave| wave.rows.len()).collect();
    assert_eq!(sizes, [2, 6, 2, 10]);
    assert_eq!(
        bench.waves()[1].column("id"),
        [
            "a.critique.critic_a.1",
            "a.critique.critic_b.1",
            "a.critique.skeptic.1",
            "b.critique.critic_a.1",
            "b.critique.critic_b.1",
            "b.critique.skeptic.1",
        ]
    );
}

#[test]
fn tasks_with_overlapping_scopes_are_never_under_way_together() {
    let tasks = [
        Task::new("a").scope(&["*.txt"]),
        Task::new("b"),
        Task::new("c")
            .scope(&["other/**"])
            .patches(&[&create("other/c", "new")])
            .validation(&["grep -q new other/c"]),
    ];
    let bench = Bench::new(&tasks);
    let said = bench.run(&["max_tasks=3", "parallel_tasks=3"]);
    assert_eq!(
        (said.code, selected(&said).as_str()),
        (0, "a,c"),
        "{}",
        said.err
    );
    let mutations = bench.trace(&["plan_mutated"]);
    let place = |line: &str| mutations.iter().position(|found| found == line);
    assert!(
        place("plan_mutated a completed") < place("plan_mutated b in_progress"),
        "{mutations:?}"
    );
    assert!(place("plan_mutated b in_progress").is_some());
    let together = |wave: &WaveFile| {
        let units = wave.column("unit");
        units.contains(&"a") && units.contains(&"b")
    };
    assert!(!bench.waves().iter().any(together));
}

#[test]
fn one_task_at_a_time_unless_asked_otherwise() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    assert_eq!(bench.run(&["max_tasks=2"]).code, 0);
    assert_eq!(
        bench.trace(&["plan_mutated"]),
        [
            "plan_mutated a in_progress",
            "plan_mutated a completed",
            "plan_mutated b in_progress",
            "plan_mutated b completed",
        ]
    );
}

#[test]
fn nothing_runnable_is_no_failure() {
    let tasks = [
        Task::new("a").status("completed"),
        Task::new("b").status("blocked"),
        Task::new("c").after(&["b"]),
    ];
    let bench = Bench::new(&tasks);
    let before = bench.read(PLAN);
    let said = bench.run(&[]);
    assert_eq!(said.code, 0);
    assert_snapshot!(said.out, @"No runnable tasks: ready=0 waiting=1 blocked=1 completed=1");
    assert_eq!(selected(&said), "none");
    assert_eq!(
        (bench.read(PLAN), bench.run_folder().exists()),
        (before, false)
    );
}

// Preflight.

#[test]
fn the_preflight_line_is_the_first_word() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let said = bench.run(&["max_tasks=2", "--parallel-tasks", "2"]);
    assert_snapshot!(preflight(&said), @"mesh_preflight mesh_run_id=R plan_file=.step/st-plan.jsonl adapter=replay ids=a,b overrides=max_tasks=2,parallel_tasks=2 concurrency=10");
}

#[test]
fn the_preflight_line_without_overrides() {
    let bench = Bench::new(&[Task::new("a")]);
    assert_snapshot!(preflight(&bench.run(&[])), @"mesh_preflight mesh_run_id=R plan_file=.step/st-plan.jsonl adapter=replay ids=a overrides=none concurrency=5");
}

#[test]
fn run_ids_are_times_and_do_not_collide() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let answers = bench.beside("answers").display().to_string();
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
        assert!(said.out.contains(&format!("\nmesh_run_id={id}\n")));
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
    let said = bench.run_agent(&["--dry-run"], &["--log", &log]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        said.out
            .starts_with("First wave: 001-proposal (1 row)\n\na.proposal.proposer.1 [read_only]\n"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("Do a") && said.out.contains("`a.txt`:\n\n```\nold\n```"),
        "{}",
        said.out
    );
    assert_eq!(state(), before);
    assert!(!bench.mesh_home().exists() && !bench.beside("log").exists());
}

#[test]
fn a_dry_run_as_json_is_the_call_and_its_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    let shown = report(&bench.run(&["--dry-run", "--json"]));
    assert_eq!(shown["call"]["csv_path"], "001-proposal.csv");
    assert_eq!(shown["rows"][0]["id"], "a.proposal.proposer.1");
}

// Waves.

const COLUMNS: &str = "id,unit,objective,round,role,lane,scope,acceptance,validation,risk,depends_on,attempt,wave,max_concurrency,timeout_seconds,base_sha,run_id,prompt";

#[test]
fn a_task_takes_four_waves_of_one_three_one_and_five_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    assert_eq!(bench.run(&[]).code, 0);
    let waves = bench.waves();
    let names: Vec<&str> = waves.iter().map(|wave| wave.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "001-proposal.csv",
            "002-critique.csv",
            "003-synthesis.csv",
            "004-vote.csv"
        ]
    );
    assert_eq!(
        bench.rows(),
        [
            "a.proposal.proposer.1",
            "a.critique.critic_a.1",
            "a.critique.critic_b.1",
            "a.critique.skeptic.1",
            "a.synthesis.synthesizer.1",
            "a.vote.proposer.1",
            "a.vote.critic_a.1",
            "a.vote.critic_b.1",
            "a.vote.skeptic.1",
            "a.vote.synthesizer.1",
        ]
    );
    for wave in &waves {
        assert_eq!(wave.header.join(","), COLUMNS);
        for row in &wave.rows {
            let lane = if row["round"] == "synthesis" {
                "patch"
            } else {
                "read_only"
            };
            assert_eq!(row["lane"], lane);
            let id = format!(
                "{}.{}.{}.{}",
                row["unit"], row["round"], row["role"], row["attempt"]
            );
            assert_eq!(row["id"], id);
        }
    }
}

#[test]
fn a_row_carries_what_the_task_says_of_itself() {
    let tasks = [
        Task::new("a").status("completed"),
        Task::new("b").status("completed"),
        Task::new("c")
            .after(&["a", "b"])
            .scope(&["c.txt", "lib/**"])
            .validation(&["true", "grep -q new c.txt"])
            .more("risk: high"),
    ];
    let bench = Bench::new(&tasks);
    assert_eq!(bench.run(&["--max-runtime-seconds", "77"]).code, 0);
    let head = bench.git(&["rev-parse", "HEAD"]);
    for row in bench.waves().iter().flat_map(|wave| &wave.rows) {
        let cells = [
            "unit",
            "objective",
            "scope",
            "acceptance",
            "validation",
            "risk",
            "depends_on",
            "timeout_seconds",
            "base_sha",
            "run_id",
        ];
        assert_eq!(
            cells.map(|name| row[name].as_str()),
            [
                "c",
                "Do c",
                "c.txt;lib/**",
                "it is new",
                "true\ngrep -q new c.txt",
                "high",
                "a;b",
                "77",
                head.trim(),
                "R"
            ]
        );
    }
}

#[test]
fn the_call_file_is_the_arguments_of_the_tool() {
    let bench = Bench::new(&[Task::new("a")]);
    assert_eq!(bench.run(&[]).code, 0);
    let folder = bench.run_folder().join("waves");
    for round in ["001-proposal", "002-critique", "003-synthesis", "004-vote"] {
        let text = std::fs::read_to_string(folder.join(format!("{round}.call.json")));
        let call: Value = serde_json::from_str(&text.expect("a call file")).expect("JSON");
        let keys: Vec<&String> = call.as_object().expect("an object").keys().collect();
        assert_eq!(
            keys,
            [
                "csv_path",
                "instruction",
                "id_column",
                "output_csv_path",
                "output_schema",
                "max_concurrency",
                "max_runtime_seconds"
            ]
        );
        assert_eq!(
            (&call["instruction"], &call["id_column"]),
            (&json!("{prompt}"), &json!("id"))
        );
        assert_eq!(
            (&call["max_concurrency"], &call["max_runtime_seconds"]),
            (&json!(5), &json!(1800))
        );
        for (key, name) in [
            ("csv_path", format!("{round}.csv")),
            ("output_csv_path", format!("{round}.out.csv")),
        ] {
            assert_eq!(call[key], json!(name));
            assert!(folder.join(name).is_file());
        }
    }
}

#[test]
fn the_concurrency_is_one_number_everywhere() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run(&["-j", "3", "--json"]);
    assert!(preflight(&said).ends_with("concurrency=3"), "{}", said.err);
    assert_eq!(report(&said)["adapter"]["max_concurrency"], 3);
    for wave in bench.waves() {
        assert!(
            wave.column("max_concurrency")
                .iter()
                .all(|cell| *cell == "3"),
            "{}",
            wave.name
        );
    }
    let compiled = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "wave_compiled");
    let numbers: Vec<Value> = compiled
        .map(|(_, record)| record["max_concurrency"].clone())
        .collect();
    assert_eq!(numbers, [3, 3, 3, 3]);
}

#[test]
fn the_answers_of_a_wave_stand_beside_its_rows() {
    let bench = Bench::new(&[Task::new("a").agree(&[4])]);
    assert_eq!(bench.run(&[]).code, 0);
    let folder = bench.run_folder().join("waves");
    let rows = WaveFile::read(&folder.join("004-vote.csv"));
    let out = WaveFile::read(&folder.join("004-vote.out.csv"));
    assert_eq!(
        out.header.join(","),
        format!(
            "{COLUMNS},job_id,item_id,row_index,source_id,status,attempt_count,last_error,result_json,reported_at,completed_at"
        )
    );
    for name in &rows.header {
        assert_eq!(out.column(name), rows.column(name), "{name}");
    }
    assert_eq!(out.column("item_id"), rows.column("id"));
    assert_eq!(out.column("row_index"), ["0", "1", "2", "3", "4"]);
    assert!(
        out.rows
            .iter()
            .all(|row| row["status"] == "completed" && row["attempt_count"] == "1")
    );
    let votes: Vec<&str> = out
        .rows
        .iter()
        .map(|row| {
            let is_agree = row["result_json"].starts_with(r#"{"vote":"agree","#);
            if is_agree {
                "agree"
            } else {
                row["result_json"].as_str()
            }
        })
        .collect();
    assert_eq!(
        votes,
        [
            "agree",
            "agree",
            r#"{"vote":"disagree","reason":"critic_b in cycle 1"}"#,
            "agree",
            "agree"
        ]
    );
}

#[test]
fn the_same_state_compiles_to_the_same_bytes() {
    let wave = || {
        let bench = Bench::new(&[Task::new("a")]);
        assert_eq!(bench.run(&[]).code, 0);
        let base = bench.git(&["rev-parse", "HEAD"]);
        let read = |name: &str| {
            std::fs::read_to_string(bench.run_folder().join("waves").join(name)).expect("a file")
        };
        [
            "001-proposal.csv",
            "003-synthesis.csv",
            "004-vote.csv",
            "004-vote.call.json",
        ]
        .map(|name| read(name).replace(base.trim(), "BASE"))
    };
    assert_eq!(wave(), wave());
}

#[test]
fn an_answer_is_never_expanded_again() {
    let bench = Bench::new(&[Task::new("a")]);
    let proposal =
        r#"{"plan":["say {unit} and {{prompt}}"],"assumptions":[],"risk":"low","risks":[]}"#;
    bench.answer("a", "proposal.proposer.1", proposal);
    assert_eq!(bench.run(&[]).code, 0);
    assert!(
        bench
            .prompt("a.critique.skeptic.1")
            .contains("say {unit} and {{prompt}}")
    );
}

// Votes.

#[test]
fn four_of_five_are_enough() {
    let bench = Bench::new(&[Task::new("a").agree(&[4])]);
    let said = bench.run(&["--json"]);
    assert_eq!((said.code, bench.status_of("a").as_str()), (0, "completed"));
    let dissent =
        json!([{"role": "critic_b", "vote": "disagree", "reason": "critic_b in cycle 1"}]);
    assert_eq!(
        report(&said)["tasks"][0]["tallies"],
        json!([{"agree": 4, "disagree": 1, "absent": 0, "threshold": 4, "dissent": dissent}])
    );
}

#[test]
fn three_of_five_go_back_to_the_critique_with_the_dissent() {
    let second = edit("a.txt", "old", "new and better");
    let bench = Bench::new(&[Task::new("a")
        .agree(&[3, 5])
        .patches(&[&edit("a.txt", "old", "new"), &second])]);
    assert_eq!(bench.run(&[]).code, 0);
    let sizes: Vec<(String, usize)> = bench
        .waves()
        .into_iter()
        .map(|wave| (wave.name, wave.rows.len()))
        .collect();
    let sizes: Vec<(&str, usize)> = sizes
        .iter()
        .map(|(name, rows)| (name.as_str(), *rows))
        .collect();
    assert_eq!(
        sizes[4..],
        [
            ("005-critique.csv", 3),
            ("006-synthesis.csv", 1),
            ("007-vote.csv", 5)
        ]
    );
    let critique = bench.prompt("a.critique.critic_a.2");
    for reason in [
        "critic_a (disagree): critic_a in cycle 1",
        "critic_b (disagree): critic_b in cycle 1",
        "3 agree, 2 disagree",
    ] {
        assert!(critique.contains(reason), "{reason}: {critique}");
    }
    assert!(
        critique.contains("+new\n"),
        "the patch that was voted down: {critique}"
    );
    assert!(
        bench
            .prompt("a.synthesis.synthesizer.2")
            .contains("critic_a in cycle 1")
    );
    assert_eq!(bench.read("a.txt"), "new and better\n");
}

#[test]
fn a_third_vote_without_consensus_blocks() {
    let bench = Bench::new(&[Task::new("a").agree(&[3, 2, 3])]);
    let before = bench.tree();
    let said = bench.run(&["--json"]);
    assert_eq!((said.code, bench.status_of("a").as_str()), (1, "blocked"));
    assert_eq!(bench.rows().len(), 1 + 3 * 9);
    let task = &report(&said)["tasks"][0];
    assert_eq!(
        (&task["reason"], &task["consensus_attempts"]),
        (&json!("no_consensus"), &json!(3))
    );
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: blocked; reason: no_consensus (3 of 5 agreed in vote 3); vote 3: 3 agree, 2 disagree; validation: none run; mesh_run_id=R");
    assert_eq!(bench.tree(), before);
}

#[test]
fn a_task_may_ask_for_three_roles() {
    let bench = Bench::new(&[Task::new("a").more("swarm: {roles: 3}").agree(&[2, 3])]);
    let said = bench.run(&["--json"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        bench.rows(),
        [
            "a.proposal.proposer.1",
            "a.critique.skeptic.1",
            "a.synthesis.synthesizer.1",
            "a.vote.proposer.1",
            "a.vote.skeptic.1",
            "a.vote.synthesizer.1",
            "a.critique.skeptic.2",
            "a.synthesis.synthesizer.2",
            "a.vote.proposer.2",
            "a.vote.skeptic.2",
            "a.vote.synthesizer.2",
        ]
    );
    assert_eq!(report(&said)["tasks"][0]["tallies"][0]["threshold"], 3);
}

#[test]
fn a_task_may_set_its_own_threshold_and_retries() {
    let bench = Bench::new(&[
        Task::new("a")
            .more("swarm: {consensus_threshold: 3}")
            .agree(&[3]),
        Task::new("b")
            .more("swarm: {consensus_retries: 0}")
            .agree(&[3, 5]),
    ]);
    assert_eq!(bench.run(&["max_tasks=2"]).code, 1);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "blocked"]
    );
    assert!(bench.comments("b")[0].contains("no_consensus (3 of 5 agreed in vote 1)"));
}

// Answers that can't be used.

#[test]
fn a_critic_that_never_answers_blocks_after_a_retry() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "critique.critic_b.1", "");
    let said = bench.run(&["--json"]);
    assert_eq!((said.code, bench.status_of("a").as_str()), (1, "blocked"));
    let attempts = bench.events().into_iter().filter(|(name, record)| {
        name == "attempt_started" && record["item_id"] == "a.critique.critic_b.1"
    });
    assert_eq!(attempts.count(), 2);
    assert_eq!(report(&said)["tasks"][0]["reason"], "no_response");
    assert!(
        !bench.rows().iter().any(|id| id.contains("synthesis")),
        "{:?}",
        bench.rows()
    );
    assert!(
        bench.comments("a")[0].starts_with(
            "[mesh] outcome: blocked; reason: no_response (critic_b: the worker ended without"
        ),
        "{:?}",
        bench.comments("a")
    );
}

#[test]
fn a_missing_vote_counts_like_one_against() {
    let bench = Bench::new(&[Task::new("a").agree(&[4])]);
    bench.answer("a", "vote.critic_b.1", "");
    let said = bench.run(&["--json"]);
    assert_eq!(said.code, 0);
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!(
        [&tally["agree"], &tally["disagree"], &tally["absent"]].map(Value::as_u64),
        [4, 0, 1].map(Some)
    );
}

#[test]
fn a_patch_from_a_reader_is_refused_and_asked_for_again_once() {
    let bench = Bench::new(&[Task::new("a")]);
    let with_patch = r#"{"findings":["f"],"must_fix":[],"flip_conditions":[],"risk":"low","patch":"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+sneaked in\n"}"#;
    bench.answer("a", "critique.skeptic.1", with_patch);
    bench.answer(
        "a",
        "critique.skeptic.2",
        r#"{"findings":["without"],"must_fix":[],"flip_conditions":[],"risk":"low"}"#,
    );
    assert_eq!(bench.run(&[]).code, 0);
    assert_eq!(bench.waves()[2].column("id"), ["a.critique.skeptic.2"]);
    assert!(
        bench
            .prompt("a.critique.skeptic.2")
            .contains("lane: this lane is read_only")
    );
    let synthesis = bench.prompt("a.synthesis.synthesizer.1");
    assert!(
        synthesis.contains("without") && synthesis.contains("finding of critic_a"),
        "{synthesis}"
    );
    assert!(!synthesis.contains("sneaked in"), "{synthesis}");
    let verdicts: Vec<_> = bench
        .events()
        .into_iter()
        .filter(|(name, record)| name == "verdict" && record["code"] == "lane")
        .collect();
    assert_eq!(verdicts.len(), 1);
    assert_eq!(bench.read("a.txt"), "new\n");
}

#[test]
fn a_reader_that_insists_on_a_patch_blocks_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    let with_patch =
        r#"{"findings":[],"must_fix":[],"flip_conditions":[],"risk":"low","patch":"x"}"#;
    bench.answer("a", "critique.skeptic.1", with_patch);
    bench.answer("a", "critique.skeptic.2", with_patch);
    let said = bench.run(&["--json"]);
    assert_eq!(
        (said.code, report(&said)["tasks"][0]["reason"].as_str()),
        (1, Some("no_response"))
    );
    assert_eq!(
        bench.rows().last().map(String::as_str),
        Some("a.critique.skeptic.2")
    );
}

#[test]
fn an_answer_that_breaks_the_schema_is_asked_for_again_with_the_reason() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "vote.critic_a.1", r#"{"vote":"maybe","reason":"r"}"#);
    let said = bench.run(&["--json"]);
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!(
        (said.code, &tally["agree"], &tally["absent"]),
        (0, &json!(4), &json!(1))
    );
    let ends: Vec<_> = bench
        .events()
        .into_iter()
        .filter(|(name, record)| {
            name == "attempt_finished" && record["item_id"] == "a.vote.critic_a.1"
        })
        .map(|(_, record)| (record["end"].clone(), record["error"].to_string()))
        .collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(
        (&ends[0].0, &ends[1].0),
        (&json!("retry"), &json!("failed"))
    );
    assert!(
        ends[0].1.contains("invalid_output_schema: /vote"),
        "{ends:?}"
    );
}

// Adapters.

#[test]
fn a_command_after_two_dashes_works_the_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    let log = bench.beside("log").display().to_string();
    let said = bench.run_agent(&[], &["--log", &log]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(preflight(&said).contains(" adapter=command "));
    let mut worked: Vec<String> = std::fs::read_to_string(log)
        .expect("a log")
        .lines()
        .map(str::to_owned)
        .collect();
    let mut rows = bench.rows();
    worked.sort();
    rows.sort();
    assert_eq!(worked, rows);
}

fn mesh_yaml(bench: &Bench, flags: &[(&str, &str)]) {
    let answers = bench.beside("answers").display().to_string();
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
    let said = bench.mesh(&["run", "--run-id", "R"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        preflight(&said).contains(" adapter=two ") && preflight(&said).ends_with(" concurrency=2"),
        "{}",
        said.err
    );
    assert_eq!(bench.status_of("a"), "completed");
}

#[test]
fn the_command_line_goes_before_the_preferred_adapter() {
    let bench = Bench::new(&[Task::new("a")]);
    mesh_yaml(&bench, &[("one", ""), ("two", ", preferred: true")]);
    let said = bench.mesh(&["run", "--dry-run", "adapter=one"]);
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
    let first = bench.run_agent(&["max_tasks=2", "--record", &record], &[]);
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

    bench.git(&["checkout", "--quiet", "."]);
    bench.write(PLAN, &plan);
    assert_eq!(bench.tree(), before);
    std::fs::remove_dir_all(bench.mesh_home()).expect("removed");
    let second = bench.mesh(&[
        "run",
        "--run-id",
        "R",
        "max_tasks=2",
        "--adapter",
        "replay",
        "--answers",
        &record,
    ]);
    assert_eq!((second.code, bench.tree(), bench.rows()), (1, after, rows));
}

// One at a time, and hands off.

#[test]
fn a_second_run_in_the_same_repository_is_refused() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let gate = bench.beside("gate");
    let text = gate.display().to_string();
    let args = bench.agent_args(&[], &["--hold-at", "a.proposal.proposer.1", &text]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let first = bench
        .command(&args)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    wait_for("the first worker", || bench.beside("gate.held").exists());
    let answers = bench.beside("answers").display().to_string();
    let second = bench.mesh(&[
        "run",
        "--run-id",
        "S",
        "--adapter",
        "replay",
        "--answers",
        &answers,
    ]);
    let resumed = bench.mesh(&["resume", "R"]);
    std::fs::write(&gate, "").expect("opened");
    let first = first.wait_with_output().expect("ended");
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(
        second
            .err
            .contains("another `mesh` is working in this repository"),
        "{}",
        second.err
    );
    assert!(!bench.mesh_home().join("runs/S").exists());
    assert_eq!(resumed.code, 3, "{}", resumed.err);
    assert_eq!(first.status.code(), Some(0));
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "pending"]
    );
}

#[test]
fn a_worker_that_changes_the_tree_is_a_violation() {
    let bench = Bench::new(&[Task::new("a")]);
    let kept = bench.path("kept.txt").display().to_string();
    let said = bench.run_agent(&["--json"], &["--meddle-at", "a.critique.skeptic.1", &kept]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.contains("violation") && said.err.contains("kept.txt"),
        "{}",
        said.err
    );
    let violations = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "violation")
        .map(|(_, record)| (record["wave"].clone(), record["paths"].clone()));
    assert_eq!(
        violations.collect::<Vec<_>>(),
        [(json!(2), json!(["kept.txt"]))]
    );
    assert_eq!(
        report(&said)["violations"].as_array().map(Vec::len),
        Some(1)
    );
}

#[test]
fn a_new_file_in_the_tree_is_a_violation_too() {
    let bench = Bench::new(&[Task::new("a")]);
    let note = bench.path("note.txt").display().to_string();
    let said = bench.run_agent(&[], &["--meddle-at", "a.vote.skeptic.1", &note]);
    assert_eq!(
        (said.code, violated(&bench)),
        (1, vec![json!(["note.txt"])])
    );
}

#[test]
fn a_worker_that_changes_the_plan_is_a_violation() {
    let bench = Bench::new(&[Task::new("a")]);
    let answers = bench.beside("answers").display().to_string();
    let script = format!(
        "if [ $MESH_ITEM_ID = a.vote.skeptic.1 ]; then {} -C '{}' st add-comment --id a --text hello >&2; fi; exec '{}' --answers '{answers}'",
        env!("CARGO_BIN_EXE_mesh"),
        bench.work().display(),
        fake_agent(),
    );
    let said = bench.mesh(&["run", "--run-id", "R", "--", "sh", "-c", &script]);
    assert_eq!((said.code, violated(&bench)), (1, vec![json!([PLAN])]));
    assert_eq!(bench.comments("a").len(), 2, "the comment is kept");
}

fn violated(bench: &Bench) -> Vec<Value> {
    let violations = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "violation");
    violations
        .map(|(_, record)| record["paths"].clone())
        .collect()
}

#[test]
fn workers_see_the_uncommitted_state_in_a_folder_of_their_own() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write("kept.txt", "changed\n");
    bench.write("untracked.txt", "there\n");
    let answers = bench.beside("answers").display().to_string();
    let seen = bench.beside("seen").display().to_string();
    let look = format!(
        "cat >/dev/null; {{ pwd; cat kept.txt untracked.txt; }} >{seen}; exec {} --answers {answers} </dev/null",
        fake_agent()
    );
    let said = bench.mesh(&["run", "--run-id", "R", "--", "sh", "-c", &look]);
    assert_eq!(said.code, 0, "{}", said.err);
    let seen = std::fs::read_to_string(&seen).expect("seen");
    let (folder, contents) = seen.split_once('\n').expect("lines");
    assert_eq!(contents, "changed\nthere\n");
    assert!(
        !std::path::Path::new(folder).starts_with(bench.work()),
        "{folder}"
    );
}

// The end.

#[test]
fn the_report_of_a_completed_and_a_blocked_task() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 4]),
        Task::new("b").validation(&["echo it is wrong; exit 3"]),
    ]);
    let said = bench.run(&["max_tasks=2"]);
    assert_eq!(said.code, 1);
    assert_snapshot!(without_times(&said.out), @r"
    Run completed

    Tasks
      a          completed
        vote 1: 3 agree, 2 disagree (4 needed)
        vote 2: 4 agree, 1 disagree (4 needed)
        changed a.txt
        `grep -q new a.txt`: exit 0 in Ns
      b          blocked: validation_failed
        vote 1: 5 agree, 0 disagree (4 needed)
        `echo it is wrong; exit 3`: exit 3 in Ns: it is wrong

    Workers
      adapter replay, concurrency 5, 11 waves
      29 spawned, 29 completed, 0 retried, 0 timed out
      slots: 29 spawned, 29 closed

    Plan mutations
      a -> in_progress
      a -> completed + [mesh] comment
      b -> in_progress
      b -> blocked + [mesh] comment

    Learnings
      none appended

    mesh_run_id=R

    Reply with $mesh to run the next ready task from the $st plan.
    ");
    assert_eq!(
        said.out.lines().last(),
        Some("Reply with $mesh to run the next ready task from the $st plan.")
    );
}

#[test]
fn the_report_as_json_has_the_same_facts() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").validation(&["exit 3"])]);
    let said = bench.run(&["max_tasks=2", "--json"]);
    assert_eq!(said.out.lines().count(), 1);
    let report = report(&said);
    assert_eq!(
        (&report["status"], &report["mesh_run_id"]),
        (&json!("completed"), &json!("R"))
    );
    let tasks = report["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| {
            (
                task["id"].as_str(),
                task["state"].as_str(),
                task["reason"].as_str(),
                task["validation"][0]["outcome"].as_str(),
            )
        });
    assert_eq!(
        tasks.collect::<Vec<_>>(),
        [
            (Some("a"), Some("completed"), None, Some("exit 0")),
            (
                Some("b"),
                Some("blocked"),
                Some("validation_failed"),
                Some("exit 3")
            ),
        ]
    );
    assert_eq!(
        report["slots"],
        json!({"spawned": 20, "closed": 20, "stragglers": 0})
    );
    let mutations = report["plan_mutations"]
        .as_array()
        .expect("mutations")
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one["id"].as_str().unwrap_or_default(),
                one["status"].as_str().unwrap_or_default(),
                one["comment"]
            )
        });
    assert_eq!(
        mutations.collect::<Vec<_>>(),
        [
            "a in_progress false",
            "a completed true",
            "b in_progress false",
            "b blocked true"
        ]
    );
}

#[test]
fn the_ledger_has_the_events_of_the_contract_in_order() {
    let bench = Bench::new(&[Task::new("a").more("swarm: {roles: 3}")]);
    assert_eq!(bench.run(&["-j", "1"]).code, 0);
    let mut names: Vec<String> = Vec::new();
    for (index, (name, record)) in bench.events().into_iter().enumerate() {
        assert_eq!(
            (&record["v"], &record["seq"]),
            (&json!(1), &json!(index + 1))
        );
        assert!(
            record["ts"]
                .as_str()
                .is_some_and(|ts| ts.len() == 24 && ts.ends_with('Z')),
            "{record}"
        );
        names.push(name);
    }
    assert_snapshot!(names.join("\n"), @r"
    run_started
    plan_mutated
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    wave_compiled
    wave_started
    attempt_started
    attempt_reported
    attempt_finished
    attempt_started
    attempt_reported
    attempt_finished
    attempt_started
    attempt_reported
    attempt_finished
    verdict
    verdict
    verdict
    tally
    integration_started
    validation_finished
    integration_finished
    plan_mutated
    run_finished
    ");
}

#[test]
fn the_artifacts_of_a_task_stand_in_its_folder() {
    let bench = Bench::new(&[Task::new("a")]);
    assert_eq!(bench.run(&[]).code, 0);
    let unit = bench.run_folder().join("units/a");
    for name in [
        "proposal.proposer.1.json",
        "critique.skeptic.1.json",
        "synthesis.synthesizer.1.json",
        "vote.critic_a.1.json",
        "patch.diff",
        "validation-1.log",
    ] {
        assert!(unit.join(name).is_file(), "{name}");
    }
    assert_eq!(
        std::fs::read_to_string(unit.join("patch.diff")).expect("a patch"),
        edit("a.txt", "old", "new")
    );
}

#[test]
fn artifacts_go_where_they_are_sent() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run(&["--artifacts", "../elsewhere"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(bench.beside("elsewhere/runs/R/ledger.jsonl").is_file() && !bench.mesh_home().exists());
}

#[test]
fn ids_with_unusual_characters_run_to_their_end() {
    let task = Task::new("v1.2/x y")
        .scope(&["kept.txt"])
        .patches(&[&edit("kept.txt", "kept", "new")])
        .validation(&["grep -q new kept.txt"]);
    let bench = Bench::new(&[task]);
    let log = bench.beside("recorded").display().to_string();
    let said = bench.mesh(&["run", "--run-id", "R", "--record", &log, "--", "sh", "-c",
        "cat >/dev/null; case $MESH_ITEM_ID in \
         *.proposal.*) echo '{\"plan\":[\"p\"],\"assumptions\":[],\"risk\":\"low\",\"risks\":[]}';; \
         *.critique.*) echo '{\"findings\":[],\"must_fix\":[],\"flip_conditions\":[],\"risk\":\"low\"}';; \
         *.synthesis.*) printf '%s' '{\"decision_log\":[],\"validation\":[],\"residual_risk\":\"low\",\"patch\":\"--- a/kept.txt\\n+++ b/kept.txt\\n@@ -1 +1 @@\\n-kept\\n+new\\n\"}';; \
         *) echo '{\"vote\":\"agree\",\"reason\":\"r\"}';; esac"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        (
            bench.status_of("v1.2/x y").as_str(),
            bench.read("kept.txt").as_str()
        ),
        ("completed", "new\n")
    );
    assert_eq!(bench.rows()[0], "v1.2/x y.proposal.proposer.1");
}

// Where.

#[test]
fn a_run_may_be_started_from_below_the_root_or_through_a_link() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let answers = bench.beside("answers").display().to_string();
    bench.write("below/file", "");
    std::os::unix::fs::symlink(bench.work(), bench.beside("link")).expect("a link");
    let link = bench.beside("link").display().to_string();
    for folder in ["below", &link] {
        let said = bench.mesh(&[
            "-C",
            folder,
            "run",
            "--adapter",
            "replay",
            "--answers",
            &answers,
        ]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(
            preflight(&said).contains(" plan_file=.step/st-plan.jsonl "),
            "{}",
            said.err
        );
    }
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "completed"]
    );
}

#[test]
fn a_linked_work_tree_is_a_repository_of_its_own() {
    let bench = Bench::new(&[Task::new("a")]);
    let tree = bench.beside("linked tree");
    bench.git(&[
        "worktree",
        "add",
        "--quiet",
        "--detach",
        &tree.display().to_string(),
    ]);
    std::fs::create_dir_all(tree.join(".step")).expect("a folder");
    std::fs::copy(bench.path(PLAN), tree.join(PLAN)).expect("copied");
    let said = bench.run(&["-C", &tree.display().to_string()]);
    assert_eq!(said.code, 0, "{}", said.err);
    let changed = std::fs::read_to_string(tree.join("a.txt")).expect("a file");
    assert_eq!(
        (changed.as_str(), bench.read("a.txt").as_str()),
        ("new\n", "old\n")
    );
}

#[test]
fn a_blocked_task_that_is_set_pending_again_starts_afresh() {
    let bench = Bench::new(&[Task::new("a").validation(&["test -e ../mended"])]);
    assert_eq!(bench.run(&[]).code, 1);
    let said = bench.mesh(&["st", "set-status", "--id", "a", "--status", "pending"]);
    assert_eq!(said.code, 0, "{}", said.err);
    std::fs::write(bench.beside("mended"), "").expect("written");
    let answers = bench.beside("answers").display().to_string();
    let said = bench.mesh(&[
        "run",
        "--run-id",
        "S",
        "--adapter",
        "replay",
        "--answers",
        &answers,
    ]);
    assert_eq!((said.code, bench.status_of("a").as_str()), (0, "completed"));
    let comments = bench.comments("a");
    assert!(
        comments[0].ends_with("mesh_run_id=R") && comments[1].ends_with("mesh_run_id=S"),
        "{comments:?}"
    );
}

#[test]
fn two_in_progress_are_refused_before_the_run_begins() {
    let bench = Bench::new(&[
        Task::new("a").status("in_progress"),
        Task::new("b").status("in_progress"),
    ]);
    let said = bench.run(&[]);
    assert_eq!(
        (said.code, bench.run_folder().exists()),
        (2, false),
        "{}",
        said.err
    );
}

#[test]
fn a_run_that_a_worker_stopped_goes_on() {
    let bench = Bench::new(&[Task::new("a")]);
    let answers = bench.beside("answers").display().to_string();
    let gate = bench.beside("stopped").display().to_string();
    let script = format!(
        "if [ $MESH_ITEM_ID = a.critique.critic_a.1 ] && [ ! -e '{gate}' ]; then : >'{gate}'; cat >/dev/null; {} report-result --stop --result @'{answers}/a/critique.critic_a.1.json' >&2; exit; fi; exec '{}' --answers '{answers}'",
        env!("CARGO_BIN_EXE_mesh"),
        fake_agent()
    );
    let said = bench.mesh(&["run", "--run-id", "R", "-j", "1", "--", "sh", "-c", &script]);
    assert_eq!(said.code, 4, "{}", said.err);
    let said = bench.mesh(&["resume", "R"]);
    assert_eq!(said.code, 0, "{}", said.err);
}

#[test]
fn a_new_run_does_not_build_on_a_half_done_integration() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run_killed_before("validation_finished");
    let answers = bench.beside("answers").display().to_string();
    let args = [
        "run",
        "--run-id",
        "S",
        "--adapter",
        "replay",
        "--answers",
        &answers,
    ];
    let said = bench.mesh(&args);
    assert_eq!(said.code, 3, "{}", said.err);
}

#[test]
fn one_concurrency_number_in_every_event() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run(&["-j", "3"]);
    for (name, record) in bench.events() {
        if let Some(number) = record.get("max_concurrency") {
            assert_eq!(*number, 3, "{name}");
        }
    }
}

#[test]
fn a_second_task_that_is_unusable_does_not_stop_the_first() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b").notes("words")]);
    let said = bench.run(&["max_tasks=2", "parallel_tasks=2"]);
    assert_eq!(
        (said.code, bench.status_of("a").as_str()),
        (0, "completed"),
        "{}",
        said.err
    );
}

#[test]
fn empty_files_and_modes_reach_the_tree() {
    for patch in [
        format!(
            "{}diff --git a/empty.py b/empty.py\nnew file mode 100644\nindex 0000000..e69de29\n",
            edit("a.txt", "old", "new")
        ),
        format!(
            "{}diff --git a/kept.txt b/kept.txt\nold mode 100644\nnew mode 100755\n",
            edit("a.txt", "old", "new")
        ),
    ] {
        let bench = Bench::new(&[Task::new("a").scope(&["**"]).patches(&[&patch, &patch])]);
        let said = bench.run(&["--json"]);
        assert_eq!(said.code, 0, "{:?}", bench.comments("a"));
    }
}
