//! The README and the pages of `docs/` say what is so: links lead somewhere, options exist, the quick starts run, and errors
//! are quoted as they are.

use crate::fixture::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Options of other programs in the examples of the manual.
const FOREIGN: [&str; 9] = [
    "--append-system-prompt", // claude
    "--bin",                  // cargo
    "--conformance",          // tests/agents/run
    "--file",                 // an agent
    "--path",                 // cargo
    "--release",              // cargo
    "--stat",                 // git
    "--variant",              // opencode
    "--write",                // tests/agents/run
];

/// Pages for those who build `mesh`; they speak of other programs as well.
const FOR_BUILDERS: [&str; 4] = [
    "ARCHITECTURE.md",
    "BENCHMARKS.md",
    "RELIABILITY.md",
    "SIMULATION.md",
];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages_in(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(project().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut pages: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    pages
}

fn text(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// The targets of `[text](target)`, without those on the web.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let rest = text.split("](").skip(1);
    let targets = rest.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://"))
}

/// Anchors as GitHub and rustdoc make them of headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                c => (c.is_alphanumeric() || c == '-' || c == '_').then_some(c),
            });
            kept.collect()
        })
        .collect()
}

#[test]
fn links_of_the_manual_lead_somewhere() {
    let folders = [
        ".",
        "docs",
        "waves",
        "examples/demo",
        "examples/eval",
        "examples/own-command",
        "examples/repo-facts",
    ];
    let mut count = 0;
    for page in folders.into_iter().flat_map(pages_in) {
        let said = text(&page);
        for link in links(&said) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().expect("a folder").join(path),
            };
            assert!(target.exists(), "{}: no file for {link}", page.display());
            let is_there = anchor.is_empty() || anchors(&text(&target)).contains(anchor);
            assert!(is_there, "{}: no heading for {link}", page.display());
            count += 1;
        }
    }
    assert!(count >= 40, "{count} links");
}

#[test]
fn the_index_of_the_manual_has_every_page() {
    let index = text(&project().join("docs/README.md"));
    let linked: BTreeSet<_> = links(&index).collect();
    for page in pages_in("docs") {
        let name = page.file_name().expect("a name").to_str().expect("UTF-8");
        assert!(
            name == "README.md" || linked.contains(name),
            "docs/README.md has no link to {name}"
        );
    }
}

#[test]
fn the_readme_is_one_page_with_the_commands_that_ci_runs() {
    let readme = text(&project().join("README.md"));
    assert!(readme.lines().count() <= 85, "{}", readme.lines().count());
    let ci = text(&project().join(".ci/run"));
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(readme.contains(&format!("\n    {command}\n")), "{command}");
        assert!(ci.contains(&format!("\nstep {command}\n")), "{command}");
    }
}

/// Long options in a text: `--name`, not `--` alone and not a rule of dashes.
fn options(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| !is_part(c));
    let long = words.filter(|word| word.starts_with("--") && word.len() > 3);
    long.filter(|word| word.as_bytes()[2] != b'-')
        .map(|word| word.trim_end_matches('-').to_owned())
        .collect()
}

/// The names under `Commands:` of a help text.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| {
        let name = line.strip_prefix("  ")?;
        (!name.starts_with(' ')).then(|| name.split(' ').next().unwrap_or_default().to_owned())
    });
    names.filter(|name| name != "help").collect()
}

fn add_options_of(sandbox: &Sandbox, path: &[&str], found: &mut BTreeSet<String>) {
    let said = sandbox.mesh(Args::from(path).and("--help"));
    assert_eq!(said.code, 0, "{path:?}: {}", said.err);
    found.extend(options(&said.out));
    for command in commands(&said.out) {
        add_options_of(sandbox, &[path, &[command.as_str()]].concat(), found);
    }
}

#[test]
fn options_in_the_manual_exist() {
    let sandbox = Sandbox::new();
    let mut known: BTreeSet<String> = FOREIGN.map(str::to_owned).into();
    add_options_of(&sandbox, &[], &mut known);
    let mut count = 0;
    let manual = pages_in("docs").into_iter();
    let manual = manual.filter(|page| !FOR_BUILDERS.iter().any(|name| page.ends_with(name)));
    for page in manual.chain([project().join("README.md")]) {
        for option in options(&text(&page)) {
            let name = page.display();
            assert!(known.contains(&option), "{name}: no command has {option}");
            count += 1;
        }
    }
    assert!(count >= 60, "{count} options");
}

/// The lines of the first indented block below a heading.
fn commands_below(page: &str, heading: &str) -> Vec<String> {
    let (_, rest) = page.split_once(heading).expect("the heading");
    let block = rest.lines().skip_while(|line| !line.starts_with("    "));
    let block = block.take_while(|line| line.starts_with("    "));
    block.map(|line| line.trim().to_owned()).collect()
}

/// Runs one line of a quick start as a user would, with `mesh` and what is in `bin` on PATH.
fn in_a_shell(sandbox: &Sandbox, line: &str) -> Said {
    let program = Path::new(env!("CARGO_BIN_EXE_mesh"));
    let mut paths = vec![
        sandbox.path("bin"),
        program.parent().expect("a folder").to_owned(),
    ];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    paths.extend(std::env::split_paths(&inherited));
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(sandbox.path("."))
        .env("PATH", std::env::join_paths(paths).expect("a PATH"))
        .env("HOME", sandbox.mesh_home())
        .env("MESH_HOME", sandbox.mesh_home())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    let said = said(output);
    assert_eq!(said.code, 0, "{line}: {}{}", said.out, said.err);
    said
}

#[test]
fn the_quick_start_with_a_csv_does_what_it_says() {
    let readme = text(&project().join("README.md"));
    let lines = commands_below(&readme, "## Run an agent over a CSV");
    assert_eq!(lines.len(), 5, "{lines:?}");
    let sandbox = Sandbox::new();
    for line in &lines {
        in_a_shell(&sandbox, line);
    }
    let output = sandbox.read("out.csv");
    for city in ["Oslo", "Lima"] {
        let result = format!(r#"completed,1,,"{{""hi"":""{city}""}}","#);
        assert!(output.contains(&result), "{output}");
    }
}

/// Answers for every round, chosen by the row id: the validation command is one that needs no permission.
const MY_AGENT: &str = r#"#!/bin/sh
cat >/dev/null
case $MESH_ITEM_ID in
*.hydrate.*) printf '%s\n' '{"mesh":{"scope":["parser.txt"],"acceptance":["it says so"],"validation":["./gradlew test"]},"plan":["x"],"assumptions":[],"risk":"low","risks":[]}' ;;
*.proposal.*) printf '%s\n' '{"plan":["x"],"assumptions":[],"risk":"low","risks":[]}' ;;
*.critique.*) printf '%s\n' '{"findings":[],"must_fix":[],"flip_conditions":[],"risk":"low"}' ;;
*.synthesis.*) printf '%s\n' '{"decision_log":[],"patch":"--- a/parser.txt\n+++ b/parser.txt\n@@ -1 +1,2 @@\n names\n+no empty ones\n","validation":[],"residual_risk":"low"}' ;;
*.vote.*) printf '%s\n' '{"vote":"agree","reason":"it does"}' ;;
esac
"#;

#[test]
fn the_quick_start_with_a_plan_does_what_it_says() {
    let readme = text(&project().join("README.md"));
    let lines = commands_below(&readme, "## Run an agent on a plan");
    assert_eq!(lines.len(), 5, "{lines:?}");
    let sandbox = Sandbox::new();
    sandbox.write("parser.txt", "names\n");
    std::fs::create_dir(sandbox.path("bin")).expect("a folder");
    write_program(&sandbox.path("bin/my-agent"), MY_AGENT);
    write_program(
        &sandbox.path("gradlew"),
        "#!/bin/sh\ngrep -q empty parser.txt\n",
    );
    sandbox.git("init --quiet");
    sandbox.git("add --all");
    sandbox.git("commit --quiet -m start");
    for line in &lines {
        in_a_shell(&sandbox, line);
    }
    assert_eq!(sandbox.read("parser.txt"), "names\nno empty ones\n");
}

/// Whether a page quotes what the program says, with the folder of the test as `/tmp/demo`.
fn assert_quoted(sandbox: &Sandbox, page: &str, args: &[&str]) {
    let said = sandbox.mesh(args);
    assert_ne!(said.code, 0, "{args:?}");
    let work = std::fs::canonicalize(sandbox.path(".")).expect("a folder");
    let manual = text(&project().join("docs").join(page));
    for line in said.err.lines().filter(|line| !line.is_empty()) {
        let line = line.replace(&work.display().to_string(), "/tmp/demo");
        assert!(manual.contains(&line), "docs/{page} does not quote: {line}");
    }
}

#[test]
fn the_manual_quotes_errors_as_they_are() {
    let sandbox = Sandbox::with_repo(&[("cities.csv", "city,country\nLima,Peru,South\n")]);
    let spawn = ["spawn", "cities.csv", "--instruction", "x", "--", "true"];
    assert_quoted(&sandbox, "csv-jobs.md", &spawn);
    sandbox.write(".gitignore", "");
    assert_quoted(&sandbox, "exit-codes.md", &["run", "--", "true"]);
    sandbox.write("mesh.yaml", "max_concurrency: 4\nmax_runtime_secs: 3\n");
    assert_quoted(&sandbox, "configuration.md", &["run", "--", "true"]);
}

#[test]
fn shells_ask_for_completions_and_get_ids_and_columns() {
    let sandbox = Sandbox::new();
    sandbox.write("in.csv", "city,size\nRome,1\n");
    sandbox.mesh("spawn in.csv --run-id R1 --instruction x -- true");
    let complete = |words: &[&str]| {
        let mut command = sandbox.command(&["--", "mesh"]);
        command.args(words);
        command.env("MESH_COMPLETE", "bash");
        command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        said(command.output().expect("started")).exits(0).out
    };
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    assert_eq!(lines(&complete(&["resume", "R"])), ["R1"]);
    assert_eq!(
        lines(&complete(&["spawn", "in.csv", "--id-column", "c"])),
        ["city"]
    );
    assert!(complete(&["spawn", "--adapter", "c"]).contains("codex"));
    assert!(complete(&["insp"]).contains("inspect"));
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.mesh(&["completions", shell]).exits(0).out;
        assert_contains(&script, "MESH_COMPLETE");
    }
    sandbox
        .mesh("completions tcsh")
        .exits(2)
        .err_has("invalid value 'tcsh'");
}

#[test]
fn every_command_has_a_manual_page_with_its_examples() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.work().join("man")).expect("made");
    sandbox.mesh("man --dir man").exits(0);
    for (page, part) in [
        ("mesh.1", "EXIT STATUS"),
        ("mesh-spawn.1", "EXAMPLES"),
        ("mesh-wave-next.1", "mesh wave next"),
    ] {
        let page = sandbox.read(&format!("man/{page}"));
        assert!(page.starts_with(".ie") && page.contains(".TH"), "{page}");
        assert_contains(&page.replace('\\', ""), part);
    }
    sandbox.mesh("man wave next").exits(0).out_has("SYNOPSIS");
    sandbox
        .mesh("man nothing")
        .exits(2)
        .err_has("mesh has no command `nothing`");
}

/// The files in a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let files = entries.map(|entry| {
        let entry = entry.expect("an entry");
        (
            entry.file_name().to_string_lossy().into_owned(),
            read_file(entry.path()),
        )
    });
    files.collect()
}

fn docs(folder: &str) -> BTreeMap<String, String> {
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("docs")
            .join(folder),
    )
}

#[test]
fn the_manual_pages_are_current_and_have_examples_and_exit_codes() {
    let sandbox = Sandbox::new();
    sandbox.mesh("man --dir pages").exits(0);
    let (written, kept) = (files(&sandbox.path("pages")), docs("man"));
    assert!(written.len() >= 40, "{}", written.len());
    assert_eq!(
        written.keys().collect::<Vec<_>>(),
        kept.keys().collect::<Vec<_>>(),
        "run .ci/generate"
    );
    for (name, page) in &written {
        assert!(
            kept[name] == *page,
            "{name} is not current: run .ci/generate"
        );
        let examples = page.split(".SH EXAMPLES").nth(1).unwrap_or_default();
        let (examples, rest) = examples.split_once(".SH ").unwrap_or_default();
        let count = examples.matches("mesh").count();
        assert!(count >= 3, "{name} has {count} examples: {page}");
        assert!(
            format!(".SH {rest}").contains("EXIT STATUS"),
            "{name}: {page}"
        );
    }
    let shown = sandbox.mesh("man wave next").exits(0);
    assert_eq!(shown.out, written["mesh-wave-next.1"]);
}

#[test]
fn the_completions_are_current() {
    let sandbox = Sandbox::new();
    let kept = docs("completions");
    for (shell, file) in [
        ("bash", "mesh.bash"),
        ("zsh", "_mesh"),
        ("fish", "mesh.fish"),
    ] {
        let script = sandbox.mesh(&["completions", shell]).exits(0).out;
        assert!(
            kept[file] == script,
            "{file} is not current: run .ci/generate"
        );
    }
}

#[test]
fn the_short_help_has_an_example_and_the_long_one_all_with_groups() {
    let sandbox = Sandbox::new();
    let short = sandbox.mesh("run -h").exits(0);
    short.out_has("Example:\n  mesh run -- my-agent --json");
    assert!(short.out.lines().count() <= 40, "{}", short.out);
    short.out_lacks("--protected-branches");
    let long = sandbox.mesh("run --help").exits(0);
    for part in [
        "Examples:",
        "Integration:",
        "--protected-branches",
        "Exit codes: 0 success",
    ] {
        long.out_has(part);
    }
}
