//! Waves without a shared folder: `mesh wave export --bundle`, `mesh wave exec --bundle`, and collecting the files of results.

use crate::fixture::*;
use crate::slices::{first_wave, with_wave};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Stdio};

/// A program that is small, since it is only packed.
const PROGRAM: &str = "--bundle-program /bin/true";

/// Bundles `w.csv` as `b` for workers that run `script` in a shell; its `$0` is the cell of column n, and `$1` a log that outlives
/// the workspace.
fn bundle(sandbox: &Sandbox, options: &str, script: &str) -> Said {
    let args = Args::from("wave export w.csv --bundle b").and(PROGRAM);
    let log = sandbox.beside("log").display().to_string();
    let command = ["--", "sh", "-c", script, "{n}", &log];
    sandbox.mesh(args.and(options).and(&command[..]))
}

const NOTHING: [&str; 0] = [];

const ANSWER: &str = r#"cat >/dev/null; echo "$0" >>"$1"; echo "{\"n\": $0}""#;

/// The call that runs slice `index` to `r/<index>.jsonl`, unpacked in the folder `unpacked` beside.
fn slice(sandbox: &Sandbox, index: u64) -> Args {
    let workdir = sandbox.beside("unpacked");
    std::fs::create_dir_all(&workdir).expect("a folder");
    let args = format!("wave exec --bundle b --index {index} -o r/{index}.jsonl --workdir");
    Args::from(args.as_str()).and(&[workdir.to_str().expect("UTF-8")])
}

/// What is left where bundles are unpacked.
fn leftovers(sandbox: &Sandbox) -> Vec<String> {
    let entries = std::fs::read_dir(sandbox.beside("unpacked")).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path().display().to_string())
        .collect()
}

/// Which rows were worked since this was asked last, sorted.
fn worked(sandbox: &Sandbox) -> String {
    let log = sandbox.beside("log");
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    let _ = std::fs::remove_file(&log);
    let mut rows: Vec<&str> = text.lines().collect();
    rows.sort_unstable();
    rows.join(" ")
}

fn results(path: &Path) -> Vec<(Value, Value)> {
    let text = read_file(path);
    let events = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let reported = events.filter(|event: &Value| event["event"] == "attempt_reported");
    reported
        .map(|event| (event["item_id"].clone(), event["result"].clone()))
        .collect()
}

fn started(sandbox: &Sandbox, args: Args) -> Child {
    let mut command = sandbox.command(args);
    command.stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn a_bundle_has_the_rows_the_schema_the_tree_and_a_program() {
    let sandbox = with_wave(3);
    sandbox.write("data/greeting.txt", "hello");
    std::os::unix::fs::symlink("greeting.txt", sandbox.path("data/link")).expect("a link");
    let long = "l".repeat(200);
    sandbox.write(&format!("{long}/long"), "");
    // The first answer of each row does not fit the schema; the tree is the one of the export, with its links and modes.
    let script = r#"cat >/dev/null; echo "$0" >>"$1"
        [ "$(cat data/link)" = hello ] && [ -L data/link ] && [ -e l*l/long ] || exit 9
        if mkdir "seen-$0" 2>/dev/null; then echo '{"n": "no"}'; else echo "{\"n\": $0}"; fi"#;
    let said = bundle(&sandbox, "--rows-per-task 2", script).exits(0);
    said.err_has("run each of the 2 slices on any host: mesh wave exec --bundle b --index 1");
    std::fs::remove_dir_all(sandbox.path("data")).expect("gone");
    std::fs::remove_dir_all(sandbox.path(&long)).expect("gone");
    std::fs::remove_file(sandbox.path("w.csv")).expect("gone");
    let (mut one, mut two) = (
        started(&sandbox, slice(&sandbox, 1)),
        started(&sandbox, slice(&sandbox, 2)),
    );
    assert!(one.wait().expect("ended").success());
    assert!(two.wait().expect("ended").success());
    assert_eq!(worked(&sandbox), "1 1 2 2 3 3");
    let found = results(&sandbox.path("r/1.jsonl"));
    let expected = [("item-1", 1), ("item-2", 2)].map(|(id, n)| (json!(id), json!({"n": n})));
    assert_eq!(found, expected);
    assert_eq!(leftovers(&sandbox), NOTHING);
    // Again: everything is done.
    sandbox.mesh(slice(&sandbox, 1)).exits(0);
    assert_eq!(worked(&sandbox), "");
    let rows = "wave exec --bundle b --slice 1,3 -j 2 -o r/rows.jsonl";
    sandbox.mesh(rows).exits(0);
    assert_eq!(worked(&sandbox), "1 1 3 3");
}

#[test]
fn options_that_a_bundle_keeps_from_its_export_are_refused() {
    let sandbox = with_wave(1);
    bundle(&sandbox, "", ANSWER).exits(0);
    let refused = |options: &str, named: &str| {
        let said = sandbox.mesh(slice(&sandbox, 1).and(options)).exits(2);
        said.err_has(&format!(
            "{named} can't be changed: `b` keeps what it was exported with"
        ));
    };
    refused("--retries 3", "`--retries`");
    refused(
        "--env TOKEN --max-idle-seconds 9",
        "`--env`, `--max-idle-seconds`",
    );
    assert_eq!(worked(&sandbox), "");
    assert!(!sandbox.path("r").exists());
    sandbox.mesh(slice(&sandbox, 1).and("-j 2")).exits(0);
    assert_eq!(worked(&sandbox), "1");
}

#[test]
fn a_file_of_results_is_continued_after_a_kill() {
    let sandbox = with_wave(3);
    let script = r#"cat >/dev/null; echo "$0" >>"$1"
        [ "$0" = 2 ] && [ ! -e "$1.go" ] && sleep 60; echo "{\"n\": $0}""#;
    bundle(&sandbox, "--rows-per-task 3", script).exits(0);
    let mut running = started(&sandbox, slice(&sandbox, 1));
    let log = sandbox.beside("log");
    wait_for("row 2", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains('2'))
    });
    let second = sandbox.mesh(slice(&sandbox, 1)).exits(3);
    second.err_has("another process writes");
    signal(running.id(), "-KILL");
    running.wait().expect("ended");
    assert_eq!(worked(&sandbox), "1 2");
    assert_eq!(leftovers(&sandbox).len(), 1);
    std::fs::write(sandbox.beside("log.go"), "").expect("written");
    let said = sandbox.mesh(slice(&sandbox, 1)).exits(0);
    said.err_has("ended an orphan of a killed mesh");
    assert_eq!(worked(&sandbox), "2 3");
    assert_eq!(results(&sandbox.path("r/1.jsonl")).len(), 3);
    assert_eq!(leftovers(&sandbox), NOTHING);
}

#[test]
fn a_signal_ends_the_slice_and_removes_what_was_unpacked() {
    let sandbox = with_wave(2);
    let script = r#"cat >/dev/null; echo "$0" >>"$1"; sleep 60"#;
    bundle(&sandbox, "--rows-per-task 2", script).exits(0);
    let mut running = started(&sandbox, slice(&sandbox, 1));
    let log = sandbox.beside("log");
    wait_for("row 1", || log.exists());
    signal(running.id(), "-TERM");
    assert_eq!(running.wait().expect("ended").code(), Some(128 + 15));
    assert_eq!(leftovers(&sandbox), NOTHING);
}

#[test]
fn another_file_is_not_taken_for_results() {
    let sandbox = with_wave(2);
    bundle(&sandbox, "", ANSWER).exits(0);
    sandbox.mesh(slice(&sandbox, 1)).exits(0);
    for (file, why) in [
        ("r/1.jsonl", "it has results of slice 00001"),
        ("w.csv", "it was written by another program"),
        ("b", "already exists"),
    ] {
        let before = std::fs::read(sandbox.path(file)).expect("a file");
        let args = Args::from("wave exec --bundle b --index 2 -o").and(&[file]);
        sandbox.mesh(args).exits(2).err_has(why);
        assert_eq!(std::fs::read(sandbox.path(file)).ok(), Some(before));
    }
    bundle(&sandbox, "--force", ANSWER).exits(0);
    let said = sandbox.mesh(slice(&sandbox, 1)).exits(2);
    said.err_has("it has results of another job");
    assert_eq!(worked(&sandbox), "1");
    sandbox
        .mesh("wave exec --bundle b --index 3 -o r/3.jsonl")
        .exits(2)
        .err_has("there is no slice 3; the job has 2");
    assert!(!sandbox.path("r/3.jsonl").exists());
}

type Members = Vec<(String, Vec<u8>)>;

fn members(bundle: &[u8]) -> Members {
    let tar = zstd::decode_all(bundle).expect("zstd");
    let mut tar = tar::Archive::new(tar.as_slice());
    let entries = tar.entries().expect("members");
    let read = entries.map(|entry| {
        let mut entry = entry.expect("a member");
        let name = entry.path().expect("a name").display().to_string();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
        (name, content)
    });
    read.collect()
}

fn packed(members: &[(String, Vec<u8>)], kind: tar::EntryType) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_slice()).expect("added");
    }
    zstd::encode_all(tar.into_inner().expect("a tar").as_slice(), 1).expect("zstd")
}

/// The manifest of `members`, with a change.
fn with_manifest(members: &[(String, Vec<u8>)], change: impl Fn(&mut Value)) -> Members {
    let mut changed = members.to_vec();
    let mut manifest: Value = serde_json::from_slice(&changed[0].1).expect("JSON");
    change(&mut manifest);
    changed[0].1 = serde_json::to_vec(&manifest).expect("JSON");
    changed
}

#[test]
fn a_bundle_that_is_not_as_it_was_written_starts_nothing() {
    let sandbox = with_wave(1);
    sandbox.write("a.txt", "text");
    std::os::unix::fs::symlink("a.txt", sandbox.path("link")).expect("a link");
    bundle(&sandbox, "", ANSWER).exits(0);
    let whole = std::fs::read(sandbox.path("b")).expect("a bundle");
    let good = members(&whole);
    let file = tar::EntryType::Regular;
    let refused = |bytes: &[u8], why: &str| {
        std::fs::write(sandbox.path("b"), bytes).expect("written");
        sandbox.mesh(slice(&sandbox, 1)).exits(2).err_has(why);
        assert_eq!(worked(&sandbox), "", "{why}");
        assert!(!sandbox.path("r/1.jsonl").exists(), "{why}");
        assert_eq!(leftovers(&sandbox), NOTHING, "{why}");
    };
    for at in 1..good.len() {
        let mut changed = good.clone();
        changed[at].1[0] ^= 1;
        refused(
            &packed(&changed, file),
            "SHA-256 is not that of the manifest",
        );
        changed[at].1.push(b' ');
        refused(&packed(&changed, file), "its size is not");
        changed.remove(at);
        refused(&packed(&changed, file), "it is missing");
    }
    let mut more = good.clone();
    more.push(("mesh-bundle/more".to_owned(), Vec::new()));
    refused(&packed(&more, file), "the manifest does not list it");
    more.swap(1, 2);
    refused(&packed(&more, file), "it is missing");
    more[1].0 = "elsewhere/x".to_owned();
    refused(&packed(&more, file), "its name is not in the bundle");
    for name in ["/etc/x", "../x", "a/../../x"] {
        let escaping = with_manifest(&good, |it| it["members"][1]["path"] = json!(name));
        refused(&packed(&escaping, file), "its name is not one of a member");
    }
    let through = with_manifest(&good, |it| {
        it["members"][1]["path"] = json!("workspace/link/x");
    });
    refused(
        &packed(&through, file),
        "it is below a member that is no folder",
    );
    let newer = with_manifest(&good, |it| it["v"] = json!(2));
    refused(&packed(&newer, file), "version 2 is newer than this mesh");
    let odd = with_manifest(&good, |it| it["more"] = json!(2));
    refused(&packed(&odd, file), "unknown field `more`");
    refused(
        &packed(&good, tar::EntryType::Symlink),
        "it is not a regular file",
    );
    for at in [1, 3, 100, whole.len() / 2, whole.len() - 1] {
        let why = if at < 4 {
            "is not a bundle"
        } else {
            "damaged or cut off"
        };
        refused(&whole[..at], why);
    }
    refused(&[&whole[..], b"more"].concat(), "damaged or cut off");
    for other in [&b""[..], b"id,prompt\n"] {
        refused(other, "is not a bundle of `mesh wave export --bundle`");
    }
    refused(&packed(&good[1..], file), "is not a bundle");
    std::fs::write(sandbox.path("b"), &whole).expect("written");
    sandbox.mesh(slice(&sandbox, 1)).exits(0);
}

#[test]
fn a_bundle_has_a_limit_on_either_side() {
    let sandbox = with_wave(1);
    sandbox.write("large", &"x".repeat(3 << 20));
    let said = bundle(&sandbox, "--bundle-max 1M", ANSWER).exits(2);
    said.err_has("the largest member is `workspace/large` with 3 MiB");
    assert!(!sandbox.path("b").exists());
    bundle(&sandbox, "", ANSWER).exits(0);
    bundle(&sandbox, "", ANSWER)
        .exits(2)
        .err_has("already exists");
    let said = sandbox.mesh(slice(&sandbox, 1).and("--bundle-max 1M"));
    said.exits(2).err_has("more than 1048576 bytes");
    assert_eq!(leftovers(&sandbox), NOTHING);
}

/// Bundles the first wave of run `R` as `name`, for the fake agent with the recorded answers.
fn bundled_wave(bench: &Bench, name: &str) -> String {
    let wave = first_wave(bench).display().to_string();
    let file = bench.beside(name).display().to_string();
    let args = Args::from("wave export").and(&[wave.as_str(), "--bundle", &file]);
    let script = format!(
        "git log -1 --format=%s | grep -q start && git diff --quiet && exec {} --answers {}",
        fake_agent(),
        bench.answers()
    );
    let command = ["--", "sh", "-c", &script];
    bench.mesh(args.and(PROGRAM).and(&command[..])).exits(0);
    file
}

#[test]
fn results_of_a_wave_of_a_plan_are_collected_from_any_folder() {
    let bench = Bench::new(&[Task::new("a")]);
    let file = bundled_wave(&bench, "wave.bundle");
    // Another host has neither the repository nor its objects.
    let (git, hidden) = (bench.path(".git"), bench.beside("hidden"));
    std::fs::rename(&git, &hidden).expect("moved");
    let run = |results: &str| {
        let results = bench.beside(results).display().to_string();
        let args = Args::from("wave exec --index 1 --bundle").and(&[&file, "-o", &results]);
        bench.mesh(args).exits(0);
    };
    run("results/one.jsonl");
    run("results/two.jsonl");
    std::fs::rename(&hidden, &git).expect("moved");
    // Of another run, and of no slice.
    let other = Bench::new(&[Task::new("a")]);
    let foreign = bundled_wave(&other, "wave.bundle");
    let results = bench.beside("results");
    let wrong = results.join("wrong.jsonl").display().to_string();
    let args = Args::from("wave exec --index 1 --bundle").and(&[&foreign, "-o", &wrong]);
    other.mesh(args).exits(0);
    let text = read_file(&wrong).replace("\"run_id\":\"R\"", "\"run_id\":\"S\"");
    std::fs::write(&wrong, text).expect("written");
    std::fs::write(results.join("odd.jsonl"), "{}\n").expect("written");
    let folder = results.display().to_string();
    let said = bench.mesh(&["collect", "R", &folder]).exits(1);
    said.out_has("wave 001: 1 answer collected");
    said.err_has("wrong.jsonl` refused: these are answers for run `S`, and this is `R`");
    said.err_has("odd.jsonl` refused: ");
    said.err_has("two.jsonl`: `");
    said.err_has("one.jsonl` has the same slice");
    let next = bench.next("--run R");
    assert_eq!(next["waves"][0]["round"], "critique");
}

#[test]
fn the_fuller_copy_of_a_slice_is_collected_from_the_folder_of_its_job_too() {
    let bench = Bench::new(&[Task::new("a")]);
    let wave = first_wave(&bench).display().to_string();
    let (job, file) = (bench.beside("job"), bench.beside("wave.bundle"));
    let (job, file) = (job.display().to_string(), file.display().to_string());
    let args = [
        "wave", "export", &wave, &job, "--to", "shell", "--bundle", &file,
    ];
    let command = ["--", &fake_agent(), "--answers", &bench.answers()];
    bench
        .mesh(Args::from(&args[..]).and(PROGRAM).and(&command[..]))
        .exits(0);
    let results = format!("{job}/slices/copied.jsonl");
    let args = [
        "wave", "exec", "--bundle", &file, "--index", "1", "-o", &results,
    ];
    bench.mesh(&args[..]).exits(0);
    // The one of the folder was taken, and lost before it had an answer.
    let text = read_file(&results);
    let taken = text.lines().next().expect("a line");
    std::fs::write(format!("{job}/slices/00001.1.jsonl"), format!("{taken}\n")).expect("written");
    let another = taken.replace("\"job_id\":\"", "\"job_id\":\"0");
    std::fs::write(
        format!("{job}/slices/another.jsonl"),
        format!("{another}\n"),
    )
    .expect("written");
    let said = bench.mesh(&["collect", "R", &job]).exits(1);
    said.out_has("wave 001: 1 answer collected");
    said.err_has("ignored `");
    said.err_has("00001.1.jsonl`: `");
    said.err_has("another.jsonl` refused: these are results of job 0");
}
