//! Properties of plan files and sequences of changes, for random ones.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::actor::Actor;
use super::error::PlanError;
use super::fold::Stream;
use super::id::ItemId;
use super::item::Item;
use super::link::{Comment, Dep};
use super::record::{Envelope, Signature, write_state};
use super::sequence::Lane;
use super::state::Plan;
use super::status::Status;

pub(super) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One change of a program.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Upsert(String, String),
    SetStatus(String, Status),
    SetDeps(String, Vec<String>),
    SetNotes(String, String),
    AddComment(String, String),
    Remove(String),
    Replace(Vec<String>),
    /// The file is rewritten, as every writer does after its changes.
    Rewrite,
}

fn id() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c", "st-001"]).prop_map(str::to_owned)
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let status = select(vec![
        Status::Pending,
        Status::InProgress,
        Status::Completed,
        Status::Blocked,
        Status::Deferred,
        Status::Canceled,
    ]);
    prop_oneof![
        3 => (id(), "[a-z]{1,5}").prop_map(|(id, step)| Change::Upsert(id, step)),
        1 => (id(), status).prop_map(|(id, status)| Change::SetStatus(id, status)),
        1 => (id(), vec(id(), 0..4)).prop_map(|(id, deps)| Change::SetDeps(id, deps)),
        1 => (id(), any::<String>()).prop_map(|(id, notes)| Change::SetNotes(id, notes)),
        1 => (id(), any::<String>()).prop_map(|(id, text)| Change::AddComment(id, text)),
        1 => id().prop_map(Change::Remove),
        1 => vec(id(), 0..3).prop_map(Change::Replace),
        1 => Just(Change::Rewrite),
    ]
}

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn item_text(id: &str, step: &str) -> String {
    format!(
        r#"{{"id":{},"step":{},"deps":[],"x":1e3}}"#,
        text(id),
        text(step)
    )
}

fn comment_text(content: &str) -> String {
    format!(r#"{{"ts":"t","author":"u","text":{}}}"#, text(content))
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).expect("JSON")
}

impl Change {
    /// Its record in a file.
    fn record(&self, seq: u64) -> String {
        let operation = match self {
            Change::Upsert(id, step) => {
                format!(r#""op":"upsert","item":{}"#, item_text(id, step))
            }
            Change::SetStatus(id, status) => {
                format!(r#""op":"set_status","id":"{id}","status":"{status}""#)
            }
            Change::SetDeps(id, deps) => format!(
                r#""op":"set_deps","id":"{id}","deps":{}"#,
                serde_json::json!(deps)
            ),
            Change::SetNotes(id, notes) => {
                format!(r#""op":"set_notes","id":"{id}","notes":{}"#, text(notes))
            }
            Change::AddComment(id, content) => {
                let comment = comment_text(content);
                format!(r#""op":"add_comment","id":"{id}","comment":{comment}"#)
            }
            Change::Remove(id) => format!(r#""op":"remove","id":"{id}""#),
            Change::Replace(ids) => {
                let items: Vec<String> = ids.iter().map(|id| item_text(id, "s")).collect();
                format!(r#""op":"replace","items":[{}]"#, items.join(","))
            }
            Change::Rewrite => unreachable!("is no record"),
        };
        format!(r#"{{"v":3,"ts":"t","lane":"event","seq":{seq},{operation}}}"#) + "\n"
    }

    /// Applies it to a plan in memory.
    pub(super) fn apply(&self, plan: &mut Plan) -> Result<(), PlanError> {
        let id = |id: &str| -> ItemId { id.parse().expect("not blank") };
        let item = |id: &str, step: &str| -> Item { item_text(id, step).parse().expect("an item") };
        match self {
            Change::Upsert(id, step) => {
                plan.upsert(item(id, step));
                Ok(())
            }
            Change::SetStatus(target, status) => plan.set_status(&id(target), *status),
            Change::SetDeps(target, deps) => plan.set_deps(
                &id(target),
                deps.iter()
                    .map(|dep| Dep::new(id(dep), Default::default()))
                    .collect(),
            ),
            Change::SetNotes(target, notes) => plan.set_notes(&id(target), notes),
            Change::AddComment(target, content) => {
                let value: Box<serde_json::value::RawValue> = read(&comment_text(content));
                plan.add_comment(&id(target), Comment::read(&value)?)
            }
            Change::Remove(target) => {
                plan.remove(&id(target));
                Ok(())
            }
            Change::Replace(ids) => plan.replace(ids.iter().map(|id| item(id, "s")).collect()),
            Change::Rewrite => Ok(()),
        }
    }
}

fn items(plan: &Plan) -> String {
    serde_json::to_string(plan.items()).expect("items are JSON")
}

/// The file after a rewrite without changes.
fn rewritten(stream: &Stream, seq: u64, signature: Signature) -> Vec<u8> {
    let mut out = Vec::new();
    for (lane, foreign) in [
        (Lane::Event, &stream.carried.event),
        (Lane::Checkpoint, &stream.carried.checkpoint),
    ] {
        let envelope = Envelope {
            version: stream.version,
            ts: "2026-02-09T20:02:00Z".parse().expect("a time"),
            seq,
            signature,
            foreign,
        };
        write_state(&mut out, lane, &envelope, stream.plan.items()).expect("written");
    }
    out
}

fn actor() -> Actor {
    Actor {
        name: "ann".to_owned(),
        session: None,
    }
}

fn signature(actor: &Actor) -> Signature<'_> {
    Signature {
        actor,
        allow_multiple_in_progress: false,
        pid: 7,
        is_repair: false,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn changes_are_the_fold_of_their_records(changes in vec(change(), 0..30)) {
        let actor = actor();
        let mut plan = Plan::default();
        let mut file: Vec<u8> = Vec::new();
        let mut seq = 0;
        for change in changes {
            if matches!(change, Change::Rewrite) {
                let stream = Stream::parse(&file).expect("a good file");
                file = rewritten(&stream, seq, signature(&actor));
                continue;
            }
            let mut longer = file.clone();
            longer.extend_from_slice(change.record(seq + 1).as_bytes());
            let mut changed = plan.clone();
            let made = change.apply(&mut changed);
            let folded = Stream::parse(&longer);
            prop_assert_eq!(made.is_ok(), folded.is_ok(), "{:?}", change);
            if made.is_ok() {
                (plan, file, seq) = (changed, longer, seq + 1);
            }
        }
        let stream = Stream::parse(&file).expect("a good file");
        prop_assert_eq!(items(&stream.plan), items(&plan));
        prop_assert_eq!(stream.watermark, seq);
        prop_assert!(stream.violations.is_empty(), "{:?}", stream.violations);
    }

    #[test]
    fn unchanged_fields_are_written_as_they_were_read(
        state in items_text(),
        event in foreign_fields(),
        checkpoint in foreign_fields(),
    ) {
        let known = |lane: &str, op: &str| -> Vec<String> {
            let fields = format!(
                r#""v":4 "ts":"2026-02-09T20:02:00Z" "lane":"{lane}" "seq":5 {op}"#
            );
            let mut fields: Vec<String> =
                fields.split_whitespace().map(str::to_owned).collect();
            fields.push(format!(r#""items":{state}"#));
            fields.push(
                r#""mutation":{"allow_multiple_in_progress":false,"actor":"ann","pid":7}"#.to_owned(),
            );
            fields
        };
        let file = format!(
            "{}\n{}\n",
            object(&known("event", r#""op":"replace""#), &event),
            object(&known("checkpoint", ""), &checkpoint),
        );
        let actor = actor();
        let stream = Stream::parse(file.as_bytes()).expect("a good file");
        let again = rewritten(&stream, 5, signature(&actor));
        prop_assert_eq!(String::from_utf8(again).expect("ASCII"), file);
    }
}

/// A foreign field, and the number of known fields before it.
type Placed = (usize, String);

/// Any JSON value as compact ASCII text.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "0",
            "-1",
            "1e3",
            "1.50",
            "18446744073709551616",
            "null",
            "true"
        ])
        .prop_map(str::to_owned),
        any::<String>().prop_map(|text| ascii(&text)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let field = (any::<String>(), inner.clone())
            .prop_map(|(name, value)| format!("{}:{value}", ascii(&name)));
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(","))),
            vec(field, 0..3).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    })
}

/// A JSON string as Python writes it.
fn ascii(text: &str) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units);
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect()
        }
    };
    serde_json::Value::from(text)
        .to_string()
        .chars()
        .map(escape)
        .collect()
}

/// Up to three foreign fields of different names.
fn foreign_fields() -> impl Strategy<Value = Vec<Placed>> {
    vec((0..8usize, json()), 0..4).prop_map(|fields| {
        let name = |(at, (place, value)): (usize, (usize, String))| {
            (place, format!(r#""x-{at}":{value}"#))
        };
        fields.into_iter().enumerate().map(name).collect()
    })
}

/// An object of these known fields, in order, with the foreign ones at their places.
fn object(known: &[String], foreign: &[Placed]) -> String {
    let mut fields = Vec::new();
    for place in 0..=known.len() {
        let last = place == known.len();
        let here = foreign
            .iter()
            .filter(|(at, _)| *at == place || (last && *at > place));
        fields.extend(here.map(|(_, field)| field.clone()));
        fields.extend(known.get(place).cloned());
    }
    format!("{{{}}}", fields.join(","))
}

fn object_of(known: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = String> {
    (known, foreign_fields()).prop_map(|(known, foreign)| object(&known, &foreign))
}

/// A list of items, each id once, with foreign fields on everything.
fn items_text() -> impl Strategy<Value = String> {
    let dep = |at: usize| {
        object_of(Just(vec![
            format!(r#""id":"d{at}""#),
            r#""type":"blocks""#.to_owned(),
        ]))
    };
    let deps = (0..3usize).prop_flat_map(move |count| (0..count).map(dep).collect::<Vec<_>>());
    let comment = object_of("[^\\s]{1,4}".prop_map(|content: String| {
        vec![
            r#""ts":"t""#.to_owned(),
            r#""author":" u""#.to_owned(),
            format!(r#""text":{}"#, ascii(&content)),
        ]
    }));
    let fields = (deps, vec(comment, 0..3), any::<String>()).prop_map(|(deps, comments, notes)| {
        [
            r#""step":"s""#.to_owned(),
            r#""status":"deferred""#.to_owned(),
            format!(r#""deps":[{}]"#, deps.join(",")),
            format!(r#""notes":{}"#, ascii(&notes)),
            format!(r#""comments":[{}]"#, comments.join(",")),
        ]
    });
    let item = (fields, foreign_fields());
    vec(item, 0..3).prop_map(|items| {
        let item = |(at, (fields, foreign)): (usize, ([String; 5], Vec<Placed>))| {
            let known: Vec<String> = [format!(r#""id":"i{at}""#)]
                .into_iter()
                .chain(fields)
                .collect();
            object(&known, &foreign)
        };
        let items: Vec<String> = items.into_iter().enumerate().map(item).collect();
        format!("[{}]", items.join(","))
    })
}
