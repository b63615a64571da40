//! One text, however a patch was written, or a refusal.

use super::fixture::*;
use crate::patch::correction::Correction;
use crate::patch::*;

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
            "line 3 of the patch: a binary patch needs",
        ),
        (
            "diff --git a/x b/x\nGIT binary patch\n",
            "line 2 of the patch: a binary patch needs",
        ),
        (
            "GIT binary patch\nliteral 3\nKcmZQzWC8#H2LJ>B\n",
            "line 1 of the patch: a binary patch that no",
        ),
        (
            "Binary files a/x and b/x differ\n",
            "line 1 of the patch: a binary file that no",
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
fn a_deletion_is_written_with_its_numbers_whatever_its_header_says() {
    for header in ["@@ -1 +0,0 @@", "@@ -5,9 +4,0 @@", "@@ ... @@", "@@"] {
        let text = format!(
            "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n{header}\n-x\n"
        );
        let patch = super::fixture::fitted(&text).expect(header);
        assert!(patch.text().ends_with("\n@@ -1 +0,0 @@\n-x\n"), "{header}");
    }
}
