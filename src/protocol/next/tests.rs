use super::*;
use crate::model::UnitId;
use crate::protocol::Templates;
use crate::protocol::consensus::{NOT_ASKED, tally};
use serde_json::{Value, json};

struct Fixed;
impl Templates for Fixed {
    fn text(&self, _: &str) -> std::io::Result<Option<String>> {
        Ok(Some("{}".to_owned()))
    }
}

fn swarm() -> Protocol {
    let text = include_str!("../../../templates/swarm.yaml");
    Protocol::parse("swarm.yaml", text, &Fixed).expect("usable")
}

/// Answers the next emission and describes it.
fn step(protocol: &Protocol, state: &mut UnitState, answer: impl Fn(&Role) -> Answer) -> String {
    let Action::Emit(emission) = next(protocol, state, true) else {
        return format!("{:?}", next(protocol, state, true));
    };
    state.record_emission(&emission.round, emission.attempt, emission.roles.clone());
    assert_eq!(next(protocol, state, true), Action::Await);
    for role in &emission.roles {
        state.record_answer(&emission.round, emission.attempt, role, answer(role));
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
    state.record_tally(tally(&UnitId::new("u"), number, threshold, &[], lines));
}

#[test]
fn the_swarm_repeats_the_critique_twice_and_then_blocks() {
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
fn a_role_that_could_not_be_asked_is_retried_and_then_the_unit_halts() {
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
fn a_vote_that_could_not_be_asked_for_is_no_dissent() {
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
fn a_patch_that_cannot_be_applied_blocks_before_the_vote() {
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

/// Makes the next protocol change and describes it.
fn change(protocol: &Protocol, state: &mut UnitState) -> String {
    let Action::Change(change) = next(protocol, state, true) else {
        return format!("{:?}", next(protocol, state, true));
    };
    state.change_protocol(&change.to, change.keeps_answers);
    format!("{} {} {}", change.to, change.keeps_answers, change.code)
}

#[test]
fn without_a_usable_answer_the_fallback_keeps_the_accepted_ones() {
    let (five, three) = (
        swarm(),
        built_in(include_str!("../../../templates/swarm3.yaml")),
    );
    let mut state = UnitState::default();
    step(&five, &mut state, good);
    let only_b = |role: &Role| match role.as_str() {
        "critic_b" => Answer::Accepted(json!({})),
        _ => refused("timeout"),
    };
    step(&five, &mut state, only_b);
    assert_eq!(change(&five, &mut state), "swarm3 true timeout");
    // critic_a is no role of the fallback, critic_b's answer is kept, the skeptic is asked again.
    assert_eq!(step(&three, &mut state, good), "critique 2 x1");
    assert_eq!(step(&three, &mut state, good), "synthesis 1 x1");
    let none = |_: &Role| refused("no_response");
    assert_eq!(step(&three, &mut state, none), "vote 1 x3");
    assert_eq!(next(&three, &state, true), Action::Tally);
}

#[test]
fn a_fallback_without_answers_blocks_as_no_response() {
    let (five, three) = (
        swarm(),
        built_in(include_str!("../../../templates/swarm3.yaml")),
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
fn missing_votes_are_counted_again_under_the_fallback() {
    let (five, three) = (
        swarm(),
        built_in(include_str!("../../../templates/swarm3.yaml")),
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
    state.record_tally(tally(&UnitId::new("u"), 1, 4, &[], lines));
    assert_eq!(change(&five, &mut state), "swarm3 true no_response");
    // All three have voted already.
    assert_eq!(next(&three, &state, true), Action::Tally);
    let lines = three.voters().iter().map(|role| (role, Ok(&agree)));
    state.record_tally(tally(&UnitId::new("u"), 2, 3, &[], lines));
    assert_eq!(next(&three, &state, true), Action::Integrate);
}

#[test]
fn a_failed_gate_promotes_the_unit_and_starts_over() {
    let mut solo = built_in(include_str!("../../../templates/solo.yaml"));
    let mut duo = built_in(include_str!("../../../templates/duo.yaml"));
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
        state.record_tally(tally(&UnitId::new("u"), cycle, 1, &[], lines));
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
    state.record_emission(&emission.round, 1, emission.roles.clone());
    assert_eq!(next(&protocol, &state, false), Action::Await);
    let answer = Answer::Accepted(json!({"mesh": {}}));
    state.record_answer(&emission.round, 1, &emission.roles[0], answer);
    assert_eq!(
        next(&protocol, &state, false),
        Action::Hydrate(emission.round.clone())
    );
    assert_eq!(step(&protocol, &mut state, good), "proposal 1 x1");

    let mut state = UnitState::default();
    state.record_emission(&emission.round, 1, emission.roles.clone());
    state.record_answer(&emission.round, 1, &emission.roles[0], refused("timeout"));
    assert!(matches!(
        next(&protocol, &state, false),
        Action::Block(BlockReason::NoResponse, _)
    ));
}

#[test]
fn a_missing_vote_does_not_block_by_itself() {
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

/// Votes on a patch until the outcome, and gives the verdict with the number of votes.
fn vote_on(protocol: &Protocol, votes: &[bool]) -> (bool, usize) {
    let mut state = UnitState::default();
    let voters = protocol.voters();
    let of = |role: &Role| votes[voters.iter().position(|one| one == role).expect("a voter")];
    let mut asked = 0;
    loop {
        match next(protocol, &state, true) {
            Action::Emit(emission) => {
                let is_vote = emission.round.as_str() == "vote";
                asked += if is_vote { emission.roles.len() } else { 0 };
                step(protocol, &mut state, |role| match is_vote {
                    false => good(role),
                    true => Answer::Accepted(json!({
                        "vote": if of(role) { "agree" } else { "disagree" }, "reason": "r",
                    })),
                });
            }
            Action::Tally => {
                let answers = state.current_answers();
                let lines = voters.iter().map(|role| match answers.get(role) {
                    Some(Answer::Accepted(vote)) => (role, Ok(vote)),
                    _ => (role, Err(NOT_ASKED)),
                });
                let threshold = protocol.consensus.as_ref().expect("a gate").threshold;
                let tally = tally(&UnitId::new("u"), 1, threshold, &[], lines);
                state.record_tally(tally);
            }
            Action::Integrate => return (true, asked),
            Action::Block(BlockReason::NoConsensus, _) => return (false, asked),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_vote_that_ends_early_has_the_verdict_of_all_votes_and_needs_fewer() {
    // A generator of its own, so that every run sees the same panels.
    let mut seed = 1_u64;
    let mut percent = || {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1);
        (seed >> 33) % 100
    };
    for (threshold, saved_percent) in [(3, 30), (4, 10), (5, 0), (1, 70)] {
        let mut all = swarm();
        let gate = all.consensus.as_mut().expect("a gate");
        (gate.threshold, gate.retries) = (threshold, 0);
        all.fallback = None;
        let mut early = all.clone();
        early.consensus.as_mut().expect("a gate").early_vote = true;
        let (mut with_all, mut with_early) = (0, 0);
        for _ in 0..10_000 {
            let panel: Vec<bool> = (0..5).map(|_| percent() < 90).collect();
            let (verdict, asked) = vote_on(&all, &panel);
            assert_eq!(
                (verdict, asked),
                (
                    panel.iter().filter(|it| **it).count() >= threshold as usize,
                    5
                )
            );
            let (early_verdict, early_asked) = vote_on(&early, &panel);
            assert_eq!(early_verdict, verdict, "{panel:?}");
            (with_all, with_early) = (with_all + asked, with_early + early_asked);
        }
        let saved = 100 * (with_all - with_early) / with_all;
        assert!(
            saved >= saved_percent,
            "threshold {threshold}: {saved} % fewer"
        );
    }
}

#[test]
fn critics_who_find_nothing_have_the_same_patch_voted_on_again() {
    let protocol = swarm();
    let mut state = UnitState::default();
    let nothing = |_: &Role| Answer::Accepted(json!({"findings": [], "must_fix": []}));
    let mut steps: Vec<String> = (0..3)
        .map(|_| step(&protocol, &mut state, nothing))
        .collect();
    for agree in [3, 4] {
        steps.push(step(&protocol, &mut state, nothing));
        count(&protocol, &mut state, agree);
        if agree == 3 {
            steps.push(step(&protocol, &mut state, nothing));
        }
    }
    assert_eq!(
        steps,
        [
            "proposal 1 x1",
            "critique 1 x3",
            "synthesis 1 x1",
            "vote 1 x5",
            "critique 2 x3",
            "vote 2 x5"
        ]
    );
    assert_eq!(next(&protocol, &state, true), Action::Integrate);
}

#[test]
fn an_early_vote_asks_the_others_before_a_fault_ends_it() {
    let mut protocol = swarm();
    protocol.consensus.as_mut().expect("a gate").early_vote = true;
    let mut state = UnitState::default();
    for _ in 0..3 {
        step(&protocol, &mut state, good);
    }
    let vote = |role: &Role| match role.as_str() {
        "skeptic" => Answer::Fault {
            detail: "no quota".to_owned(),
            is_final: true,
        },
        _ => Answer::Accepted(json!({"vote": "agree", "reason": "r"})),
    };
    assert_eq!(step(&protocol, &mut state, vote), "vote 1 x4");
    assert_eq!(step(&protocol, &mut state, vote), "vote 2 x1");
    assert_eq!(next(&protocol, &state, true), Action::Tally);
}
