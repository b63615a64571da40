//! Several patches for one task, and which of them remains.
//!
//! A candidate that fails its validation is dropped. Those that leave the same files are one. The rest is ordered: a patch whose
//! validation passes without it as well comes after one for which that is not so, then the one that most candidates agree on comes
//! first, then the one that changes the fewest lines, then the one with the lowest number.

use super::definition::Protocol;
use super::state::{Answer, RoundRun, UnitState};
use crate::model::{PatchEvidence, Role};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A candidate that passed, with those that do the same.
#[derive(Clone, Debug)]
pub struct Candidate<'s, A = Value> {
    /// The role of the smallest one.
    pub role: &'s Role,
    /// Its answer.
    pub patch: &'s A,
    /// The result of its checks, for the voters.
    pub checks: &'s str,
    /// What was seen of it.
    pub evidence: &'s PatchEvidence,
    /// The others that leave the same files.
    pub same: Vec<&'s Role>,
}

impl<A> Candidate<'_, A> {
    /// How many candidates do the same, itself included.
    fn agreement(&self) -> usize {
        self.same.len() + 1
    }

    /// What tells candidates apart; the size only orders them.
    fn standing(&self) -> (bool, Reverse<usize>) {
        (self.evidence.weak, Reverse(self.agreement()))
    }
}

/// The candidates of the last cycle that passed, the best first; equal ones are one.
fn ranked<'s, A>(protocol: &Protocol, state: &'s UnitState<A>) -> Vec<Candidate<'s, A>> {
    let round = protocol.patch_round();
    round.map_or(Vec::new(), |round| rank(state.last_cycle(&round.name)))
}

/// The same for the emissions of one cycle.
pub fn rank<A>(cycle: &[RoundRun<A>]) -> Vec<Candidate<'_, A>> {
    // The last answer of each role.
    let mut passed: BTreeMap<&Role, Candidate<'_, A>> = BTreeMap::new();
    for run in cycle {
        for (role, answer) in run.answers() {
            let checked = run.checked.get(role);
            let evidence = checked.and_then(|checked| checked.evidence.as_ref());
            let (Answer::Accepted(patch), Some(checked), Some(evidence)) =
                (answer, checked, evidence)
            else {
                continue;
            };
            if evidence.passed {
                let candidate = Candidate {
                    role,
                    patch,
                    checks: &checked.text,
                    evidence,
                    same: Vec::new(),
                };
                passed.insert(role, candidate);
            }
        }
    }
    let mut passed: Vec<Candidate<'_, A>> = passed.into_values().collect();
    // Stable, so that of equally large ones the lowest number is first.
    passed.sort_by_key(|candidate| (candidate.evidence.weak, candidate.evidence.lines));
    let mut groups: Vec<Candidate<'_, A>> = Vec::new();
    for candidate in passed {
        let is_same =
            |one: &&mut Candidate<'_, A>| one.evidence.result == candidate.evidence.result;
        match groups.iter_mut().find(is_same) {
            Some(group) => group.same.push(candidate.role),
            None => groups.push(candidate),
        }
    }
    groups.sort_by_key(Candidate::standing);
    groups
}

/// The candidates that what was seen of them does not tell apart: those that stand as well as the best.
pub fn remaining<'s, A>(protocol: &Protocol, state: &'s UnitState<A>) -> Vec<Candidate<'s, A>> {
    let mut all = ranked(protocol, state);
    let best = all.first().map(Candidate::standing);
    all.retain(|candidate| Some(candidate.standing()) == best);
    all
}

/// The candidate that is integrated: the one that the voters chose, else the best.
pub(super) fn select<'s, A>(
    protocol: &Protocol,
    state: &'s UnitState<A>,
) -> Option<Candidate<'s, A>> {
    let all = ranked(protocol, state);
    let chosen = state
        .current_tally()
        .and_then(|tally| tally.chosen.as_ref());
    let chosen = chosen.and_then(|role| all.iter().position(|one| one.role == role));
    all.into_iter().nth(chosen.unwrap_or(0))
}
