//! Files from elsewhere: workbooks, collected answers, protocols, and names of archives and bundles.

use super::*;
use rust_xlsxwriter::Workbook;
use serde_json::{Value, json};

/// The texts for `input` that a file can be called, without a folder.
pub fn names(input: &str) -> Vec<String> {
    let words = corpus::words(input).into_iter().map(|(_, text)| text);
    let is_name = |text: &String| text.len() < 200 && !text.contains('/');
    words.filter(is_name).collect()
}

#[test]
fn cells_and_headers_of_a_workbook_stay_texts() {
    let (sandbox, mut matrix) = (Sandbox::new(), Matrix::default());
    for input in ["cell", "header", "sheet"] {
        matrix.carry(input);
    }
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    let cells = corpus::unicode("cell")
        .into_iter()
        .zip(corpus::unicode("header"));
    for (((_, cell), (_, header)), at) in cells.zip(0..) {
        sheet.write_string(0, at, header).expect("a header");
        sheet.write_string(1, at, cell).expect("a cell");
    }
    for (_, name) in corpus::words("sheet") {
        let mut sheet = rust_xlsxwriter::Worksheet::new();
        // Some texts can't name a sheet.
        if sheet.set_name(&name).is_ok() {
            book.push_worksheet(sheet);
        }
    }
    book.save(sandbox.path("in.xlsx")).expect("a workbook");
    let spawn = "spawn in.xlsx --run-id R -o out.csv --instruction x";
    let said = sandbox
        .mesh(Args::from(spawn).and("--sheet no -- true"))
        .exits(2);
    matrix.look("--sheet", terminal_is_tame, said.err.as_bytes());
    let said = sandbox
        .mesh(Args::from(spawn).and(&["--", "sh", "-c", "cat >prompt; echo {}"]))
        .exits(0);
    matrix.look("spawn", terminal_is_tame, said.err.as_bytes());
    let output = std::fs::read(sandbox.path("out.csv")).expect("an output");
    matrix.look("output CSV", output_csv_is_inert, &output);
    let prompt = std::fs::read(sandbox.path("prompt")).expect("a prompt");
    matrix.look(
        "prompt",
        |bytes| Ok(vec![String::from_utf8_lossy(bytes).into_owned()]),
        &prompt,
    );
    sandbox.mesh("inspect R --xlsx out.xlsx").exits(0);
    let book = std::fs::read(sandbox.path("out.xlsx")).expect("a workbook");
    matrix.look("inspect R --xlsx", workbook_is_inert, &book);
    matrix.assert_is_as_before("workbooks");
    assert_no_canary(&sandbox);
}

#[test]
fn collected_answers_and_names_of_files_stay_texts() {
    let (bench, mut matrix) = (Bench::new(&[Task::new("a")]), Matrix::default());
    for input in ["point", "key", "prose", "file", "name"] {
        matrix.carry(input);
    }
    bench.next("--run-id R protocol=solo");
    let points = corpus::unicode("point").into_iter();
    let log: Vec<Value> = points
        .map(|(_, text)| json!({"point": text, "action": "accepted", "reason": "x"}))
        .collect();
    let mut answer = json!({
        "decision_log": log, "patch": edit("a.txt", "old", "new"), "validation": [], "residual_risk": "low",
    });
    let keys = corpus::unicode("key")
        .into_iter()
        .map(|(_, key)| (key, json!(1)));
    answer.as_object_mut().expect("an object").extend(keys);
    // A text of reasoning that is not closed would take the answer with it.
    let prose = corpus::unicode("prose").into_iter().map(|(_, text)| text);
    let prose: Vec<String> = prose.filter(|text| !text.contains("<think>")).collect();
    bench.write(
        "answers/a.synthesis.author.1.json",
        &format!("{}\n\n{answer}\n", prose.join("\n")),
    );
    for name in names("file") {
        bench.write(&format!("answers/{name}.json"), "{}");
    }
    let said = bench.mesh("collect R answers");
    matrix.look(
        "collect",
        terminal_is_tame,
        (said.out + &said.err).as_bytes(),
    );
    std::fs::remove_dir_all(bench.path("answers")).expect("removed");
    let said = bench.mesh("integrate R");
    matrix.look(
        "integrate",
        terminal_is_tame,
        (said.out + &said.err).as_bytes(),
    );
    let ledger = std::fs::read(bench.run_folder().join("ledger.jsonl")).expect("a ledger");
    matrix.look("ledger", ledger_has_a_record_a_line, &ledger);
    let mut printed = String::new();
    for name in names("name").into_iter().take(30) {
        let archive = format!("x{name}");
        let said = bench.mesh(&["runs", "export", "R", &archive]).exits(0);
        printed.push_str(&(said.out + &said.err));
        let said = bench.mesh(&["inspect", &archive]).exits(0);
        printed.push_str(&(said.out + &said.err));
    }
    matrix.look("runs export", terminal_is_tame, printed.as_bytes());
    matrix.assert_is_as_before("collected");
    assert_no_canary(&bench);
}

#[test]
fn names_in_a_protocol_stay_texts() {
    let (sandbox, mut matrix) = (
        Sandbox::with_repo(&[("in.csv", "id\na\n")]),
        Matrix::default(),
    );
    sandbox.mesh("st init").exits(0);
    for (input, of) in [
        ("name", 0),
        ("role", 1),
        ("round", 2),
        ("key", 3),
        ("file", 4),
    ] {
        matrix.carry(input);
        let mut printed = String::new();
        for name in names(input) {
            let put = |at: usize, usual: &str| {
                if at == of {
                    name.clone()
                } else {
                    usual.to_owned()
                }
            };
            let round = json!({"name": put(2, "synthesis"), "roles": [put(1, "author")], "lane": "patch",
                "prompt": put(4, "synthesis.md"), "schema": "synthesis.json"});
            let protocol = json!({"name": put(0, "mine"), "roles": [put(1, "author")], put(3, "rounds"): [round]});
            sandbox.write("p.yaml", &protocol.to_string());
            let said = sandbox.mesh("run --dry-run --protocol p.yaml -- true");
            printed.push_str(&(said.out + &said.err));
        }
        matrix.look(input, terminal_is_tame, printed.as_bytes());
    }
    matrix.assert_is_as_before("protocols");
    assert_no_canary(&sandbox);
}
