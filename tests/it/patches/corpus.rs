//! Real commits as patches: applied in order, the trees are git's own; made hostile, each of them is refused.

use super::history::{self, Commit};
use super::{Desk, globs, hostile};
use crate::fixture::*;
use mesh::integrate::Evidence;
use mesh::patch::Limits;

/// Of the made-up history; of this project's own, at most.
const COMMITS: usize = 220;
const OWN_COMMITS: usize = 40;

const LIMITS: Limits = Limits {
    bytes_max: 64 * 1024 * 1024,
    allow_binary: true,
};

/// A commit's patch as a model might have written it down.
fn dressed(number: usize, commit: &Commit) -> String {
    let patch = &commit.patch;
    match number % 7 {
        0 => patch.clone(),
        1 => format!("I made these changes:\n\n```diff\n{patch}```\n\nThat is all.\n"),
        2 => format!("{}\r\n", patch.trim_end_matches('\n').replace('\n', "\r\n")),
        3 => commit.bare.clone(),
        4 => recounted(patch),
        5 => patch.strip_suffix('\n').unwrap_or(patch).to_owned(),
        _ => format!("From 1f Mon\nSubject: [PATCH] x\n\n---\n\n{patch}-- \n2.47.3\n\n"),
    }
}

/// With every hunk counting one line too few on either side, where that can still be told.
fn recounted(patch: &str) -> String {
    let fewer = |header: &str| {
        let (ranges, rest) = header.strip_prefix("@@ -")?.split_once(" @@")?;
        let (old, new) = ranges.split_once(" +")?;
        let fewer = |range: &str| {
            let (start, count) = range.split_once(',')?;
            let count = count.parse::<usize>().ok()?.checked_sub(1)?;
            Some(format!("{start},{count}"))
        };
        Some(format!("@@ -{} +{} @@{rest}", fewer(old)?, fewer(new)?))
    };
    let lines = patch
        .split_inclusive('\n')
        .map(|line| fewer(line).unwrap_or_else(|| line.to_owned()));
    lines.collect()
}

/// Applies `commits` to the work tree of `sandbox` one by one; before each, its hostile sister is refused.
fn replay(sandbox: &Sandbox, commits: &[Commit]) -> usize {
    let desk = Desk::new(sandbox);
    let mut applied = 0;
    for (number, commit) in commits
        .iter()
        .enumerate()
        .filter(|(_, commit)| !commit.patch.is_empty())
    {
        let scope = globs(&commit.paths);
        hostile::refused(&desk, number, &commit.patch, &scope);
        if !commit.is_text {
            history::check_out(sandbox, &commit.tree);
            continue;
        }
        let text = dressed(number, commit);
        // Git finds copies of files that no task would have in its scope.
        let scope = if commit.patch.contains("\ncopy from ") {
            vec!["**".to_owned()]
        } else {
            scope
        };
        match desk.examine(&text, &scope, LIMITS) {
            Evidence::Applies { patch, .. } => {
                let paths: Vec<String> = patch.paths().into_iter().collect();
                assert_eq!(paths, commit.paths, "{number}");
                desk.apply(&patch);
            }
            Evidence::Refused { code, detail } => {
                panic!("{number}: {code}: {detail}\n{}", start(&text))
            }
        }
        sandbox.git("add --all");
        assert_eq!(
            sandbox.git("write-tree").trim_end(),
            commit.tree,
            "{number}: {}",
            start(&text)
        );
        applied += 1;
    }
    applied
}

/// What of a patch is worth showing.
fn start(text: &str) -> String {
    text.chars().take(4000).collect()
}

#[test]
fn a_generated_history_replays_to_the_same_trees() {
    let origin = Sandbox::new();
    history::make_up(&origin, COMMITS);
    let commits = history::commits(&origin.work(), COMMITS);
    let sandbox = Sandbox::new();
    sandbox.git("init --quiet");
    let applied = replay(&sandbox, &commits);
    assert!(applied >= 200, "{applied}");
    // What it is made up for is in it.
    let all: String = commits.iter().map(|commit| commit.patch.as_str()).collect();
    for part in [
        "\nrename from ",
        "\ncopy from ",
        "\ndeleted file mode ",
        "\nnew file mode 120000",
        "\nold mode 100755",
        "\n\\ No newline",
        "\r\n",
        "\nGIT binary patch\nliteral ",
        "\nGIT binary patch\ndelta ",
        "+++ \"b/gr\\303\\266\\303\\237e/",
        "two words",
        " 120000\n--- ",
    ] {
        assert!(all.contains(part), "{part:?}");
    }
}

#[test]
fn the_history_of_this_project_leads_to_the_same_trees() {
    // Sources may come without a history; then the made-up one has to do.
    let Some(own) = history::own() else {
        return;
    };
    let commits = history::commits(&own, OWN_COMMITS);
    let sandbox = Sandbox::new();
    sandbox.git("init --quiet");
    history::check_out_start(&sandbox, &own, OWN_COMMITS);
    assert!(replay(&sandbox, &commits) > 0);
}
