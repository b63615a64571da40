//! `mesh wave lint`: every wave that `mesh` compiles passes, and what is wrong with others is named by row and column.

use crate::fixture::*;
use serde_json::{Value, json};

#[test]
fn compiled_waves_pass_also_with_several_units() {
    let bench = Bench::new(&[
        Task::new("a").agree(&[3, 5]),
        Task::new("b"),
        Task::new("c").notes(""),
    ]);
    bench.run("max_tasks=3 parallel_tasks=2");
    let folder = bench.run_folder().join("waves");
    let paths: Vec<String> = bench
        .waves()
        .iter()
        .map(|wave| folder.join(&wave.name).display().to_string())
        .collect();
    assert!(paths.len() > 5, "{paths:?}");
    let args: Vec<&str> = ["wave", "lint"]
        .into_iter()
        .chain(paths.iter().map(String::as_str))
        .collect();
    let said = bench.mesh(&args).exits(0);
    assert_eq!(said.err, "");
    assert_eq!(
        said.out
            .lines()
            .filter(|line| line.starts_with("ok "))
            .count(),
        paths.len()
    );
}

#[test]
fn a_task_without_acceptance_statements_is_done_when_its_step_is() {
    let notes = "```mesh\nscope: [src/a.txt]\nacceptance: []\nvalidation: ['true']\n```";
    let bench = Bench::new(&[Task::new("a").notes(notes)]);
    bench.run("");
    let waves = bench.waves();
    assert!(waves.len() > 1, "{} waves", waves.len());
    for wave in waves {
        assert_eq!(wave.column("acceptance"), wave.column("objective"));
        let path = bench.run_folder().join("waves").join(&wave.name);
        bench
            .mesh(&["wave", "lint", &path.display().to_string()])
            .exits(0);
    }
}

#[test]
fn doctor_reports_every_problem() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("");
    let wave = read_file(bench.run_folder().join("waves/002-critique.csv"));
    bench.write("w.csv", &wave.replacen("read_only", "write", 1));
    bench.write("w.call.json", "{}");
    let said = bench.mesh("wave lint w.csv").exits(1);
    said.out_has("`w.csv`, line 2: row 1, item `a.critique.critic_a.1`, column `lane`: must be `read_only` or `patch`\n");
    said.out_has("`w.call.json`: `id_column`: is null in the call file; the wave has \"id\"\n");
    let said = bench.mesh("--json wave lint w.csv");
    said.out_starts_with(r#"{"wave":"w.csv","rows":3,"problems":[{"row":1,"column":"lane","#);

    bench.write("other.csv", "id,prompt\n1,x\n");
    let said = bench.mesh("wave lint other.csv").exits(1);
    assert_eq!(
        said.out,
        "`other.csv`, line 1: `prompt`: column 2 must be `unit`\n`other.call.json`: is missing; the wave can't be run without it\n"
    );
    let said = bench.mesh("wave lint none.csv").exits(2);
    said.err_has("`none.csv`");
}

/// A call file with another schema.
fn with_schema(call: &str, schema: Value) -> String {
    let mut call: Value = serde_json::from_str(call).expect("JSON");
    call["output_schema"] = schema;
    format!("{call:#}")
}

#[test]
fn the_csv_and_call_file_must_cover_the_whole_round() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("");
    let waves = bench.run_folder().join("waves");
    let wave = read_file(waves.join("002-critique.csv"));
    let call = read_file(waves.join("002-critique.call.json"));
    let lint = |csv: &str, call: Option<&str>, args: &[&str]| {
        bench.write("002-critique.csv", csv);
        let _ = std::fs::remove_file(bench.work().join("002-critique.call.json"));
        if let Some(call) = call {
            bench.write("002-critique.call.json", call);
        }
        let said = bench.mesh(Args::from("wave lint 002-critique.csv").and(args));
        assert_eq!(said.err, "");
        (said.code, said.out)
    };
    assert_eq!(lint(&wave, Some(&call), &[]).0, 0);

    // Two critics of three: the last row begins with its id.
    let last = wave.find("\na.critique.skeptic.1,").expect("the third row") + 1;
    let (code, out) = lint(&wave[..last], Some(&call), &[]);
    assert_eq!(code, 1);
    assert_eq!(
        out,
        "`002-critique.csv`, line 2: row 1, item `a.critique.critic_a.1`, column `role`: unit `a` has no row of `skeptic`, which also answers in round `critique` of protocol `swarm`\n"
    );
    let (code, out) = lint(&wave, Some(&call), &["--protocol", "solo"]);
    assert_eq!(code, 1);
    assert_contains(
        &out,
        "column `role`: `critic_a` has no part in round `critique` of any known protocol; pass the protocol",
    );
    let king = wave.replace("critic_a", "king");
    let (code, out) = lint(&king, Some(&call), &[]);
    assert_eq!(code, 1);
    assert_contains(
        &out,
        "`002-critique.csv`, line 2: row 1, item `a.critique.king.1`, column `role`: `king` has no part in round `critique` of any known protocol",
    );
    // A protocol of the user may have it.
    let own = include_str!("../../templates/swarm.yaml").replace("critic_a", "king");
    bench.write("own.yaml", &own);
    let args = ["--protocol", "own.yaml"];
    let any = with_schema(&call, json!({"type": "object"}));
    assert_eq!(
        lint(&king, Some(&any), &args),
        lint(&king, Some(&call), &args)
    );
    assert_eq!(lint(&king, Some(&any), &args).0, 0);
    let (code, out) = lint(&wave, Some(&any), &[]);
    assert_eq!(code, 1);
    assert_contains(
        &out,
        "`output_schema`: is not the schema of round `critique`",
    );

    for (broken, message) in [
        (None, "`002-critique.call.json`: is missing"),
        (
            Some("{".to_owned()),
            "`002-critique.call.json`, line 1: is not valid JSON",
        ),
        (
            Some(call.replace("002-critique.csv", "001-proposal.csv")),
            "`csv_path`: is \"001-proposal.csv\"",
        ),
        (
            Some(call.replace("002-critique.out", "001-proposal.out")),
            "`output_csv_path`: is \"001-proposal.out.csv\"",
        ),
        (
            Some(
                call.replace("\"type\":\"object\"", "\"type\":\"objekt\"")
                    .replace("\"type\": \"object\"", "\"type\": \"objekt\""),
            ),
            "`output_schema`: is not a valid schema",
        ),
        (
            Some(call.replace("{prompt}", "{prompt}!")),
            "`instruction`: is \"{prompt}!\"",
        ),
    ] {
        let (code, out) = lint(&wave, broken.as_deref(), &[]);
        assert_eq!(code, 1, "{message}");
        assert!(out.contains(message), "{message}: {out}");
    }
}
