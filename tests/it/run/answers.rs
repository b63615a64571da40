//! Answers that can't be used.

use super::*;

#[test]
fn a_critic_that_never_answers_is_dropped_after_one_retry() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "critique.critic_b.1", "");
    let said = bench.run("").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    let attempts = bench.events().into_iter().filter(|(name, record)| {
        name == "attempt_started" && record["item_id"] == "a.critique.critic_b.1"
    });
    assert_eq!(attempts.count(), 2);
    said.err_has("a: switching to protocol `swarm3` (no_response: critic_b: the worker ended");
    let changed: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "protocol_changed")
        .map(|(_, record)| record)
        .collect();
    assert_eq!(
        (&changed[0]["from"], &changed[0]["to"], &changed[0]["keeps"]),
        (&json!("swarm"), &json!("swarm3"), &json!(true))
    );
    // Three of three voted; the critics that there are not have none.
    assert_eq!(
        bench.waves().last().expect("a vote").column("role"),
        ["proposer", "skeptic", "synthesizer"]
    );
    assert_eq!(changed.len(), 1);
}

#[test]
fn a_role_that_never_answers_among_three_either_blocks() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "critique.skeptic.1", "");
    bench.answer("a", "critique.skeptic.2", "");
    let said = bench.run("--json").exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    assert_eq!(report(&said)["tasks"][0]["reason"], "no_response");
    assert!(
        !bench.rows().iter().any(|id| id.contains("synthesis")),
        "{:?}",
        bench.rows()
    );
    assert!(
        bench.comments("a")[0].starts_with(
            "[mesh] outcome: blocked; reason: no_response (skeptic: the worker ended without"
        ),
        "{:?}",
        bench.comments("a")
    );
}

#[test]
fn a_missing_vote_counts_like_one_against() {
    let bench = Bench::new(&[Task::new("a").agree(&[4])]);
    bench.answer("a", "vote.critic_b.1", "");
    let said = bench.run("--json").exits(0);
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!(
        [&tally["agree"], &tally["disagree"], &tally["absent"]].map(Value::as_u64),
        [4, 0, 1].map(Some)
    );
}

#[test]
fn a_patch_from_a_reader_is_refused_and_asked_for_again_once() {
    let bench = Bench::new(&[Task::new("a")]);
    let with_patch = r#"{"findings":["f"],"must_fix":[],"flip_conditions":[],"risk":"low","patch":"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+sneaked in\n"}"#;
    bench.answer("a", "critique.skeptic.1", with_patch);
    bench.answer(
        "a",
        "critique.skeptic.2",
        r#"{"findings":["without"],"must_fix":[],"flip_conditions":[],"risk":"low"}"#,
    );
    bench.run("").exits(0);
    assert_eq!(bench.waves()[2].column("id"), ["a.critique.skeptic.2"]);
    assert!(
        bench
            .prompt("a.critique.skeptic.2")
            .contains("lane: this lane is read_only")
    );
    let synthesis = bench.prompt("a.synthesis.synthesizer.1");
    assert_contains(&synthesis, "without");
    assert_contains(&synthesis, "finding of critic_a");
    assert!(!synthesis.contains("sneaked in"), "{synthesis}");
    let verdicts: Vec<_> = bench
        .events()
        .into_iter()
        .filter(|(name, record)| name == "verdict" && record["code"] == "lane")
        .collect();
    assert_eq!(verdicts.len(), 1);
    assert_eq!(bench.read("a.txt"), "new\n");
}

#[test]
fn a_reader_that_insists_on_a_patch_blocks_its_task() {
    let bench = Bench::new(&[Task::new("a")]);
    let with_patch =
        r#"{"findings":[],"must_fix":[],"flip_conditions":[],"risk":"low","patch":"x"}"#;
    bench.answer("a", "critique.skeptic.1", with_patch);
    bench.answer("a", "critique.skeptic.2", with_patch);
    bench.answer("a", "critique.skeptic.3", with_patch);
    let said = bench.run("--json").exits(1);
    assert_eq!(
        report(&said)["tasks"][0]["reason"].as_str(),
        Some("no_response")
    );
    // Once more, and once more as one of three.
    assert_eq!(
        bench.rows().last().map(String::as_str),
        Some("a.critique.skeptic.3")
    );
}

#[test]
fn an_answer_that_breaks_the_schema_is_asked_for_again_with_the_reason() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer("a", "vote.critic_a.1", r#"{"vote":"maybe","reason":"r"}"#);
    let said = bench.run("--json");
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!(
        (said.code, &tally["agree"], &tally["absent"]),
        (0, &json!(4), &json!(1))
    );
    let ends: Vec<_> = bench
        .events()
        .into_iter()
        .filter(|(name, record)| {
            name == "attempt_finished" && record["item_id"] == "a.vote.critic_a.1"
        })
        .map(|(_, record)| (record["end"].clone(), record["error"].to_string()))
        .collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(
        (&ends[0].0, &ends[1].0),
        (&json!("retry"), &json!("failed"))
    );
    assert!(
        ends[0].1.contains("invalid_output_schema: /vote"),
        "{ends:?}"
    );
}
