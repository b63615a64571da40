//! Answers: the object that is picked from a worker's output stands in it as JSON, is picked again when it is all there is, and words
//! around it change nothing. A text that is one JSON object is that object. Of two objects the last one is the answer, and one in
//! reasoning, in a patch, in code or in a list is none.
//!
//! The input is the output, then a JSON Schema.

use crate::parts;
use mesh::model::Lane;
use mesh::verdict::extract::{PickRules, pick};
use mesh::verdict::{NoAnswer, Object, Picked, Schema, lane, object, prose};
use serde_json::Value;

/// Checks one input.
pub fn check(data: &[u8]) {
    let [output, schema] = parts::split(data);
    let schema = Schema::parse("schema.json", &parts::text(schema)).ok();
    let picked = any(output);
    if let Ok(picked) = &picked {
        stands_in(output, &picked.object);
        is_picked_alone(&picked.object);
        counts_by_its_place(&picked.object);
    }
    if let Ok(whole) = object(output) {
        let picked = picked.as_ref().map(|picked| &picked.object);
        assert_eq!(picked, Ok(&whole), "the whole text is another object");
    }
    words_change_nothing(output, &picked);
    with_schema(output, schema.as_ref());
}

fn any(output: &[u8]) -> Result<Picked, NoAnswer> {
    let rules = PickRules {
        fits: &|_| true,
        prose: None,
    };
    pick(output, &rules)
}

/// Some text from a `{` on is the object, as plain JSON.
fn stands_in(output: &[u8], object: &Object) {
    // Escapes and marks of reasoning within an object are dropped, and UTF-16 is decoded.
    let may_differ = |byte: &u8| matches!(byte, 0 | 0x1b | b'<') || !byte.is_ascii();
    if output.iter().any(may_differ) || output.windows(6).any(|text| text.ends_with(b"THINK")) {
        return;
    }
    let begins = output.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    let found = begins.take(200).any(|(at, _)| {
        let mut values = serde_json::Deserializer::from_slice(&output[at..]).into_iter::<Object>();
        // Exponents are spelled in several ways.
        matches!(values.next(), Some(Ok(found)) if found.len() == object.len() && found.keys().eq(object.keys()))
    });
    assert!(found || output.iter().filter(|byte| **byte == b'{').count() > 200);
}

fn is_picked_alone(object: &Object) {
    let text = Value::Object(object.clone()).to_string();
    let again = any(text.as_bytes()).expect("an object");
    assert_eq!(&again.object, object, "{text}");
    assert_eq!(self::object_of(&text).as_ref(), Some(object));
}

fn object_of(text: &str) -> Option<Object> {
    object(text.as_bytes()).ok()
}

/// The most brackets of an object that is put into others: parsers have a limit on nesting.
const BRACKETS_MAX: usize = 100;

/// What stands around an object decides whether it is the answer.
fn counts_by_its_place(object: &Object) {
    let text = Value::Object(object.clone()).to_string();
    let lower = text.to_lowercase();
    let may_be_a_tag = |word: &&str| lower.contains(*word);
    let is_deep = text.matches(['{', '[']).count() > BRACKETS_MAX;
    if is_deep
        || ["think", "thought", "reason", "<|"]
            .iter()
            .any(may_be_a_tag)
    {
        return;
    }
    let other = r#"{"zz":1}"#;
    let picked = |text: &str| any(text.as_bytes()).ok().map(|picked| picked.object);
    for text in [
        format!("{text}\n{other}\n"),
        format!("```json\n{text}\n```\nOr:\n```json\n{other}\n```\n"),
        format!("{other}\n<think>{text}</think>"),
        format!("{other}\n```diff\n {text}\n```\n"),
    ] {
        assert_eq!(picked(&text), object_of(other), "{text}");
    }
    for text in [
        format!("{other}\n\n{text}\n"),
        format!("```json\n{other}\n```\nOr:\n```\n{text}\n```\n"),
        format!("<think>{other}</think>\n{text}"),
    ] {
        assert_eq!(picked(&text).as_ref(), Some(object), "{text}");
    }
    for text in [
        format!("<think>{text}</think>"),
        format!("```diff\n {text}\n```\n"),
        format!("```python\nf({text})\n```\n"),
        format!("[{text}]"),
    ] {
        assert_eq!(picked(&text), None, "{text}");
    }
}

fn words_change_nothing(output: &[u8], picked: &Result<Picked, NoAnswer>) {
    // A mark at the beginning, and UTF-16, only count there.
    if output.starts_with(b"\xEF\xBB\xBF") || output.contains(&0) || output.contains(&0x1b) {
        return;
    }
    let object = |output: &[u8]| any(output).ok().map(|picked| picked.object);
    let expected = picked.as_ref().ok().map(|picked| picked.object.clone());
    if expected.is_some() {
        let before = [b"These are words.\n\n", output].concat();
        assert_eq!(object(&before), expected, "words before it");
        let behind = [output, b"\nDone.\n"].concat();
        assert_eq!(object(&behind), expected, "words behind it");
    }
}

/// What fits is valid, what does not is explained in one line, and prose is read as prose.
fn with_schema(output: &[u8], schema: Option<&Schema>) {
    let fits = |value: &Value| schema.is_none_or(|schema| schema.is_valid(value));
    let rules = PickRules {
        fits: &fits,
        prose: Some(prose::read),
    };
    match pick(output, &rules) {
        Ok(picked) => {
            for lane in [Lane::ReadOnly, Lane::Patch] {
                let _ = lane::check(lane, &picked.object);
            }
            let value = Value::Object(picked.object);
            let checked = schema.map_or(Ok(()), |schema| schema.check(&value));
            assert_eq!(checked.is_ok(), fits(&value));
            if let Err(why) = checked {
                assert!(!why.is_empty() && !why.contains('\n'), "{why:?}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
