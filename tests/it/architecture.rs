//! What no module may do, checked on the source as text (DESIGN, "The shape of the code"; `docs/ARCHITECTURE.md`).
//!
//! A rule looks at what a module names after `crate::`, `super::super::` and `std::`; comments and unit tests don't count.

use std::path::{Path, PathBuf};

/// One source file: its path below `src/`, and its code without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match entry.file_name().to_str() {
                Some("tests" | "tests.rs") => {}
                _ if path.is_dir() => open.push(path),
                Some(name) if name.ends_with(".rs") => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    let sources = files.iter().map(|file| Source {
        path: file
            .strip_prefix(&root)
            .expect("below")
            .display()
            .to_string(),
        code: code(&std::fs::read_to_string(file).expect("text")),
    });
    sources.collect()
}

fn code(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

impl Source {
    /// Whether the file belongs to `module`: `job` is `job.rs`, and everything in `job/`.
    fn is_in(&self, module: &str) -> bool {
        self.path == format!("{module}.rs") || self.path.starts_with(&format!("{module}/"))
    }

    /// The first parts of all paths that begin with `root`: `fs` for `std::fs::read` and for `use std::{fs, io}`.
    fn names(&self, root: &str) -> Vec<String> {
        let mut names = Vec::new();
        for (at, _) in self.code.match_indices(&format!("{root}::")) {
            if self.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let rest = &self.code[at + root.len() + 2..];
            match rest.strip_prefix('{') {
                Some(group) => names.extend(firsts(group)),
                None => names.extend(word(rest)),
            }
        }
        names
    }
}

/// The first part of every path in a group, up to its closing brace.
fn firsts(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = Vec::new();
    let mut begins = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            _ if begins && depth == 0 && !c.is_whitespace() => {
                names.extend(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// `file: root::name` for everything in `modules` that names one of `forbidden` below `root`.
fn breaches(modules: &[&str], root: &str, forbidden: &[&str]) -> Vec<String> {
    let sources = sources();
    let concerned: Vec<&Source> = sources
        .iter()
        .filter(|source| modules.iter().any(|module| source.is_in(module)))
        .collect();
    assert!(
        modules
            .iter()
            .all(|module| concerned.iter().any(|source| source.is_in(module))),
        "{modules:?}: not all there"
    );
    let mut found: Vec<String> = Vec::new();
    for source in concerned {
        let names = source
            .names(root)
            .into_iter()
            .filter(|name| forbidden.contains(&name.as_str()));
        found.extend(names.map(|name| format!("{}: {root}::{name}", source.path)));
    }
    found.sort();
    found.dedup();
    found
}

/// Files whose code holds one of `texts` where no other word ends.
fn holding(texts: &[&str]) -> Vec<String> {
    let begins =
        |code: &str, at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let holds = |code: &str, text: &str| code.match_indices(text).any(|(at, _)| begins(code, at));
    let sources = sources();
    let files = sources
        .iter()
        .filter(|source| texts.iter().any(|text| holds(&source.code, text)));
    files.map(|source| source.path.clone()).collect()
}

const NONE: [String; 0] = [];
const PURE: [&str; 15] = [
    "invoke",
    "refusal",
    "protocol",
    "schedule",
    "patch",
    "scope",
    "simulate",
    "template",
    "wave",
    "learnings/draft",
    "learnings/record",
    "learnings/loose",
    "learnings/lines",
    "learnings/recall",
    "learnings/view",
];

#[test]
fn the_architecture_rules_see_violations() {
    let source = |text: &str| Source {
        path: "x.rs".to_owned(),
        code: code(text),
    };
    let names = source("use crate::{plan::{Item, run}, clock};\nuse crate::job;\nlet x = crate::git::find(); // crate::ledger\n//! crate::wave\nmycrate::patch\n\n#[cfg(test)]\nmod tests { use crate::scope; }").names("crate");
    assert_eq!(names[..4], ["plan", "clock", "job", "git"]);
    assert!(
        !names
            .iter()
            .any(|name| ["wave", "patch", "scope", "Item", "run"].contains(&name.as_str()))
    );
    assert!(
        breaches(&["integrate"], "crate", &["platform"]).len() > 1,
        "a rule that is broken is seen"
    );
}

#[test]
fn the_substrate_knows_no_plans_and_no_protocols() {
    let above = [
        "plan",
        "protocol",
        "integrate",
        "schedule",
        "run",
        "wave",
        "workspace",
        "patch",
        "report",
        "adapter",
        "mcp",
        "cli",
    ];
    assert_eq!(breaches(&["job", "executor"], "crate", &above), NONE);
}

#[test]
fn what_is_known_of_an_agent_is_data_and_pure_functions() {
    let agents = [
        "adapter/agent",
        "adapter/claude",
        "adapter/codex",
        "adapter/command",
        "adapter/config",
        "adapter/gemini",
        "adapter/opencode",
        "adapter/price",
        "adapter/strict",
    ];
    let impure = ["fs", "process", "env", "net", "thread", "os"];
    assert_eq!(breaches(&agents, "std", &impure), NONE);
    assert_eq!(
        breaches(
            &["job/policy/budget", "job/policy/concurrency_control"],
            "std",
            &impure
        ),
        NONE
    );
    assert_eq!(
        breaches(
            &["job/policy/budget", "job/policy/concurrency_control"],
            "std::time",
            &["SystemTime", "Instant"]
        ),
        NONE
    );
}

#[test]
fn what_is_decided_of_slices_is_pure_so_that_it_can_be_simulated() {
    let decisions = [
        "executor/slices/slicing",
        "executor/slurm/losses",
        "executor/slurm/simulation",
        "executor/slurm/slice_queue",
        "executor/slurm/tasks",
    ];
    let impure = ["fs", "process", "env", "net", "thread", "os"];
    assert_eq!(breaches(&decisions, "std", &impure), NONE);
    assert_eq!(
        breaches(&decisions, "std::time", &["SystemTime", "Instant"]),
        NONE
    );
}

#[test]
fn the_pure_core_touches_no_files_processes_or_variables() {
    assert_eq!(
        breaches(
            &PURE,
            "std",
            &["fs", "process", "env", "net", "thread", "os"]
        ),
        NONE
    );
    assert_eq!(
        breaches(&PURE, "std::time", &["SystemTime", "Instant"]),
        NONE
    );
    assert_eq!(
        breaches(&PURE, "std::io", &["stdin", "stdout", "stderr"]),
        NONE
    );
}

#[test]
fn the_pure_core_imports_nothing_with_effects() {
    let shell = [
        "job",
        "run",
        "integrate",
        "executor",
        "platform",
        "ledger",
        "adapter",
        "config",
        "cli",
        "report",
    ];
    assert_eq!(breaches(&PURE, "crate", &shell), NONE);
}

#[test]
fn the_plan_knows_no_waves() {
    let above = [
        "wave",
        "protocol",
        "schedule",
        "job",
        "run",
        "integrate",
        "adapter",
        "verdict",
        "ledger",
        "cli",
    ];
    assert_eq!(breaches(&["plan"], "crate", &above), NONE);
}

#[test]
fn the_learnings_know_no_plans_and_no_runs() {
    let above = [
        "plan",
        "protocol",
        "schedule",
        "wave",
        "job",
        "run",
        "integrate",
        "report",
        "adapter",
        "verdict",
        "ledger",
        "cli",
    ];
    assert_eq!(breaches(&["learnings"], "crate", &above), NONE);
}

#[test]
fn the_model_has_no_effects_and_imports_nothing_else() {
    assert_eq!(
        breaches(
            &["model"],
            "std",
            &["fs", "process", "env", "net", "thread", "time", "io"]
        ),
        NONE
    );
    let others = sources()
        .into_iter()
        .filter(|source| source.is_in("model"))
        .flat_map(|source| source.names("crate"))
        .filter(|name| name != "model");
    assert_eq!(others.collect::<Vec<_>>(), NONE);
}

#[test]
fn the_audit_shares_nothing_with_what_it_judges() {
    let judged = [
        "model",
        "plan",
        "protocol",
        "schedule",
        "job",
        "executor",
        "run",
        "integrate",
        "report",
        "wave",
        "verdict",
        "ledger",
        "cli",
    ];
    assert_eq!(breaches(&["audit"], "crate", &judged), NONE);
}

#[test]
fn the_ledger_does_not_know_what_events_mean() {
    let above = [
        "plan",
        "protocol",
        "schedule",
        "job",
        "run",
        "integrate",
        "report",
        "cli",
        "wave",
        "verdict",
    ];
    assert_eq!(
        breaches(&["ledger", "table", "platform"], "crate", &above),
        NONE
    );
}

#[test]
fn the_integrator_runs_no_workers() {
    assert_eq!(
        breaches(
            &["integrate"],
            "crate",
            &["adapter", "run", "protocol", "schedule", "wave", "cli"]
        ),
        NONE
    );
    assert!(
        sources()
            .iter()
            .filter(|source| source.is_in("integrate"))
            .all(|source| !source.code.contains("executor::run"))
    );
}

#[test]
fn nothing_but_the_binary_knows_the_command_line() {
    let sources = sources();
    let users = sources
        .iter()
        .filter(|source| !source.is_in("cli") && source.names("crate").contains(&"cli".to_owned()));
    let users: Vec<&str> = users.map(|source| source.path.as_str()).collect();
    assert_eq!(users, [""; 0]);
}

#[test]
fn only_the_command_line_prints() {
    let printing = holding(&[
        "println!",
        "eprintln!",
        "print!(",
        "eprint!(",
        "stdout()",
        "stderr()",
        "dbg!",
    ]);
    // Where a client of the Model Context Protocol reads, and the process that waits for the trial of a sandbox.
    let others = ["mcp/serve.rs", "platform/sandbox/helper.rs"];
    let elsewhere = printing
        .into_iter()
        .filter(|path| !path.starts_with("cli/") && !others.contains(&path.as_str()));
    assert_eq!(elsewhere.collect::<Vec<_>>(), NONE);
}

#[test]
fn asynchronous_code_is_confined_to_one_file() {
    assert_eq!(
        holding(&["tokio::", "rmcp::", "async fn", "async move", ".await"]),
        ["mcp/serve.rs"]
    );
}

#[test]
fn only_the_clock_reads_the_time_of_day() {
    assert_eq!(
        holding(&["Timestamp::now", "SystemTime", "Zoned::now"]),
        ["platform/clock.rs"]
    );
}

#[test]
fn unsafe_code_is_in_one_file_and_denied_elsewhere() {
    assert_eq!(
        holding(&["unsafe {", "unsafe fn", "unsafe impl", "unsafe_code"]),
        ["platform/sandbox/namespace.rs"]
    );
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("text");
    assert!(manifest.contains("unsafe_code = \"deny\""));
}

/// Where the machine has no room for a thread, the standard library panics everywhere else.
#[test]
fn threads_are_started_in_one_file() {
    assert_eq!(
        holding(&[
            "thread::spawn",
            "thread::Builder",
            "Builder::new().name(",
            "scope.spawn("
        ]),
        ["platform/threads.rs"]
    );
}

/// An error of the system decides the exit code and the hint (`platform/machine_fault.rs`) only where it is among the causes, which it
/// is not as a mere part of a message or behind `transparent`.
#[test]
fn errors_of_the_system_are_causes() {
    let no_cause = [
        r"error\(transparent\)\]\s*\w+\(\s*(#\[\w+\]\s*)?(std::)?io::Error\s*\)",
        r"#\[error\([^\n]*\]\s*\w+\(\s*(std::)?io::Error\s*\)",
        r"\n\s*(pub )?[a-z_]+: [^\n]*,\n\s*(cause|error): (std::)?io::Error,",
    ];
    let no_cause = no_cause.map(|pattern| regex::Regex::new(pattern).expect("a pattern"));
    let mut found = Vec::new();
    for source in sources() {
        let matches = no_cause.iter().flat_map(|it| it.find_iter(&source.code));
        found.extend(matches.map(|it| format!("{}: {}", source.path, it.as_str())));
    }
    assert_eq!(found, NONE);
}

/// A signal must interrupt no lock.
#[test]
fn files_are_locked_in_one_file() {
    assert_eq!(holding(&["flock("]), ["platform/file_lock.rs"]);
}

#[test]
fn git_is_called_in_one_place() {
    assert_eq!(holding(&["\"git\""]), ["platform/git/mod.rs"]);
}

#[test]
fn a_run_makes_files_only_for_their_owner() {
    let making = [
        "fs::write",
        "fs::copy",
        "fs::create_dir",
        "make_open_folders",
        "File::create",
        "File::create_new",
        "OpenOptions::new",
        "DirBuilder::new",
        "durable::write(",
        "durable::write_with(",
        "Readers::Umask",
    ];
    let concerned = [
        "adapter",
        "executor",
        "integrate",
        "job",
        "ledger",
        "run",
        "workspace",
        "wave",
    ];
    let sources = sources();
    let open = holding(&making).into_iter().filter(|path| {
        let source = sources.iter().find(|source| source.path == *path);
        let source = source.expect("a source");
        concerned.iter().any(|module| source.is_in(module))
    });
    assert_eq!(
        open.collect::<Vec<_>>(),
        [
            // The user's folders (git's, the plan's) are put back as they were.
            "integrate/guard.rs",
            // What joined runs share is in git's folder, for all who use the repository.
            "integrate/joined.rs",
            // Lock and mark are in git's folder, for all who use the repository.
            "integrate/lock.rs",
            // Opened, not made.
            "ledger/writer.rs",
            // The output CSV and recorded answers go where the user says.
            "run/csv_run/spawn.rs",
            "run/plan_run/waves.rs",
            // The list of runs is there as well, and what joined runs share.
            "run/store/leases.rs",
            "run/store/task_holds.rs",
            "run/store/tree_changes.rs",
            // Copies have the owner's part of their sources' modes.
            "workspace/file_copy.rs",
        ]
    );
}

#[test]
fn processes_are_started_in_few_places() {
    // The demo counts the passing tests of its example; people are shown the versions of agent programs, and the live page;
    // an evaluation and the jobs of a client are processes of this program; Slurm is its commands.
    let starting = holding(&["Command::new", "duct::cmd"]);
    assert_eq!(
        starting,
        [
            "adapter/version.rs",
            "cli/demo.rs",
            "cli/live_page.rs",
            "cli/notices.rs",
            "eval/arm_run.rs",
            "executor/local/launcher.rs",
            "executor/slurm/array.rs",
            "mcp/server/settings.rs",
            "platform/git/mod.rs",
            "platform/process/tree_writers.rs",
            "platform/sandbox/helper.rs",
            "platform/sandbox/spawn.rs"
        ]
    );
}

/// The two paths of a row in `docs/ARCHITECTURE.md`: `1. `file`: `function``.
#[test]
fn the_stations_of_a_row_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = std::fs::read_to_string(root.join("docs/ARCHITECTURE.md")).expect("text");
    let station =
        regex::Regex::new(r"(?m)^\d+\. `([^`]+\.rs)`: `(?:\w+::)?(\w+)`").expect("a regex");
    let stations: Vec<_> = station.captures_iter(&book).collect();
    assert_eq!(stations.len(), 12 + 9);
    for found in stations {
        let text = std::fs::read_to_string(root.join("src").join(&found[1])).expect("the file");
        let function = format!("fn {}", &found[2]);
        assert!(
            text.contains(&function),
            "{} has no `{function}`",
            &found[1]
        );
    }
}
