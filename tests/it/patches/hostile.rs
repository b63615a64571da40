//! Ways to make a good patch one that has to be refused.

use super::{Desk, PLAN};
use mesh::integrate::Evidence;
use mesh::patch::Limits;

/// What is put in front of the patch or behind it, and what the refusal says.
const SECTIONS: [(&str, &str); 21] = [
    (
        "--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-x\n+y\n",
        "`../x`, which is not a plain path",
    ),
    (
        "--- /etc/x\n+++ /etc/x\n@@ -1 +1 @@\n-x\n+y\n",
        "`/etc/x`, which is absolute",
    ),
    (
        "--- a/.GIT/config\n+++ b/.GIT/config\n@@ -1 +1 @@\n-x\n+y\n",
        "`.GIT/config`, which belongs to git",
    ),
    (
        "--- a/s/.git/config\n+++ b/s/.git/config\n@@ -1 +1 @@\n-x\n+y\n",
        "`s/.git/config`, which belongs to git",
    ),
    (
        "--- /dev/null\n+++ \"b/.g\\342\\200\\214it/hooks/x\"\n@@ -0,0 +1 @@\n+x\n",
        "it/hooks/x`, which belongs to git",
    ),
    (
        "diff --git a/m b/m\nnew file mode 160000\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+Subproject commit 1\n",
        "`m`, which is a submodule",
    ),
    (
        "diff --git a/m b/m\nnew file mode 104755\n",
        "`m`, which would get mode 104755",
    ),
    (
        "diff --git a/m b/m\nnew file mode 120000\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+/etc\n",
        "`m`, which would be a symbolic link to `/etc`",
    ),
    (
        "diff --git a/m b/m\nnew file mode 120000\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+../m\n",
        "`m`, which would be a symbolic link to `../m`",
    ),
    (
        "diff --git a/m b/m\nnew file mode 120000\n--- /dev/null\n+++ b/m\n@@ -0,0 +1 @@\n+.\n--- /dev/null\n+++ b/m/x\n@@ -0,0 +1 @@\n+x\n",
        "`m/x`, which lies behind a symbolic link",
    ),
    (
        "diff --git a/m b/m\nold mode 100644\nnew mode 120000\n",
        "`m`, which would change between",
    ),
    (
        "diff --git a/m b/m\nGIT binary patch\nliteral 1\nIcmZP\n\n",
        "`m`, which is binary",
    ),
    (
        "diff --git a/m b/m\nBinary files a/m and b/m differ\n",
        "`m`, which is binary",
    ),
    ("--- a/m\n+++ b/m\n-x\n+y\n", "looks like a line of a hunk"),
    (
        "--- a/m\n+++ b/n\n@@ -1 +1 @@\n-x\n+y\n",
        "the header names `m` and `n`",
    ),
    (
        "--- a/plan/st.jsonl\n+++ b/plan/st.jsonl\n@@ -1 +1 @@\n-x\n+y\n",
        "`plan/st.jsonl`, which belongs to the plan",
    ),
    (
        "--- a/state/runs/R/ledger.jsonl\n+++ b/state/runs/R/ledger.jsonl\n@@ -1 +1 @@\n-x\n+y\n",
        "which belongs to the runs of `mesh`",
    ),
    (
        "--- /dev/null\n+++ b/.\\.learnings.jsonl\n@@ -0,0 +1 @@\n+x\n",
        "belongs to the learnings",
    ),
    (
        "--- /dev/null\n+++ b/s\\..\\.step\\st-plan.jsonl\n@@ -0,0 +1 @@\n+x\n",
        "belongs to the plan",
    ),
    (
        "--- /dev/null\n+++ b/\\plan\\x\\..\\st.jsonl\n@@ -0,0 +1 @@\n+x\n",
        "belongs to the plan",
    ),
    (
        "--- /dev/null\n+++ b/s\\..\\state\\.\\runs\\x\n@@ -0,0 +1 @@\n+x\n",
        "which belongs to the runs of `mesh`",
    ),
];

/// Makes `patch` hostile in the way that is `number`'s turn, and sees it refused.
pub fn refused(desk: &Desk<'_>, number: usize, patch: &str, scope: &[String]) {
    assert_eq!(PLAN, "plan/st.jsonl");
    let limits = Limits {
        bytes_max: u64::MAX,
        allow_binary: false,
    };
    // What the patch itself has of it is not the point here.
    let patch = if patch.contains("GIT binary patch") {
        ""
    } else {
        patch
    };
    let everything = vec!["**".to_owned()];
    let way = number % (SECTIONS.len() + 3);
    let (text, scope, limits, why) = match way.checked_sub(SECTIONS.len()) {
        None if number.is_multiple_of(2) => (
            SECTIONS[way].0.to_owned() + patch,
            everything,
            limits,
            SECTIONS[way].1,
        ),
        None => (
            // In a block of its own: below a header without hunks it would be taken for a part of that.
            format!("```\n{patch}```\n```\n{}```\n", SECTIONS[way].0),
            everything,
            limits,
            SECTIONS[way].1,
        ),
        Some(0) => {
            let outside =
                "diff --git a/outside b/outside\n--- /dev/null\n+++ b/outside\n@@ -0,0 +1 @@\n+x\n";
            (
                patch.to_owned() + outside,
                scope.to_vec(),
                limits,
                "is outside the scope",
            )
        }
        Some(1) => {
            let limits = Limits {
                bytes_max: patch.len() as u64,
                ..limits
            };
            (
                format!("{patch}\n"),
                everything,
                limits,
                "`--patch-bytes-max` allows",
            )
        }
        Some(_) => (
            patch.lines().map(|line| format!("> {line}\n")).collect(),
            everything,
            limits,
            "is empty or has no file header",
        ),
    };
    match desk.examine(&text, &scope, limits) {
        Evidence::Refused { detail, .. } => {
            assert!(detail.contains(why), "{number}: {why}: {detail}")
        }
        Evidence::Applies { .. } => panic!("{number}: {why}: not refused"),
    }
}
