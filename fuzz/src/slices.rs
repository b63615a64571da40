//! Slices: the answers in a file of a slice are those that plain JSON gives, for any prefix a prefix of them; taken again, it has the
//! same ones; every row of a job is in one slice.
//!
//! The input is a `job.json`, rows as `--rows` takes them, and the file of a slice.

use crate::{parts, scratch};
use mesh::executor::slices::{
    Claimed, JobFolder, JobMark, SliceAnswer, SliceName, SlicedJob, Slicing, find_sources,
    read_answers,
};
use mesh::job::Rows;
use mesh::ledger::{self, Lines};
use mesh::model::{JobId, WaveNo};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// Checks one input.
pub fn check(data: &[u8]) {
    let [job, rows, file] = parts::split(data);
    let folder = scratch::empty_folder("job");
    std::fs::write(folder.join("job.json"), job).expect("written");
    if let Ok(sliced) = JobFolder::at(&folder).read() {
        in_one_slice(&sliced);
    }
    let rows = parts::text(rows);
    if let Ok(rows) = rows.parse::<Rows>() {
        rows_are_read_back(&rows);
    }
    if let Ok(name) = rows.parse::<SliceName>() {
        let again = name.to_string().parse();
        assert_eq!(again.as_ref(), Ok(&name));
    }
    results(&folder, file);
}

/// The most slices that are listed.
const SLICES_MAX: u64 = 64;

fn rows_are_read_back(rows: &Rows) {
    let text = rows.to_string();
    assert_eq!(text.parse().as_ref(), Ok(rows));
    let name = SliceName::of_rows(rows);
    assert_eq!(name.to_string().parse(), Ok(name));
}

fn in_one_slice(sliced: &SlicedJob) {
    let Slicing {
        rows,
        rows_per_slice,
        ..
    } = &sliced.slicing;
    if *rows_per_slice == 0 {
        return;
    }
    let count = sliced.slicing.count();
    if count > SLICES_MAX {
        return;
    }
    let parts: Vec<Rows> = (1..=count)
        .map(|number| sliced.slicing.rows_of(number).expect("one of its slices"))
        .collect();
    assert!(sliced.slicing.rows_of(count + 1).is_none() && sliced.slicing.rows_of(0).is_none());
    let total: u128 = parts.iter().map(|rows| u128::from(rows.len())).sum();
    assert_eq!(
        total,
        u128::from(rows.len()),
        "a row is in no slice, or in two"
    );
    let all: Vec<String> = parts.iter().map(Rows::to_string).collect();
    if !all.is_empty() {
        assert_eq!(all.join(",").parse().as_ref(), Ok(rows));
    }
}

fn results(folder: &Path, bytes: &[u8]) {
    let path = folder.join("results.jsonl");
    std::fs::write(&path, bytes).expect("written");
    let _ = find_sources(&path).expect("readable");
    let Ok(answers) = read_answers(&path).expect("readable") else {
        assert!(ledger::read(&path).is_err());
        return;
    };
    let expected = by_plain_json(bytes);
    let lines = Lines::open(&path).expect("a file");
    assert_eq!(
        answers.len(),
        expected.len(),
        "other answers than plain JSON gives"
    );
    for (answer, (index, attempt, outcome)) in answers.iter().zip(&expected) {
        assert_eq!(
            (answer.row_index, u64::from(answer.attempts)),
            (*index, *attempt)
        );
        let found = match answer.outcome.clone() {
            Ok(place) => Ok(Value::Object(place.read(&lines).expect("its record"))),
            Err(why) => Err(why),
        };
        assert_eq!(&found, outcome);
    }
    for half in [bytes.len() / 3, bytes.len() / 2] {
        std::fs::write(&path, &bytes[..half]).expect("written");
        let fewer = read_answers(&path).expect("readable").expect("a prefix");
        assert_eq!(fewer, answers[..fewer.len()], "a prefix has other answers");
    }
    taken_again(folder, bytes, &answers);
}

type Plain = (u64, u64, Result<Value, String>);

/// The answers, by nothing but the fields of each line.
fn by_plain_json(bytes: &[u8]) -> Vec<Plain> {
    let mut results: HashMap<u64, Value> = HashMap::new();
    let mut answers = Vec::new();
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
        let value: Value = serde_json::from_slice(line).expect("a record");
        let number = |key: &str| value[key].as_u64().unwrap_or(u64::MAX);
        match value["event"].as_str() {
            Some("attempt_reported") => {
                results.insert(number("row_index"), value["result"].clone());
            }
            Some("attempt_finished") => {
                let outcome = match value["end"].as_str() {
                    Some("completed") => results
                        .remove(&number("row_index"))
                        .filter(Value::is_object)
                        .map(Ok),
                    Some("failed") => {
                        Some(Err(value["error"].as_str().unwrap_or_default().to_owned()))
                    }
                    _ => None,
                };
                if let Some(outcome) = outcome {
                    answers.push((number("row_index"), number("attempt"), outcome));
                }
            }
            _ => {}
        }
    }
    answers
}

/// A process that takes the slice goes on behind what is there.
fn taken_again(folder: &Path, bytes: &[u8], answers: &[SliceAnswer]) {
    let job = JobFolder::at(folder);
    std::fs::create_dir_all(job.slices()).expect("a folder");
    let first = job.slices().join("00007.1.jsonl");
    std::fs::write(&first, bytes).expect("written");
    let mark = JobMark {
        job_id: JobId::new("j"),
        label: None,
    };
    let claimed = Claimed::claim(&job, &SliceName::Number(7), 3, WaveNo(1), mark);
    let path = match claimed.expect("free") {
        Claimed::Taken(_) => job.slices().join("00007.2.jsonl"),
        Claimed::Done(_) => first,
    };
    let again = read_answers(&path).expect("readable").expect("a ledger");
    assert_eq!(again, answers, "taken again it has other answers");
}
