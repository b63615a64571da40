//! The six guardrails against known failures of orchestration, each by the name of what it guards against.

use crate::fixture::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// 1. Tasks that run although what they depend on is not done.
#[test]
fn dependency_agnostic_scheduling() {
    let bench = Bench::new(&[Task::new("a").after(&["b"]), Task::new("b").agree(&[0])]);
    bench.run("max_tasks=2 parallel_tasks=2").exits(1);
    assert_eq!(bench.status_of("b"), "blocked");
    assert_eq!(bench.status_of("a"), "pending");
    assert!(
        bench.rows().iter().all(|row| row.starts_with("b.")),
        "{:?}",
        bench.rows()
    );
}

/// 2. Workers that write the plan.
#[test]
fn multi_writer_plan_state() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.breaks(&["single_writer"]);
    let plan = bench.path(PLAN).display().to_string();
    let said = bench.run_agent(
        "sandbox=none",
        &["--meddle-at", "a.proposal.proposer.1", &plan],
    );
    let violations = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "violation");
    let paths: Vec<Value> = violations.map(|(_, body)| body["paths"].clone()).collect();
    assert_eq!(paths.len(), 1, "{}", said.err);
    assert!(paths[0].to_string().contains("st-plan.jsonl"), "{paths:?}");
    assert_ne!(said.code, 0);
}

/// 3. One document says one number and another one another.
#[test]
fn conflicting_concurrency_numbers() {
    let bench = Bench::new(&[Task::new("a")]);
    let said = bench.run("max_concurrency=3").exits(0);
    assert!(
        said.err
            .lines()
            .next()
            .is_some_and(|line| line.ends_with(" concurrency=3")),
        "{}",
        said.err
    );
    for wave in bench.waves() {
        assert!(
            wave.column("max_concurrency")
                .iter()
                .all(|number| *number == "3")
        );
        let call = bench
            .run_folder()
            .join("waves")
            .join(wave.name.replace(".csv", ".call.json"));
        let call: Value =
            serde_json::from_slice(&std::fs::read(call).expect("a call")).expect("JSON");
        assert_eq!(call["max_concurrency"], 3);
    }
    let events = bench.events();
    let in_ledger = |name: &str| -> Vec<Value> {
        let of_name = events.iter().filter(|(event, _)| event == name);
        of_name
            .map(|(_, body)| body["max_concurrency"].clone())
            .collect()
    };
    assert_eq!(in_ledger("wave_compiled"), vec![json!(3); 4]);
    assert_eq!(in_ledger("wave_started"), vec![json!(3); 4]);
}

/// 4. Full speed ahead after a bad wave.
#[test]
fn no_failure_backpressure() {
    let bench = Bench::new(&[Task::new("a")]);
    // Mended by a further attempt of the proposer, which is no clean wave all the same.
    bench.answer("a", "critique.skeptic.1", r#"{"findings":"none"}"#);
    bench.answer(
        "a",
        "critique.skeptic.2",
        r#"{"findings":[],"must_fix":[],"flip_conditions":[],"risk":"low"}"#,
    );
    let said = bench.run("");
    let numbers: Vec<String> = bench
        .waves()
        .iter()
        .map(|wave| {
            format!(
                "{} {}",
                wave.column("round")[0],
                wave.column("max_concurrency")[0]
            )
        })
        .collect();
    let pressed: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "backpressure")
        .map(|(_, body)| json!([body["causes"], body["from"], body["to"]]))
        .collect();
    assert_eq!(
        pressed[0],
        json!([["reject", "invalid_output_schema"], 5, 2]),
        "{}",
        said.err
    );
    assert_eq!(pressed[1], json!([[], 2, 5]));
    assert_eq!(
        numbers,
        [
            "proposal 5",
            "critique 5",
            "critique 2",
            "synthesis 5",
            "vote 5"
        ]
    );
    said.err_has(
        "wave 002 had failures (reject, invalid_output_schema); reducing concurrency from 5 to 2",
    );
}

/// 5. Waves that only one executor can run: any program that takes a CSV and a template works them.
#[test]
fn executor_runtime_coupling() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let wave = bench.run_folder().join("waves/002-critique.csv");
    let call = bench.run_folder().join("waves/002-critique.call.json");
    let call: Value = serde_json::from_slice(&std::fs::read(call).expect("a call")).expect("JSON");
    bench.write("schema.json", &call["output_schema"].to_string());
    let (agent, answers) = (fake_agent(), bench.beside("answers").display().to_string());
    let wave = wave.display().to_string();
    let (instruction, id) = (
        call["instruction"].as_str().expect("text"),
        call["id_column"].as_str().expect("text"),
    );
    bench
        .mesh(&[
            "spawn",
            &wave,
            "--instruction",
            instruction,
            "--id-column",
            id,
            "--output-schema",
            "schema.json",
            "-o",
            "by-hand.csv",
            "--",
            &agent,
            "--answers",
            &answers,
        ])
        .exits(0);
    let results = |path: std::path::PathBuf| -> Vec<(String, String)> {
        let mut reader = csv::Reader::from_path(path).expect("an output");
        let rows = reader.deserialize::<BTreeMap<String, String>>();
        rows.map(|row| row.expect("a row"))
            .map(|row| (row["id"].clone(), row["result_json"].clone()))
            .collect()
    };
    let by_hand = results(bench.path("by-hand.csv"));
    assert_eq!(by_hand.len(), 3);
    assert_eq!(
        by_hand,
        results(bench.run_folder().join("waves/002-critique.out.csv"))
    );
}

/// 6. Near copies that contradict each other: a round has one prompt and one schema, whichever protocol it is in.
#[test]
fn copy_paste_variant_drift() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut of_round: BTreeMap<(String, (bool, bool)), (String, String)> = BTreeMap::new();
    let mut protocols = 0;
    for entry in std::fs::read_dir(folder).expect("templates") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = read_file(&path);
        let protocol: Value = serde_yaml::from_str(&text).expect("YAML");
        protocols += 1;
        let rounds = protocol["rounds"].as_array().into_iter().flatten();
        // Authors who write several patches, or one for a test, are asked in other words, and so are their voters.
        let has = |key: &str| rounds.clone().any(|round| !round[key].is_null());
        let kind = (has("candidates"), has("test"));
        for round in protocol["rounds"].as_array().into_iter().flatten() {
            let text = |key: &str| round[key].as_str().expect("a name").to_owned();
            let has = (text("prompt"), text("schema"));
            let first = of_round.entry((text("name"), kind));
            assert_eq!(
                *first.or_insert_with(|| has.clone()),
                has,
                "{}: {}",
                path.display(),
                text("name")
            );
        }
    }
    assert!(protocols >= 5 && of_round.len() == 8, "{of_round:?}");
}
