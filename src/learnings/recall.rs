//! Ranks records by words, recency and status. Pure.
//!
//! The score of a record is `0.6 * words + 0.25 * recency + 0.15 * status`, each part between 0 and 1:
//!
//! - *words*: the share of the query found in `learning`, `application`, `evidence`, `tags` and `context.paths`. Words are
//!   whole runs of letters and digits, in lower case. Each distinct query word weighs `ln(1 + n / df)`, with `n` records of
//!   which `df` hold it, so that a common word counts little; the share is the weight found over the total weight. 0 without
//!   a query.
//! - *recency*: halves every 30 days; 0 if `captured_at` is invalid.
//! - *status*: `codify_now` 1, `do_more` and `do_less` 0.8, `review_later` 0.2, anything else 0.5.
//!
//! Order: superseded records last; within both groups by score, highest first; ties by `captured_at`, newest first, then the
//! later line first. Linear in the text, except for the sort.

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

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only records with at least one of these words, so none for a text without words; all records for `None`.
    pub text: Option<String>,
    /// Only records with these statuses; with any if empty.
    pub statuses: Vec<String>,
    /// The most records to return.
    pub limit: usize,
}

/// A found record.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The record.
    pub record: &'a Record<'a>,
    /// Between 0 and 1.
    pub score: f64,
    /// The query words in it, in the order of the query.
    pub matched: Vec<String>,
    /// The id of the last record that supersedes it, if any.
    pub superseded_by: Option<&'a str>,
}

/// The records for `query`, best first.
pub fn recall<'a>(records: &'a [Record<'a>], now: Timestamp, query: &Query) -> Vec<Found<'a>> {
    let words = distinct_words(query.text.as_deref().unwrap_or_default());
    let statuses: HashSet<String> = query.statuses.iter().map(|status| word(status)).collect();
    let superseded_by = map_superseded(records);
    let candidates: Vec<Candidate> = records
        .iter()
        .enumerate()
        .filter(|(_, record)| statuses.is_empty() || statuses.contains(&record.status()))
        .map(|(index, record)| Candidate {
            index,
            record,
            hits: find_hits(record, &words),
        })
        .collect();
    let weights = Weights::new(&words, &candidates);
    let mut ranked: Vec<(Rank, Candidate)> = candidates
        .into_iter()
        .filter(|candidate| query.text.is_none() || !candidate.hits.is_empty())
        .map(|candidate| {
            let is_superseded = superseded_by.contains_key(candidate.record.id());
            (
                Rank::new(&candidate, is_superseded, &weights, now),
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
        superseded_by: superseded_by.get(record.id()).copied(),
    })
    .collect()
}

/// The distinct words of the query, and their places.
struct Words {
    list: Vec<String>,
    places: HashMap<String, usize>,
}

struct Candidate<'a> {
    /// Its place among all records.
    index: usize,
    record: &'a Record<'a>,
    /// The places of the query words in it, ascending.
    hits: Vec<usize>,
}

/// The weights of the query words.
struct Weights {
    each: Vec<f64>,
    total: f64,
}

impl Weights {
    fn new(words: &Words, candidates: &[Candidate]) -> Self {
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

/// The sort key.
struct Rank {
    is_superseded: bool,
    score: f64,
    captured_at: Option<Timestamp>,
    index: usize,
}

impl Rank {
    fn new(candidate: &Candidate, is_superseded: bool, weights: &Weights, now: Timestamp) -> Self {
        let captured_at = candidate.record.captured_at();
        let score = WORDS_SHARE * weights.share(&candidate.hits)
            + RECENCY_SHARE * captured_at.map_or(0.0, |time| recency(time, now))
            + STATUS_SHARE * status_weight(&candidate.record.status());
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

/// A superseded id -> the id of the last record that supersedes it.
fn map_superseded<'a>(records: &'a [Record<'a>]) -> HashMap<&'a str, &'a str> {
    records
        .iter()
        .filter_map(|record| Some((record.supersedes_id()?, record.id())))
        .collect()
}

/// 1 now and in the future, 0.5 a half-life ago.
fn recency(captured_at: Timestamp, now: Timestamp) -> f64 {
    let seconds = (now.as_second() - captured_at.as_second()).max(0);
    0.5_f64.powf(seconds as f64 / SECONDS_PER_DAY / HALF_LIFE_DAYS)
}

fn status_weight(status: &str) -> f64 {
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

fn find_hits(record: &Record, words: &Words) -> Vec<usize> {
    let mut hits = Vec::new();
    if words.list.is_empty() {
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

/// Calls `act` with each run of letters and digits, in lower case.
fn for_each_word(text: &str, act: impl FnMut(&str)) {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .for_each(act);
}

#[cfg(test)]
mod tests;
