use super::*;
use crate::model::{Event, Violation, WaveNo};

fn violation(detail: &str) -> Event {
    Event::Violation(Violation {
        wave: WaveNo(1),
        paths: vec!["a".into()],
        detail: detail.to_owned(),
        diff: None,
    })
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_numbers_continue() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::create(&path).expect("created");
    ledger
        .append([&violation("one"), &violation("two")])
        .expect("appended");
    drop(ledger);
    let mut bytes = std::fs::read(&path).expect("readable");
    let whole = bytes.len() as u64;
    bytes.extend_from_slice(b"{\"v\":1,\"seq\":3,\"ts\":");
    std::fs::write(&path, &bytes).expect("written");

    let (mut ledger, contents) = Ledger::open(&path).expect("opened");
    assert_eq!(
        (contents.records.len(), contents.tail.good_bytes),
        (2, whole)
    );
    ledger.append([&violation("three")]).expect("appended");
    drop(ledger);
    let records = read(&path).expect("readable").records;
    assert_eq!(records.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a_torn_line_earlier_is_an_error_with_its_number() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    std::fs::write(&path, "{\"v\":1,\"se\n{}\n").expect("written");
    let message = read(&path).expect_err("broken").to_string();
    assert!(message.contains("line 1: not JSON"), "{message}");
}

#[test]
fn unknown_events_are_kept_and_newer_versions_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    std::fs::write(
        &path,
        "{\"v\":1,\"seq\":1,\"ts\":\"t\",\"event\":\"later\",\"x\":1}\n",
    )
    .expect("written");
    let contents = read(&path).expect("readable");
    assert_eq!(contents.records[0].event.name(), "later");
    std::fs::write(
        &path,
        "{\"v\":2,\"seq\":1,\"ts\":\"t\",\"event\":\"later\"}\n",
    )
    .expect("written");
    assert!(matches!(
        read(&path),
        Err(LedgerError::Newer { found: 2, .. })
    ));
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let _first = Ledger::create(&path).expect("created");
    assert!(matches!(
        Ledger::open(&path),
        Err(LedgerError::Locked { .. })
    ));
}
