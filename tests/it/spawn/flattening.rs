//! `--flatten` and `--formula-cells`: results as columns, and what a spreadsheet would make of them.

use super::*;

/// A worker that prints the cell `r`.
const SAY: [&str; 3] = ["printf", "%s", "{r}"];

/// A sandbox whose workers say `results`, one a row, and whose schema has these properties.
fn with_results(properties: &str, results: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut csv = csv::Writer::from_path(sandbox.path("in.csv")).expect("a file");
    csv.write_record(["r"]).expect("written");
    for result in results {
        csv.write_record([result]).expect("written");
    }
    csv.flush().expect("written");
    sandbox.write("schema.json", &format!(r#"{{"properties":{properties}}}"#));
    sandbox
}

fn flatten(sandbox: &Sandbox, options: impl Into<Args>) -> Said {
    let head = Args::from("--output-schema schema.json --flatten --retries 0");
    spawn(sandbox, head.and(options), &SAY)
}

#[test]
fn properties_are_columns_after_the_ten_in_the_order_of_the_schema() {
    let sandbox = with_rows("id,mock\n1,good\n2,exit\n3,stop\n4,good\n");
    let properties = r#"{"n":{"type":"integer"},"absent":{},"answer":{"type":"string"}}"#;
    sandbox.write("schema.json", &format!(r#"{{"properties":{properties}}}"#));
    let options = "--output-schema schema.json --flatten -j 1";
    spawn_agent(&sandbox, options, "--as {mock} 3").exits(4);
    assert_snapshot!(redacted(&sandbox.read("out.csv")), @r#"
    id,mock,job_id,item_id,row_index,source_id,status,attempt_count,last_error,result_json,reported_at,completed_at,result.n,result.absent,result.answer
    1,good,JOB,row-1,0,,completed,1,,"{""answer"":""row-1"",""n"":1}",TIME,TIME,1,,row-1
    2,exit,JOB,row-2,1,,failed,1,worker_exit: exit code 3,,,TIME,,,
    3,stop,JOB,row-3,2,,completed,1,,"{""answer"":""row-3"",""n"":1}",TIME,TIME,1,,row-3
    4,good,JOB,row-4,3,,pending,0,,,,,,,
    "#);
    resume(&sandbox).exits(1);
    let last = sandbox.read("out.csv");
    let last = last.lines().last().expect("a line");
    assert!(last.ends_with(",1,,row-4"), "{last}");
}

#[test]
fn output_cells_contain_what_the_worker_reported() {
    let sandbox = with_results(
        r#"{"v":{}}"#,
        &[
            r#"{"v":"two\nlines, \"quoted\""}"#,
            r#"{"v":12345678901234567890123}"#,
            r#"{"v":1.0}"#,
            r#"{"v":-5}"#,
            r#"{"v":false}"#,
            r#"{"v":null}"#,
            r#"{"v":{ "b": 1, "a": ["=x", {}] }}"#,
            r#"{"other":1}"#,
        ],
    );
    flatten(&sandbox, "").exits(0);
    let cells: Vec<String> = rows(&sandbox)
        .into_iter()
        .map(|row| row["result.v"].clone())
        .collect();
    assert_eq!(
        cells,
        [
            "two\nlines, \"quoted\"",
            "12345678901234567890123",
            "1.0",
            "-5",
            "false",
            "",
            r#"{"b":1,"a":["=x",{}]}"#,
            "",
        ]
    );
}

const FORMULAS: [&str; 7] = [
    r#"{"v":"=1+1"}"#,
    r#"{"v":"+49 30"}"#,
    r#"{"v":"-x"}"#,
    r#"{"v":"@SUM(A1)"}"#,
    r#"{"v":"\t=1"}"#,
    r#"{"v":"  =1"}"#,
    r#"{"v":"plain = text"}"#,
];

#[test]
fn what_a_spreadsheet_would_execute_is_quoted_and_nothing_else_is_touched() {
    let sandbox = with_results(r#"{"v":{}}"#, &FORMULAS);
    flatten(&sandbox, "").exits(0);
    let cells: Vec<[String; 3]> = rows(&sandbox)
        .into_iter()
        .map(|row| ["r", "result_json", "result.v"].map(|column| row[column].clone()))
        .collect();
    let wanted = [
        "'=1+1",
        "'+49 30",
        "'-x",
        "'@SUM(A1)",
        "'\t=1",
        "'  =1",
        "plain = text",
    ];
    for ((cells, said), wanted) in cells.iter().zip(FORMULAS).zip(wanted) {
        assert_eq!(cells, &[said, said, wanted]);
    }
}

#[test]
fn input_columns_and_ids_are_never_changed() {
    let sandbox = with_rows("=id,@x\n=1+1,+2\n");
    sandbox.write("schema.json", r#"{"properties":{"answer":{}}}"#);
    let options = "--output-schema schema.json --flatten --id-column =id";
    spawn_agent(&sandbox, options, "--good").exits(0);
    assert_eq!(
        table(&sandbox, "=id @x item_id source_id result.answer"),
        "=1+1 | +2 | =1+1 | =1+1 | '=1+1"
    );
}

#[test]
fn formula_cells_can_be_kept() {
    let sandbox = with_results(r#"{"v":{}}"#, &FORMULAS);
    flatten(&sandbox, "--formula-cells keep").exits(0);
    let cells: Vec<String> = rows(&sandbox)
        .into_iter()
        .map(|row| row["result.v"].clone())
        .collect();
    assert_eq!(
        cells,
        [
            "=1+1",
            "+49 30",
            "-x",
            "@SUM(A1)",
            "\t=1",
            "  =1",
            "plain = text"
        ]
    );
}

#[test]
fn a_result_that_would_make_a_formula_can_be_rejected() {
    let sandbox = with_results(
        r#"{"v":{},"a/b":{}}"#,
        &[
            r#"{"v":"=1","a/b":"@x","other":"=1"}"#,
            r#"{"v":-1,"other":"=1","a/b":["=1"]}"#,
        ],
    );
    flatten(&sandbox, "--formula-cells reject").exits(1);
    assert_snapshot!(table(&sandbox, "status last_error"), @r"
    failed | invalid_output_schema: /v: begins with `=`, so a spreadsheet would take it for a formula; /a~1b: begins with `@`, so a spreadsheet would take it for a formula
    completed |
    ");
}

#[test]
fn a_worker_can_correct_a_formula_in_the_same_or_the_next_attempt() {
    let sandbox = with_schema("id\na\n");
    let options = "--output-schema schema.json --flatten --formula-cells reject --env MESH";
    let script = r#""$MESH" report-result --result '{"answer":"=1"}' >answers
        "$MESH" report-result --result '{"answer":"one"}' >>answers"#;
    spawn(&sandbox, options, &["sh", "-c", script]).exits(0);
    assert_snapshot!(sandbox.read("answers"), @r#"
    {"accepted":false,"reason":"the result does not fit the schema: /answer: begins with `=`, so a spreadsheet would take it for a formula"}
    {"accepted":true}
    "#);
    assert_eq!(table(&sandbox, "attempt_count result.answer"), "1 | one");

    let sandbox = with_schema("id\na\n");
    let script = r#"if [ $MESH_ATTEMPT = 1 ]; then echo '{"answer":"=1"}'; else printf '{"answer":%s}' "$("$0")"; fi"#;
    spawn(&sandbox, options, &["sh", "-c", script, &json_string()]).exits(0);
    let prompt = rows(&sandbox)[0]["result.answer"].clone();
    assert_contains(&prompt, "invalid_output_schema: /answer: begins with `=`");
}

#[test]
fn without_flatten_formulas_are_not_rejected() {
    let sandbox = with_results(r#"{"v":{}}"#, &[r#"{"v":"=1"}"#]);
    let options = "--output-schema schema.json --formula-cells reject";
    spawn(&sandbox, options, &SAY).exits(0);
    assert_eq!(table(&sandbox, "result_json"), r#"{"v":"=1"}"#);
}

#[test]
fn an_input_column_with_a_reserved_name_is_kept() {
    let sandbox = with_rows("result.answer\nmine\n");
    sandbox.write("schema.json", SCHEMA);
    let options = "--output-schema schema.json --flatten";
    spawn_agent(&sandbox, options, "--good").exits(0);
    let output = sandbox.read("out.csv");
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines[0].starts_with("result.answer,job_id,") && lines[0].ends_with(",result.answer"));
    assert!(lines[1].starts_with("mine,") && lines[1].ends_with(",row-1"));
}

#[test]
fn a_schema_without_properties_or_none_is_refused() {
    for (schema, options) in [
        (SCHEMA, &["--flatten"][..]),
        ("{}", &["--flatten", "--output-schema", "schema.json"]),
        (
            r##"{"$ref":"#/$defs/r","$defs":{"r":{"properties":{"a":{}}}}}"##,
            &["--flatten", "--output-schema", "schema.json"],
        ),
        (
            SCHEMA,
            &["--output-schema", "schema.json", "--formula-cells", "drop"],
        ),
    ] {
        let sandbox = with_rows("id\na\n");
        sandbox.write("schema.json", schema);
        let said = spawn(&sandbox, options, "touch started");
        assert_eq!(said.code, 2, "{schema} {options:?}: {}", said.err);
        assert!(!sandbox.path("started").exists() && !sandbox.mesh_home().exists());
    }
}

#[test]
fn flatten_without_a_schema_is_refused() {
    let sandbox = with_rows("id\n1\n");
    let said = spawn(&sandbox, "--flatten", "true").exits(2);
    assert_eq!(
        said.err,
        "error: `--flatten` needs an output schema\nhint: pass --output-schema FILE\n"
    );
}
