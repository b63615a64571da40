//! Which of the objects in what a worker wrote is its answer, and what it is told when there is none.

use super::*;

const WANTED: &str = r#"{"type":"object","required":["n","s"],"properties":{"n":{"type":"integer"},"s":{"type":"string"}}}"#;
const ANSWER: &str = r#"completed | 1 |  | {"n":1,"s":"a"}"#;

fn answered(text: &[u8], options: impl Into<Args>, command: impl Into<Args>) -> Sandbox {
    let sandbox = with_rows("id\na\n");
    sandbox.write("schema.json", WANTED);
    std::fs::write(sandbox.path("text"), text).expect("written");
    let options = Args::from("--output-schema schema.json --retries 0").and(options);
    spawn(&sandbox, options, command);
    sandbox
}

fn printed(text: impl AsRef<[u8]>) -> String {
    ended(&answered(text.as_ref(), "", "cat text"))
}

/// The error of the only row.
fn refused(text: impl AsRef<[u8]>) -> String {
    let sandbox = answered(text.as_ref(), "", "cat text");
    assert_eq!(table(&sandbox, "status result_json"), "failed |");
    table(&sandbox, "last_error")
}

#[test]
fn the_last_standalone_object_that_fits_the_schema_is_the_answer() {
    for text in [
        "Here is my answer:\n```\n{\n  \"n\": 1,\n  \"s\": \"a\"\n}\n```\n",
        "x\n```jsonc\n{\n  \"n\": 1,\n  \"s\": \"a\"\n}\n```\n",
        "{\n  \"n\": 1,\n  \"s\": \"a\"\n}\n\nThis is because the file is short.\n",
        "The answer is {\"n\": 1, \"s\": \"a\"} as asked.\n",
        "\u{feff}{\"n\": 1, \"s\": \"a\"}\n",
        "<think>\nDraft:\n```json\n{\"n\": 9, \"s\": \"draft\"}\n```\nno.\n</think>\n{\"n\": 1, \"s\": \"a\"}\n",
        "\u{1b}[?25h\u{1b}[32m{\"n\": 1, \"s\": \"a\"}\u{1b}[0m\r\n",
        "{\n  \"n\": 1,\n  \"s\": \"a\"\n}\nnpm notice New version available\n",
        "Here:\n```json\n{\n  \"n\": 1,\n  \"s\": \"a\"\n}\n",
        "```json\n{\"n\": 9, \"s\": \"draft\"}\n```\nNo:\n{\"n\": 1, \"s\": \"a\"}\n",
        "~~~json title=\"x\"\n{\"n\": 1, \"s\": \"a\"}\n~~~\n",
        "{\"n\": 1, \"s\": \"a\"}\n{\"level\": \"info\", \"msg\": \"bye\"}\n",
    ] {
        assert_eq!(printed(text), ANSWER, "{text}");
    }
}

#[test]
fn the_result_file_obeys_the_same_rule() {
    let text = b"<thinking>{\"n\":9,\"s\":\"b\"}</thinking>\n```\n{\"n\": 1, \"s\": \"a\"}\n```\n";
    let script = r#"cp text "$MESH_RESULT_FILE"; echo '{"n":3,"s":"c"}'"#;
    assert_eq!(ended(&answered(text, "", &["sh", "-c", script])), ANSWER);
}

#[test]
fn a_refusal_says_what_is_wrong_and_where() {
    for (text, error) in [
        (
            "{\"n\": 1, \"s\": \"a\",}\n",
            "trailing comma at line 1 column 18",
        ),
        (
            "[{\"n\": 1, \"s\": \"a\"}]\n",
            "a JSON array; an object is asked for",
        ),
        (
            "{\"n\": 1, \"in\": {\"n\": 2, \"s\": \"b\"},\n \"s\": \"a",
            "cut off at line 2 column 9: never closed: the string that begins at line 2 column 7",
        ),
        ("{'n': 1, 's': 'a'}", "single quotes at line 1 column 2"),
        (
            "{\n  // why\n  \"n\": 1, \"s\": \"a\",\n  \"in\": {\"n\": 2, \"s\": \"b\"}\n}\n",
            "a comment at line 2 column 3",
        ),
        ("{\"n\": \"1\", \"s\": \"a\"}", "/n: "),
    ] {
        let said = refused(text);
        assert!(
            said.starts_with("invalid_output_schema: "),
            "{text}: {said}"
        );
        assert!(said.contains(error), "{text}: {said}");
    }
    assert!(refused("I am done.").starts_with("no_response: no JSON object in 10 bytes"));
    assert!(refused("<think>{\"n\": 1, \"s\": \"a\"}").starts_with("no_response: "));
}

#[test]
fn the_retry_prompt_says_it_too() {
    let script = r#"cat >"prompt$MESH_ATTEMPT"; cat text"#;
    let text = b"{\"n\": 1, \"s\": \"a\",}\n";
    let sandbox = with_rows("id\na\n");
    std::fs::write(sandbox.path("text"), text).expect("written");
    spawn(&sandbox, "--retries 1", &["sh", "-c", script]);
    let prompt = sandbox.read("prompt2");
    assert_contains(&prompt, "trailing comma at line 1 column 18");
}

#[test]
fn undecodable_bytes_are_refused_with_their_position() {
    let text = b"{\"n\": 1, \"s\": \"caf\xe9\"}\n";
    let place = "not valid UTF-8: byte 0xE9 at line 1 column 19 (byte offset 18)";
    let said = refused(text);
    assert_starts_with(&said, "invalid_output_schema: ");
    assert_contains(&said, place);
    let file = answered(text, "", &["sh", "-c", r#"cp text "$MESH_RESULT_FILE""#]);
    let said = table(&file, "last_error");
    assert_starts_with(&said, "invalid_output_schema: ");
    assert_contains(&said, place);
    let script = r#""$MESH" report-result --result @text >said; true"#;
    let report = answered(text, "--env MESH", &["sh", "-c", script]);
    assert!(
        report.read("said").contains(place),
        "{}",
        report.read("said")
    );
}

#[test]
fn numbers_come_back_as_they_were_written() {
    let object = r#"{"z":1e3,"a":[1E+3,-0.0,1.0,0.10],"big":12345678901234567890,"in":{"x":{"y":-2.5E-7}},"n":1,"s":"a"}"#;
    let spaced = object.replace(':', " : ").replace(',', " ,\n");
    let report = r#""$MESH" report-result --result "$(cat text)" >/dev/null"#;
    for command in [&["cat", "text"][..], &["sh", "-c", report][..]] {
        let sandbox = answered(spaced.as_bytes(), "--env MESH", command);
        assert_eq!(rows(&sandbox)[0]["result_json"], object);
    }
}
