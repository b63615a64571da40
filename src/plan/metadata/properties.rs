//! Properties of reading and writing, for random notes and metadata.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::error::MetadataError;
use super::fields::{Metadata, SwarmOverrides};
use super::notes::only_block;
use super::{fence, read, write};
use crate::model::Risk;
use crate::plan::item::Item;

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn noted(notes: &str) -> Item {
    let item = serde_json::json!({"id": "a", "step": "s", "deps": [], "notes": notes});
    item.to_string().parse().expect("a good item")
}

/// A text with something in it that YAML or a fence could take for its own.
fn text() -> impl Strategy<Value = String> {
    let special = select(vec![
        "\"", "'", ":", ": ", " #", "#", "`", "```", "~~~", "\n", "\n\n", "\r\n", "\t", "*", "&",
        "!", "%", "@", "- ", "---", "...", "[", "{", "|", ">", "? ", "\\", "\\n", "null", "yes",
        "7", "1e3", "~", "<<", " ", "\n ", "\u{85}", "\u{2028}", "\u{feff}", "\0", "\u{1b}", "é",
        "漢", "👍",
    ]);
    let piece = prop_oneof![
        4 => special.prop_map(str::to_owned),
        3 => "[a-z/.]{1,9}",
        1 => ".{1,5}",
        1 => "[a-z ]{60,120}",
    ];
    vec(piece, 1..8)
        .prop_map(|pieces| pieces.concat().trim().to_owned())
        .prop_filter("an entry says something", |text| !text.is_empty())
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let lists = (vec(text(), 1..4), vec(text(), 0..3), vec(text(), 0..3));
    let risk = option::of(select(vec![Risk::Low, Risk::Medium, Risk::High]));
    let count = || option::of(any::<u32>());
    (lists, risk, (count(), count(), count()), any::<bool>()).prop_map(
        |((scope, acceptance, validation), risk, (roles, threshold, retries), no_validation)| {
            Metadata {
                test_scope: scope.iter().skip(1).cloned().collect(),
                scope,
                acceptance,
                validation,
                risk,
                swarm: SwarmOverrides {
                    roles,
                    consensus_threshold: threshold,
                    consensus_retries: retries,
                    early_vote: retries.map(|retries| retries == 0),
                },
                allow_no_validation: no_validation,
            }
        },
    )
}

/// Lines that are not metadata, each with its end.
fn words() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => select(vec![
            "", "  ", "```", "~~~", "````", "```rust", "   ~~~", "    ```mesh", "> ```mesh",
            "```mesh```", "- a", "---", "# scope:", "\t", "*why*", "é漢",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,20}".prop_filter("one line", |line| !line.contains('\n')),
    ];
    let end = select(vec!["\n", "\r\n"]);
    vec((line, end), 0..6)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| line + end).collect())
}

/// A `mesh` block without its last line end: with metadata, or with nothing in it.
fn block() -> impl Strategy<Value = String> {
    let indent = select(vec!["", " ", "  ", "   "]);
    let fence = select(vec!["```", "`````", "~~~", "~~~~"]);
    let info = select(vec!["mesh", " mesh", "mesh yaml "]);
    let end = select(vec!["\n", "\r\n"]);
    let body = option::of("[a-z]{1,5}");
    (indent, fence, info, end, body).prop_map(|(indent, fence, info, end, scope)| {
        let body = scope.map_or(String::new(), |scope| {
            format!("{indent}scope: [{scope}]{end}{indent}acceptance: []{end}{indent}# why{end}")
        });
        format!("{indent}{fence}{info}{end}{body}{indent}{fence}")
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn written_metadata_reads_back_and_the_text_around_it_is_unchanged(
        before in words(),
        old in option::of(block()),
        after in words(),
        metadata in metadata(),
    ) {
        let after = if old.is_some() { format!("\n{after}") } else { after };
        let notes = format!("{before}{}{after}", old.as_deref().unwrap_or_default());
        let old = read(&noted(&notes));
        let written = write(&noted(&notes), &metadata);
        match old {
            Err(MetadataError::Missing { .. }) => {
                let written = written.as_ref().expect("written in front");
                prop_assert!(written.ends_with(&notes), "{written:?}");
            }
            Err(error) if !error.needs_hydration() => prop_assert_eq!(&written, &Err(error)),
            _ => {
                let written = written.as_ref().expect("written in place");
                prop_assert!(written.starts_with(&before), "{written:?}");
                prop_assert!(written.ends_with(&after), "{written:?}");
            }
        }
        if let Ok(written) = written {
            let item = noted(&written);
            prop_assert_eq!(read(&item), Ok(metadata.clone()), "{}", &written);
            let block = only_block(item.id(), item.notes()).expect("one block");
            let again = fence::put(&written, block.as_ref(), &metadata.to_yaml());
            prop_assert_eq!(again, written);
        }
    }

    #[test]
    fn no_notes_make_the_reader_panic(
        body in vec(prop_oneof![text(), select(vec!["scope", ": ", "\n", "\n- ", "["]).prop_map(str::to_owned)], 0..12),
    ) {
        let body = body.concat();
        for notes in [format!("```mesh\n{body}\n```"), format!("scope: {body}")] {
            let lines = notes.lines().count();
            let error = read(&noted(&notes)).err();
            if let Some(MetadataError::Broken { line, .. } | MetadataError::UnknownKey { line, .. }) = error {
                prop_assert!((1..=lines).contains(&line), "line {line} of {notes:?}");
            }
        }
    }
}
