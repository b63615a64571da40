//! Consensus, its retries and a task's own settings.

use super::*;

#[test]
fn four_of_five_votes_are_enough() {
    let bench = Bench::new(&[Task::new("a").agree(&[4])]);
    let said = bench.run("--json").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    let dissent =
        json!([{"role": "critic_b", "vote": "disagree", "reason": "critic_b in cycle 1"}]);
    assert_eq!(
        report(&said)["tasks"][0]["tallies"],
        json!([{"agree": 4, "disagree": 1, "absent": 0, "threshold": 4, "dissent": dissent}])
    );
}

#[test]
fn three_of_five_go_back_to_the_critique_with_the_dissent() {
    let second = edit("a.txt", "old", "new and better");
    let bench = Bench::new(&[Task::new("a")
        .agree(&[3, 5])
        .patches(&[&edit("a.txt", "old", "new"), &second])]);
    bench.run("").exits(0);
    let sizes: Vec<(String, usize)> = bench
        .waves()
        .into_iter()
        .map(|wave| (wave.name, wave.rows.len()))
        .collect();
    let sizes: Vec<(&str, usize)> = sizes
        .iter()
        .map(|(name, rows)| (name.as_str(), *rows))
        .collect();
    assert_eq!(
        sizes[4..],
        [
            ("005-critique.csv", 3),
            ("006-synthesis.csv", 1),
            ("007-vote.csv", 5)
        ]
    );
    let critique = bench.prompt("a.critique.critic_a.2");
    for reason in [
        "critic_a (disagree): critic_a in cycle 1",
        "critic_b (disagree): critic_b in cycle 1",
        "3 agree, 2 disagree",
    ] {
        assert!(critique.contains(reason), "{reason}: {critique}");
    }
    assert!(
        critique.contains("+new\n"),
        "the patch that was voted down: {critique}"
    );
    assert!(
        bench
            .prompt("a.synthesis.synthesizer.2")
            .contains("critic_a in cycle 1")
    );
    assert_eq!(bench.read("a.txt"), "new and better\n");
}

#[test]
fn a_third_vote_without_consensus_blocks() {
    let bench = Bench::new(&[Task::new("a").agree(&[3, 2, 3])]);
    let before = bench.tree();
    let said = bench.run("--json").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    assert_eq!(bench.rows().len(), 1 + 3 * 9);
    let task = &report(&said)["tasks"][0];
    assert_eq!(
        (&task["reason"], &task["consensus_attempts"]),
        (&json!("no_consensus"), &json!(3))
    );
    assert_snapshot!(bench.comments("a").join("\n"), @"[mesh] outcome: blocked; reason: no_consensus (3 of 5 agreed in vote 3); vote 3: 3 agree, 2 disagree; validation: none run; learnings: lrn-TIME-18c27f09; mesh_run_id=R");
    assert_eq!(bench.tree(), before);
}

#[test]
fn a_task_may_ask_for_three_roles() {
    let bench = Bench::new(&[Task::new("a").more("swarm: {roles: 3}").agree(&[2, 3])]);
    let said = bench.run("--json").exits(0);
    assert_eq!(
        bench.rows(),
        [
            "a.proposal.proposer.1",
            "a.critique.skeptic.1",
            "a.synthesis.synthesizer.1",
            "a.vote.proposer.1",
            "a.vote.skeptic.1",
            "a.vote.synthesizer.1",
            "a.critique.skeptic.2",
            "a.synthesis.synthesizer.2",
            "a.vote.proposer.2",
            "a.vote.skeptic.2",
            "a.vote.synthesizer.2",
        ]
    );
    assert_eq!(report(&said)["tasks"][0]["tallies"][0]["threshold"], 3);
}

#[test]
fn a_task_may_set_its_own_threshold_and_retries() {
    let bench = Bench::new(&[
        Task::new("a")
            .more("swarm: {consensus_threshold: 3}")
            .agree(&[3]),
        Task::new("b")
            .more("swarm: {consensus_retries: 0}")
            .agree(&[3, 5]),
    ]);
    bench.run("max_tasks=2").exits(1);
    assert_eq!(
        ["a", "b"].map(|id| bench.status_of(id)),
        ["completed", "blocked"]
    );
    assert!(bench.comments("b")[0].contains("no_consensus (3 of 5 agreed in vote 1)"));
}

#[test]
fn an_early_vote_asks_as_many_as_must_agree_and_then_as_many_as_may_decide() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("--early-vote").exits(0);
    assert_eq!(bench.rows().len(), 9, "one voter was not asked");
    let shown = bench.mesh("runs show R --json").exits(0);
    let tally = &report(&shown)["tasks"][0]["tallies"][0];
    assert_eq!((&tally["agree"], &tally["absent"]), (&4.into(), &0.into()));

    let bench = Bench::new(&[Task::new("a")]);
    let against = json!({"vote": "disagree", "reason": "no"});
    bench.answer("a", "vote.proposer.1", &against.to_string());
    let agree = json!({"vote": "agree", "reason": "yes"});
    bench.answer("a", "vote.synthesizer.2", &agree.to_string());
    bench.write("mesh.yaml", "early_vote: true\n");
    bench.run("").exits(0);
    let rows = bench.rows();
    assert_eq!(rows.len(), 10);
    assert_eq!(
        rows.last().map(String::as_str),
        Some("a.vote.synthesizer.2")
    );
}
