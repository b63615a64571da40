//! One line of a plan file: reading versions 2, 3 and 4, and writing the two lines a rewritten file
//! consists of.
//!
//! Knows the shape of a record and nothing of what the records add up to.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;
use serde_json::{Map, Value};

use super::link::utc_seconds;
use super::sequence::{Lane, Numbered};
use super::{Actor, Comment, Dep, Item, ItemId, PlanError, Status, snapshot};

/// The version of new files. A file of a later version keeps its own.
pub(super) const VERSION_WRITTEN: u8 = 3;

/// One record, read.
#[derive(Debug)]
pub(super) struct Record {
    pub version: u8,
    pub number: Numbered,
    pub operation: Operation,
    /// Fields that are not the format's own, such as version 4's `graph`.
    pub carried: Map<String, Value>,
}

/// What a record does to the state.
#[derive(Debug)]
pub(super) enum Operation {
    /// Begins the file; the state stays as it is.
    Init,
    /// Replaces all items: the event `replace`, and every checkpoint.
    Replace(Vec<Item>),
    Upsert(Box<Item>),
    SetStatus(ItemId, Status),
    SetDeps(ItemId, Vec<Dep>),
    SetNotes(ItemId, String),
    AddComment(ItemId, Comment),
    Remove(ItemId),
}

/// Fields of the format on any record; the operations' own come on top.
const ENVELOPE: [&str; 8] = ["v", "ts", "lane", "kind", "seq", "op", "mutation", "repair"];

impl Record {
    /// Reads one line.
    pub(super) fn parse(text: &str, line: usize) -> Result<Record, PlanError> {
        let value =
            serde_json::from_str(text).map_err(|error| snapshot::invalid_json(&error, line))?;
        let Value::Object(object) = value else {
            return Err(PlanError::InvalidJson {
                line,
                message: "a record is a JSON object".to_owned(),
            });
        };
        Record::from_object(object).map_err(|error| error.at_line(line))
    }

    fn from_object(mut object: Map<String, Value>) -> Result<Record, PlanError> {
        let version = version(object.get("v"))?;
        let lane = lane(&object)?;
        let seq = object.get("seq").and_then(Value::as_u64);
        let number = Numbered {
            lane,
            seq,
            optional: version == 2,
        };
        let (operation, own) = match lane {
            Lane::Checkpoint => (
                Operation::Replace(take_items(&mut object)?),
                ["items"].as_slice(),
            ),
            Lane::Event => event(&mut object)?,
        };
        object
            .retain(|name, _| !ENVELOPE.contains(&name.as_str()) && !own.contains(&name.as_str()));
        Ok(Record {
            version,
            number,
            operation,
            carried: object,
        })
    }
}

fn version(value: Option<&Value>) -> Result<u8, PlanError> {
    match value.and_then(Value::as_u64) {
        Some(2) => Ok(2),
        Some(3) => Ok(3),
        Some(4) => Ok(4),
        _ => Err(PlanError::UnsupportedVersion {
            found: value.map_or("(none)".to_owned(), Value::to_string),
        }),
    }
}

/// `lane`, in older files `kind`; without either the record is an event.
fn lane(object: &Map<String, Value>) -> Result<Lane, PlanError> {
    match object
        .get("lane")
        .or_else(|| object.get("kind"))
        .map(Value::as_str)
    {
        None | Some(Some("event")) => Ok(Lane::Event),
        Some(Some("checkpoint")) => Ok(Lane::Checkpoint),
        Some(_) => Err(PlanError::RecordField {
            field: "lane",
            expected: "`event` or `checkpoint`",
        }),
    }
}

/// The operation of an event, and the names of the fields that belong to it.
fn event(
    object: &mut Map<String, Value>,
) -> Result<(Operation, &'static [&'static str]), PlanError> {
    let op = text(object, "op")?.to_owned();
    Ok(match op.as_str() {
        "init" => (Operation::Init, &[]),
        "replace" | "replace_all" => (Operation::Replace(take_items(object)?), &["items"]),
        "upsert" | "upsert_item" => {
            let item = Item::from_value(
                object.get_mut("item").map(Value::take).unwrap_or_default(),
                1,
            )?;
            (Operation::Upsert(Box::new(item)), &["item"])
        }
        "set_status" => (
            Operation::SetStatus(id(object)?, text(object, "status")?.parse()?),
            &["id", "status"],
        ),
        "set_deps" => (
            Operation::SetDeps(id(object)?, deps(object)?),
            &["id", "deps"],
        ),
        "set_notes" => (
            Operation::SetNotes(id(object)?, text(object, "notes")?.to_owned()),
            &["id", "notes"],
        ),
        "add_comment" | "append_comment" | "comment" => (
            Operation::AddComment(id(object)?, comment(object)?),
            &["id", "comment", "author", "text"],
        ),
        "remove" => (Operation::Remove(id(object)?), &["id"]),
        _ => return Err(PlanError::UnknownOperation { found: op }),
    })
}

fn take_items(object: &mut Map<String, Value>) -> Result<Vec<Item>, PlanError> {
    match object.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => snapshot::items(items),
        _ => Err(PlanError::RecordField {
            field: "items",
            expected: "a list of items",
        }),
    }
}

fn text<'a>(object: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, PlanError> {
    let text = object.get(field).and_then(Value::as_str);
    text.ok_or(PlanError::RecordField {
        field,
        expected: "a text",
    })
}

fn id(object: &Map<String, Value>) -> Result<ItemId, PlanError> {
    text(object, "id")?.parse()
}

fn deps(object: &Map<String, Value>) -> Result<Vec<Dep>, PlanError> {
    match object.get("deps") {
        Some(Value::Array(deps)) => deps.iter().map(Dep::from_value).collect(),
        _ => Err(PlanError::RecordField {
            field: "deps",
            expected: "a list",
        }),
    }
}

/// A comment of its own, or one whose parts stand on the record.
fn comment(object: &Map<String, Value>) -> Result<Comment, PlanError> {
    match object.get("comment") {
        Some(comment) => Comment::from_value(comment),
        None => Comment::from_value(&Value::Object(object.clone())),
    }
}

/// Everything of a record that is not its items.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub version: u8,
    pub ts: Timestamp,
    pub seq: u64,
    pub signature: Signature<'a>,
    pub carried: &'a Map<String, Value>,
}

/// By whom and under which rule a file was rewritten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature<'a> {
    pub actor: &'a Actor,
    pub allow_multiple_in_progress: bool,
    pub pid: u32,
    pub is_repair: bool,
}

/// The first line of a new file.
pub(super) fn write_init(out: &mut impl Write, ts: Timestamp) -> io::Result<()> {
    let ts = utc_seconds(ts);
    writeln!(
        out,
        r#"{{"v":{VERSION_WRITTEN},"ts":"{ts}","lane":"event","seq":1,"op":"init"}}"#
    )
}

/// One line with all items, as an event `replace` or a checkpoint.
pub(super) fn write_state(
    out: &mut impl Write,
    lane: Lane,
    envelope: &Envelope,
    items: &[Item],
) -> io::Result<()> {
    StateLine {
        lane,
        envelope,
        items,
    }
    .serialize(&mut serde_json::Serializer::with_formatter(
        &mut *out, Ascii,
    ))?;
    out.write_all(b"\n")
}

struct StateLine<'a> {
    lane: Lane,
    envelope: &'a Envelope<'a>,
    items: &'a [Item],
}

impl Serialize for StateLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("v", &self.envelope.version)?;
        line.serialize_entry("ts", &utc_seconds(self.envelope.ts))?;
        line.serialize_entry(
            "lane",
            if self.lane == Lane::Event {
                "event"
            } else {
                "checkpoint"
            },
        )?;
        line.serialize_entry("seq", &self.envelope.seq)?;
        if self.lane == Lane::Event {
            line.serialize_entry("op", "replace")?;
        }
        line.serialize_entry("items", self.items)?;
        line.serialize_entry("mutation", &self.envelope.signature)?;
        if self.envelope.signature.is_repair {
            line.serialize_entry("repair", &serde_json::json!({"op": "doctor_repair_seq"}))?;
        }
        for (name, value) in self.envelope.carried {
            line.serialize_entry(name, value)?;
        }
        line.end()
    }
}

impl Serialize for Signature<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut mutation = serializer.serialize_map(None)?;
        mutation.serialize_entry(
            "allow_multiple_in_progress",
            &self.allow_multiple_in_progress,
        )?;
        mutation.serialize_entry("actor", &self.actor.name)?;
        mutation.serialize_entry("pid", &self.pid)?;
        if let Some(session) = &self.actor.session {
            mutation.serialize_entry("session", session)?;
        }
        mutation.end()
    }
}

/// Compact JSON in ASCII, as Python's writer makes it: one that splits at every Unicode line end
/// still sees one line.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
        if fragment.as_bytes().iter().all(is_plain) {
            return out.write_all(fragment.as_bytes());
        }
        for unit in fragment.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if is_plain(&byte) => out.write_all(&[byte])?,
                _ => write!(out, "\\u{unit:04x}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> String {
        Record::parse(line, 7).expect_err(line).to_string()
    }

    #[test]
    fn wrong_records_name_their_line() {
        for (line, message) in [
            (
                r#"{"v":3"#,
                "invalid JSON at line 7: EOF while parsing an object (column 6)",
            ),
            (r#"[]"#, "invalid JSON at line 7: a record is a JSON object"),
            (
                r#"{"v":5,"op":"init"}"#,
                "unsupported schema version 5 (line 7)",
            ),
            (
                r#"{"op":"init"}"#,
                "unsupported schema version (none) (line 7)",
            ),
            (
                r#"{"v":3,"lane":"event","seq":1,"op":"sing"}"#,
                "unknown operation 'sing' (line 7)",
            ),
            (
                r#"{"v":3,"lane":"both","seq":1}"#,
                "record needs `lane`: `event` or `checkpoint` (line 7)",
            ),
            (
                r#"{"v":3,"lane":"checkpoint","seq":1}"#,
                "record needs `items`: a list of items (line 7)",
            ),
            (
                r#"{"v":3,"lane":"event","seq":1,"op":"set_status","id":"a","status":"odd"}"#,
                "invalid status 'odd'; expected one of: blocked, canceled, completed, deferred, in_progress, pending (line 7)",
            ),
        ] {
            assert_eq!(refused(line), message);
        }
    }

    #[test]
    fn older_names_mean_the_same() {
        let parse = |line: &str| Record::parse(line, 1).expect(line);
        let checkpoint = parse(r#"{"v":3,"kind":"checkpoint","seq":0,"items":[]}"#);
        assert_eq!(checkpoint.number.lane, Lane::Checkpoint);
        for op in ["add_comment", "append_comment", "comment"] {
            let inline = format!(
                r#"{{"v":2,"seq":1,"op":"{op}","id":"a","ts":"t","author":"u","text":"v"}}"#
            );
            let own = format!(
                r#"{{"v":2,"op":"{op}","id":"a","comment":{{"ts":"t","author":"u","text":"v"}}}}"#
            );
            for line in [inline, own] {
                let record = parse(&line);
                assert!(
                    matches!(record.operation, Operation::AddComment(_, comment) if comment.text == "v"),
                    "{line}"
                );
                assert!(record.carried.is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn the_writer_escapes_as_python_does() {
        let mut out = Vec::new();
        "aé\u{2028}😀\u{7f}\n\""
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Ascii))
            .expect("written");
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#""a\u00e9\u2028\ud83d\ude00\u007f\n\"""#
        );
    }
}
