//! What is known of one unit: the rounds that were emitted with their answers, the tallies, the integration.
//!
//! A fold over ledger events, changed only through its methods; what happens next is [`super::next::next`]'s business.

use crate::model::{BlockReason, Role, RoundName, Tally, ValidationFinished};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a role answered in one emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Its row has no verdict yet.
    Open,
    /// An artifact.
    Accepted(Value),
    /// Not usable, but the role may answer once more.
    Retry {
        /// The failure code.
        code: String,
        /// The reason, shown to the role.
        detail: String,
    },
    /// Not usable, for good.
    Rejected {
        /// The failure code.
        code: String,
        /// The reason.
        detail: String,
    },
    /// None, and nothing that the role said: a limit, a missing log-in, a network that is down, a worker killed from
    /// outside. Never a vote and never a critique.
    Fault {
        /// What happened.
        detail: String,
        /// It was asked often enough.
        is_final: bool,
    },
}

/// One emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRun {
    /// The round.
    pub round: RoundName,
    /// The how-manieth emission of this round for this unit, from 1.
    pub attempt: u32,
    /// An answer per emitted role.
    pub answers: BTreeMap<Role, Answer>,
    /// What the mechanical checks found, for a round of the patch lane.
    pub checks: Option<String>,
    /// Whether its answers were counted as votes.
    pub is_counted: bool,
}

/// Where the integration of the accepted patch stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Integration {
    /// Not begun.
    #[default]
    None,
    /// The tree may be changed; nothing is decided.
    Started,
    /// The patch stands in the tree, validated.
    Applied,
    /// The tree is as it was.
    Failed(BlockReason, String),
}

/// One task under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitState {
    /// The protocol that the unit went over to; `None` while it is the one that it began with.
    pub protocol: Option<String>,
    /// The round in which it fell back to that one: its answers get no second chance there.
    pub fell_back_in: Option<RoundName>,
    /// Emissions under the present protocol, in order.
    pub rounds: Vec<RoundRun>,
    /// Emissions before it, which count for nothing but the numbers in row ids.
    pub past: Vec<RoundRun>,
    /// One for every finished vote, in order.
    pub tallies: Vec<Tally>,
    /// The integration.
    pub integration: Integration,
    /// Paths that the applied patch changed.
    pub changed_paths: Vec<PathBuf>,
    /// Validation commands of the last integration, in order.
    pub validations: Vec<ValidationFinished>,
}

impl UnitState {
    /// Rows for `roles` went out.
    pub fn emitted(
        &mut self,
        round: &RoundName,
        attempt: u32,
        roles: impl IntoIterator<Item = Role>,
    ) {
        self.rounds.push(RoundRun {
            round: round.clone(),
            attempt,
            answers: roles.into_iter().map(|role| (role, Answer::Open)).collect(),
            checks: None,
            is_counted: false,
        });
    }

    /// A row got its verdict.
    pub fn answered(&mut self, round: &RoundName, attempt: u32, role: &Role, answer: Answer) {
        if let Some(run) = self.run_mut(round, attempt) {
            run.answers.insert(role.clone(), answer);
        }
    }

    /// The mechanical checks of a patch row.
    pub fn checked(&mut self, round: &RoundName, attempt: u32, checks: String) {
        if let Some(run) = self.run_mut(round, attempt) {
            run.checks = Some(checks);
        }
    }

    /// Roles that were kept from an answer have not been asked.
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

    /// The unit goes over to the protocol `to`. When it `keeps` what it has, the round under way goes on there: accepted
    /// answers stand, the others are forgotten. Else it begins anew.
    pub fn changed(&mut self, to: &str, keeps: bool) {
        self.protocol = Some(to.to_owned());
        self.integration = Integration::None;
        if keeps {
            self.fell_back_in = self.rounds.last().map(|run| run.round.clone());
            let begin = self.rounds.len() - self.current().len();
            for run in &mut self.rounds[begin..] {
                run.answers
                    .retain(|_, answer| matches!(answer, Answer::Accepted(_)));
                run.is_counted = false;
            }
        } else {
            self.past.append(&mut self.rounds);
        }
    }

    /// The votes of the round under way were counted.
    pub fn counted(&mut self, tally: Tally) {
        self.tallies.push(tally);
        if let Some(run) = self.rounds.last_mut() {
            run.is_counted = true;
        }
    }

    /// The count of the round under way, if there was one.
    pub fn count(&self) -> Option<&Tally> {
        let is_counted = self.rounds.last().is_some_and(|run| run.is_counted);
        self.tallies.last().filter(|_| is_counted)
    }

    /// How often `round` was emitted, under whatever protocol.
    pub fn emissions(&self, round: &RoundName) -> u32 {
        let runs = self.past.iter().chain(&self.rounds);
        runs.filter(|run| run.round == *round).count() as u32
    }

    /// The latest accepted answer of each role in `round`, by role.
    pub fn accepted(&self, round: &RoundName) -> BTreeMap<&Role, &Value> {
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

    /// The emissions of the round under way: the last one, and those of the same round right before it.
    pub fn current(&self) -> &[RoundRun] {
        let Some(last) = self.rounds.last() else {
            return &[];
        };
        let begin = self.rounds.iter().rposition(|run| run.round != last.round);
        &self.rounds[begin.map_or(0, |index| index + 1)..]
    }

    /// The latest answer of each role in the round under way.
    pub fn current_answers(&self) -> BTreeMap<&Role, &Answer> {
        self.current().iter().flat_map(|run| &run.answers).collect()
    }
}
