//! Headers of a CSV, names of a schema, and the instruction.

use super::outputs::look_at_all;
use super::*;
use crate::hostile::matrix::assert_whole;
use serde_json::{Map, Value, json};

/// A CSV whose header has every text, a schema and an answer in which they are names and values, and an instruction of them.
fn prepare(sandbox: &Sandbox, matrix: &mut Matrix) {
    for input in ["header", "property", "value", "instruction"] {
        matrix.carry(input);
    }
    let texts = |input| corpus::unicode(input).into_iter().map(|(_, text)| text);
    let mut table = csv::Writer::from_writer(Vec::new());
    let header: Vec<String> = ["id".to_owned()]
        .into_iter()
        .chain(texts("header"))
        .collect();
    table.write_record(&header).expect("memory");
    for row in ["a", "b"] {
        let cells = header.iter().skip(1).map(|_| "x");
        table
            .write_record([row].into_iter().chain(cells))
            .expect("memory");
    }
    let table = table.into_inner().expect("memory");
    std::fs::write(sandbox.path("in.csv"), table).expect("written");
    let answer: Map<String, Value> = texts("property")
        .zip(texts("value").map(Value::from))
        .collect();
    let properties: Map<String, Value> = answer
        .keys()
        .map(|name| (name.clone(), json!({"description": name})))
        .collect();
    sandbox.write(
        "schema.json",
        &json!({"title": "x", "properties": properties}).to_string(),
    );
    sandbox.write("answer.json", &Value::from(answer).to_string());
    let instruction: Vec<String> = corpus::words("instruction")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    sandbox.write(
        "instruction.md",
        &format!("{{id}}\n{}", instruction.join("\n")),
    );
}

#[test]
fn headers_and_names_stay_texts_in_every_output() {
    let (sandbox, mut matrix) = (Sandbox::new(), Matrix::default());
    prepare(&sandbox, &mut matrix);
    let args = Args::from(
        "spawn in.csv --run-id R --id-column id --retries 0 -o out.csv --flatten --output-schema schema.json --instruction-file \
         instruction.md",
    );
    let worker = [
        "--",
        "sh",
        "-c",
        "cat >prompt.$0; test $0 = a && cat answer.json",
        "{id}",
    ];
    let said = sandbox
        .mesh(args.clone().and("--dry-run").and(&worker))
        .exits(0);
    matrix.look("spawn --dry-run", terminal_is_tame, said.out.as_bytes());
    let said = sandbox.mesh(args.and(&worker)).exits(1);
    matrix.look("spawn", terminal_is_tame, said.err.as_bytes());
    let prompt = sandbox.read("prompt.a");
    matrix.look(
        "prompt",
        |bytes| Ok(vec![String::from_utf8_lossy(bytes).into_owned()]),
        prompt.as_bytes(),
    );
    let output = std::fs::read(sandbox.path("out.csv")).expect("an output");
    let texts = matrix.look("output CSV", output_csv_is_inert, &output);
    for input in ["header", "property", "value"] {
        assert_whole("output CSV", &corpus::texts(input), &texts);
    }
    look_at_all(&sandbox, &mut matrix, "a");
    let mut columns = sandbox.command(&["--", "mesh", "inspect", "out.csv", "--columns", ""]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let columns = columns
            .env("MESH_COMPLETE", shell)
            .env("_CLAP_COMPLETE_INDEX", "4");
        let said = columns.run_to_end().exits(0);
        matrix.look(
            &format!("completions: {shell}"),
            candidates_are_words,
            said.out.as_bytes(),
        );
    }
    matrix.assert_is_as_before("headers");
    assert_no_canary(&sandbox);
}
