use super::correction::Correction;
use super::error::PatchError;
use super::forbidden::Forbidden;
use super::limits::{Limits, PATCH_BYTES_MAX};
use super::parsed::Patch;
use super::rules::Rules;
use super::tree::{Tree, TreeEntry};
use super::*;
use crate::scope::Scope;

/// A tree as a list; nothing else stands in it.
struct Listing(Vec<(&'static str, TreeEntry, &'static str)>);

impl Tree for Listing {
    fn at(&self, path: &str) -> TreeEntry {
        let found = self.0.iter().find(|(known, ..)| *known == path);
        found.map_or(TreeEntry::Nothing, |(_, found, _)| found.clone())
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        let found = self.0.iter().find(|(known, ..)| *known == path);
        found.map(|(.., content)| content.as_bytes().to_vec())
    }

    fn paths(&self) -> Vec<String> {
        self.0.iter().map(|(path, ..)| (*path).to_owned()).collect()
    }
}

fn tree() -> Listing {
    let link = |target: &str| TreeEntry::Link(target.to_owned());
    Listing(vec![
        ("x", TreeEntry::File, "x\n"),
        ("r m", TreeEntry::File, "x\n"),
        ("dos", TreeEntry::File, "x\r\n"),
        ("dir", TreeEntry::Other, ""),
        ("dir/inner", TreeEntry::File, "x\n"),
        ("l", link("x"), ""),
        ("out", link("/etc"), ""),
        ("up", link("dir/.."), ""),
        ("loop", link("loop"), ""),
        ("sub", TreeEntry::Submodule, ""),
    ])
}

fn read(text: &str) -> Patch {
    Patch::parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn refusal(text: &str) -> String {
    match Patch::parse(text, &Limits::default()) {
        Ok(patch) => panic!("{patch:?}\n{text}"),
        Err(error) => error.to_string(),
    }
}

fn paths(text: &str) -> Vec<String> {
    read(text).paths().into_iter().collect()
}

/// Parsed, checked and fitted, as the integrator does it.
fn examined(text: &str, globs: &[&str], limits: Limits) -> Result<Patch, PatchError> {
    let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
    let patch = Patch::parse(text, &limits)?;
    patch.check(&Rules {
        globs: &globs,
        scope: &Scope::new(&globs).expect("globs"),
        reserved: &[
            ("plans/own.jsonl".to_owned(), Forbidden::Plan),
            (".learnings.jsonl".to_owned(), Forbidden::Learnings),
            ("runs".to_owned(), Forbidden::Artifacts),
        ],
        limits,
    })?;
    patch.fit(&tree())
}

fn fitted(text: &str) -> Result<Patch, PatchError> {
    examined(text, &["**"], Limits::default())
}

fn forbidden(text: &str) -> String {
    match fitted(text) {
        Err(PatchError::Forbidden { path, why }) => format!("{path}: {why}"),
        other => panic!("{other:?}\n{text}"),
    }
}

fn edit(path: &str) -> String {
    format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n")
}

fn add_link(path: &str, target: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )
}

const EDIT: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n";

// One text, however it was written.

#[test]
fn the_same_edit_in_many_dresses() {
    let bare = EDIT.replace("a/x", "x").replace("b/x", "x");
    let no_git = EDIT.split_once('\n').expect("a line").1;
    for text in [
        EDIT.to_owned(),
        no_git.to_owned(),
        bare.clone(),
        bare.split_once('\n').expect("a line").1.to_owned(),
        no_git.replace("a/x", "./x").replace("b/x", "./x"),
        EDIT.replace("a/x", "i/x").replace("b/x", "w/x"),
        no_git
            .replace("a/x", "a/x\t2024-02-30 12:00:00 +0100")
            .replace("b/x", "b/x\t2024"),
        EDIT.replace("--- a/x", "index 123..xyz 100644\n--- a/x"),
        EDIT.replace("--- a/x", "\n--- a/x"),
        EDIT.replace(" @@\n", " @@ fn context() {\n"),
        EDIT.trim_end().to_owned(),
        format!("\u{feff}{no_git}"),
        EDIT.replace('\n', "\r\n"),
        format!("```diff\n{EDIT}```\n"),
        format!("```diff\r\n{}```\r\n", EDIT.replace('\n', "\r\n")),
        format!(
            "Here is the patch:\n\n- it edits `x`\n\n~~~patch\n{no_git}~~~\n\n- as asked\n+1\n"
        ),
        format!("I changed x.\n{EDIT}\nThat is all.\n- really\n"),
        format!(
            "From 1f Mon\nSubject: x\n\n---\n x | 2 +-\n 1 file changed\n\n{EDIT}-- \n2.47.3\n\n"
        ),
        format!("{EDIT}@@ -9 +9 @@\n nothing\n"),
        format!("{EDIT}diff --git a/same b/same\nindex 1..2 100644\n"),
    ] {
        let patch = read(&text);
        let wanted = EDIT.replace("@@ -9", "");
        assert_eq!(patch.text(), wanted, "{text}");
        assert!(patch.corrections.is_empty(), "{text}");
    }
}

#[test]
fn wrong_counts_are_put_right() {
    for header in [
        "@@ -1 +1 @@",
        "@@ -1,9 +1,7 @@",
        "@@ -1,2 +1,1 @@",
        "@@ -1,0 +1,0 @@",
    ] {
        for behind in [
            "",
            "\nThat is all.\n",
            "```\nwords\n",
            "-- \n2.47.3\n",
            "\n\n",
        ] {
            let text = EDIT.replace("@@ -1,2 +1,2 @@", header) + behind;
            let patch = read(&text);
            assert_eq!(patch.text(), EDIT, "{text}");
            assert!(patch.corrections.contains(&Correction::Counts), "{text}");
        }
    }
    let two = format!("{}{}", EDIT.replace("1,2 @@", "1,1 @@"), edit("evil"));
    assert_eq!(paths(&two), ["evil", "x"]);
}

#[test]
fn empty_lines_that_lost_their_blank() {
    let text = "--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n a\n\n-b\n+c\n\n--- a/z\n+++ b/z\n@@ -1 +1 @@\n-b\n+c\n";
    assert!(
        read(text)
            .text()
            .contains("@@ -1,4 +1,4 @@\n a\n \n-b\n+c\n \ndiff")
    );
    // At the end of a hunk that counts wrong anyway, its own count says whether they belong to it.
    for (count, at_end) in [("4", " \n"), ("3", "")] {
        let text = format!("--- a/x\n+++ b/x\n@@ -1,{count} +1,9 @@\n a\n\n-b\n+c\n\n\n");
        let wanted = format!(" a\n \n-b\n+c\n{at_end}");
        assert!(
            read(&text).text().ends_with(&wanted),
            "{}",
            read(&text).text()
        );
    }
    let new = "--- /dev/null\n+++ b/n\n@@ -0,0 +1,3 @@\n+a\n\n+b\n";
    assert!(read(new).text().ends_with("@@ -0,0 +1,3 @@\n+a\n+\n+b\n"));
}

#[test]
fn an_extended_header_without_its_first_line_says_what_it_says() {
    let with_first = |line: &str, text: &str| format!("diff --git {line}\n{text}");
    let edit = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n";
    let renamed = "similarity index 100%\nrename from r m\nrename to n\n";
    let modes = format!("old mode 100644\nnew mode 100755\n{edit}");
    let new = "new file mode 100755\nindex 0000000..1\n--- /dev/null\n+++ b/e\n@@ -0,0 +1 @@\n+x\n";
    for (first, text) in [
        ("a/r m b/n", renamed),
        ("a/r m b/n", "rename from r m\r\nrename to n\r\n"),
        (
            "a/r m b/n",
            &format!("{renamed}--- a/r m\n+++ b/n\n@@ -1 +1 @@\n-x\n+y\n"),
        ),
        ("a/x b/y", "copy from x\ncopy to y\n"),
        ("a/x b/x", &modes),
        ("a/e b/e", new),
    ] {
        let wanted = read(&with_first(first, text)).text();
        assert_eq!(read(text).text(), wanted, "{text}");
        let behind = format!("{}{text}", edit.replace("/x", "/dos"));
        assert!(read(&behind).text().ends_with(&wanted), "{behind}");
    }
    // A file that follows a rename is not the renamed one.
    assert_eq!(paths(&format!("{renamed}{edit}")), ["n", "r m", "x"]);
    for header in [
        "new file mode 100644",
        "deleted file mode 100644",
        "old mode 100644",
    ] {
        for rest in ["", "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n"] {
            let said = refusal(&format!("{edit}{header}\n{rest}"));
            assert!(
                said.starts_with("line 6 of the patch: nothing names the file"),
                "{said}"
            );
        }
    }
    assert_eq!(
        paths(&format!(
            "rename from the old name\nold mode is gone\n{edit}"
        )),
        ["x"]
    );
}

#[test]
fn no_line_of_a_patch_in_words_is_lost() {
    for body in [
        "*** Add File: n\nhello\nworld\n",
        "*** Add File: n\n+a\nhello\n",
        "*** Add File: n\n+a\n\nhello\n",
        "*** Delete File: x\nhello\n",
        "*** Update File: x\n@@\n-x\n+y\n*** Rename File: x\n",
    ] {
        let said = refusal(&format!("*** Begin Patch\n{body}*** End Patch\n"));
        assert!(
            said.contains("belongs to no file") || said.contains("begins with neither"),
            "{said}\n{body}"
        );
    }
    refusal("*** Add File: n\nhello\n");
    for text in [
        "*** Begin Patch\n*** Update File: ./x\n@@\n-x\n+y\n\n*** End of File\n*** End Patch\n\nDone.\n",
        "*** Update File: x\n-x\n+y\n\nThat is all.\n",
        "```\n*** Update File: x\n-x\n+y\n```\nThat is all.\n",
    ] {
        assert_eq!(paths(text), ["x"], "{text}");
    }
    assert_eq!(paths("*** Add File: n\n+a\n\nThat is all.\n"), ["n"]);
}

#[test]
fn hunk_lines_that_look_like_headers_are_none() {
    let text = "--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n x\n--- a/minus\n+++ b/plus\n ```\n y\n";
    assert_eq!(paths(text), ["x"]);
    assert_eq!(read(text).changes[0].hunks()[0].lines.len(), 5);
}

#[test]
fn files_that_come_go_and_move() {
    for (text, wanted) in [
        (
            "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
            "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
        ),
        (
            "--- a/n\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
            "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
        ),
        (
            "diff --git a/n b/n\nnew file mode 100755\nindex 0..1\n--- a/n\n+++ b/n\n@@ -1,0 +7 @@\n+x\n",
            "diff --git a/n b/n\nnew file mode 100755\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
        ),
        (
            "diff --git a/p/__init__.py b/p/__init__.py\nnew file mode 100644\nindex 0000000..e69de29\n",
            "diff --git a/p/__init__.py b/p/__init__.py\nnew file mode 100644\n",
        ),
        (
            "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
        ),
        (
            "diff --git a/r m b/r m\nold mode 100644\nnew mode 100755\n",
            "diff --git \"a/r m\" \"b/r m\"\nold mode 100644\nnew mode 100755\n",
        ),
        (
            "diff --git a/x b/y z\nsimilarity index 100%\nrename from x\nrename to y z\n",
            "diff --git a/x \"b/y z\"\nrename from x\nrename to \"y z\"\n",
        ),
        (
            "diff --git x y\nrename from x\nrename to y\n--- x\n+++ y\n@@ -1 +1 @@\n-x\n+y\n",
            "diff --git a/x b/y\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n",
        ),
        (
            "diff --git a/x b/y\ncopy from x\ncopy to y\n",
            "diff --git a/x b/y\ncopy from x\ncopy to y\n",
        ),
        (
            "diff --git a/l b/l\nindex 1..2 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+dos\n\\ No newline at end of file\n",
            "diff --git a/l b/l\nindex 0000000..0000000 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+dos\n\\ No newline at end of file\n",
        ),
        (
            "diff --git a/k b/k\nnew file mode 120000\n--- /dev/null\n+++ b/k\n@@ -0,0 +1 @@\n+dir/inner\n",
            "diff --git a/k b/k\nnew file mode 120000\n--- /dev/null\n+++ b/k\n@@ -0,0 +1 @@\n+dir/inner\n\\ No newline at end of file\n",
        ),
    ] {
        let patch = fitted(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(patch.text(), wanted);
        assert_eq!(read(wanted).text(), wanted);
    }
}

#[test]
fn names() {
    for (header, path) in [
        (
            "--- \"a/\\303\\244 \\\"q\\\".txt\"\n+++ \"b/\\303\\244 \\\"q\\\".txt\"",
            "ä \"q\".txt",
        ),
        ("--- a/ä b.txt\t\n+++ b/ä b.txt\t", "ä b.txt"),
        ("--- a/a/x\n+++ b/a/x", "a/x"),
        ("--- a/x\n+++ a/x", "a/x"),
        ("--- b/x\n+++ b/x", "b/x"),
        ("diff --git b/x b/x\n--- /dev/null\n+++ b/x", "b/x"),
        ("diff --git a/b/x b/b/x\n--- a/b/x\n+++ /dev/null", "b/x"),
    ] {
        let change = if header.ends_with("/dev/null") {
            "-x"
        } else {
            "+x"
        };
        let ranges = if header.ends_with("/dev/null") {
            "@@ -1 +0,0 @@"
        } else {
            "@@ -0,0 +1 @@"
        };
        let text = format!("{header}\n{ranges}\n{change}\n");
        assert_eq!(paths(&text), [path], "{text}");
    }
    // Beside a pair without prefixes, `b/` is a folder.
    let text = format!(
        "--- x\n+++ x\n@@ -1 +1 @@\n-x\n+y\n{}",
        "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n"
    );
    assert_eq!(paths(&text), ["b/n", "x"]);
}

#[test]
fn several_edits_of_one_file_follow_each_other() {
    let text = format!("{0}{0}", edit("x"));
    let patch = read(&text);
    assert_eq!((patch.changes.len(), patch.paths().len()), (2, 1));
    let swapped = "diff --git a/x b/y\nrename from x\nrename to y\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n";
    assert!(
        refusal(swapped).contains("more than one of"),
        "not without a header of its own"
    );
    let swapped = swapped.replace(
        "--- /dev",
        "diff --git a/x b/x\nnew file mode 100644\n--- /dev",
    );
    assert_eq!(read(&swapped).changes.len(), 2);
}

#[test]
fn line_ends_become_those_of_the_file() {
    let lf = edit("dos");
    let crlf_body = "--- a/dos\n+++ b/dos\n@@ -1 +1 @@\n-x\r\n+y\r\n";
    for text in [lf.clone(), lf.replace('\n', "\r\n"), crlf_body.to_owned()] {
        let patch = fitted(&text).expect("fits");
        assert!(patch.text().ends_with("-x\r\n+y\r\n"), "{text:?}");
        assert_eq!(
            patch.corrections.contains(&Correction::LineEnds),
            text != crlf_body
        );
    }
    let patch = fitted(&crlf_body.replace("dos", "x")).expect("fits");
    assert!(patch.text().ends_with("-x\n+y\n"));
    // A patch that changes the line ends is not mended away.
    for (path, body) in [("x", "-x\n+x\r\n"), ("dos", "-x\r\n+x\n")] {
        let text = format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n{body}");
        assert!(fitted(&text).expect("fits").text().ends_with(body));
    }
}

// What can't be read without a guess.

#[test]
fn what_is_no_diff_or_only_half_of_one() {
    for (text, message) in [
        ("", "is empty or has no file header"),
        (
            "I would change the file a.txt.\n+ like this\n",
            "is empty or has no file header",
        ),
        ("--- a/x\n+++ b/x\n", "changes nothing"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n x\n", "changes nothing"),
        (
            "--- a/x\n+++ b/x\n-old\n+new\n",
            "line 3 of the patch: looks like a line of a hunk",
        ),
        (
            "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n\n+z\n",
            "line 7 of the patch: looks like",
        ),
        (
            "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-x\n+y\nlost its blank\n",
            "line 6 of the patch: the hunk above counts",
        ),
        (
            "--- a/x\n+++ b/x\n@@ -1 +1,9 @@\n-x\n+y\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n",
            "line 6 of the patch: this may be a line of the hunk above",
        ),
        (
            "+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
            "line 1 of the patch: the other header line",
        ),
        (
            "*** Begin Patch\n*** Update File: x\n-x\n+y\n*** Move to: z\n",
            "line 5 of the patch: `*** Move to:` must be directly below",
        ),
        (
            "*** Begin Patch\n*** Update File: x\n--- a/z\n+++ b/z\n@@\n-x\n+y\n",
            "line 2 of the patch: the header names `x` and `a/z`",
        ),
        (
            "*** Begin Patch\n*** Add File: z\n+x\nx\n",
            "line 4 of the patch: the hunk above counts",
        ),
        (
            "@@ -1 +1 @@\n-x\n+y\n",
            "line 1 of the patch: a hunk without a file header",
        ),
        (
            "--- a/x\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n",
            "line 1 of the patch: the header names `x` and `y`",
        ),
        (
            "diff --git a/x b/x\n--- a/y\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n",
            "the header names `x` and `y`",
        ),
        (
            "diff --git a/x b/y\nnew file mode 100644\n",
            "can't be told apart",
        ),
        (
            "diff --git a/x b/y\nrename from x\n",
            "needs `rename from` and `rename to`",
        ),
        (
            "diff --git a/x b/y\nrename from x\nrename to z\n--- a/x\n+++ b/y\n",
            "the header names",
        ),
        (
            "diff --git a/x b/x\nnew file mode 100644\n--- a/x\n+++ /dev/null\n",
            "more than one of",
        ),
        (
            "--- \"a/x\n+++ b/x\n",
            "line 1 of the patch: a path that does not parse",
        ),
        (
            "--- a/x\n+++ \"b/\\777\"\n",
            "line 2 of the patch: a path that does not parse",
        ),
        (
            "--- a/x\n+++ \"b/\\377\"\n",
            "line 2 of the patch: a path that does not parse",
        ),
        (
            "--- /dev/null\n+++ b/x\n@@ -1 +1 @@\n x\n+y\n",
            "a new file has hunks of `+` lines alone",
        ),
        (
            "--- a/x\n+++ /dev/null\n@@ -1 +1 @@\n-x\n+y\n",
            "a deleted file has one hunk",
        ),
        ("diff --cc x\n", "line 1 of the patch: a combined diff"),
        (
            "diff --git a/x b/x\nGIT binary patch\nnonsense\n",
            "a binary patch needs",
        ),
    ] {
        let refused = refusal(text);
        assert!(refused.contains(message), "{refused}\n{text}");
    }
}

#[test]
fn a_path_is_changed_once() {
    let add = "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n";
    let delete = "--- a/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
    let rename = "diff --git a/x b/n\nrename from x\nrename to n\n";
    for text in [
        format!("{add}{add}"),
        format!("{add}{rename}"),
        format!("{delete}{delete}"),
        format!("{delete}{rename}"),
        format!("{}{}", add_link("n", "x"), edit("n")),
    ] {
        assert!(
            refusal(&text).contains("is changed a second time"),
            "{text}"
        );
    }
    for text in [
        format!("{}{delete}", edit("x")),
        format!("{}{rename}", edit("x")),
    ] {
        assert!(refusal(&text).contains("removed elsewhere"), "{text}");
    }
}

#[test]
fn messages_stay_short_and_on_one_line() {
    let long = "x/".repeat(400_000);
    for text in [
        edit(&format!("{long}x")),
        format!("diff --git a/{long} b/{long}\nnew file mode 100644\n"),
        format!("diff --git a/x b/x\nnew file mode {long}\n"),
        format!(
            "--- \"a/\\033[31m{}\"\n+++ b/y\n@@ -1 +1 @@\n-x\n+y\n",
            "x".repeat(4000)
        ),
        add_link("k", &long),
    ] {
        let error = Patch::parse(
            &text,
            &Limits {
                bytes_max: u64::MAX,
                ..Limits::default()
            },
        )
        .and_then(|patch| patch.fit(&tree()));
        let error = error.expect_err("refused").to_string();
        assert!(
            error.len() < 1000 && !error.contains(char::is_control),
            "{error}"
        );
    }
}

#[test]
fn too_large() {
    let limits = Limits {
        bytes_max: EDIT.len() as u64 - 1,
        ..Limits::default()
    };
    let error = Patch::parse(EDIT, &limits).expect_err("too large");
    assert_eq!(
        error.to_string(),
        format!(
            "the patch has {} bytes; `--patch-bytes-max` allows {}",
            EDIT.len(),
            EDIT.len() - 1
        )
    );
}

// What no task may do.

#[test]
fn paths_that_nobody_may_touch() {
    for (path, why) in [
        ("../x", "is not a plain path"),
        ("a/../../x", "is not a plain path"),
        ("a//x", "is not a plain path"),
        ("a/./x", "is not a plain path"),
        ("dir/", "is not a plain path"),
        (".git/config", "belongs to git"),
        ("a/.GIT/hooks/x", "belongs to git"),
        (".g\u{200c}it/config", "belongs to git"),
        ("\u{feff}.git/config", "belongs to git"),
        (".git./config", "belongs to git"),
        (".git /config", "belongs to git"),
        ("GIT~1/config", "belongs to git"),
        (".git::$INDEX_ALLOCATION/config", "belongs to git"),
        ("a\\.git\\config", "belongs to git"),
        (".codex/st-plan.jsonl", "belongs to the plan"),
        (".CODEX./ST-PLA~1.JSO", "belongs to the plan"),
        ("PLANS~1/own.jsonl", "belongs to the plan"),
        ("plans\\own.jsonl::$DATA", "belongs to the plan"),
        (".learnings.jsonl", "belongs to the learnings"),
        (".Learning\u{17f}.jsonl", "belongs to the learnings"),
        (".learnings.jsonl. ", "belongs to the learnings"),
        ("LEARNI~1.JSO", "belongs to the learnings"),
        (
            "src/\u{202e}yp.x",
            "holds characters that change the direction",
        ),
        (
            "src/\u{2067}x",
            "holds characters that change the direction",
        ),
        ("src/x\u{61c}", "holds characters that change the direction"),
        ("plans/own.jsonl", "belongs to the plan"),
        ("Plans/Own.jsonl", "belongs to the plan"),
        ("runs/1/ledger.jsonl", "belongs to the runs"),
        ("l/x", "lies behind a symbolic link, `l`"),
        ("out/passwd", "lies behind a symbolic link, `out`"),
        ("l", "is a symbolic link; the diff has to say so"),
        ("sub", "is a submodule"),
        ("sub/x", "lies in `sub`"),
        ("dir", "is a folder"),
        ("x/below", "lies below `x`, which is a file"),
    ] {
        let refused = forbidden(&edit(path));
        let shown = misfit::escape_invisible(path);
        assert!(refused.starts_with(&format!("{shown}: {why}")), "{refused}");
    }
    assert!(
        forbidden("--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-x\n+y\n")
            .contains("is absolute")
    );
    let escaped = "--- \"a/x\\033\"\n+++ \"b/x\\033\"\n@@ -1 +1 @@\n-x\n+y\n";
    assert!(forbidden(escaped).contains("control characters"));
    for path in [
        ".gitignore",
        "a/.github/x",
        "git",
        "plans/own.jsonl.bak",
        "runs.md",
        "x\u{200d}y",
    ] {
        let new = format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n");
        assert!(fitted(&new).is_ok(), "{path}");
    }
}

#[test]
fn paths_outside_the_scope_on_either_side() {
    let of_scope = |text: &str| match examined(text, &["x"], Limits::default()) {
        Err(error @ PatchError::OutOfScope { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        of_scope(&edit("y")),
        "the patch touches `y`, which is outside the scope: x"
    );
    for word in ["rename", "copy"] {
        for (from, to) in [("x", "y"), ("y", "x")] {
            let text = format!("diff --git a/{from} b/{to}\n{word} from {from}\n{word} to {to}\n");
            assert!(of_scope(&text).contains("`y`"));
        }
    }
    assert!(examined(&edit("x"), &["x"], Limits::default()).is_ok());
}

#[test]
fn modes() {
    for (mode, why) in [
        ("104755", "would get mode 104755"),
        ("100666", "would get mode 100666"),
        ("040000", "would get mode 040000"),
        ("100755\u{7}", "would get mode"),
        ("160000", "is a submodule"),
    ] {
        for keyword in [
            "new file mode",
            "deleted file mode",
            "new mode",
            "old mode",
            "index 1..2",
        ] {
            let text = format!("diff --git a/x b/x\n{keyword} {mode}\n");
            let refused = refusal(&text);
            assert!(
                refused.contains("`x`") && refused.contains(why),
                "{refused}"
            );
        }
    }
    for (old, new) in [("100644", "120000"), ("120000", "100755")] {
        let text = format!("diff --git a/x b/x\nold mode {old}\nnew mode {new}\n");
        assert!(refusal(&text).contains("between file and symbolic link"));
    }
}

#[test]
fn links_that_lead_out() {
    for (path, target, why) in [
        ("k", "/etc/passwd", "is absolute"),
        ("k", "..", "is outside of the repository"),
        ("a/k", "../../x", "is outside of the repository"),
        ("k", "a/../../x", "is outside of the repository"),
        ("k", "out/passwd", "is absolute"),
        ("k", "up/../x", "is outside of the repository"),
        ("k", "loop", "leads through too many links"),
        ("k", ".git/config", "belongs to git"),
        ("dir/k", "../.GIT", "belongs to git"),
        ("k", "sub/x", "is in a submodule"),
        ("k", "x\ry", "is not a path"),
    ] {
        let refused = forbidden(&add_link(path, target));
        assert!(refused.contains(why), "{refused}\n{target}");
    }
    for (path, target) in [
        ("k", "x"),
        ("a/k", "../dir/inner"),
        ("k", "not-there"),
        ("k", "up/x"),
        ("k", "l"),
    ] {
        assert!(fitted(&add_link(path, target)).is_ok(), "{target}");
    }
}

#[test]
fn links_that_the_patch_makes_are_links_too() {
    let through = format!("{}{}", add_link("k", "dir"), edit("k/inner"));
    assert!(forbidden(&through).contains("lies behind a symbolic link, `k`"));
    let other_case = format!("{}{}", edit("K/inner"), add_link("k", "dir"));
    assert!(forbidden(&other_case).contains("lies behind a symbolic link, `K`"));
    // Neither leads out by itself.
    let two = format!("{}{}", add_link("k", "m/../.."), add_link("m", "dir"));
    assert!(forbidden(&two).contains("is outside of the repository"));
    let moved = "diff --git a/l b/../l\nrename from out\nrename to dir/out\n";
    assert!(forbidden(moved).contains("dir/out: would be a symbolic link to `/etc`"));
    let sent = "diff --git a/l b/l\nindex 1..2 120000\n--- a/l\n+++ b/l\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+/etc\n\\ No newline at end of file\n";
    assert!(forbidden(sent).contains("would be a symbolic link to `/etc`"));
    let half = sent.replace("+/etc\n", "+x\n+/etc\n");
    assert!(forbidden(&half).contains("whose hunk has one `-` and one `+` line"));
    let without_mode = sent.replace("index 1..2 120000\n", "");
    assert!(forbidden(&without_mode).contains("the diff has to say so"));
}

#[test]
fn binary_content_only_when_it_is_allowed() {
    let ids = format!("{}..{}", "0".repeat(40), "a".repeat(40));
    let text = format!(
        "diff --git a/b.bin b/b.bin\nnew file mode 100644\nindex {ids}\nGIT binary patch\nliteral 3\nKcmZQzWC8#H2LJ>B\n\nliteral 0\nHcmV?d00001\n\n"
    );
    let allowed = Limits {
        allow_binary: true,
        ..Limits::default()
    };
    let why = |text: &str, limits: Limits| match examined(text, &["**"], limits) {
        Err(PatchError::Forbidden { path, why }) if path == "b.bin" => why.to_string(),
        other => panic!("{other:?}\n{text}"),
    };
    assert_eq!(
        why(&text, Limits::default()),
        "is binary; `--allow-binary` lets that through"
    );
    assert_eq!(
        examined(&text, &["**"], allowed).expect("allowed").text(),
        text
    );
    let short = text.replace(&ids, "0..1");
    assert!(why(&short, allowed).contains("two full object ids"));
    for bomb in [
        "literal 4000000000",
        "literal 99999999999999999999",
        "delta x",
    ] {
        assert!(why(&text.replace("literal 3", bomb), allowed).contains("would unpack to"));
    }
    // A line of instructions that copy the same bytes again and again.
    let delta = |source: u64, result: u64| {
        let mut plain = [number(source), number(result)].concat();
        plain.extend([0xf0, 0xff, 0xff, 0xff].repeat(40));
        let block = format!("delta {}\n{}", plain.len(), packed(&plain));
        text.replace("literal 3\nKcmZQzWC8#H2LJ>B\n", &block)
    };
    for (source, result) in [(3, 4_000_000_000), (3, 1 << 60), (0, PATCH_BYTES_MAX + 1)] {
        let said = why(&delta(source, result), allowed);
        assert!(
            said.contains(&format!("would unpack to {result} bytes")),
            "{said}"
        );
    }
    for (source, result) in [(3, 4), (3_000_000_000, 3_000_000_100), (9, 0)] {
        assert!(examined(&delta(source, result), &["**"], allowed).is_ok());
    }
    let broken = text.replace("literal 3\nKcmZ", "delta 3\nK0000");
    assert!(why(&broken, allowed).contains("does not decode"));
    // Each of them is small.
    let many: String = (0..3)
        .map(|number| {
            text.replace("b.bin", &format!("{number}.bin"))
                .replace("literal 3", "literal 400000")
        })
        .collect();
    match examined(&many, &["**"], allowed) {
        Err(error) => assert!(
            error.to_string().contains("1200000 (with those above it)"),
            "{error}"
        ),
        Ok(patch) => panic!("{patch:?}"),
    }
    let named =
        "diff --git a/b.bin b/b.bin\nindex 1..2 100644\nBinary files a/b.bin and b/b.bin differ\n";
    assert_eq!(
        why(named, Limits::default()),
        "is binary; `--allow-binary` lets that through"
    );
    assert!(why(named, allowed).contains("`git diff --binary`"));
    assert!(refusal("Binary files a and b differ\n").contains("that no `diff --git` line names"));
}

/// A number as a delta begins with two of them.
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Lines of git's base 85, of what zlib makes of `plain`.
fn packed(plain: &[u8]) -> String {
    const DIGITS: &[u8] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    let mut lines = String::new();
    for bytes in miniz_oxide::deflate::compress_to_vec_zlib(plain, 9).chunks(52) {
        let length = bytes.len() as u8;
        lines.push(char::from(if length > 26 {
            b'a' + length - 27
        } else {
            b'A' + length - 1
        }));
        for group in bytes.chunks(4) {
            let mut four = [0; 4];
            four[..group.len()].copy_from_slice(group);
            let mut value = u32::from_be_bytes(four);
            let mut digits = [0; 5];
            for digit in digits.iter_mut().rev() {
                *digit = DIGITS[(value % 85) as usize];
                value /= 85;
            }
            lines.extend(digits.map(char::from));
        }
        lines.push('\n');
    }
    lines
}
