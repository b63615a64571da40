//! Ledgers: any bytes are the whole records of their whole lines and a torn rest, or an error with the line; so is any prefix. A torn
//! ledger that is opened goes on behind its last whole record, and an event that is appended again is read back as it was.

use crate::scratch;
use mesh::job::State;
use mesh::ledger::{self, Ledger, LedgerError, Lines, Tail};
use mesh::model::WaveNo;
use serde_json::Value;
use std::fs::OpenOptions;
use std::path::Path;

/// The most prefixes of one input that are read.
const CUTS_MAX: usize = 12;

/// Checks one input.
pub fn check(data: &[u8]) {
    let path = scratch::file("ledger.jsonl", data);
    let good = match ledger::read(&path) {
        Ok(contents) => {
            as_its_lines(data, &contents);
            lines_are_found(&path, data);
            fold(&contents);
            data.len()
        }
        Err(error) => good_bytes(&error, data),
    };
    prefixes_are_read(&path, data, good);
    let _ = std::fs::remove_file(&path);
    let path = scratch::file("ledger.jsonl", &data[..good]);
    goes_on_behind(&path, &data[..good]);
}

/// The lines that end, without their ends.
fn whole_lines(data: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    lines.pop();
    lines
}

fn whole_bytes(data: &[u8]) -> usize {
    data.iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1)
}

/// A record is read as plain JSON says.
fn as_its_lines(data: &[u8], contents: &ledger::Contents) {
    let lines = whole_lines(data);
    let good = whole_bytes(data) as u64;
    let tail = Tail {
        records: lines.len() as u64,
        good_bytes: good,
        torn_bytes: data.len() as u64 - good,
    };
    assert_eq!(contents.tail, tail);
    assert_eq!(contents.records.len(), lines.len());
    for ((record, line), seq) in contents.records.iter().zip(lines).zip(1_u64..) {
        let value: Value = serde_json::from_slice(line).expect("a record is JSON");
        assert_eq!((record.seq, value["seq"].as_u64()), (seq, Some(seq)));
        assert_eq!(
            value["v"]
                .as_u64()
                .map(|version| version <= ledger::VERSION),
            Some(true)
        );
        assert_eq!(value["ts"].as_str(), Some(&*record.ts));
        assert_eq!(value["event"].as_str(), Some(record.event.name()));
    }
}

fn lines_are_found(path: &Path, data: &[u8]) {
    let mut places = Vec::new();
    ledger::scan(path, |_, place| places.push(place)).expect("read before");
    let reader = Lines::open(path).expect("a file");
    for (place, line) in places.iter().zip(whole_lines(data)).rev() {
        let found = reader.line_at(*place).expect("a line of the file");
        assert_eq!(found.as_bytes(), line);
    }
}

/// Folds take any events in any order.
fn fold(contents: &ledger::Contents) {
    let mut once = State::new(WaveNo(1));
    let mut twice = State::new(WaveNo(1));
    for (record, place) in contents.records.iter().zip(0..) {
        once.apply(&record.event, place);
        twice.apply(&record.event, place);
        let _ = once.counts();
    }
    assert_eq!(
        format!("{:?}", once.counts()),
        format!("{:?}", twice.counts())
    );
}

/// The bytes before the line of an error; the error names a whole line.
fn good_bytes(error: &LedgerError, data: &[u8]) -> usize {
    let (LedgerError::Broken { line, .. }
    | LedgerError::Newer { line, .. }
    | LedgerError::Event { line, .. }) = error
    else {
        panic!("{error}");
    };
    let lines = whole_lines(data);
    let before = usize::try_from(*line).expect("small") - 1;
    assert!(before < lines.len(), "line {line} of {}", lines.len());
    lines[..before].iter().map(|line| line.len() + 1).sum()
}

/// Any prefix of the good bytes is its whole records, and what was recorded since is the rest of them.
fn prefixes_are_read(path: &Path, data: &[u8], good: usize) {
    let _ = std::fs::write(path, &data[..good]);
    let records = whole_lines(&data[..good]).len() as u64;
    let cuts = (0..=CUTS_MAX).map(|number| good - good * number / CUTS_MAX);
    for cut in cuts {
        let file = OpenOptions::new().write(true).open(path).expect("a file");
        file.set_len(cut as u64).expect("shorter");
        let kept = ledger::read(path).expect("a prefix of a ledger is one");
        let lines = whole_lines(&data[..cut]).len();
        assert_eq!(kept.records.len(), lines, "torn records are not read");
        assert_eq!(
            kept.tail.torn_bytes,
            (cut - whole_bytes(&data[..cut])) as u64
        );
        if cut > 0 {
            continue;
        }
        let _ = std::fs::write(path, &data[..good]);
        let half = good / 2;
        let begun = ledger::scan_from(path, Tail::default(), |_, _| {}).expect("read before");
        assert_eq!(begun.records, records);
        let tail = Tail {
            records: whole_lines(&data[..half]).len() as u64,
            good_bytes: whole_bytes(&data[..half]) as u64,
            torn_bytes: 0,
        };
        let mut since = 0;
        let ended = ledger::scan_from(path, tail, |_, _| since += 1).expect("read before");
        assert_eq!((ended, tail.records + since), (begun, records));
    }
}

/// The ledger as a writer finds it after a kill.
fn goes_on_behind(path: &Path, data: &[u8]) {
    let (mut ledger, contents) = Ledger::open(path).expect("a ledger");
    let whole = whole_bytes(data);
    assert_eq!(
        std::fs::read(path).expect("a file"),
        &data[..whole],
        "cut at the last whole record"
    );
    let events: Vec<_> = contents
        .records
        .iter()
        .map(|record| record.event.clone())
        .collect();
    ledger.write(&events).expect("written");
    drop(ledger);
    let again = ledger::read(path).expect("a ledger");
    assert_eq!(again.records.len(), 2 * events.len());
    for (event, record) in events.iter().zip(&again.records[events.len()..]) {
        let body = |event: &mesh::model::Event| {
            let mut body = Vec::new();
            event.write_body(&mut body);
            body
        };
        assert_eq!(event.name(), record.event.name());
        assert_eq!(
            body(event),
            body(&record.event),
            "an event is not read back"
        );
    }
    assert!(
        std::fs::read(path)
            .expect("a file")
            .starts_with(&data[..whole])
    );
}
