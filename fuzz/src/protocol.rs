//! Protocol files: refused with a line of the file, or a protocol that works: whatever its roles answer, it asks only its own roles,
//! one after the other, and ends.
//!
//! The input is the file, the text of all its prompts, and what the roles answer, a byte each.

use crate::parts;
use mesh::model::{BlockReason, PatchEvidence, Role, Tally, UnitId};
use mesh::protocol::{
    Action, Answer, Checked, Definition, Emission, Integration, Protocol, ProtocolError, Select,
    TaskContext, Templates, UnitState, next, remaining, render, tally,
};
use serde_json::{Value, json};

/// Checks one input.
pub fn check(data: &[u8]) {
    let [file, prompt, answers] = parts::split(data);
    let (file, prompt) = (parts::text(file), parts::text(prompt).into_owned());
    match Definition::parse("p.yaml", &file, &Texts { prompt }) {
        Ok(Definition::Rounds(protocol)) => drive(&protocol, answers),
        Ok(Definition::Tiers(_)) => {}
        Err(error) => refused(&error, &file),
    }
}

struct Texts {
    prompt: String,
}

impl Templates for Texts {
    fn text(&self, name: &str) -> std::io::Result<Option<String>> {
        match name.rsplit_once('.') {
            Some((_, "md")) => Ok(Some(self.prompt.clone())),
            Some((_, "json")) => Ok(Some("{}".to_owned())),
            _ => Ok(None),
        }
    }
}

fn refused(error: &ProtocolError, file: &str) {
    let message = error.to_string();
    let line = match error {
        ProtocolError::Unusable { line, .. } | ProtocolError::NoTemplate { line, .. } => *line,
        _ => 1,
    };
    assert!((1..=parts::lines(file)).contains(&line), "{message}");
}

/// The most retries and rounds of protocols that are run to their end.
const RETRIES_MAX: u32 = 3;
const ROUNDS_MAX: usize = 12;

fn drive(protocol: &Protocol, answers: &[u8]) {
    let retries = protocol.consensus.as_ref().map_or(0, |gate| gate.retries);
    if retries > RETRIES_MAX || protocol.rounds.len() > ROUNDS_MAX {
        return;
    }
    let mut unit = Unit {
        protocol,
        state: UnitState::default(),
        answers: answers.iter(),
        votes: 0,
        has_metadata: protocol.hydration.is_none(),
    };
    // Each round of each cycle, its rows asked twice, and its count.
    let voters = protocol.widest_round();
    let steps_max = (protocol.rounds.len() + 2) * (retries as usize + 2) * (voters + 3) * 3;
    for _ in 0..steps_max {
        if unit.step() {
            return;
        }
    }
    panic!("no end after {steps_max} steps: {:?}", unit.state);
}

struct Unit<'p> {
    protocol: &'p Protocol,
    state: UnitState,
    answers: std::slice::Iter<'p, u8>,
    /// How often it was voted.
    votes: u32,
    has_metadata: bool,
}

impl Unit<'_> {
    /// Takes the next action; whether it was the last one.
    fn step(&mut self) -> bool {
        let action = next(self.protocol, &self.state, self.has_metadata);
        match action {
            Action::Emit(emission) => self.ask(&emission),
            Action::Hydrate(_) => self.has_metadata = true,
            Action::Tally => self.count(),
            Action::Integrate => {
                let patch = self.protocol.patch_round().expect("a round with the patch");
                let accepted = self.state.accepted_answers(&patch.name);
                assert!(!accepted.is_empty(), "there is no patch to integrate");
                // One candidate that is left is not voted on.
                if self.protocol.consensus.is_some() && self.protocol.select().is_none() {
                    let tally = self.state.current_tally().expect("a vote");
                    assert!(tally.consensus, "integrated without consensus");
                }
                self.state.integration = match self.byte() & 1 {
                    0 => Integration::Applied,
                    _ => Integration::Failed(BlockReason::ValidationFailed, "no".to_owned()),
                };
            }
            Action::Complete => {
                assert_eq!(self.state.integration, Integration::Applied);
                return true;
            }
            Action::Change(_) | Action::Block(..) | Action::Halt(_) => return true,
            Action::Await => panic!("nothing runs, and it waits: {:?}", self.state),
        }
        false
    }

    fn byte(&mut self) -> u8 {
        self.answers.next().copied().unwrap_or_default()
    }

    fn ask(&mut self, emission: &Emission) {
        let Emission {
            round,
            attempt,
            roles,
        } = emission;
        let known = self.protocol.round(round).expect("one of its rounds");
        assert!(!roles.is_empty(), "no role is asked");
        assert!(
            roles.iter().all(|role| known.roles.contains(role)),
            "{roles:?} of {round}"
        );
        assert_eq!(*attempt, self.state.count_emissions(round) + 1);
        let task = TaskContext {
            task_id: "st-1".to_owned(),
            objective: "</input> {role}".to_owned(),
            mesh_meta: String::new(),
            files: String::new(),
        };
        for role in roles {
            render(self.protocol, known, role, *attempt, &task, &self.state);
        }
        self.state
            .record_emission(round, *attempt, roles.iter().cloned());
        for role in roles {
            let answer = self.answer(round.as_str(), role);
            let is_accepted = matches!(answer, Answer::Accepted(_));
            self.state.record_answer(round, *attempt, role, answer);
            if is_accepted && self.protocol.tries_patches() {
                let seen = self.byte();
                let evidence = PatchEvidence {
                    passed: seen & 3 != 3,
                    weak: seen & 4 != 0,
                    lines: u64::from(seen >> 5),
                    result: (seen & 24).to_string(),
                    failure: String::new(),
                };
                let checked = Checked {
                    text: "applies".to_owned(),
                    evidence: Some(evidence),
                };
                self.state.record_checked(round, *attempt, role, checked);
            }
        }
    }

    /// An answer; like the judge of a run, it gives no second retry in a row.
    fn answer(&mut self, round: &str, role: &Role) -> Answer {
        let was_refused = self
            .state
            .current_emissions()
            .iter()
            .rev()
            .skip(1)
            .any(|run| {
                run.round.as_str() == round
                    && matches!(
                        run.answer(role),
                        Some(Answer::Retry { .. } | Answer::Fault { .. })
                    )
            });
        let (code, detail) = ("schema_invalid".to_owned(), "no".to_owned());
        match self.byte() % 6 {
            3 if !was_refused => Answer::Retry { code, detail },
            3 => Answer::Rejected { code, detail },
            4 if !was_refused => Answer::Fault {
                detail,
                is_final: false,
            },
            4 => Answer::Fault {
                detail,
                is_final: true,
            },
            5 => Answer::Rejected { code, detail },
            vote => Answer::Accepted(self.accepted(vote)),
        }
    }

    fn accepted(&mut self, vote: u8) -> Value {
        let named = remaining(self.protocol, &self.state);
        let candidate = named.first().map(|candidate| candidate.role.to_string());
        let vote = match (vote, candidate) {
            (0, Some(candidate)) => candidate,
            (0, None) => "agree".to_owned(),
            _ => "disagree".to_owned(),
        };
        json!({"vote": vote, "reason": "r", "findings": [], "must_fix": [], "patch": "p"})
    }

    fn count(&mut self) {
        let gate = self.protocol.consensus.as_ref().expect("a gate");
        let number = self.state.rounds.last().map_or(0, |run| run.attempt);
        let candidates = match self.protocol.select() {
            Some(Select::Vote) => remaining(self.protocol, &self.state),
            _ => Vec::new(),
        };
        let candidates: Vec<&Role> = candidates.iter().map(|candidate| candidate.role).collect();
        self.votes += 1;
        assert!(
            self.votes <= gate.retries + 1,
            "voted once more than allowed"
        );
        let answers = self.state.current_answers();
        let votes = self.protocol.voters().iter().map(|role| {
            let vote = match answers.get(role) {
                Some(Answer::Accepted(value)) => Ok(value),
                _ => Err("absent"),
            };
            (role, vote)
        });
        let tally: Tally = tally(
            &UnitId::new("u"),
            number,
            gate.threshold,
            &candidates,
            votes,
        );
        let given = self.protocol.voters().iter().filter_map(|role| {
            let Answer::Accepted(value) = answers.get(role)? else {
                return None;
            };
            Some(value["vote"].as_str().unwrap_or_default())
        });
        as_counted(
            &tally,
            gate.threshold,
            &candidates,
            &given.collect::<Vec<_>>(),
        );
        self.state.record_tally(tally);
    }
}

/// The count, by nothing but the texts of the votes that were given.
fn as_counted(tally: &Tally, threshold: u32, candidates: &[&Role], given: &[&str]) {
    let votes_for = |wanted: &str| given.iter().filter(|vote| **vote == wanted).count() as u32;
    let is_candidate = |vote: &&&str| candidates.iter().any(|role| role.as_str() == **vote);
    let for_none = (given.len() - given.iter().filter(is_candidate).count()) as u32;
    let (wanted, is_refused) = match &tally.chosen {
        Some(chosen) => (chosen.as_str(), votes_for(chosen.as_str()) < for_none),
        None => ("agree", false),
    };
    assert_eq!(tally.chosen.is_some(), !candidates.is_empty());
    assert_eq!(tally.agree, votes_for(wanted), "{given:?}");
    let most = candidates.iter().map(|role| votes_for(role.as_str())).max();
    assert!(most.is_none_or(|most| most == tally.agree), "{given:?}");
    assert_eq!(
        tally.consensus,
        tally.agree >= threshold && !is_refused,
        "{given:?}"
    );
}
