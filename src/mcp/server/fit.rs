//! Bounds an answer: long texts are cut, then long lists, until it fits.

use serde_json::{Map, Value, json};

/// The longest text and the longest list, step by step.
const STEPS: [(usize, usize); 10] = [
    (8000, usize::MAX),
    (2000, usize::MAX),
    (2000, 200),
    (500, 100),
    (300, 50),
    (200, 20),
    (100, 10),
    (60, 5),
    (30, 2),
    (10, 1),
];

/// `value` with at most `chars_max` characters as JSON. If anything is left out, it has `shortened`, which names where the rest
/// is; a list that is cut has a neighbour `NAME_left_out` with the number of its missing members.
pub fn fit(value: Value, chars_max: usize, rest: &str) -> Value {
    if length(&value) <= chars_max {
        return value;
    }
    for (text_max, list_max) in STEPS {
        let mut shorter = shorten(&value, text_max, list_max);
        if let Value::Object(object) = &mut shorter {
            object.insert("shortened".to_owned(), json!(rest));
        }
        if length(&shorter) <= chars_max {
            return shorter;
        }
    }
    json!({"shortened": rest})
}

/// `text` with at most `chars_max` characters. If anything is left out, its last line names where the rest is.
pub fn fit_text(text: &str, chars_max: usize, rest: &str) -> String {
    if text.len() <= chars_max || text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let last = format!("\n… shortened; {rest}\n");
    let room = chars_max.saturating_sub(last.chars().count());
    text.chars().take(room).collect::<String>() + &last
}

fn length(value: &Value) -> usize {
    value.to_string().chars().count()
}

fn shorten(value: &Value, text_max: usize, list_max: usize) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text, text_max)),
        Value::Array(list) => {
            let kept = list.iter().take(list_max);
            kept.map(|one| shorten(one, text_max, list_max)).collect()
        }
        Value::Object(object) => {
            let mut shorter = Map::new();
            for (name, member) in object {
                shorter.insert(name.clone(), shorten(member, text_max, list_max));
                let length = member.as_array().map_or(0, Vec::len);
                if length > list_max {
                    shorter.insert(format!("{name}_left_out"), json!(length - list_max));
                }
            }
            Value::Object(shorter)
        }
        other => other.clone(),
    }
}

fn cut(text: &str, chars_max: usize) -> String {
    let count = text.chars().count();
    // Paths and ids are of no use in part.
    if count <= chars_max.max(200) && !text.contains(char::is_whitespace) || count <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max).collect();
    format!("{kept}… ({} more characters)", count - chars_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_until_it_fits_and_says_so() {
        let rows: Vec<Value> = (0..1000)
            .map(|number| json!({"id": number, "text": "long ".repeat(1000)}))
            .collect();
        let value = json!({"total": 1000, "rows": rows});
        for chars_max in [400, 2000, 100_000] {
            let fitted = fit(value.clone(), chars_max, "rest in `x`");
            let shown = fitted.to_string();
            assert!(shown.chars().count() <= chars_max, "{}", shown.len());
            assert_eq!(fitted["shortened"], "rest in `x`");
            let kept = fitted["rows"].as_array().map_or(0, Vec::len);
            assert_eq!(fitted["rows_left_out"], json!(1000 - kept), "{chars_max}");
        }
        assert_eq!(fit(json!({"a": "b"}), 100, "x"), json!({"a": "b"}));
        assert_eq!(fit_text("ééé", 3, "x"), "ééé");
        let long = fit_text(&"é".repeat(1000), 100, "whole: p");
        assert_eq!(long.chars().count(), 100);
        assert!(long.ends_with("\n… shortened; whole: p\n"), "{long}");
    }
}
