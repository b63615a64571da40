//! The fold of all records of a plan file, in order, into its state.
//!
//! Pure: takes bytes, returns a [`Stream`]. The state is checked by [`rules`](super::rules).

use super::error::PlanError;
use super::foreign::Foreign;
use super::json;
use super::lines::{conflict_marker, lines, utf8};
use super::record::{Operation, Record, VERSION_WRITTEN};
use super::sequence;
use super::sequence::{Lane, Numbered, Violation};
use super::state::Plan;
use serde_json::value::RawValue;

/// The content of a plan file: its state, and what the next writer needs.
#[derive(Debug)]
pub(super) struct Stream {
    pub plan: Plan,
    /// The version to write: that of the file, but at least the first one with lanes.
    pub version: u8,
    /// The largest sequence number of the file.
    pub watermark: u64,
    /// The number of checkpoints.
    pub checkpoints: usize,
    /// The violations of the sequence contract.
    pub violations: Vec<Violation>,
    pub carried: Carried,
}

/// The foreign fields of records, which are written again on their lane.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried {
    pub event: Foreign,
    pub checkpoint: Foreign,
}

impl Stream {
    /// Folds a file. An empty one is an empty plan.
    ///
    /// # Errors
    /// An invalid record. If there is a git conflict marker, only that is reported, because it is the cause.
    pub(super) fn parse(bytes: &[u8]) -> Result<Stream, PlanError> {
        Stream::fold(lines(bytes)).map_err(|error| conflict_marker(bytes).unwrap_or(error))
    }

    /// Folds some lines of a file.
    pub(super) fn fold<'l>(
        lines: impl Iterator<Item = (usize, &'l [u8])>,
    ) -> Result<Stream, PlanError> {
        let mut state = State::default();
        let mut carried = Carried::default();
        let mut numbers: Vec<Numbered> = Vec::new();
        let mut newest = 0;
        for (at, line) in lines {
            let record = Record::parse(utf8(line, at)?, at)?;
            if record.version == 2 && newest > 2 {
                return Err(PlanError::VersionOrder { after: newest }.at_line(at));
            }
            newest = newest.max(record.version);
            numbers.push(record.number);
            carried.add(record.number.lane, record.foreign);
            state
                .apply(record.operation)
                .map_err(|error| error.at_line(at))?;
        }
        let checkpoints = numbers
            .iter()
            .filter(|number| number.lane == Lane::Checkpoint);
        let checkpoints = checkpoints.count();
        if checkpoints == 0 {
            carried.checkpoint.clone_from(&carried.event);
        }
        state.plan.reset_events();
        Ok(Stream {
            plan: state.plan,
            version: newest.max(VERSION_WRITTEN),
            watermark: sequence::watermark(&numbers),
            checkpoints,
            violations: sequence::violations(&numbers),
            carried,
        })
    }
}

impl Carried {
    /// Adds a record's fields to its lane. Events also update the fields of an earlier checkpoint.
    fn add(&mut self, lane: Lane, foreign: Foreign) {
        match lane {
            Lane::Event => {
                self.checkpoint.update_from(&foreign);
                self.event.overlay(foreign);
            }
            Lane::Checkpoint => self.checkpoint.overlay(foreign),
        }
    }
}

/// The plan during the fold.
#[derive(Default)]
struct State<'a> {
    plan: Plan,
    /// The text of the items, if the plan is exactly that text. A checkpoint that repeats it is not parsed.
    text: Option<&'a str>,
}

impl<'a> State<'a> {
    fn apply(&mut self, operation: Operation<'a>) -> Result<(), PlanError> {
        if let Operation::Replace(items) = operation {
            return self.replace(items);
        }
        self.text = None;
        operation.apply(&mut self.plan)
    }

    fn replace(&mut self, items: &'a RawValue) -> Result<(), PlanError> {
        if self.text == Some(items.get()) {
            return Ok(());
        }
        // Drops the old items first, so that a large plan is never in memory twice.
        self.plan = Plan::default();
        self.plan = Plan::from_items(json::items(items)?)?;
        self.text = Some(items.get());
        Ok(())
    }
}

impl Operation<'_> {
    /// Applies the operation to `plan`.
    pub(super) fn apply(self, plan: &mut Plan) -> Result<(), PlanError> {
        match self {
            Operation::Init => {}
            Operation::Replace(items) => plan.replace(json::items(items)?)?,
            Operation::Upsert(item) => plan.upsert(*item),
            Operation::SetStatus(id, status) => plan.set_status(&id, status)?,
            Operation::SetDeps(id, deps) => plan.set_deps(&id, deps)?,
            Operation::SetNotes(id, notes) => plan.set_notes(&id, &notes)?,
            Operation::AddComment(id, comment) => plan.add_comment(&id, comment)?,
            Operation::Remove(id) => plan.remove(&id),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(text: &str) -> Stream {
        Stream::parse(text.as_bytes()).expect("a good file")
    }

    #[test]
    fn records_fold_in_order_and_a_checkpoint_replaces() {
        let stream = stream(concat!(
            r#"{"v":2,"ts":"t","seq":1,"op":"init"}"#,
            "\n",
            r#"{"v":2,"ts":"t","seq":2,"op":"upsert_item","item":{"id":"gone","step":"s","deps":[]}}"#,
            "\n\n",
            r#"{"v":3,"ts":"t","lane":"checkpoint","seq":2,"items":[{"id":"a","step":"s","deps":[]}]}"#,
            "\r\n",
            r#"{"v":3,"ts":"t","lane":"event","seq":3,"op":"set_notes","id":"a","notes":"n"}"#,
            "\n",
            r#"{"v":3,"ts":"t","lane":"event","seq":4,"op":"set_status","id":"a","status":"DONE"}"#,
            "\n",
            r#"{"v":3,"ts":"t","lane":"event","seq":5,"op":"remove","id":"nobody"}"#,
        ));
        assert_eq!(stream.plan.items().len(), 1);
        assert_eq!(stream.plan.items()[0].notes(), "n");
        assert_eq!(stream.plan.items()[0].status().as_str(), "completed");
        assert_eq!(
            (stream.version, stream.watermark, stream.plan.events()),
            (3, 5, 0)
        );
        assert!(stream.violations.is_empty());
    }

    #[test]
    fn an_unknown_id_and_a_late_v2_record_stop_the_fold() {
        for (text, message) in [
            (
                r#"{"v":3,"lane":"event","seq":1,"op":"set_notes","id":"a","notes":""}"#,
                "unknown id 'a' (line 1)",
            ),
            (
                "{\"v\":3,\"lane\":\"event\",\"seq\":1,\"op\":\"init\"}\n{\"v\":2,\"seq\":2,\"op\":\"init\"}",
                "v2 record after a v3 record (line 2)",
            ),
        ] {
            assert_eq!(
                Stream::parse(text.as_bytes()).expect_err(text).to_string(),
                message
            );
        }
        assert!(
            Stream::parse(b"\xff")
                .expect_err("not UTF-8")
                .to_string()
                .starts_with("invalid JSON at line 1: ")
        );
    }

    #[test]
    fn foreign_record_fields_keep_their_lane() {
        let stream = stream(concat!(
            r#"{"v":4,"lane":"event","seq":1,"op":"replace","items":[],"note":1}"#,
            "\n",
            r#"{"v":4,"lane":"checkpoint","seq":1,"items":[],"graph":{"n":1}}"#,
            "\n",
            r#"{"v":4,"lane":"event","seq":2,"op":"init","graph":{"n":2}}"#,
        ));
        let number = |foreign: &Foreign, name| foreign.get(name).map(|value| value.to_string());
        let Carried { event, checkpoint } = &stream.carried;
        assert_eq!(number(event, "note").as_deref(), Some("1"));
        assert_eq!(number(event, "graph").as_deref(), Some(r#"{"n":2}"#));
        assert_eq!(number(checkpoint, "graph").as_deref(), Some(r#"{"n":2}"#));
        assert_eq!(number(checkpoint, "note"), None);
        assert_eq!(stream.version, 4);
    }
}
