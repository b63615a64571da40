//! The README and the pages of `docs/` say what is so: links lead somewhere, and options exist.

use crate::env::Sandbox;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Options of other programs in the examples of the manual.
const FOREIGN: [&str; 8] = [
    "--append-system-prompt", // claude
    "--conformance",          // tests/agents/run
    "--file",                 // an agent
    "--path",                 // cargo
    "--release",              // cargo
    "--stat",                 // git
    "--variant",              // opencode
    "--write",                // tests/agents/run
];

/// Pages for those who build `mesh`; they speak of other programs as well.
const FOR_BUILDERS: [&str; 3] = ["ARCHITECTURE.md", "BENCHMARKS.md", "SIMULATION.md"];

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
    let said = sandbox.mesh(&[path, &["--help"]].concat());
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
