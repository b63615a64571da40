//! Properties of the reader: it never panics, and what it writes it reads back.

use crate::patch::change::{Change, Content, Kind};
use crate::patch::hunk::{Hunk, Line, Mark, Stated};
use crate::patch::limits::{Limits, PATCH_BYTES_MAX};
use crate::patch::parsed::Patch;
use crate::patch::tree::{Tree, TreeEntry};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const LIMITS: Limits = Limits {
    bytes_max: PATCH_BYTES_MAX,
    allow_binary: true,
};

/// Everything there, and a link and a CRLF file among it.
struct Anything;

impl Tree for Anything {
    fn at(&self, path: &str) -> TreeEntry {
        match path.len() % 4 {
            0 => TreeEntry::Nothing,
            1 => TreeEntry::Link("x/../y".to_owned()),
            _ => TreeEntry::File,
        }
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        let content: &[u8] = match path.len() % 3 {
            0 => b"same\r\nremoved\r\n",
            1 => b"same\nremoved\n",
            _ => b"removed",
        };
        Some(content.to_vec())
    }

    fn paths(&self) -> Vec<String> {
        vec!["x".to_owned()]
    }
}

/// A patch without the lines of the text it came from.
fn unplaced(mut patch: Patch) -> Vec<Change> {
    for change in &mut patch.changes {
        (change.line, change.is_whole) = (0, false);
        if let Content::Hunks(hunks) = &mut change.content {
            hunks.iter_mut().for_each(|hunk| hunk.line = 0);
        }
    }
    patch.changes
}

/// Reads, writes and reads again; the same for the patch fitted to a tree.
fn is_stable(text: &str) -> Result<bool, TestCaseError> {
    let Ok(patch) = Patch::parse(text, &LIMITS) else {
        return Ok(false);
    };
    let fitted = patch.clone().fit(&Anything);
    // Until a tree has placed its hunks, a text may lack numbers, or have had wrong ones.
    let is_numbered = |hunk: &Hunk| matches!(hunk.stated, Stated::Line { .. });
    let mut hunks = patch.changes.iter().flat_map(Change::hunks);
    let is_written = patch.corrections.is_empty() && hunks.all(is_numbered);
    for patch in [Some(patch).filter(|_| is_written), fitted.ok()]
        .into_iter()
        .flatten()
    {
        let text = patch.text();
        let again = Patch::parse(&text, &LIMITS);
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(again.text(), text);
        prop_assert!(again.corrections.is_empty());
        prop_assert_eq!(unplaced(again), unplaced(patch));
    }
    Ok(true)
}

/// Lines that mean something to the reader, in any order.
fn lines() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "diff --git a/x b/x",
        "diff --git a/x y b/x y",
        "diff --git a/x b/y",
        "diff --git \"a/\\303\\244\" \"b/\\303\\244\"",
        "--- a/x",
        "+++ b/x",
        "--- /dev/null",
        "+++ /dev/null",
        "--- x",
        "+++ x",
        "--- \"a/q\\\"\"",
        "+++ \"b/q\\\"\"",
        "@@ -1 +1 @@",
        "@@ -1,2 +1,3 @@ fn",
        "@@ -0,0 +1,2 @@",
        "@@ -1,2 +0,0 @@",
        "@@",
        "@@ ... @@",
        "@@ def same():",
        "*** Begin Patch",
        "*** Update File: x",
        "*** Add File: new",
        "*** Delete File: x",
        "*** Move to: y",
        "*** End of File",
        "*** End Patch",
        "new file mode 100644",
        "new file mode 120000",
        "deleted file mode 100644",
        "old mode 100644",
        "new mode 100755",
        "rename from x",
        "rename to y",
        "copy from x",
        "copy to y",
        "index 1..2 120000",
        "similarity index 90%",
        "GIT binary patch",
        "literal 3",
        "KcmZQzWC8#H2LJ>B",
        "Binary files a/x and b/x differ",
        "\\ No newline at end of file",
        "",
        "\r",
        " same",
        "-removed",
        "+added",
        "+added\r",
        "-- ",
        "2.47.3",
        "```",
        "words",
        "- item",
    ]);
    prop::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

fn hunk() -> impl Strategy<Value = Hunk> {
    let mark = prop::sample::select(vec![Mark::Same, Mark::Removed, Mark::Added]);
    let text = prop::sample::select(vec![
        "",
        "a",
        "-- b/x",
        "++ b/x",
        "@@ -1 +1 @@",
        "\r",
        "```",
        "é\u{2028}",
        "\\ x",
    ]);
    let line = (mark, text).prop_map(|(mark, text)| Line {
        mark,
        text: text.as_bytes().to_vec(),
        is_ended: true,
    });
    (1..99_u32, prop::collection::vec(line, 1..8)).prop_map(|(start, lines)| Hunk {
        old_start: start,
        new_start: start,
        stated: Stated::Line {
            is_insertion: lines.iter().all(|line: &Line| line.mark == Mark::Added),
        },
        line: 0,
        lines,
    })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        is_stable(&text)?;
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        is_stable(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn what_is_read_from_any_lines_is_read_back(text in lines()) {
        is_stable(&text)?;
    }

    #[test]
    fn hunks_are_read_back_whatever_their_lines_look_like(
        hunks in prop::collection::vec(hunk(), 1..4),
        path in "[a-z \"\\\\é-]{1,8}",
    ) {
        let change = Change {
            kind: Kind::Edit,
            path,
            old_mode: None,
            new_mode: None,
            content: Content::Hunks(hunks.into_iter().filter(|hunk| hunk.count(&[Mark::Same]) < hunk.lines.len()).collect()),
            line: 0,
            is_whole: false,
        };
        prop_assume!(!change.hunks().is_empty());
        let patch = Patch { changes: vec![change], corrections: BTreeSet::new(), outcomes: BTreeMap::new() };
        let again = Patch::parse(&patch.text(), &LIMITS);
        prop_assert_eq!(again.map(unplaced), Ok(unplaced(patch)));
    }

    #[test]
    fn any_wrong_counts_give_the_same_patch(old in 0..9_u32, new in 0..9_u32) {
        let lines = " a\n-b\n+c\n+d\n e\n";
        let with = |old, new| format!("--- a/x\n+++ b/x\n@@ -3,{old} +3,{new} @@\n{lines}--- a/y\n+++ b/y\n@@ -1 +1 @@\n-b\n+c\n");
        let (wrong, right) = (Patch::parse(&with(old, new), &LIMITS), Patch::parse(&with(3, 4), &LIMITS));
        // Counts that reach into the next header make lines of it, as they would for git.
        if old <= 3 && new <= 4 {
            prop_assert_eq!(wrong.map(unplaced), right.map(unplaced));
        }
    }
}
