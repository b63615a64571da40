//! What is made of any lines that mean something in a diff, git reads as it was read here.

use super::history::Random;
use crate::fixture::*;
use mesh::patch::{Limits, Patch, Rules};
use mesh::scope::Scope;
use std::collections::BTreeMap;

const LINES: [&str; 42] = [
    "diff --git a/x b/x",
    "diff --git a/x y b/x y",
    "diff --git a/x b/y",
    "diff --git \"a/\\303\\244\" \"b/\\303\\244\"",
    "--- a/x",
    "+++ b/x",
    "--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@ fn",
    "--- /dev/null\n+++ b/y z\n@@ -0,0 +1,2 @@",
    "--- \"a/q\\\"\"\n+++ /dev/null\n@@ -1,2 +0,0 @@",
    "--- /dev/null",
    "+++ /dev/null",
    "--- x\n+++ x",
    "@@ -1 +1 @@",
    "@@ -1,2 +1,3 @@",
    "@@ -0,0 +1,2 @@",
    "@@ -1,2 +0,0 @@",
    "new file mode 100644",
    "new file mode 120000",
    "deleted file mode 100755",
    "old mode 100644",
    "new mode 100755",
    "rename from x\nrename to y",
    "copy from x\ncopy to y z",
    "rename from x",
    "index 1..2 120000",
    "index 0000000000000000000000000000000000000000..aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "similarity index 90%",
    "GIT binary patch\nliteral 3\nKcmZQzWC8#H2LJ>B\n",
    "\\ No newline at end of file",
    "",
    " same",
    " ",
    "-removed",
    "-",
    "+added",
    "+added\r",
    "+++ added",
    "--- removed",
    "-- \n2.47.3\n",
    "```",
    "words",
    "- item",
];

/// Texts of up to twelve such lines; those that can be read, as patches.
fn patches(count: usize) -> BTreeMap<String, Patch> {
    let mut random = Random(42);
    let mut patches = BTreeMap::new();
    let limits = Limits {
        allow_binary: true,
        ..Limits::default()
    };
    let globs = ["**".to_owned()];
    let rules = Rules {
        globs: &globs,
        scope: &Scope::new(&globs).expect("globs"),
        reserved: &[],
        limits,
    };
    while patches.len() < count {
        let lines = (0..1 + random.below(12)).map(|_| random.of(&LINES));
        let text = lines.collect::<Vec<_>>().join("\n");
        let checked = Patch::parse(&text, &limits).and_then(|patch| {
            patch.check(&rules)?;
            Ok(patch)
        });
        if let Ok(patch) = checked {
            patches.insert(patch.text(), patch);
        }
    }
    patches
}

/// A record of `--numstat -z`.
fn record(path: &str, counts: &str) -> String {
    let counts = counts.trim_start_matches('+').replacen(" -", "\t", 1);
    format!("{counts}\t{path}\0")
}

#[test]
fn git_reads_the_patches_alike() {
    let sandbox = Sandbox::with_repo(&[]);
    let patches = patches(1500);
    let (mut files, mut forwards, mut sources) = (Vec::new(), String::new(), Vec::new());
    for (number, (text, patch)) in patches.iter().enumerate() {
        files.push(format!("../{number}.diff"));
        sandbox.write(&files[number], text);
        let listed = patch.listed();
        forwards.extend(
            listed
                .paths
                .iter()
                .map(|(path, counts)| record(path, counts)),
        );
        sources.extend(listed.sources.into_iter().rev());
    }
    let numstat = |option: &str| {
        let options = ["apply", "-p1", "--numstat", "-z", option];
        let files = files.iter().map(String::as_str);
        sandbox.git(&options.into_iter().chain(files).collect::<Vec<_>>())
    };
    assert_eq!(numstat("--whitespace=nowarn"), forwards);
    let backwards = numstat("-R");
    let paths = backwards
        .split_terminator('\0')
        .map(|record| record.splitn(3, '\t').nth(2));
    assert_eq!(paths.collect::<Option<Vec<_>>>().expect("paths"), sources);
}
