//! Inputs that are not UTF-8 with commas: read as what they are, or refused before anything starts.

use super::*;

fn with_bytes(bytes: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("in.csv"), bytes).expect("written");
    sandbox
}

/// Runs `echo` over the input and gives what the ledger's copy and the output say of the cells.
fn worked(bytes: &[u8], options: impl Into<Args>) -> String {
    let sandbox = with_bytes(bytes);
    let options = Args::from("--instruction 'see {path}'").and(options);
    spawn(&sandbox, options, "echo {}").exits(0);
    table(&sandbox, "path topic status")
}

fn refused(bytes: &[u8], options: impl Into<Args>) -> String {
    let sandbox = with_bytes(bytes);
    let options = Args::from("--instruction 'see {path}'").and(options);
    let said = spawn(&sandbox, options, "touch started").exits(2);
    assert!(!sandbox.path("started").exists() && !sandbox.path("out.csv").exists());
    assert!(
        !sandbox.mesh_home().join("runs").exists(),
        "a run was begun"
    );
    let folder = format!("{}/", sandbox.work().display());
    said.err.replace(&folder, "")
}

#[test]
fn other_encodings_and_separators_are_read() {
    let utf16: Vec<u8> = "\u{feff}path,topic\r\na.rs,x\u{e4}\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(worked(&utf16, ""), "a.rs | x\u{e4} | completed");
    let cp1252 = b"path,topic\na.rs,caf\xe9\n";
    assert_eq!(
        worked(cp1252, "--encoding windows-1252"),
        "a.rs | caf\u{e9} | completed"
    );
    assert_eq!(
        worked(b"sep=;\r\npath;topic\r\na.rs;x,y\r\n", ""),
        "a.rs | x,y | completed"
    );
    assert_eq!(
        worked(b"sep=,\r\npath,topic\r\na.rs,x\r\n", ""),
        "a.rs | x | completed"
    );
    // The option wins over the line.
    assert_eq!(
        worked(b"sep=,\npath;topic\na.rs;x,y\n", "--delimiter semicolon"),
        "a.rs | x,y | completed"
    );
    for tab in ["tab", "\\t", "\t"] {
        assert_eq!(
            worked(b"path\ttopic\na.rs\tx\n", &["--delimiter", tab]),
            "a.rs | x | completed"
        );
    }
}

#[test]
fn what_means_something_else_is_refused() {
    assert_snapshot!(refused(b"path,topic\na.rs,\"x\nb.rs,y\nc.rs,z\n", ""), @r#"
    error: `in.csv`, line 2, column 2: the quote that is opened here is never closed
    hint: close it at the end of its field; a quote that belongs to the text is doubled, and the field quoted: "5"" pipe"
    "#);
    assert_snapshot!(refused(b"path,topic\na.rs,caf\xe9\n", ""), @r"
    error: `in.csv`, line 2, column 2: not valid UTF-8 (byte 0xE9)
    hint: name its encoding, for example: --encoding windows-1252
    ");
    assert_snapshot!(refused(b"path;topic\na.rs;x\nb.rs;y\n", ""), @r"
    error: `in.csv`: no placeholder is a column, and the header holds `;`: it is read as `path;topic`
    hint: --delimiter ';'
    ");
    assert!(refused(b"path\ttopic\na.rs\tx\n", "").contains("hint: --delimiter tab\n"));
    let bare: Vec<u8> = "path,topic\na,b\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert!(refused(&bare, "").contains("hint: --encoding utf-16be\n"));
    assert_snapshot!(refused(b"path,topic\na,\x81\n", "--encoding windows-1252"), @r"
    error: `in.csv`, line 2: holds bytes that are no character in windows-1252
    hint: it has another encoding: name that with --encoding, or save the file as UTF-8
    ");
    assert_snapshot!(refused(b"\xff\xfep\0a\0\n\0a\0\n\0x", ""), @r"
    error: `in.csv`, line 3: holds bytes that are no character in UTF-16LE
    hint: it is cut off or damaged there: export it again, if possible as UTF-8
    ");
}

#[test]
fn a_nul_byte_in_an_argument_is_named_before_anything_starts() {
    let sandbox = with_bytes(b"path,topic\na,b\nc,d\0e\n");
    let said = spawn(&sandbox, "", "touch started {topic}").exits(2);
    said.err_has("in.csv`, line 3, column 2 (`topic`): row 2 has a NUL byte there, which can't be part of an argument of the command");
    assert!(!sandbox.path("started").exists());
    // Where it is text it is text, and a row that is not picked does not matter.
    spawn(&sandbox, "", "echo {}").exits(0);
    let picked = "--rows 1 --force";
    spawn(&sandbox, picked, "echo {} {topic}").exits(0);
}

#[test]
fn an_output_fed_back_twice_is_renamed_by_the_line_that_is_printed() {
    let sandbox = with_rows("id,with space\n1,x\n");
    for input in ["in.csv", "1.csv"] {
        let output = if input == "in.csv" { "1.csv" } else { "2.csv" };
        let args = [
            "spawn",
            input,
            "-o",
            output,
            "--instruction",
            "x",
            "--",
            "echo",
            "{}",
        ];
        sandbox.mesh(&args).exits(0);
    }
    let refused = sandbox
        .mesh("spawn 2.csv --instruction x -- echo {}")
        .exits(2);
    let line = refused.err.split("or add: ").nth(1).expect("a line").trim();
    // Pasted, that is: through a shell.
    let script = format!("\"$@\" spawn 2.csv -o 3.csv --instruction x {line} -- echo '{{}}'");
    let said = sandbox.shell(&script, "").run_to_end();
    assert_eq!(said.code, 0, "{line}\n{}", said.err);
    let header = sandbox.read("3.csv");
    assert_starts_with(&header, "id,with space,job_id_1,item_id_1,");
}

#[test]
fn a_resumed_run_reads_its_copy_in_the_same_way() {
    let sandbox = with_bytes(b"path;topic\na.rs;caf\xe9\nb.rs;x\n");
    let script = r#"test -e go || { touch go; exit 1; }; cat >prompt; echo '{}'"#;
    let options = "--encoding latin1 --delimiter ; -j 1 --halt now,fail=1";
    spawn(&sandbox, options, &["sh", "-c", script]).exits(4);
    sandbox
        .mesh("spawn --resume in.csv --retry-failed")
        .exits(0);
    assert_eq!(
        table(&sandbox, "path topic status"),
        "a.rs | caf\u{e9} | completed\nb.rs | x | completed"
    );
}
