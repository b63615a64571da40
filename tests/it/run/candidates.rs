//! Several patches for one task: what `mesh` sees of each decides, and voters only where it can't.

use super::*;

/// A bench with task `a`, whose candidates have these patches, in order.
fn bench(validation: &[&str], patches: [&str; 3]) -> Bench {
    let task = Task::new("a").scope(&["*.txt"]).validation(validation);
    let bench = Bench::new(&[task]);
    for (index, patch) in patches.iter().enumerate() {
        answer(&bench, index + 1, 1, patch, &[]);
    }
    bench
}

fn answer(bench: &Bench, number: usize, attempt: usize, patch: &str, commands: &[&str]) {
    let answer =
        json!({"decision_log": [], "patch": patch, "validation": commands, "residual_risk": "low"});
    let name = format!("synthesis.author_{number}.{attempt}");
    bench.answer("a", &name, &answer.to_string());
}

fn choose(bench: &Bench, votes: [&str; 3]) {
    for (role, vote) in ["critic_a", "critic_b", "skeptic"].iter().zip(votes) {
        let answer = json!({"vote": vote, "reason": format!("{role} wants it")});
        bench.answer("a", &format!("vote.{role}.1"), &answer.to_string());
    }
}

/// The candidates of task `a`, as the report has them: `1 passed`, `2 failed`, `3 weak =1 selected`.
fn candidates(said: &Said) -> Vec<String> {
    let report = report(said);
    let all = report["tasks"][0]["candidates"].as_array().expect("a list");
    let line = |one: &Value| {
        let number = one["role"].as_str()?.strip_prefix("author_")?;
        let mut line = match (one["passed"] == true, one["weak"] == true) {
            (true, true) => format!("{number} weak"),
            (true, false) => format!("{number} passed"),
            _ => format!("{number} failed"),
        };
        if let Some(same) = one["same_as"].as_str() {
            line.push_str(&format!(" ={}", same.strip_prefix("author_")?));
        }
        if one["selected"] == true {
            line.push_str(" selected");
        }
        Some(line)
    };
    all.iter().map(|one| line(one).expect("a role")).collect()
}

const NEW: &str = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new\n";
const NEWER: &str = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1,2 @@\n-old\n+new\n+er\n";
const NEWEST: &str = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1,3 @@\n-old\n+new\n+e\n+st\n";
const BAD: &str = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+bad\n";
const OUTSIDE: &str = "--- a/kept.rs\n+++ b/kept.rs\n@@ -1 +1 @@\n-old\n+new\n";

#[test]
fn a_race_takes_the_patch_that_most_agree_on_and_costs_three_rows() {
    // The second one writes the same in another way, with a blank at the end of the line.
    let again = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-old\n+new \n";
    let bench = bench(&["grep -q new a.txt"], [NEWER, again, NEW]);
    let said = bench.run("--protocol race --json").exits(0);
    assert_eq!(
        candidates(&said),
        ["1 passed", "2 passed selected", "3 passed =2"]
    );
    assert_eq!(bench.read("a.txt"), "new \n");
    assert_eq!(bench.rows().len(), 3);
    let wave = &bench.waves()[0];
    assert_eq!(wave.column("role"), ["author_1", "author_2", "author_3"]);
    assert_eq!(wave.column("lane"), ["patch", "patch", "patch"]);
    let file = bench.run_folder().join("waves/001-synthesis.csv");
    let args = Args::from("wave lint").and(&[&file.display().to_string()]);
    bench.mesh(args).exits(0);
}

#[test]
fn of_patches_that_differ_the_smallest_is_taken() {
    let bench = bench(&["grep -q new a.txt"], [NEWEST, NEWER, BAD]);
    let said = bench.run("--protocol race --json").exits(0);
    assert_eq!(
        candidates(&said),
        ["1 passed", "2 passed selected", "3 failed"]
    );
    assert_eq!(bench.read("a.txt"), "new\ner\n");
    let shown = bench.mesh("runs show R").exits(0);
    shown.out_has("    candidate author_1: passed, 4 lines\n");
    shown.out_has("    candidate author_2: passed, 3 lines; selected\n");
    shown.out_has("    candidate author_3: `grep -q new a.txt`: exit 1\n");
}

#[test]
fn a_patch_whose_validation_passed_before_loses_to_one_for_which_it_did_not() {
    let bench = bench(&["true"], [NEW, NEW, NEWER]);
    // It proposes a command that fails without its patch.
    answer(&bench, 3, 1, NEWER, &["grep -q er a.txt"]);
    let said = bench
        .run("--protocol race --trust-proposed-validation --json")
        .exits(0);
    assert_eq!(
        candidates(&said),
        ["1 weak", "2 weak =1", "3 passed selected"]
    );
}

#[test]
fn a_task_whose_candidates_all_fail_is_blocked_with_the_reason_of_each() {
    let bench = bench(&["grep -q new a.txt"], [BAD, BAD, OUTSIDE]);
    answer(&bench, 3, 2, OUTSIDE, &[]);
    let said = bench.run("--protocol race --json").exits(1);
    let task = &report(&said)["tasks"][0];
    assert_eq!(task["reason"], "validation_failed");
    assert_eq!(
        task["detail"],
        "author_1: `grep -q new a.txt`: exit 1; author_2: `grep -q new a.txt`: exit 1"
    );
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn a_patch_that_can_not_be_used_is_asked_for_again_only_if_no_other_passes() {
    let one_passes = bench(&["grep -q new a.txt"], [OUTSIDE, NEW, BAD]);
    one_passes.run("--protocol race").exits(0);
    assert_eq!(one_passes.rows().len(), 3);
    let none_passes = bench(&["grep -q new a.txt"], [OUTSIDE, BAD, BAD]);
    answer(&none_passes, 1, 2, NEW, &[]);
    let said = none_passes.run("--protocol race --json").exits(0);
    assert_eq!(
        candidates(&said),
        ["1 passed selected", "2 failed", "3 failed"]
    );
    assert_eq!(none_passes.rows().len(), 4);
}

#[test]
fn the_best_is_chosen_by_voters_who_see_what_remains() {
    let bench = bench(&["grep -q new a.txt"], [NEW, BAD, NEWER]);
    choose(&bench, ["author_3", "author_1", "author_3"]);
    let said = bench.run("--protocol best --json").exits(0);
    assert_eq!(
        candidates(&said),
        ["1 passed", "2 failed", "3 passed selected"]
    );
    assert_eq!(bench.read("a.txt"), "new\ner\n");
    assert_eq!(bench.rows().len(), 6);
    let prompt = bench.prompt("a.vote.skeptic.1");
    assert_contains(&prompt, "Candidate `author_1`:");
    assert_contains(&prompt, "Candidate `author_3`:");
    assert_contains(&prompt, "`grep -q new a.txt`: exit 0 in ");
    assert!(!prompt.contains("Candidate `author_2`"), "it failed");
    let tally = &report(&said)["tasks"][0]["tallies"][0];
    assert_eq!(
        (&tally["agree"], &tally["disagree"]),
        (&2.into(), &1.into())
    );
    bench.mesh("audit R").exits(0);
}

#[test]
fn nobody_votes_where_evidence_decides() {
    for patches in [[BAD, NEW, BAD], [NEW, NEWER, NEW]] {
        let bench = bench(&["grep -q new a.txt"], patches);
        bench.run("--protocol best").exits(0);
        assert_eq!(bench.rows().len(), 3, "{patches:?}");
        assert_eq!(bench.read("a.txt"), "new\n");
    }
}

#[test]
fn voters_who_want_none_have_the_patches_written_again() {
    let bench = bench(&["grep -q new a.txt"], [NEW, NEWER, BAD]);
    choose(&bench, ["none", "none", "author_1"]);
    for number in 1..=3 {
        answer(&bench, number, 2, NEWEST, &[]);
    }
    bench.run("--protocol best").exits(0);
    assert_eq!(bench.read("a.txt"), "new\ne\nst\n");
    let prompt = bench.prompt("a.synthesis.author_1.2");
    assert_contains(
        &prompt,
        "- critic_a (disagree): for none: critic_a wants it",
    );
}

#[test]
fn candidates_are_validated_beside_each_other_and_a_kill_at_any_event_changes_nothing() {
    let args = "--protocol best --validation-parallel 3";
    let whole = bench(&["grep -q new a.txt"], [NEW, BAD, NEWER]);
    choose(&whole, ["author_3", "author_1", "author_3"]);
    let killed = whole.copy();
    whole.run(args).exits(0);
    let events = whole.events().len();
    assert!(events > 20, "{events}");
    for event in (2..events).step_by(3) {
        let bench = killed.copy();
        bench.run_with_kill(args, &format!("before:{event}"));
        bench.mesh("resume R").exits(0);
        assert_eq!(bench.read("a.txt"), "new\ner\n", "killed before {event}");
        assert_eq!(bench.status_of("a"), "completed");
        bench.mesh("audit R").exits(0);
    }
}

#[test]
fn a_protocol_with_candidates_that_can_not_work_is_refused() {
    let bench = bench(&["true"], [NEW, NEW, NEW]);
    let refused = |from: &str, to: &str| {
        let race = include_str!("../../../templates/race.yaml").replace(from, to);
        bench.write("p.yaml", &race);
        bench.run("--protocol p.yaml").exits(2).err
    };
    assert_contains(
        &refused("candidates: 3", "candidates: 1"),
        "`p.yaml`, line 9: round `synthesis` has 1 `candidates`; it may have 2 to 9",
    );
    assert_contains(
        &refused("select: evidence", "select: vote"),
        "`select: vote`, but there is no `consensus`",
    );
    assert_contains(
        &refused("    candidates: 3\n", ""),
        "line 9: round `synthesis` has `select`, but no `candidates` to select from",
    );
    let joined = bench.run("--protocol race --join").exits(2);
    joined.err_has("a protocol with candidates or a test");
}
