//! Tasks without metadata: a worker proposes them, they are stored in the plan, and the usual rounds follow.

use super::*;

pub(super) fn proposal(scope: &[&str], validation: &[&str]) -> String {
    json!({
        "mesh": {"scope": scope, "acceptance": ["it is new"], "validation": validation, "risk": "low", "swarm": {"roles": 3}},
        "plan": ["edit"], "assumptions": [], "risk": "low", "risks": [],
    })
    .to_string()
}

pub(super) fn notes(bench: &Bench, id: &str) -> String {
    let said = bench.mesh("st show --format json");
    let plan: Value = serde_json::from_str(&said.out).expect("JSON");
    let items = plan["items"].as_array().expect("items");
    let item = items
        .iter()
        .find(|item| item["id"] == id)
        .expect("the item");
    item["notes"].as_str().expect("text").to_owned()
}

#[test]
fn missing_metadata_is_proposed_stored_and_used() {
    let bench = Bench::new(&[Task::new("a").notes("Words before.\n")]);
    bench.write("Makefile", "test:\n\tgrep -q new a.txt\n");
    bench.answer(
        "a",
        "hydrate.proposer.1",
        &proposal(&["a.txt"], &["make test", "sh -c 'touch hacked'"]),
    );
    let said = bench.run("").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    let rounds: Vec<String> = bench
        .waves()
        .iter()
        .map(|wave| wave.column("round")[0].to_owned())
        .collect();
    assert_eq!(
        rounds,
        ["hydrate", "proposal", "critique", "synthesis", "vote"]
    );
    let prompt = bench.prompt("a.hydrate.proposer.1");
    assert_contains(&prompt, "round `hydrate_meta`");
    assert_contains(&prompt, "Words before.");
    assert_contains(&prompt, "- `a.txt`");
    assert_snapshot!(notes(&bench, "a"), @r"
    ```mesh
    scope:
    - a.txt
    acceptance:
    - it is new
    validation:
    - make test
    risk: low
    ```

    Words before.
    ");
    said.err_has("a: ignored proposed validation commands that validation_allow does not cover: sh -c 'touch hacked'");
    assert!(!bench.path("hacked").exists());
    let hydrated: Vec<Value> = bench
        .events()
        .into_iter()
        .filter(|(name, _)| name == "hydrated")
        .map(|(_, body)| body)
        .collect();
    assert_eq!(hydrated.len(), 1);
    assert_eq!(
        (&hydrated[0]["item_id"], &hydrated[0]["left_out"]),
        (
            &json!("a.hydrate.proposer.1"),
            &json!(["sh -c 'touch hacked'"])
        )
    );
    // The later rounds know what was stored.
    assert!(bench.prompt("a.proposal.proposer.1").contains("make test"));
}

#[test]
fn commands_that_are_not_allowed_are_not_run() {
    for (options, code, status) in [
        (&[][..], 1, "blocked"),
        (&["trust_proposed_validation=true"][..], 0, "completed"),
        (&["validation_allow=grep"][..], 0, "completed"),
    ] {
        let bench = Bench::new(&[Task::new("a").notes("")]);
        bench.answer(
            "a",
            "hydrate.proposer.1",
            &proposal(&["a.txt"], &["grep -q new a.txt"]),
        );
        let said = bench.run(Args::from(options).and("--json"));
        assert_eq!(
            (said.code, bench.status_of("a").as_str()),
            (code, status),
            "{options:?}: {}",
            said.err
        );
        if code == 1 {
            assert_eq!(report(&said)["tasks"][0]["reason"], "missing_validation");
        }
    }
}

#[test]
fn a_proposal_that_cannot_be_stored_is_requested_once_more() {
    let bench = Bench::new(&[Task::new("a").notes("")]);
    bench.answer(
        "a",
        "hydrate.proposer.1",
        &proposal(&["../outside"], &["make test"]),
    );
    bench.answer(
        "a",
        "hydrate.proposer.2",
        &proposal(&["/etc/passwd"], &["make test"]),
    );
    let said = bench.run("--json").exits(1);
    assert_eq!(report(&said)["tasks"][0]["reason"], "no_response");
    assert_eq!(
        bench.rows(),
        ["a.hydrate.proposer.1", "a.hydrate.proposer.2"]
    );
    let prompt = bench.prompt("a.hydrate.proposer.2");
    assert_contains(
        &prompt,
        "metadata_invalid: scope `../outside`: leaves the repository",
    );
    assert_eq!(notes(&bench, "a"), "");
}

#[test]
fn a_kill_after_the_plan_was_hydrated_does_not_repeat_the_proposal() {
    let bench = Bench::new(&[Task::new("a").notes("")]);
    bench.write("Makefile", "test:\n\tgrep -q new a.txt\n");
    bench.answer(
        "a",
        "hydrate.proposer.1",
        &proposal(&["a.txt"], &["make test"]),
    );
    let mut probe = bench.replay_command("");
    // run_started, plan_mutated, wave_compiled, wave_started, three of the attempt, verdict: then `hydrated` is due.
    probe.env("MESH_FAULT_KILL", "before:9");
    probe.run_to_end().exits(137);
    assert!(
        notes(&bench, "a").contains("make test"),
        "the plan was first"
    );
    bench.mesh("resume R").exits(0);
    assert_eq!(bench.read("a.txt"), "new\n");
    let rows = bench.rows();
    assert_eq!(
        rows.iter().filter(|row| row.contains("hydrate")).count(),
        1,
        "{rows:?}"
    );
}

#[test]
fn refused_commands_are_requested_again_once_allowed() {
    let bench = Bench::new(&[Task::new("a").notes("Words.")]);
    let commands = proposal(&["a.txt"], &["grep -q new a.txt"]);
    bench.answer("a", "hydrate.proposer.1", &commands);
    bench.run("").exits(1);
    assert_eq!(bench.rows(), ["a.hydrate.proposer.1"], "asked once");
    assert!(
        !notes(&bench, "a").contains("validation"),
        "{}",
        notes(&bench, "a")
    );
    bench.mesh("st set-status --id a --status pending");
    let answers = bench.answers();
    let run = ["run", "--adapter", "replay", "--answers", &answers];
    let allowed = "--validation-allow 'grep -q new a.txt'";
    bench.mesh(Args::from(&run[..]).and(allowed)).exits(0);
    assert!(notes(&bench, "a").contains("- grep -q new a.txt"));
}
