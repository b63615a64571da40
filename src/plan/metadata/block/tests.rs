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
fn yaml_errors_name_their_line() {
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
        let (found_line, found, found_hint) = fault(&format!("{body}\n{REST}"));
        assert_eq!((found_line, found_hint), (line, hint), "{body:?}: {found}");
        assert!(found.starts_with(message), "{body:?}: {found}");
    }
}

#[test]
fn shape_errors_name_their_line() {
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
            "invalid type: sequence, expected one of the keys scope, test_scope, acceptance, validation, risk, swarm, allow_no_validation",
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
            "swarm: invalid type: integer `3`, expected a mapping of roles, consensus_threshold, consensus_retries, early_vote",
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
        let found = fault(&format!("{body}\n{REST}"));
        assert_eq!(found, (line, message.to_owned(), hint), "{body:?}");
    }
    assert_eq!(
        fault("- a").1,
        "invalid type: sequence, expected a mapping of scope, test_scope, acceptance, validation, risk, swarm, allow_no_validation"
    );
    assert_eq!(fault("x at line 1 column 1").0, 1);
}

#[test]
fn an_unknown_key_has_its_line() {
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
fn keys_without_a_value_are_missing() {
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
fn a_block_of_the_largest_size_is_read_and_one_byte_more_is_not() {
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
