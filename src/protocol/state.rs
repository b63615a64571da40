//! The state of one unit: its rounds with their answers, the tallies, the integration.
//!
//! A fold over ledger events, changed only through its methods; [`super::next::next`] decides the next step.
//!
//! The type of an accepted answer is a parameter: a run keeps only where each answer is in its ledger, and loads the values
//! ([`UnitState::load`]) when a prompt or a count needs them.

use super::consensus::AGREE;
use crate::model::{
    BlockReason, PatchEvidence, Role, RoundName, RowKey, Tally, ValidationFinished,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// An accepted answer, or where it is.
pub trait Artifact {
    /// Whether it is a vote for the patch.
    fn agrees(&self) -> bool;

    /// Whether it is a critique that found nothing to fix.
    fn finds_nothing(&self) -> bool;
}

impl Artifact for Value {
    fn agrees(&self) -> bool {
        self.get("vote").and_then(Value::as_str) == Some(AGREE)
    }

    fn finds_nothing(&self) -> bool {
        let lists = ["findings", "must_fix"].map(|key| self.get(key).and_then(Value::as_array));
        lists.iter().all(|list| list.is_some_and(Vec::is_empty))
    }
}

/// The answer of a role in one emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<A = Value> {
    /// Its row has no verdict yet.
    Open,
    /// An artifact.
    Accepted(A),
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

impl<A> Answer<A> {
    fn load<B, E>(&self, read: &mut impl FnMut(&A) -> Result<B, E>) -> Result<Answer<B>, E> {
        Ok(match self {
            Self::Accepted(answer) => Answer::Accepted(read(answer)?),
            Self::Open => Answer::Open,
            Self::Retry { code, detail } => Answer::Retry {
                code: code.clone(),
                detail: detail.clone(),
            },
            Self::Rejected { code, detail } => Answer::Rejected {
                code: code.clone(),
                detail: detail.clone(),
            },
            Self::Fault { detail, is_final } => Answer::Fault {
                detail: detail.clone(),
                is_final: *is_final,
            },
        })
    }
}

/// One emission of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundRun<A = Value> {
    /// The round.
    pub round: RoundName,
    /// The number of this emission among those of the round, from 1.
    pub attempt: u32,
    /// One answer per emitted role, by role. A plan may have very many tasks, and a map takes much more memory.
    answers: Vec<(Role, Answer<A>)>,
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

impl<A> RoundRun<A> {
    fn load<B, E>(&self, read: &mut impl FnMut(&A) -> Result<B, E>) -> Result<RoundRun<B>, E> {
        let answers = self.answers.iter();
        let answers = answers.map(|(role, answer)| Ok((role.clone(), answer.load(read)?)));
        Ok(RoundRun {
            answers: answers.collect::<Result<_, E>>()?,
            round: self.round.clone(),
            attempt: self.attempt,
            checked: self.checked.clone(),
            is_counted: self.is_counted,
        })
    }

    /// The answers, by role.
    pub fn answers(&self) -> impl Iterator<Item = (&Role, &Answer<A>)> {
        self.answers.iter().map(|(role, answer)| (role, answer))
    }

    /// The answer of a role that was asked.
    pub fn answer(&self, role: &Role) -> Option<&Answer<A>> {
        let at = self.answers.binary_search_by_key(&role, |(role, _)| role);
        at.ok().map(|at| &self.answers[at].1)
    }

    fn set_answer(&mut self, role: &Role, answer: Answer<A>) {
        match self.answers.binary_search_by_key(&role, |(role, _)| role) {
            Ok(at) => self.answers[at].1 = answer,
            Err(at) => self.answers.insert(at, (role.clone(), answer)),
        }
    }
}

/// A task in progress.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitState<A = Value> {
    /// The protocol that the unit changed to; `None` for the original one.
    pub protocol: Option<String>,
    /// The round in which it fell back to that one; its answers are not retried there.
    pub fell_back_in: Option<RoundName>,
    /// Emissions under the current protocol, in order.
    pub rounds: Vec<RoundRun<A>>,
    /// Emissions under earlier protocols, which count only for the numbers in row ids.
    pub past_rounds: Vec<RoundRun<A>>,
    /// One per finished vote, in order.
    pub tallies: Vec<Tally>,
    /// The integration.
    pub integration: Integration,
    /// Paths that the applied patch changed.
    pub changed_paths: Vec<PathBuf>,
    /// Validation commands of the last integration, in order.
    pub validations: Vec<ValidationFinished>,
}

impl<A> Default for UnitState<A> {
    fn default() -> Self {
        Self {
            protocol: None,
            fell_back_in: None,
            rounds: Vec::new(),
            past_rounds: Vec::new(),
            tallies: Vec::new(),
            integration: Integration::default(),
            changed_paths: Vec::new(),
            validations: Vec::new(),
        }
    }
}

impl<A> UnitState<A> {
    /// The same state with what `read` makes of each accepted answer.
    pub fn load<B, E>(&self, mut read: impl FnMut(&A) -> Result<B, E>) -> Result<UnitState<B>, E> {
        let mut load = |runs: &[RoundRun<A>]| {
            let runs = runs.iter().map(|run| run.load(&mut read));
            runs.collect::<Result<Vec<_>, E>>()
        };
        Ok(UnitState {
            rounds: load(&self.rounds)?,
            past_rounds: load(&self.past_rounds)?,
            protocol: self.protocol.clone(),
            fell_back_in: self.fell_back_in.clone(),
            tallies: self.tallies.clone(),
            integration: self.integration.clone(),
            changed_paths: self.changed_paths.clone(),
            validations: self.validations.clone(),
        })
    }

    /// Records that rows for `roles` run.
    pub fn record_emission(
        &mut self,
        round: &RoundName,
        attempt: u32,
        roles: impl IntoIterator<Item = Role>,
    ) {
        let answers = roles.into_iter().map(|role| (role, Answer::Open));
        let mut answers: Vec<_> = answers.collect();
        answers.sort_by(|one, other| one.0.cmp(&other.0));
        answers.shrink_to_fit();
        if self.rounds.is_empty() {
            self.rounds.reserve_exact(1);
        }
        self.rounds.push(RoundRun {
            round: round.clone(),
            attempt,
            answers,
            checked: BTreeMap::new(),
            is_counted: false,
        });
    }

    /// Records the verdict of a row.
    pub fn record_answer(
        &mut self,
        round: &RoundName,
        attempt: u32,
        role: &Role,
        answer: Answer<A>,
    ) {
        if let Some(run) = self.run_mut(round, attempt) {
            run.set_answer(role, answer);
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
                .retain(|(_, answer)| !matches!(answer, Answer::Fault { .. }));
        }
    }

    fn run_mut(&mut self, round: &RoundName, attempt: u32) -> Option<&mut RoundRun<A>> {
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
                    .retain(|(_, answer)| matches!(answer, Answer::Accepted(_)));
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
    pub fn accepted_answers(&self, round: &RoundName) -> BTreeMap<&Role, &A> {
        let mut latest = BTreeMap::new();
        for run in self.rounds.iter().filter(|run| run.round == *round) {
            for (role, answer) in run.answers() {
                if let Answer::Accepted(value) = answer {
                    latest.insert(role, value);
                }
            }
        }
        latest
    }

    /// The accepted answer of one row, also under an earlier protocol.
    pub fn accepted_answer(&self, key: &RowKey) -> Option<&A> {
        let runs = self.past_rounds.iter().chain(&self.rounds).rev();
        let mut runs = runs.filter(|run| run.round == key.round && run.attempt == key.attempt);
        runs.find_map(|run| match run.answer(&key.role)? {
            Answer::Accepted(value) => Some(value),
            _ => None,
        })
    }

    /// The emissions of `round` in the last cycle: consecutive ones, and none of an earlier vote.
    pub fn last_cycle(&self, round: &RoundName) -> &[RoundRun<A>] {
        let is_of = |run: &RoundRun<A>| run.round == *round;
        let Some(end) = self.rounds.iter().rposition(is_of) else {
            return &[];
        };
        let begin = self.rounds[..end].iter().rposition(|run| !is_of(run));
        &self.rounds[begin.map_or(0, |index| index + 1)..=end]
    }

    /// The emissions of the current round: the last one, and those of the same round right before it.
    pub fn current_emissions(&self) -> &[RoundRun<A>] {
        let Some(last) = self.rounds.last() else {
            return &[];
        };
        let begin = self.rounds.iter().rposition(|run| run.round != last.round);
        &self.rounds[begin.map_or(0, |index| index + 1)..]
    }

    /// The latest answer of each role in the current round.
    pub fn current_answers(&self) -> BTreeMap<&Role, &Answer<A>> {
        let runs = self.current_emissions().iter();
        runs.flat_map(RoundRun::answers).collect()
    }
}
