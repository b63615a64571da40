//! Describes what is wrong with a malformed JSON object, so that a retry can correct it.

use super::scan::{Broken, NearMiss, open_brackets};
use crate::model::NotJson;

/// Describes the fault, with its line and column in `text`.
pub fn describe(text: &str, near: &NearMiss) -> String {
    match near {
        NearMiss::List(start) => format!(
            "a JSON array; an object is asked for ({})",
            place(text, *start)
        ),
        NearMiss::Broken(broken) => describe_fault(text, broken),
    }
}

fn describe_fault(text: &str, broken: &Broken) -> String {
    if broken.at >= text.len() || text[broken.at..].starts_with("```") {
        return describe_cut(text, broken);
    }
    let at = match open_string(text, broken) {
        // The parser names the character before the one that is not allowed in a string.
        Some(_) => {
            let rest = &text[broken.at..];
            let ahead = rest.chars().take(2).position(char::is_control);
            let before: usize = rest
                .chars()
                .take(ahead.unwrap_or(0))
                .map(char::len_utf8)
                .sum();
            broken.at + before
        }
        None => broken.at,
    };
    let here = place(text, at);
    let rest = &text[at..];
    let before = text[broken.start..broken.at].trim_end();
    let next = rest.chars().next().unwrap_or_default();
    if let Some(string) = open_string(text, broken) {
        let begin = place(text, string);
        return match next.is_control() {
            true if is_line_break(next) => format!(
                "a line break at {here} in the string that begins at {begin}; write it as \\n, or close the string"
            ),
            true => format!(
                "a control character at {here} in a string; write it as \\u{:04x}",
                u32::from(next)
            ),
            false => format!(
                "{} at {here}, in the string that begins at {begin}",
                parser_message(broken)
            ),
        };
    }
    let before_name = before.ends_with(['{', ',']);
    match next {
        '}' | ']' if before.ends_with(',') => {
            let comma = place(text, broken.start + before.len() - 1);
            format!("trailing comma at {comma}")
        }
        '\'' | '‘' | '’' => format!("single quotes at {here}; JSON has double quotes"),
        '“' | '”' => format!("a typographic quote at {here}; JSON has \""),
        '/' | '#' => format!("a comment at {here}; JSON has none"),
        '"' | '{' | '[' if !before.ends_with([':', ',', '{', '[']) => {
            format!("a comma is missing at {here}")
        }
        _ if next.is_alphabetic() && before_name => {
            format!("a key without double quotes at {here}")
        }
        _ if next.is_alphabetic() => format!("`{}` at {here} is no JSON value", word(rest)),
        _ => format!("{} at {here}", parser_message(broken)),
    }
}

fn describe_cut(text: &str, broken: &Broken) -> String {
    let (stack, string) = open_brackets(&text[broken.start..broken.at]);
    let outermost = |at: &usize| {
        let at = broken.start + at;
        format!("the `{}` at {}", &text[at..=at], place(text, at))
    };
    let last = stack.last().filter(|_| stack.len() > 1);
    let parts = [
        string.map(|at| {
            format!(
                "the string that begins at {}",
                place(text, broken.start + at)
            )
        }),
        last.map(outermost),
        stack.first().map(outermost),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!(
        "cut off at {}: never closed: {}",
        place(text, broken.at),
        parts.join(", ")
    )
}

/// The start of the string that contains the fault.
fn open_string(text: &str, broken: &Broken) -> Option<usize> {
    let (_, string) = open_brackets(&text[broken.start..broken.at]);
    string.map(|at| broken.start + at)
}

fn parser_message(broken: &Broken) -> String {
    let error = broken.error.as_ref().map(|error| {
        let text = error.to_string();
        text.split(" at line ")
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    error.unwrap_or_else(|| "not valid JSON".to_owned())
}

fn is_line_break(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let word = &text[..end.unwrap_or(text.len())];
    word.char_indices()
        .nth(40)
        .map_or(word, |(end, _)| &word[..end])
}

/// `line 2 column 5`.
fn place(text: &str, offset: usize) -> String {
    let NotJson { line, column, .. } = NotJson::at(text, offset, String::new());
    format!("line {line} column {column}")
}
