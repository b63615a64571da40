//! What a task says about its own execution: the `mesh` block in an item's notes.
//!
//! The block is fenced with the info string `mesh` and holds a YAML mapping; notes that are nothing
//! but that mapping are accepted as well, and so are first-class `scope` and `validation` lists on
//! an item without a block. The format is ours, so an unknown key is an error: a misspelt
//! `validaton` must not read as "no validation".
//!
//! Where the block stands in the notes is the business of `fence`, and what its YAML says that of
//! `block`, `shape` and `yaml`; this file knows what it means.
//!
//! Invariant: notes that are written here read back as what was written, and a block that can't be
//! read is never overwritten.

mod block;
mod error;
mod fence;
mod fields;
#[cfg(test)]
mod properties;
mod shape;
mod yaml;

pub use error::MetadataError;
pub use fields::{Metadata, SwarmOverrides};

use super::id::ItemId;
use super::item::Item;
use fence::Block;
use fields::{Written, broken_field, missing, texts};
use serde_json::Value;

/// The metadata of an item.
///
/// `validation` may be an empty list, and may be absent with `allow_no_validation: true`; what an
/// empty one means for a task is the integrator's to say.
///
/// # Errors
/// See [`MetadataError`].
pub fn read(item: &Item) -> Result<Metadata, MetadataError> {
    match read_notes(item.id(), item.notes())? {
        Some(metadata) => Ok(metadata),
        None => read_fields(item),
    }
}

/// The notes of `item` with `metadata` as their block: in the place of the one that is there, with
/// its fence and line ends, else in front. All text around the block stays as it is; comments in
/// the YAML of a block that says something else than `metadata` are lost.
///
/// # Errors
/// Whatever [`read`] refuses as wrong is left for its owner to mend, and `metadata` that it would
/// refuse is not written. See [`MetadataError`].
pub fn write(item: &Item, metadata: &Metadata) -> Result<String, MetadataError> {
    match read(item) {
        Ok(there) if there == *metadata => return Ok(item.notes().to_owned()),
        Err(error) if !error.wants_hydration() => return Err(error),
        _ => {}
    }
    let notes = put(item, &metadata.to_yaml())?;
    // The metadata may come from a worker's answer.
    read_notes(item.id(), &notes)?;
    Ok(notes)
}

/// The same without the key `validation`, which is left for somebody else to fill in.
///
/// # Errors
/// As [`write`], but for that gap.
pub fn write_without_validation(item: &Item, metadata: &Metadata) -> Result<String, MetadataError> {
    match read(item) {
        Err(error) if !error.wants_hydration() => return Err(error),
        _ => {}
    }
    let written = Written {
        validation: None,
        ..Written::of(metadata)
    };
    let notes = put(item, &written.to_yaml())?;
    match read_notes(item.id(), &notes) {
        Err(MetadataError::Incomplete { keys, .. }) if keys == ["validation"] => Ok(notes),
        Err(error) => Err(error),
        Ok(_) => Ok(notes),
    }
}

fn put(item: &Item, yaml: &str) -> Result<String, MetadataError> {
    let old = only_block(item.id(), item.notes())?;
    Ok(fence::put(item.notes(), old.as_ref(), yaml))
}

/// What the notes say, if they have a block.
fn read_notes(item: &ItemId, notes: &str) -> Result<Option<Metadata>, MetadataError> {
    let block = only_block(item, notes)?;
    block.map(|block| block::read(item, &block)).transpose()
}

/// The block of the notes, if there is one.
fn only_block<'n>(item: &ItemId, notes: &'n str) -> Result<Option<Block<'n>>, MetadataError> {
    let mut blocks = fence::mesh_blocks(notes);
    let Some(first) = blocks.next() else {
        return Ok(fence::bare(notes));
    };
    let lines: Vec<usize> = std::iter::once(first.line)
        .chain(blocks.map(|block| block.line))
        .collect();
    let item = item.clone();
    match lines.as_slice() {
        [_] if first.is_closed => Ok(Some(first)),
        [line] => Err(MetadataError::Unclosed { item, line: *line }),
        _ => Err(MetadataError::Several { item, lines }),
    }
}

/// The item's own fields. Without them, or with a scope of nothing, there is simply no metadata.
fn read_fields(item: &Item) -> Result<Metadata, MetadataError> {
    let list = |field| match item.field(field) {
        Some(Value::Array(entries)) => Some(entries),
        _ => None,
    };
    let (Some(scope), Some(validation)) = (list("scope"), list("validation")) else {
        return Err(missing(item));
    };
    if scope.is_empty() {
        return Err(missing(item));
    }
    Ok(Metadata {
        scope: texts(item, "scope", &scope)?,
        acceptance: match item.field("acceptance") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(entries)) => texts(item, "acceptance", &entries)?,
            Some(_) => return Err(broken_field(item, "acceptance")),
        },
        validation: texts(item, "validation", &validation)?,
        ..Metadata::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::Risk;
    use fields::SwarmOverrides;

    fn item(fields: serde_json::Value) -> Item {
        let mut object = json!({"id": "st-001", "step": "s", "deps": []});
        for (name, value) in fields.as_object().expect("fields are an object") {
            object[name] = value.clone();
        }
        object.to_string().parse().expect("a good item")
    }

    fn noted(notes: &str) -> Result<Metadata, MetadataError> {
        read(&item(json!({ "notes": notes })))
    }

    fn written(notes: &str, metadata: &Metadata) -> Result<String, MetadataError> {
        write(&item(json!({ "notes": notes })), metadata)
    }

    const GOOD: &str = "scope:\n  - src/foo.py\n  - 'tests/*.py'\nacceptance:\n  - foo() rejects it\nvalidation: []\n";

    #[test]
    fn a_block_anywhere_and_a_bare_mapping_read_the_same() {
        let metadata = noted(GOOD).expect("a good mapping");
        assert_eq!(metadata.scope, ["src/foo.py", "tests/*.py"]);
        assert!(metadata.validation.is_empty() && !metadata.allow_no_validation);
        for fenced in [
            format!("Some words.\n\n~~~mesh\n{GOOD}~~~\nMore."),
            format!("```\ncode\n```\n ````mesh yaml\n{GOOD} ````"),
            format!("Words.\n\n```mesh\n{GOOD}```\n").replace('\n', "\r\n"),
            GOOD.replace('\n', "\r\n"),
        ] {
            assert_eq!(noted(&fenced).as_ref(), Ok(&metadata), "{fenced}");
        }
    }

    #[test]
    fn optional_keys_are_read() {
        let metadata = noted(
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
        };
        assert_eq!(metadata.swarm, swarm);
    }

    #[test]
    fn first_class_fields_serve_without_a_block() {
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
    fn what_is_wrong_is_named_with_its_line_in_the_notes() {
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
            let error = noted(notes).expect_err(message);
            assert_eq!(error.to_string(), message);
            assert!(
                error.hint().is_some() || message.contains("empty entry"),
                "{message}"
            );
        }
    }

    #[test]
    fn words_around_a_bare_mapping_want_a_fence() {
        let error = noted("scope: [a]\nacceptance: []\n\nAnd words.").expect_err("words");
        let hint = error.hint().unwrap_or_default();
        assert!(hint.contains("a line ```mesh"), "{hint}");
    }

    #[test]
    fn a_small_block_in_large_notes_is_read() {
        let words = "some ordinary words\n".repeat(1 << 18);
        noted(&format!("{words}```mesh\n{GOOD}```\n{words}")).expect("a good block");
    }

    fn full() -> Metadata {
        Metadata {
            scope: vec!["**/*.rs".to_owned(), "a: b".to_owned()],
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
    fn what_is_written_reads_back() {
        for notes in [
            "",
            "words",
            "words\n```mesh\n```\nwords",
            "scope:\n",
            GOOD,
            "~~~\nopen",
        ] {
            let written = written(notes, &full()).expect(notes);
            assert_eq!(noted(&written), Ok(full()), "{written}");
        }
    }

    #[test]
    fn a_block_that_says_it_already_keeps_its_comments() {
        let notes = format!("# why\n{GOOD}# because\n");
        let metadata = noted(&notes).expect("a good mapping");
        assert_eq!(written(&notes, &metadata), Ok(notes));
    }

    #[test]
    fn what_cannot_be_read_is_not_overwritten() {
        for notes in [
            "```mesh\nscope: [a]",
            "```mesh\n```\n```mesh\n```",
            "```mesh\nscope: [a]\nowner: me\n```",
            "```mesh\nscope: [a\n```",
            "scope: [a]\n\nAnd words.",
            &format!("```mesh\n{}\n```", "#".repeat(block::BLOCK_BYTES_MAX)),
        ] {
            let error = noted(notes).expect_err("unreadable");
            assert_eq!(written(notes, &full()), Err(error), "{notes:.60}");
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_written() {
        let of_scope = |scope: Vec<String>| Metadata { scope, ..full() };
        let refused = |scope| written("words", &of_scope(scope)).expect_err("unreadable");
        let empty = refused(Vec::new());
        assert!(matches!(empty, MetadataError::Incomplete { .. }), "{empty}");
        let blank = refused(vec![" ".to_owned()]);
        assert!(matches!(blank, MetadataError::Broken { .. }), "{blank}");
        let large = refused(vec!["a".repeat(block::BLOCK_BYTES_MAX)]);
        assert!(matches!(large, MetadataError::TooLarge { .. }), "{large}");
    }
}
