//! Inputs and schemas that are not what they should be, or only look odd.

use super::*;
use std::os::unix::fs::PermissionsExt;

/// What is said to a command line that has to be refused before anything starts.
fn refused(sandbox: &Sandbox, args: impl Into<Args>) -> String {
    let said = sandbox.mesh(args).exits(2);
    assert_eq!(said.out, "");
    assert!(!sandbox.mesh_home().exists(), "a run was begun: {said}");
    assert!(!sandbox.path("started").exists(), "{said}");
    said.err
        .replace(&format!("{}/", sandbox.work().display()), "")
}

#[test]
fn a_directory_is_not_a_csv_file() {
    let sandbox = Sandbox::new();
    sandbox.write("folder/in.csv", "id\n1\n");
    let args = "spawn folder --instruction x -- touch started";
    assert_snapshot!(refused(&sandbox, args), @r"
    error: `folder` can't be read
      caused by: Is a directory (os error 21)
    ");
}

#[test]
fn an_unreadable_file_is_named() {
    let sandbox = with_rows("id\n1\n");
    let mode = |path: &Path, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("changed");
    };
    mode(&sandbox.path("in.csv"), 0o000);
    let work = sandbox.work();
    let mut mesh = sandbox.command(arguments("", "touch started"));
    if std::fs::File::open(sandbox.path("in.csv")).is_ok() {
        // Root may read everything, so somebody else has to try, with a copy of the program within reach.
        let root = work.parent().expect("a root");
        mode(root, 0o755);
        mode(&work, 0o777);
        // As for a program that a test writes, another process does it.
        let mut copy = Command::new("cp");
        copy.arg(env!("CARGO_BIN_EXE_mesh")).arg(root.join("mesh"));
        assert!(copy.status().expect("cp starts").success());
        mesh = somebody(&mesh, &root.join("mesh"));
    }
    let said = mesh.run_to_end().exits(2);
    let talk = said.err.replace(&format!("{}/", work.display()), "");
    assert_snapshot!(talk, @r"
    error: `in.csv` can't be read
      caused by: Permission denied (os error 13)
    ");
}

/// `command` as a user without rights runs it, by another path.
fn somebody(command: &Command, program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut other = Command::new(program);
    other
        .args(command.get_args())
        .current_dir(command.get_current_dir().expect("a folder"))
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .stdin(Stdio::null())
        .uid(65534)
        .gid(65534);
    other
}

#[test]
fn a_record_without_an_end_is_refused_within_bounded_memory() {
    for head in ["id\n", "id\n1\n\"", ""] {
        let sandbox = with_rows(head);
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open(sandbox.path("in.csv"));
        // Two gigabytes on one line, of which the disk holds next to nothing.
        file.and_then(|file| file.set_len(2 << 30))
            .expect("a sparse file");
        let script = "ulimit -v 1000000 2>/dev/null; exec \"$@\"";
        let said = sandbox
            .shell(script, arguments("", "touch started"))
            .run_to_end();
        assert_eq!(said.code, 2, "{head:?}: {}", said.err);
        let line = head.lines().count().max(1) + usize::from(head == "id\n");
        let place = format!("in.csv`, line {line}");
        assert!(said.err.contains(&place), "{head:?}: {}", said.err);
        assert!(!sandbox.mesh_home().exists());
    }
}

#[test]
fn a_named_pipe_is_read_once_and_the_job_resumes_without_it() {
    let sandbox = Sandbox::new();
    let pipe = sandbox.path("in.csv");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo starts").success());
    let writer = std::thread::spawn(move || std::fs::write(pipe, "id,mock\n1,stop\n2,good\n"));
    let options = "--id-column id -j 1";
    spawn_agent(&sandbox, options, "--as {mock}").exits(4);
    writer.join().expect("no panic").expect("written");
    // Nobody writes into it any more.
    resume(&sandbox).exits(0);
    assert_eq!(
        table(&sandbox, "item_id mock status"),
        "1 | stop | completed\n2 | good | completed"
    );
}

#[test]
fn a_stream_without_lines_and_without_end_is_refused() {
    let sandbox = Sandbox::new();
    let said = sandbox
        .mesh("spawn /dev/zero --instruction work -- true")
        .exits(2);
    assert_eq!(
        said.err,
        "error: `/dev/zero`, line 1: a record of more than 16777216 bytes begins here\nhint: look there for a quote that is never closed\n"
    );
}

#[test]
fn a_nul_byte_is_accepted_where_it_can_be_passed_on() {
    let sandbox = with_rows("id,text\n1,a\0b\n2,c\n");
    let script = r#"printf %s "$MESH_ROW_JSON""#;
    spawn(&sandbox, "", &["sh", "-c", script]).exits(0);
    assert_eq!(
        table(&sandbox, "text result_json"),
        "a\0b | {\"id\":\"1\",\"text\":\"a\\u0000b\"}\nc | {\"id\":\"2\",\"text\":\"c\"}"
    );
}

#[test]
fn a_nul_byte_that_cannot_be_passed_on_is_refused_before_anything_starts() {
    for (options, command) in [
        (&[][..], &["echo", r#"{"text":"{text}"}"#][..]),
        (&["--id-column", "text"], &["echo", "{}"]),
    ] {
        let sandbox = with_rows("id,text\n1,a\0b\n2,c\n");
        let said = spawn(&sandbox, options, command).exits(2);
        let place = "line 2, column 2 (`text`): row 1 has a NUL byte";
        said.err_has(place);
        assert!(!said.err.contains('\0'), "{:?}", said.err);
        assert!(!sandbox.path("out.csv").exists());
    }
}

/// `mesh spawn` with a schema.
const WITH_SCHEMA: [&str; 9] = [
    "spawn",
    "in.csv",
    "--instruction",
    "x",
    "--output-schema",
    "schema.json",
    "--",
    "touch",
    "started",
];

#[test]
fn a_reference_to_nowhere_is_refused() {
    for reference in [
        "#/$defs/none",
        "#none",
        "other.json",
        "file:///etc/hostname",
    ] {
        let sandbox = with_rows("id\n1\n");
        sandbox.write("other.json", "{}");
        sandbox.write(
            "schema.json",
            &format!(r#"{{"properties":{{"a":{{"$ref":"{reference}"}}}}}}"#),
        );
        let said = refused(&sandbox, &WITH_SCHEMA);
        assert!(said.starts_with("error: schema `schema.json`"), "{said}");
    }
}

#[test]
fn a_remote_reference_is_refused_without_asking_for_it() {
    let remote = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    remote.set_nonblocking(true).expect("set");
    let address = remote.local_addr().expect("an address");
    for keyword in ["$ref", "$schema"] {
        let sandbox = with_rows("id\n1\n");
        sandbox.write(
            "schema.json",
            &format!(r#"{{"{keyword}":"http://{address}/schema.json"}}"#),
        );
        let said = refused(&sandbox, &WITH_SCHEMA);
        assert!(said.starts_with("error: schema `schema.json`"), "{said}");
        assert!(said.contains(&address.to_string()), "{said}");
    }
    let asked = remote.accept().map_err(|error| error.kind());
    assert_eq!(
        asked.expect_err("nobody came"),
        std::io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_schema_of_an_older_draft_is_read_by_its_own_rules() {
    let sandbox = with_rows(
        "r\n\"{\"\"v\"\":[\"\"x\"\",1]}\"\n\"{\"\"v\"\":[2]}\"\n\"{\"\"v\"\":[\"\"x\"\",1,true]}\"\n",
    );
    // An array of `items` and `additionalItems`: 2020-12 knows neither.
    sandbox.write(
        "schema.json",
        r##"{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"s":{"type":"string"}},
            "properties":{"v":{"items":[{"$ref":"#/definitions/s"},{}],"additionalItems":false}}}"##,
    );
    let options = "--output-schema schema.json --retries 0";
    spawn(&sandbox, options, "printf %s {r}").exits(1);
    assert_eq!(table(&sandbox, "status"), "completed\nfailed\nfailed");
    let errors = table(&sandbox, "last_error");
    assert!(errors.contains("invalid_output_schema: /v/0: "), "{errors}");
    assert!(errors.contains("invalid_output_schema: /v: "), "{errors}");
}

#[test]
fn an_id_that_looks_generated_gets_a_suffix() {
    let sandbox = with_rows("id,x\n\" \",1\nrow-1,2\nrow-4,3\n,4\nrow-4-2,5\n");
    spawn_agent(&sandbox, "--id-column id", "--good").exits(0);
    assert_snapshot!(table(&sandbox, "row_index item_id source_id"), @r"
    0 | row-1 |
    1 | row-1-2 | row-1
    2 | row-4 | row-4
    3 | row-4-2 |
    4 | row-4-2-2 | row-4-2
    ");
}

#[test]
fn twenty_thousand_rows_of_one_id_have_an_id_each() {
    let sandbox = with_rows(&format!("id\n{}", "same\n".repeat(20_000)));
    let options = "--id-column id --rows 1,2,19999-";
    spawn_agent(&sandbox, options, "--good").exits(0);
    assert_eq!(
        table(&sandbox, "row_index item_id"),
        "0 | same\n1 | same-2\n19998 | same-19999\n19999 | same-20000"
    );
}
