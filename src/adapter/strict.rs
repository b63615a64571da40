//! The strict derivative of a JSON Schema, for services that accept a subset of the language: every property is
//! required, no others are allowed, optional ones may be null. Also converts an answer back to the original schema.
//!
//! Source: "Structured model outputs", the supported schemas, in the documentation of the Responses API. A schema that
//! can't be derived (free-form objects, `allOf`, tuples) is only shown in the prompt. `mesh` checks every answer
//! against the original schema.

use serde_json::{Map, Value, json};

/// Keywords that strict mode does not support; the original schema checks them.
const DROPPED: [&str; 14] = [
    "$schema",
    "$id",
    "$comment",
    "default",
    "examples",
    "minLength",
    "maxLength",
    "uniqueItems",
    "contentMediaType",
    "contentEncoding",
    "deprecated",
    "readOnly",
    "writeOnly",
    "additionalProperties",
];
/// Keywords that are copied unchanged.
const KEPT: [&str; 13] = [
    "title",
    "description",
    "const",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

/// The derivative, if there is one.
pub(super) fn derive(schema: &Value) -> Option<Value> {
    let derived = node(schema)?;
    // The root must be an object, not a union.
    (derived["type"] == "object").then_some(derived)
}

fn node(schema: &Value) -> Option<Value> {
    let source = schema.as_object()?;
    let mut derived = Map::new();
    for (keyword, value) in source {
        match keyword.as_str() {
            known if DROPPED.contains(&known) => {}
            known if KEPT.contains(&known) => {
                derived.insert(keyword.clone(), value.clone());
            }
            "type" | "$ref" => {
                derived.insert(keyword.clone(), value.clone());
            }
            "required" | "properties" => {}
            "items" => {
                derived.insert("items".to_owned(), node(value)?);
            }
            "anyOf" | "oneOf" => {
                let choices: Option<Vec<Value>> = value.as_array()?.iter().map(node).collect();
                derived.insert("anyOf".to_owned(), Value::Array(choices?));
            }
            "$defs" | "definitions" => {
                derived.insert(keyword.clone(), Value::Object(each(value, node)?));
            }
            _ => return None,
        }
    }
    if accepts_type(source, "array") && !derived.contains_key("items") {
        return None;
    }
    if source.contains_key("properties") || accepts_type(source, "object") {
        object(source, &mut derived)?;
    }
    has_type(&mut derived).then_some(Value::Object(derived))
}

fn object(source: &Map<String, Value>, derived: &mut Map<String, Value>) -> Option<()> {
    // The derivative can't express further properties.
    let properties = source
        .get("properties")
        .filter(|it| it.as_object().is_some_and(|it| !it.is_empty()))?;
    if source
        .get("additionalProperties")
        .is_some_and(Value::is_object)
    {
        return None;
    }
    let required = required(source);
    let mut all = each(properties, node)?;
    for (name, property) in &mut all {
        if !required.contains(&name.as_str()) && !accepts_null(property) {
            *property = json!({"anyOf": [property.take(), {"type": "null"}]});
        }
    }
    let names: Vec<Value> = all.keys().cloned().map(Value::String).collect();
    derived
        .entry("type")
        .or_insert_with(|| Value::String("object".to_owned()));
    derived.insert("properties".to_owned(), Value::Object(all));
    derived.insert("required".to_owned(), Value::Array(names));
    derived.insert("additionalProperties".to_owned(), Value::Bool(false));
    Some(())
}

fn each(map: &Value, derive: impl Fn(&Value) -> Option<Value>) -> Option<Map<String, Value>> {
    let entries = map.as_object()?.iter();
    entries
        .map(|(name, value)| Some((name.clone(), derive(value)?)))
        .collect()
}

fn required(schema: &Map<String, Value>) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// Every node needs a type; that of an enumeration follows from its values.
fn has_type(derived: &mut Map<String, Value>) -> bool {
    if ["type", "$ref", "anyOf"]
        .iter()
        .any(|it| derived.contains_key(*it))
    {
        return true;
    }
    let values = match (derived.get("enum"), derived.get("const")) {
        (Some(Value::Array(values)), _) => values.clone(),
        (_, Some(value)) => vec![value.clone()],
        _ => return false,
    };
    let mut types: Vec<&str> = values.iter().map(type_name).collect();
    types.sort_unstable();
    types.dedup();
    let types = match types.as_slice() {
        [one] => json!(one),
        many => json!(many),
    };
    derived.insert("type".to_owned(), types);
    true
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn accepts_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

fn accepts_null(schema: &Value) -> bool {
    let Some(schema) = schema.as_object() else {
        return true;
    };
    let in_choice = ["anyOf", "oneOf"].iter().any(|keyword| {
        let choices = schema.get(*keyword).and_then(Value::as_array);
        choices.is_some_and(|choices| choices.iter().any(accepts_null))
    });
    let in_enum = schema.get("enum").and_then(Value::as_array);
    accepts_type(schema, "null")
        || in_choice
        || in_enum.is_some_and(|values| values.contains(&Value::Null))
}

/// Converts an answer to the derivative into one to the original: removes properties that are null only because they
/// are required.
pub(super) fn relax(schema: &Value, answer: &mut Value) {
    match answer {
        Value::Object(object) => {
            let empty = Map::new();
            let own = schema.as_object().unwrap_or(&empty);
            let required = required(own);
            object.retain(|name, value| {
                let property = &schema["properties"][name.as_str()];
                let is_filler = value.is_null()
                    && property.is_object()
                    && !required.contains(&name.as_str())
                    && !accepts_null(property);
                !is_filler
            });
            for (name, value) in object.iter_mut() {
                relax(&schema["properties"][name.as_str()], value);
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| relax(&schema["items"], item)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Schema;

    fn schema(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn optional_properties_become_required_and_nullable() {
        let derived = derive(&schema(
            r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["a"],"properties":{
              "a":{"type":"string","minLength":1},"b":{"type":"integer","minimum":1},"c":{"enum":["x",null]},
              "d":{"type":"array","items":{"properties":{"e":{"const":1}}}}}}"#,
        ))
        .expect("a derivative");
        let expected = schema(
            r#"{"type":"object","properties":{
              "a":{"type":"string"},
              "b":{"anyOf":[{"type":"integer","minimum":1},{"type":"null"}]},
              "c":{"enum":["x",null],"type":["null","string"]},
              "d":{"anyOf":[{"type":"array","items":{"type":"object","properties":{
                 "e":{"anyOf":[{"const":1,"type":"integer"},{"type":"null"}]}},"required":["e"],"additionalProperties":false}},{"type":"null"}]}},
              "required":["a","b","c","d"],"additionalProperties":false}"#,
        );
        assert_eq!(derived, expected);
    }

    #[test]
    fn a_schema_beyond_strict_mode_has_no_derivative() {
        for text in [
            "true",
            "{}",
            r#"{"type":"object"}"#,
            r#"{"type":"array","items":{"type":"string"}}"#,
            r#"{"type":"object","properties":{}}"#,
            r#"{"type":"object","properties":{"a":{}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"object"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"array"}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"array","prefixItems":[]}}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"string"}}"#,
            r#"{"type":"object","properties":{"a":{"type":"string"}},"if":{}}"#,
            r#"{"allOf":[{"type":"object","properties":{"a":{"type":"string"}}}]}"#,
        ] {
            assert_eq!(derive(&schema(text)), None, "{text}");
        }
    }

    #[test]
    fn every_protocol_schema_has_a_derivative_that_accepts_no_more() {
        for name in ["hydrate", "proposal", "critique", "synthesis", "vote"] {
            let path = format!("{}/templates/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let source = schema(&std::fs::read_to_string(path).expect("a template"));
            let derived = derive(&source).unwrap_or_else(|| panic!("{name} has none"));
            Schema::compile(name, derived).expect("a schema");
        }
    }

    #[test]
    fn an_answer_is_converted_back_to_the_original_schema() {
        let path = format!("{}/templates/hydrate.json", env!("CARGO_MANIFEST_DIR"));
        let source = schema(&std::fs::read_to_string(path).expect("a template"));
        let (original, derived) = (
            Schema::compile("original", source.clone()).expect("a schema"),
            Schema::compile("derived", derive(&source).expect("one")).expect("a schema"),
        );
        let mut answer = json!({
            "mesh": {"scope": ["a"], "acceptance": ["b"], "validation": ["c"], "risk": null},
            "plan": ["d"], "assumptions": [], "risk": "low", "risks": [],
        });
        assert_eq!(derived.check(&answer), Ok(()));
        assert!(original.check(&answer).is_err(), "its filler is no answer");
        relax(&source, &mut answer);
        assert_eq!(original.check(&answer), Ok(()));
    }

    #[test]
    fn filler_nulls_are_removed_and_real_nulls_kept() {
        let schema = schema(
            r#"{"type":"object","required":["a"],"properties":{"a":{"type":["string","null"]},"b":{"type":"string"},
              "c":{"type":["string","null"]},"d":{"type":"array","items":{"type":"object","properties":{"e":{"type":"string"}}}}}}"#,
        );
        let mut answer =
            serde_json::json!({"a": null, "b": null, "c": null, "d": [{"e": null}], "f": null});
        relax(&schema, &mut answer);
        assert_eq!(
            answer,
            serde_json::json!({"a": null, "c": null, "d": [{}], "f": null})
        );
    }
}
