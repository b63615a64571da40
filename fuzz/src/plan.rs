//! Plan files: the items are those of a fold over plain JSON; what is read survives a rewrite with all its fields, a snapshot and a
//! repair; a change of one item changes nothing else.

use crate::{parts, scratch};
use mesh::plan::view::{Format, Selection};
use mesh::plan::{Item, MutateOptions, OnConflict, Plan, Store, mirror, snapshot, view};
use serde_json::Value;

/// Checks one input.
pub fn check(data: &[u8]) {
    let store = Store::at(scratch::file("plan.jsonl", data));
    match store.read() {
        Ok(plan) => {
            as_folded(&plan, data);
            views_are_text(&plan);
            snapshot_is_read_back(&plan);
            changes_are_written(&store, data, &plan);
        }
        Err(error) => {
            let _ = (error.to_string(), error.hint());
            repaired_is_valid(&store);
        }
    }
    let _ = snapshot::parse(&parts::text(data));
}

fn options() -> MutateOptions {
    MutateOptions {
        allow_multiple_in_progress: true,
        ..MutateOptions::default()
    }
}

fn json(plan: &Plan) -> String {
    normal(plan.items())
}

/// JSON of items. Of foreign fields a rewrite may change blanks between tokens, and how characters from U+007F on are spelled.
fn normal(items: &[Item]) -> String {
    let text = serde_json::to_string(items).expect("items are JSON");
    let mut normal = String::new();
    let (mut is_string, mut is_escape, mut digits) = (false, false, 0);
    for char in text.chars() {
        match char {
            ' ' | '\t' | '\r' | '\n' if !is_string => {}
            'A'..='F' if digits > 0 => normal.push(char.to_ascii_lowercase()),
            ..'\x7f' => normal.push(char),
            char => {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    normal.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        digits = match (is_escape, char) {
            (true, 'u') => 4,
            _ => i32::max(digits - 1, 0),
        };
        is_string ^= char == '"' && !is_escape;
        is_escape = char == '\\' && is_string && !is_escape;
    }
    normal
}

/// Reading gives the items of the records, in their order, with all their fields.
fn as_folded(plan: &Plan, data: &[u8]) {
    let Some(folded) = by_plain_json(data) else {
        return;
    };
    let ids: Vec<&str> = plan.items().iter().map(|item| item.id().as_str()).collect();
    let expected: Vec<&str> = folded.iter().map(id).collect();
    assert_eq!(ids, expected);
    for (item, expected) in plan.items().iter().zip(&folded) {
        let normal: Item = expected.to_string().parse().expect("an item of a plan");
        let value = |item: &Item| serde_json::to_value(item).expect("JSON");
        let (item, normal) = (value(item), value(&normal));
        assert_eq!(item, normal, "another item than the records give");
        let fields = expected.as_object().expect("an item");
        assert!(fields.keys().all(|name| item.get(name).is_some()), "{item}");
    }
}

fn id(item: &Value) -> &str {
    item["id"].as_str().unwrap_or_default().trim()
}

/// The items after all records; `None` if a record has a form that this fold leaves out.
fn by_plain_json(data: &[u8]) -> Option<Vec<Value>> {
    let mut items: Vec<Value> = Vec::new();
    for line in data.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let mut record: Value = serde_json::from_slice(line).ok()?;
        let lane = record.get("lane").or_else(|| record.get("kind"));
        let op = match lane.and_then(Value::as_str) {
            Some("checkpoint") => "replace",
            _ => record["op"].as_str()?,
        };
        let field = match op {
            "init" => continue,
            "replace" | "replace_all" => {
                items = record["items"].as_array()?.clone();
                continue;
            }
            "upsert" | "upsert_item" => {
                let item = record["item"].take();
                match items.iter_mut().find(|known| id(known) == id(&item)) {
                    Some(known) => *known = item,
                    None => items.push(item),
                }
                continue;
            }
            "remove" => {
                items.retain(|item| id(item) != id(&record));
                continue;
            }
            "set_status" => "status",
            "set_deps" => "deps",
            "set_notes" => "notes",
            "add_comment" | "append_comment" | "comment" if record["comment"].is_object() => {
                "comment"
            }
            _ => return None,
        };
        let value = record[field].take();
        let changed = items.iter_mut().find(|item| id(item) == id(&record))?;
        match (field, changed["comments"].as_array_mut()) {
            ("comment", Some(comments)) => comments.push(value),
            ("comment", None) => changed["comments"] = Value::Array(vec![value]),
            _ => changed[field] = value,
        }
    }
    Some(items)
}

fn views_are_text(plan: &Plan) {
    for selection in [Selection::All, Selection::Ready, Selection::Blocked] {
        for format in [Format::Markdown, Format::Table, Format::Json] {
            let text = view::render(plan, selection, format);
            assert!(text.is_empty() || text.ends_with('\n'));
        }
    }
    for text in [mirror::update_plan(plan), mirror::plan_sync(plan)] {
        serde_json::from_str::<Value>(&text).expect("JSON");
    }
    for item in plan.items() {
        let _ = (plan.waiting_on(item), plan.dep_state(item));
    }
}

fn snapshot_is_read_back(plan: &Plan) {
    let text = snapshot::render(plan);
    let items = snapshot::parse(&text).expect("its own snapshot");
    let again = Plan::from_items(items).expect("the items of a plan");
    assert_eq!(snapshot::render(&again), text);
}

fn changes_are_written(store: &Store, data: &[u8], plan: &Plan) {
    store.mutate(options(), |_| Ok(())).expect("nothing to do");
    assert_eq!(
        std::fs::read(store.file()).expect("a file"),
        data,
        "without a change it is written"
    );
    let Some(first) = plan.items().first() else {
        return;
    };
    let (id, notes) = (first.id().clone(), first.notes().to_owned());
    let has_field = first.field("notes").is_some();
    // Numbers of 64 bits can be used up.
    let Ok(changed) = store.mutate(options(), |plan| plan.set_notes(&id, "fuzz: other notes"))
    else {
        assert!(
            parts::text(data).contains("184467440737"),
            "a valid plan can't be changed"
        );
        return;
    };
    let read = store.read().expect("what was written");
    assert_eq!(json(&read), json(&changed));
    let written = std::fs::read(store.file()).expect("a file");
    assert!(
        largest_number(&written) > largest_number(data),
        "a number is given twice"
    );
    assert_eq!(
        normal(&read.items()[1..]),
        normal(&plan.items()[1..]),
        "another item changed"
    );
    let diagnosis = store.diagnose().expect("what was written");
    assert!(diagnosis.violations.is_empty() && diagnosis.conflicts.is_empty());
    if has_field
        && store
            .mutate(options(), |plan| plan.set_notes(&id, &notes))
            .is_ok()
    {
        let back = store.read().expect("what was written");
        assert_eq!(
            json(&back),
            json(plan),
            "read, written and read it is another plan"
        );
    }
}

/// The largest number of a record.
fn largest_number(data: &[u8]) -> Option<u64> {
    let number = |line: &[u8]| {
        let record: Value = serde_json::from_slice(line).ok()?;
        record["seq"].as_u64()
    };
    data.split(|byte| *byte == b'\n').filter_map(number).max()
}

/// A repair gives a valid plan, or changes nothing.
fn repaired_is_valid(store: &Store) {
    let before = std::fs::read(store.file()).expect("a file");
    let Ok(diagnosis) = store.diagnose() else {
        return;
    };
    match store.repair_seq(options(), OnConflict::Decide) {
        // The numbers are right; the plan may be wrong in another way.
        Ok(repaired) if repaired.seq.is_none() => {
            assert!(diagnosis.violations.is_empty());
            let after = std::fs::read(store.file()).expect("a file");
            assert_eq!(after, before, "there is nothing to repair");
        }
        Ok(repaired) => {
            let plan = store.read().expect("a repaired plan");
            assert_eq!(json(&plan), json(&repaired.plan));
            assert!(store.diagnose().expect("readable").violations.is_empty());
        }
        Err(_) => {
            let after = std::fs::read(store.file()).expect("a file");
            assert_eq!(after, before, "a repair that fails changes the file");
        }
    }
}
