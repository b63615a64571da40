//! Renders found records as text of 80 columns, and as JSON.
//!
//! A record may be written by anyone, so both formats escape its control characters.

use super::draft::one_spaced;
use super::recall::Found;
use crate::model::{one_line, visible};
use serde_json::{Value, json};

/// The width of the text.
const WIDTH: usize = 80;

/// Renders each record as a line with id, status and date, followed by indented lines.
pub fn text(found: &[Found]) -> String {
    let blocks: Vec<String> = found.iter().map(block).collect();
    blocks.join("\n\n")
}

/// Renders `{"learnings":[…]}` in one line: each record as in the file, then `score` (4 places), `matched` and, if present,
/// `superseded_by`.
pub fn json(found: &[Found]) -> String {
    let learnings: Vec<Value> = found.iter().map(object).collect();
    one_json_line(&json!({"learnings": learnings}))
}

/// `value` in one line, also without the control characters that JSON allows in a string: DEL and U+0080 to U+009F, one of
/// which starts an escape sequence.
pub fn one_json_line(value: &Value) -> String {
    let mut line = String::new();
    for c in value.to_string().chars() {
        match crate::model::is_hidden(c) {
            true => line.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => line.push(c),
        }
    }
    line
}

fn block(found: &Found) -> String {
    let record = found.record;
    let date = record.captured_at().map_or_else(
        || "-".to_owned(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    );
    let id = match record.id() {
        "" => "-".to_owned(),
        id => one_line(id),
    };
    let mut lines = vec![format!("{id}  {}  {date}", one_line(&record.status()))];
    wrap(&mut lines, "  ", record.learning());
    if let Some(application) = record.application() {
        wrap(&mut lines, "  application: ", application);
    }
    lines.extend(evidence_line(found));
    if !found.matched.is_empty() {
        wrap(&mut lines, "  matched: ", &found.matched.join(", "));
    }
    if let Some(id) = found.superseded_by {
        lines.push(format!("  superseded by: {}", one_line(id)));
    }
    lines.join("\n")
}

/// The first evidence, cut to one line, and the number of others.
fn evidence_line(found: &Found) -> Option<String> {
    let mut evidence = found.record.evidence();
    let first = visible(&one_spaced(evidence.next()?));
    let more = match evidence.count() {
        0 => String::new(),
        more => format!(" (+{more} more)"),
    };
    let start = "  evidence: ";
    let room = WIDTH - start.len() - more.len();
    let shown = match first.char_indices().nth(room) {
        None => first,
        Some(_) => {
            let cut: String = first.chars().take(room - 1).collect();
            format!("{}…", cut.trim_end())
        }
    };
    Some(format!("{start}{shown}{more}"))
}

/// Wraps `text` to lines of at most [`WIDTH`] characters, the first after `start`, the others indented by four. A longer word
/// stays whole, so that a URL can be copied.
fn wrap(lines: &mut Vec<String>, start: &str, text: &str) {
    let indent = match start.trim().is_empty() {
        true => start,
        false => "    ",
    };
    let mut line = start.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let word = visible(word);
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    lines.push(line);
}

fn object(found: &Found) -> Value {
    let mut fields = found.record.fields();
    let score = (found.score * 1e4).round() / 1e4;
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("score", score.into());
    put("matched", json!(found.matched));
    if let Some(id) = found.superseded_by {
        put("superseded_by", id.into());
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learnings::record::Record;

    fn found<'a>(record: &'a Record<'a>) -> Found<'a> {
        Found {
            record,
            score: 0.123_456,
            matched: Vec::new(),
            superseded_by: None,
        }
    }

    #[test]
    fn no_line_is_wider_than_80_columns_and_no_word_is_lost() {
        let learning = (0..60).map(|n| format!("word{n}")).collect::<Vec<_>>();
        let evidence = "e".repeat(200);
        let fields = json!({
            "learning": learning.join(" \n\t"), "application": learning.join(" "), "evidence": [evidence, "two", "three"]
        });
        let fields = fields.to_string();
        let record = Record::parse(&fields).expect("a record");
        let text = text(&[found(&record)]);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains(&format!("  evidence: {}… (+2 more)", "e".repeat(57))));
        let words: Vec<&str> = text.split_whitespace().collect();
        for word in &learning {
            assert_eq!(
                words.iter().filter(|one| **one == word).count(),
                2,
                "{word}"
            );
        }
    }

    #[test]
    fn a_long_word_has_its_own_line() {
        let mut lines = Vec::new();
        let address = format!("https://example.org/{}", "x".repeat(90));
        wrap(&mut lines, "  see: ", &format!("at {address} it is"));
        assert_eq!(lines, ["  see: at", &format!("    {address}"), "    it is"]);
    }

    #[test]
    fn control_characters_are_escaped() {
        let hostile = r#"{"id":"\u001b]0;x\u0007","status":"s","learning":"a\u001b[2Jb \u009b31m\u007f","application":"\u001bc","evidence":["\r\u0008x"],"x":"\u009b\u001b"}"#;
        let record = Record::parse(hostile).expect("a record");
        let mut found = found(&record);
        found.superseded_by = Some("\u{1b}[1m");
        let text = text(&[found.clone()]);
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\n'),
            "{text:?}"
        );
        let json = json(&[found]);
        assert!(!json.chars().any(char::is_control), "{json:?}");
        let back: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(back["learnings"][0]["learning"], record.learning());
        assert_eq!(back["learnings"][0]["x"], "\u{9b}\u{1b}");
    }

    #[test]
    fn json_keeps_the_fields_of_a_record() {
        let line = r#"{"z":1.50,"learning":"l","matched":"old","a":[]}"#;
        let record = Record::parse(line).expect("a record");
        assert_eq!(
            json(&[found(&record)]),
            r#"{"learnings":[{"z":1.50,"learning":"l","matched":[],"a":[],"score":0.1235}]}"#
        );
    }
}
