//! What a worker gets: prompt, arguments, environment.

use super::*;

/// The instruction as the first worker would read it.
fn rendered(sandbox: &Sandbox, instruction: &str) -> String {
    let said = spawn(
        sandbox,
        &["--dry-run", "--json", "--instruction", instruction],
        "true",
    )
    .exits(0);
    let object: Value = serde_json::from_str(&said.out).expect("one object");
    let prompt = object["first_prompt"].as_str().expect("a prompt");
    let after = prompt
        .split_once("# Instruction\n\n")
        .expect("an instruction")
        .1;
    after.split_once("\n\n# Row").expect("a row").0.to_owned()
}

#[test]
fn placeholders_are_filled_in_one_pass() {
    let sandbox = with_rows("path,other,two words\nsrc/{other}.rs,NO,2\n");
    assert_eq!(rendered(&sandbox, "read {path}!"), "read src/{other}.rs!");
    assert_eq!(rendered(&sandbox, "{two words}{Path}"), "2{Path}");
    assert_eq!(
        rendered(&sandbox, "{missing} { path }"),
        "{missing} { path }"
    );
    assert_eq!(rendered(&sandbox, "{{path}} {{{path}}}"), "{path} {{path}}");
}

#[test]
fn an_unknown_placeholder_is_warned_of() {
    let sandbox = with_rows("path\na\n");
    let options = "--dry-run --instruction '{Path} {path} {{x}}'";
    let said = spawn(&sandbox, options, "true");
    assert_snapshot!(said.err, @r"
    warning: {Path} in the instruction is not a column; left unchanged; columns: path

    Dry run: 1 row, at most 16 at once; nothing was started.
    ");
}

#[test]
fn rows_that_stray_quotes_took_into_a_cell_are_warned_of() {
    let options = "--dry-run --instruction {id}";
    let told = |rows: &str| {
        let sandbox = with_rows(rows);
        let said = spawn(&sandbox, options, "true").exits(0);
        said.err
    };
    let swallowed = told("id,name,size\n1,\"5 inch,a\n2,x,b\n3,y\",c\n4,z,d\n");
    assert_contains(
        &swallowed,
        ":2: lines 2 to 4 are one row: its cell in column 2 (name) contains lines that look like rows",
    );
    let meant = told("id,prompt\n1,\"Read this, please,\nand that\"\n2,\"a\n\nb\"\n");
    assert!(!meant.contains("warning"), "{meant}");
}

#[test]
fn the_rendered_prompt() {
    let sandbox = with_rows("path,note\na.rs,\"say \"\"hi\"\"\"\n");
    sandbox.write("schema.json", r#"{"required":["answer"]}"#);
    let options =
        "--dry-run --id-column path --instruction 'Read {path}.' --output-schema schema.json";
    let said = spawn(&sandbox, options, "true");
    assert_snapshot!(redacted(&said.out), @r#"
    You are processing one item of a batch job. Do this item only.

    Job: JOB
    Item: a.rs

    # Instruction

    Read a.rs.

    # Row, as data

    ```json
    {
      "path": "a.rs",
      "note": "say \"hi\""
    }
    ```

    # Result

    Return exactly one JSON object that matches this JSON Schema:

    ```json
    {
      "required": [
        "answer"
      ]
    }
    ```

    Return it once, in one of these ways: call `mesh report-result --result JSON` (or `--result -` to read it from standard input), write it to the file named by MESH_RESULT_FILE, or print it at the end of standard output. `mesh report-result --stop` also ends the whole job early; use it only if processing the other items would be pointless. Then stop.
    "#);
}

#[test]
fn a_dry_run_starts_and_writes_nothing() {
    let sandbox = with_rows("path\na\n");
    spawn(&sandbox, "--dry-run", "touch started").exits(0);
    let names: Vec<_> = sandbox.tree().into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, [Path::new("in.csv")]);
    assert!(!sandbox.mesh_home().exists());
}

#[test]
fn an_instruction_from_a_file_may_be_long() {
    let sandbox = with_rows("path\na.rs\n");
    let long = "x".repeat(100_000);
    sandbox.write("instruction.md", &format!("{long} {{path}}"));
    let options = "--instruction-file instruction.md";
    spawn_agent(&sandbox, options, "--echo").exits(0);
    let prompt = result(&sandbox)["prompt"].to_string();
    assert!(prompt.contains(&format!("{long} a.rs")), "{}", prompt.len());
}

#[test]
fn cells_reach_the_worker_as_they_are_and_never_through_a_shell() {
    let cells = [
        "$(touch x)",
        "`touch x`",
        "a \"b\" 'c'",
        "two\nlines",
        "--help",
        "-",
        "; touch x",
        "*",
        "{id}",
        "\\",
    ];
    let sandbox = Sandbox::new();
    let mut csv = csv::Writer::from_path(sandbox.path("in.csv")).expect("a file");
    csv.write_record(["id", "cell"]).expect("written");
    for cell in cells {
        csv.write_record(["i", cell]).expect("written");
    }
    csv.flush().expect("written");
    let script = r#"json=$1; shift; sep=; printf '{"args":['
        for a; do printf '%s' "$sep"; printf %s "$a" | "$json"; sep=,; done; printf ']}\n'"#;
    let json = json_string();
    let command = [
        "sh", "-c", script, "sh", &json, "{cell}", "<{cell}>", "{none}",
    ];
    spawn(&sandbox, "", &command).exits(0);
    for (row, cell) in rows(&sandbox).iter().zip(cells) {
        let got: Value = serde_json::from_str(&row["result_json"]).expect("an object");
        let wanted = serde_json::json!({"args": [cell, format!("<{cell}>"), "{none}"]});
        assert_eq!(got, wanted);
    }
    assert!(!sandbox.path("x").exists());
}

#[test]
fn the_environment_is_an_allow_list() {
    let sandbox = with_schema("id,text\na,\"x\"\"y\"\n");
    let options = "--id-column id --output-schema schema.json --env WANTED";
    let script = r#"printf '{"answer":%s}\n' "$(env | "$0")""#;
    sandbox
        .command(arguments(options, &["sh", "-c", script, &json_string()]))
        .env("SECRET", "s")
        .env("WANTED", "w")
        .env("LC_ALL", "C")
        .env("MESH_QUIET", "1")
        .run_to_end()
        .exits(0);
    let result = result(&sandbox);
    let lines = result["answer"].as_str().expect("a text").lines();
    let env: BTreeMap<&str, &str> = lines.filter_map(|line| line.split_once('=')).collect();
    let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    let names: Vec<&str> = env
        .keys()
        .copied()
        .filter(|name| !of_the_shell.contains(name))
        .collect();
    assert_eq!(
        names,
        [
            "HOME",
            "LC_ALL",
            "MESH_ATTEMPT",
            "MESH_DEPTH",
            "MESH_ITEM_ID",
            "MESH_JOB_ID",
            "MESH_REPORT_SOCKET",
            "MESH_REPORT_TOKEN",
            "MESH_RESULT_FILE",
            "MESH_ROW_JSON",
            "MESH_RUN_ID",
            "MESH_SCHEMA_FILE",
            "PATH",
            "WANTED",
        ]
    );
    assert_eq!(env["MESH_ITEM_ID"], "a");
    assert_eq!(env["MESH_ATTEMPT"], "1");
    assert_eq!(env["MESH_RUN_ID"], run_id(&sandbox).as_str());
    assert_eq!(env["MESH_JOB_ID"], rows(&sandbox)[0]["job_id"]);
    assert_eq!(env["MESH_ROW_JSON"], r#"{"id":"a","text":"x\"y"}"#);
}

#[test]
fn a_large_row_travels_in_a_file() {
    let sandbox = with_rows(&format!("text\n{}\n", "é".repeat(40_000)));
    let script = r#"printf '{"bytes":%d,"inline":"%s"}\n' "$(($(wc -c <"$MESH_ROW_FILE")))" "${MESH_ROW_JSON-none}""#;
    spawn(&sandbox, "", &["sh", "-c", script]).exits(0);
    assert_eq!(
        result(&sandbox).to_string(),
        r#"{"bytes":80011,"inline":"none"}"#
    );
}

#[test]
fn the_schema_is_given_as_a_file() {
    let sandbox = with_schema("id\na\n");
    let script = r#"printf '{"answer":%s}\n' "$("$0" <"$MESH_SCHEMA_FILE")""#;
    spawn(
        &sandbox,
        "--output-schema schema.json",
        &["sh", "-c", script, &json_string()],
    );
    let result = result(&sandbox);
    let text = result["answer"].as_str().expect("a text");
    let schema: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(schema, serde_json::from_str::<Value>(SCHEMA).expect("JSON"));
}
