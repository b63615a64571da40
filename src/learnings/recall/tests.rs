use super::*;
use serde_json::{Value, json};

const NOW: &str = "2026-02-13T12:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// A record captured now, with what `fields` says.
fn record(id: &str, fields: Value) -> Record<'static> {
    let mut all =
        json!({"id": id, "captured_at": NOW, "status": "do_more", "learning": "something"});
    let all = all.as_object_mut().expect("an object");
    all.extend(fields.as_object().expect("an object").clone());
    let line = serde_json::to_string(all).expect("JSON");
    Record::parse(line.leak()).expect("a record")
}

fn query(text: &str) -> Query {
    Query {
        text: Some(text.to_owned()),
        statuses: Vec::new(),
        limit: 100,
    }
}

/// No question at all.
fn everything() -> Query {
    Query {
        text: None,
        ..query("")
    }
}

fn ids<'a>(records: &'a [Record], query: &Query) -> Vec<&'a str> {
    let found = recall(records, time(NOW), query);
    found.iter().map(|found| found.record.id()).collect()
}

#[test]
fn words_are_found_in_every_field_that_says_something() {
    let records = [
        record("learning", json!({"learning": "The PARSER, first"})),
        record("application", json!({"application": "run the parser"})),
        record(
            "evidence",
            json!({"evidence": ["none", "parser-test failed"]}),
        ),
        record("bare", json!({"evidence": "parser"})),
        record("tag", json!({"tags": ["parser"]})),
        record("path", json!({"context": {"paths": ["src/parser.rs"]}})),
        record("longer", json!({"learning": "parsers"})),
        record("elsewhere", json!({"source": "parser", "notes": "parser"})),
    ];
    let mut found = ids(&records, &query("Parser!"));
    found.sort_unstable();
    assert_eq!(
        found,
        ["application", "bare", "evidence", "learning", "path", "tag"]
    );
}

#[test]
fn placeholder_texts_are_not_found() {
    let nothing = json!({"evidence": ["none_provided"], "application": "capture_follow_up_later"});
    let records = [record("a", nothing)];
    assert_eq!(ids(&records, &query("none follow later")), [""; 0]);
}

#[test]
fn matched_words_are_distinct_and_in_query_order() {
    let records = [record("a", json!({"learning": "Ärger mit c, b und ärger"}))];
    let found = recall(&records, time(NOW), &query("b ÄRGER z b c"));
    assert_eq!(found[0].matched, ["b", "ärger", "c"]);
}

#[test]
fn the_score_follows_the_documented_formula() {
    let records = [
        record(
            "a",
            json!({"learning": "x", "captured_at": "2026-01-14T12:00:00Z"}),
        ),
        record(
            "b",
            json!({"learning": "y", "captured_at": "no time", "status": "Codify Now"}),
        ),
        record(
            "c",
            json!({"learning": "y", "captured_at": "2030-01-01T00:00:00Z", "status": "?"}),
        ),
    ];
    let found = recall(&records, time(NOW), &query("x y"));
    let score = |id: &str| {
        let found = found.iter().find(|found| found.record.id() == id);
        found.expect("found").score
    };
    let (x, y) = (4.0_f64.ln(), 2.5_f64.ln());
    let expected = [
        ("a", 0.6 * x / (x + y) + 0.25 * 0.5 + 0.15 * 0.8),
        ("b", 0.6 * y / (x + y) + 0.15),
        // No status is one to review later.
        ("c", 0.6 * y / (x + y) + 0.25 + 0.15 * 0.2),
    ];
    for (id, expected) in expected {
        assert!((score(id) - expected).abs() < 1e-12, "{id}: {}", score(id));
    }
}

#[test]
fn a_rare_word_outweighs_a_common_one() {
    let mut records: Vec<Record> = (0..20)
        .map(|n| record(&format!("n{n}"), json!({"learning": "the thing"})))
        .collect();
    let rare = json!({"learning": "lockfile", "captured_at": "2025-01-01T00:00:00Z"});
    records.insert(3, record("rare", rare));
    assert_eq!(ids(&records, &query("the lockfile"))[0], "rare");
}

#[test]
fn without_a_query_newer_and_firmer_records_come_first() {
    let at = |day: &str| format!("2026-{day}T12:00:00Z");
    let records = [
        record("later", json!({"status": "review_later"})),
        record("unknown", json!({"status": "ponder"})),
        record("old", json!({"captured_at": at("01-01")})),
        record(
            "less",
            json!({"status": "do_less", "captured_at": at("02-12")}),
        ),
        record("more", json!({})),
        record("codify", json!({"status": "codify_now"})),
    ];
    let order = ["codify", "more", "less", "unknown", "later", "old"];
    assert_eq!(ids(&records, &everything()), order);
    for nothing in ["", "   ", "\t\n", " ?! "] {
        assert_eq!(ids(&records, &query(nothing)), [""; 0], "{nothing:?}");
    }
}

#[test]
fn ties_go_to_the_newer_time_then_to_the_later_line() {
    let records = [
        record("first", json!({})),
        record("future", json!({"captured_at": "2026-03-01T00:00:00Z"})),
        record(
            "second",
            json!({"captured_at": "2026-02-13T13:00:00+01:00"}),
        ),
    ];
    assert_eq!(ids(&records, &everything()), ["future", "second", "first"]);
}

#[test]
fn superseded_records_come_last_and_name_what_takes_their_place() {
    let records = [
        record("old", json!({"status": "codify_now"})),
        record("self", json!({"supersedes_id": "self"})),
        record("middle", json!({"supersedes_id": "old"})),
        record(
            "new",
            json!({"supersedes_id": "old", "status": "review_later", "captured_at": "2020-01-01T00:00:00Z"}),
        ),
        record("lost", json!({"supersedes_id": "nobody"})),
    ];
    let found = recall(&records, time(NOW), &everything());
    let found: Vec<_> = found
        .iter()
        .map(|found| (found.record.id(), found.superseded_by))
        .collect();
    let open = |id| (id, None);
    assert_eq!(
        found,
        [
            open("lost"),
            open("middle"),
            open("self"),
            open("new"),
            ("old", Some("new"))
        ]
    );
}

#[test]
fn the_superseding_record_need_not_be_found_itself() {
    let records = [
        record("new", json!({"supersedes_id": "old", "status": "do_less"})),
        record("old", json!({})),
    ];
    let mut only = everything();
    only.statuses = vec!["Do More".to_owned()];
    let found = recall(&records, time(NOW), &only);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].superseded_by, Some("new"));
}

#[test]
fn statuses_and_limit_narrow_what_is_found() {
    let records = [
        record("a", json!({"status": "DO-LESS"})),
        record("b", json!({})),
        record("c", json!({"status": "ponder"})),
    ];
    let mut narrow = query("something");
    narrow.statuses = vec!["do less".to_owned(), "ponder".to_owned()];
    assert_eq!(ids(&records, &narrow), ["a", "c"]);
    narrow.limit = 1;
    assert_eq!(ids(&records, &narrow), ["a"]);
}
