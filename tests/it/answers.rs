//! `mesh collect`: several waves at once, whose answers they are, and what is missing.

use crate::fixture::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const TWO: [&str; 4] = ["--run-id", "R", "max_tasks=2", "parallel_tasks=2"];

fn two_tasks() -> Bench {
    Bench::new(&[Task::new("a"), Task::new("b")])
}

fn waves(handed: &Value) -> Vec<Value> {
    handed["waves"].as_array().expect("waves").clone()
}

fn path(value: &Value) -> PathBuf {
    PathBuf::from(value.as_str().expect("a path"))
}

/// Steps run `R` to its end, with `work` for every wave and the commands that a person would type.
fn drive(bench: &Bench, first: &Value, work: impl Fn(&Value)) -> Vec<usize> {
    let mut handed = first.clone();
    let mut counts = Vec::new();
    for _ in 0..20 {
        let waves = waves(&handed);
        counts.push(waves.len());
        waves.iter().for_each(&work);
        if !waves.is_empty() {
            bench.mesh("collect R").exits(0);
        }
        let said = bench.mesh("integrate R --json").exits(0);
        if report(&said)["status"] == "completed" {
            return counts;
        }
        handed = bench.next("--run R");
    }
    panic!("it does not end");
}

fn done(bench: &Bench) {
    for id in ["a", "b"] {
        assert_eq!(bench.status_of(id), "completed");
        assert_eq!(bench.read(&format!("{id}.txt")), "new\n");
    }
}

#[test]
fn the_rows_of_a_table_may_be_in_any_order_and_a_long_one_is_read_twice() {
    let ids: Vec<String> = (0..9).map(|n| format!("t{n}")).collect();
    let bench = Bench::new(&ids.iter().map(|id| Task::new(id)).collect::<Vec<_>>());
    bench.next("--run-id R max_tasks=9 parallel_tasks=9");
    let wave = bench.waves().remove(0);
    let mut rows = wave.rows.clone();
    rows.sort_by_key(|row| std::cmp::Reverse(row["id"].replace('3', "9")));
    let mut text = csv::Writer::from_writer(Vec::new());
    let columns = ["id", "prompt", "unit", "status", "result_json"];
    text.write_record(columns).expect("written");
    for row in &rows {
        let result = json!({"plan": [row["id"]], "assumptions": [], "risk": "low", "risks": []});
        let result = format!("{result:#}");
        let cells = [
            &row["id"],
            &row["prompt"],
            &row["unit"],
            "completed",
            &result,
        ];
        text.write_record(cells).expect("written");
    }
    let text = text.into_inner().expect("bytes");
    std::fs::write(bench.path("answers.csv"), &text).expect("written");
    bench.mesh("collect R answers.csv").exits(0);
    let reported = bench.events_named("attempt_reported");
    assert_eq!(reported.len(), 9);
    for event in reported {
        assert_eq!(event["result"]["plan"][0], event["item_id"]);
    }
}

#[test]
fn two_tasks_go_in_one_wave_from_step_to_step() {
    let bench = two_tasks();
    let first = bench.next(&TWO);
    let rows = json!(["a.proposal.proposer.1", "b.proposal.proposer.1"]);
    assert_eq!(first["waves"][0]["rows"], rows);
    assert_eq!(bench.next("--run R"), first, "nothing new while it waits");
    let counts = drive(&bench, &first, |wave| bench.work_wave(wave));
    assert_eq!(counts, [1, 1, 1, 1]);
    done(&bench);
}

#[test]
fn two_tasks_go_through_exported_waves() {
    let bench = two_tasks();
    let first = bench.next(&TWO);
    let answers = bench.answers();
    let agent = fake_agent();
    let work = |wave: &Value| {
        let csv = wave["csv_path"].as_str().expect("a path");
        let folder = bench.beside(&format!("work-{}", wave["wave"]));
        let folder = folder.display().to_string();
        let args = ["wave", "export", csv, &folder, "--to", "xargs", "--"];
        let said = bench
            .mesh(Args::from(&args[..]).and(&[&agent, "--answers", &answers]))
            .exits(0);
        let command = format!("mesh collect R {folder}");
        said.err_has(&command);
        let status = std::process::Command::new(format!("{folder}/run")).status();
        assert!(status.expect("it starts").success());
        let said = bench.mesh(&["collect", "R", &folder, "--json"]);
        assert_eq!(report(&said)["unknown_files"], json!([]));
        // Once more changes nothing.
        let events = bench.events().len();
        bench.mesh(&["collect", "R", &folder]).exits(2);
        assert_eq!(bench.events().len(), events);
    };
    let mut handed = first;
    for _ in 0..4 {
        waves(&handed).iter().for_each(work);
        handed = bench.next("--run R");
    }
    bench.mesh("integrate R").exits(0);
    done(&bench);
}

#[test]
fn collect_takes_every_available_wave() {
    let bench = two_tasks();
    let first = bench.next(Args::from(&TWO[..]).and("dispatch=rolling"));
    let nothing = bench.mesh("collect R").exits(2);
    for part in [
        "no new answers for wave 001, 002",
        "mesh collect R --wave 1 --give-up",
        "mesh collect R --wave 2 --give-up",
        "002-proposal.out.csv",
    ] {
        nothing.err_has(part);
    }
    waves(&first).iter().for_each(|wave| bench.work_wave(wave));
    let both = bench.mesh("collect R --json").exits(0);
    assert_eq!(report(&both)["taken"], 2);
    assert_eq!(bench.trace("verdict").len(), 2);
}

/// The output CSV of a wave, worked elsewhere, with one cell changed.
fn changed(bench: &Bench, wave: &Value, column: &str, to: &str) -> String {
    let out = path(&wave["output_csv_path"]);
    if !out.exists() {
        bench.work_wave(wave);
    }
    let mut reader = csv::Reader::from_path(&out).expect("an output CSV");
    let header = reader.headers().expect("a header").clone();
    let at = header.iter().position(|name| name == column);
    let name = format!("changed-{column}.csv");
    let mut writer = csv::Writer::from_path(bench.beside(&name)).expect("a file");
    writer.write_record(&header).expect("written");
    for record in reader.records() {
        let record = record.expect("a record");
        let mut cells: Vec<&str> = record.iter().collect();
        cells[at.expect("the column")] = to;
        writer.write_record(&cells).expect("written");
    }
    writer.flush().expect("written");
    bench.beside(&name).display().to_string()
}

#[test]
fn answers_to_something_else_are_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.next("--run-id R");
    let wave = &first["waves"][0];
    for (column, to, told) in [
        (
            "run_id",
            "OTHER",
            "has run_id `OTHER`, and the wave has `R`",
        ),
        ("base_sha", "0000", "has base_sha `0000`"),
        ("prompt", "Say yes.", "answers another prompt"),
        ("unit", "b", "has unit `b`"),
        ("attempt", "7", "has attempt `7`"),
    ] {
        let file = changed(&bench, wave, column, to);
        let said = bench.mesh(&["collect", "R", &file]);
        assert_eq!(said.code, 2, "{column}: {}", said.out);
        said.err_has(told);
        said.err_has("a.proposal.proposer.1");
    }
    assert!(bench.trace("attempt_started verdict").is_empty());
    // What another runner may know better is no identity.
    let file = changed(&bench, wave, "max_concurrency", "99");
    bench.mesh(&["collect", "R", &file]).exits(0);
}

#[test]
fn a_refused_file_does_not_block_the_other_waves() {
    let bench = two_tasks();
    let first = bench.next(Args::from(&TWO[..]).and("dispatch=rolling"));
    let waves = waves(&first);
    waves.iter().for_each(|wave| bench.work_wave(wave));
    let out = path(&waves[0]["output_csv_path"]);
    let text = read_file(&out);
    let half = &text[..text.len() - 40];
    std::fs::write(&out, half).expect("written");
    let said = bench.mesh("collect R").exits(1);
    said.out_has("wave 002: 1 answer collected");
    said.err_has("001-proposal.out.csv` refused: ");
    assert_eq!(bench.trace("verdict"), ["verdict b.proposal.proposer.1"]);
    std::fs::write(&out, text).expect("written");
    bench.mesh("collect R").exits(0);
    assert_eq!(bench.trace("verdict").len(), 2);
}

#[test]
fn a_file_that_the_machine_can_not_read_is_not_a_refused_one() {
    let bench = Bench::new(&[Task::new("a")]);
    let first = bench.next("--run-id R");
    let wave = &waves(&first)[0];
    bench.work_wave(wave);
    let out = path(&wave["output_csv_path"]);
    let text = read_file(&out);
    std::fs::remove_file(&out).expect("it was there");
    // Reading at its beginning is an input/output error.
    std::os::unix::fs::symlink("/proc/self/mem", &out).expect("a link");
    let said = bench.mesh("collect R --wave 1").exits(3);
    said.err_has("Input/output error");
    std::fs::remove_file(&out).expect("it was there");
    std::fs::write(&out, text).expect("written");
    bench.mesh("collect R --wave 1").exits(0);
}

#[test]
fn the_folder_of_another_wave_is_refused() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let folder = bench.beside("results");
    std::fs::create_dir(&folder).expect("a folder");
    let label = |text: &str| std::fs::write(folder.join("wave.json"), text).expect("written");
    std::fs::copy(
        bench.beside("answers/a/proposal.proposer.1.json"),
        folder.join("a.proposal.proposer.1.json"),
    )
    .expect("copied");
    let collect = || bench.mesh(&["collect", "R", &folder.display().to_string()]);
    let base = bench.git("rev-parse HEAD");
    let base = base.trim();
    let events = bench.events();
    let hash = events.iter().find(|(name, _)| name == "wave_compiled");
    let hash = hash.expect("a wave").1["csv_sha256"].clone();
    let own = |run: &str, wave: u32, base: &str, hash: &Value| {
        json!({"run_id": run, "wave": wave, "base_sha": base, "csv_sha256": hash}).to_string()
    };
    for (text, told) in [
        ("{".to_owned(), "not the label of a wave"),
        (
            own("Q", 1, base, &hash),
            "answers for run `Q`, and this is `R`",
        ),
        (own("R", 1, "abc", &hash), "answers for commit `abc`"),
        (own("R", 9, base, &hash), "the run has no wave 009"),
        (
            own("R", 1, base, &json!("00")),
            "other prompts than those of wave 001",
        ),
    ] {
        label(&text);
        let said = collect().exits(2);
        said.err_has(told);
    }
    label(&own("R", 1, base, &hash));
    collect().exits(0);
}

#[test]
fn a_wave_that_was_changed_is_not_collected() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.breaks(&["files"]);
    let first = bench.next("--run-id R");
    let csv = path(&first["waves"][0]["csv_path"]);
    let text = read_file(&csv);
    std::fs::write(&csv, text.replace("Do a", "Do anything")).expect("written");
    bench.work_wave(&first["waves"][0]);
    let said = bench.mesh("collect R").exits(2);
    said.err_has("the wave was changed after");
}

#[test]
fn the_rest_of_a_wave_comes_later() {
    let bench = two_tasks();
    let first = bench.next(&TWO);
    bench.work_wave(&first["waves"][0]);
    let out = path(&first["waves"][0]["output_csv_path"]);
    let whole = read_file(&out);
    // Row `b` is not worked yet.
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    let at = whole
        .lines()
        .position(|line| line.contains(",b.proposal.proposer.1,1,"));
    let line = &mut lines[at.expect("row b")];
    let cut = line.find(",completed,").expect("a status");
    line.replace_range(cut.., ",pending,0,,,,");
    std::fs::write(&out, lines.join("\n") + "\n").expect("written");
    let partly = bench.mesh("collect R --json").exits(1);
    assert_eq!(report(&partly)["missing"], json!(["b.proposal.proposer.1"]));
    let again = bench.mesh("collect R").exits(2);
    again.err_has("no new answers for wave 001");
    std::fs::write(&out, whole).expect("written");
    let rest = bench.mesh("collect R --json").exits(0);
    assert_eq!(report(&rest)["taken"], 1);
    assert_eq!(bench.trace("attempt_reported").len(), 2);
}

#[test]
fn a_wave_without_answers_can_be_given_up() {
    let bench = two_tasks();
    bench.next(Args::from(&TWO[..]).and("dispatch=rolling"));
    let one = bench.mesh("collect R --wave 2 --give-up").exits(1);
    assert_eq!(
        one.out,
        "wave 002: 1 answer collected\n  b.proposal.proposer.1 refused: no_response\n"
    );
    let all = bench.mesh("collect R --give-up");
    all.out_has("a.proposal.proposer.1 refused: no_response");
    bench.mesh("collect R nowhere.csv --give-up").exits(2);
}

#[test]
fn files_that_belong_to_no_row_are_reported() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let folder = bench.beside("results");
    let put = |name: &str| {
        let file = folder.join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
        std::fs::write(file, "{}").expect("written");
    };
    let answers = bench.beside("answers/a");
    put("a.proposal.propser.1.json");
    put("notes.txt");
    put("a/vote.nobody.1.json");
    put("a/vote.skeptic.1.json");
    put("z/proposal.proposer.1.json");
    put(".keep");
    put("a.proposal.proposer.1.log");
    let collect = || bench.mesh(&["collect", "R", &folder.display().to_string(), "--json"]);
    let strange = [
        "a/vote.nobody.1.json",
        "a.proposal.propser.1.json",
        "notes.txt",
        "z",
    ];
    let nothing = collect().exits(2);
    let told = format!("files of no row: {}", strange.join(", "));
    nothing.err_has(&told);
    let answer = answers.join("proposal.proposer.1.json");
    std::fs::copy(answer, folder.join("a.proposal.proposer.1.json")).expect("copied");
    let said = collect().exits(0);
    assert_eq!(report(&said)["unknown_files"], json!(strange));
}

#[test]
fn a_named_pipe_among_the_answers_does_not_block() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let folder = bench.beside("results");
    std::fs::create_dir(&folder).expect("a folder");
    let pipe = folder.join("a.proposal.proposer.1.json");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    let said = bench
        .mesh(&["collect", "R", &folder.display().to_string()])
        .exits(2);
    said.err_has("it is not a regular file");
}

/// A spawned CSV as run `S`.
fn spawned(bench: &Bench) -> Said {
    bench.write("in.csv", "x\n1\n");
    let args = "spawn in.csv --run-id S --instruction i -- echo";
    bench.mesh(Args::from(args).and("{}"))
}

#[test]
fn a_run_of_the_other_kind_is_named_as_such() {
    let bench = Bench::new(&[Task::new("a")]);
    spawned(&bench).exits(0);
    let commands: [&[&str]; 3] = [
        &["wave", "next", "--run", "S"],
        &["collect", "S"],
        &["integrate", "S"],
    ];
    for command in commands {
        let said = bench.mesh(command).exits(2);
        said.err_has("run `S` is a CSV job (`mesh spawn`)");
        said.err_has(": mesh resume S");
    }
    bench.next("--run-id R");
    let tail = "--instruction i -- echo {}";
    for said in [
        bench.mesh("spawn --resume=R"),
        bench.mesh(Args::from("spawn in.csv --reuse R").and(tail)),
    ] {
        assert_eq!(said.code, 2, "{}", said.err);
        said.err_has("run `R` is a run of a plan (`mesh run`)");
        said.err_has("mesh wave next --run R");
    }
}

#[test]
fn a_mistyped_run_is_recognised() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id nightly-build");
    for command in [["collect"], ["integrate"], ["resume"], ["cancel"]] {
        let said = bench
            .mesh(Args::from(&command[..]).and("nightly-biuld"))
            .exits(2);
        said.err_has("did you mean `nightly-build`?");
        said.err_has("mesh runs list");
    }
    let far = bench.mesh("collect zzz");
    far.err_has("hint: list all runs: mesh runs list");
    assert!(Path::new(&bench.mesh_home()).exists());
}

/// A CSV of answers to the one row of the first wave, as somebody writes it by hand.
fn by_hand(bench: &Bench, name: &str, header: &str, row: &str) -> String {
    let path = bench.beside(name);
    std::fs::write(&path, format!("{header}\n{row}\n")).expect("written");
    path.display().to_string()
}

#[test]
fn what_contradicts_itself_in_a_csv_by_hand_is_named() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.next("--run-id R");
    let plain = "id,status,result_json";
    for (name, header, row, told) in [
        (
            "a.csv",
            plain,
            "a.proposal.proposer.1,done,{}",
            "has the status `done` and a result",
        ),
        (
            "b.csv",
            plain,
            "a.proposal.proposer.1,pending,{}",
            "has the status `pending` and a result",
        ),
        (
            "c.csv",
            "id,status,result_json,wave",
            "a.proposal.proposer.1,failed,,7",
            "has wave `7`",
        ),
        (
            "007-vote.out.csv",
            plain,
            "a.proposal.proposer.1,failed,",
            "by its name these are answers to wave 007",
        ),
        (
            "d.csv",
            "id,answer",
            "a.proposal.proposer.1,{}",
            "it has no column `status`, nor `result_json`",
        ),
        (
            "e.csv",
            "key,status,result_json",
            "a,failed,",
            "it has no column `item_id` or `id`",
        ),
    ] {
        let file = by_hand(&bench, name, header, row);
        let said = bench.mesh(&["collect", "R", &file]);
        assert_eq!(said.code, 2, "{name}: {}", said.out);
        assert!(said.err.contains(told), "{name}: {}", said.err);
    }
    assert!(
        bench.trace("attempt_started").is_empty(),
        "nothing is taken"
    );
    let file = by_hand(
        &bench,
        "001-proposal.out.csv",
        plain,
        "a.proposal.proposer.1,failed,",
    );
    bench.mesh(&["collect", "R", &file]).exits(1);
}

#[test]
fn a_duplicate_answer_is_reported_and_the_first_is_kept() {
    let bench = two_tasks();
    bench.next(&TWO);
    let row = "a.proposal.proposer.1,failed,";
    let file = by_hand(&bench, "a.csv", "id,status,result_json", row);
    bench.mesh(&["collect", "R", &file]).exits(1);
    let again = bench.mesh(&["collect", "R", &file]).exits(2);
    again.err_has("rows that already have an answer: 1");
}

#[test]
fn the_beginning_of_a_run_id_is_recognised() {
    let bench = two_tasks();
    bench.next("--run-id 20260213T015500Z");
    let said = bench.mesh("collect 2026").exits(2);
    said.err_has("did you mean `20260213T015500Z`?");
}
