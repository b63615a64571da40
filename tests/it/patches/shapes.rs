//! Single patches: what stands in the tree afterwards, and what only a tree can make hostile.

use super::Desk;
use crate::fixture::*;
use mesh::integrate::Evidence;
use mesh::patch::Limits;
use std::os::unix::fs::{PermissionsExt, symlink};

fn repository() -> Sandbox {
    let sandbox = Sandbox::with_repo(&[
        ("x", "one\ntwo\nthree\n"),
        ("dos.bat", "one\r\ntwo\r\nthree\r\n"),
        ("mixed", "one\r\ntwo\nthree\r\n"),
        ("open", "one\ntwo"),
        ("größe/two words.txt", "one\n"),
        ("dir/inner", "one\n"),
    ]);
    symlink("dir/inner", sandbox.path("link")).expect("a link");
    sandbox.git("add --all");
    sandbox.git("commit --quiet -m 'a link'");
    sandbox
}

/// Applies `patch` to a fresh repository, and gives it.
fn taken(patch: &str) -> Sandbox {
    let sandbox = repository();
    Desk::new(&sandbox).take(patch);
    sandbox
}

fn refusal(prepare: impl Fn(&Sandbox), patch: &str) -> String {
    let sandbox = repository();
    prepare(&sandbox);
    let before = sandbox.tree();
    let said = Desk::new(&sandbox).refusal(patch);
    assert!(sandbox.tree() == before, "{said}");
    said
}

// Applied.

#[test]
fn patches_with_odd_file_endings_apply_exactly() {
    const TWO: &str = "@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n";
    for (patch, path, content) in [
        (format!("--- a/x\n+++ b/x\n{TWO}"), "x", "one\n2\nthree\n"),
        (format!("--- x\n+++ x\n{}", TWO.replace("1,3", "1,9")), "x", "one\n2\nthree\n"),
        (format!("--- a/x\t2026-01-01\n+++ b/x\t2026-01-01\n{TWO}").replace('\n', "\r\n"), "x", "one\n2\nthree\n"),
        (format!("--- a/dos.bat\n+++ b/dos.bat\n{TWO}"), "dos.bat", "one\r\n2\r\nthree\r\n"),
        (format!("--- a/dos.bat\n+++ b/dos.bat\n{TWO}").replace('\n', "\r\n"), "dos.bat", "one\r\n2\r\nthree\r\n"),
        ("--- a/mixed\n+++ b/mixed\n@@ -1,3 +1,3 @@\n one\r\n-two\n+2\n three\r\n".to_owned(), "mixed", "one\r\n2\nthree\r\n"),
        (format!("--- a/mixed\n+++ b/mixed\n{TWO}"), "mixed", "one\r\n2\nthree\r\n"),
        ("--- a/open\n+++ b/open\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+2\n\\ No newline at end of file".to_owned(), "open", "one\n2"),
        ("--- a/open\n+++ b/open\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+2".to_owned(), "open", "one\n2\n"),
        ("--- a/größe/two words.txt\n+++ b/größe/two words.txt\n@@ -1 +1 @@\n-one\n+1\n".to_owned(), "größe/two words.txt", "1\n"),
        ("--- \"a/gr\\303\\266\\303\\237e/two words.txt\"\n+++ \"b/gr\\303\\266\\303\\237e/two words.txt\"\n@@ -1 +1 @@\n-one\n+1\n".to_owned(), "größe/two words.txt", "1\n"),
        ("--- a/new/file\n+++ b/new/file\n@@ -0,0 +1,3 @@\n+a\n\n+b\n".to_owned(), "new/file", "a\n\nb\n"),
        ("diff --git a/x b/dir/y\nrename from x\nrename to dir/y\n--- a/x\n+++ b/dir/y\n".to_owned() + TWO, "dir/y", "one\n2\nthree\n"),
        ("diff --git a/x b/y z\ncopy from x\ncopy to y z\n--- a/x\n+++ b/y z\n".to_owned() + TWO, "y z", "one\n2\nthree\n"),
        ("diff --git a/empty b/empty\nnew file mode 100644\n".to_owned(), "empty", ""),
        (format!("{}{}", edit("x", "one", "1").replace("@@ -1 +1 @@", "@@ -1,2 +1,2 @@").replace("+1\n", "+1\n two\n"), "--- a/x\n+++ b/x\n@@ -2,2 +2,2 @@\n two\n-three\n+3\n"), "x", "1\ntwo\n3\n"),
    ] {
        let sandbox = taken(&patch);
        assert_eq!(sandbox.read(path), content, "{patch}");
    }
}

#[test]
fn patches_delete_files_and_change_their_type() {
    let sandbox = taken("--- a/x\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n");
    assert!(!sandbox.path("x").exists());
    let sandbox = taken("diff --git a/x b/x\nnew mode 100755\n");
    let mode = std::fs::metadata(sandbox.path("x"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o111, 0o111);
    let to = "diff --git a/link b/link\nindex 1..2 120000\n--- a/link\n+++ b/link\n@@ -1 +1 @@\n-dir/inner\n\\ No newline at end of file\n+x\n\\ No newline at end of file\n";
    let sandbox = taken(to);
    assert_eq!(
        std::fs::read_link(sandbox.path("link"))
            .expect("a link")
            .to_str(),
        Some("x")
    );
    let sandbox = taken(
        "diff --git a/link b/link\ndeleted file mode 120000\n--- a/link\n+++ /dev/null\n@@ -1 +0,0 @@\n-dir/inner\n\\ No newline at end of file\n",
    );
    assert!(std::fs::symlink_metadata(sandbox.path("link")).is_err());
    let sandbox = taken(
        "diff --git a/dir/up b/dir/up\nnew file mode 120000\n--- /dev/null\n+++ b/dir/up\n@@ -0,0 +1 @@\n+../x\n",
    );
    assert_eq!(sandbox.read("dir/up"), "one\ntwo\nthree\n");
    // A file gives way to a link of its name, as git writes it.
    let sandbox = taken(
        "diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\ndiff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+open\n\\ No newline at end of file\n",
    );
    assert_eq!(sandbox.read("x"), "one\ntwo");
}

#[test]
fn git_settings_of_the_user_have_no_effect() {
    let sandbox = repository();
    for (key, value) in [
        ("apply.ignoreWhitespace", "change"),
        ("apply.whitespace", "error-all"),
        ("diff.noprefix", "true"),
    ] {
        sandbox.git(&["config", key, value]);
    }
    let desk = Desk::new(&sandbox);
    desk.take("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n+2  \n three\n");
    assert_eq!(sandbox.read("x"), "one\n2  \nthree\n");
    let said = desk.refusal(
        "--- a/open\n+++ b/open\n@@ -1,2 +1,2 @@\n-one  \n+1\n two\n\\ No newline at end of file\n",
    );
    assert_starts_with(
        &said,
        "does_not_apply: `open`, hunk 1 (`@@ -1,2 +1,2 @@`, line 3 of the patch): line 1 of the file differs, only in white space",
    );
}

#[test]
fn line_endings_converted_by_git_stay_converted() {
    let sandbox = repository();
    sandbox.write(".gitattributes", "*.bat text eol=crlf\n");
    sandbox.git("add --all --renormalize");
    sandbox.git("commit --quiet -m attributes");
    Desk::new(&sandbox)
        .take("--- a/dos.bat\n+++ b/dos.bat\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n");
    assert_eq!(sandbox.read("dos.bat"), "one\r\n2\r\nthree\r\n");
    assert!(sandbox.git("diff").contains("\n-two\n+2\n"));
}

// Refused because of what stands in the tree.

#[test]
fn links_of_the_repository() {
    let nothing = |_: &Sandbox| {};
    let said = refusal(nothing, &edit("link", "one", "1"));
    assert_contains(
        &said,
        "`link`, which is a symbolic link; the diff has to say so",
    );
    let outside = |sandbox: &Sandbox| {
        symlink("/etc", sandbox.path("out")).expect("a link");
        symlink("dir", sandbox.path("in")).expect("a link");
    };
    for path in ["in/inner", "out/passwd", "in/new"] {
        let said = refusal(outside, &create(path, "x"));
        assert!(said.contains("lies behind a symbolic link"), "{said}");
    }
    let through = "diff --git a/k b/k\nnew file mode 120000\n--- /dev/null\n+++ b/k\n@@ -0,0 +1 @@\n+out/passwd\n";
    let said = refusal(outside, through);
    assert_contains(
        &said,
        "`k`, which would be a symbolic link to `out/passwd`, which is absolute",
    );
}

#[test]
fn submodules_and_other_repositories() {
    let id = "1".repeat(40);
    let not_checked_out = |sandbox: &Sandbox| {
        let entry = format!("160000,{id},vendor/sub");
        sandbox.git(&["update-index", "--add", "--cacheinfo", &entry]);
    };
    let said = refusal(not_checked_out, &create("vendor/sub/x", "x"));
    assert_contains(
        &said,
        "`vendor/sub/x`, which lies in `vendor/sub`, which is a repository of its own",
    );
    let moved = format!(
        "--- a/vendor/sub\n+++ b/vendor/sub\n@@ -1 +1 @@\n-Subproject commit {id}\n+Subproject commit {}\n",
        "2".repeat(40)
    );
    let said = refusal(not_checked_out, &moved);
    assert_contains(&said, "`vendor/sub`, which is a submodule");
    let nested = |sandbox: &Sandbox| {
        sandbox.git("init --quiet nested");
    };
    let said = refusal(nested, &create("nested/x", "x"));
    assert!(said.contains("lies in `nested`"), "{said}");
}

#[test]
fn a_patch_against_missing_content_is_refused() {
    for (patch, why) in [
        (
            create("x", "x"),
            "`x` (line 1 of the patch): the file exists",
        ),
        (edit("not-there", "x", "y"), "there is no such file"),
        (edit("in", "x", "y"), "there is no such file"),
        (edit("x", "other", "y"), "line 1 is `one`"),
    ] {
        let said = refusal(|_| {}, &patch);
        assert_starts_with(&said, "does_not_apply: ");
        assert_contains(&said, why);
    }
    let said = refusal(|_| {}, &edit("inner", "one", "1"));
    assert!(said.contains("the nearest ones are `dir/inner`"), "{said}");
}

#[test]
fn conflicts_that_git_would_find_too_late_are_refused() {
    let both = create("n", "x") + &create("n/below", "x");
    for (patch, why) in [
        (edit("dir", "x", "y"), "`dir`, which is a folder"),
        (create("dir", "x"), "`dir`, which is a folder"),
        (
            create("x/below", "x"),
            "`x/below`, which lies below `x`, which is a file",
        ),
        (both, "`n/below`, which lies below `n`, which is a file"),
    ] {
        let said = refusal(|_| {}, &patch);
        assert!(said.contains(why), "{said}");
    }
    let gone = "--- a/x\n+++ /dev/null\n@@ -1,3 +0,0 @@\n-one\n-two\n-three\n";
    let sandbox = taken(&(gone.to_owned() + &create("x/below", "x")));
    assert_eq!(sandbox.read("x/below"), "x\n");
}

#[test]
fn a_plan_behind_a_link_is_handled() {
    let prepare = |sandbox: &Sandbox| {
        sandbox.write("elsewhere/st.jsonl", "{}\n");
        symlink("elsewhere", sandbox.path("plan")).expect("a link");
    };
    let said = refusal(prepare, &edit("elsewhere/st.jsonl", "{}", "x"));
    assert!(said.contains("belongs to the plan"), "{said}");
}

#[test]
fn voters_see_what_was_normalized() {
    let sandbox = repository();
    let patch = edit("dos.bat", "one", "1").replace("@@ -1 +1 @@", "@@ -1,3 +1,9 @@");
    let patch = patch + " two\n";
    match Desk::new(&sandbox).examine(&patch, &["*.bat".to_owned()], Limits::default()) {
        Evidence::Applies { text, .. } => assert_eq!(
            text,
            "- parses; touches: dos.bat\n- every path is within the scope\n- `git apply --check`: exit 0\n- the line counts of its hunk headers were wrong, and were put right\n- its line ends were not those of the files, and were put right"
        ),
        Evidence::Refused { detail, .. } => panic!("{detail}"),
    }
}

// Through the program.

#[test]
fn binary_content_and_its_bound_are_settings() {
    let origin = Sandbox::with_repo(&[("x", "")]);
    std::fs::write(origin.path("b.bin"), [0, 1, 2, 255]).expect("written");
    origin.git("add --all");
    let patch = origin.git("diff --cached --binary");
    let tried = |args: &[&str]| {
        let task = Task::new("a")
            .scope(&["**"])
            .patches(&[&patch, &patch])
            .validation(&["true"]);
        let bench = Bench::new(&[task]);
        let said = bench.run(Args::from("--json").and(args));
        let content = std::fs::read(bench.path("b.bin")).ok();
        let detail = report(&said)["tasks"][0]["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (said, detail, content)
    };
    let (said, detail, content) = tried(&[]);
    assert_eq!((said.code, content), (1, None));
    assert_contains(
        &detail,
        "`b.bin`, which is binary; `--allow-binary` lets that through",
    );
    let (said, _, content) = tried(&["allow_binary=true", "patch_bytes_max=500"]);
    assert_eq!(
        (said.code, content),
        (0, Some(vec![0, 1, 2, 255])),
        "{}",
        said.err
    );
    said.err_has("allow_binary=true,patch_bytes_max=500");
    let (said, detail, content) = tried(&["--allow-binary", "--patch-bytes-max", "50"]);
    assert_eq!((said.code, content), (1, None));
    assert_contains(
        &detail,
        &format!(
            "the patch has {} bytes; `--patch-bytes-max` allows 50",
            patch.len()
        ),
    );
}

#[test]
fn runs_that_keep_their_files_in_the_repository() {
    for (home, path) in [("state", "state/runs/R/x"), (".", "runs/other/x")] {
        let patch = create(path, "x");
        let task = Task::new("a").scope(&["**"]).patches(&[&patch, &patch]);
        let bench = Bench::new(&[task]);
        let answers = bench.answers();
        let head = "run --json --run-id R --adapter replay";
        let mut mesh = bench.command(Args::from(head).and(&["--answers", &answers]));
        mesh.env("MESH_HOME", bench.path(home));
        let said = mesh.run_to_end();
        let detail = report(&said)["tasks"][0]["detail"].to_string();
        let why = format!("`{path}`, which belongs to the runs of `mesh`");
        assert!(detail.contains(&why), "{detail} {}", said.err);
    }
}
