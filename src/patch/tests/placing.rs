//! Where hunks are placed.

use super::placement::{APP, becomes, diff, envelope, fitted, refused};
use crate::patch::correction::Correction;

const TWO: &str = "import os\n\n\ndef first(data):\n    check(data)\n    return data\n\n\ndef second(data):\n    check(data)\n    return data\n";

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
    for (file, body, expected) in [
        (mixed, "@@ -2,2 +2,2 @@\n b\n-c\n+C\n", "a\r\nb\r\nC\nd\n"),
        (
            mixed,
            "@@ -2,2 +2,3 @@\n b\n+B\r\n c\n",
            "a\r\nb\r\nB\r\nc\nd\n",
        ),
        ("a\nb\n", "@@ -1,2 +1,2 @@\n a\r\n-b\n+B\n", "a\nB\n"),
        (
            "a\r\nb\r\n",
            "@@ -1,2 +1,2 @@\n a\n-b\r\n+B\r\n",
            "a\r\nB\r\n",
        ),
    ] {
        becomes(file, &diff(body), expected);
        let told = fitted(file.as_bytes(), &diff(body)).expect("it applies");
        let told: Vec<_> = told.corrections.iter().map(ToString::to_string).collect();
        assert!(
            told.iter()
                .any(|told| told.contains("only in its line end; the file keeps its own")),
            "{told:?}"
        );
    }
    refused(
        mixed,
        &diff("@@ -1,3 +1,3 @@\n a\r\n-b\n+B\n c\n"),
        &["line 2 of the file", "removes", "`\\r\\n`"],
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
