//! What a fitted patch leaves, to compare it with another one, and its size.

use super::change::{Content, Kind};
use super::hunk::Mark;
use super::parsed::Patch;
use super::tree::Outcome;
use std::collections::BTreeMap;

impl Patch {
    /// Lines that it adds and removes; a binary change counts as one.
    pub fn changed_lines(&self) -> usize {
        let lines = self.changes.iter().map(|change| match &change.content {
            Content::Hunks(hunks) => {
                let changed = hunks.iter().flat_map(|hunk| &hunk.lines);
                changed.filter(|line| line.mark != Mark::Same).count()
            }
            _ => 1,
        });
        lines.sum()
    }

    /// Whether it adds files and lines, and removes, renames and changes nothing.
    pub fn only_adds(&self) -> bool {
        self.changes.iter().all(|change| {
            let is_added =
                matches!(change.kind, Kind::Add | Kind::Edit) && change.old_mode.is_none();
            match &change.content {
                Content::Hunks(hunks) => {
                    let mut lines = hunks.iter().flat_map(|hunk| &hunk.lines);
                    is_added && lines.all(|line| line.mark != Mark::Removed)
                }
                Content::Binary(_) => change.kind == Kind::Add,
            }
        })
    }

    /// The files that it leaves, as bytes that are equal for two patches with the same effect: paths, modes and contents, without
    /// blanks at the ends of lines and files.
    pub fn effect(&self) -> Vec<u8> {
        let mut modes: BTreeMap<&str, &str> = BTreeMap::new();
        let mut effect = Vec::new();
        for change in &self.changes {
            if let Some(mode) = change.new_mode {
                modes.insert(&change.path, mode.as_str());
            }
            // Its result is not computed here.
            if !matches!(change.content, Content::Hunks(_)) {
                effect.extend(format!("{:?}\n", change.content).into_bytes());
            }
        }
        for (path, outcome) in &self.outcomes {
            let mode = modes.get(path.as_str()).copied().unwrap_or_default();
            let (kind, content) = match outcome {
                Outcome::Absent => ("absent", Vec::new()),
                Outcome::File(bytes) => ("file", without_blanks(bytes)),
                Outcome::Link(target) => ("link", target.clone()),
            };
            let head = format!("{path:?} {mode} {kind} {}\n", content.len());
            effect.extend(head.into_bytes());
            effect.extend(content);
        }
        effect
    }
}

fn without_blanks(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end);
    let mut text = lines.collect::<Vec<_>>().join(&b'\n');
    text.truncate(text.trim_ascii_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Tree, TreeEntry};
    use super::*;

    /// A tree with the file `a` of two lines.
    struct Files;
    impl Tree for Files {
        fn at(&self, path: &str) -> TreeEntry {
            match path {
                "a" => TreeEntry::File,
                _ => TreeEntry::Nothing,
            }
        }
        fn content(&self, path: &str) -> Option<Vec<u8>> {
            (path == "a").then(|| b"one\ntwo\n".to_vec())
        }
        fn paths(&self) -> Vec<String> {
            vec!["a".to_owned()]
        }
    }

    fn fitted(text: &str) -> Patch {
        let patch = Patch::parse(text, &Limits::default()).expect("parses");
        patch.fit(&Files).expect("fits")
    }

    #[test]
    fn patches_with_the_same_effect_are_equal_however_they_are_written() {
        let small = fitted("--- a/a\n+++ b/a\n@@ -2 +2 @@\n-two\n+three\n");
        let large = fitted("--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n-one\n-two\n+one  \n+three\t\n");
        assert_eq!((small.changed_lines(), large.changed_lines()), (2, 4));
        assert_eq!(small.effect(), large.effect());
        let other = fitted("--- a/a\n+++ b/a\n@@ -2 +2 @@\n-two\n+ three\n");
        assert_ne!(small.effect(), other.effect(), "blanks before a line count");
        assert!(!small.only_adds());
        let mode = "diff --git a/a b/a\nold mode 100644\nnew mode 100755\n--- a/a\n+++ b/a\n@@ -2 +2 @@\n-two\n+three\n";
        assert_ne!(small.effect(), fitted(mode).effect());
        let new = "diff --git a/b b/b\nnew file mode 100644\n--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+three\n";
        assert_ne!(small.effect(), fitted(new).effect());
        assert!(fitted(new).only_adds() && !fitted(mode).only_adds());
        assert!(fitted("--- a/a\n+++ b/a\n@@ -2 +2,2 @@\n two\n+three\n").only_adds());
    }
}
