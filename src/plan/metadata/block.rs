//! From the text of a `mesh` block to [`Metadata`], or to what is wrong with it and on which line.
//!
//! Invariant: the parser sees no block that it would have to work long for. Its time grows with
//! the bytes times the depth of the brackets, so both are bounded before it is asked. It goes
//! through a good block four times rather than once, because each question has its own answer.

use super::error::MetadataError;
use super::fence::Block;
use super::fields::{Metadata, SwarmOverrides};
use super::shape::Misfit;
use super::{shape, yaml};
use crate::model::{Risk, one_line};
use crate::plan::id::ItemId;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The largest block that is read. One that people or agents write has a few hundred bytes.
pub const BLOCK_BYTES_MAX: usize = 64 << 10;

/// The most opening brackets and braces in a block. With so many, all nested, the largest block
/// takes the parser some tenths of a second.
const BRACKETS_MAX: usize = 512;

const BLANKS: &str = "YAML does not allow tabs for indentation; use blanks";
const QUOTES: &str = "a text that holds `: ` or ` #`, or begins with a mark such as `*`, `!`, `[` or a backtick, needs quotes";
const SINGLE_QUOTES: &str =
    "a backslash in double quotes begins an escape; put the text in single quotes";
const ONE: &str = "a block is one mapping, without `---` or `...` in it";
const DASHES: &str = "a list is written `[a, b]`, or as a line `- a` for each entry";
const FENCES: &str = "for words beside the mapping, put it between a line ```mesh and a line ```";

/// Reads the block of `item`. Its shape is looked at before its values, so that a misspelt key is
/// reported as that and not as one that is missing.
pub(super) fn read(item: &ItemId, block: &Block) -> Result<Metadata, MetadataError> {
    if block.body.len() > BLOCK_BYTES_MAX {
        return Err(MetadataError::TooLarge {
            item: item.clone(),
            line: block.line,
            bytes_max: BLOCK_BYTES_MAX,
        });
    }
    let text = block.text();
    Reader { item, block, text }.read()
}

struct Reader<'a> {
    item: &'a ItemId,
    block: &'a Block<'a>,
    text: String,
}

impl Reader<'_> {
    fn read(&self) -> Result<Metadata, MetadataError> {
        self.check_text()?;
        self.check_syntax()?;
        shape::check(&self.text).map_err(|misfit| self.misfit(misfit))?;
        let given: Option<Given> =
            serde_yaml::from_str(&self.text).map_err(|error| self.unfit(&error))?;
        self.complete(given.unwrap_or_default())
    }

    /// What must be refused before a parser sees it, or that it would pass over in silence.
    fn check_text(&self) -> Result<(), MetadataError> {
        if let Some((at, c)) = yaml::unprintable(&self.text) {
            let message = format!("the character {} is not accepted", c.escape_unicode());
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::bracket(&self.text, BRACKETS_MAX) {
            let message = format!("more than {BRACKETS_MAX} opening brackets and braces");
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::directive(&self.text) {
            let message = "a YAML directive is not accepted".to_owned();
            return Err(self.broken(at, message, None));
        }
        if let Some(at) = yaml::anchor_alias_or_tag(&self.text) {
            let message = "a YAML anchor, alias or tag is not accepted".to_owned();
            return Err(self.broken(at, message, Some(QUOTES)));
        }
        Ok(())
    }

    fn check_syntax(&self) -> Result<(), MetadataError> {
        let Err(error) = serde_yaml::from_str::<IgnoredAny>(&self.text) else {
            return Ok(());
        };
        let words = self.words(&error);
        let hint = match &words {
            words if words.contains("escape") => SINGLE_QUOTES,
            _ if self.block.is_bare() => FENCES,
            _ => QUOTES,
        };
        Err(match error.location() {
            Some(place) if self.text.as_bytes().get(place.index()) == Some(&b'\t') => {
                let message = "a tab where YAML expects blanks".to_owned();
                self.broken(place.index(), message, Some(BLANKS))
            }
            Some(place) => self.broken(place.index(), words, Some(hint)),
            // The one complaint of the parser without a place.
            None => {
                let message = "a second YAML document".to_owned();
                let hint = if self.block.is_bare() { FENCES } else { ONE };
                self.broken(yaml::second_document(&self.text), message, Some(hint))
            }
        })
    }

    fn complete(&self, given: Given) -> Result<Metadata, MetadataError> {
        match given.missing() {
            missing if missing.is_empty() => Ok(Metadata::from(given)),
            keys => Err(MetadataError::Incomplete {
                item: self.item.clone(),
                line: self.block.line,
                keys,
                said: Box::new(Metadata::from(given)),
            }),
        }
    }

    fn misfit(&self, misfit: Misfit) -> MetadataError {
        match misfit.unknown_key {
            Some(key) => MetadataError::UnknownKey {
                item: self.item.clone(),
                key: one_line(&key),
                line: self.line(yaml::place(&misfit.error)),
            },
            None => self.unfit(&misfit.error),
        }
    }

    fn unfit(&self, error: &serde_yaml::Error) -> MetadataError {
        let message = self.words(error);
        let hint = match &message {
            message if message.ends_with(shape::LIST) => Some(DASHES),
            message if message.ends_with(shape::TEXT) => Some(QUOTES),
            _ => None,
        };
        self.broken(yaml::place(error), message, hint)
    }

    fn broken(&self, at: usize, message: String, hint: Option<&'static str>) -> MetadataError {
        MetadataError::Broken {
            item: self.item.clone(),
            line: self.line(at),
            message: one_line(&message),
            hint,
        }
    }

    /// What the parser said, without its own position. What it was at is told with the line in the
    /// notes, because that of an unclosed bracket or quote can be far above the place of the error.
    fn words(&self, error: &serde_yaml::Error) -> String {
        let said = error.to_string();
        let Some(place) = error.location() else {
            return said;
        };
        let position = format!(" at line {} column {}", place.line(), place.column());
        let (words, context) = said.split_once(&position).unwrap_or((&said, ""));
        let beginning = context.split_once(" at line ").and_then(|(doing, place)| {
            let (line, _) = place.split_once(' ')?;
            Some((doing, line.parse::<usize>().ok()?))
        });
        match beginning {
            Some((doing, line)) => {
                format!(
                    "{words}{doing} from line {}",
                    self.block.text_line + line - 1
                )
            }
            None => format!("{words}{context}"),
        }
    }

    /// The line in the notes of a byte of the block. What is wrong at its end, such as a bracket
    /// that is never closed, is wrong on its last line.
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.trim_end().len())];
        self.block.text_line + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// The block's keys, as read.
#[derive(Debug, Default, Deserialize)]
struct Given {
    scope: Option<Vec<String>>,
    acceptance: Option<Vec<String>>,
    validation: Option<Vec<String>>,
    risk: Option<Risk>,
    swarm: Option<SwarmOverrides>,
    allow_no_validation: Option<bool>,
}

impl Given {
    /// The required keys that are not there. One without a value counts as not there, and so does
    /// a scope of nothing: no patch could be within it.
    fn missing(&self) -> Vec<&'static str> {
        let may_lack_validation = self.allow_no_validation == Some(true);
        let lacks = [
            ("scope", self.scope.as_ref().is_none_or(Vec::is_empty)),
            ("acceptance", self.acceptance.is_none()),
            (
                "validation",
                self.validation.is_none() && !may_lack_validation,
            ),
        ];
        let named = |(key, is_lacking): (&'static str, bool)| is_lacking.then_some(key);
        lacks.into_iter().filter_map(named).collect()
    }
}

impl From<Given> for Metadata {
    fn from(given: Given) -> Metadata {
        let trimmed = |list: Option<Vec<String>>| -> Vec<String> {
            list.unwrap_or_default()
                .iter()
                .map(|entry| entry.trim().to_owned())
                .collect()
        };
        Metadata {
            scope: trimmed(given.scope),
            acceptance: trimmed(given.acceptance),
            validation: trimmed(given.validation),
            risk: given.risk,
            swarm: given.swarm.unwrap_or_default(),
            allow_no_validation: given.allow_no_validation.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::metadata::fence;

    const REST: &str = "acceptance: []\nvalidation: []\n";

    fn read_fenced(body: &str) -> Result<Metadata, MetadataError> {
        let notes = format!("words\n```mesh\n{body}\n```\nwords\n");
        let block = fence::mesh_blocks(&notes).next().expect("a block");
        read(&"a".parse().expect("an id"), &block)
    }

    /// The line of the block (from 1), what is wrong there, and the hint.
    fn fault(body: &str) -> (usize, String, Option<&'static str>) {
        match read_fenced(body) {
            Err(MetadataError::Broken {
                line,
                message,
                hint,
                ..
            }) => (line - 2, message, hint),
            other => panic!("{body:?}: {other:?}"),
        }
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        for (scope, texts) in [
            ("[src/a.rs, 'tests/*.py']", vec!["src/a.rs", "tests/*.py"]),
            (
                "\n- 7\n- 1.0\n- 0x10\n- 010",
                vec!["7", "1.0", "0x10", "010"],
            ),
            ("\n- true\n- yes\n- 'null'", vec!["true", "yes", "null"]),
            (
                "\n- a & b * c!\n- '&a'\n- \"*b\"\n- \"!c\"",
                vec!["a & b * c!", "&a", "*b", "!c"],
            ),
            ("\n- |\n  &p = x\n  *p\n", vec!["&p = x\n*p"]),
            ("\n-  ' a '\n- b\tc # why", vec!["a", "b\tc"]),
            ("[\n\ta,\n\tb]", vec!["a", "b"]),
            ("\r\n- |\r\n  a\r\n  b\r", vec!["a\nb"]),
        ] {
            let metadata = read_fenced(&format!("---\n{REST}scope: {scope}\n...")).expect(scope);
            assert_eq!(metadata.scope, texts, "{scope}");
        }
    }

    #[test]
    fn what_yaml_does_not_mean_is_named_with_its_line() {
        for (body, line, message, hint) in [
            ("scope:\n\t- a", 2, "a tab where", Some(BLANKS)),
            ("scope:\n  - a\n\t- b", 3, "a tab where", Some(BLANKS)),
            ("scope:\n  \t- a", 2, "a tab where", Some(BLANKS)),
            ("swarm:\n\troles: 3", 2, "a tab where", Some(BLANKS)),
            (
                "swarm:\n  roles: 3\n\tscope: 3",
                3,
                "a tab where",
                Some(BLANKS),
            ),
            ("scope: [a]\n\trisk: low", 2, "a tab where", Some(BLANKS)),
            ("scope:\n- 'a'\n\t- b", 3, "a tab where", Some(BLANKS)),
            ("\tscope: [a]", 1, "a tab where", Some(BLANKS)),
            ("scope:\n- |\n\ta", 3, "a tab where", Some(BLANKS)),
            ("scope:\n- a\n-\tb", 3, "a tab where", Some(BLANKS)),
            ("scope: &a [x]", 1, "a YAML anchor", Some(QUOTES)),
            (
                "scope: [x]\nacceptance:\n- &str is taken",
                3,
                "a YAML anchor",
                Some(QUOTES),
            ),
            (
                "scope: &a [x]\nacceptance: *a",
                1,
                "a YAML anchor",
                Some(QUOTES),
            ),
            ("scope:\n- *.rs", 2, "a YAML anchor", Some(QUOTES)),
            ("scope:\n- **/*.rs", 2, "a YAML anchor", Some(QUOTES)),
            ("scope:\n- !src/**", 2, "a YAML anchor", Some(QUOTES)),
            (
                "scope: [a]\nrisk: !!str low",
                2,
                "a YAML anchor",
                Some(QUOTES),
            ),
            (
                "# why\n\n%TAG !e! tag:e\n---\nscope: [!e!x a]",
                3,
                "a YAML directive",
                None,
            ),
            ("scope: [a]\n---", 2, "a second YAML document", Some(ONE)),
            (
                "--- # one\nscope: [a]\n\n--- # two\n- [",
                4,
                "a second YAML document",
                Some(ONE),
            ),
            (
                "---\n---\nscope: [a]",
                2,
                "a second YAML document",
                Some(ONE),
            ),
            ("scope: [a]\n...\n", 2, "a second YAML document", Some(ONE)),
            ("{scope: [a]}\n", 3, "a second YAML document", Some(ONE)),
            (
                "scope: [a]\n# \u{7}",
                2,
                "the character \\u{7} is not accepted",
                None,
            ),
            (
                "\u{feff}scope: [a]",
                1,
                "the character \\u{feff} is not accepted",
                None,
            ),
            (
                "scope: [a]\nrisk: [",
                4,
                "did not find expected ',' or ']', while parsing a flow sequence from line 4",
                Some(QUOTES),
            ),
            (
                "scope: [a]\nrisk: 'low",
                4,
                "found unexpected end of stream, while scanning a quoted scalar from line 4",
                Some(QUOTES),
            ),
            (
                "scope:\n- `a`",
                2,
                "found character that cannot start any token",
                Some(QUOTES),
            ),
            (
                "scope: [\"\\d\"]",
                1,
                "found unknown escape character",
                Some(SINGLE_QUOTES),
            ),
        ] {
            let (at, said, its_hint) = fault(&format!("{body}\n{REST}"));
            assert_eq!((at, its_hint), (line, hint), "{body:?}: {said}");
            assert!(said.starts_with(message), "{body:?}: {said}");
        }
    }

    #[test]
    fn what_metadata_does_not_mean_is_named_with_its_line() {
        for (body, line, message, hint) in [
            (
                "scope: src",
                1,
                "scope: invalid type: string \"src\", expected a list of texts",
                Some(DASHES),
            ),
            (
                "scope: {a: b}",
                1,
                "scope: invalid type: map, expected a list of texts",
                Some(DASHES),
            ),
            (
                "scope: [a,\n  [b]]",
                2,
                "scope[1]: invalid type: sequence, expected a single text",
                Some(QUOTES),
            ),
            (
                "scope:\n- a\n- foo(): rejects it",
                3,
                "scope[1]: invalid type: map, expected a single text",
                Some(QUOTES),
            ),
            ("scope:\n- a\n- ~", 3, "scope[1]: an empty entry", None),
            ("scope:\n- a\n- ' '", 3, "scope[1]: an empty entry", None),
            ("scope:\n- a\n-", 3, "scope[1]: an empty entry", None),
            ("scope: [a]\nscope: [b]", 2, "`scope` a second time", None),
            (
                "scope: [a]\nswarm:\n  roles: 3\n  roles: 5",
                4,
                "swarm: `roles` a second time",
                None,
            ),
            (
                "? [a]\n: b",
                1,
                "invalid type: sequence, expected one of the keys scope, acceptance, validation, risk, swarm, allow_no_validation",
                None,
            ),
            (
                "scope: [a]\nrisk: great",
                2,
                "risk: unknown variant `great`, expected one of `low`, `medium`, `high`",
                None,
            ),
            (
                "scope: [a]\nrisk: {low: 1}",
                2,
                "risk: invalid type: map, expected a single text",
                Some(QUOTES),
            ),
            (
                "scope: [a]\nallow_no_validation: yes",
                2,
                "allow_no_validation: invalid type: string \"yes\", expected a boolean",
                None,
            ),
            (
                "scope: [a]\nswarm: 3",
                2,
                "swarm: invalid type: integer `3`, expected a mapping of roles, consensus_threshold, consensus_retries",
                None,
            ),
            (
                "scope: [a]\nswarm: {roles: -1}",
                2,
                "swarm.roles: invalid type: integer `-1`, expected a whole number from 0 to 4294967295",
                None,
            ),
            (
                "scope: [a]\nswarm:\n  roles: 4294967296",
                3,
                "swarm.roles: invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295",
                None,
            ),
        ] {
            let said = fault(&format!("{body}\n{REST}"));
            assert_eq!(said, (line, message.to_owned(), hint), "{body:?}");
        }
        assert_eq!(
            fault("- a").1,
            "invalid type: sequence, expected a mapping of scope, acceptance, validation, risk, swarm, allow_no_validation"
        );
        assert_eq!(fault("x at line 1 column 1").0, 1);
    }

    #[test]
    fn an_unknown_key_is_found_where_it_stands() {
        for (body, unknown, its_line) in [
            ("scope: [a]\ns: 1", "s", 2),
            ("scope: [a]\nvalidaton: [b]", "validaton", 2),
            ("swarm:\n  roles: 3\n  scope: 1", "swarm.scope", 3),
            ("acceptance:\n- |\n  more: x\nmore: x", "more", 4),
            ("{scope: [a],\n more: x}", "more", 2),
            ("scope: [a]\n<<: {risk: low}", "<<", 2),
            ("7: a", "7", 1),
            ("scope: [a]\n\"\\e[1m\": a", "\u{fffd}[1m", 2),
        ] {
            match read_fenced(body) {
                Err(MetadataError::UnknownKey { key, line, .. }) => {
                    assert_eq!((key.as_str(), line - 2), (unknown, its_line), "{body:?}");
                }
                other => panic!("{body:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn keys_without_a_value_are_not_there() {
        for (body, lacking) in [
            ("", vec!["scope", "acceptance", "validation"]),
            ("# nothing", vec!["scope", "acceptance", "validation"]),
            (
                "scope: []\nacceptance:\nvalidation: []",
                vec!["scope", "acceptance"],
            ),
            (
                "scope: [a]\nacceptance: []\nvalidation: ~",
                vec!["validation"],
            ),
            ("scope: [a]\nallow_no_validation: true", vec!["acceptance"]),
        ] {
            match read_fenced(body) {
                Err(MetadataError::Incomplete { line, keys, .. }) => {
                    assert_eq!((line, keys), (2, lacking), "{body:?}");
                }
                other => panic!("{body:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_block_at_the_bound_is_read_and_one_byte_more_is_not() {
        let good = format!("scope: [a]\n{REST}#");
        let filled = |bytes: usize| format!("{good}{}", "x".repeat(bytes - good.len()));
        read_fenced(&filled(BLOCK_BYTES_MAX - 1)).expect("a newline comes to it");
        let error = read_fenced(&filled(BLOCK_BYTES_MAX)).expect_err("too large");
        assert!(
            matches!(error, MetadataError::TooLarge { line: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn brackets_are_counted_before_the_parser_nests_them() {
        let scope = |count| format!("{REST}scope: ['{}']", "[".repeat(count));
        read_fenced(&scope(BRACKETS_MAX - 3)).expect("as many as there may be");
        let (line, message, _) = fault(&scope(BRACKETS_MAX - 2));
        assert_eq!(
            (line, message.as_str()),
            (3, "more than 512 opening brackets and braces")
        );
    }

    /// A stack overflow would end the test's process.
    #[test]
    fn a_deep_block_needs_no_deep_stack() {
        let read_all = || {
            for deep in ["[", "{", "{a: ", "[? ", "- ", "? ", "\n- ", "a: "] {
                let bytes = if deep.contains(['[', '{']) {
                    500
                } else {
                    60_000
                };
                let nested = deep.repeat(bytes / deep.len());
                read_fenced(&nested).expect_err(deep);
                read_fenced(&format!("scope: {nested}")).expect_err(deep);
                let closed = "]".repeat(nested.len());
                read_fenced(&format!("scope: {nested}{closed}")).expect_err(deep);
            }
        };
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let thread = small.spawn(read_all).expect("a thread");
        thread.join().expect("no panic");
    }
}
