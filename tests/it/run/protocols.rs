//! Protocols other than the usual one, and answers in prose.

use super::*;

const AGREE: &str = r#"{"vote":"agree","reason":"r"}"#;
const DISAGREE: &str = r#"{"vote":"disagree","reason":"r"}"#;

#[test]
fn one_author_is_enough_for_low_risk() {
    let bench = Bench::new(&[Task::new("a").more("risk: low")]);
    bench.answer("a", "synthesis.author.1", &synthesis("a.txt", "new"));
    bench.run("protocol=tiered").exits(0);
    assert_eq!(bench.status_of("a"), "completed");
    assert_eq!(bench.rows(), ["a.synthesis.author.1"]);
    assert_eq!(bench.read("a.txt"), "new\n");
    assert!(
        bench.comments("a")[0].starts_with("[mesh] outcome: completed"),
        "{:?}",
        bench.comments("a")
    );
}

#[test]
fn a_failed_gate_escalates_a_task_one_tier_at_a_time() {
    let bench = Bench::new(&[Task::new("a").more("risk: low")]);
    // Fails its validation, then finds no consensus, then everybody is asked.
    bench.answer("a", "synthesis.author.1", &synthesis("a.txt", "wrong"));
    for n in 2..=4 {
        bench.answer(
            "a",
            &format!("synthesis.author.{n}"),
            &synthesis("a.txt", "new"),
        );
        bench.answer("a", &format!("vote.skeptic.{}", n - 1), DISAGREE);
    }
    bench.answer("a", "synthesis.synthesizer.5", &synthesis("a.txt", "new"));
    for role in ["proposer", "skeptic", "synthesizer", "critic_a", "critic_b"] {
        bench.answer("a", &format!("vote.{role}.4"), AGREE);
    }
    bench.run("protocol=tiered").exits(0);
    let changes: Vec<String> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "protocol_changed")
        .map(|(_, body)| {
            format!("{} {} {}", body["from"], body["to"], body["code"]).replace('"', "")
        })
        .collect();
    assert_eq!(
        changes,
        ["solo duo validation_failed", "duo swarm no_consensus"]
    );
    assert_eq!(bench.read("a.txt"), "new\n");
    let waves: Vec<String> = bench
        .waves()
        .iter()
        .map(|wave| wave.column("round")[0].to_owned())
        .collect();
    assert_eq!(
        waves,
        [
            "synthesis",
            "synthesis",
            "vote",
            "synthesis",
            "vote",
            "synthesis",
            "vote",
            "proposal",
            "critique",
            "synthesis",
            "vote"
        ]
    );
}

#[test]
fn a_task_that_no_tier_can_do_is_blocked_by_the_last_one() {
    let bench = Bench::new(&[Task::new("a").more("risk: high")]);
    bench.answer("a", "synthesis.synthesizer.1", "");
    bench.answer("a", "synthesis.synthesizer.2", "");
    let said = bench.run("protocol=tiered --json").exits(1);
    assert_eq!(report(&said)["tasks"][0]["reason"], "no_response");
}

#[test]
fn the_command_line_goes_before_the_task() {
    let bench = Bench::new(&[Task::new("a")
        .agree(&[3])
        .more("swarm: {consensus_threshold: 5}")]);
    let said = bench.run("consensus_threshold=3 --json").exits(0);
    assert_eq!(report(&said)["tasks"][0]["tallies"][0]["threshold"], 3);
    let three = Bench::new(&[Task::new("a")]);
    three.run("swarm_roles=3").exits(0);
    assert_eq!(three.waves()[1].column("role"), ["skeptic"]);
}

#[test]
fn votes_and_critiques_may_come_as_prose() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.answer(
        "a",
        "critique.skeptic.1",
        "## Findings\n- an edge case\n\n## Must-fix items\n- none\n\nRisk: low\n",
    );
    bench.answer(
        "a",
        "vote.skeptic.1",
        "I looked at it.\n\nvote: agree\nreason: the edge case is covered\n",
    );
    let patch = edit("a.txt", "old", "new");
    let prose = format!(
        "1) Decision log\n- skeptic: edge case -> accepted: covered\n\n2) Patch\n```diff\n{patch}```\n\n3) Validation\n- `grep -q new a.txt`\n\n4) Residual risk: low\n"
    );
    bench.answer("a", "synthesis.synthesizer.1", &prose);
    bench.run("").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    assert!(
        bench
            .prompt("a.synthesis.synthesizer.1")
            .contains("an edge case")
    );
    let by_text = bench
        .events()
        .into_iter()
        .filter(|(_, body)| body["via"] == "text");
    assert_eq!(by_text.count(), 3);
    assert!(
        bench.comments("a")[0].contains("5 agree"),
        "{:?}",
        bench.comments("a")
    );
}

#[test]
fn prose_is_no_answer_where_only_json_is_wanted() {
    let bench = Bench::new(&[Task::new("a")]);
    let vote = "vote: agree\nreason: r\n";
    bench.answer("a", "vote.skeptic.1", vote);
    bench.answer("a", "vote.skeptic.2", vote);
    let said = bench.run("--strict --json");
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!((&tally["agree"], &tally["absent"]), (&json!(4), &json!(1)));
    assert!(bench.events().iter().all(|(_, body)| body["via"] != "text"));
}

#[test]
fn mesh_yaml_names_protocols_of_the_project() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.write(
        ".mesh/one.yaml",
        "name: whatever\nroles: [author]\nrounds:\n  - {name: synthesis, roles: [author], lane: patch, prompt: own.md, schema: synthesis.json}\n",
    );
    bench.write(".mesh/own.md", "Own words for {task_id}.");
    bench.write("mesh.yaml", "protocols:\n  one: .mesh/one.yaml\n");
    bench.answer("a", "synthesis.author.1", &synthesis("a.txt", "new"));
    bench.run("protocol=one").exits(0);
    assert!(
        bench
            .prompt("a.synthesis.author.1")
            .contains("Own words for a.")
    );
    let unknown = bench.run("--dry-run protocol=two").exits(2);
    unknown.err_has(", one) nor a file");
    // The built-in prompt of this name is not used in its place.
    bench.write("mesh.yaml", "protocols:\n  one: .mesh/two.yaml\n");
    let two = bench
        .read(".mesh/one.yaml")
        .replace("own.md", "synthesis.md");
    bench.write(".mesh/two.yaml", &two);
    std::fs::write(bench.path(".mesh/synthesis.md"), b"in Latin 1: \xe9").expect("written");
    let unreadable = bench.run("--dry-run protocol=one").exits(2);
    unreadable.err_has("protocol `.mesh/two.yaml`, line 4: template `synthesis.md` can't be read");
}
