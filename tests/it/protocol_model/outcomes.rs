//! All that can become of a row, and what its answer says.
//!
//! The state of a run holds answers as offsets in its ledger. Here the offsets are those of a file with one record of every answer,
//! which the program reads itself, so that equal answers have equal offsets in all states. What failed has an offset beyond the file.

use mesh::ledger::{Ledger, Lines};
use mesh::model::{
    AttemptKey, Event, Fault, Lane, PatchEvidence, ReportVia, Role, RowId, RunKind, RunStarted,
    WaveNo,
};
use mesh::protocol::{Protocol, Round, Select};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An answer that passes its checks.
    Answer(Value),
    /// A patch that passes them, with what was seen of it in a copy of the tree.
    Tried(Value, PatchEvidence),
    /// An answer that a check refuses, with this code.
    Refused(&'static str),
    /// No answer in time, also in the second attempt.
    TimedOut,
    /// No answer in the one attempt.
    Silent,
    /// The service refuses the row until the executor gives up.
    Limited(Fault),
}

impl Outcome {
    /// Whether the answer can be accepted.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Answer(_) | Self::Tried(..))
    }

    /// The answer of a worker, also one that is refused.
    pub fn result(&self) -> Option<Value> {
        match self {
            Self::Answer(answer) | Self::Tried(answer, _) => Some(answer.clone()),
            Self::Refused(code) => Some(json!({"refused": code})),
            _ => None,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::Answer(answer) => match (answer["vote"].as_str(), answer.get("findings")) {
                (Some(vote), _) => vote.to_owned(),
                (_, Some(findings)) => {
                    format!("{} findings", findings.as_array().map_or(0, Vec::len))
                }
                _ => "accepted".to_owned(),
            },
            Self::Tried(answer, seen) => {
                let how = match (seen.passed, seen.weak) {
                    (false, _) => "fails",
                    (true, true) => "passes, as the tree does without it",
                    (true, false) => "passes",
                };
                format!("{} {how}", answer["patch"].as_str().unwrap_or_default())
            }
            Self::Refused(code) => format!("refused: {code}"),
            Self::TimedOut => "timed out twice".to_owned(),
            Self::Silent => "no answer".to_owned(),
            Self::Limited(fault) => fault.as_str().to_owned(),
        }
    }
}

/// All outcomes of the rows of one protocol, with the offset of each.
#[derive(Debug)]
pub struct Outcomes {
    known: Vec<(Outcome, u64)>,
    pub lines: Lines,
}

/// The offset of the first outcome without an answer.
const BEYOND: u64 = 1 << 40;

impl Outcomes {
    /// Writes the ledger with the answers at `path`.
    pub fn new(path: &Path) -> Self {
        let mut ledger = Ledger::create(path).expect("a ledger");
        let started = Event::from(RunStarted {
            run_id: mesh::model::RunId::new("answers"),
            kind: RunKind::Plan,
            mesh_version: String::new(),
            root: PathBuf::new(),
            settings: Value::Null,
        });
        ledger.append([&started]).expect("written");
        let known = all().into_iter().zip(0..).map(|(outcome, number)| {
            let place = match outcome.result() {
                Some(result) => {
                    let key = AttemptKey {
                        wave: WaveNo(1),
                        item_id: RowId::new("u.r.x.1"),
                        row_index: 0,
                        attempt: 1,
                    };
                    let event = Event::from(key.reported(ReportVia::Report, result, String::new()));
                    ledger.append([&event]).expect("written")[0]
                }
                None => BEYOND + number,
            };
            (outcome, place)
        });
        Self {
            known: known.collect(),
            lines: ledger.lines().expect("a reader"),
        }
    }

    pub fn place(&self, outcome: &Outcome) -> u64 {
        let known = self.known.iter().find(|(known, _)| known == outcome);
        known.expect("one of all").1
    }

    pub fn at(&self, place: u64) -> &Outcome {
        let known = self.known.iter().find(|(_, known)| *known == place);
        &known.expect("one of all").0
    }
}

fn all() -> Vec<Outcome> {
    let mut all = failures(Lane::ReadOnly);
    all.extend(failures(Lane::Patch));
    all.extend([
        plain("a plan"),
        findings(&[]),
        findings(&["x"]),
        change("p"),
        change("t"),
    ]);
    all.extend(tried());
    let candidates = ["author_1", "author_2", "author_3", "none"];
    all.extend(["agree", "disagree"].map(vote));
    all.extend(candidates.map(vote));
    all.push(Outcome::Answer(json!({"mesh": {}})));
    all.push(Outcome::Refused("empty_test"));
    all
}

fn plain(text: &str) -> Outcome {
    Outcome::Answer(json!({"plan": [text]}))
}

fn findings(findings: &[&str]) -> Outcome {
    Outcome::Answer(json!({"findings": findings, "must_fix": []}))
}

fn change(patch: &str) -> Outcome {
    Outcome::Answer(json!({"patch": patch}))
}

fn vote(vote: &str) -> Outcome {
    Outcome::Answer(json!({"vote": vote, "reason": "r"}))
}

/// Patches: two that leave different files, one of them larger, one that shows nothing, and one that fails.
fn tried() -> Vec<Outcome> {
    let patch = |name: &str, passed, weak, lines| {
        let seen = PatchEvidence {
            passed,
            weak,
            lines,
            result: name.to_owned(),
            failure: if passed {
                String::new()
            } else {
                "`make`: exit 1".to_owned()
            },
        };
        Outcome::Tried(json!({"patch": name}), seen)
    };
    vec![
        patch("small", true, false, 1),
        patch("large", true, false, 9),
        patch("weak", true, true, 1),
        patch("bad", false, false, 1),
    ]
}

fn failures(lane: Lane) -> Vec<Outcome> {
    let refused = match lane {
        Lane::Patch => "does_not_apply",
        Lane::ReadOnly => "lane",
    };
    vec![
        Outcome::Refused(refused),
        Outcome::TimedOut,
        Outcome::Silent,
        Outcome::Limited(Fault::RateLimit),
    ]
}

/// All outcomes of a row of this round, the good ones first.
pub fn of_round(protocol: &Protocol, round: &Round) -> Vec<Outcome> {
    let is_vote = protocol
        .consensus
        .as_ref()
        .is_some_and(|gate| gate.round == round.name);
    let mut outcomes = match (round.select, is_vote) {
        (Some(_), _) => tried(),
        (None, true) if protocol.select() == Some(Select::Vote) => {
            let patches = protocol.patch_round().map_or(&[][..], |round| &round.roles);
            let names = patches.iter().map(Role::as_str).chain(["none"]);
            names.map(vote).collect()
        }
        (None, true) => ["agree", "disagree"].map(vote).into(),
        (None, false) if round.is_test => vec![change("t")],
        (None, false) => match (round.lane, round.name.as_str()) {
            (Lane::Patch, _) => vec![change("p")],
            (_, "critique") => vec![findings(&["x"]), findings(&[])],
            (_, "hydrate") => vec![Outcome::Answer(json!({"mesh": {}}))],
            _ => vec![plain("a plan")],
        },
    };
    outcomes.extend(failures(round.lane));
    outcomes.extend(round.is_test.then_some(Outcome::Refused("empty_test")));
    outcomes
}
