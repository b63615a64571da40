//! What a refusal says, so that the patch can be put right.

use super::fixture::TestTree;
use super::placement::{APP, diff, fitted, outcome, refused};
use crate::patch::limits::Limits;
use crate::patch::lines;
use crate::patch::parsed::Patch;
use crate::patch::tree::Outcome;
use std::collections::BTreeMap;

#[test]
fn a_refusal_names_the_first_line_that_differs_and_how() {
    refused(
        APP,
        &diff("@@ -4,1 +4,1 @@\n-VERSION = \"0.9\"\n+VERSION = \"1.0\"\n"),
        &[
            "`f`, hunk 1 (`@@ -4,1 +4,1 @@`, line 3 of the patch): the new lines are already there, at line 4",
        ],
    );
    refused(
        APP,
        &diff("@@ -1,2 +1,2 @@\n import os\n-import re\n+import io\n"),
        &[
            "line 2 of the file differs: the patch has `import re`, the file has `import sys`",
            "1 of its 2 old lines",
        ],
    );
    refused(
        APP,
        &diff(
            "@@ -8,2 +8,2 @@\n \twith open(path) as f:\n-        data = f.read()\n+        data = None\n",
        ),
        &[
            "line 8 of the file differs, only in white space: the patch has `\\twith open(path) as f:`",
        ],
    );
    refused(
        APP,
        &diff("@@ -4 +4 @@\n-VERSION = “1.0”\n+VERSION = \"2.0\"\n"),
        &["look alike", "U+201C in the patch, U+0022 in the file"],
    );
    refused(
        "a\u{a0}b\n",
        &diff("@@ -1 +1 @@\n-a b\n+c\n"),
        &["look alike", "`a\\u{a0}b`", "U+00A0 in the file"],
    );
    refused(
        "pass\n",
        &diff("@@ -1 +1 @@\n-p\u{430}ss\n+c\n"),
        &["look alike", "U+0430 in the patch, U+0061"],
    );
    refused(
        APP,
        &diff("@@ -4 +4 @@\n-nothing like it\n+x\n"),
        &[
            "none of its old lines stands in the file",
            "line 4 is `VERSION",
        ],
    );
    refused(
        "a\nb\n",
        &diff("@@ -2,2 +2,2 @@\n b\n-c\n+C\n"),
        &["the file ends with line 2; the patch goes on with `c`"],
    );
    refused(
        "a\nb\na\nb\na\nb\n",
        &diff("@@ -9 +9 @@\n-b\n+B\n"),
        &["at 3 places: lines 2, 4, 6"],
    );
}

/// Lines that say little by themselves are known by their place.
#[test]
fn short_lines_that_are_already_there_are_told() {
    let file = "1\n2\n3\n4\n5\n";
    for (body, line) in [
        ("@@ -2,3 +2,3 @@\n 2\n-x\n+3\n 4\n", 2),
        ("@@ -1,5 +1,5 @@\n 1\n 2\n-old\n+3\n 4\n 5\n", 1),
        ("@@ -3 +3 @@\n-old\n+3\n", 3),
        ("@@ -2,3 +2,2 @@\n 2\n-x\n 3\n", 2),
        // At another line, three of them are enough.
        ("@@ -9,3 +9,3 @@\n 2\n-x\n+3\n 4\n", 2),
        ("@@\n 2\n-x\n+3\n 4\n", 2),
    ] {
        let told = format!("the new lines are already there, at line {line}");
        refused(file, &diff(body), &[&told]);
    }
    for body in [
        "@@ -9 +9 @@\n-old\n+3\n",
        "@@ -2,3 +2,3 @@\n 2\n-x\n+y\n 4\n",
        // What is gone below the last line of context is not known.
        "@@ -2,3 +2,2 @@\n 2\n 3\n-x\n",
    ] {
        let said = outcome(file.as_bytes(), &diff(body)).expect_err("refused");
        assert!(!said.contains("already there"), "{body}: {said}");
    }
}

#[test]
fn every_hunk_that_fails_is_named_and_the_text_stays_bounded() {
    refused(
        APP,
        &diff("@@ -1 +1 @@\n-import io\n+x\n@@ -4 +4 @@\n-VERSION = 2\n+x\n"),
        &["hunk 1", "hunk 2"],
    );
    let many: String = (0..500)
        .map(|number| format!("@@ -1 +1 @@\n-{}\u{1b}[31m{number}\n+x\n", "y".repeat(900)))
        .collect();
    let said = outcome(APP.as_bytes(), &diff(&many)).expect_err("refused");
    assert!(
        said.len() < 12_000 && said.ends_with("; and 488 more") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[test]
fn files_that_are_there_or_not() {
    let exists = ["the file exists, and the patch makes a new one", "`a`, `b`"];
    refused(
        "a\nb\n",
        "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+x\n",
        &exists,
    );
    refused(
        "a\nb\n",
        "*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n",
        &exists,
    );
    let paths = ["src/app.py", "src/apps/main.py", "README.md"];
    let tree = TestTree::of_files(paths.map(|path| (path, b"x\n".as_slice())));
    for (path, near) in [
        ("app.py", "`src/app.py`"),
        ("src/ap.py", "`src/app.py`"),
        ("readme.md", "`README.md`"),
    ] {
        let patch = format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n");
        let error = Patch::parse(&patch, &Limits::default()).and_then(|patch| patch.fit(&tree));
        let said = error.expect_err("refused").to_string();
        assert!(
            said.contains("there is no such file; the nearest ones are") && said.contains(near),
            "{said}"
        );
    }
    let two = "--- a/n\n+++ b/n\n@@ -0,0 +1,2 @@\n+a\n+\n@@ -0,0 +3 @@\n+b\n";
    for patch in [
        two.to_owned(),
        two.replace("--- a/n", "--- /dev/null"),
        "*** Begin Patch\n*** Add File: n\n+a\n+\n+b\n*** End Patch\n".to_owned(),
    ] {
        let patch = fitted(b"", &patch).expect("fits");
        assert_eq!(
            patch.outcomes.get("n"),
            Some(&Outcome::File(b"a\n\nb\n".to_vec()))
        );
    }
    refused(
        "",
        &two.replace("+3 @@", "+9 @@"),
        &["have to follow each other"],
    );
}

#[test]
fn files_that_go_and_move() {
    let gone = |content: &str, patch: &str| {
        fitted(content.as_bytes(), patch).map(|patch| (patch.outcomes.clone(), patch.text()))
    };
    let (outcomes, text) = gone(
        "a\nb",
        "*** Begin Patch\n*** Delete File: f\n*** End Patch\n",
    )
    .expect("fits");
    assert_eq!(
        outcomes,
        BTreeMap::from([("f".to_owned(), Outcome::Absent)])
    );
    assert!(
        text.ends_with("@@ -1,2 +0,0 @@\n-a\n-b\n\\ No newline at end of file\n"),
        "{text}"
    );
    gone(
        "a\nb\n",
        "--- a/f\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n-b\n",
    )
    .expect("fits");
    for (body, why) in [
        (
            "@@ -1 +0,0 @@\n-a\n",
            "the file has 2 lines, and the hunk removes the first 1",
        ),
        ("@@ -1,2 +0,0 @@\n-a\n-c\n", "the file has `b`"),
        ("@@ -1,3 +0,0 @@\n-a\n-b\n-c\n", "the file ends with line 2"),
    ] {
        refused("a\nb\n", &format!("--- a/f\n+++ /dev/null\n{body}"), &[why]);
    }
    let (outcomes, text) = gone(
        "a\nb\n",
        "*** Begin Patch\n*** Update File: f\n*** Move to: g\n@@\n-b\n+B\n*** End Patch\n",
    )
    .expect("fits");
    assert_eq!(
        outcomes,
        BTreeMap::from([
            ("f".to_owned(), Outcome::Absent),
            ("g".to_owned(), Outcome::File(b"a\nB\n".to_vec()))
        ])
    );
    assert!(
        text.contains("rename from f\nrename to g\n--- a/f\n+++ b/g\n@@ -1,2 +1,2 @@\n"),
        "{text}"
    );
}

#[test]
fn searching_a_large_file_for_many_hunks_ends() {
    // Its lines stand everywhere, its last two nowhere together.
    let file = "x\ny\n".repeat(30_000);
    let hunk = format!(
        "@@ -1,40 +1,40 @@\n{}-x\n+z\n-y\n-y\n",
        " y\n x\n".repeat(18)
    );
    let said = outcome(file.as_bytes(), &diff(&hunk.repeat(2000))).expect_err("refused");
    assert!(
        said.contains("hunk 1 ") && said.contains("and 1988 more"),
        "{said}"
    );
    // Where the numbers are right, nothing is searched.
    let hunks: String = (0..2000)
        .map(|number| format!("@@ -{0} +{0} @@\n-x\n+z\n", 1 + number * 10))
        .collect();
    outcome(file.as_bytes(), &diff(&hunks)).expect("placed");
    let sections: String = (0..200)
        .map(|_| diff("@@ -1,2 +1,2 @@\n x\n-z\n+y\n"))
        .collect();
    refused(&file, &sections, &[]);
    let mut work = lines::SearchBudget::bounded(10);
    assert_eq!((work.take(6), work.take(6)), (Some(()), None));
    assert!(work.is_spent());
}
