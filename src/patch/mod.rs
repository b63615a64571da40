//! A diff as a model wrote it -> the changes it makes, and one text that git reads in only one way.
//!
//! Text -> sections (`read`, `envelope`) -> changes (`change`) -> checked against rules that need no tree (`rules`) ->
//! fitted to the tree (`fit`): every hunk placed (`place`), every result known (`compose`) -> text (`write`). What is applied
//! is that last text, never the model's: it has every header spelled out, every count right and the tree's own lines around
//! every change, so nothing is left for git to guess. Pure: it knows the tree only through [`Tree`], and applies nothing. What
//! it can't read or place without a guess it refuses, with the line and with what the file has there.

mod binary;
mod change;
mod compose;
mod envelope;
mod fit;
mod ground;
mod hunk;
mod likeness;
mod line_ends;
mod lines;
mod link;
mod misfit;
mod name;
mod near;
mod place;
#[cfg(test)]
mod placing;
#[cfg(test)]
mod properties;
mod read;
mod rules;
mod spelling;
#[cfg(test)]
mod tests;
mod write;

pub use change::{Change, Content, Kind, Mode};
pub use fit::{Found, Outcome, Tree};
pub use hunk::{Hunk, Line, Mark, Stated};
pub use misfit::Misfit;
pub use read::Binary;
pub use rules::{Forbidden, Rules};
pub use write::Listed;

use crate::model::one_line;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

/// What any patch may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest patch, in bytes as the model wrote it.
    pub bytes_max: u64,
    /// Whether it may change binary files.
    pub allow_binary: bool,
}

/// The largest patch unless told otherwise: as much as a whole answer may have.
pub const PATCH_BYTES_MAX: u64 = 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: PATCH_BYTES_MAX,
            allow_binary: false,
        }
    }
}

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// There is no diff in the text.
    #[error("the patch is empty or has no file header (`--- a/path`, `+++ b/path`)")]
    Empty,
    /// There is one, and it leaves everything as it is.
    #[error("the patch changes nothing: its hunks have neither `+` nor `-` lines")]
    NoChange,
    /// Over the bound.
    #[error("the patch has {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        bytes_max: u64,
    },
    /// A line that can't be read without a guess.
    #[error("line {line} of the patch: {message}")]
    Malformed {
        /// 1-based, within the text that the model gave.
        line: usize,
        /// What is wrong, and how to write it.
        message: String,
    },
    /// A path that no task may touch, or not in this way.
    #[error("the patch touches `{path}`, which {why}")]
    Forbidden {
        /// Relative to the repository's root, as the patch names it; on one line.
        path: String,
        /// The rule.
        why: Forbidden,
    },
    /// It does not go into the tree as it is; all that is wrong, since a worker mends all of it at once.
    #[error("{}", misfit::told(misfits))]
    Misfit {
        /// In the order of the patch.
        misfits: Vec<Misfit>,
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
            PatchError::Misfit { .. } => "does_not_apply",
            _ => "patch_invalid",
        }
    }

    fn at(line: usize, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Malformed { line, message }
    }

    fn forbidden(path: &str, why: Forbidden) -> Self {
        let path = one_line(&misfit::visible(path));
        Self::Forbidden { path, why }
    }
}

/// What was put right on the way from the model's text to the one that is applied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mended {
    /// Line counts in hunk headers were wrong.
    Counts,
    /// Line ends differed from the file's.
    LineEnds,
    /// A hunk stated another line than the one where its old lines stand, or none.
    Place {
        /// The file.
        path: String,
        /// The line that it states; 0 when it states none.
        stated: u32,
        /// The line of its place.
        line: u64,
    },
    /// A context line differed in trailing blanks; the file's stay.
    Blanks {
        /// The file.
        path: String,
        /// Its line.
        line: u64,
    },
    /// The file has no line end at its end, of which the patch says nothing; it has none afterwards.
    OpenEnd {
        /// The file.
        path: String,
    },
}

impl Display for Mended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mended::Counts => {
                write!(
                    f,
                    "the line counts of its hunk headers were wrong, and were put right"
                )
            }
            Mended::LineEnds => {
                write!(
                    f,
                    "its line ends were not those of the files, and were put right"
                )
            }
            Mended::Place {
                path,
                stated: 0,
                line,
            } => write!(
                f,
                "a hunk for `{}` has no line number; it goes to line {line}, the only place for it",
                one_line(path)
            ),
            Mended::Place { path, stated, line } => write!(
                f,
                "a hunk for `{}` states line {stated}; it goes to line {line}, the only place where its old lines stand",
                one_line(path)
            ),
            Mended::Blanks { path, line } => write!(
                f,
                "line {line} of `{}`, a context line, differed only in trailing white space; the file keeps its own",
                one_line(path)
            ),
            Mended::OpenEnd { path } => write!(
                f,
                "`{}` has no newline at its end, of which the patch says nothing; it has none afterwards",
                one_line(path)
            ),
        }
    }
}

/// A patch: what it does to which path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// In the order of the text. Only edits of the content may share a path.
    pub changes: Vec<Change>,
    /// What was put right.
    pub mended: BTreeSet<Mended>,
    /// What every path is afterwards, once the patch is fitted to a tree; of binary content only git knows.
    pub outcomes: BTreeMap<String, Outcome>,
}

impl Patch {
    /// Finds and reads the diff in `text`, with or without prose and fences around it.
    pub fn parse(text: &str, limits: &Limits) -> Result<Self, PatchError> {
        if text.len() as u64 > limits.bytes_max {
            return Err(PatchError::TooLarge {
                bytes: text.len(),
                bytes_max: limits.bytes_max,
            });
        }
        let sections = read::sections(text.trim_start_matches('\u{feff}'))?;
        if sections.is_empty() {
            return Err(PatchError::Empty);
        }
        let mut mended = BTreeSet::new();
        if sections.iter().any(|section| section.is_recounted) {
            mended.insert(Mended::Counts);
        }
        let changes = change::changes(sections)?;
        if changes.is_empty() {
            return Err(PatchError::NoChange);
        }
        each_path_once(&changes)?;
        Ok(Self {
            changes,
            mended,
            outcomes: BTreeMap::new(),
        })
    }

    /// Refuses what no task may do, whatever the tree looks like, and paths outside the scope.
    pub fn check(&self, rules: &Rules<'_>) -> Result<(), PatchError> {
        self.changes
            .iter()
            .try_for_each(|change| rules.check(change))?;
        rules.check_size(&self.changes)
    }

    /// Fits the patch to the tree that it is for: places every hunk, and refuses what has no place, and what reaches through
    /// links, into submodules or out of the tree.
    pub fn fit(self, tree: &dyn Tree) -> Result<Self, PatchError> {
        fit::fit(self, tree)
    }

    /// Every path that is written, created or removed.
    pub fn paths(&self) -> BTreeSet<String> {
        let paths = |change: &Change| {
            let paths = [change.writes(), change.removes()];
            paths.map(|path| path.map(str::to_owned))
        };
        self.changes.iter().flat_map(paths).flatten().collect()
    }

    /// The text that git applies with `-p1`. Reading it again gives the same patch.
    pub fn bytes(&self) -> Vec<u8> {
        self.changes.iter().flat_map(write::text).collect()
    }

    /// The same for messages: what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// What git has to say about the text, when it reads it as we do.
    pub fn listed(&self) -> Listed {
        write::listed(&self.changes)
    }
}

/// Refuses to change a path twice, but for edits of one file that follow each other. What comes of other ways depends on
/// an order that the checks do not follow: a link could be made by the one change and sent elsewhere by the next.
fn each_path_once(changes: &[Change]) -> Result<(), PatchError> {
    let mut writers: BTreeMap<&str, &Change> = BTreeMap::new();
    let mut removers: BTreeSet<&str> = BTreeSet::new();
    for change in changes {
        let twice = |path: &str| {
            let path = one_line(path);
            let message = format!(
                "`{path}` is changed a second time; say all that happens to it in one place"
            );
            PatchError::at(change.line, message)
        };
        if let Some(path) = change.removes().filter(|path| !removers.insert(path)) {
            return Err(twice(path));
        }
        let earlier = change
            .writes()
            .and_then(|path| writers.insert(path, change));
        if earlier.is_some_and(|earlier| !(earlier.is_plain_edit() && change.is_plain_edit())) {
            return Err(twice(&change.path));
        }
    }
    let is_removed =
        |change: &&Change| change.kind == Kind::Edit && removers.contains(change.path.as_str());
    match changes.iter().find(is_removed) {
        Some(edit) => {
            let path = one_line(&edit.path);
            let message = format!("`{path}` is edited here and removed elsewhere in the patch");
            Err(PatchError::at(edit.line, message))
        }
        None => Ok(()),
    }
}
