//! Where patches land, through git: what was computed is what stands in the tree.

use super::Desk;
use super::history::Random;
use crate::fixture::*;
use mesh::integrate::Evidence;
use mesh::patch::{Limits, Outcome};

/// Whether the patch of a case applies, and what the file is then; else what the refusal says.
enum Right {
    Becomes(&'static str, fn(&str) -> String),
    Refused(&'static [&'static str]),
}

/// Shapes of patches that models write, each with the tree that it is for and the patch.
macro_rules! case {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../cases/patches/", $name, "/files.json")),
            include_str!(concat!("../cases/patches/", $name, "/patch.txt")),
        )
    };
}

fn stripped(app: &str) -> String {
    app.replacen("    return data\n", "    return data.strip()\n", 1)
}

fn cases() -> Vec<((&'static str, &'static str, &'static str), Right)> {
    let added = |_: &str| {
        "import app\n\ndef test_a():\n    assert app.VERSION\n\ndef test_b():\n    assert app.load\n"
            .to_owned()
    };
    vec![
        (
            case!("P01-no-line-numbers"),
            Right::Becomes("app.py", stripped),
        ),
        (
            case!("P02-apply-patch-format"),
            Right::Becomes("app.py", stripped),
        ),
        (
            case!("P06a-file-without-eof-newline"),
            Right::Becomes("foo.py", |_| "x = \"1\"\ny = 2".to_owned()),
        ),
        (
            case!("P09-trailing-ws-context"),
            Right::Refused(&[
                "`a.c`, hunk 1",
                "line 3 of the file differs, only in white space",
            ]),
        ),
        (
            case!("P13-new-file-two-hunks"),
            Right::Becomes("tests/test_app.py", added),
        ),
        (
            case!("P14-zero-on-existing"),
            Right::Refused(&[
                "the file exists; `@@ -0,0` makes a new one",
                "`import os`, `import sys`",
            ]),
        ),
        (
            case!("P35-already-applied"),
            Right::Refused(&["the new lines are already there, at line 4"]),
        ),
        (
            case!("P41-no-trailing-context"),
            Right::Becomes("app.py", stripped),
        ),
        (
            case!("P42-zero-context"),
            Right::Becomes("app.py", |app| app.replace("\"1.0\"", "\"1.1\"")),
        ),
        (
            case!("P69-missing-minus-header"),
            Right::Becomes("app.py", stripped),
        ),
        (
            case!("P80-eof-anchor-wrong-place"),
            Right::Becomes("d.txt", |_| "h\nx\nA\nm\nn\no\nx\na\n".to_owned()),
        ),
        (case!("P81-real-shape"), Right::Becomes("app.py", stripped)),
    ]
}

#[test]
fn the_patch_shapes_that_models_write_are_accepted() {
    for ((name, files, patch), right) in cases() {
        let files: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(files).expect("JSON");
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_str().expect("text")))
            .collect();
        let sandbox = Sandbox::with_repo(&files);
        let desk = Desk::new(&sandbox);
        match right {
            Right::Becomes(path, becomes) => {
                desk.take(patch);
                assert_eq!(sandbox.read(path), becomes(files[0].1), "{name}");
            }
            Right::Refused(why) => {
                let before = sandbox.tree();
                let said = desk.refusal(patch);
                assert!(why.iter().all(|why| said.contains(why)), "{name}: {said}");
                assert!(sandbox.tree() == before, "{name}");
            }
        }
    }
}

/// Files of a few lines that repeat, and a hunk without context at a place that is right.
#[test]
fn git_places_hunks_where_they_were_placed() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let sandbox = Sandbox::with_repo(&[("f", "a\n")]);
    let desk = Desk::new(&sandbox);
    for _ in 0..150 {
        let lines: Vec<&str> = (0..2 + random.below(12))
            .map(|_| random.of(&["a", "b", "c", ""]))
            .collect();
        let end = random.of(&["", "\n"]);
        let content = lines.join("\n") + if lines.last() == Some(&"") { "\n" } else { end };
        let at = random.below(lines.len());
        let until = (at + 1 + random.below(2)).min(lines.len());
        let old: String = lines[at..until]
            .iter()
            .map(|line| format!("-{line}\n"))
            .collect();
        let new = random.of(&["+x\n", "+x\n+a\n", ""]);
        let (line, count) = (at + 1, until - at);
        let patch = format!("--- a/f\n+++ b/f\n@@ -{line},{count} +{line},9 @@\n{old}{new}");
        sandbox.write("f", &content);
        match desk.examine(&patch, &["**".to_owned()], Limits::default()) {
            Evidence::Applies { patch: placed, .. } => {
                desk.apply(&placed);
                let found = Outcome::File(sandbox.read("f").into_bytes());
                assert_eq!(
                    placed.outcomes.get("f"),
                    Some(&found),
                    "{content:?}\n{patch}"
                );
            }
            Evidence::Refused { detail, .. } => panic!("{detail}\n{content:?}\n{patch}"),
        }
    }
}

#[test]
fn a_non_utf8_line_can_be_context() {
    let sandbox = Sandbox::with_repo(&[("f", "a\n")]);
    std::fs::write(sandbox.path("f"), b"x\na\n\xff\xfe\nx\na\n").expect("written");
    Desk::new(&sandbox).take("--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n x\n-a\n+A\n");
    let found = std::fs::read(sandbox.path("f")).expect("read");
    assert_eq!(found, b"x\nA\n\xff\xfe\nx\na\n");
}
