//! Command lines, variables and configuration: what is refused, and what is shown of it.

use super::*;

/// So many texts are in one argument; all of them are shown.
const TOGETHER: usize = 6;

/// The texts for `input`, some in each argument.
fn arguments(matrix: &mut Matrix, input: &'static str) -> Vec<String> {
    matrix.carry(input);
    let short = corpus::words(input)
        .into_iter()
        .map(|(_, text)| text)
        .filter(|text| text.len() < 1000);
    let short: Vec<String> = short.collect();
    short.chunks(TOGETHER).map(|some| some.join(" ")).collect()
}

#[test]
fn arguments_variables_and_configuration_are_shown_as_texts() {
    let (sandbox, mut matrix) = (
        Sandbox::with_repo(&[("in.csv", "id,text\na,b\n")]),
        Matrix::default(),
    );
    sandbox.mesh("st init").exits(0);
    sandbox.mesh("st add --id a --step x").exits(0);
    sandbox
        .mesh("spawn in.csv -o out.csv --instruction {id} -- echo {}")
        .exits(0);
    let spawn = "spawn in.csv --instruction x";
    // What stands before the argument and after it.
    let calls: [(&str, &str, &str); 20] = [
        ("command", "", ""),
        ("run", "runs show", ""),
        ("resume", "resume", ""),
        ("input", "spawn --instruction x", "-- true"),
        (
            "idcolumn",
            "spawn in.csv --instruction x --id-column",
            "-- true",
        ),
        (
            "delimiter",
            "spawn in.csv --instruction x --delimiter",
            "-- true",
        ),
        ("runid", "spawn in.csv --instruction x --run-id", "-- true"),
        ("rename", "spawn in.csv --instruction x --rename", "-- true"),
        (
            "instruction",
            "spawn in.csv --dry-run --instruction",
            "-- true",
        ),
        (
            "program",
            "spawn in.csv --instruction x -o never.csv --",
            "",
        ),
        ("adapter", "spawn in.csv --instruction x --adapter", ""),
        ("where", "inspect out.csv --where", ""),
        ("columns", "inspect out.csv --columns", ""),
        ("wave", "wave lint", ""),
        ("setting", "run --dry-run", ""),
        ("protocol", "run --protocol", "-- true"),
        ("step", "st add --step", ""),
        ("status", "st set-status --status pending --id", ""),
        ("learning", "learnings append --learning", ""),
        ("message", "invoke", ""),
    ];
    for (input, before, after) in calls {
        let mut printed = String::new();
        for argument in arguments(&mut matrix, input) {
            // A program takes what begins with a hyphen for an option.
            let argument = match input {
                "message" => format!("$mesh run {argument}"),
                _ => argument.trim_start_matches('-').to_owned(),
            };
            let said = sandbox.mesh(Args::from(before).and(&[&argument]).and(after));
            printed.push_str(&said.out);
            printed.push_str(&said.err);
        }
        matrix.look(before, terminal_is_tame, printed.as_bytes());
    }
    let mut printed = String::new();
    for value in arguments(&mut matrix, "variable") {
        let mut command = sandbox.command(Args::from(spawn).and("-- true"));
        printed.push_str(&command.env("MESH_RETRIES", value).run_to_end().exits(2).err);
    }
    matrix.look("MESH_RETRIES", terminal_is_tame, printed.as_bytes());
    let mut printed = String::new();
    for value in arguments(&mut matrix, "yaml") {
        for yaml in [
            serde_json::json!({"retries": value}),
            serde_json::json!({value: 1}),
        ] {
            sandbox.write("mesh.yaml", &yaml.to_string());
            printed.push_str(&sandbox.mesh(Args::from(spawn).and("-- true")).exits(2).err);
        }
    }
    matrix.look("mesh.yaml", terminal_is_tame, printed.as_bytes());
    std::fs::remove_file(sandbox.path("mesh.yaml")).expect("removed");
    for args in [
        "st show",
        "st show --format table",
        "st ready",
        "learnings recall --limit 100 --query x",
    ] {
        matrix.look(args, terminal_is_tame, sandbox.mesh(args).out.as_bytes());
    }
    for args in [
        "st show --format json",
        "st export",
        "st emit-plan-sync",
        "learnings recall --limit 100 --query x --json",
    ] {
        matrix.look(
            args,
            printed_json_is_tame,
            sandbox.mesh(args).out.as_bytes(),
        );
    }
    let learnings = sandbox.read(".learnings.jsonl");
    matrix.look(".learnings.jsonl", json_is_valid, learnings.as_bytes());
    matrix.assert_is_as_before("commands");
    assert_no_canary(&sandbox);
}
