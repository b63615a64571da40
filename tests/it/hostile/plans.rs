//! Plans: the texts of items and of their metadata, what workers answer in every round, and what commands print.

use super::outputs::look_at_all;
use super::*;
use crate::hostile::matrix::assert_whole;
use mesh::model::UnitId;
use serde_json::{Value, json};

/// How many tasks share the texts; the first ones begin with what a spreadsheet or Markdown would act on.
const TASKS: usize = 24;

/// The texts for `input`, some for each task.
fn shares(matrix: &mut Matrix, input: &'static str) -> Vec<Vec<String>> {
    matrix.carry(input);
    let (mut first, rest): (Vec<_>, Vec<_>) =
        corpus::words(input).into_iter().partition(|(text, _)| {
            text.name.starts_with("formula") || text.name.starts_with("Markdown")
        });
    first.extend(rest);
    let share = |at| {
        first
            .iter()
            .skip(at)
            .step_by(TASKS)
            .map(|(_, text)| text.clone())
            .collect()
    };
    (0..TASKS).map(share).collect()
}

/// One shell word that prints nothing and succeeds.
fn quoted(text: &str) -> String {
    format!("true '{}'", text.replace('\'', r"'\''"))
}

/// A plan in which every text is in the id, the title, the notes and the metadata of an item, in an answer of its one author, and in
/// what its failing validation prints.
fn prepare(matrix: &mut Matrix) -> (Bench, Vec<String>) {
    let bench = Bench::with_files(&[Task::new("seed")], &[]);
    let inputs = [
        "id",
        "step",
        "notes",
        "acceptance",
        "command",
        "decision",
        "log",
    ];
    let [ids, steps, notes, acceptance, commands, decisions, logs] =
        inputs.map(|input| shares(matrix, input));
    let mut items = Vec::new();
    let mut names = Vec::new();
    for at in 0..TASKS {
        let id = ids[at].join(" ").trim().to_owned();
        let file = format!("task-{at}.txt");
        bench.write(&format!("../log-{at}"), &logs[at].join("\n"));
        let log = bench.beside(&format!("log-{at}")).display().to_string();
        let commands: Vec<String> = commands[at].iter().map(|text| quoted(text)).collect();
        // Every other task is accepted.
        let last = format!("cat {log}; test {} = 0", at % 2);
        let commands: Vec<&String> = commands.iter().chain([&last]).collect();
        let metadata =
            json!({"scope": [file], "acceptance": acceptance[at], "validation": commands});
        items.push(json!({
            "id": id, "step": steps[at].join(" "), "status": "pending", "deps": [], "comments": [],
            "notes": format!("{}\n\n```mesh\n{metadata}\n```\n", notes[at].join(" ").replace("```", "")),
        }));
        let log: Vec<Value> = decisions[at]
            .iter()
            .map(|text| json!({"point": text, "action": "accepted", "reason": text}))
            .collect();
        let answer = json!({"decision_log": log, "patch": create(&file, "new"), "validation": [], "residual_risk": "low"});
        bench.answer(
            &UnitId::new(&*id).file_name(),
            "synthesis.author.1",
            &answer.to_string(),
        );
        names.push(id);
    }
    bench.write(PLAN, &plan_text(&items));
    (bench, names)
}

#[test]
fn items_and_answers_stay_texts_in_every_output() {
    let mut matrix = Matrix::default();
    let (bench, ids) = prepare(&mut matrix);
    bench.git("config user.name Person");
    bench.git("config user.email person@example.invalid");
    let said = bench
        .run("protocol=solo max_tasks=auto parallel_tasks=auto integrate=false delivery=branch")
        .exits(1);
    matrix.look("run", terminal_is_tame, said.err.as_bytes());
    matrix.look("report", terminal_is_tame, said.out.as_bytes());
    let folder = bench.run_folder();
    let file = |name: &str| std::fs::read(folder.join(name)).expect(name);
    let mut cells = Vec::new();
    for wave in bench.waves() {
        cells.extend(rows_are_whole(&file(&format!("waves/{}", wave.name))).expect(&wave.name));
    }
    let cells = serde_json::to_vec(&cells).expect("JSON");
    matrix.look("wave CSVs", json_is_valid, &cells);
    matrix.look(
        "a call file",
        json_is_valid,
        &file("waves/001-synthesis.call.json"),
    );
    matrix.look(
        "output of a wave",
        output_csv_is_inert,
        &file("waves/001-synthesis.out.csv"),
    );
    matrix.look(
        "results.csv",
        table_of_results_is_inert,
        &file("results.csv"),
    );
    // A task whose metadata YAML can't have has no decision.
    let decision = |id: &String| {
        let unit = UnitId::new(&**id).file_name();
        std::fs::read(folder.join(format!("units/{unit}/decision.json"))).ok()
    };
    let decisions: Vec<u8> = ids.iter().filter_map(decision).flatten().collect();
    let texts = matrix.look("decision.json", json_is_valid, &decisions);
    assert_whole("decision.json", &corpus::texts("decision"), &texts);
    look_at_all(
        &bench,
        &mut matrix,
        &format!("{}.synthesis.author.1", ids[0]),
    );
    let lint = bench.mesh(&[
        "wave",
        "lint",
        &folder.join("waves/001-synthesis.csv").display().to_string(),
    ]);
    matrix.look("wave lint", terminal_is_tame, lint.out.as_bytes());
    bench.mesh("inspect R --svg graph graph.svg").exits(0);
    matrix.look(
        "inspect R --svg graph",
        xml_is_well_formed,
        bench.read("graph.svg").as_bytes(),
    );
    for args in [
        "st show",
        "st ready",
        "run --dry-run --adapter replay --answers .",
    ] {
        let said = bench.mesh(args);
        matrix.look(args, terminal_is_tame, (said.out + &said.err).as_bytes());
    }
    bench.mesh("runs show R --markdown report.md").exits(0);
    matrix.look(
        "runs show R --markdown",
        markdown_has_only_our_markup,
        bench.read("report.md").as_bytes(),
    );
    let said = bench.mesh("integrate R");
    matrix.look(
        "integrate",
        terminal_is_tame,
        (said.out + &said.err).as_bytes(),
    );
    let commits = bench.git("log --format=%B%x00 main..mesh/R");
    let commits: Vec<String> = commits
        .split_terminator('\0')
        .map(|one| one.trim_start().to_owned())
        .collect();
    let mut lines = Vec::new();
    for commit in commits.iter().filter(|one| !one.is_empty()) {
        lines.extend(commit_has_only_our_trailers(commit.as_bytes()).expect("a commit message"));
    }
    matrix.look("commits", terminal_is_tame, lines.join("\n").as_bytes());
    matrix.assert_is_as_before("plans");
    assert_no_canary(&bench);
}
