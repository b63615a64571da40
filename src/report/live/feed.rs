//! What has changed in a run since the last message.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Members of a row and of a task that the page fetches when it needs them.
const LONG_OF_ROW: [&str; 2] = ["prompt", "input"];
const LONG_OF_TASK: [&str; 5] = ["proposal", "critiques", "decisions", "patch", "validation"];
/// A longer result is fetched too.
const RESULT_BYTES_MAX: usize = 2048;

/// What one browser has received.
#[derive(Debug, Default)]
pub struct Feed {
    rows: HashMap<(u64, String), u64>,
    view: u64,
}

/// One server-sent event.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// `view`, `rows` or `end`.
    pub event: &'static str,
    /// JSON, on one line.
    pub data: String,
}

impl Feed {
    /// The messages that bring the browser to the state in `data`, which is that of [`brief`].
    pub fn messages(&mut self, mut data: Value) -> Vec<Message> {
        let rows = data["rows"].take();
        let mut messages = Vec::new();
        let text = data.to_string();
        if std::mem::replace(&mut self.view, hash(&text)) != hash(&text) {
            messages.push(Message {
                event: "view",
                data: text,
            });
        }
        let rows = rows.as_array().cloned().unwrap_or_default();
        let changed: Vec<Value> = rows.into_iter().filter(|row| self.is_new(row)).collect();
        if !changed.is_empty() {
            messages.push(Message {
                event: "rows",
                data: Value::Array(changed).to_string(),
            });
        }
        messages
    }

    fn is_new(&mut self, row: &Value) -> bool {
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        let key = (row["wave"].as_u64().unwrap_or_default(), id);
        let hash = hash(&row.to_string());
        self.rows.insert(key, hash) != Some(hash)
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The data of a page without its long texts.
pub fn brief(mut data: Value) -> Value {
    data["live"] = json!(true);
    for row in data["rows"].as_array_mut().into_iter().flatten() {
        remove(row, &LONG_OF_ROW);
        if row["result"].to_string().len() > RESULT_BYTES_MAX {
            remove(row, &["result"]);
        }
        for attempt in row["attempts"].as_array_mut().into_iter().flatten() {
            remove(attempt, &["log"]);
        }
    }
    for task in data["tasks"].as_array_mut().into_iter().flatten() {
        remove(task, &LONG_OF_TASK);
    }
    data
}

fn remove(value: &mut Value, names: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| !names.contains(&name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_sent_again() {
        let state = |status: &str| {
            brief(
                json!({"run": {"id": "R"}, "tasks": [{"id": "a", "patch": "long"}], "rows": [
                    {"id": "x", "wave": 1, "status": status, "prompt": "long", "attempts": [{"n": 1, "log": "long"}], "result": {"a": 1}},
                    {"id": "x", "wave": 2, "status": "pending", "result": "y".repeat(3000)},
                ]}),
            )
        };
        let mut feed = Feed::default();
        let first = feed.messages(state("running"));
        assert_eq!(
            first.iter().map(|one| one.event).collect::<Vec<_>>(),
            ["view", "rows"]
        );
        assert!(
            first
                .iter()
                .all(|one| !one.data.contains("long") && !one.data.contains("yyy"))
        );
        assert!(feed.messages(state("running")).is_empty());
        let next = feed.messages(state("completed"));
        assert_eq!(next.len(), 1);
        let rows: Value = serde_json::from_str(&next[0].data).expect("JSON");
        assert_eq!(
            (rows.as_array().map(Vec::len), &rows[0]["status"]),
            (Some(1), &json!("completed"))
        );
    }
}
