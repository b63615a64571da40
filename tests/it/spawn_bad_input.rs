//! What `mesh spawn` refuses before anything starts: exit code 2 or 3, a message with its place, no run, no worker.

use crate::fixture::*;
use insta::assert_snapshot;
use std::path::Path;

/// What was said to a command that has to be refused with `code`; paths of the sandbox are cut off.
fn refused(sandbox: &Sandbox, code: i32, args: impl Into<Args>) -> String {
    let before = sandbox.tree();
    let said = sandbox.mesh(Args::from("spawn").and(args)).exits(code);
    assert_eq!(said.out, "");
    assert!(!sandbox.mesh_home().exists(), "a run was begun: {said}");
    assert_eq!(sandbox.tree(), before, "something was written: {said}");
    said.err
        .replace(&format!("{}/", sandbox.work().display()), "")
}

/// What is said to an input.
fn input(content: &[u8]) -> String {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.csv"), content).expect("written");
    refused(&sandbox, 2, "in.csv --instruction x -- touch started")
}

fn recorded(name: &str) -> String {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases");
    input(&std::fs::read(cases.join(name)).expect("a case"))
}

/// What is said to options, with a good input.
fn options(code: i32, options: impl Into<Args>) -> String {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id,mock\n1,ok\n");
    let mut args = Args::from("in.csv --instruction x").and(options);
    if !args.contains("--") && !args.contains("--adapter") {
        args = args.and("-- touch started");
    }
    refused(&sandbox, code, args)
}

#[test]
fn the_recorded_inputs() {
    assert_snapshot!(recorded("dup_header.csv"), @r"
    error: `in.csv`, line 1, column 2: header `id` appears twice (first as column 1)
    hint: give the columns different names, or add: --rename 'id=id_1'
    ");
    assert_snapshot!(recorded("empty.csv"), @"error: `in.csv`, line 1: the file is empty; a CSV needs a header row");
    assert_snapshot!(recorded("ragged_long.csv"), @r"
    error: `in.csv`, line 3, column 3: row 2 has 3 fields but the header has 2
    hint: quote fields that hold the separator, or name another one with --delimiter
    ");
    assert_snapshot!(recorded("ragged_short.csv"), @r"
    error: `in.csv`, line 3, column 2: row 2 has 1 field but the header has 2
    hint: quote fields that hold the separator, or name another one with --delimiter
    ");
    assert_snapshot!(recorded("latin1.csv"), @r"
    error: `in.csv`, line 2, column 3: not valid UTF-8 (byte 0xE9)
    hint: name its encoding, for example: --encoding windows-1252
    ");
}

#[test]
fn a_row_after_a_quoted_line_break_is_named_by_its_line() {
    assert!(input(b"id,t\n1,\"a\nb\"\n2\n").contains("line 4, column 2: row 2"));
}

#[test]
fn only_a_byte_order_mark_is_an_empty_file() {
    assert!(input(b"\xEF\xBB\xBF").contains("the file is empty"));
}

#[test]
fn a_missing_input_is_refused() {
    let sandbox = Sandbox::new();
    let said = refused(&sandbox, 2, "no.csv --instruction x -- true");
    assert_snapshot!(said, @r"
    error: `no.csv` can't be read
      caused by: No such file or directory (os error 2)
    ");
}

#[test]
fn a_missing_id_column_is_refused() {
    assert_snapshot!(options(2, "--id-column Id"), @r"
    error: `in.csv` has no column `Id`; its columns are: id, mock
    hint: names are case-sensitive; leave --id-column out to number the rows
    ");
}

#[test]
fn the_output_is_never_the_input() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    sandbox.write("sub/other", "");
    std::os::unix::fs::symlink("in.csv", sandbox.path("link.csv")).expect("a link");
    std::fs::hard_link(sandbox.path("in.csv"), sandbox.path("hard.csv")).expect("a link");
    for output in ["in.csv", "./sub/../in.csv", "link.csv", "hard.csv"] {
        for input in ["in.csv", "link.csv"] {
            let args = format!("'{input}' --instruction x --force -o '{output}' -- true");
            let said = refused(&sandbox, 2, &args);
            assert_contains(&said, "is the input\nhint: name another file with -o");
        }
    }
}

#[test]
fn the_output_is_no_folder_and_replaces_nothing_without_force() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    sandbox.write("old/old.csv", "precious");
    let to = |output: &str, force: &[&str]| {
        let mut args = vec!["in.csv", "--instruction", "x", "-o", output];
        args.extend(force);
        args.extend(["--", "true"]);
        refused(&sandbox, 2, &args)
    };
    assert_snapshot!(to("old", &["--force"]), @r"
    error: output `old` is a folder
    hint: name a file in it with -o
    ");
    assert_snapshot!(to("old/old.csv", &[]), @r"
    error: output `old/old.csv` already exists
    hint: resume the run that wrote it with --resume, replace it with --force, or pass another file with -o
    ");
    let args = "in.csv --instruction x -o old/old.csv -- true --resume";
    let args: Vec<&str> = args.split(' ').collect();
    assert_snapshot!(refused(&sandbox, 2, &args), @r"
    error: output `old/old.csv` already exists
    hint: `--resume` stands after `--` and is an argument of the worker command; options of `mesh spawn` stand before `--`
    ");
}

#[test]
fn numbers_below_one_are_refused() {
    for option in [
        "-j",
        "--max-concurrency",
        "--max-workers",
        "--max-runtime-seconds",
    ] {
        let said = options(2, &[option, "0"]);
        assert!(said.contains("must be at least 1"), "{option}: {said}");
    }
    assert!(options(2, "-j many").contains("must be a whole number"));
    assert!(options(2, "--delimiter ;;").contains("one ASCII character"));
    let said = options(2, "--encoding windows-9");
    assert!(said.contains("examples: windows-1252"), "{said}");
}

#[test]
fn a_variable_and_a_file_are_checked_like_the_command_line() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    let args = [
        "spawn",
        "in.csv",
        "--instruction",
        "x",
        "--",
        "touch",
        "started",
    ];
    let mut mesh = sandbox.command(&args);
    mesh.env("MESH_MAX_CONCURRENCY", "0");
    mesh.run_to_end().exits(2);
    sandbox.write("mesh.yaml", "\nmax_concurrency: 0\n");
    let said = refused(&sandbox, 2, &args[1..]);
    assert!(said.contains("must be at least 1"), "{said}");
    sandbox.write("mesh.yaml", "retries: 1\nmax_concurency: 2\n");
    assert_snapshot!(refused(&sandbox, 2, &args[1..]), @"error: `mesh.yaml`, line 2: unknown key `max_concurency`");
    sandbox.write("mesh.yaml", "adapters:\n  x: {comand: [true]}\n");
    let said = refused(&sandbox, 2, &args[1..]);
    assert_starts_with(&said, "error: `mesh.yaml`, line 1: `adapters`");
}

#[test]
fn no_instruction() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    let said = refused(&sandbox, 2, "in.csv -- true");
    assert!(said.contains("--instruction"), "{said}");
    let args = "in.csv --instruction-file no.md -- true";
    assert!(refused(&sandbox, 2, args).contains("no.md` can't be read"));
}

#[test]
fn an_invalid_schema_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    for (text, place) in [
        ("{\n \"type\": }", ", line 2, column 10: "),
        ("{\"type\": \"objekt\"}", " at /type: "),
        (
            "{\"$ref\": \"http://example.invalid/s.json\"}",
            "example.invalid",
        ),
    ] {
        sandbox.write("schema.json", text);
        let args = "in.csv --instruction x --output-schema schema.json -- true";
        let said = refused(&sandbox, 2, args);
        assert_starts_with(&said, "error: schema `schema.json`");
        assert_contains(&said, place);
    }
}

#[test]
fn a_missing_or_non_executable_program_is_refused() {
    assert_snapshot!(options(3, "-- no-such-agent"), @r"
    error: adapter `command`
      caused by: worker program `no-such-agent` does not exist
    hint: install it, add its folder to PATH, or pass its path
    ");
    assert_snapshot!(options(3, "-- ./in.csv"), @r"
    error: adapter `command`
      caused by: worker program `./in.csv` is not executable
    hint: chmod +x './in.csv'
    ");
}

#[test]
fn no_adapter_or_an_unknown_one() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "id\n1\n");
    let said = sandbox
        .command("spawn in.csv --instruction x")
        .env("PATH", sandbox.path_with(&["git"]))
        .run_to_end()
        .exits(3);
    assert_eq!(said.out, "");
    said.err_starts_with("error: no usable adapter: looked for ");
    assert!(!sandbox.mesh_home().exists());
    let said = options(2, "--adapter nobody");
    assert_starts_with(
        &said,
        "error: unknown adapter `nobody`; known: codex, claude, gemini, opencode, replay",
    );
}

#[test]
fn a_run_that_does_not_exist() {
    let sandbox = Sandbox::new();
    for command in ["resume", "runs"] {
        let args: &[&str] = match command {
            "resume" => &["resume", "20260213T015500Z"],
            _ => &["runs", "show", "../x"],
        };
        assert_eq!(sandbox.mesh(args).code, 2, "{command}");
    }
}
