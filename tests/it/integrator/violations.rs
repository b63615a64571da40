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
    bench.breaks(&["single_writer"]);
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
        "wave 002: the work tree or the plan changed while workers ran: kept.txt (see violations/1.patch)"
    );
}

/// Runs one worker that does what `script` says in the user's tree; the answers are refused.
fn meddle(bench: &Bench, script: &str) -> Said {
    let script = format!(
        "( cd '{}'; case $MESH_ITEM_ID in *.1) {script};; esac ) >/dev/null; exec '{}' --answers '{}'",
        bench.work().display(),
        fake_agent(),
        bench.answers()
    );
    let head = Args::from("run --run-id R --sandbox none --env MY_TOKEN -- sh -c");
    let mut mesh = bench.command(head.and(&[script.as_str()]));
    mesh.env("MY_TOKEN", "hunter2-hunter2").run_to_end()
}

fn diff_of(bench: &Bench, number: usize) -> String {
    let path = bench
        .run_folder()
        .join(format!("violations/{number}.patch"));
    String::from_utf8_lossy(&std::fs::read(path).expect("a diff")).into_owned()
}

#[test]
fn a_violation_shows_what_changed() {
    let files = [
        ("run.sh", "x\n"),
        ("gone.txt", "x\n"),
        ("crlf.txt", "one\r\ntwo\r\n"),
        (".gitattributes", "crlf.txt text eol=crlf\n"),
    ];
    let bench = Bench::with_files(&[Task::new("a").agree(&[5, 5])], &files);
    bench.breaks(&["single_writer"]);
    bench.write("dirty.txt", "mine\n");
    let said = meddle(
        &bench,
        "[ $MESH_ITEM_ID = a.proposal.proposer.1 ] && { \
         printf '\\033[31m%s\\n' $MY_TOKEN >>kept.txt; echo theirs >dirty.txt; chmod 755 run.sh; rm gone.txt; \
         printf 'one\\r\\n2\\r\\n' >crlf.txt; printf '\\0' >binary; head -c 300000 /dev/zero >large; }",
    );
    let expected = "\
        diff --git a/binary b/binary\nnew file mode 100644\n\
        Binary files /dev/null (0 bytes) and b/binary (1 byte) differ\n\
        diff --git a/crlf.txt b/crlf.txt\n--- a/crlf.txt\n+++ b/crlf.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n\
        diff --git a/dirty.txt b/dirty.txt\n--- a/dirty.txt\n+++ b/dirty.txt\n@@ -1 +1 @@\n-mine\n+theirs\n\
        diff --git a/gone.txt b/gone.txt\ndeleted file mode 100644\n--- a/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/kept.txt b/kept.txt\n--- a/kept.txt\n+++ b/kept.txt\n@@ -1 +1,2 @@\n kept\n+\u{1b}[31m[redacted:MY_TOKEN]\n\
        diff --git a/large b/large\nFiles a/large (nothing) and b/large (300000 bytes) differ\n\
        diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n";
    assert_eq!(diff_of(&bench, 1), expected);
    said.err_has("warning: violation: the work tree or the plan changed while workers ran: binary, crlf.txt, dirty.txt, gone.txt, kept.txt, large, run.sh\n");
    said.err_has("\n  --- a/crlf.txt\n  +++ b/crlf.txt\n");
    let file = bench.run_folder().join("violations/1.patch");
    said.err_has(&format!(" more lines in {}\n", file.display()));
    said.err_lacks("\u{1b}");
    let event = &bench.events_named("violation")[0];
    assert_eq!(event["diff"], "violations/1.patch");
    let row = bench.mesh("inspect R --row a.proposal.proposer.1").exits(0);
    row.out_has("\nVerdict\n  retry: violation: ");
    row.out_has("\nChanged while workers ran\n  diff --git a/binary b/binary\n");
    row.out_has("\n  +\u{fffd}[31m[redacted:MY_TOKEN]\n");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file)
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_commit_by_a_worker_is_shown_with_its_files_and_a_change_of_the_plan_by_its_items() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    bench.breaks(&["single_writer"]);
    let git = "git -c user.name=w -c user.email=w@example.invalid";
    let mesh = env!("CARGO_BIN_EXE_mesh");
    let script = format!(
        "[ $MESH_ITEM_ID = a.proposal.proposer.1 ] && {{ echo more >>kept.txt; {git} commit -qam sneaked; \
         '{mesh}' st set-notes --id a --notes sneaked; }}"
    );
    let before = bench.git("rev-parse HEAD");
    meddle(&bench, &script);
    let diff = diff_of(&bench, 1);
    let head = format!(
        "HEAD {} -> {}\ndiff --git a/kept.txt b/kept.txt\n--- a/kept.txt\n+++ b/kept.txt\n@@ -1 +1,2 @@\n kept\n+more\n",
        before.trim(),
        bench.git("rev-parse HEAD").trim()
    );
    assert_starts_with(&diff, &head);
    assert_contains(&diff, "+++ \"b/.step/st-plan.jsonl#a\"\n");
    assert_contains(&diff, "\n+  \"notes\": \"sneaked\",\n");
}

#[test]
fn of_many_changed_paths_the_first_are_shown_and_the_others_counted() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    bench.breaks(&["single_writer"]);
    let said = meddle(
        &bench,
        "[ $MESH_ITEM_ID = a.proposal.proposer.1 ] && for n in $(seq 100 139); do seq 1000 >new-$n; done",
    );
    said.err_has(
        "new-118.txt, new-119.txt, and 20 more\n"
            .replace(".txt", "")
            .as_str(),
    );
    let diff = diff_of(&bench, 1);
    assert_eq!(diff.matches("new file mode").count(), 20);
    assert!(diff.ends_with("\nand 20 more paths\n"));
}

#[test]
fn a_second_violation_by_a_worker_blocks_the_task() {
    let bench = Bench::new(&[Task::new("a").agree(&[5, 5])]);
    bench.breaks(&["single_writer"]);
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
    bench.breaks(&["single_writer"]);
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
