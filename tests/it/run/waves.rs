//! The files of a wave.

use super::*;

const COLUMNS: &str = "id,unit,objective,round,role,lane,scope,acceptance,validation,risk,depends_on,attempt,wave,max_concurrency,timeout_seconds,base_sha,run_id,prompt";

#[test]
fn a_task_takes_four_waves_of_one_three_one_and_five_rows() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
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
fn a_row_carries_the_metadata_of_its_task() {
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
    bench.run("--max-runtime-seconds 77").exits(0);
    let head = bench.git("rev-parse HEAD");
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
    bench.run("").exits(0);
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
    let said = bench.run("-j 3 --json");
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
    bench.run("").exits(0);
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
        bench.run("").exits(0);
        let base = bench.git("rev-parse HEAD");
        let read = |name: &str| read_file(bench.run_folder().join("waves").join(name));
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
    bench.run("").exits(0);
    assert!(
        bench
            .prompt("a.critique.skeptic.1")
            .contains("say {unit} and {{prompt}}")
    );
}
