//! The protocol as a pure function: a unit's state -> its next [`Action`].
//!
//! Metadata comes first, then the rounds in order (proposal, critique, synthesis, vote). An unusable answer is retried once;
//! then the unit changes to the fallback protocol, if there is one. Without consensus the critique is repeated, up to the
//! retries. Finally the patch is integrated, or the task blocked with one reason. A unit of a tier is promoted to the next
//! tier instead of blocked.

use super::action::{Action, Emission, ProtocolChange};
use super::candidates::remaining;
use super::definition::{Consensus, Protocol, Round};
use super::state::{Answer, Artifact, Integration, UnitState};
use crate::model::{BlockReason, Lane, Role, RoundName};

/// The next step of a unit under `protocol`; `has_metadata` is whether the metadata in the plan is complete.
pub fn next<A: Artifact>(protocol: &Protocol, state: &UnitState<A>, has_metadata: bool) -> Action {
    match &state.integration {
        Integration::Applied => return Action::Complete,
        Integration::Failed(reason, detail) => {
            return promote_or_block(protocol, *reason, detail.clone());
        }
        Integration::Started => return Action::Integrate,
        Integration::None => {}
    }
    if !has_metadata {
        return hydrate(protocol, state);
    }
    let last = state.rounds.last();
    let position = last.and_then(|last| protocol.position(&last.round));
    // No round yet, or one that this protocol does not have, such as the hydration.
    let Some(position) = position else {
        return emit(&protocol.rounds[0], state);
    };
    let round = &protocol.rounds[position];
    let gate = protocol
        .consensus
        .as_ref()
        .filter(|gate| gate.round == round.name);
    let status = match (round.select, gate) {
        (Some(_), _) => candidate_status(protocol, round, state),
        (None, Some(gate)) if gate.early_vote => early_vote_status(gate, round, state),
        (None, _) => round_status(round, state),
    };
    match (status, gate) {
        (RoundStatus::Open, _) => Action::Await,
        (RoundStatus::Fault(detail), gate) if gate.is_none_or(|gate| !is_decided(gate, state)) => {
            Action::Halt(detail)
        }
        (RoundStatus::Retry(roles), _) => emit_roles(round, state, roles),
        (_, Some(gate)) => decide_vote(protocol, gate, state),
        // Only without a gate.
        (RoundStatus::Fault(detail), None) => Action::Halt(detail),
        (RoundStatus::Unusable(code, detail), None) => {
            fall_back_or_block(protocol, round, code, detail)
        }
        (RoundStatus::NonePassed(detail), None) => {
            promote_or_block(protocol, BlockReason::ValidationFailed, detail)
        }
        (RoundStatus::Complete, None) if is_selected(protocol, round, state) => Action::Integrate,
        (RoundStatus::Complete, None) => {
            let next = match has_nothing_to_fix(protocol, position, state) {
                true => position + 2,
                false => position + 1,
            };
            match protocol.rounds.get(next) {
                Some(round) => emit_round(protocol, round, state),
                None => Action::Integrate,
            }
        }
    }
}

/// Whether the round before the patch, asked again after a vote, has found nothing: then the patch stays as it is, and is voted on
/// again.
fn has_nothing_to_fix<A: Artifact>(
    protocol: &Protocol,
    position: usize,
    state: &UnitState<A>,
) -> bool {
    let Some(patch) = protocol.rounds.get(position + 1) else {
        return false;
    };
    let is_again = patch.lane == Lane::Patch
        && !patch.is_test
        && patch.select.is_none()
        && position + 2 < protocol.rounds.len()
        && !state.accepted_answers(&patch.name).is_empty();
    let is_empty =
        |answer: &&Answer<A>| matches!(answer, Answer::Accepted(answer) if answer.finds_nothing());
    is_again && state.current_answers().values().all(is_empty)
}

/// How far a vote is that ends when its outcome is settled.
fn early_vote_status<A: Artifact>(
    gate: &Consensus,
    round: &Round,
    state: &UnitState<A>,
) -> RoundStatus {
    let status = round_status(round, state);
    if matches!(status, RoundStatus::Open) || is_settled(gate, round, state) {
        return match status {
            RoundStatus::Open => status,
            _ => RoundStatus::Complete,
        };
    }
    // Whoever can still be asked is asked before a fault of another ends the vote.
    let answers = state.current_answers();
    let can_be_asked = |role: &&Role| match answers.get(role) {
        Some(Answer::Fault { is_final, .. }) => !is_final,
        answer => matches!(answer, None | Some(Answer::Retry { .. })),
    };
    let needed = gate.threshold - count_agreeing(state);
    let roles = round.roles.iter().filter(can_be_asked);
    let roles: Vec<Role> = roles.take(needed as usize).cloned().collect();
    match roles.is_empty() {
        true => status,
        false => RoundStatus::Retry(roles),
    }
}

/// Whether the votes that are missing can't change the outcome.
fn is_settled<A: Artifact>(gate: &Consensus, round: &Round, state: &UnitState<A>) -> bool {
    let answers = state.current_answers();
    let is_open = |role: &&Role| {
        !matches!(
            answers.get(role),
            Some(Answer::Accepted(_) | Answer::Rejected { .. })
        )
    };
    let open = round.roles.iter().filter(is_open).count() as u32;
    let agree = count_agreeing(state);
    agree >= gate.threshold || agree + open < gate.threshold
}

fn count_agreeing<A: Artifact>(state: &UnitState<A>) -> u32 {
    let is_agreeing =
        |answer: &&&Answer<A>| matches!(answer, Answer::Accepted(vote) if vote.agrees());
    state.current_answers().values().filter(is_agreeing).count() as u32
}

/// Whether one patch is selected among several without a vote.
fn is_selected<A>(protocol: &Protocol, round: &Round, state: &UnitState<A>) -> bool {
    round.select.is_some() && remaining(protocol, state).len() == 1
}

/// Asks for the missing metadata.
fn hydrate<A>(protocol: &Protocol, state: &UnitState<A>) -> Action {
    let Some(round) = &protocol.hydration else {
        let detail = format!(
            "it has no metadata, and protocol `{}` has no `hydration` to ask for it",
            protocol.name
        );
        return Action::Block(BlockReason::NoResponse, detail);
    };
    if state
        .rounds
        .last()
        .is_none_or(|run| run.round != round.name)
    {
        return emit(round, state);
    }
    match round_status(round, state) {
        RoundStatus::Open => Action::Await,
        RoundStatus::Fault(detail) => Action::Halt(detail),
        RoundStatus::Retry(roles) => emit_roles(round, state, roles),
        RoundStatus::Unusable(code, detail) => Action::Block(
            BlockReason::NoResponse,
            with_code(BlockReason::NoResponse, &code, detail),
        ),
        RoundStatus::Complete | RoundStatus::NonePassed(_) => Action::Hydrate(round.name.clone()),
    }
}

/// Prefixes `detail` with the failure code, unless the block reason already names it.
fn with_code(reason: BlockReason, code: &str, detail: String) -> String {
    match code == reason.as_str() {
        true => detail,
        false => format!("{code}: {detail}"),
    }
}

/// How far the current round is.
enum RoundStatus {
    /// Every role has an accepted answer.
    Complete,
    /// At least one row is running.
    Open,
    /// A role could not be asked, and no retry is left.
    Fault(String),
    /// These roles are asked again.
    Retry(Vec<Role>),
    /// The code and detail of an answer that was refused for good.
    Unusable(String, String),
    /// There are candidates, and all of them fail.
    NonePassed(String),
}

/// How far a round with candidates is: one that passes is enough, and no other is asked again for then.
fn candidate_status<A>(protocol: &Protocol, round: &Round, state: &UnitState<A>) -> RoundStatus {
    let status = round_status(round, state);
    if matches!(status, RoundStatus::Open) {
        return status;
    }
    if !remaining(protocol, state).is_empty() {
        return RoundStatus::Complete;
    }
    let is_asked_again = matches!(status, RoundStatus::Retry(_) | RoundStatus::Fault(_));
    match failures(round, state) {
        Some(detail) if !is_asked_again => RoundStatus::NonePassed(detail),
        _ => status,
    }
}

/// Why the candidates fail: the first failure of each.
fn failures<A>(round: &Round, state: &UnitState<A>) -> Option<String> {
    let runs = state.last_cycle(&round.name).iter();
    let checked = runs.flat_map(|run| &run.checked);
    let failed = checked.filter_map(|(role, checked)| {
        let evidence = checked.evidence.as_ref().filter(|it| !it.passed)?;
        Some(format!("{role}: {}", evidence.failure))
    });
    let failed: Vec<String> = failed.collect();
    (!failed.is_empty()).then(|| failed.join("; "))
}

fn round_status<A>(round: &Round, state: &UnitState<A>) -> RoundStatus {
    let answers = state.current_answers();
    let mut retries = Vec::new();
    let (mut unusable, mut fault) = (None, None);
    for role in &round.roles {
        match answers.get(role) {
            Some(Answer::Open) => return RoundStatus::Open,
            None
            | Some(
                Answer::Retry { .. }
                | Answer::Fault {
                    is_final: false, ..
                },
            ) => {
                retries.push(role.clone());
            }
            Some(Answer::Fault { detail, .. }) => {
                fault.get_or_insert_with(|| format!("{role} could not be asked: {detail}"));
            }
            Some(Answer::Rejected { code, detail }) => {
                let cause = if detail.is_empty() { code } else { detail };
                unusable.get_or_insert_with(|| (code.clone(), format!("{role}: {cause}")));
            }
            Some(Answer::Accepted(_)) => {}
        }
    }
    if let Some(detail) = fault {
        return RoundStatus::Fault(detail);
    }
    match unusable {
        _ if !retries.is_empty() => RoundStatus::Retry(retries),
        Some((code, detail)) => RoundStatus::Unusable(code, detail),
        None => RoundStatus::Complete,
    }
}

/// Changes to the fallback protocol after missing answers. A patch that can't be applied is not improved by fewer roles.
fn fall_back_or_block(protocol: &Protocol, round: &Round, code: String, detail: String) -> Action {
    match (block_reason(round, &code), &protocol.fallback) {
        (BlockReason::NoResponse, Some(to)) => Action::Change(ProtocolChange {
            to: to.clone(),
            keeps_answers: true,
            code,
            detail,
        }),
        (reason, _) => promote_or_block(protocol, reason, detail),
    }
}

/// Promotes the unit to the next tier, if there is one. That does not help a task without a validation command.
fn promote_or_block(protocol: &Protocol, reason: BlockReason, detail: String) -> Action {
    match &protocol.promotion {
        Some(to) if reason != BlockReason::MissingValidation => Action::Change(ProtocolChange {
            to: to.clone(),
            keeps_answers: false,
            code: reason.to_string(),
            detail,
        }),
        _ => Action::Block(reason, detail),
    }
}

/// Whether the vote has its result without the roles that could not be asked.
fn is_decided<A: Artifact>(gate: &Consensus, state: &UnitState<A>) -> bool {
    let answers = state.current_answers();
    let faults = answers.values();
    let faults = faults.filter(|answer| matches!(answer, Answer::Fault { .. }));
    let (agree, open) = (count_agreeing(state), faults.count() as u32);
    agree >= gate.threshold || agree + open < gate.threshold
}

fn decide_vote<A: Artifact>(protocol: &Protocol, gate: &Consensus, state: &UnitState<A>) -> Action {
    let Some(tally) = state.current_tally() else {
        return Action::Tally;
    };
    if tally.consensus {
        return Action::Integrate;
    }
    let voters = tally.votes.len();
    let detail = match &tally.chosen {
        Some(chosen) => format!(
            "{} of {voters} chose {chosen} in vote {}",
            tally.agree, tally.attempt
        ),
        None => format!(
            "{} of {voters} agreed in vote {}",
            tally.agree, tally.attempt
        ),
    };
    // Missing votes decided it, not dissent: a smaller swarm may do without them.
    let is_undecided = tally.agree + tally.absent >= gate.threshold;
    let (reason, detail) = match is_undecided {
        true => (
            BlockReason::NoResponse,
            format!("{detail}, {} gave no vote", tally.absent),
        ),
        false => (BlockReason::NoConsensus, detail),
    };
    if let (true, Some(to)) = (is_undecided, &protocol.fallback) {
        return Action::Change(ProtocolChange {
            to: to.clone(),
            keeps_answers: true,
            code: reason.to_string(),
            detail,
        });
    }
    if count_vote_cycles(state, &gate.round) > gate.retries {
        return promote_or_block(protocol, reason, detail);
    }
    match protocol.round(&gate.retry_from) {
        Some(round) => emit_round(protocol, round, state),
        None => Action::Block(
            BlockReason::NoConsensus,
            format!("no round `{}` to retry from", gate.retry_from),
        ),
    }
}

/// How often the vote round was reached; consecutive emissions of it count once.
fn count_vote_cycles<A>(state: &UnitState<A>, vote: &RoundName) -> u32 {
    let mut cycles = 0;
    let mut was_vote = false;
    for run in &state.rounds {
        let is_vote = run.round == *vote;
        cycles += u32::from(is_vote && !was_vote);
        was_vote = is_vote;
    }
    cycles
}

/// Asks all roles of a round; of a vote that may end early, as many as must agree.
fn emit_round<A>(protocol: &Protocol, round: &Round, state: &UnitState<A>) -> Action {
    let gate = protocol.consensus.as_ref();
    let gate = gate.filter(|gate| gate.early_vote && gate.round == round.name);
    let asked = gate.map_or(round.roles.len(), |gate| gate.threshold as usize);
    emit_roles(
        round,
        state,
        round.roles.iter().take(asked).cloned().collect(),
    )
}

fn emit<A>(round: &Round, state: &UnitState<A>) -> Action {
    emit_roles(round, state, round.roles.clone())
}

fn emit_roles<A>(round: &Round, state: &UnitState<A>, roles: Vec<Role>) -> Action {
    Action::Emit(Emission {
        round: round.name.clone(),
        attempt: state.count_emissions(&round.name) + 1,
        roles,
    })
}

/// A patch that can't be applied is `ambiguous_integration`; any other missing answer is `no_response`.
fn block_reason(round: &Round, code: &str) -> BlockReason {
    let is_patch_code = matches!(code, "patch_invalid" | "out_of_scope" | "does_not_apply");
    if round.lane == Lane::Patch && is_patch_code {
        BlockReason::AmbiguousIntegration
    } else {
        BlockReason::NoResponse
    }
}

#[cfg(test)]
mod tests;
