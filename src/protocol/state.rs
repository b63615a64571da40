//! The state of one unit: its rounds with their answers, the tallies, the integration.
//!
//! A fold over ledger events, changed only through its methods; [`super::next::next`] decides the next step.

use crate::model::{
    BlockReason, PatchEvidence, Role, RoundName, RowKey, Tally, ValidationFinished,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The answer of a role in one emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Its row has no verdict yet.
    Open,
    /// An artifact.
    Accepted(Value),
    /// Not usable; the role is asked again.
    Retry {
        /// The failure code.
        code: String,
        /// The cause, shown to the role.
        detail: String,
    },
    /// Not usable, and no retry is left.
    Rejected {
        /// The failure code.
        code: String,
        /// The cause.
        detail: String,
    },
    /// No answer, for a reason outside the role: a limit, a missing log-in, a network failure, a worker killed from
    /// outside. It counts neither as a vote nor as a critique.
    Fault {
        /// What happened.
        detail: String,
        /// No retry is left.
        is_final: bool,
    },
}

/// One emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRun {
    /// The round.
    pub round: RoundName,
    /// The number of this emission among those of the round, from 1.
    pub attempt: u32,
    /// One answer per emitted role.
    pub answers: BTreeMap<Role, Answer>,
    /// What is known of the patch of each role, for a round of the patch lane.
    pub checked: BTreeMap<Role, Checked>,
    /// Whether its answers were counted as votes.
    pub is_counted: bool,
}

/// What is known of a patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// The result of the mechanical checks, for the voters.
    pub text: String,
    /// The result of the validation, for a candidate.
    pub evidence: Option<PatchEvidence>,
}

/// How far the integration of the accepted patch is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Integration {
    /// Not started.
    #[default]
    None,
    /// The tree may be changed, with no outcome yet.
    Started,
    /// The patch is in the tree and validated.
    Applied,
    /// The tree is restored.
    Failed(BlockReason, String),
}

/// A task in progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitState {
    /// The protocol that the unit changed to; `None` for the original one.
    pub protocol: Option<String>,
    /// The round in which it fell back to that one; its answers are not retried there.
    pub fell_back_in: Option<RoundName>,
    /// Emissions under the current protocol, in order.
    pub rounds: Vec<RoundRun>,
    /// Emissions under earlier protocols, which count only for the numbers in row ids.
    pub past_rounds: Vec<RoundRun>,
    /// One per finished vote, in order.
    pub tallies: Vec<Tally>,
    /// The integration.
    pub integration: Integration,
    /// Paths that the applied patch changed.
    pub changed_paths: Vec<PathBuf>,
    /// Validation commands of the last integration, in order.
    pub validations: Vec<ValidationFinished>,
}

impl UnitState {
    /// Records that rows for `roles` run.
    pub fn record_emission(
        &mut self,
        round: &RoundName,
        attempt: u32,
        roles: impl IntoIterator<Item = Role>,
    ) {
        self.rounds.push(RoundRun {
            round: round.clone(),
            attempt,
            answers: roles.into_iter().map(|role| (role, Answer::Open)).collect(),
            checked: BTreeMap::new(),
            is_counted: false,
        });
    }

    /// Records the verdict of a row.
    pub fn record_answer(&mut self, round: &RoundName, attempt: u32, role: &Role, answer: Answer) {
        if let Some(run) = self.run_mut(round, attempt) {
            run.answers.insert(role.clone(), answer);
        }
    }

    /// Records what is known of the patch of a row.
    pub fn record_checked(
        &mut self,
        round: &RoundName,
        attempt: u32,
        role: &Role,
        checked: Checked,
    ) {
        if let Some(run) = self.run_mut(round, attempt) {
            run.checked.insert(role.clone(), checked);
        }
    }

    /// Drops all faults, so that their roles are asked again.
    pub fn forget_faults(&mut self) {
        for run in &mut self.rounds {
            run.answers
                .retain(|_, answer| !matches!(answer, Answer::Fault { .. }));
        }
    }

    fn run_mut(&mut self, round: &RoundName, attempt: u32) -> Option<&mut RoundRun> {
        self.rounds
            .iter_mut()
            .rev()
            .find(|run| run.round == *round && run.attempt == attempt)
    }

    /// Changes to the protocol `to`. With `keeps`, the current round continues there with its accepted answers, and the
    /// others are dropped; otherwise the unit starts over.
    pub fn change_protocol(&mut self, to: &str, keeps: bool) {
        self.protocol = Some(to.to_owned());
        self.integration = Integration::None;
        if keeps {
            self.fell_back_in = self.rounds.last().map(|run| run.round.clone());
            let begin = self.rounds.len() - self.current_emissions().len();
            for run in &mut self.rounds[begin..] {
                run.answers
                    .retain(|_, answer| matches!(answer, Answer::Accepted(_)));
                run.is_counted = false;
            }
        } else {
            self.past_rounds.append(&mut self.rounds);
        }
    }

    /// Records the count of the current round's votes.
    pub fn record_tally(&mut self, tally: Tally) {
        self.tallies.push(tally);
        if let Some(run) = self.rounds.last_mut() {
            run.is_counted = true;
        }
    }

    /// The count of the current round's votes, if there is one.
    pub fn current_tally(&self) -> Option<&Tally> {
        let is_counted = self.rounds.last().is_some_and(|run| run.is_counted);
        self.tallies.last().filter(|_| is_counted)
    }

    /// How often `round` was emitted, under any protocol.
    pub fn count_emissions(&self, round: &RoundName) -> u32 {
        let runs = self.past_rounds.iter().chain(&self.rounds);
        runs.filter(|run| run.round == *round).count() as u32
    }

    /// The latest accepted answer of each role in `round`, by role.
    pub fn accepted_answers(&self, round: &RoundName) -> BTreeMap<&Role, &Value> {
        let mut latest = BTreeMap::new();
        for run in self.rounds.iter().filter(|run| run.round == *round) {
            for (role, answer) in &run.answers {
                if let Answer::Accepted(value) = answer {
                    latest.insert(role, value);
                }
            }
        }
        latest
    }

    /// The accepted answer of one row, also under an earlier protocol.
    pub fn accepted_answer(&self, key: &RowKey) -> Option<&Value> {
        let runs = self.past_rounds.iter().chain(&self.rounds).rev();
        let mut runs = runs.filter(|run| run.round == key.round && run.attempt == key.attempt);
        runs.find_map(|run| match run.answers.get(&key.role)? {
            Answer::Accepted(value) => Some(value),
            _ => None,
        })
    }

    /// The emissions of `round` in the last cycle: consecutive ones, and none of an earlier vote.
    pub fn last_cycle(&self, round: &RoundName) -> &[RoundRun] {
        let is_of = |run: &RoundRun| run.round == *round;
        let Some(end) = self.rounds.iter().rposition(is_of) else {
            return &[];
        };
        let begin = self.rounds[..end].iter().rposition(|run| !is_of(run));
        &self.rounds[begin.map_or(0, |index| index + 1)..=end]
    }

    /// The emissions of the current round: the last one, and those of the same round right before it.
    pub fn current_emissions(&self) -> &[RoundRun] {
        let Some(last) = self.rounds.last() else {
            return &[];
        };
        let begin = self.rounds.iter().rposition(|run| run.round != last.round);
        &self.rounds[begin.map_or(0, |index| index + 1)..]
    }

    /// The latest answer of each role in the current round.
    pub fn current_answers(&self) -> BTreeMap<&Role, &Answer> {
        self.current_emissions()
            .iter()
            .flat_map(|run| &run.answers)
            .collect()
    }
}
