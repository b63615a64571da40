//! Which records are worth reading before beginning something: a pure ranking by words, recency and status.
//!
//! The score of a record is `0.6 * words + 0.25 * recency + 0.15 * status`, each part between 0 and 1:
//!
//! - *words*: how much of the query is found in `learning`, `application`, `evidence`, `tags` and `context.paths`.
//!   Words are runs of letters and digits, in lower case, whole. Each distinct query word weighs `ln(1 + n / df)`, with `n`
//!   records of which `df` hold it, so that a word that stands everywhere counts little; the part is the weight found
//!   over the weight asked for. 0 without a query.
//! - *recency*: halves every 30 days; 0 where `captured_at` is no time.
//! - *status*: `codify_now` 1, `do_more` and `do_less` 0.8, `review_later` 0.2, anything else 0.5.
//!
//! Order: records that no other one supersedes, then the superseded; within each by score, highest first; ties by
//! `captured_at`, newest first, then the later line first. Linear in the text but for the sort.

use super::draft::word;
use super::record::Record;
use jiff::Timestamp;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

const WORDS_SHARE: f64 = 0.6;
const RECENCY_SHARE: f64 = 0.25;
const STATUS_SHARE: f64 = 0.15;
const HALF_LIFE_DAYS: f64 = 30.0;
const SECONDS_PER_DAY: f64 = 86_400.0;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only records with at least one of these words, so none when there is no word in it. `None` is no question at all:
    /// all records.
    pub text: Option<String>,
    /// Only records of these statuses; of any when empty.
    pub statuses: Vec<String>,
    /// The most records to give.
    pub limit: usize,
}

/// A record that was found.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The record.
    pub record: &'a Record<'a>,
    /// Between 0 and 1.
    pub score: f64,
    /// The query words that it holds, in the order of the query.
    pub matched: Vec<String>,
    /// The id of the last record that takes its place, if one does.
    pub superseded_by: Option<&'a str>,
}

/// The best records for `query`, best first.
pub fn recall<'a>(records: &'a [Record<'a>], now: Timestamp, query: &Query) -> Vec<Found<'a>> {
    let words = distinct_words(query.text.as_deref().unwrap_or_default());
    let statuses: HashSet<String> = query.statuses.iter().map(|status| word(status)).collect();
    let superseding = superseding(records);
    let candidates: Vec<Candidate> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| statuses.is_empty() || statuses.contains(&record.status()))
        .map(|(index, record)| Candidate {
            index,
            record,
            hits: hits(record, &words),
        })
        .collect();
    let weights = Weights::of(&words, &candidates);
    let mut ranked: Vec<(Rank, Candidate)> = candidates
        .into_iter()
        .filter(|candidate| query.text.is_none() || !candidate.hits.is_empty())
        .map(|candidate| {
            let is_superseded = superseding.contains_key(candidate.record.id());
            (
                Rank::of(&candidate, is_superseded, &weights, now),
                candidate,
            )
        })
        .collect();
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    let best = ranked.into_iter().take(query.limit);
    best.map(|(rank, Candidate { record, hits, .. })| Found {
        record,
        score: rank.score,
        matched: hits.iter().map(|hit| words.list[*hit].clone()).collect(),
        superseded_by: superseding.get(record.id()).copied(),
    })
    .collect()
}

/// The distinct words of the query, and where in the query each stands.
struct Words {
    list: Vec<String>,
    places: HashMap<String, usize>,
}

impl Words {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

struct Candidate<'a> {
    /// Its place among all records.
    index: usize,
    record: &'a Record<'a>,
    /// Places of the query words that it holds, rising.
    hits: Vec<usize>,
}

/// How much each query word counts.
struct Weights {
    each: Vec<f64>,
    total: f64,
}

impl Weights {
    fn of(words: &Words, candidates: &[Candidate]) -> Self {
        let mut holders = vec![0_usize; words.list.len()];
        for hit in candidates.iter().flat_map(|candidate| &candidate.hits) {
            holders[*hit] += 1;
        }
        let all = candidates.len() as f64;
        let weight = |holders: usize| (1.0 + all / holders.max(1) as f64).ln();
        let each: Vec<f64> = holders.into_iter().map(weight).collect();
        Self {
            total: each.iter().sum(),
            each,
        }
    }

    fn share(&self, hits: &[usize]) -> f64 {
        if hits.is_empty() {
            return 0.0;
        }
        hits.iter().map(|hit| self.each[*hit]).sum::<f64>() / self.total
    }
}

/// What the order is made of.
struct Rank {
    is_superseded: bool,
    score: f64,
    captured_at: Option<Timestamp>,
    index: usize,
}

impl Rank {
    fn of(candidate: &Candidate, is_superseded: bool, weights: &Weights, now: Timestamp) -> Self {
        let captured_at = candidate.record.captured_at();
        let score = WORDS_SHARE * weights.share(&candidate.hits)
            + RECENCY_SHARE * captured_at.map_or(0.0, |time| recency(time, now))
            + STATUS_SHARE * firmness(&candidate.record.status());
        Self {
            is_superseded,
            score,
            captured_at,
            index: candidate.index,
        }
    }

    /// Best first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |rank: &Self| (Reverse(rank.captured_at), Reverse(rank.index));
        self.is_superseded
            .cmp(&other.is_superseded)
            .then(other.score.total_cmp(&self.score))
            .then_with(|| key(self).cmp(&key(other)))
    }
}

/// A superseded id -> the id of the last record that says so.
fn superseding<'a>(records: &'a [Record<'a>]) -> HashMap<&'a str, &'a str> {
    records
        .iter()
        .filter_map(|record| Some((record.supersedes_id()?, record.id())))
        .collect()
}

/// 1 now and in the future, half of it a half-life ago.
fn recency(captured_at: Timestamp, now: Timestamp) -> f64 {
    let seconds = (now.as_second() - captured_at.as_second()).max(0);
    0.5_f64.powf(seconds as f64 / SECONDS_PER_DAY / HALF_LIFE_DAYS)
}

fn firmness(status: &str) -> f64 {
    match status {
        "codify_now" => 1.0,
        "do_more" | "do_less" => 0.8,
        "review_later" => 0.2,
        _ => 0.5,
    }
}

fn distinct_words(text: &str) -> Words {
    let mut words = Words {
        list: Vec::new(),
        places: HashMap::new(),
    };
    for_each_word(text, |word| {
        if !words.places.contains_key(word) {
            words.places.insert(word.to_owned(), words.list.len());
            words.list.push(word.to_owned());
        }
    });
    words
}

fn hits(record: &Record, words: &Words) -> Vec<usize> {
    let mut hits = Vec::new();
    if words.is_empty() {
        return hits;
    }
    let texts = std::iter::once(record.learning())
        .chain(record.application())
        .chain(record.evidence())
        .chain(record.tags())
        .chain(record.paths());
    for text in texts {
        for_each_word(text, |word| hits.extend(words.places.get(word)));
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

/// Runs of letters and digits, in lower case.
fn for_each_word(text: &str, act: impl FnMut(&str)) {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .for_each(act);
}

#[cfg(test)]
mod tests {
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
    fn what_stands_for_nothing_given_is_not_found() {
        let nothing =
            json!({"evidence": ["none_provided"], "application": "capture_follow_up_later"});
        let records = [record("a", nothing)];
        assert_eq!(ids(&records, &query("none follow later")), [""; 0]);
    }

    #[test]
    fn matched_words_stand_once_in_the_order_of_the_query() {
        let records = [record("a", json!({"learning": "Ärger mit c, b und ärger"}))];
        let found = recall(&records, time(NOW), &query("b ÄRGER z b c"));
        assert_eq!(found[0].matched, ["b", "ärger", "c"]);
    }

    #[test]
    fn the_score_is_what_the_head_of_this_file_says() {
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
    fn a_rare_word_outweighs_one_that_stands_everywhere() {
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
}
