//! Shows the difference of two contents of a path as a unified diff, for people. Git can apply it unless a side is only named.

use super::name::quoted_bytes;
use crate::model::counted;
use similar::TextDiff;
use std::time::Duration;

/// Git looks as far for a NUL byte, by which it tells binary content.
const BINARY_BYTES: usize = 8000;
/// How long the shortest difference is searched for; then a longer one is shown.
const SEARCH: Duration = Duration::from_millis(300);

/// What is there on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffSide<'c> {
    /// Nothing.
    Nothing,
    /// A file, or a link with its target as the content.
    Content {
        /// As git writes it: `100644`, `100755` or `120000`.
        mode: &'static str,
        /// All of it.
        bytes: &'c [u8],
    },
    /// Something whose content is not shown.
    Named {
        /// What it is, such as `5368709120 bytes`.
        what: &'c str,
    },
}

/// Two sides of one path.
#[derive(Clone, Copy, Debug)]
pub struct Diff<'c> {
    /// The path, in bytes.
    pub path: &'c [u8],
    /// The earlier side.
    pub old: DiffSide<'c>,
    /// The later side.
    pub new: DiffSide<'c>,
}

impl Diff<'_> {
    /// The difference as `git diff` would write it, or as one line `Files … differ` with what is known of both; empty if there
    /// is none.
    pub fn text(&self) -> Vec<u8> {
        use DiffSide::{Content, Named, Nothing};
        let (old, new) = (quoted_bytes("a/", self.path), quoted_bytes("b/", self.path));
        let head = format!("diff --git {old} {new}\n");
        let (modes, before, after) = match (self.old, self.new) {
            (Named { .. }, _) | (_, Named { .. }) => {
                let (was, is) = (self.old.named(), self.new.named());
                let line = format!("{head}Files {old} ({was}) and {new} ({is}) differ\n");
                return line.into_bytes();
            }
            (Nothing, Nothing) => return Vec::new(),
            (Nothing, Content { mode, bytes }) => {
                (format!("new file mode {mode}\n"), &[][..], bytes)
            }
            (Content { mode, bytes }, Nothing) => {
                (format!("deleted file mode {mode}\n"), bytes, &[][..])
            }
            (
                Content {
                    mode: was,
                    bytes: before,
                },
                Content {
                    mode: is,
                    bytes: after,
                },
            ) => match was == is {
                true => (String::new(), before, after),
                false => (format!("old mode {was}\nnew mode {is}\n"), before, after),
            },
        };
        let none = |side: DiffSide<'_>, name: &str| match side {
            Nothing => "/dev/null".to_owned(),
            _ => name.to_owned(),
        };
        let body = body(
            (before, &none(self.old, &old)),
            (after, &none(self.new, &new)),
        );
        match modes.is_empty() && body.is_empty() {
            true => Vec::new(),
            false => [head.into_bytes(), modes.into_bytes(), body].concat(),
        }
    }
}

impl DiffSide<'_> {
    fn named(&self) -> String {
        match self {
            DiffSide::Nothing => "nothing".to_owned(),
            DiffSide::Content { bytes, .. } => size(bytes),
            DiffSide::Named { what } => (*what).to_owned(),
        }
    }
}

fn size(bytes: &[u8]) -> String {
    counted(bytes.len() as u64, "byte")
}

/// The hunks with their header, for two contents with their names.
fn body((before, old): (&[u8], &str), (after, new): (&[u8], &str)) -> Vec<u8> {
    if before == after {
        return Vec::new();
    }
    let is_binary = |bytes: &[u8]| bytes.iter().take(BINARY_BYTES).any(|byte| *byte == 0);
    if is_binary(before) || is_binary(after) {
        let (was, is) = (size(before), size(after));
        return format!("Binary files {old} ({was}) and {new} ({is}) differ\n").into_bytes();
    }
    let diff = TextDiff::configure()
        .timeout(SEARCH)
        .diff_lines(before, after);
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = diff.unified_diff().header(old, new).to_writer(&mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: DiffSide<'_> = DiffSide::Nothing;

    fn file(bytes: &[u8]) -> DiffSide<'_> {
        let mode = "100644";
        DiffSide::Content { mode, bytes }
    }

    fn text(path: &[u8], old: DiffSide<'_>, new: DiffSide<'_>) -> String {
        let text = Diff { path, old, new }.text();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[test]
    fn a_change_is_shown_as_git_shows_it() {
        assert_eq!(
            text(b"a.txt", file(b"one\ntwo\nthree\n"), file(b"one\n2\nthree")),
            "diff --git a/a.txt b/a.txt\n--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n+2\n+three\n\\ No newline at end of file\n"
        );
        assert_eq!(
            text(b"new", NOTHING, file(b"x\n")),
            "diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+x\n"
        );
        assert_eq!(
            text(b"old", file(b"x\n"), NOTHING),
            "diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        );
        let script = DiffSide::Content {
            mode: "100755",
            bytes: b"x\n",
        };
        assert_eq!(
            text(b"run.sh", file(b"x\n"), script),
            "diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n"
        );
        assert_eq!(text(b"same", file(b"x\n"), file(b"x\n")), "");
        assert_eq!(text(b"never", NOTHING, NOTHING), "");
    }

    #[test]
    fn what_is_no_text_or_not_known_is_named_with_its_size() {
        assert_eq!(
            text(b"a b\n\xff", file(b"\0\x01"), file(b"text\n")),
            "diff --git \"a/a b\\012\\377\" \"b/a b\\012\\377\"\n\
             Binary files \"a/a b\\012\\377\" (2 bytes) and \"b/a b\\012\\377\" (5 bytes) differ\n"
        );
        let large = DiffSide::Named {
            what: "4294967296 bytes",
        };
        assert_eq!(
            text(b"disk.img", large, file(b"x")),
            "diff --git a/disk.img b/disk.img\nFiles a/disk.img (4294967296 bytes) and b/disk.img (1 byte) differ\n"
        );
        assert_eq!(
            text(b"disk.img", NOTHING, large),
            "diff --git a/disk.img b/disk.img\nFiles a/disk.img (nothing) and b/disk.img (4294967296 bytes) differ\n"
        );
    }

    #[test]
    fn contents_without_a_common_line_are_shown_whole() {
        let lines = |from: u32| -> Vec<u8> {
            let lines = (from..from + 40_000).map(|number| format!("{number}\n"));
            lines.collect::<String>().into_bytes()
        };
        let (before, after) = (lines(0), lines(50_000));
        let shown = text(b"numbers", file(&before), file(&after));
        assert_eq!(
            shown.lines().filter(|line| line.starts_with('-')).count(),
            40_001
        );
        assert_eq!(
            shown.lines().filter(|line| line.starts_with('+')).count(),
            40_001
        );
    }
}
