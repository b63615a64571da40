//! `mesh st` through the real binary: exact outputs, error exits, writers at once, what survives.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// An empty folder outside every git repository, with an environment of its own.
struct Bench {
    folder: TempDir,
}

/// What a command said: exit code, standard output, standard error.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    fn with_plan() -> Bench {
        let bench = Bench::new();
        bench.ok(&["init"]);
        bench
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env(
                "GIT_CEILING_DIRECTORIES",
                self.folder.path().parent().unwrap_or(Path::new("/")),
            )
            .env("ST_ACTOR", "tester")
            .env("ST_COMMENT_AUTHOR", "ann");
        command
    }

    fn mesh(&self, args: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_mesh"));
        command.arg("st").args(args);
        command
    }

    fn st(&self, args: &[&str]) -> Said {
        Said::from(self.mesh(args).output().expect("mesh starts"))
    }

    /// The standard output of a command that must succeed.
    fn ok(&self, args: &[&str]) -> String {
        let said = self.st(args);
        assert_eq!(
            (said.code, said.err.as_str()),
            (Some(0), ""),
            "mesh st {args:?}"
        );
        said.out
    }

    /// The first line of standard error of a command that must be refused.
    fn refused(&self, args: &[&str]) -> String {
        let said = self.st(args);
        assert_eq!(said.code, Some(2), "mesh st {args:?}: {said:?}");
        said.err.lines().next().unwrap_or_default().to_owned()
    }

    fn git(&self, args: &[&str]) {
        let output = self.command("git").args(args).output().expect("git starts");
        assert!(output.status.success(), "git {args:?}: {output:?}");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("a folder");
        fs::write(path, text).expect(name);
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Said {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

const PLAN: &str = ".step/st-plan.jsonl";

#[test]
fn init_says_what_it_found() {
    let bench = Bench::new();
    assert_eq!(bench.ok(&["init"]), "initialized .step/st-plan.jsonl\n");
    let text = bench.read(PLAN);
    assert!(
        text.starts_with(r#"{"v":3,"ts":""#)
            && text.ends_with("Z\",\"lane\":\"event\",\"seq\":1,\"op\":\"init\"}\n"),
        "{text}"
    );
    assert_eq!(
        bench.ok(&["init"]),
        "already initialized: .step/st-plan.jsonl\n"
    );
    bench.ok(&["add", "--step", "x"]);
    assert_eq!(
        bench.ok(&["init", "--replace"]),
        "already initialized: .step/st-plan.jsonl\ncleared plan in .step/st-plan.jsonl\n"
    );
    assert_eq!(bench.ok(&["show"]), "- [ ] (empty plan)\n");
}

#[test]
fn changes_say_what_they_did_and_mirror_the_plan() {
    let bench = Bench::with_plan();
    assert_eq!(
        bench.ok(&["add", "--step", "Lay the base"]),
        "upserted st-001\nupdate_plan: {\"plan\":[{\"step\":\"Lay the base\",\"status\":\"pending\"}]}\n"
    );
    bench.ok(&["add", "--step", "Paint", "--deps", "st-001"]);
    assert_eq!(
        bench.ok(&["set-status", "--id", "st-001", "--status", "DONE"]),
        "updated st-001 -> completed\nupdate_plan: {\"plan\":[{\"step\":\"Lay the base\",\"status\":\"completed\"},{\"step\":\"Paint\",\"status\":\"pending\"}]}\n"
    );
    let first = |args: &[&str]| bench.ok(args).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first(&[
            "set-deps",
            "--id",
            "st-002",
            "--deps",
            "st-001,st-001,st-001:after"
        ]),
        "updated st-002 deps -> st-001, st-001:after"
    );
    assert_eq!(
        first(&["set-deps", "--id", "st-002", "--deps", ""]),
        "updated st-002 deps -> (none)"
    );
    assert_eq!(
        first(&["set-notes", "--id", "st-002", "--notes", "-"]),
        "updated st-002 notes"
    );
    assert_eq!(
        first(&["add-comment", "--id", "st-002", "--text", "go"]),
        "added comment to st-002"
    );
    assert_eq!(first(&["remove", "--id", "st-001"]), "removed st-001");
    assert_eq!(bench.ok(&["ready"]), "- st-002 Paint (dep_state: ready)\n");
    assert_eq!(bench.ok(&["blocked"]), "- (none)\n");
    assert_eq!(
        bench.ok(&["emit-update-plan"]),
        "{\"plan\":[{\"step\":\"Paint\",\"status\":\"pending\"}]}\n"
    );
}

#[test]
fn a_rewrite_is_an_event_and_a_checkpoint_at_one_number() {
    let bench = Bench::with_plan();
    bench.ok(&["add", "--id", "é", "--step", "s"]);
    let text = bench.read(PLAN);
    let lines: Vec<&str> = text.lines().collect();
    let state = r#","items":[{"id":"\u00e9","step":"s","status":"pending","deps":[],"notes":"","comments":[]}],"mutation":{"allow_multiple_in_progress":false,"actor":"tester","pid":"#;
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains(&format!(r#""lane":"event","seq":2,"op":"replace"{state}"#)),
        "{text}"
    );
    assert!(
        lines[1].contains(&format!(r#""lane":"checkpoint","seq":2{state}"#)),
        "{text}"
    );
    assert_eq!(
        bench.ok(&["doctor"]),
        "seq contract ok: .step/st-plan.jsonl\n"
    );
    let mut names: Vec<String> = fs::read_dir(bench.folder.path().join(".step"))
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    assert_eq!(names, ["st-plan.jsonl", "st-plan.jsonl.lock"]);
}

#[test]
fn what_other_programs_wrote_survives() {
    let bench = Bench::new();
    let item = r#"{"id":"a","priority":"high","step":"s","status":"pending","deps":[],"claim":{"by":"x","at":1.50},"notes":"","comments":[{"ts":"t","author":"u","text":"v","mood":1}],"proof":[null]}"#;
    let event =
        format!(r#"{{"v":4,"ts":"t","lane":"event","seq":7,"op":"replace","items":[{item}]}}"#);
    let checkpoint = format!(
        r#"{{"v":4,"ts":"t","lane":"checkpoint","seq":7,"items":[{item}],"graph":{{"nodes":[1e+400]}}}}"#
    );
    bench.write(PLAN, &format!("{event}\n{checkpoint}\n"));
    bench.ok(&["add", "--id", "b", "--step", "after", "--deps", "a"]);
    bench.ok(&["add", "--id", "a", "--step", "s"]);
    let text = bench.read(PLAN);
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with(r#"{"v":4,"#) && line.contains(item)),
        "{text}"
    );
    assert!(
        lines[1].ends_with(r#","graph":{"nodes":[1e+400]}}"#) && !lines[0].contains("graph"),
        "{text}"
    );
    assert!(
        lines[1].contains(r#""lane":"checkpoint","seq":9,"#),
        "{text}"
    );
}

#[test]
fn writers_at_once_lose_nothing() {
    let bench = Bench::with_plan();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                for n in 0..10 {
                    bench.ok(&["add", "--step", &format!("writer {writer}, item {n}")]);
                }
            });
        }
    });
    let shown = bench.ok(&["show", "--format", "table"]);
    assert_eq!(shown.lines().count(), 2 + 80);
    assert!(shown.contains("\nst-080 "), "{shown}");
    for writer in 0..8 {
        assert_eq!(shown.matches(&format!("writer {writer}, ")).count(), 10);
    }
    assert_eq!(
        bench.ok(&["doctor"]),
        "seq contract ok: .step/st-plan.jsonl\n"
    );
}

#[test]
fn a_lock_that_git_would_see_is_refused() {
    let bench = Bench::new();
    bench.git(&["init", "-q"]);
    let root = fs::canonicalize(bench.folder.path()).expect("a real path");
    let message = format!(
        "error: lock sidecar '.step/st-plan.jsonl.lock' is not gitignored; run: cd {0} && echo .step/st-plan.jsonl.lock >> .gitignore",
        root.display()
    );
    assert_eq!(bench.refused(&["init"]), message);
    assert!(!bench.folder.path().join(".step").exists());
    bench.write(".gitignore", ".step/st-plan.jsonl.lock\n");
    bench.ok(&["init"]);
    bench.write(".gitignore", "");
    assert_eq!(bench.refused(&["add", "--step", "x"]), message);
    assert_eq!(bench.ok(&["show"]), "- [ ] (empty plan)\n");
}

#[test]
fn what_breaks_a_rule_changes_nothing() {
    let bench = Bench::with_plan();
    bench.ok(&["add", "--id", "a", "--step", "A"]);
    bench.ok(&["add", "--id", "b", "--step", "B", "--deps", "a"]);
    let before = bench.read(PLAN);
    for (args, message) in [
        (
            vec!["set-deps", "--id", "a", "--deps", "a"],
            "item 'a' cannot depend on itself",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "z"],
            "item 'a' references unknown dependency 'z'",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "b"],
            "dependency cycle detected: a -> b -> a",
        ),
        (
            vec!["set-deps", "--id", "a", "--deps", "b,,"],
            "--deps contains an empty dependency token",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "done"],
            "item 'b' cannot be completed; unresolved dependencies: a",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "doing"],
            "item 'b' cannot be in_progress; unresolved dependencies: a",
        ),
        (
            vec!["set-status", "--id", "b", "--status", "x"],
            "invalid status 'x'; expected one of: blocked, canceled, completed, deferred, in_progress, pending",
        ),
        (
            vec!["set-status", "--id", "x", "--status", "done"],
            "unknown id 'x'",
        ),
        (
            vec!["set-notes", "--id", " ", "--notes", "n"],
            "--id cannot be empty",
        ),
        (vec!["add", "--step", " "], "--step cannot be empty"),
        (
            vec!["add-comment", "--id", "a", "--text", ""],
            "--text cannot be empty",
        ),
        (
            vec!["remove", "--id", "a"],
            "item 'b' references unknown dependency 'a'",
        ),
    ] {
        assert_eq!(bench.refused(&args), format!("error: {message}"));
    }
    assert_eq!(bench.read(PLAN), before);
}

#[test]
fn several_in_progress_need_the_flag() {
    let bench = Bench::with_plan();
    let begin = ["add", "--step", "x", "--status", "doing"];
    bench.ok(&begin);
    assert_eq!(
        bench.refused(&begin),
        "error: multiple in_progress items found: st-001, st-002"
    );
    bench.ok(&[
        "add",
        "--step",
        "x",
        "--status",
        "doing",
        "--allow-multiple-in-progress",
    ]);
    assert_eq!(
        bench.refused(&["show"]),
        "error: multiple in_progress items found: st-001, st-002"
    );
    assert!(
        bench
            .ok(&["show", "--allow-multiple-in-progress"])
            .starts_with("### In Progress\n- [~] st-001 x")
    );
    bench.ok(&["set-status", "--id", "st-001", "--status", "pending"]);
    bench.ok(&["show"]);
}

#[test]
fn a_broken_sequence_stops_everything_but_the_doctor() {
    let bench = Bench::new();
    let line = |seq: u64| {
        format!("{{\"v\":3,\"ts\":\"t\",\"lane\":\"event\",\"seq\":{seq},\"op\":\"init\"}}\n")
    };
    bench.write(PLAN, &[4, 4, 3, 2, 1].map(line).concat());
    let said = bench.st(&["doctor"]);
    assert_eq!(said.code, Some(2));
    assert_eq!(
        said.out,
        "seq contract invalid: .step/st-plan.jsonl\n\
         - record 2: event seq 4 does not rise above the watermark 4\n\
         - record 3: event seq 3 does not rise above the watermark 4\n\
         - record 4: event seq 2 does not rise above the watermark 4\n\
         - record 5: event seq 1 does not rise above the watermark 4\n"
    );
    for args in [
        vec!["show"],
        vec!["add", "--step", "x"],
        vec!["init", "--replace"],
    ] {
        let message = bench.refused(&args);
        assert!(
            message.starts_with("error: seq contract invalid: ") && message.ends_with(" (+1 more)"),
            "{message}"
        );
    }
    assert_eq!(
        bench.ok(&["doctor", "--repair-seq"]),
        "repaired seq contract via checkpoint seq 5\nupdate_plan: {\"plan\":[]}\n"
    );
    assert!(
        bench
            .read(PLAN)
            .lines()
            .all(|line| line.ends_with(r#","repair":{"op":"doctor_repair_seq"}}"#))
    );
    assert_eq!(
        bench.ok(&["doctor", "--repair-seq"]),
        "seq contract ok: .step/st-plan.jsonl\n"
    );
}

#[test]
fn export_and_import_are_inverse() {
    let bench = Bench::with_plan();
    bench.write(
        "in.json",
        r#"[{"id":"a","step":"A","deps":[],"priority":"low"},{"id":"b","step":"B","deps":["a"]}]"#,
    );
    let first = |args: &[&str]| bench.ok(args).lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first(&["import-plan", "--input", "in.json"]),
        "imported 2 item(s) from in.json"
    );
    assert_eq!(
        bench.ok(&["export", "--output", "out.json"]),
        "wrote out.json\n"
    );
    assert_eq!(bench.read("out.json"), bench.ok(&["export"]));
    bench.write(
        "some.json",
        r#"{"items":[{"id":"a","step":"A2","deps":[]}]}"#,
    );
    bench.ok(&["import-plan", "--input", "some.json"]);
    let shown = bench.ok(&["show", "--format", "json"]);
    assert!(
        shown.contains("\"A2\"")
            && shown.contains("\"priority\": \"low\"")
            && shown.contains("\"B\""),
        "{shown}"
    );
    assert_eq!(
        first(&["import-plan", "--input", "out.json", "--replace"]),
        "replaced plan from out.json"
    );
    assert_eq!(bench.ok(&["export"]), bench.read("out.json"));
    assert_eq!(
        bench.refused(&["import-plan", "--input", "nobody.json"]),
        format!(
            "error: cannot open `{}`: No such file or directory (os error 2)",
            bench.folder.path().join("nobody.json").display()
        )
    );
}

#[test]
fn a_file_that_is_not_there_or_not_a_plan_is_refused() {
    let bench = Bench::new();
    for args in [
        vec!["show"],
        vec!["add", "--step", "x"],
        vec!["doctor", "--repair-seq"],
    ] {
        assert!(
            bench
                .refused(&args)
                .ends_with("st-plan.jsonl` does not exist"),
            "{args:?}"
        );
    }
    assert!(!bench.folder.path().join(".step").exists());
    bench.write(PLAN, "{\"v\":3,\n");
    assert_eq!(
        bench.refused(&["show"]),
        "error: invalid JSON at line 1: EOF while parsing a value (column 7)"
    );
}

#[test]
fn another_file_can_be_named_on_either_side() {
    let bench = Bench::new();
    assert_eq!(
        bench.ok(&["init", "--file", "deep/er/plan.jsonl"]),
        "initialized deep/er/plan.jsonl\n"
    );
    assert_eq!(
        bench.ok(&["--file", "deep/er/plan.jsonl", "ready"]),
        "- (none)\n"
    );
}

#[test]
fn every_name_of_a_plan_shares_one_lock() {
    let bench = Bench::with_plan();
    let link = bench.folder.path().join("link.jsonl");
    std::os::unix::fs::symlink(PLAN, &link).expect("a link");
    bench.ok(&["--file", "link.jsonl", "add", "--step", "x"]);
    assert!(link.is_symlink() && !bench.folder.path().join("link.jsonl.lock").exists());
    assert_eq!(bench.ok(&["ready"]), "- st-001 x (dep_state: ready)\n");
}
