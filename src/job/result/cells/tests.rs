use super::*;
use serde_json::json;

fn object(text: &str) -> Object {
    crate::verdict::object(text.as_bytes()).expect("an object")
}

fn columns(names: &[&str]) -> ResultColumns {
    let properties: Object = names
        .iter()
        .map(|name| (name.to_string(), json!({})))
        .collect();
    ResultColumns::of(&json!({"properties": properties})).expect("columns")
}

#[test]
fn columns_follow_the_schema_and_only_its_own_properties() {
    let schema =
        json!({"properties": {"b": {}, "a": {"properties": {"inner": {}}}, "with space": true}});
    let columns = ResultColumns::of(&schema).expect("columns");
    assert_eq!(
        columns.headers(),
        ["result.b", "result.a", "result.with space"]
    );
    for schema in [
        json!({}),
        json!(true),
        json!({"properties": {}}),
        json!({"properties": 3}),
        json!({"$ref": "#/$defs/r", "$defs": {"r": {"properties": {"a": {}}}}}),
        json!({"allOf": [{"properties": {"a": {}}}]}),
    ] {
        assert_eq!(ResultColumns::of(&schema), Err(NoProperties), "{schema}");
    }
    assert!(
        NoProperties
            .to_string()
            .contains("`$ref` and `allOf` are not followed")
    );
}

#[test]
fn cells_keep_the_values_of_the_worker() {
    for (value, cell) in [
        ("\"a, \\\"b\\\"\\nc\"", "a, \"b\"\nc"),
        ("\"\"", ""),
        ("\"null\"", "null"),
        ("null", ""),
        ("true", "true"),
        ("false", "false"),
        ("-5", "-5"),
        ("1.0", "1.0"),
        ("1e3", "1e3"),
        ("1E-3", "1E-3"),
        ("-0.0", "-0.0"),
        ("1e+3", "1e+3"),
        ("0.10", "0.10"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("[1, \"=x\"]", "[1,\"=x\"]"),
        ("{ \"b\": 1, \"a\": [] }", "{\"b\":1,\"a\":[]}"),
    ] {
        let result = object(&format!("{{\"v\": {value}}}"));
        let cells = columns(&["absent", "v"]).cells(Some(&result), FormulaCells::Quote);
        assert_eq!(cells, ["", cell], "{value}");
    }
    assert_eq!(
        columns(&["a", "b"]).cells(None, FormulaCells::Keep),
        ["", ""]
    );
}

#[test]
fn text_that_a_spreadsheet_would_execute_is_quoted() {
    for (text, is_formula) in [
        ("=1+1", true),
        ("+49 30 1234", true),
        ("-5", true),
        ("- a list", true),
        ("@SUM(A1)", true),
        ("\tx", true),
        ("\rx", true),
        ("\nx", true),
        ("\0=1", true),
        ("  =1", true),
        ("\u{a0}@x", true),
        ("\u{ff1d}1", true),
        ("\u{ff0b}1", true),
        ("\u{ff0d}1", true),
        ("\u{ff20}x", true),
        ("\u{feff}=1", true),
        ("\u{200b} =1", true),
        ("", false),
        ("  ", false),
        ("a=1", false),
        ("'=1", false),
        ("#x", false),
        ("ä", false),
    ] {
        let quoted = if is_formula {
            format!("'{text}")
        } else {
            text.to_owned()
        };
        assert_eq!(FormulaCells::Keep.guard(text), text);
        assert_eq!(FormulaCells::Quote.guard(text), quoted);
        assert_eq!(FormulaCells::Reject.guard(text), quoted);
        let result = object(&json!({"v": text}).to_string());
        assert_eq!(
            !columns(&["v"]).formulas(&result).is_empty(),
            is_formula,
            "{text:?}"
        );
    }
}

#[test]
fn rejection_names_each_column_and_nothing_else() {
    let result =
        object(r#"{"ok":"x","n":-5,"a/b~":"=1","deep":{"t":"=1"},"other":"=1","t":"\tx"}"#);
    let formulas = columns(&["t", "ok", "n", "absent", "a/b~", "deep"]).formulas(&result);
    let shown: Vec<String> = formulas.iter().map(Formula::to_string).collect();
    assert_eq!(
        shown,
        [
            "/t: begins with `\\t`, so a spreadsheet would take it for a formula",
            "/a~1b~0: begins with `=`, so a spreadsheet would take it for a formula",
        ]
    );
}

#[test]
fn text_and_json_round_trip() {
    for word in ["keep", "quote", "reject"] {
        let read: FormulaCells = word.parse().expect(word);
        assert_eq!(read.to_string(), word);
        assert_eq!(serde_json::to_value(read).expect("JSON"), json!(word));
        assert_eq!(
            serde_json::from_value::<FormulaCells>(json!(word)).expect(word),
            read
        );
    }
    assert_eq!(FormulaCells::default(), FormulaCells::Quote);
    let error = "Quote".parse::<FormulaCells>().expect_err("refused");
    assert_eq!(
        error.to_string(),
        "`Quote` is not `keep`, `quote` or `reject`"
    );
}
