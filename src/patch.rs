//! A unified diff -> the paths it touches, with everything refused that no task may do.
//!
//! Pure: it reads text, never the tree, and applies nothing. The integrator compares its list of paths
//! with git's own, so that a diff that the two read differently is never applied.

use crate::scope::Scope;
use std::collections::BTreeSet;

/// The largest patch, in bytes.
const PATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Nothing in it changes anything.
    #[error("the patch is empty or has no file header (`--- a/path`, `+++ b/path`)")]
    Empty,
    /// Over the bound.
    #[error("the patch has {0} bytes; at most {PATCH_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// A line that no diff has there.
    #[error("line {line} of the patch: {message}")]
    Malformed {
        /// 1-based, within the patch.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A path that would leave the repository or reach into git's own files.
    #[error("the patch touches `{path}`, which {why}")]
    Forbidden {
        /// As the patch names it.
        path: String,
        /// The rule.
        why: &'static str,
    },
    /// A path outside the task's scope.
    #[error("the patch touches `{path}`, which is outside the scope: {}", scope.join("; "))]
    OutOfScope {
        /// As the patch names it.
        path: String,
        /// The task's globs.
        scope: Vec<String>,
    },
}

impl PatchError {
    /// The failure code of a verdict.
    pub fn code(&self) -> &'static str {
        match self {
            PatchError::OutOfScope { .. } => "out_of_scope",
            _ => "patch_invalid",
        }
    }
}

/// A parsed patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The diff alone, without a fence, with a final line end.
    pub text: String,
    /// Leading path parts to strip: 1 with `a/` and `b/`, else 0.
    pub strip: u8,
    /// Every path that is written, created or removed.
    pub paths: BTreeSet<String>,
}

impl Patch {
    /// Reads a diff as a model wrote it, with or without a fence around it.
    pub fn parse(text: &str) -> Result<Self, PatchError> {
        if text.len() > PATCH_BYTES_MAX {
            return Err(PatchError::TooLarge(text.len()));
        }
        let mut text = without_fence(text).to_owned();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let headers = headers(&text)?;
        let names: Vec<&Name> = headers
            .iter()
            .filter(|name| name.path != "/dev/null")
            .collect();
        if names.is_empty() {
            return Err(PatchError::Empty);
        }
        let sided = names.iter().filter(|name| name.side.is_some());
        let prefixed = |name: &&&Name| name.side.is_some_and(|side| name.path.starts_with(side));
        let strip = u8::from(sided.clone().all(|name| prefixed(&name)));
        let paths = names
            .iter()
            .map(|name| match name.side {
                Some(_) if strip == 1 => name.path[2..].to_owned(),
                _ => name.path.clone(),
            })
            .collect();
        Ok(Self { text, strip, paths })
    }

    /// Refuses paths that no task may touch (`plan_file` is one of them), and those outside `scope`.
    pub fn check(
        &self,
        globs: &[String],
        scope: &Scope,
        plan_file: &str,
    ) -> Result<(), PatchError> {
        for path in &self.paths {
            if let Some(why) = forbidden(path, plan_file) {
                return Err(PatchError::Forbidden {
                    path: path.clone(),
                    why,
                });
            }
            if !scope.covers(path) {
                return Err(PatchError::OutOfScope {
                    path: path.clone(),
                    scope: globs.to_vec(),
                });
            }
        }
        Ok(())
    }
}

fn forbidden(path: &str, plan_file: &str) -> Option<&'static str> {
    let parts = || path.split('/');
    if path.starts_with('/') {
        Some("is absolute")
    } else if parts().any(|part| part == ".." || part == "." || part.is_empty()) {
        Some("is not a plain path below the repository's root")
    } else if parts().any(|part| part.eq_ignore_ascii_case(".git")) {
        Some("belongs to git")
    } else if path.chars().any(char::is_control) {
        Some("holds control characters")
    } else if parts().next() == Some(".step")
        || path.starts_with(".codex/st-plan")
        || path == plan_file
    {
        Some("belongs to the plan")
    } else {
        None
    }
}

/// A path in a header, with the prefix that its side has by convention.
#[derive(Debug)]
struct Name {
    path: String,
    side: Option<&'static str>,
}

/// The diff inside a fence, when the whole text is one.
fn without_fence(text: &str) -> &str {
    let trimmed = text.trim_matches(['\n', '\r']);
    let Some((first, rest)) = trimmed.split_once('\n') else {
        return text;
    };
    let last = rest.trim_end().rsplit_once('\n');
    match last {
        Some((body, end)) if first.starts_with("```") && end.trim() == "```" => {
            &rest[..body.len() + 1]
        }
        _ => text,
    }
}

/// Walks the lines, skipping hunk bodies by their counts, and collects the names in file headers.
fn headers(text: &str) -> Result<Vec<Name>, PatchError> {
    let lines: Vec<&str> = text.lines().collect();
    let mut names = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let malformed = |message: &str| PatchError::Malformed {
            line: at + 1,
            message: message.to_owned(),
        };
        if let Some(rest) = line.strip_prefix("@@ ") {
            at = after_hunk(&lines, at, rest)
                .ok_or_else(|| malformed("a hunk header that does not parse"))?;
            continue;
        }
        if line.starts_with("--- ")
            && lines
                .get(at + 1)
                .is_some_and(|next| next.starts_with("+++ "))
        {
            names.push(
                name(&line[4..], Some("a/"))
                    .ok_or_else(|| malformed("a path that does not parse"))?,
            );
            names.push(
                name(&lines[at + 1][4..], Some("b/"))
                    .ok_or_else(|| malformed("a path that does not parse"))?,
            );
            at += 2;
            continue;
        }
        if let Some(rest) = line.strip_prefix("diff --git ") {
            // The only place where an empty file or a mere change of mode is named.
            names.extend(same_name_twice(rest));
        }
        for keyword in ["rename from ", "rename to ", "copy from ", "copy to "] {
            if let Some(rest) = line.strip_prefix(keyword) {
                names
                    .push(name(rest, None).ok_or_else(|| malformed("a path that does not parse"))?);
            }
        }
        if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            return Err(malformed("binary patches are refused"));
        }
        if let Some(mode) = mode_of(line)
            && !matches!(mode, "100644" | "100755")
        {
            return Err(malformed(
                "only plain files are allowed: no links, submodules or special modes",
            ));
        }
        at += 1;
    }
    Ok(names)
}

/// `a/X b/X`, as git writes it unless the file is renamed; the names of a rename stand in lines of their own.
fn same_name_twice(rest: &str) -> Vec<Name> {
    let (first, second) = if rest.starts_with('"') {
        let end = rest.find("\" \"").map_or(rest.len(), |at| at + 1);
        (&rest[..end], rest.get(end + 1..).unwrap_or_default())
    } else {
        let middle = rest.len() / 2;
        let halves = rest.is_char_boundary(middle) && rest[middle..].starts_with(' ');
        if halves {
            (&rest[..middle], &rest[middle + 1..])
        } else {
            ("", "")
        }
    };
    match (name(first, Some("a/")), name(second, Some("b/"))) {
        (Some(a), Some(b)) if a.path.get(2..) == b.path.get(2..) => vec![a, b],
        _ => Vec::new(),
    }
}

fn mode_of(line: &str) -> Option<&str> {
    [
        "new file mode ",
        "new mode ",
        "deleted file mode ",
        "old mode ",
    ]
    .iter()
    .find_map(|keyword| line.strip_prefix(keyword))
    .map(str::trim)
}

/// The index after a hunk body. Counts that models get wrong are corrected by what the lines look like, as
/// `git apply --recount` does.
fn after_hunk(lines: &[&str], at: usize, header: &str) -> Option<usize> {
    let (ranges, _) = header.split_once(" @@")?;
    let (old, new) = ranges.strip_prefix('-')?.split_once(" +")?;
    let count = |range: &str| -> Option<usize> {
        match range.split_once(',') {
            Some((start, count)) => start.parse::<usize>().ok().and(count.parse().ok()),
            None => range.parse::<usize>().ok().map(|_| 1),
        }
    };
    let (mut old, mut new) = (count(old)?, count(new)?);
    let mut next = at + 1;
    while let Some(line) = lines.get(next) {
        let counted = old > 0 || new > 0;
        let looks_like_header = line.starts_with("--- ")
            && lines
                .get(next + 1)
                .is_some_and(|after| after.starts_with("+++ "))
            && lines
                .get(next + 2)
                .is_some_and(|after| after.starts_with("@@ "));
        match line.as_bytes().first() {
            _ if looks_like_header && !counted => break,
            Some(b'+') => new = new.saturating_sub(1),
            Some(b'-') => old = old.saturating_sub(1),
            Some(b' ') | None if counted => {
                old = old.saturating_sub(1);
                new = new.saturating_sub(1);
            }
            Some(b' ') => {}
            Some(b'\\') => {}
            _ => break,
        }
        next += 1;
    }
    Some(next)
}

/// A path in a header: quoted as git does it, or plain up to a tab.
fn name(text: &str, side: Option<&'static str>) -> Option<Name> {
    let path = match text.strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => text
            .split('\t')
            .next()
            .unwrap_or(text)
            .trim_end_matches('\r')
            .to_owned(),
    };
    (!path.is_empty()).then_some(Name { path, side })
}

/// Undoes git's C-style quoting; the opening quote is already gone.
fn unquoted(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match first {
            b'"' => return String::from_utf8(bytes).ok(),
            b'\\' => {
                let (&escape, after) = rest.split_first()?;
                rest = after;
                match escape {
                    b'n' => bytes.push(b'\n'),
                    b't' => bytes.push(b'\t'),
                    b'r' => bytes.push(b'\r'),
                    b'"' | b'\\' => bytes.push(escape),
                    b'0'..=b'7' => {
                        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                        let low = u8::from_str_radix(digits, 8).ok()?;
                        bytes.push((escape - b'0').checked_mul(64)?.checked_add(low)?);
                        rest = &rest[2..];
                    }
                    _ => return None,
                }
            }
            other => bytes.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        Patch::parse(text)
            .expect("parses")
            .paths
            .into_iter()
            .collect()
    }

    fn checked(text: &str, globs: &[&str]) -> Result<(), PatchError> {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        Patch::parse(text)?.check(
            &globs,
            &Scope::new(&globs).expect("globs"),
            "plans/own.jsonl",
        )
    }

    const EDIT: &str = "diff --git a/src/a.rs b/src/a.rs\nindex 1..2 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,3 +1,3 @@\n x\n--- minus\n+++ plus\n y\n";

    #[test]
    fn hunk_lines_that_look_like_headers_are_no_headers() {
        assert_eq!(paths(EDIT), ["src/a.rs"]);
        let fenced = format!("```diff\n{EDIT}```\n");
        assert_eq!(Patch::parse(&fenced).expect("parses").text, EDIT);
    }

    #[test]
    fn new_deleted_and_renamed_files_and_bare_paths() {
        let text = "--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+x\n--- a/old.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
        assert_eq!(paths(text), ["new.txt", "old.txt"]);
        let renamed = "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n";
        assert_eq!(paths(renamed), ["x", "y"]);
        let bare =
            Patch::parse("--- src/a.rs\n+++ src/a.rs\n@@ -1 +1 @@\n-x\n+y\n").expect("parses");
        assert_eq!((bare.strip, bare.paths.len()), (0, 1));
        assert_eq!(
            paths("--- \"a/\\303\\244.txt\"\n+++ \"b/\\303\\244.txt\"\n@@ -1 +1 @@\n-x\n+y\n"),
            ["ä.txt"]
        );
    }

    #[test]
    fn empty_files_and_modes_are_named_by_git_alone() {
        let empty = "diff --git a/pkg/__init__.py b/pkg/__init__.py\nnew file mode 100644\nindex 0000000..e69de29\n";
        assert_eq!(paths(empty), ["pkg/__init__.py"]);
        let mode = "diff --git a/run me b/run me\nold mode 100644\nnew mode 100755\n";
        assert_eq!(paths(mode), ["run me"]);
    }

    #[test]
    fn what_no_task_may_do_is_refused() {
        let edit = |path: &str| format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n");
        for path in [
            "../x",
            "a/../../x",
            ".git/config",
            "a/.GIT/hooks/x",
            "/etc/passwd",
            ".step/st-plan.jsonl",
            "plans/own.jsonl",
        ] {
            assert!(
                matches!(
                    checked(&edit(path), &["**"]),
                    Err(PatchError::Forbidden { .. })
                ),
                "{path}"
            );
        }
        assert!(matches!(
            checked(&edit("b.rs"), &["a.rs"]),
            Err(PatchError::OutOfScope { .. })
        ));
        assert_eq!(checked(&edit("a.rs"), &["a.rs"]), Ok(()));
        let link = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n";
        assert!(matches!(
            Patch::parse(link),
            Err(PatchError::Malformed { line: 2, .. })
        ));
        assert_eq!(Patch::parse("just prose\n"), Err(PatchError::Empty));
        assert_eq!(Patch::parse(""), Err(PatchError::Empty));
    }

    #[test]
    fn a_second_file_is_seen_although_the_first_hunk_counts_too_few_lines() {
        let text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n+z\n--- a/evil\n+++ b/evil\n@@ -1 +1 @@\n-x\n+y\n";
        assert_eq!(paths(text), ["evil", "x"]);
    }
}
