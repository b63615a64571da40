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

#[test]
fn a_ledger_of_many_blocks_is_read_in_order_with_the_offset_of_every_line() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::create(&path).expect("created");
    let events: Vec<Event> = (0..6000).map(|n| violation(&"x".repeat(n % 700))).collect();
    let places = ledger.append(&events).expect("appended");
    drop(ledger);
    let whole = std::fs::metadata(&path).expect("there").len();
    let mut file = std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("opened");
    std::io::Write::write_all(&mut file, b"{\"v\":1").expect("written");

    let mut seen = Vec::new();
    let tail = scan(&path, |record, place| seen.push((record.seq, place))).expect("readable");
    let expected: Vec<(u64, u64)> = (1..).zip(places).collect();
    assert_eq!(seen, expected);
    assert_eq!(
        (tail.records, tail.good_bytes, tail.torn_bytes),
        (6000, whole, 6)
    );

    let mut later = Vec::new();
    let first_half = Tail {
        records: 3000,
        good_bytes: expected[3000].1,
        torn_bytes: 0,
    };
    let again = scan_from(&path, first_half, |record, place| {
        later.push((record.seq, place))
    });
    assert_eq!(again.expect("readable"), tail);
    assert_eq!(later, expected[3000..]);
}

#[test]
fn an_invalid_line_in_a_later_block_is_named_and_all_before_it_are_seen() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::create(&path).expect("created");
    let event = violation(&"x".repeat(500));
    ledger
        .append(std::iter::repeat_n(&event, 5000))
        .expect("appended");
    drop(ledger);
    let text = std::fs::read_to_string(&path).expect("text");
    std::fs::write(&path, text.replace("\"seq\":4000,", "\"seq\":4001,")).expect("written");

    let mut seen = 0;
    let error = scan(&path, |_, _| seen += 1).expect_err("invalid");
    assert!(
        matches!(error, LedgerError::Broken { line: 4000, .. }),
        "{error}"
    );
    assert_eq!(seen, 3999);
}

#[test]
fn what_serde_would_change_or_refuse_is_read_field_by_field() {
    let read_line = |body: &str| {
        let line = format!("{{\"v\":1,\"seq\":1,\"ts\":\"t\",{body}}}");
        let record = record::parse(std::path::Path::new("ledger.jsonl"), 1, line.as_bytes());
        let record = record.map(|record| {
            let mut fields = Vec::new();
            record.event.write_body(&mut fields);
            String::from_utf8(fields).expect("text")
        });
        record.map_err(|error| format!("{error:?}"))
    };
    let reported = |result: &str| {
        format!(
            "\"event\":\"attempt_reported\",\"wave\":1,\"item_id\":\"a\",\"row_index\":0,\"attempt\":1,\"via\":\"report\",\"result\":{result},\"reported_at\":\"t\""
        )
    };
    for result in [
        r#"{"b":1,"a":[0.10,-0,12345678901234567890]}"#,
        r#"{"a":1E3}"#,
        r#"{"$serde_json::private::Number":"1"}"#,
        r#"{"a":"1e3 $"}"#,
    ] {
        let fields = read_line(&reported(result)).expect(result);
        assert!(fields.contains(&format!("\"result\":{result}")), "{fields}");
    }
    // The last of repeated fields counts, whatever they are.
    let twice = format!("{},\"attempt\":2", reported("{}"));
    assert!(read_line(&twice).expect("valid").contains("\"attempt\":2"));
    let error = read_line("\"event\":\"attempt_started\",\"wave\":1").expect_err("invalid");
    assert!(error.contains("attempt_started"), "{error}");
    assert_eq!(
        read_line("\"event\":\"later\",\"x\":1").expect("kept"),
        "{\"x\":1}"
    );
}
