//! The script of a task: the steps of its protocol if every answer is accepted, with their durations.
//!
//! It calls the real [`next`] until the task ends, so custom protocols are predicted like built-in ones. The steps depend on the
//! task alone; the dispatch decides when they run.

use super::setup::{End, Setup, Times};
use crate::model::{BlockReason, PatchEvidence, Role, RoundName, RowKey, UnitId};
use crate::plan::{ItemId, Metadata};
use crate::protocol::{
    AGREE, Action, Answer, Checked, DISAGREE, Emission, Integration, Protocol, UnitState, next,
    remaining, tally,
};
use serde_json::{Value, json};

/// The most steps of a task; a protocol that needs more does not end.
const STEPS_MAX: usize = 10_000;

/// The steps of a task in order, and how it ends.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub steps: Vec<Step>,
    pub end: End,
}

/// One step of a task.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Rows of one round; ends with the last row.
    Rows(Emitted),
    /// An integration, in milliseconds.
    Integrate(u64),
}

/// Rows that start together.
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    /// Rows of the same protocol and round share a wave.
    pub protocol: String,
    pub round: RoundName,
    pub roles: Vec<Role>,
    /// Milliseconds of each row, in the order of the roles.
    pub rows_ms: Vec<u64>,
}

impl Step {
    /// The duration with a slot for every row.
    pub fn longest_ms(&self) -> u64 {
        match self {
            Step::Rows(emitted) => emitted.rows_ms.iter().copied().max().unwrap_or(0),
            Step::Integrate(ms) => *ms,
        }
    }

    /// The sum over its rows.
    pub fn work_ms(&self) -> u64 {
        match self {
            Step::Rows(emitted) => emitted.rows_ms.iter().sum(),
            Step::Integrate(_) => 0,
        }
    }

    fn durations_mut(&mut self) -> &mut [u64] {
        match self {
            Step::Rows(emitted) => &mut emitted.rows_ms,
            Step::Integrate(ms) => std::slice::from_mut(ms),
        }
    }
}

impl Script {
    /// Writes the script of a task.
    pub fn write(
        id: &ItemId,
        metadata: Option<&Metadata>,
        setup: &Setup<'_>,
        times: &dyn Times,
    ) -> Result<Self, String> {
        let mut writer = Writer {
            id,
            unit: UnitId::new(id.as_str()),
            metadata: metadata.cloned(),
            protocol: (setup.protocol_of)(id, metadata, None)?,
            state: UnitState::default(),
            setup,
            times,
            steps: Vec::new(),
        };
        for _ in 0..STEPS_MAX {
            if let Some(end) = writer.step()? {
                let mut script = Script {
                    steps: writer.steps,
                    end,
                };
                if let Some(total_ms) = times.task_ms(&writer.unit) {
                    script.stretch(total_ms);
                }
                return Ok(script);
            }
        }
        Err(format!("item `{id}` has more than {STEPS_MAX} steps"))
    }

    /// The duration of the task with a slot for every row.
    pub fn alone_ms(&self) -> u64 {
        self.steps.iter().map(Step::longest_ms).sum()
    }

    /// The remaining duration at the start of each step, and 0 at the end.
    pub fn remaining_ms(&self) -> Vec<u64> {
        let mut rest = vec![0];
        for step in self.steps.iter().rev() {
            rest.push(rest[rest.len() - 1] + step.longest_ms());
        }
        rest.reverse();
        rest
    }

    /// Scales all durations so that the task takes `total_ms`. If all are 0, every step gets the same share.
    fn stretch(&mut self, total_ms: u64) {
        if self.alone_ms() == 0 {
            let all = self.steps.iter_mut().flat_map(Step::durations_mut);
            all.for_each(|ms| *ms = 1);
        }
        let (total, alone) = (u128::from(total_ms), u128::from(self.alone_ms().max(1)));
        // Rounding errors carry over to the next step, so that the sum is exact.
        let (mut before, mut given) = (0, 0);
        for step in &mut self.steps {
            let longest = u128::from(step.longest_ms());
            before += longest;
            let share = before * total / alone - given;
            given += share;
            for ms in step.durations_mut() {
                let stretched = u128::from(*ms) * share / longest.max(1);
                *ms = u64::try_from(stretched).unwrap_or(u64::MAX);
            }
        }
    }
}

struct Writer<'w> {
    id: &'w ItemId,
    unit: UnitId,
    metadata: Option<Metadata>,
    protocol: Protocol,
    state: UnitState,
    setup: &'w Setup<'w>,
    times: &'w dyn Times,
    steps: Vec<Step>,
}

impl Writer<'_> {
    /// Takes one action of the protocol. Returns the end of the task, if it ends.
    fn step(&mut self) -> Result<Option<End>, String> {
        match next(&self.protocol, &self.state, self.metadata.is_some()) {
            Action::Emit(emission) => self.emit(emission),
            Action::Tally => self.tally(),
            Action::Hydrate(_) => {
                self.metadata = Some(proposed_metadata());
                self.read_protocol()?;
            }
            Action::Change(change) => {
                self.state.change_protocol(&change.to, change.keeps_answers);
                self.read_protocol()?;
            }
            Action::Integrate => self.integrate(),
            Action::Complete => return Ok(Some(End::Completed)),
            Action::Block(reason, detail) => return Ok(Some(End::Blocked(reason, detail))),
            // Every row is answered where it is emitted.
            Action::Halt(detail) => return Err(format!("item `{}`: {detail}", self.id)),
            Action::Await => return Err(format!("item `{}` waits for nothing", self.id)),
        }
        Ok(None)
    }

    fn read_protocol(&mut self) -> Result<(), String> {
        let changed = self.state.protocol.as_deref();
        self.protocol = (self.setup.protocol_of)(self.id, self.metadata.as_ref(), changed)?;
        Ok(())
    }

    fn emit(&mut self, emission: Emission) {
        let Emission {
            round,
            attempt,
            roles,
        } = emission;
        let row_ms = |role: &Role| {
            self.times.row_ms(&RowKey {
                unit: self.unit.clone(),
                round: round.clone(),
                role: role.clone(),
                attempt,
            })
        };
        let rows_ms = roles.iter().map(row_ms).collect();
        let answer = self.answer();
        self.state
            .record_emission(&round, attempt, roles.iter().cloned());
        let is_patch = self
            .protocol
            .patch_round()
            .is_some_and(|patch| patch.select.is_some() && patch.name == round);
        for role in &roles {
            let answer = Answer::Accepted(answer.clone());
            self.state.record_answer(&round, attempt, role, answer);
            if is_patch {
                let checked = passed(role);
                self.state.record_checked(&round, attempt, role, checked);
            }
        }
        let protocol = self.protocol.name.clone();
        self.steps.push(Step::Rows(Emitted {
            protocol,
            round,
            roles,
            rows_ms,
        }));
    }

    /// The answer of every worker: only a vote.
    fn answer(&self) -> Value {
        let retries = self
            .protocol
            .consensus
            .as_ref()
            .map_or(0, |gate| gate.retries);
        let lost = self.setup.lost_votes.min(retries) as usize;
        let candidates = remaining(&self.protocol, &self.state);
        let vote = match candidates.first() {
            _ if self.state.tallies.len() < lost => DISAGREE,
            Some(candidate) => candidate.role.as_str(),
            None => AGREE,
        };
        json!({"vote": vote, "reason": ""})
    }

    fn tally(&mut self) {
        let answers = self.state.current_answers();
        let votes = self.protocol.voters().iter().map(|role| {
            let vote = match answers.get(role) {
                Some(Answer::Accepted(value)) => Ok(value),
                _ => Err("no vote"),
            };
            (role, vote)
        });
        let gate = self.protocol.consensus.as_ref();
        let threshold = gate.map_or(0, |gate| gate.threshold);
        let number = self.state.tallies.len() as u32 + 1;
        let candidates = remaining(&self.protocol, &self.state);
        let candidates: Vec<&Role> = candidates.iter().map(|one| one.role).collect();
        let tally = tally(&self.unit, number, threshold, &candidates, votes);
        self.state.record_tally(tally);
    }

    /// Integrates the patch. Fails only for a task without validation.
    fn integrate(&mut self) {
        let metadata = self.metadata.as_ref();
        let is_checked = metadata
            .is_none_or(|metadata| !metadata.validation.is_empty() || metadata.allow_no_validation);
        self.state.integration = if is_checked {
            let ms = self.times.integration_ms(&self.unit);
            self.steps.push(Step::Integrate(ms));
            Integration::Applied
        } else {
            let detail = "the task has no validation command";
            Integration::Failed(BlockReason::MissingValidation, detail.to_owned())
        };
    }
}

/// What is known of a patch that passed; each candidate leaves other files, so that they are voted on where a protocol does so.
fn passed(role: &Role) -> Checked {
    Checked {
        text: String::new(),
        evidence: Some(PatchEvidence {
            passed: true,
            weak: false,
            lines: 1,
            result: role.to_string(),
            failure: String::new(),
        }),
    }
}

/// Metadata that a worker could have proposed.
fn proposed_metadata() -> Metadata {
    Metadata {
        allow_no_validation: true,
        ..Metadata::default()
    }
}
