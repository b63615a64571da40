//! The protocol as a pure function: what is known of a unit -> what to do next.
//!
//! Rules of the seed: proposal, critique, synthesis, vote; an unusable answer is asked for once more; too few
//! agreeing votes go back to the critique, up to the retries; then integrate, or block with one reason.

use super::spec::{Protocol, Round};
use super::state::{Answer, Integration, UnitState};
use crate::model::{BlockReason, Lane, Role, RoundName};

/// Rows to send out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// The round.
    pub round: RoundName,
    /// Its number in the row ids.
    pub attempt: u32,
    /// Who answers.
    pub roles: Vec<Role>,
}

/// What a unit needs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Rows are out; wait for their verdicts.
    Await,
    /// Send out rows.
    Emit(Emission),
    /// All votes are in: count them.
    Tally,
    /// Apply the accepted patch and validate it.
    Integrate,
    /// Persist the task as completed.
    Complete,
    /// Persist the task as blocked.
    Block(BlockReason, String),
}

/// The next step of a unit under `protocol`.
pub fn next(protocol: &Protocol, state: &UnitState) -> Action {
    match &state.integration {
        Integration::Applied => return Action::Complete,
        Integration::Failed(reason, detail) => return Action::Block(*reason, detail.clone()),
        Integration::Started => return Action::Integrate,
        Integration::None => {}
    }
    let Some(last) = state.rounds.last() else {
        return emit(&protocol.rounds[0], state);
    };
    let Some(position) = protocol
        .rounds
        .iter()
        .position(|round| round.name == last.round)
    else {
        return Action::Block(
            BlockReason::NoResponse,
            format!("protocol `{}` has no round `{}`", protocol.name, last.round),
        );
    };
    let round = &protocol.rounds[position];
    let is_vote = round.name == protocol.consensus.round;
    match missing(state) {
        Missing::Open => Action::Await,
        Missing::Again(roles) => again(round, state, roles),
        Missing::Never(code, detail) if !is_vote => Action::Block(reason_of(round, &code), detail),
        _ if is_vote => after_vote(protocol, state),
        _ => emit(&protocol.rounds[position + 1], state),
    }
}

/// What the round under way still lacks.
enum Missing {
    Nothing,
    Open,
    Again(Vec<Role>),
    Never(String, String),
}

fn missing(state: &UnitState) -> Missing {
    let answers = state.current_answers();
    if answers
        .values()
        .any(|answer| matches!(answer, Answer::Open))
    {
        return Missing::Open;
    }
    let again: Vec<Role> = answers
        .iter()
        .filter(|(_, answer)| matches!(answer, Answer::Retry { .. }))
        .map(|(role, _)| (*role).clone())
        .collect();
    if !again.is_empty() {
        return Missing::Again(again);
    }
    let rejected = answers.iter().find_map(|(role, answer)| match answer {
        Answer::Rejected { code, detail } => {
            Some(Missing::Never(code.clone(), format!("{role}: {detail}")))
        }
        _ => None,
    });
    rejected.unwrap_or(Missing::Nothing)
}

fn after_vote(protocol: &Protocol, state: &UnitState) -> Action {
    let gate = &protocol.consensus;
    let cycles = state.tallies.len() as u32;
    // Votes may be asked for again within a cycle, so cycles are counted by tallies.
    let votes = vote_cycles(state, &gate.round);
    let Some(tally) = state.tallies.last().filter(|_| cycles == votes) else {
        return Action::Tally;
    };
    if tally.consensus {
        return Action::Integrate;
    }
    if cycles > gate.retries {
        let detail = format!(
            "{} of {} agreed in vote {cycles}",
            tally.agree,
            tally.votes.len()
        );
        return Action::Block(BlockReason::NoConsensus, detail);
    }
    match protocol.round(&gate.retry_from) {
        Some(round) => emit(round, state),
        None => Action::Block(BlockReason::NoConsensus, "nowhere to go back to".to_owned()),
    }
}

/// Runs of consecutive emissions of the vote round.
fn vote_cycles(state: &UnitState, vote: &RoundName) -> u32 {
    let mut cycles = 0;
    let mut before = false;
    for run in &state.rounds {
        let is_vote = run.round == *vote;
        cycles += u32::from(is_vote && !before);
        before = is_vote;
    }
    cycles
}

fn emit(round: &Round, state: &UnitState) -> Action {
    again(round, state, round.roles.clone())
}

fn again(round: &Round, state: &UnitState, roles: Vec<Role>) -> Action {
    Action::Emit(Emission {
        round: round.name.clone(),
        attempt: state.emissions(&round.name) + 1,
        roles,
    })
}

/// A patch that can't be placed is `ambiguous_integration`; every other missing answer is `no_response`.
fn reason_of(round: &Round, code: &str) -> BlockReason {
    let about_the_patch = matches!(code, "patch_invalid" | "out_of_scope" | "does_not_apply");
    if round.lane == Lane::Patch && about_the_patch {
        BlockReason::AmbiguousIntegration
    } else {
        BlockReason::NoResponse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnitId;
    use crate::protocol::{Templates, tally};
    use serde_json::{Value, json};

    struct Fixed;
    impl Templates for Fixed {
        fn text(&self, _: &str) -> Option<String> {
            Some("{}".to_owned())
        }
    }

    fn swarm() -> Protocol {
        let text = include_str!("../../templates/swarm.yaml");
        Protocol::parse("swarm.yaml", text, &Fixed).expect("usable")
    }

    /// Answers the emission that is due and gives its description.
    fn step(
        protocol: &Protocol,
        state: &mut UnitState,
        answer: impl Fn(&Role) -> Answer,
    ) -> String {
        let Action::Emit(emission) = next(protocol, state) else {
            return format!("{:?}", next(protocol, state));
        };
        state.emitted(&emission.round, emission.attempt, emission.roles.clone());
        assert_eq!(next(protocol, state), Action::Await);
        for role in &emission.roles {
            state.answered(&emission.round, emission.attempt, role, answer(role));
        }
        format!(
            "{} {} x{}",
            emission.round,
            emission.attempt,
            emission.roles.len()
        )
    }

    fn good(_: &Role) -> Answer {
        Answer::Accepted(json!({}))
    }

    fn count(protocol: &Protocol, state: &mut UnitState, agree: usize) {
        assert_eq!(next(protocol, state), Action::Tally);
        let votes: Vec<Value> = (0..5)
            .map(|n| json!({"vote": if n < agree { "agree" } else { "disagree" }, "reason": "r"}))
            .collect();
        let lines = protocol.roles.iter().zip(votes.iter().map(Ok));
        let number = state.tallies.len() as u32 + 1;
        let counted = tally(
            &UnitId::new("u"),
            number,
            protocol.consensus.threshold,
            lines,
        );
        state.tallies.push(counted);
    }

    #[test]
    fn the_swarm_goes_back_to_the_critique_twice_and_then_gives_up() {
        let protocol = swarm();
        let mut state = UnitState::default();
        let mut steps = vec![step(&protocol, &mut state, good)];
        for _ in 0..3 {
            for _ in 0..3 {
                steps.push(step(&protocol, &mut state, good));
            }
            count(&protocol, &mut state, 3);
        }
        assert_eq!(
            steps,
            [
                "proposal 1 x1",
                "critique 1 x3",
                "synthesis 1 x1",
                "vote 1 x5",
                "critique 2 x3",
                "synthesis 2 x1",
                "vote 2 x5",
                "critique 3 x3",
                "synthesis 3 x1",
                "vote 3 x5",
            ]
        );
        let blocked = Action::Block(
            BlockReason::NoConsensus,
            "3 of 5 agreed in vote 3".to_owned(),
        );
        assert_eq!(next(&protocol, &state), blocked);
    }

    #[test]
    fn four_agreeing_votes_integrate_and_the_outcome_decides() {
        let protocol = swarm();
        let mut state = UnitState::default();
        for _ in 0..4 {
            step(&protocol, &mut state, good);
        }
        count(&protocol, &mut state, 4);
        assert_eq!(next(&protocol, &state), Action::Integrate);
        state.integration = Integration::Started;
        assert_eq!(next(&protocol, &state), Action::Integrate);
        state.integration = Integration::Applied;
        assert_eq!(next(&protocol, &state), Action::Complete);
    }

    #[test]
    fn only_the_roles_without_a_usable_answer_are_asked_again() {
        let protocol = swarm();
        let mut state = UnitState::default();
        step(&protocol, &mut state, good);
        let one_bad = |role: &Role| match role.as_str() {
            "skeptic" => Answer::Retry {
                code: "lane".into(),
                detail: "a patch".into(),
            },
            _ => Answer::Accepted(json!({})),
        };
        step(&protocol, &mut state, one_bad);
        assert_eq!(step(&protocol, &mut state, good), "critique 2 x1");
        assert_eq!(step(&protocol, &mut state, good), "synthesis 1 x1");
    }

    #[test]
    fn a_patch_that_cannot_be_placed_blocks_before_any_vote_is_spent() {
        let protocol = swarm();
        let mut state = UnitState::default();
        step(&protocol, &mut state, good);
        step(&protocol, &mut state, good);
        let rejected = |_: &Role| Answer::Rejected {
            code: "out_of_scope".into(),
            detail: "x".into(),
        };
        step(&protocol, &mut state, rejected);
        assert!(matches!(
            next(&protocol, &state),
            Action::Block(BlockReason::AmbiguousIntegration, _)
        ));
    }

    #[test]
    fn a_missing_vote_counts_against_but_does_not_block_by_itself() {
        let protocol = swarm();
        let mut state = UnitState::default();
        for _ in 0..3 {
            step(&protocol, &mut state, good);
        }
        let one_absent = |role: &Role| match role.as_str() {
            "critic_a" => Answer::Rejected {
                code: "timeout".into(),
                detail: "t".into(),
            },
            _ => Answer::Accepted(json!({})),
        };
        step(&protocol, &mut state, one_absent);
        assert_eq!(next(&protocol, &state), Action::Tally);
    }
}
