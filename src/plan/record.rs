//! One line of a plan file: reads versions 2, 3 and 4, and writes the two lines of a rewritten file.
//!
//! Knows single records, not the state that they fold into.

use super::actor::Actor;
use super::error::PlanError;
use super::foreign;
use super::foreign::{Fields, Foreign, ObjectWriter};
use super::id::ItemId;
use super::item::Item;
use super::lines::invalid_json;
use super::link::{COMMENT_FIELDS, Comment, Dep, position, utc_seconds};
use super::sequence::{Lane, Numbered};
use super::status::Status;
use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::ser::Formatter;
use serde_json::value::RawValue;
use std::io;
use std::io::Write;

/// The version of new files. A file of a later version keeps its own.
pub(super) const VERSION_WRITTEN: u8 = 3;

/// A parsed record.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub version: u8,
    pub number: Numbered,
    pub operation: Operation<'a>,
    /// Fields outside the format, such as `graph` of version 4.
    pub foreign: Foreign,
}

/// The effect of a record on the state.
#[derive(Debug)]
pub(super) enum Operation<'a> {
    /// Starts the file; changes nothing.
    Init,
    /// Replaces all items: the event `replace`, and every checkpoint. The items are unparsed, because a checkpoint mostly
    /// repeats the record before it.
    Replace(&'a RawValue),
    Upsert(Box<Item>),
    SetStatus(ItemId, Status),
    SetDeps(ItemId, Vec<Dep>),
    SetNotes(ItemId, String),
    AddComment(ItemId, Comment),
    Remove(ItemId),
}

/// The fields of a written record, in their order.
const FIELDS: [&str; 8] = [
    "v", "ts", "lane", "seq", "op", "items", "mutation", "repair",
];

impl<'a> Record<'a> {
    /// Reads one line.
    pub(super) fn parse(text: &'a str, line: usize) -> Result<Record<'a>, PlanError> {
        if !text.starts_with('{') {
            return Err(PlanError::InvalidJson {
                line,
                message: "a record is a JSON object".to_owned(),
            });
        }
        let fields: Fields =
            serde_json::from_str(text).map_err(|error| invalid_json(&error, line))?;
        Record::from_fields(&fields).map_err(|error| error.at_line(line))
    }

    fn from_fields(fields: &Fields<'a>) -> Result<Record<'a>, PlanError> {
        let version = version(fields)?;
        let lane = lane(fields)?;
        let number = Numbered {
            lane,
            seq: number(fields, "seq"),
            optional: version == 2,
        };
        let (operation, own) = match lane {
            Lane::Checkpoint => (Operation::Replace(items(fields)?), ["items"].as_slice()),
            Lane::Event => event(fields)?,
        };
        Ok(Record {
            version,
            number,
            operation,
            foreign: Foreign::new(fields, |name| written_position(name, own)),
        })
    }
}

/// The time and the actor of a record; each may be empty.
pub(super) fn stamp(line: &str) -> (String, String) {
    let fields: Fields = serde_json::from_str(line).unwrap_or_default();
    let text = |fields: &Fields, name| fields.get(name).and_then(|value| foreign::text(value));
    let mutation = fields
        .get("mutation")
        .and_then(|value| foreign::fields(value));
    let actor = mutation.and_then(|mutation| text(&mutation, "actor"));
    (
        text(&fields, "ts").unwrap_or_default(),
        actor.unwrap_or_default(),
    )
}

/// The position of a known field in a written record; `None` for a foreign one.
fn written_position(name: &str, own: &[&str]) -> Option<usize> {
    let written = match name {
        "kind" => "lane",
        name if own.contains(&name) => "items",
        name => name,
    };
    position(&FIELDS, written)
}

fn number(fields: &Fields, name: &str) -> Option<u64> {
    let value = fields.get(name)?;
    serde_json::from_str(value.get()).ok()
}

fn version(fields: &Fields) -> Result<u8, PlanError> {
    match number(fields, "v") {
        Some(2) => Ok(2),
        Some(3) => Ok(3),
        Some(4) => Ok(4),
        _ => Err(PlanError::UnsupportedVersion {
            found: fields
                .get("v")
                .map_or("(none)".to_owned(), |v| foreign::excerpt(v).into_owned()),
        }),
    }
}

/// The field `lane`, or `kind` in older files; without both the record is an event.
fn lane(fields: &Fields) -> Result<Lane, PlanError> {
    let Some(value) = fields.get("lane").or_else(|| fields.get("kind")) else {
        return Ok(Lane::Event);
    };
    match foreign::text(value).as_deref() {
        Some("event") => Ok(Lane::Event),
        Some("checkpoint") => Ok(Lane::Checkpoint),
        _ => Err(missing("lane", "`event` or `checkpoint`")),
    }
}

/// The operation of an event, and the names of its fields.
fn event<'a>(fields: &Fields<'a>) -> Result<(Operation<'a>, &'static [&'static str]), PlanError> {
    let op = text(fields, "op")?;
    Ok(match op.as_str() {
        "init" => (Operation::Init, &[]),
        "replace" | "replace_all" => (Operation::Replace(items(fields)?), &["items"]),
        "upsert" | "upsert_item" => (Operation::Upsert(Box::new(item(fields)?)), &["item"]),
        "set_status" => (
            Operation::SetStatus(id(fields)?, text(fields, "status")?.parse()?),
            &["id", "status"],
        ),
        "set_deps" => (
            Operation::SetDeps(id(fields)?, deps(fields)?),
            &["id", "deps"],
        ),
        "set_notes" => (
            Operation::SetNotes(id(fields)?, text(fields, "notes")?),
            &["id", "notes"],
        ),
        "add_comment" | "append_comment" | "comment" => (
            Operation::AddComment(id(fields)?, comment(fields)?),
            &["id", "comment", "author", "text"],
        ),
        "remove" => (Operation::Remove(id(fields)?), &["id"]),
        _ => return Err(PlanError::UnknownOperation { found: op }),
    })
}

fn missing(field: &'static str, expected: &'static str) -> PlanError {
    PlanError::RecordField { field, expected }
}

fn items<'a>(fields: &Fields<'a>) -> Result<&'a RawValue, PlanError> {
    let items = fields.get("items").copied();
    items
        .filter(|items| items.get().starts_with('['))
        .ok_or_else(|| missing("items", "a list of items"))
}

fn item(fields: &Fields) -> Result<Item, PlanError> {
    let item = fields.get("item");
    Item::read(item.ok_or_else(|| missing("item", "an item"))?, 1)
}

fn text(fields: &Fields, field: &'static str) -> Result<String, PlanError> {
    let text = fields.get(field).and_then(|value| foreign::text(value));
    text.ok_or_else(|| missing(field, "a text"))
}

fn id(fields: &Fields) -> Result<ItemId, PlanError> {
    text(fields, "id")?.try_into()
}

fn deps(fields: &Fields) -> Result<Vec<Dep>, PlanError> {
    let deps = fields.get("deps").and_then(|value| foreign::list(value));
    let deps = deps.ok_or_else(|| missing("deps", "a list"))?;
    deps.into_iter().map(Dep::read).collect()
}

/// The field `comment`, or a comment whose parts are fields of the record, without the record's other fields.
fn comment(fields: &Fields) -> Result<Comment, PlanError> {
    match fields.get("comment") {
        Some(comment) => Comment::read(comment),
        None => Comment::from_fields(fields, |name| {
            Some(position(&COMMENT_FIELDS, name).unwrap_or(COMMENT_FIELDS.len()))
        }),
    }
}

/// A record without its items.
#[derive(Debug)]
pub(super) struct Envelope<'a> {
    pub version: u8,
    pub ts: Timestamp,
    pub seq: u64,
    pub signature: Signature<'a>,
    pub foreign: &'a Foreign,
}

/// The actor of a rewrite, and the rule that applied.
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
        &mut *out,
        AsciiLine::default(),
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
        let envelope = self.envelope;
        let mut line = ObjectWriter::begin(serializer, envelope.foreign)?;
        line.field("v", &envelope.version)?;
        line.field("ts", &utc_seconds(envelope.ts))?;
        line.field("lane", self.lane.as_str())?;
        line.field("seq", &envelope.seq)?;
        match self.lane {
            Lane::Event => line.field("op", "replace")?,
            Lane::Checkpoint => line.skip_field(),
        }
        line.field("items", &Written(self.items))?;
        line.field("mutation", &envelope.signature)?;
        if envelope.signature.is_repair {
            line.field("repair", &serde_json::json!({"op": "doctor_repair_seq"}))?;
        }
        line.end()
    }
}

/// Items as they are written; those that have not changed since they were, without rendering them again.
struct Written<'a>(&'a [Item]);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = self.0.iter().map(|item| item.written_or_write(write_item));
        serializer.collect_seq(written)
    }
}

fn write_item(item: &Item) -> Box<RawValue> {
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, Ascii);
    let written = item.serialize(&mut serializer).ok();
    let text = written.and_then(|()| String::from_utf8(text).ok());
    let text = text.and_then(|text| RawValue::from_string(text).ok());
    text.expect("items are JSON, and not nested too deeply")
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

/// Compact JSON in ASCII, as in Python: a reader that splits at Unicode line ends still sees one line.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_ascii(out, fragment)
    }

    /// A foreign value: its text without the white space between tokens.
    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Quotes separate pieces that are alternately outside and inside of strings.
        let mut is_inside = false;
        let mut rest = fragment;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(piece_len(rest, is_inside));
            if is_inside {
                write_ascii(out, piece)?;
            } else {
                for token in piece.split_ascii_whitespace() {
                    out.write_all(token.as_bytes())?;
                }
            }
            rest = after;
            if let Some(after) = rest.strip_prefix('"') {
                out.write_all(b"\"")?;
                rest = after;
                is_inside = !is_inside;
            }
        }
        Ok(())
    }
}

/// [`Ascii`] for a line whose only list has values that are rendered already.
#[derive(Default)]
struct AsciiLine {
    is_in_list: bool,
}

impl Formatter for AsciiLine {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.is_in_list = true;
        Ascii.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.is_in_list = false;
        Ascii.end_array(out)
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        Ascii.write_string_fragment(out, fragment)
    }

    fn write_raw_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        match self.is_in_list {
            true => out.write_all(fragment.as_bytes()),
            false => Ascii.write_raw_fragment(out, fragment),
        }
    }
}

/// The distance to the quote that ends this piece of a JSON text; inside a string, an escaped quote does not.
fn piece_len(text: &str, is_inside: bool) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if is_inside && bytes[at] == b'\\' {
            2
        } else {
            1
        };
    }
    at.min(bytes.len())
}

fn write_ascii<W: ?Sized + Write>(out: &mut W, text: &str) -> io::Result<()> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~');
    if text.as_bytes().iter().all(is_plain) {
        return out.write_all(text.as_bytes());
    }
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if is_plain(&byte) => out.write_all(&[byte])?,
            _ => write!(out, "\\u{unit:04x}")?,
        }
    }
    Ok(())
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
        fn parse(line: &str) -> Record<'_> {
            Record::parse(line, 1).expect(line)
        }
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
                    matches!(&record.operation, Operation::AddComment(_, comment) if comment.text == "v"),
                    "{line}"
                );
                assert!(record.foreign.is_empty(), "{line}");
            }
        }
    }

    #[test]
    fn a_foreign_value_is_written_on_one_line() {
        let text = "{ \"a b\" :\n[1e3,\t\"x \\\" y\\\\\" , \"é\u{2028}\" ]}";
        let value: Box<RawValue> = serde_json::from_str(text).expect("JSON");
        let mut out = Vec::new();
        value
            .serialize(&mut serde_json::Serializer::with_formatter(&mut out, Ascii))
            .expect("written");
        assert_eq!(
            String::from_utf8_lossy(&out),
            r#"{"a b":[1e3,"x \" y\\","\u00e9\u2028"]}"#
        );
    }

    #[test]
    fn a_state_has_items_and_foreign_fields_on_one_line() {
        let item = r#"{"id":"a","step":"é","deps":[],"x":{ "k" : [1, " b "] }}"#;
        let items: [Item; 1] = [item.parse().expect("an item")];
        let fields: Fields =
            serde_json::from_str(r#"{"items":[],"graph":[ 1, {"é": 2} ]}"#).expect("an object");
        let envelope = Envelope {
            version: 3,
            ts: Timestamp::UNIX_EPOCH,
            seq: 7,
            signature: Signature {
                actor: &Actor::default(),
                allow_multiple_in_progress: false,
                pid: 1,
                is_repair: false,
            },
            foreign: &Foreign::new(&fields, |name| written_position(name, &["items"])),
        };
        let write = || {
            let mut out = Vec::new();
            write_state(&mut out, Lane::Checkpoint, &envelope, &items).expect("written");
            String::from_utf8(out).expect("ASCII")
        };
        let first = write();
        let items = r#""items":[{"id":"a","step":"\u00e9","status":"pending","deps":[],"x":{"k":[1," b "]},"notes":"","comments":[]}],"graph":[1,{"\u00e9":2}]"#;
        assert!(first.contains(items), "{first}");
        assert_eq!(first, write());
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
