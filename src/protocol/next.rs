//! The protocol as a pure function: what is known of a unit -> what to do next.
//!
//! Rules of the seed: metadata first, then proposal, critique, synthesis, vote; an unusable answer is asked for once more,
//! then the unit goes over to the fallback protocol, where there is one; too few agreeing votes go back to the critique,
//! up to the retries; then integrate, or block with one reason. A unit of a tier goes up one tier instead of being blocked.

use super::consensus::AGREE;
use super::spec::{Consensus, Protocol, Round};
use super::state::{Answer, Integration, UnitState};
use crate::model::{BlockReason, Lane, Role, RoundName};
use serde_json::Value;

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

/// Going over to another protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub to: String,
    /// Whether accepted answers stand; else the unit begins anew.
    pub keeps: bool,
    /// Why, as a failure code or block reason.
    pub code: String,
    /// The same in words.
    pub detail: String,
}

/// What a unit needs now.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Rows are out; wait for their verdicts.
    Await,
    /// Send out rows.
    Emit(Emission),
    /// Store this answer of the hydration round as the task's metadata.
    Hydrate(Value),
    /// All votes are in: count them.
    Tally,
    /// Go on under another protocol.
    Change(Change),
    /// Apply the accepted patch and validate it.
    Integrate,
    /// Persist the task as completed.
    Complete,
    /// Persist the task as blocked.
    Block(BlockReason, String),
    /// Not to be gone on with for now: roles could not be asked, for this reason.
    Halt(String),
}

/// The next step of a unit under `protocol`; `has_metadata` says whether its task can be worked as it stands in the plan.
pub fn next(protocol: &Protocol, state: &UnitState, has_metadata: bool) -> Action {
    match &state.integration {
        Integration::Applied => return Action::Complete,
        Integration::Failed(reason, detail) => {
            return up_or_block(protocol, *reason, detail.clone());
        }
        Integration::Started => return Action::Integrate,
        Integration::None => {}
    }
    if !has_metadata {
        return hydrate(protocol, state);
    }
    let last = state.rounds.last();
    let position = last.and_then(|last| protocol.position(&last.round));
    // Nothing yet, or a round that this protocol does not have, such as the hydration.
    let Some(position) = position else {
        return emit(&protocol.rounds[0], state);
    };
    let round = &protocol.rounds[position];
    let gate = protocol
        .consensus
        .as_ref()
        .filter(|gate| gate.round == round.name);
    match (missing(round, state), gate) {
        (Missing::Open, _) => Action::Await,
        (Missing::Fault(detail), gate) if gate.is_none_or(|gate| !is_decided(gate, state)) => {
            Action::Halt(detail)
        }
        (Missing::Again(roles), _) => again(round, state, roles),
        (_, Some(gate)) => after_vote(protocol, gate, state),
        // A gate is none here.
        (Missing::Fault(detail), None) => Action::Halt(detail),
        (Missing::Never(code, detail), None) => unusable(protocol, round, code, detail),
        (Missing::Nothing, None) => match protocol.rounds.get(position + 1) {
            Some(round) => emit(round, state),
            None => Action::Integrate,
        },
    }
}

/// Asks for the metadata that the task lacks.
fn hydrate(protocol: &Protocol, state: &UnitState) -> Action {
    let Some(round) = &protocol.hydration else {
        let detail = format!(
            "it has no metadata, and protocol `{}` has no way to ask for it",
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
    match missing(round, state) {
        Missing::Open => Action::Await,
        Missing::Fault(detail) => Action::Halt(detail),
        Missing::Again(roles) => again(round, state, roles),
        Missing::Never(code, detail) => Action::Block(
            BlockReason::NoResponse,
            coded_unless(BlockReason::NoResponse, &code, detail),
        ),
        Missing::Nothing => {
            let answer = state.accepted(&round.name).into_values().next().cloned();
            Action::Hydrate(answer.unwrap_or_default())
        }
    }
}

/// The code of an answer in front of what was wrong with it, unless it is the block reason, which is said anyway.
fn coded_unless(reason: BlockReason, code: &str, detail: String) -> String {
    match code == reason.as_str() {
        true => detail,
        false => format!("{code}: {detail}"),
    }
}

/// What the round under way still lacks.
enum Missing {
    Nothing,
    Open,
    /// A role could not be asked, however often.
    Fault(String),
    Again(Vec<Role>),
    Never(String, String),
}

fn missing(round: &Round, state: &UnitState) -> Missing {
    let answers = state.current_answers();
    let mut again = Vec::new();
    let (mut never, mut fault) = (None, None);
    for role in &round.roles {
        match answers.get(role) {
            Some(Answer::Open) => return Missing::Open,
            None
            | Some(
                Answer::Retry { .. }
                | Answer::Fault {
                    is_final: false, ..
                },
            ) => {
                again.push(role.clone());
            }
            Some(Answer::Fault { detail, .. }) => {
                fault.get_or_insert_with(|| format!("{role} could not be asked: {detail}"));
            }
            Some(Answer::Rejected { code, detail }) => {
                let said = if detail.is_empty() { code } else { detail };
                never.get_or_insert_with(|| (code.clone(), format!("{role}: {said}")));
            }
            Some(Answer::Accepted(_)) => {}
        }
    }
    if let Some(detail) = fault {
        return Missing::Fault(detail);
    }
    match never {
        _ if !again.is_empty() => Missing::Again(again),
        Some((code, detail)) => Missing::Never(code, detail),
        None => Missing::Nothing,
    }
}

/// An answer that will not come: a smaller swarm may still do, a patch that can't be placed is nothing that it would mend.
fn unusable(protocol: &Protocol, round: &Round, code: String, detail: String) -> Action {
    match (reason_of(round, &code), &protocol.fallback) {
        (BlockReason::NoResponse, Some(to)) => Action::Change(Change {
            to: to.clone(),
            keeps: true,
            code,
            detail,
        }),
        (reason, _) => up_or_block(protocol, reason, detail),
    }
}

/// Goes up one tier where there is one. A task that says no validation command is no better off there.
fn up_or_block(protocol: &Protocol, reason: BlockReason, detail: String) -> Action {
    match &protocol.promotion {
        Some(to) if reason != BlockReason::MissingValidation => Action::Change(Change {
            to: to.clone(),
            keeps: false,
            code: reason.to_string(),
            detail,
        }),
        _ => Action::Block(reason, detail),
    }
}

/// Whether the votes of roles that could not be asked would change nothing.
fn is_decided(gate: &Consensus, state: &UnitState) -> bool {
    let answers = state.current_answers();
    let count =
        |is_one: fn(&Answer) -> bool| answers.values().filter(|one| is_one(one)).count() as u32;
    let agree = count(
        |answer| matches!(answer, Answer::Accepted(vote) if vote.get("vote").and_then(Value::as_str) == Some(AGREE)),
    );
    let open = count(|answer| matches!(answer, Answer::Fault { .. }));
    agree >= gate.threshold || agree + open < gate.threshold
}

fn after_vote(protocol: &Protocol, gate: &Consensus, state: &UnitState) -> Action {
    let Some(tally) = state.count() else {
        return Action::Tally;
    };
    if tally.consensus {
        return Action::Integrate;
    }
    let cycle = vote_cycles(state, &gate.round);
    let voters = tally.votes.len();
    let detail = format!(
        "{} of {voters} agreed in vote {}",
        tally.agree, tally.attempt
    );
    // Nobody's dissent, but missing votes decided it: a smaller swarm may do without them.
    let is_undecided = tally.agree + tally.absent >= gate.threshold;
    if let (true, Some(to)) = (is_undecided, &protocol.fallback) {
        return Action::Change(Change {
            to: to.clone(),
            keeps: true,
            code: BlockReason::NoResponse.to_string(),
            detail: format!("{detail}, {} gave no vote", tally.absent),
        });
    }
    if cycle > gate.retries {
        return match is_undecided {
            true => {
                let detail = format!("{detail}, {} gave no vote", tally.absent);
                up_or_block(protocol, BlockReason::NoResponse, detail)
            }
            false => up_or_block(protocol, BlockReason::NoConsensus, detail),
        };
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
    use crate::protocol::consensus::tally;
    use crate::protocol::spec::Templates;
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
        let Action::Emit(emission) = next(protocol, state, true) else {
            return format!("{:?}", next(protocol, state, true));
        };
        state.emitted(&emission.round, emission.attempt, emission.roles.clone());
        assert_eq!(next(protocol, state, true), Action::Await);
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
        assert_eq!(next(protocol, state, true), Action::Tally);
        let votes: Vec<Value> = (0..5)
            .map(|n| json!({"vote": if n < agree { "agree" } else { "disagree" }, "reason": "r"}))
            .collect();
        let lines = protocol.voters().iter().zip(votes.iter().map(Ok));
        let number = state.tallies.len() as u32 + 1;
        let threshold = protocol.consensus.as_ref().expect("a gate").threshold;
        state.counted(tally(&UnitId::new("u"), number, threshold, lines));
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
        assert_eq!(next(&protocol, &state, true), blocked);
    }

    #[test]
    fn four_agreeing_votes_integrate_and_the_outcome_decides() {
        let protocol = swarm();
        let mut state = UnitState::default();
        for _ in 0..4 {
            step(&protocol, &mut state, good);
        }
        count(&protocol, &mut state, 4);
        assert_eq!(next(&protocol, &state, true), Action::Integrate);
        state.integration = Integration::Started;
        assert_eq!(next(&protocol, &state, true), Action::Integrate);
        state.integration = Integration::Applied;
        assert_eq!(next(&protocol, &state, true), Action::Complete);
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

    fn fault(is_final: bool) -> Answer {
        Answer::Fault {
            detail: "worker_exit: killed".to_owned(),
            is_final,
        }
    }

    #[test]
    fn who_could_not_be_asked_is_asked_again_and_then_the_task_waits() {
        let protocol = swarm();
        let mut state = UnitState::default();
        step(&protocol, &mut state, good);
        let one = |is_final| {
            move |role: &Role| match role.as_str() {
                "skeptic" => fault(is_final),
                _ => Answer::Accepted(json!({})),
            }
        };
        step(&protocol, &mut state, one(false));
        assert_eq!(step(&protocol, &mut state, one(true)), "critique 2 x1");
        let halt = Action::Halt("skeptic could not be asked: worker_exit: killed".to_owned());
        assert_eq!(next(&protocol, &state, true), halt);
        state.forget_faults();
        assert_eq!(step(&protocol, &mut state, good), "critique 3 x1");
        assert_eq!(step(&protocol, &mut state, good), "synthesis 1 x1");
    }

    #[test]
    fn a_vote_that_could_not_be_asked_for_is_none_against() {
        let votes = |agree: usize, faults: usize| {
            let protocol = swarm();
            let mut state = UnitState::default();
            for _ in 0..3 {
                step(&protocol, &mut state, good);
            }
            let place = |role: &Role| protocol.voters().iter().position(|one| one == role);
            step(&protocol, &mut state, |role| match place(role) {
                Some(n) if n < agree => Answer::Accepted(json!({"vote": "agree", "reason": "r"})),
                Some(n) if n < agree + faults => fault(true),
                _ => Answer::Accepted(json!({"vote": "disagree", "reason": "r"})),
            });
            next(&protocol, &state, true)
        };
        // Four of five have to agree.
        for (agree, faults) in [(4, 1), (0, 3), (2, 1)] {
            assert_eq!(
                votes(agree, faults),
                Action::Tally,
                "{agree} agree, {faults} not asked"
            );
        }
        for (agree, faults) in [(3, 1), (0, 5), (3, 2), (2, 2)] {
            assert!(
                matches!(votes(agree, faults), Action::Halt(_)),
                "{agree} agree, {faults} not asked"
            );
        }
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
            next(&protocol, &state, true),
            Action::Block(BlockReason::AmbiguousIntegration, _)
        ));
    }

    fn refused(code: &str) -> Answer {
        Answer::Rejected {
            code: code.into(),
            detail: "d".into(),
        }
    }

    fn built_in(text: &str) -> Protocol {
        Protocol::parse("built in", text, &Fixed).expect("usable")
    }

    /// Takes the change that is due; gives its description.
    fn change(protocol: &Protocol, state: &mut UnitState) -> String {
        let Action::Change(change) = next(protocol, state, true) else {
            return format!("{:?}", next(protocol, state, true));
        };
        state.changed(&change.to, change.keeps);
        format!("{} {} {}", change.to, change.keeps, change.code)
    }

    #[test]
    fn without_a_usable_answer_three_roles_go_on_with_what_there_is() {
        let (five, three) = (
            swarm(),
            built_in(include_str!("../../templates/swarm3.yaml")),
        );
        let mut state = UnitState::default();
        step(&five, &mut state, good);
        let only_b = |role: &Role| match role.as_str() {
            "critic_b" => Answer::Accepted(json!({})),
            _ => refused("timeout"),
        };
        step(&five, &mut state, only_b);
        assert_eq!(change(&five, &mut state), "swarm3 true timeout");
        // critic_a is no role of the three, critic_b's answer stands, the skeptic is asked once more.
        assert_eq!(step(&three, &mut state, good), "critique 2 x1");
        assert_eq!(step(&three, &mut state, good), "synthesis 1 x1");
        let none = |_: &Role| refused("no_response");
        assert_eq!(step(&three, &mut state, none), "vote 1 x3");
        assert_eq!(next(&three, &state, true), Action::Tally);
    }

    #[test]
    fn what_three_roles_can_not_do_either_is_no_response() {
        let (five, three) = (
            swarm(),
            built_in(include_str!("../../templates/swarm3.yaml")),
        );
        let mut state = UnitState::default();
        let none = |_: &Role| refused("no_response");
        step(&five, &mut state, none);
        assert_eq!(change(&five, &mut state), "swarm3 true no_response");
        assert_eq!(step(&three, &mut state, none), "proposal 2 x1");
        let blocked = Action::Block(BlockReason::NoResponse, "proposer: d".to_owned());
        assert_eq!(next(&three, &state, true), blocked);
    }

    #[test]
    fn votes_that_are_missing_are_counted_again_among_three() {
        let (five, three) = (
            swarm(),
            built_in(include_str!("../../templates/swarm3.yaml")),
        );
        let mut state = UnitState::default();
        for _ in 0..4 {
            step(&five, &mut state, good);
        }
        let agree = json!({"vote": "agree", "reason": "r"});
        let votes = [
            Ok(&agree),
            Err("timeout"),
            Err("timeout"),
            Ok(&agree),
            Ok(&agree),
        ];
        let lines = five.voters().iter().zip(votes);
        state.counted(tally(&UnitId::new("u"), 1, 4, lines));
        assert_eq!(change(&five, &mut state), "swarm3 true no_response");
        // All three have voted already.
        assert_eq!(next(&three, &state, true), Action::Tally);
        let lines = three.voters().iter().map(|role| (role, Ok(&agree)));
        state.counted(tally(&UnitId::new("u"), 2, 3, lines));
        assert_eq!(next(&three, &state, true), Action::Integrate);
    }

    #[test]
    fn a_failed_gate_goes_up_one_tier_and_begins_anew() {
        let mut solo = built_in(include_str!("../../templates/solo.yaml"));
        let mut duo = built_in(include_str!("../../templates/duo.yaml"));
        solo.promotion = Some("duo".to_owned());
        duo.promotion = Some("swarm".to_owned());
        let mut state = UnitState::default();
        assert_eq!(step(&solo, &mut state, good), "synthesis 1 x1");
        assert_eq!(next(&solo, &state, true), Action::Integrate);
        state.integration = Integration::Failed(BlockReason::ValidationFailed, "v".to_owned());
        assert_eq!(change(&solo, &mut state), "duo false validation_failed");
        assert_eq!(step(&duo, &mut state, good), "synthesis 2 x1");
        assert_eq!(step(&duo, &mut state, good), "vote 1 x1");
        let against = json!({"vote": "disagree", "reason": "r"});
        for cycle in 1..=3 {
            let lines = duo.voters().iter().map(|role| (role, Ok(&against)));
            state.counted(tally(&UnitId::new("u"), cycle, 1, lines));
            if cycle < 3 {
                step(&duo, &mut state, good);
                step(&duo, &mut state, good);
            }
        }
        assert_eq!(change(&duo, &mut state), "swarm false no_consensus");
        assert_eq!(step(&swarm(), &mut state, good), "proposal 1 x1");
        state.integration = Integration::Failed(BlockReason::MissingValidation, "m".to_owned());
        let blocked = Action::Block(BlockReason::MissingValidation, "m".to_owned());
        assert_eq!(next(&solo, &state, true), blocked);
    }

    #[test]
    fn metadata_comes_first_and_the_rounds_follow() {
        let protocol = swarm();
        let mut state = UnitState::default();
        let Action::Emit(emission) = next(&protocol, &state, false) else {
            panic!("rows");
        };
        assert_eq!(emission.round.as_str(), "hydrate");
        state.emitted(&emission.round, 1, emission.roles.clone());
        assert_eq!(next(&protocol, &state, false), Action::Await);
        let proposed = json!({"mesh": {}});
        let answer = Answer::Accepted(proposed.clone());
        state.answered(&emission.round, 1, &emission.roles[0], answer);
        assert_eq!(next(&protocol, &state, false), Action::Hydrate(proposed));
        assert_eq!(step(&protocol, &mut state, good), "proposal 1 x1");

        let mut state = UnitState::default();
        state.emitted(&emission.round, 1, emission.roles.clone());
        state.answered(&emission.round, 1, &emission.roles[0], refused("timeout"));
        assert!(matches!(
            next(&protocol, &state, false),
            Action::Block(BlockReason::NoResponse, _)
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
        assert_eq!(next(&protocol, &state, true), Action::Tally);
    }
}
