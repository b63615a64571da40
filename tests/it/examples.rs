//! The examples are real: they run as their READMEs say.

use crate::fixture::*;
use std::path::Path;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn facts_about_this_repository_are_found_for_every_row() {
    let sandbox = Sandbox::new();
    let output = sandbox.path("facts.csv");
    sandbox
        .command(&[
            "spawn",
            "examples/repo-facts/files.csv",
            "--id-column",
            "path",
            "--instruction-file",
            "examples/repo-facts/instruction.md",
            "--output-schema",
            "examples/repo-facts/schema.json",
            "-o",
            &output.display().to_string(),
            "--",
            "examples/repo-facts/worker",
            "{path}",
            "{kind}",
        ])
        .current_dir(project())
        .output()
        .map(said)
        .expect("mesh starts")
        .exits(0);
    let mut rows = csv::Reader::from_path(&output).expect("an output");
    let header = rows.headers().expect("a header").clone();
    let at = |name: &str| {
        header
            .iter()
            .position(|column| column == name)
            .expect("a column")
    };
    let mut count = 0;
    for row in rows.records() {
        let row = row.expect("a row");
        let facts: serde_json::Value = serde_json::from_str(&row[at("result_json")]).expect("JSON");
        let size = std::fs::metadata(project().join(&row[0]))
            .expect("the file")
            .len();
        assert_eq!(facts["bytes"].as_u64(), Some(size), "{}", &row[0]);
        count += 1;
    }
    assert!(count >= 30, "{count} rows");
}

/// The folder is copied, as its README says, because `mesh.yaml` counts at the root of a repository.
#[test]
fn custom_commands_report_by_file_or_by_tool() {
    let sandbox = Sandbox::new();
    for entry in std::fs::read_dir(project().join("examples/own-command")).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), sandbox.work().join(entry.file_name())).expect("copied");
    }
    let mut results = Vec::new();
    for adapter in ["by-file", "by-report"] {
        let output = format!("{adapter}.csv");
        let said = sandbox.mesh(&[
            "spawn",
            "texts.csv",
            "--id-column",
            "id",
            "--instruction",
            "Count the words of: {text}",
            "--output-schema",
            "schema.json",
            "-o",
            &output,
            "--adapter",
            adapter,
        ]);
        assert_eq!(said.code, 0, "{adapter}: {}", said.err);
        let is_counted = said.err.contains("tokens in, 16 out, $0.0");
        assert_eq!(is_counted, adapter == "by-file", "{}", said.err);
        let mut rows = csv::Reader::from_path(sandbox.path(&output)).expect("an output");
        let records = rows.records().map(|row| row.expect("a row"));
        results.push(records.map(|row| row[9].to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(results[0], results[1]);
    assert_eq!(results[0][1], r#"{"words":7,"longest":"smooth"}"#);
}

/// The Table Schema of the waves names the columns that are written.
#[test]
fn the_table_schema_has_the_columns_of_a_wave() {
    let text = read_file(project().join("waves/wave.schema.json"));
    let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let fields = schema["fields"].as_array().expect("fields");
    let names: Vec<_> = fields
        .iter()
        .filter_map(|field| field["name"].as_str())
        .collect();
    assert_eq!(names, mesh::wave::COLUMNS);
}
