//! What no task may do.

use super::fixture::*;
use crate::patch::*;

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
fn paths_longer_than_a_file_system_takes() {
    let deep = |bytes: usize| "d/".repeat(bytes / 2 - 1) + "dd";
    for (path, why) in [
        (
            "n".repeat(256),
            "has a name of 256 bytes; file systems take at most 255",
        ),
        (
            format!("dir/{}/x", "\u{e4}".repeat(128)),
            "has a name of 256 bytes",
        ),
        (deep(2050), "has 2050 bytes; a path has at most 2048"),
    ] {
        let refused = forbidden(&edit(&path));
        assert!(refused.contains(why), "{refused}");
        let renamed = format!("diff --git a/x b/{path}\nrename from x\nrename to {path}\n");
        assert_eq!(forbidden(&renamed), refused);
    }
    for path in ["n".repeat(255), deep(2048)] {
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
