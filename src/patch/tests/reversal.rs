//! Patches turned round.

use crate::patch::{Limits, Patch};

const TEXTS: [&str; 5] = [
    "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,2 @@\n a\n-b\n c\n",
    "diff --git a/x b/x\nnew file mode 100755\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,2 @@\n+a\n+b\n",
    "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n\\ No newline at end of file\n",
    "diff --git a/x b/y\nold mode 100644\nnew mode 100755\nrename from x\nrename to y\n",
    "diff --git a/l b/l\nindex 0000000..0000000 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n",
];

fn parsed(text: &str) -> Patch {
    Patch::parse(text, &Limits::default()).expect("parses")
}

#[test]
fn a_patch_that_is_reversed_twice_is_the_same() {
    for text in TEXTS {
        let patch = parsed(text);
        let once = patch.clone().reversed().expect("reversed");
        assert_ne!(once.bytes(), patch.bytes(), "{text}");
        // What is written can be read.
        let read = parsed(&once.text());
        assert_eq!(read.bytes(), once.bytes(), "{text}");
        let twice = once.reversed().expect("reversed");
        assert_eq!(twice.text(), patch.text());
    }
}

#[test]
fn a_copy_is_not_reversed() {
    let patch = parsed("diff --git a/x b/y\ncopy from x\ncopy to y\n");
    let error = patch.reversed().expect_err("a copy");
    assert_eq!(
        error.to_string(),
        "line 1 of the patch: `y` is a copy, which can't be reversed; remove it yourself"
    );
}

#[test]
fn lines_of_any_encoding_are_kept() {
    let bytes = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n caf\xe9\n-a\n+\xfc\n";
    let patch = Patch::parse_applied(bytes, &Limits::default()).expect("parses");
    assert_eq!(patch.bytes(), bytes);
}
