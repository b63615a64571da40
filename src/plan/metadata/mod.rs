//! What a task says about its own execution: the `mesh` block in an item's notes.
//!
//! The block is fenced with the info string `mesh` and holds a YAML mapping; notes that are nothing
//! but that mapping are accepted as well, and so are first-class `scope` and `validation` lists on
//! an item without a block. The format is ours, so an unknown key is an error: a misspelt
//! `validaton` must not read as "no validation".
//!
//! Where the block stands in the notes is the business of `fence`; this file knows what
//! it means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod block;
mod error;
mod fence;

pub use block::BLOCK_BYTES_MAX;
pub use error::MetadataError;

pub use crate::model::Risk;

use super::Item;

/// How a task wants to be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Paths and globs the task may change; never empty.
    pub scope: Vec<String>,
    /// What must hold when it is done.
    pub acceptance: Vec<String>,
    /// Shell commands that must succeed when it is done.
    pub validation: Vec<String>,
    /// How much can go wrong.
    pub risk: Option<Risk>,
    /// The task's own swarm settings.
    pub swarm: SwarmOverrides,
    /// Whether an empty `validation` is meant.
    pub allow_no_validation: bool,
}

/// What a task sets for its own swarm; `None` leaves it to the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwarmOverrides {
    /// How many roles work on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<u32>,
    /// How many of them must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus_threshold: Option<u32>,
    /// How often critique, synthesis and vote are repeated without consensus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consensus_retries: Option<u32>,
}

/// The metadata of an item.
///
/// `validation` may be empty when the key is there, and may be absent with `allow_no_validation:
/// true`; what an empty one means for a task is the integrator's to say.
///
/// # Errors
/// See [`MetadataError`].
pub fn read(item: &Item) -> Result<Metadata, MetadataError> {
    let id = || item.id().clone();
    let blocks = fence::mesh_blocks(item.notes());
    match blocks.as_slice() {
        [] => match fence::bare(item.notes()) {
            Some(block) => block::read(item.id(), &block),
            None => read_fields(item),
        },
        [block] if !block.is_closed => Err(MetadataError::Unclosed {
            item: id(),
            line: block.line,
        }),
        [block] => block::read(item.id(), block),
        several => Err(MetadataError::Several {
            item: id(),
            lines: several.iter().map(|block| block.line).collect(),
        }),
    }
}

/// The notes with `metadata` as their block: in the place of the one that is there, else before the
/// text. A reader gives back the same metadata.
pub fn write(notes: &str, metadata: &Metadata) -> String {
    fence::put(notes, &metadata.to_yaml())
}

impl Metadata {
    /// The text of the block, without its fence.
    pub fn to_yaml(&self) -> String {
        let written = Written {
            scope: &self.scope,
            acceptance: &self.acceptance,
            validation: &self.validation,
            risk: self.risk,
            swarm: (self.swarm != SwarmOverrides::default()).then_some(self.swarm),
            allow_no_validation: self.allow_no_validation.then_some(true),
        };
        serde_yaml::to_string(&written).expect("lists of texts and numbers are YAML")
    }
}

/// The keys of the block.
const KEYS: [&str; 6] = [
    "scope",
    "acceptance",
    "validation",
    "risk",
    "swarm",
    "allow_no_validation",
];

/// The keys of its `swarm` mapping.
const SWARM_KEYS: [&str; 3] = ["roles", "consensus_threshold", "consensus_retries"];

/// The block's keys, as written.
#[derive(Serialize)]
struct Written<'a> {
    scope: &'a [String],
    acceptance: &'a [String],
    validation: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
    #[serde(skip_serializing_if = "Option::is_none")]
    swarm: Option<SwarmOverrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allow_no_validation: Option<bool>,
}

/// The item's own fields. Without them there is simply no metadata.
fn read_fields(item: &Item) -> Result<Metadata, MetadataError> {
    let (Some(Value::Array(_)), Some(Value::Array(_))) =
        (item.field("scope"), item.field("validation"))
    else {
        return Err(MetadataError::Missing {
            item: item.id().clone(),
        });
    };
    let list = |field: &'static str| -> Result<Vec<String>, MetadataError> {
        let Some(Value::Array(entries)) = item.field(field) else {
            return Ok(Vec::new());
        };
        let text = |entry: &Value| {
            entry
                .as_str()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let texts: Option<Vec<String>> = entries.iter().map(text).collect();
        texts.ok_or_else(|| MetadataError::BrokenField {
            item: item.id().clone(),
            field,
        })
    };
    let metadata = Metadata {
        scope: list("scope")?,
        acceptance: list("acceptance")?,
        validation: list("validation")?,
        ..Metadata::default()
    };
    if metadata.scope.is_empty() {
        return Err(MetadataError::Incomplete {
            item: item.id().clone(),
            keys: vec!["scope"],
        });
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(fields: serde_json::Value) -> Item {
        let mut object = json!({"id": "st-001", "step": "s", "deps": []});
        for (name, value) in fields.as_object().expect("fields are an object") {
            object[name] = value.clone();
        }
        Item::from_value(object, 1).expect("a good item")
    }

    fn noted(notes: &str) -> Result<Metadata, MetadataError> {
        read(&item(json!({ "notes": notes })))
    }

    fn refused(notes: &str) -> String {
        noted(notes).expect_err(notes).to_string()
    }

    const GOOD: &str = "scope:\n  - src/foo.py\n  - 'tests/*.py'\nacceptance:\n  - foo() rejects it\nvalidation: []\n";

    #[test]
    fn a_block_anywhere_and_a_bare_mapping_read_the_same() {
        let fenced = format!("Some words.\n\n~~~mesh\n{GOOD}~~~\nMore.");
        let metadata = noted(&fenced).expect("a good block");
        assert_eq!(metadata.scope, ["src/foo.py", "tests/*.py"]);
        assert!(metadata.validation.is_empty() && !metadata.allow_no_validation);
        assert_eq!(noted(GOOD), Ok(metadata));
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
        let fields = json!({"scope": ["src/**"], "validation": ["make"], "notes": "words"});
        let metadata = read(&item(fields)).expect("first-class fields");
        assert_eq!(
            (metadata.scope, metadata.validation),
            (vec!["src/**".to_owned()], vec!["make".to_owned()])
        );
        let broken = read(&item(json!({"scope": ["a", 7], "validation": []})));
        assert!(matches!(
            broken,
            Err(MetadataError::BrokenField { field: "scope", .. })
        ));
        let half = read(&item(json!({"scope": ["a"]})));
        assert!(half.is_err_and(|error| error.wants_hydration()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_in_the_notes() {
        for (notes, message) in [
            ("words", "item `st-001` has no `mesh` block in its notes"),
            (
                "```mesh\n```",
                "item `st-001`: the `mesh` block lacks `scope`, `acceptance`, `validation`",
            ),
            (
                "scope: []\nacceptance: []",
                "item `st-001`: the `mesh` block lacks `scope`, `validation`",
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
                "```mesh\n- a\n```",
                "item `st-001`: the `mesh` block is broken at line 2 of the notes: expected a mapping with scope, acceptance and validation",
            ),
            (
                "```mesh\nscope: ['']\nacceptance: []\nvalidation: []\n```",
                "item `st-001`: the `mesh` block is broken at line 2 of the notes: `scope` has an empty entry",
            ),
        ] {
            assert_eq!(refused(notes), message);
        }
    }

    #[test]
    fn broken_yaml_names_the_line_and_a_glob_without_quotes_gets_a_hint() {
        let error = noted("words\n\n```mesh\nacceptance: [a]\nscope:\n  - **/*.rs\n```")
            .expect_err("an alias without a name");
        assert!(
            matches!(error, MetadataError::Broken { line: 6, .. }),
            "{error}"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("needs quotes")),
            "{error}"
        );

        let error = noted("```mesh\nscope: [a]\nacceptance: []\nvalidation: make\n```")
            .expect_err("not a list");
        assert!(
            matches!(error, MetadataError::Broken { line: 4, .. }),
            "{error}"
        );
    }

    #[test]
    fn aliases_are_refused_and_what_looks_like_one_is_not() {
        for notes in [
            "scope: &a [x]\nacceptance: *a\nvalidation: []",
            "scope: [&a x]\nacceptance: [ y,*a ]\nvalidation: [&b , *b]",
            "scope: [&a x]\nacceptance:\n  - *a\nvalidation: [&zz \"*azz\"]",
        ] {
            let error = noted(notes).expect_err(notes).to_string();
            assert!(error.contains("a YAML alias is not accepted"), "{error}");
        }
        let error = noted("```mesh\nscope: &a [x]\nacceptance: *a\n```").expect_err("an alias");
        assert!(
            matches!(error, MetadataError::Broken { line: 3, .. }),
            "{error}"
        );
        let block = "scope: [src/*.rs, 'x &p']\nacceptance:\n  - |\n    &p = x\n    *p\n  - '&q'\n  - '*q'\nvalidation:\n  - make && ./run *p";
        noted(block).expect("no alias in it");
    }

    #[test]
    fn a_block_that_is_too_large_is_refused() {
        let notes = format!(
            "scope: [a]\nacceptance: []\nvalidation: []\n# {}",
            "x".repeat(BLOCK_BYTES_MAX)
        );
        assert!(matches!(noted(&notes), Err(MetadataError::TooLarge { .. })));
    }

    #[test]
    fn what_is_written_reads_back() {
        let metadata = Metadata {
            scope: vec!["**/*.rs".to_owned(), "a: b".to_owned()],
            acceptance: vec!["two\n```\nlines".to_owned(), "yes".to_owned()],
            validation: vec!["cargo test -- 'é'".to_owned()],
            risk: Some(Risk::Low),
            swarm: SwarmOverrides {
                roles: Some(5),
                ..SwarmOverrides::default()
            },
            allow_no_validation: true,
        };
        for notes in ["", "words", "```mesh\nold: 1\n```\nwords", "~~~\nopen"] {
            assert_eq!(
                noted(&write(notes, &metadata)),
                Ok(metadata.clone()),
                "{notes}"
            );
        }
        assert!(write("words", &metadata).ends_with("\nwords"));
    }
}
