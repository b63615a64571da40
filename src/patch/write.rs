//! Writes changes as the text that git applies, and predicts what git reports about it.

use super::change::{Change, Content, Kind, Mode};
use super::hunk::{Hunk, Mark, Stated};
use super::name::quoted;
use super::read::Binary;
use std::fmt;
use std::fmt::Display;

/// The text of one change, as `git diff` would write it.
pub(super) fn text(change: &Change) -> Vec<u8> {
    let path = &change.path;
    let from = change.source().unwrap_or(path);
    let (old, new) = (quoted("a/", from), quoted("b/", path));
    let mut text = format!("diff --git {old} {new}\n");
    match (&change.kind, change.old_mode, change.new_mode) {
        (Kind::Add, _, mode) => text += &format!("new file mode {}\n", or_plain(mode)),
        (Kind::Delete, mode, _) => text += &format!("deleted file mode {}\n", or_plain(mode)),
        (_, Some(old), Some(new)) => {
            text += &format!("old mode {}\nnew mode {}\n", old.as_str(), new.as_str());
        }
        _ => {}
    }
    let moved = |word: &str, from: &str| {
        let (from, to) = (quoted("", from), quoted("", path));
        format!("{word} from {from}\n{word} to {to}\n")
    };
    match &change.kind {
        Kind::Rename { from } => text += &moved("rename", from),
        Kind::Copy { from } => text += &moved("copy", from),
        Kind::Edit | Kind::Add | Kind::Delete => {}
    }
    if (change.old_mode, change.new_mode) == (Some(Mode::Link), None) && change.kind != Kind::Delete
    {
        // Git ignores the ids. The mode says that it is a link.
        text += "index 0000000..0000000 120000\n";
    }
    let mut body = Vec::new();
    match &change.content {
        Content::Binary(binary) => {
            if !binary.index.is_empty() {
                text += &format!("index {}\n", binary.index);
            }
            match binary.blocks.is_empty() {
                true => text += &format!("Binary files {old} and {new} differ\n"),
                false => text += &binary_text(binary),
            }
        }
        Content::Hunks(hunks) if hunks.is_empty() => {}
        Content::Hunks(hunks) => {
            let none = |is_none: bool, name: String| {
                if is_none {
                    "/dev/null".to_owned()
                } else {
                    name
                }
            };
            let old = none(change.kind == Kind::Add, old);
            let new = none(change.kind == Kind::Delete, new);
            text += &format!("--- {old}\n+++ {new}\n");
            body.extend(hunks.iter().flat_map(hunk_text));
        }
    }
    let mut text = text.into_bytes();
    text.extend(body);
    text
}

fn or_plain(mode: Option<Mode>) -> &'static str {
    mode.unwrap_or(Mode::Plain).as_str()
}

/// The text of a hunk. A hunk without numbers, which has no place yet, keeps none.
fn hunk_text(hunk: &Hunk) -> Vec<u8> {
    let range = |start: u32, count: usize| match count {
        1 => start.to_string(),
        _ => format!("{start},{count}"),
    };
    let old = range(hunk.old_start, hunk.old_count());
    let new = range(hunk.new_start, hunk.new_count());
    let mut text = match hunk.stated {
        Stated::Line { .. } => format!("@@ -{old} +{new} @@\n").into_bytes(),
        Stated::Unnumbered { .. } => b"@@\n".to_vec(),
    };
    for line in &hunk.lines {
        text.push(match line.mark {
            Mark::Same => b' ',
            Mark::Removed => b'-',
            Mark::Added => b'+',
        });
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        if !line.is_ended {
            text.extend_from_slice(b"\\ No newline at end of file\n");
        }
    }
    text
}

fn binary_text(binary: &Binary) -> String {
    let mut text = "GIT binary patch\n".to_owned();
    for block in &binary.blocks {
        block.iter().for_each(|line| text += &format!("{line}\n"));
        text.push('\n');
    }
    text
}

/// What git reports about a patch with `--numstat` and `--summary`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeList {
    /// The paths that change, with counts of added and removed lines as `+1 -1`, `+- --` for binary content; in order.
    pub paths: Vec<(String, String)>,
    /// The source of each path: the same path, except for renames and copies; in order.
    pub sources: Vec<String>,
    /// Files that are created or deleted, and modes that change.
    pub facts: Vec<String>,
}

impl Display for ChangeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self
            .paths
            .iter()
            .map(|(path, counts)| format!("{path} ({counts})"));
        let all = paths.chain(self.facts.iter().cloned()).collect::<Vec<_>>();
        write!(f, "{}", all.join(", "))?;
        let differs = |source: &&String| self.paths.iter().all(|(path, _)| path != *source);
        match self
            .sources
            .iter()
            .filter(differs)
            .cloned()
            .collect::<Vec<_>>()
        {
            sources if sources.is_empty() => Ok(()),
            sources => write!(f, ", from {}", sources.join(", ")),
        }
    }
}

pub(super) fn list_changes(changes: &[Change]) -> ChangeList {
    let path = |change: &Change| (change.path.clone(), counts(change));
    let source = |change: &Change| change.source().unwrap_or(&change.path).to_owned();
    ChangeList {
        paths: changes.iter().map(path).collect(),
        sources: changes.iter().map(source).collect(),
        facts: changes.iter().filter_map(fact).collect(),
    }
}

fn counts(change: &Change) -> String {
    let count = |mark: Mark| {
        let counts = change.hunks().iter().map(|hunk| hunk.count(&[mark]));
        counts.sum::<usize>()
    };
    match &change.content {
        Content::Binary(_) => "+- --".to_owned(),
        Content::Hunks(_) => format!("+{} -{}", count(Mark::Added), count(Mark::Removed)),
    }
}

fn fact(change: &Change) -> Option<String> {
    let path = &change.path;
    match (&change.kind, change.old_mode, change.new_mode) {
        (Kind::Add, _, mode) => Some(format!("create mode {} {path}", or_plain(mode))),
        (Kind::Delete, mode, _) => Some(format!("delete mode {} {path}", or_plain(mode))),
        (Kind::Edit, Some(old), Some(new)) => Some(format!(
            "mode change {} => {} {path}",
            old.as_str(),
            new.as_str()
        )),
        // Git prints the path in the line about the rename.
        (_, Some(old), Some(new)) => {
            Some(format!("mode change {} => {}", old.as_str(), new.as_str()))
        }
        _ => None,
    }
}
