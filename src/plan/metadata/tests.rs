use serde_json::json;

use super::*;
use crate::model::Risk;
use crate::plan::item::Item;
use fields::SwarmOverrides;

fn item(fields: serde_json::Value) -> Item {
    let mut object = json!({"id": "st-001", "step": "s", "deps": []});
    for (name, value) in fields.as_object().expect("fields are an object") {
        object[name] = value.clone();
    }
    object.to_string().parse().expect("a good item")
}

fn read_notes(notes: &str) -> Result<Metadata, MetadataError> {
    read(&item(json!({ "notes": notes })))
}

fn write_notes(notes: &str, metadata: &Metadata) -> Result<String, MetadataError> {
    write(&item(json!({ "notes": notes })), metadata)
}

const GOOD: &str =
    "scope:\n  - src/foo.py\n  - 'tests/*.py'\nacceptance:\n  - foo() rejects it\nvalidation: []\n";

#[test]
fn a_block_and_a_bare_mapping_read_the_same() {
    let metadata = read_notes(GOOD).expect("a good mapping");
    assert_eq!(metadata.scope, ["src/foo.py", "tests/*.py"]);
    assert!(metadata.validation.is_empty() && !metadata.allow_no_validation);
    for fenced in [
        format!("Some words.\n\n~~~mesh\n{GOOD}~~~\nMore."),
        format!("```\ncode\n```\n ````mesh yaml\n{GOOD} ````"),
        format!("Words.\n\n```mesh\n{GOOD}```\n").replace('\n', "\r\n"),
        GOOD.replace('\n', "\r\n"),
    ] {
        assert_eq!(read_notes(&fenced).as_ref(), Ok(&metadata), "{fenced}");
    }
}

#[test]
fn optional_keys_are_read() {
    let metadata = read_notes(
        "scope: [a]\nacceptance: []\nrisk: high\nallow_no_validation: true\nswarm: {roles: 3, consensus_retries: 0}",
    );
    let metadata = metadata.expect("a good mapping");
    assert_eq!(
        (metadata.risk, metadata.allow_no_validation),
        (Some(Risk::High), true)
    );
    let swarm = SwarmOverrides {
        roles: Some(3),
        consensus_threshold: None,
        consensus_retries: Some(0),
        early_vote: None,
    };
    assert_eq!(metadata.swarm, swarm);
}

#[test]
fn first_class_fields_are_read_without_a_block() {
    let fields = json!({"scope": ["src/**"], "validation": [" make "], "notes": "words"});
    let metadata = read(&item(fields)).expect("first-class fields");
    assert_eq!(
        (metadata.scope, metadata.validation),
        (vec!["src/**".to_owned()], vec!["make".to_owned()])
    );
    for missing in [
        json!({"scope": ["a"]}),
        json!({"scope": [], "validation": []}),
        json!({"scope": "backend", "validation": []}),
    ] {
        let error = read(&item(missing.clone())).expect_err("no metadata");
        assert!(matches!(error, MetadataError::Missing { .. }), "{missing}");
    }
    for (broken, its_field) in [
        (json!({"scope": ["a", 7], "validation": []}), "scope"),
        (json!({"scope": ["a"], "validation": [" "]}), "validation"),
        (
            json!({"scope": ["a"], "validation": [], "acceptance": "b"}),
            "acceptance",
        ),
    ] {
        match read(&item(broken)) {
            Err(MetadataError::BrokenField { field, .. }) => assert_eq!(field, its_field),
            other => panic!("{its_field}: {other:?}"),
        }
    }
}

#[test]
fn errors_name_their_line_in_the_notes() {
    for (notes, message) in [
        ("words", "item `st-001` has no `mesh` block in its notes"),
        (
            "x\n```mesh\n```",
            "item `st-001`: the `mesh` block lacks `scope`, `acceptance`, `validation`; it opens at line 2 of the notes",
        ),
        (
            "scope: []\nacceptance: []",
            "item `st-001`: the `mesh` block lacks `scope`, `validation`; it opens at line 1 of the notes",
        ),
        (
            "x\n```mesh\nscope: [a]\nvalidaton: [b]\n```",
            "item `st-001`: unknown key `validaton` in the `mesh` block at line 4 of the notes",
        ),
        (
            "```mesh\nscope: [a]\nacceptance: []\nvalidation: []\nswarm:\n  rolls: 3\n```",
            "item `st-001`: unknown key `swarm.rolls` in the `mesh` block at line 6 of the notes",
        ),
        (
            "x\n```mesh\nscope: [a]",
            "item `st-001`: the `mesh` block that opens at line 2 of the notes is not closed",
        ),
        (
            "```mesh\n```\n```mesh\n```",
            "item `st-001` has 2 `mesh` blocks in its notes, at lines 1, 3",
        ),
        (
            &"~~~mesh\n~~~\n".repeat(7),
            "item `st-001` has 7 `mesh` blocks in its notes, at lines 1, 3, 5, 7, 9, …",
        ),
        (
            "```mesh\nscope:\n- ''\nacceptance: []\nvalidation: []\n```",
            "item `st-001`: the `mesh` block is broken at line 3 of the notes: scope[0]: an empty entry",
        ),
        (
            "\nscope: [a]\nacceptance: []\nvalidation: []\n\nAnd words.",
            "item `st-001`: the `mesh` block is broken at line 6 of the notes: could not find expected ':', while scanning a simple key from line 6",
        ),
        (
            &format!("x\n\n```mesh\n{}\n```", "#".repeat(10 << 20)),
            "item `st-001`: the `mesh` block that opens at line 3 of the notes is larger than 65536 bytes",
        ),
        (
            &format!("scope: [{}]", "a,".repeat(5 << 20)),
            "item `st-001`: the `mesh` block that opens at line 1 of the notes is larger than 65536 bytes",
        ),
    ] {
        let error = read_notes(notes).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(
            error.hint().is_some() || message.contains("empty entry"),
            "{message}"
        );
    }
}

#[test]
fn text_around_a_bare_mapping_is_refused_with_a_hint() {
    let error = read_notes("scope: [a]\nacceptance: []\n\nAnd words.").expect_err("words");
    let hint = error.hint().unwrap_or_default();
    assert!(hint.contains("a line ```mesh"), "{hint}");
}

#[test]
fn a_small_block_in_large_notes_is_read() {
    let words = "some ordinary words\n".repeat(1 << 18);
    read_notes(&format!("{words}```mesh\n{GOOD}```\n{words}")).expect("a good block");
}

fn full() -> Metadata {
    Metadata {
        scope: vec!["**/*.rs".to_owned(), "a: b".to_owned()],
        test_scope: vec!["tests/*.rs".to_owned()],
        acceptance: vec!["two\n```\nlines".to_owned(), "yes".to_owned()],
        validation: vec!["cargo test -- 'é'".to_owned()],
        risk: Some(Risk::Low),
        swarm: SwarmOverrides {
            roles: Some(5),
            ..SwarmOverrides::default()
        },
        allow_no_validation: true,
    }
}

#[test]
fn written_metadata_reads_back() {
    for notes in [
        "",
        "words",
        "words\n```mesh\n```\nwords",
        "scope:\n",
        GOOD,
        "~~~\nopen",
    ] {
        let written = write_notes(notes, &full()).expect(notes);
        assert_eq!(read_notes(&written), Ok(full()), "{written}");
    }
}

#[test]
fn a_block_with_the_same_metadata_keeps_its_comments() {
    let notes = format!("# why\n{GOOD}# because\n");
    let metadata = read_notes(&notes).expect("a good mapping");
    assert_eq!(write_notes(&notes, &metadata), Ok(notes));
}

#[test]
fn an_unreadable_block_is_not_overwritten() {
    for notes in [
        "```mesh\nscope: [a]",
        "```mesh\n```\n```mesh\n```",
        "```mesh\nscope: [a]\nowner: me\n```",
        "```mesh\nscope: [a\n```",
        "scope: [a]\n\nAnd words.",
        &format!("```mesh\n{}\n```", "#".repeat(block::BLOCK_BYTES_MAX)),
    ] {
        let error = read_notes(notes).expect_err("unreadable");
        assert_eq!(write_notes(notes, &full()), Err(error), "{notes:.60}");
    }
}

#[test]
fn unreadable_metadata_is_not_written() {
    let with_scope = |scope: Vec<String>| Metadata { scope, ..full() };
    let refused = |scope| write_notes("words", &with_scope(scope)).expect_err("unreadable");
    let empty = refused(Vec::new());
    assert!(matches!(empty, MetadataError::Incomplete { .. }), "{empty}");
    let blank = refused(vec![" ".to_owned()]);
    assert!(matches!(blank, MetadataError::Broken { .. }), "{blank}");
    let large = refused(vec!["a".repeat(block::BLOCK_BYTES_MAX)]);
    assert!(matches!(large, MetadataError::TooLarge { .. }), "{large}");
}
