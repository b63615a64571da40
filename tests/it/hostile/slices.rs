//! Slices of a wave: the files that they hand back, which are written on other machines by whoever has them, and the names of bundles.

use super::imports::names;
use super::*;
use serde_json::{Value, json};

/// The events of a file of a slice, whose row is `a.synthesis.author.1`.
#[derive(Default)]
struct SliceFile(Vec<Vec<u8>>);

const FILE: &str = "job/slices/00001.1.jsonl";
const ITEM: &str = r#""a.synthesis.author.1""#;
const TIME: &str = r#""2026-01-01T00:00:00.000Z""#;

impl SliceFile {
    /// Adds an event with members, whose values are JSON.
    fn add(&mut self, event: &str, members: &[(&str, &[u8])]) {
        let seq = self.0.len() + 1;
        let mut line = format!(r#"{{"v":1,"seq":{seq},"ts":{TIME},"event":"{event}""#).into_bytes();
        for (name, value) in members {
            line.extend(format!(",\"{name}\":").as_bytes());
            line.extend(*value);
        }
        line.extend(b"}\n");
        self.0.push(line);
    }

    fn take(&mut self, host: &[u8]) {
        let members: [(&str, &[u8]); 4] = [
            ("slice", br#""00001""#),
            ("generation", b"1"),
            ("host", host),
            ("pid", b"1"),
        ];
        self.add("slice_taken", &members);
    }

    /// Adds an event of an attempt of the row `item`.
    fn attempt(&mut self, event: &str, item: &[u8], number: usize, members: &[(&str, &[u8])]) {
        let number = number.to_string();
        let key: [(&str, &[u8]); 4] = [
            ("wave", b"1"),
            ("item_id", item),
            ("row_index", b"0"),
            ("attempt", number.as_bytes()),
        ];
        self.add(event, &[&key, members].concat());
    }

    fn finish(&mut self, number: usize, end: &[u8], members: &[(&str, &[u8])]) {
        let common: [(&str, &[u8]); 3] = [
            ("end", end),
            ("duration_ms", b"1"),
            ("completed_at", TIME.as_bytes()),
        ];
        let members = [&common, members].concat();
        self.attempt("attempt_finished", ITEM.as_bytes(), number, &members);
    }
}

#[test]
fn what_a_slice_hands_back_stays_text() {
    let (bench, mut matrix) = (Bench::new(&[Task::new("a")]), Matrix::default());
    let points = matrix.carry("point");
    let [errors, hosts, members, items] =
        ["error", "host", "member", "item"].map(|input| matrix.carry(input));
    bench.next("--run-id R protocol=solo");
    let wave = bench.run_folder().join("waves/001-synthesis.csv");
    let args = Args::from("wave export").and(&[wave.to_str().expect("UTF-8")]);
    bench.mesh(args.and("job --to shell -- true")).exits(0);
    let points = points.iter().filter_map(Text::unicode);
    let log: Vec<Value> = points
        .map(|text| json!({"point": text, "action": "accepted", "reason": "x"}))
        .collect();
    let answer = json!({
        "decision_log": log, "patch": edit("a.txt", "old", "new"), "validation": [], "residual_risk": "low",
    });
    let mut file = SliceFile::default();
    for (at, error) in errors.iter().enumerate() {
        if error.unicode().is_none() {
            // Such a file is refused as a whole.
            let mut refused = SliceFile::default();
            refused.take(&hosts[at].json());
            std::fs::write(bench.path(FILE), refused.0.concat()).expect("written");
            let said = bench.mesh("collect R job").exits(2);
            terminal_is_tame(said.err.as_bytes()).expect(&error.name);
            continue;
        }
        let number = at + 1;
        file.take(&hosts[at].json());
        file.attempt(
            "attempt_started",
            ITEM.as_bytes(),
            number,
            &[("more", &members[at].json())],
        );
        file.attempt("attempt_started", &items[at].json(), 1, &[]);
        file.finish(
            number,
            b"\"failed\"",
            &[("exit_code", b"1"), ("error", &error.json())],
        );
    }
    let last = errors.len() + 1;
    file.attempt("attempt_started", ITEM.as_bytes(), last, &[]);
    let answer = answer.to_string();
    let report: [(&str, &[u8]); 4] = [
        ("result", answer.as_bytes()),
        ("stop", b"false"),
        ("via", b"\"stdout\""),
        ("reported_at", TIME.as_bytes()),
    ];
    file.attempt("attempt_reported", ITEM.as_bytes(), last, &report);
    file.finish(last, b"\"completed\"", &[("exit_code", b"0")]);
    std::fs::write(bench.path(FILE), file.0.concat()).expect("written");
    for command in ["collect R job", "runs show R"] {
        let said = bench.mesh(command);
        matrix.look(command, terminal_is_tame, (said.out + &said.err).as_bytes());
    }
    let ledger = std::fs::read(bench.run_folder().join("ledger.jsonl")).expect("a ledger");
    matrix.look("ledger", ledger_has_a_record_a_line, &ledger);
    matrix.assert_is_as_before("slices");
    assert_no_canary(&bench);
}

#[test]
fn names_of_bundles_stay_names() {
    let (sandbox, mut matrix) = (crate::slices::with_wave(1), Matrix::default());
    matrix.carry("bundle");
    matrix.carry("results");
    let mut printed = String::new();
    for (bundle, results) in names("bundle").into_iter().zip(names("results")) {
        let (bundle, results) = (format!("x{bundle}"), format!("x{results}"));
        let args =
            Args::from("wave export w.csv --bundle-program /bin/true --bundle").and(&[&bundle]);
        let worker = ["--", "sh", "-c", "cat >/dev/null; echo '{\"n\": 1}'"];
        let said = sandbox.mesh(args.and(&worker)).exits(0);
        printed.push_str(&(said.out + &said.err));
        let args = Args::from("wave exec --index 1 --bundle").and(&[&bundle, "-o", &results]);
        let said = sandbox.mesh(args).exits(0);
        printed.push_str(&(said.out + &said.err));
        for name in [bundle, results] {
            std::fs::remove_file(sandbox.path(&name)).expect("it has just this name");
        }
    }
    matrix.look(
        "wave export --bundle, wave exec",
        terminal_is_tame,
        printed.as_bytes(),
    );
    matrix.assert_is_as_before("bundles");
    assert_no_canary(&sandbox);
}
