//! Where hunks are placed, and what a refusal says.

use super::fixture::TestTree;
use super::placement::{diff, envelope, fitted, outcome};
use crate::patch::correction::Correction;
use crate::patch::limits::Limits;
use crate::patch::lines;
use crate::patch::parsed::Patch;
use crate::patch::tree::Outcome;
use std::collections::BTreeMap;

const APP: &str = "import os\nimport sys\n\nVERSION = \"1.0\"\n\n\ndef load(path):\n    with open(path) as f:\n        data = f.read()\n\n    return data\n\n\ndef save(path, data):\n    with open(path, \"w\") as f:\n        f.write(data)\n\n    return len(data)\n";
const TWO: &str = "import os\n\n\ndef first(data):\n    check(data)\n    return data\n\n\ndef second(data):\n    check(data)\n    return data\n";

fn becomes(content: &str, patch: &str, wanted: &str) {
    let found = outcome(content.as_bytes(), patch);
    let found = found.map(|content| String::from_utf8_lossy(&content).into_owned());
    assert_eq!(found, Ok(wanted.to_owned()), "{patch}");
}

fn refused(content: &str, patch: &str, why: &[&str]) {
    match outcome(content.as_bytes(), patch) {
        Ok(content) => panic!("{}\n{patch}", String::from_utf8_lossy(&content)),
        Err(said) => {
            for why in why {
                assert!(said.contains(why), "{why}\n{said}\n{patch}");
            }
        }
    }
}

// Placed.

#[test]
fn the_stated_line_wins_over_every_other_place() {
    let wanted = TWO.replacen("return data", "return data.strip()", 1);
    becomes(
        TWO,
        &diff(
            "@@ -5,2 +5,2 @@ def first(data):\n     check(data)\n-    return data\n+    return data.strip()\n",
        ),
        &wanted,
    );
    becomes(
        "h\nx\na\nm\nn\no\nx\na\n",
        &diff("@@ -2,2 +2,2 @@\n x\n-a\n+A\n"),
        "h\nx\nA\nm\nn\no\nx\na\n",
    );
    becomes(
        "a\nb\na\nb\n",
        &diff("@@ -3 +3 @@\n-a\n+A\n"),
        "a\nb\nA\nb\n",
    );
    becomes(
        "a\nb\na\nb\n",
        &diff("@@ -1 +1 @@\n-a\n+A\n"),
        "A\nb\na\nb\n",
    );
}

#[test]
fn else_the_only_place() {
    let wanted = APP.replacen("return data\n", "return data.strip()\n", 1);
    let body = "         data = f.read()\n \n-    return data\n+    return data.strip()\n";
    for header in [
        "@@ -8,4 +8,4 @@",
        "@@ -9,3 +9,3 @@",
        "@@ -2,3 +2,3 @@",
        "@@ -900,3 +900,3 @@",
        "@@ -0,3 +0,3 @@",
        "@@",
        "@@ ... @@",
        "@@ -XX,YY +XX,YY @@",
        "@@ def load(path):",
        "@@ ... @@ def load(path):",
        "@@ -99999999999 +1 @@",
    ] {
        becomes(APP, &diff(&format!("{header}\n{body}")), &wanted);
        becomes(APP, &envelope(&format!("{header}\n{body}")), &wanted);
    }
    becomes(APP, &envelope(body), &wanted);
    becomes(
        APP,
        &format!("diff --git a/f\n+++ b/f\n@@ -9,6 +9,6 @@\n{body}"),
        &wanted,
    );
    for header in [
        "+++ b/f",
        "--- a/f",
        "diff --git a/f b/f\n+++ b/f",
        "diff --git a/f b/f\n--- a/f",
        "diff --git a/f b/f",
    ] {
        becomes(APP, &format!("{header}\n@@ -9,3 +9,3 @@\n{body}"), &wanted);
    }
    becomes(
        APP,
        &diff("@@ -4 +4 @@\n-VERSION = \"1.0\"\n+VERSION = \"1.1\"\n"),
        &APP.replace("1.0", "1.1"),
    );
}

#[test]
fn a_heading_only_chooses_among_places() {
    let hunk = "     check(data)\n-    return data\n+    return None\n";
    let wanted = "import os\n\n\ndef first(data):\n    check(data)\n    return data\n\n\ndef second(data):\n    check(data)\n    return None\n";
    for patch in [
        diff(&format!("@@ def second(data):\n{hunk}")),
        envelope(&format!("@@ def second(data):\n{hunk}")),
        envelope(&format!(
            "@@ def first(data):\n@@ def second(data):\n{hunk}"
        )),
    ] {
        becomes(TWO, &patch, wanted);
    }
    becomes(
        TWO,
        &envelope(&format!("@@ ... @@\n{hunk}*** End of File\n")),
        wanted,
    );
    for patch in [
        diff(&format!("@@ def first(data):\n{hunk}")),
        envelope(&format!("@@ def first(data):\n{hunk}")),
        diff(&format!("@@\n{hunk}")),
    ] {
        refused(
            TWO,
            &patch,
            &["its old lines stand at 2 places: lines 5, 10"],
        );
    }
    let only = "-import os\n+import sys\n";
    refused(
        TWO,
        &envelope(&format!("@@ def third(data):\n{only}")),
        &["behind a line `def third(data):`"],
    );
    refused(
        TWO,
        &envelope(&format!("@@ def first(data):\n{only}")),
        &["behind a line `def first(data):`"],
    );
    refused(
        TWO,
        &envelope(&format!("@@\n{only}*** End of File\n")),
        &["stand at line 1, which is not the end"],
    );
}

#[test]
fn lines_that_come_without_old_ones() {
    becomes(
        "a\nb\nc\n",
        &diff("@@ -2,0 +3,2 @@\n+x\n+y\n"),
        "a\nb\nx\ny\nc\n",
    );
    becomes("a\nb\nc\n", &diff("@@ -3,0 +4 @@\n+x\n"), "a\nb\nc\nx\n");
    becomes(
        "a\nb\nc\n",
        &diff("@@ -1 +1,2 @@\n-a\n+A\n+B\n@@ -2,0 +4 @@\n+x\n"),
        "A\nB\nb\nx\nc\n",
    );
    becomes("a\n", &envelope("@@\n+x\n*** End of File\n"), "a\nx\n");
    becomes("", &diff("@@ -0,0 +1 @@\n+x\n"), "x\n");
    becomes("", &envelope("@@\n+x\n"), "x\n");
    refused(
        "a\nb\nc\n",
        &diff("@@ -2,0 +2 @@\n+x\n"),
        &["contradict each other"],
    );
    refused(
        "a\nb\nc\n",
        &diff("@@ -9,0 +10 @@\n+x\n"),
        &["behind line 9, and the file has 3"],
    );
    refused(
        "a\nb\nc\n",
        &diff("@@ -2,2 +2,3 @@\n+x\n"),
        &["nothing that says where they go"],
    );
    refused(
        "a\nb\nc\n",
        &diff("@@\n+x\n"),
        &["nothing that says where they go"],
    );
    refused(
        "a\nb\nc\n",
        &envelope("+x\n"),
        &["nothing that says where they go"],
    );
    refused(
        APP,
        &diff("@@ -0,0 +1,2 @@\n+def extra():\n+    return 1\n"),
        &[
            "the file exists; `@@ -0,0` makes a new one",
            "`import os`, `import sys`",
        ],
    );
}

#[test]
fn several_hunks_of_one_file() {
    let file = "a\nb\nc\nd\ne\nf\ng\n";
    let first = "@@ -1,2 +1,3 @@\n a\n+x\n b\n";
    for second in [
        "@@ -6 +7 @@\n-f\n+F\n",
        "@@ -6 +99 @@\n-f\n+F\n",
        "@@\n-f\n+F\n",
    ] {
        becomes(
            file,
            &diff(&format!("{first}{second}")),
            "a\nx\nb\nc\nd\ne\nF\ng\n",
        );
        becomes(
            file,
            &diff(&format!("{second}{first}")),
            "a\nx\nb\nc\nd\ne\nF\ng\n",
        );
        becomes(
            file,
            &format!("{}{}", diff(first), diff(second)),
            "a\nx\nb\nc\nd\ne\nF\ng\n",
        );
    }
    for second in [
        "@@ -2 +2 @@\n-b\n+B\n",
        "@@ -1,2 +1,2 @@\n a\n-b\n+B\n",
        first,
    ] {
        let both = diff(&format!("{first}@@ -2,2 +3,1 @@\n b\n-c\n{second}"));
        refused(file, &both, &["hunk 3", "make one hunk of both"]);
    }
    // Each section after the one above: the second changes what the first one brings.
    becomes(
        file,
        &format!(
            "{}{}",
            diff("@@ -1 +1 @@\n-a\n+A\n"),
            diff("@@ -1 +1 @@\n-A\n+AA\n")
        ),
        "AA\nb\nc\nd\ne\nf\ng\n",
    );
    // Line 2 is the first or the second `a`, as one counts.
    let both = format!(
        "{}{}",
        diff("@@ -1,0 +2 @@\n+x\n"),
        diff("@@ -3 +3 @@\n-a\n+A\n")
    );
    refused(
        "h\na\na\nb\n",
        &both,
        &["one thing when", "and another when"],
    );
}

#[test]
fn ends_of_files() {
    becomes(
        "x = '1'\ny = 2",
        &diff("@@ -1,2 +1,2 @@\n-x = '1'\n+x = \"1\"\n y = 2\n"),
        "x = \"1\"\ny = 2",
    );
    becomes("a\nb", &diff("@@ -1,2 +1,2 @@\n a\n-b\n+c\n"), "a\nc");
    becomes("a\nb", &diff("@@ -1,2 +1,3 @@\n a\n b\n+c\n"), "a\nb\nc");
    becomes("a\nb", &diff("@@ -2,0 +3 @@\n+c\n"), "a\nb\nc");
    becomes("a\nb", &diff("@@ -1,2 +1 @@\n a\n-b\n"), "a\n");
    becomes(
        "a\nb",
        &diff("@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+c\n"),
        "a\nc\n",
    );
    becomes(
        "a\nb",
        &diff("@@ -2 +2 @@\n-b\n+c\n\\ No newline at end of file\n"),
        "a\nc",
    );
    becomes(
        "a\nb\n",
        &diff("@@ -2 +2 @@\n-b\n+c\n\\ No newline at end of file\n"),
        "a\nc",
    );
    becomes(
        "a\nb\n",
        &diff("@@ -1,2 +1,2 @@\n-a\n+A\n b\n\\ No newline at end of file\n"),
        "A\nb\n",
    );
    becomes(
        "a\nb",
        &diff("@@ -1 +1 @@\n-a\n+A\n@@ -2 +2,2 @@\n b\n+c\n"),
        "A\nb\nc",
    );
    becomes(
        "a\nb",
        &diff("@@ -2 +2 @@\n-b\n+B\n@@ -2,0 +3 @@\n+c\n"),
        "a\nB\nc",
    );
    refused(
        "a\nb\n",
        &diff("@@ -2 +2 @@\n-b\n\\ No newline at end of file\n+c\n"),
        &["`b`, has a line end"],
    );
    refused(
        "a\nb\n",
        &diff("@@ -1 +1 @@\n-a\n+c\n\\ No newline at end of file\n"),
        &["not the last one"],
    );
}

#[test]
fn line_ends_of_files_that_mix_them() {
    let mixed = "a\r\nb\r\nc\nd\n";
    becomes(
        mixed,
        &diff("@@ -1,2 +1,2 @@\n a\n-b\n+B\n"),
        "a\r\nB\r\nc\nd\n",
    );
    becomes(
        mixed,
        &diff("@@ -3,2 +3,2 @@\n c\n-d\n+D\n"),
        "a\r\nb\r\nc\nD\n",
    );
    becomes(
        mixed,
        &diff("@@ -2,2 +2,2 @@\n b\r\n-c\n+C\n"),
        "a\r\nb\r\nC\nd\n",
    );
    becomes(mixed, &diff("@@ -2,2 +2 @@\n b\n-c\n"), "a\r\nb\r\nd\n");
    refused(
        mixed,
        &diff("@@ -2,2 +2,2 @@\n b\n-c\n+C\n"),
        &["line 2 of the file", "`\\r\\n`"],
    );
    refused(
        "a\r\nb\r\n",
        &diff("@@ -1,2 +1,2 @@\n a\r\n-b\n+B\n"),
        &["line end"],
    );
}

#[test]
fn trailing_blanks_of_context_lines_are_told() {
    let file = "int main(void)   \n{\n  return 0;\t\n}\n";
    becomes(
        file,
        &diff("@@ -1,3 +1,3 @@\n int main(void)\n-{\n+{ //\n   return 0;\n"),
        "int main(void)   \n{ //\n  return 0;\t\n}\n",
    );
    let patch = fitted(
        file.as_bytes(),
        &diff("@@ -1,2 +1,2 @@\n int main(void)\n-{\n+{ //\n"),
    )
    .expect("fits");
    let told: Vec<String> = patch
        .corrections
        .iter()
        .map(Correction::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "line 1 of `f`, a context line, differed only in trailing white space; the file keeps its own"
        ]
    );
    refused(
        file,
        &diff("@@ -1,4 +1,4 @@\n int main(void)\n {\n-  return 0;\n+  return 1;\n }\n"),
        &[
            "line 3 of the file differs, only in white space",
            "the patch has `  return 0;`, the file has `  return 0;\\t`",
        ],
    );
    // The number says the one, the letters the other.
    refused(
        "x \na\nm\nx\na\n",
        &diff("@@ -1,2 +1,2 @@\n x\n-a\n+A\n"),
        &["lines 1, 4"],
    );
}

#[test]
fn hunks_for_git_stand_on_lines_of_the_tree() {
    let text = |content: &str, patch: &str| fitted(content.as_bytes(), patch).expect("fits").text();
    let head = "diff --git a/f b/f\n--- a/f\n+++ b/f\n";
    assert_eq!(
        text(
            "h\nx\na\nm\nn\no\nx\na\n",
            &diff("@@ -2,2 +2,2 @@\n x\n-a\n+A\n")
        ),
        format!("{head}@@ -1,6 +1,6 @@\n h\n x\n-a\n+A\n m\n n\n o\n")
    );
    assert_eq!(
        text("a\nb", &diff("@@ -1,2 +1,3 @@\n a\n b\n+c\n")),
        format!(
            "{head}@@ -1,2 +1,3 @@\n a\n-b\n\\ No newline at end of file\n+b\n+c\n\\ No newline at end of file\n"
        )
    );
    // A line that is not UTF-8 is context as any other.
    let patch = fitted(b"a\n\xff\n", &diff("@@ -1 +1 @@\n-a\n+b\n")).expect("fits");
    assert!(patch.bytes().ends_with(b"-a\n+b\n \xff\n"));
}

// Refused, so that it can be put right.

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
