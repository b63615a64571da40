//! `mesh learnings` through the real binary: exact records and outputs, damage, writers at once, hostile text.

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::{Value, json};

const FILE: &str = ".learnings.jsonl";

/// A repository of `acme/widget` with two tracked files.
fn repo() -> Sandbox {
    let sandbox = Sandbox::with_repo(&[("a.txt", "a\n"), ("sub/b.txt", "b\n")]);
    let origin = "https://user:secret@example.invalid/acme/widget.git";
    sandbox.git(&["remote", "add", "origin", origin]);
    sandbox
}

fn append(sandbox: &Sandbox, args: impl Into<Args>) -> Said {
    sandbox.mesh(Args::from("learnings append").and(args))
}

fn recall(sandbox: &Sandbox, args: impl Into<Args>) -> Said {
    sandbox.mesh(Args::from("learnings recall").and(args))
}

/// Appends a learning, which has to succeed without a word on standard error.
fn learn(sandbox: &Sandbox, learning: &str, args: impl Into<Args>) -> Value {
    let said = append(sandbox, Args::from(&["--learning", learning]).and(args)).exits(0);
    assert_eq!(said.err, "");
    records(sandbox).pop().expect("a record")
}

/// Every line of the file as JSON.
fn records(sandbox: &Sandbox) -> Vec<Value> {
    let text = sandbox.read(FILE);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// The real path of the work folder, as git gives it.
fn real_work(sandbox: &Sandbox) -> String {
    let path = std::fs::canonicalize(sandbox.work()).expect("a real path");
    path.display().to_string()
}

/// `text` with times as `TIME`, and the work folder as `WORK`.
fn redacted(sandbox: &Sandbox, text: &str) -> String {
    let mut text = text.replace(&real_work(sandbox), "WORK");
    for shape in ["0000-00-00T00:00:00Z", "00000000T000000Z"] {
        let fits = |window: &[u8]| {
            window
                .iter()
                .zip(shape.bytes())
                .all(|(byte, wanted)| *byte == wanted || (wanted == b'0' && byte.is_ascii_digit()))
        };
        while let Some(at) = text.as_bytes().windows(shape.len()).position(fits) {
            text.replace_range(at..at + shape.len(), "TIME");
        }
    }
    text
}

/// A line as an older program may have written it.
fn line(id: &str, status: &str, learning: &str) -> String {
    let record = json!({"id": id, "captured_at": "2020-01-02T03:04:05Z", "status": status, "learning": learning});
    format!("{record}\n")
}

// What is written.

#[test]
fn a_learning_is_one_line_with_its_context() {
    let sandbox = repo();
    sandbox.write("sub/b.txt", "staged\n");
    sandbox.write("new.txt", "staged\n");
    sandbox.git("add sub/b.txt new.txt");
    sandbox.write("a.txt", "not staged\n");
    sandbox.write("untracked.txt", "x\n");
    let said = append(&sandbox, &["--learning", " Größe \n zählt "]);
    // printf %s 'review_later|größe zählt' | sha1sum
    assert_snapshot!(redacted(&sandbox, &(said.out + &said.err)), @"appended: id=lrn-TIME-5bf6bfbf status=review_later path=WORK/.learnings.jsonl");
    assert_snapshot!(redacted(&sandbox, &sandbox.read(FILE)), @r#"{"id":"lrn-TIME-5bf6bfbf","captured_at":"TIME","status":"review_later","learning":"Größe zählt","evidence":["none_provided"],"application":"capture_follow_up_later","context":{"repo":"acme/widget","branch":"main","paths":["a.txt","new.txt","sub/b.txt"]},"source":"skill:learnings","fingerprint":"5bf6bfbf7b27b1f6"}"#);
    assert!(sandbox.read(FILE).ends_with("}\n"));
    let untracked = sandbox.git("status --porcelain");
    assert_eq!(
        untracked, " M a.txt\nA  new.txt\nM  sub/b.txt\n?? .learnings.jsonl\n?? untracked.txt\n",
        "no file beside it"
    );
}

#[test]
fn every_given_field_is_recorded() {
    let sandbox = repo();
    let record = learn(
        &sandbox,
        "--force is dangerous",
        &[
            "--status",
            "Do Less!",
            "--evidence",
            "- it removed a file",
            "--evidence",
            "twice",
            "--application",
            "ask  first",
            "--tag",
            "Git Use,safety",
            "--tag",
            "SAFETY",
            "--related-id",
            "lrn-1",
            "--related-id",
            "lrn-2",
            "--supersedes-id",
            "lrn-0",
            "--repo",
            "elsewhere",
            "--source",
            "mesh",
        ],
    );
    // printf %s 'do_less|--force is dangerous' | sha1sum
    assert_snapshot!(redacted(&sandbox, &record.to_string()), @r#"{"id":"lrn-TIME-460f1438","captured_at":"TIME","status":"do_less","learning":"--force is dangerous","evidence":["- it removed a file","twice"],"application":"ask first","context":{"repo":"elsewhere","branch":"main","paths":[]},"source":"mesh","fingerprint":"460f14384a0d3283","tags":["git_use","safety"],"related_ids":["lrn-1","lrn-2"],"supersedes_id":"lrn-0"}"#);
}

#[test]
fn the_learnings_file_is_at_the_repository_root() {
    let sandbox = repo();
    learn(&sandbox, "one", "-C sub");
    learn(&sandbox, "two", "");
    assert_eq!(records(&sandbox).len(), 2);
    let path = ["--path", "b.jsonl", "-C", "sub"];
    append(&sandbox, Args::from("--learning three").and(&path[..])).exits(0);
    assert_eq!(sandbox.read("sub/b.jsonl").lines().count(), 1);
    let found = sandbox.mesh("learnings --path sub/b.jsonl recall");
    found.out_has("\n  three\n");
    assert_eq!(records(&sandbox).len(), 2);
}

#[test]
fn a_tracked_learnings_file_is_not_among_the_changed_ones() {
    let sandbox = repo();
    learn(&sandbox, "one", "");
    sandbox.git(&["add", FILE]);
    sandbox.write("a.txt", "changed\n");
    let record = learn(&sandbox, "two", "-C sub");
    assert_eq!(record["context"]["paths"], json!(["a.txt"]));
}

#[test]
fn no_record_names_more_than_200_files() {
    let files: Vec<String> = (0..250).map(|n| format!("f{n:03}")).collect();
    let sandbox = Sandbox::with_repo(&[]);
    files.iter().for_each(|file| sandbox.write(file, ""));
    sandbox.git("add --all");
    let record = learn(&sandbox, "many", "");
    assert_eq!(record["context"]["paths"], json!(files[..200]));
}

#[test]
fn without_origin_branch_or_repository_the_rest_is_written() {
    let sandbox = Sandbox::new();
    let record = learn(&sandbox, "outside", "-C ../work/.");
    let outside = json!({"repo": "work", "branch": "", "paths": []});
    assert_eq!(record["context"], outside);
    sandbox.git("init --quiet --initial-branch=unborn");
    let record = learn(&sandbox, "no commit", "");
    assert_eq!(record["context"]["branch"], "unborn");
    sandbox.git("commit --quiet --allow-empty -m start");
    sandbox.git("checkout --quiet --detach");
    let record = learn(&sandbox, "detached", "");
    assert_eq!(record["context"], outside);
}

#[test]
fn without_git_nothing_is_written_to_a_wrong_place() {
    let sandbox = repo();
    let said = sandbox
        .command("learnings append --learning x -C sub")
        .env("PATH", "/nonexistent")
        .output()
        .map(said)
        .expect("mesh starts")
        .exits(2);
    said.err_starts_with(
        "error: cannot determine the repository of the learning\n  caused by: git could not be run\n",
    );
    assert!(!sandbox.path("sub/.learnings.jsonl").exists());
}

// What is not written.

#[test]
fn the_same_learning_is_skipped_unless_allowed() {
    let sandbox = repo();
    let first = learn(&sandbox, "Run it first", "--status do_more");
    let before = sandbox.read(FILE);
    let again = ["--learning", " run IT\tfirst", "--status", "Do-More"];
    let said = append(&sandbox, &again).exits(0);
    assert_eq!(said.out, "");
    assert_snapshot!(redacted(&sandbox, &said.err), @"duplicate-skip: fingerprint=e7aef7c59922d17b existing_id=lrn-TIME-e7aef7c5 path=WORK/.learnings.jsonl");
    assert_eq!(sandbox.read(FILE), before);
    let quiet = append(&sandbox, Args::from(&again[..]).and("-q")).exits(0);
    assert_eq!(quiet.out + &quiet.err, String::new());
    let second = learn(&sandbox, "run it first", "--status do_less");
    assert_ne!(first["fingerprint"], second["fingerprint"]);
    let third = learn(
        &sandbox,
        "run it first",
        "--status do_more --allow-duplicate",
    );
    assert_eq!(first["fingerprint"], third["fingerprint"]);
    assert_eq!(records(&sandbox).len(), 3);
}

#[test]
fn an_empty_learning_is_refused_with_one_and_bad_usage_with_two() {
    let sandbox = repo();
    let said = append(&sandbox, &["--learning", " \n\t"]).exits(1);
    assert_eq!(said.out, "");
    assert_snapshot!(said.err, @r"
    error: learning is empty
    hint: describe in a sentence what was learned: --learning TEXT
    ");
    append(&sandbox, "").exits(2);
    recall(&sandbox, "--limit 0").exits(2);
    assert!(!sandbox.path(FILE).exists());
}

#[test]
fn a_non_file_is_refused_without_blocking() {
    let sandbox = repo();
    let fifo = std::process::Command::new("mkfifo")
        .arg(sandbox.path("fifo"))
        .status();
    assert!(fifo.expect("mkfifo starts").success());
    let work = sandbox.work().display().to_string();
    for path in ["sub", "fifo"] {
        for command in [&["append", "--learning", "x"][..], &["recall"]] {
            let args = [&["learnings", "--path", path], command].concat();
            let said = sandbox.mesh(&args);
            assert_eq!((said.code, said.out.as_str()), (2, ""), "{args:?}");
            assert_eq!(
                said.err,
                format!("error: `{work}/{path}` is not a regular file\n")
            );
        }
    }
    let said = append(&sandbox, "--learning x --path 'no where/l.jsonl'").exits(2);
    assert_snapshot!(said.err.replace(&work, "WORK"), @r"
    error: cannot open `WORK/no where/l.jsonl`
      caused by: No such file or directory (os error 2)
    hint: run: mkdir -p 'WORK/no where'
    ");
}

// Damage.

#[test]
fn a_line_that_a_kill_cut_short_is_named_and_kept() {
    let sandbox = repo();
    learn(&sandbox, "first", "");
    let torn = sandbox.read(FILE) + "{\"id\":\"lrn-20260213T015500Z-0000";
    sandbox.write(FILE, &torn);

    let said = append(&sandbox, "--learning third").exits(0);
    assert_snapshot!(redacted(&sandbox, &said.err), @"warning: `WORK/.learnings.jsonl`, line 2: torn off, no line end; kept and skipped");
    let mended = sandbox.read(FILE);
    assert_starts_with(&mended, &format!("{torn}\n{{\"id\":"));
    let said = recall(&sandbox, "--json");
    said.err_has(", line 2, column ");
    assert_eq!(learnings(&said.out), ["third", "first"]);
}

#[test]
fn an_append_that_the_disk_does_not_take_leaves_the_file_as_it_was() {
    let sandbox = repo();
    learn(&sandbox, "first", "");
    let before = sandbox.read(FILE);
    let long = "long ".repeat(1000);
    let args = ["learnings", "append", "--learning", &long];
    let said = sandbox.shell(FILE_SIZE_LIMIT, &args).run_to_end().exits(3);
    said.err_has("File too large");
    said.err_has("ulimit -f");
    assert_eq!(sandbox.read(FILE), before);
}

/// The learnings in an answer of `recall --json`.
fn learnings(json: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(json).expect("JSON");
    let found = answer["learnings"].as_array().expect("a list").iter();
    found
        .map(|one| one["learning"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn recall_reports_a_torn_last_line_but_not_a_missing_newline() {
    let sandbox = Sandbox::new();
    let whole = line("a", "do_more", "whole");
    let torn = &whole[..whole.len() / 2];
    sandbox.write(FILE, &format!("{whole}{torn}"));
    let said = recall(&sandbox, "--json");
    assert_eq!(learnings(&said.out), ["whole"]);
    assert_snapshot!(redacted(&sandbox, &said.err), @"warning: `WORK/.learnings.jsonl`, line 2: torn off, no line end; kept and skipped");

    sandbox.write(FILE, whole.trim_end());
    let said = append(&sandbox, "--learning next").exits(0);
    assert_eq!(said.err, "");
    assert!(sandbox.read(FILE).starts_with(&format!("{whole}{{")));
    let said = append(&sandbox, "--learning Whole --status do_more");
    said.err_has("existing_id=a");
}

#[test]
fn bad_lines_are_named_skipped_and_kept() {
    let sandbox = Sandbox::new();
    let mut bytes = b"no json\n[]\n{\"learning\":\"\xff\"}\n\n".to_vec();
    bytes.extend(line("a", "do_more", "good").bytes());
    bytes.extend(b"{\"status\":\"x\"}\n{}\n{}\n{}\n");
    std::fs::write(sandbox.path(FILE), &bytes).expect("written");
    let said = append(&sandbox, "--learning GOOD --status do_more").exits(0);
    assert_eq!(said.out, "");
    assert_snapshot!(redacted(&sandbox, &said.err), @r"
    warning: `WORK/.learnings.jsonl`, line 1, column 2: not JSON; kept and skipped
    warning: `WORK/.learnings.jsonl`, line 2: no object with a `learning`; kept and skipped
    warning: `WORK/.learnings.jsonl`, line 3: not UTF-8; kept and skipped
    warning: `WORK/.learnings.jsonl`, line 6: no object with a `learning`; kept and skipped
    warning: `WORK/.learnings.jsonl`, line 7: no object with a `learning`; kept and skipped
    warning: `WORK/.learnings.jsonl`: 2 more such lines
    duplicate-skip: fingerprint=90cfcc49d89f951b existing_id=a path=WORK/.learnings.jsonl
    ");
    append(&sandbox, "--learning other").exits(0);
    let after = std::fs::read(sandbox.path(FILE)).expect("readable");
    assert!(after.starts_with(&bytes), "nothing is removed");
    assert_eq!(learnings(&recall(&sandbox, "--json").out).len(), 2);
}

// Writers at once.

#[test]
fn eight_concurrent_writers_lose_nothing() {
    let sandbox = Sandbox::new();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                for n in 0..12 {
                    let learning = format!("writer {writer} learning {n}");
                    let said = append(sandbox, &["--learning", &learning]).exits(0);
                    assert_eq!(said.err, "");
                }
            });
        }
    });
    let mut learnings: Vec<Value> = records(&sandbox)
        .into_iter()
        .map(|record| record["learning"].clone())
        .collect();
    assert_eq!(learnings.len(), 96);
    learnings.sort_by_key(Value::to_string);
    learnings.dedup();
    assert_eq!(learnings.len(), 96);
}

#[test]
fn eight_writers_of_one_learning_write_it_once() {
    let sandbox = Sandbox::new();
    let said: Vec<Said> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| append(&sandbox, "--learning 'the same'")))
            .collect();
        let said = writers.into_iter().map(|writer| writer.join());
        said.map(|said| said.expect("no panic")).collect()
    });
    let skipped = said
        .iter()
        .filter(|said| said.err.starts_with("duplicate-skip: "));
    assert_eq!((skipped.count(), records(&sandbox).len()), (7, 1));
    assert!(said.iter().all(|said| said.code == 0));
}

#[test]
fn every_name_of_a_file_is_the_same_file() {
    let sandbox = repo();
    sandbox.write("notes/real.jsonl", "");
    let link = sandbox.path(FILE);
    std::os::unix::fs::symlink("notes/real.jsonl", &link).expect("a link");
    learn(&sandbox, "through the link", "");
    assert!(link.is_symlink());
    assert_eq!(sandbox.read("notes/real.jsonl").lines().count(), 1);
}

// What is found again.

fn with_learnings() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut text = line("lrn-1", "review_later", "The parser is slow");
    text.push_str(concat!(
        r#"{"id":"lrn-2","captured_at":"2020-02-03T04:05:06Z","status":"do_more","learning":"Run the focused test of the parser before the whole suite, because the whole suite takes minutes","#,
        r#""evidence":["the focused test failed after 2 s, the whole suite after 41 s, measured three times","two"],"#,
        r#""application":"Put the focused test first in the validation list of every task that touches the parser","context":{"repo":"acme/widget","branch":"main","paths":["src/parser.rs"]},"new":1.50}"#,
        "\n",
    ));
    text.push_str(&line("lrn-3", "codify_now", "Parser tests need no network"));
    let newer = r#"{"id":"lrn-4","captured_at":"2020-03-01T00:00:00Z","status":"Codify Now","learning":"Nothing to see","supersedes_id":"lrn-3"}"#;
    text.push_str(&format!("{newer}\n"));
    sandbox.write(FILE, &text);
    sandbox
}

#[test]
fn found_learnings_are_wrapped_to_80_columns() {
    let sandbox = with_learnings();
    let said = recall(&sandbox, "--query 'Which TEST of the parser?'").exits(0);
    assert_eq!(said.err, "");
    assert_snapshot!(said.out, @r"
    lrn-2  do_more  2020-02-03
      Run the focused test of the parser before the whole suite, because the whole
      suite takes minutes
      application: Put the focused test first in the validation list of every task
        that touches the parser
      evidence: the focused test failed after 2 s, the whole suite after… (+1 more)
      matched: test, of, the, parser

    lrn-1  review_later  2020-01-02
      The parser is slow
      matched: the, parser

    lrn-3  codify_now  2020-01-02
      Parser tests need no network
      matched: parser
      superseded by: lrn-4
    ");
    assert!(said.out.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn without_a_query_the_firmest_are_first() {
    let sandbox = with_learnings();
    let ids = |args: &[&str]| -> Vec<String> {
        let said = recall(&sandbox, args);
        let heads = said.out.lines().filter(|line| line.starts_with("lrn-"));
        heads.map(|line| line[..5].to_owned()).collect()
    };
    assert_eq!(ids(&[]), ["lrn-4", "lrn-2", "lrn-1", "lrn-3"]);
    assert_eq!(ids(&["--limit", "1"]), ["lrn-4"]);
    let statuses = ["--status", "do_more", "--status", "CODIFY now"];
    assert_eq!(ids(&statuses), ["lrn-4", "lrn-2", "lrn-3"]);
}

#[test]
fn recall_shows_five_learnings_by_default() {
    let sandbox = Sandbox::new();
    let text: String = (0..9).map(|n| line(&format!("l{n}"), "s", "x")).collect();
    sandbox.write(FILE, &text);
    assert_eq!(learnings(&recall(&sandbox, "--json").out).len(), 5);
    let nine = recall(&sandbox, "--json --limit 99");
    assert_eq!(learnings(&nine.out).len(), 9);
}

#[test]
fn recall_json_has_the_records_with_score_and_matched_words() {
    let sandbox = with_learnings();
    let said = recall(
        &sandbox,
        "--query 'parser network' --json --status codify_now",
    );
    assert_snapshot!(said.out, @r#"{"learnings":[{"id":"lrn-3","captured_at":"2020-01-02T03:04:05Z","status":"codify_now","learning":"Parser tests need no network","score":0.75,"matched":["parser","network"],"superseded_by":"lrn-4"}]}"#);
    let said = recall(&sandbox, "--query minutes --json");
    said.out_has(r#""new":1.50,"score":"#);
}

#[test]
fn recall_without_matches_says_so_and_succeeds() {
    let sandbox = with_learnings();
    let said = recall(&sandbox, "--query zebra").exits(0);
    assert_eq!(said.out, "");
    assert_snapshot!(redacted(&sandbox, &said.err), @"nothing found; WORK/.learnings.jsonl has 4 learnings");
    let said = recall(&sandbox, "--query zebra --json").exits(0);
    assert_eq!(said.out, "{\"learnings\":[]}\n");
    for nothing in ["", "  ", "?!"] {
        let said = recall(&sandbox, &["--query", nothing]).exits(0);
        assert_eq!(said.out, "");
        assert_eq!(
            redacted(&sandbox, &said.err),
            "nothing found: the query contains no word; leave --query out to list the learnings in WORK/.learnings.jsonl\n"
        );
        let said = recall(&sandbox, &["--query", nothing, "--json"]).exits(0);
        assert_eq!(said.out, "{\"learnings\":[]}\n");
    }
    let empty = Sandbox::new();
    let said = recall(&empty, "").exits(0);
    assert_eq!(said.out, "");
    assert_snapshot!(redacted(&empty, &said.err), @"no learnings in WORK/.learnings.jsonl");
    assert!(!empty.path(FILE).exists(), "asking makes no file");
}

#[test]
fn append_answers_in_json_too() {
    let sandbox = Sandbox::new();
    let args = "--learning x --json";
    let said = append(&sandbox, args);
    assert_snapshot!(redacted(&sandbox, &said.out), @r#"{"appended":true,"id":"lrn-TIME-76bffc5e","status":"review_later","fingerprint":"76bffc5ebf6aeecb","path":"WORK/.learnings.jsonl"}"#);
    let said = append(&sandbox, args).exits(0);
    said.err_starts_with("duplicate-skip: ");
    assert_snapshot!(redacted(&sandbox, &said.out), @r#"{"appended":false,"fingerprint":"76bffc5ebf6aeecb","existing_id":"lrn-TIME-76bffc5e","path":"WORK/.learnings.jsonl"}"#);
}

#[test]
fn control_characters_in_records_are_escaped() {
    let sandbox = Sandbox::new();
    let hostile = "\u{1b}[2J\u{9b}31m\u{7}\r\u{7f}x";
    let record = json!({
        "id": hostile, "captured_at": hostile, "status": hostile, "learning": hostile, "application": hostile,
        "evidence": [hostile], "tags": [hostile], "fingerprint": "c7603c09e4202498"
    });
    let other = json!({"id": hostile, "learning": "y", "supersedes_id": hostile});
    let bad = format!("{hostile}\n");
    sandbox.write(FILE, &format!("{record}\n{other}\n{bad}"));
    let duplicate = append(&sandbox, "--learning y --status 'review later'");
    duplicate.err_has("duplicate-skip");
    for said in [
        recall(&sandbox, ""),
        recall(&sandbox, "--query 31m"),
        recall(&sandbox, "--json"),
        append(&sandbox, "--learning y --json"),
        duplicate,
    ] {
        let text = said.out + &said.err;
        let controls = text.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(controls.count(), 0, "{text:?}");
        assert!(said.code == 0 && !text.is_empty());
    }
}

#[test]
fn colour_is_only_decoration() {
    let sandbox = with_learnings();
    let plain = recall(&sandbox, "").out;
    let coloured = recall(&sandbox, "--color always").out;
    assert!(coloured.starts_with("\x1b[1;36mlrn-4  codify_now  2020-03-01\x1b[0m\n"));
    assert_eq!(
        coloured.replace("\x1b[1;36m", "").replace("\x1b[0m", ""),
        plain
    );
}

#[test]
fn a_closed_standard_output_is_a_quiet_success() {
    let sandbox = with_learnings();
    for args in [
        &["recall"][..],
        &["recall", "--json"],
        &["append", "--learning", "unread"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let said = sandbox
            .command(Args::from("learnings").and(args))
            .stdout(writer)
            .run_to_end();
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{args:?}");
    }
    assert_eq!(records(&sandbox).len(), 5);
}
