//! Workers that change what is not theirs: seen, shown, and nothing of their wave is accepted.

use super::*;

fn verdicts(bench: &Bench, wave: u64) -> Vec<(String, String)> {
    let verdicts = bench.events().into_iter();
    let verdicts = verdicts.filter(|(name, body)| name == "verdict" && body["wave"] == wave);
    verdicts
        .map(|(_, body)| {
            let text = |key: &str| body[key].as_str().unwrap_or("none").to_owned();
            (text("verdict"), text("code"))
        })
        .collect()
}

fn violation() -> (String, String) {
    ("retry".to_owned(), "violation".to_owned())
}

#[test]
fn nothing_of_a_wave_is_accepted_in_which_the_tree_was_changed() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    let kept = bench.path("kept.txt").display().to_string();
    let said = bench.run_agent(
        "--json sandbox=none",
        &["--meddle-at", "a.critique.skeptic.1", &kept],
    );
    // Three critics ran at once, and nobody can tell which of them it was: all are asked once more.
    assert_eq!(verdicts(&bench, 2), vec![violation(); 3]);
    assert_eq!(
        bench.rows()[4..7],
        [
            "a.critique.critic_a.2",
            "a.critique.critic_b.2",
            "a.critique.skeptic.2"
        ]
    );
    let feedback = bench.prompt("a.critique.critic_a.2");
    assert_contains(
        &feedback,
        "violation: the work tree or the plan changed while workers ran: kept.txt",
    );
    // The second answers are good, and so the task goes on; the run is not a clean one.
    assert_eq!(
        (said.code, bench.status_of("a").as_str()),
        (1, "completed"),
        "{}",
        said.err
    );
    let shown = &report(&said)["violations"][0];
    assert_eq!(
        shown,
        "wave 002: the work tree or the plan changed while workers ran: kept.txt"
    );
}

#[test]
fn a_second_violation_by_a_worker_blocks_the_task() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    let answers = bench.answers();
    let script = format!(
        "case $MESH_ITEM_ID in a.synthesis.*) echo x >>'{}';; esac; exec '{}' --answers '{answers}'",
        bench.path("kept.txt").display(),
        fake_agent()
    );
    bench
        .mesh(&[
            "run",
            "--run-id",
            "R",
            "--json",
            "--sandbox=none",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .exits(1);
    assert_eq!(bench.status_of("a"), "blocked");
    assert!(bench.trace("tally integration_started").is_empty());
    assert_eq!(bench.read("a.txt"), "old\n");
}

#[test]
fn a_commit_or_checkout_by_a_worker_is_detected_even_when_the_tree_is_clean() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    let answers = bench.answers();
    let git = "git -c user.name=w -c user.email=w@example.invalid";
    let script = format!(
        "[ $MESH_ITEM_ID = a.proposal.proposer.1 ] && {git} -C '{}' commit -q --allow-empty -m sneaked; exec '{}' --answers '{answers}'",
        bench.work().display(),
        fake_agent()
    );
    let said = bench.mesh(&[
        "run",
        "--run-id",
        "R",
        "--json",
        "--sandbox=none",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    assert_eq!(verdicts(&bench, 1), [violation()]);
    let shown = report(&said)["violations"][0].to_string();
    assert!(shown.contains("while workers ran: HEAD"), "{shown}");
}

#[test]
fn what_a_worker_does_to_its_copy_does_not_reach_the_next_wave() {
    let bench = Bench::with_files(
        &[Task::new("a")],
        &[("src/deep/x.txt", "x\n"), ("run.sh", "#!/bin/sh\n")],
    );
    let answers = bench.answers();
    let log = bench.beside("log").display().to_string();
    // The proposer spoils the copy in every way; each later worker says what it sees.
    let work = bench.work().display().to_string();
    let script = format!(
        "case $MESH_ITEM_ID in a.proposal.*) \
           echo spoilt >kept.txt; echo more >new.txt; mkdir -p made/deep; echo x >made/deep/y; rm run.sh; chmod 700 a.txt; \
           rm -r src; ln -s '{work}/src' src; ln -f '{work}/.gitignore' linked; chmod 500 .;; \
         *) {{ cat kept.txt a.txt src/deep/x.txt; stat -c %a a.txt; ls -A; test -L src && echo a link; }} >'{log}'.$MESH_ITEM_ID 2>&1;; esac; \
         exec '{}' --answers '{answers}'",
        fake_agent()
    );
    let before = bench.tree();
    bench
        .mesh(&[
            "run",
            "--run-id",
            "R",
            "--sandbox=none",
            "--",
            "sh",
            "-c",
            &script,
        ])
        .exits(0);
    let expected = "kept\nold\nx\n600\n.git\n.gitignore\n.step\na.txt\nkept.txt\nrun.sh\nsrc\n";
    for row in [
        "a.critique.skeptic.1",
        "a.synthesis.synthesizer.1",
        "a.vote.critic_a.1",
    ] {
        let seen = read_file(format!("{log}.{row}"));
        assert_eq!(seen, expected, "{row}");
    }
    let mut expected = before;
    for file in &mut expected {
        if file.0 == std::path::Path::new("a.txt") {
            file.2 = b"new\n".to_vec();
        }
    }
    assert_eq!(bench.tree(), expected);
}

#[test]
fn what_the_user_does_between_waves_reaches_the_next_one() {
    let bench = Bench::new(&[Task::new("a"), Task::new("b")]);
    let answers = bench.answers();
    let log = bench.beside("log").display().to_string();
    // The integration of `a` changes a.txt; a worker of `b` sees it.
    let script = format!(
        "[ $MESH_ITEM_ID = b.proposal.proposer.1 ] && cat a.txt >'{log}'; exec '{}' --answers '{answers}'",
        fake_agent()
    );
    bench
        .mesh(Args::from("run --run-id R max_tasks=2 -- sh -c").and(&[script.as_str()]))
        .exits(0);
    assert_eq!(read_file(log), "new\n");
}
