//! Converts the sections of a diff to changes, and refuses contradictory ones.

use super::error::PatchError;
use super::forbidden::Forbidden;
use super::hunk::{Hunk, Mark, Stated};
use super::name;
use super::name::{NO_FILE, Side};
use super::read::{Binary, Section};
use crate::model::one_line;

/// The mode of a file. No others are allowed: no set-uid bits, no submodules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `100644`
    Plain,
    /// `100755`
    Executable,
    /// `120000`, a symbolic link; its content is the target.
    Link,
}

impl Mode {
    /// As git writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Plain => "100644",
            Mode::Executable => "100755",
            Mode::Link => "120000",
        }
    }

    fn read(text: &str) -> Result<Self, Forbidden> {
        match text {
            "100644" => Ok(Mode::Plain),
            "100755" => Ok(Mode::Executable),
            "120000" => Ok(Mode::Link),
            "160000" => Err(Forbidden::Submodule),
            other => Err(Forbidden::Mode(one_line(other))),
        }
    }
}

/// What happens to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is edited: content or mode change.
    Edit,
    /// It is new.
    Add,
    /// It is removed.
    Delete,
    /// It is renamed from another path.
    Rename {
        /// That path.
        from: String,
    },
    /// It is copied from another path.
    Copy {
        /// That path.
        from: String,
    },
}

/// How the content changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// By hunks; none if the content does not change, or is empty.
    Hunks(Vec<Hunk>),
    /// By binary data in git's encoding.
    Binary(Binary),
}

/// One change of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub kind: Kind,
    /// The path; of a rename or copy, the new one.
    pub path: String,
    /// The mode before, if the patch says it; always for a deletion.
    pub old_mode: Option<Mode>,
    /// The mode after, if the patch says it; always for an addition.
    pub new_mode: Option<Mode>,
    /// How the content changes.
    pub content: Content,
    /// The line of the model's text at which it begins, 1-based; for messages.
    pub line: usize,
    /// The file is deleted whatever it contains (`*** Delete File:`). Any other deletion lists every line.
    pub is_whole: bool,
}

impl Change {
    /// Its paths, old and new.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        [Some(self.path.as_str()), self.source()]
            .into_iter()
            .flatten()
    }

    /// The source of a rename or copy.
    pub fn source(&self) -> Option<&str> {
        match &self.kind {
            Kind::Rename { from } | Kind::Copy { from } => Some(from),
            Kind::Edit | Kind::Add | Kind::Delete => None,
        }
    }

    /// The path that exists afterwards.
    pub fn writes(&self) -> Option<&str> {
        (self.kind != Kind::Delete).then_some(&*self.path)
    }

    /// The path that is removed.
    pub fn removes(&self) -> Option<&str> {
        match &self.kind {
            Kind::Delete => Some(&self.path),
            Kind::Rename { from } => Some(from),
            Kind::Edit | Kind::Add | Kind::Copy { .. } => None,
        }
    }

    /// The hunks; none if the content is binary.
    pub fn hunks(&self) -> &[Hunk] {
        match &self.content {
            Content::Hunks(hunks) => hunks,
            Content::Binary(_) => &[],
        }
    }

    /// Whether it edits the content of a file and nothing else.
    pub(super) fn is_plain_edit(&self) -> bool {
        let is_text = matches!(self.content, Content::Hunks(_));
        self.kind == Kind::Edit && is_text && (self.old_mode, self.new_mode) == (None, None)
    }
}

/// The changes of a diff, without those that change nothing.
pub(super) fn changes(sections: Vec<Section>) -> Result<Vec<Change>, PatchError> {
    // With `/dev/null` on the other side, `b/new.txt` may have a prefix or not. The other names of the diff decide.
    let are_bare = sections.iter().any(is_bare);
    let changes = sections
        .into_iter()
        .map(|section| change(section, are_bare));
    changes.filter_map(Result::transpose).collect()
}

/// Two names without prefixes.
fn is_bare(section: &Section) -> bool {
    let mut pairs = [&section.git_names, &section.names].into_iter().flatten();
    pairs.any(|(old, new)| old == new && !old.starts_with("./"))
}

fn change(section: Section, are_bare: bool) -> Result<Option<Change>, PatchError> {
    let line = section.line;
    let kind = kind(&section)?;
    let is_whole = kind == Kind::Delete && section.envelope.is_some();
    let path = path(&section, &kind, are_bare)?;
    let (old_mode, new_mode) = modes(&section, &kind, &path)?;
    let is_recreated = matches!(
        kind,
        Kind::Add | Kind::Delete | Kind::Rename { .. } | Kind::Copy { .. }
    );
    let content = content(section, &kind, new_mode)?;
    if matches!(content, Content::Binary(_)) && [old_mode, new_mode].contains(&Some(Mode::Link)) {
        return Err(PatchError::forbidden(&path, Forbidden::LinkContent));
    }
    let change = Change {
        kind,
        path,
        old_mode,
        new_mode,
        content,
        line,
        is_whole,
    };
    let is_change =
        is_recreated || new_mode.is_some() || change.content != Content::Hunks(Vec::new());
    Ok(is_change.then_some(change))
}

fn kind(section: &Section) -> Result<Kind, PatchError> {
    let extended = &section.extended;
    let error = |message: &str| PatchError::at(section.line, message);
    let is_gone = section
        .names
        .as_ref()
        .is_some_and(|(_, new)| new == NO_FILE);
    let (is_new, is_deleted) = (section.is_new(), is_gone || extended.deleted_mode.is_some());
    let moves = [
        (&extended.rename_from, &extended.rename_to),
        (&extended.copy_from, &extended.copy_to),
    ];
    let moved = match moves {
        [(Some(from), Some(_)), (None, None)] => Some(Kind::Rename { from: from.clone() }),
        [(None, None), (Some(from), Some(_))] => Some(Kind::Copy { from: from.clone() }),
        [(None, None), (None, None)] => None,
        _ => {
            return Err(error(
                "a rename needs `rename from` and `rename to`, a copy `copy from` and `copy to`",
            ));
        }
    };
    match (moved, is_new, is_deleted) {
        (Some(moved), false, false) => Ok(moved),
        (None, false, false) => Ok(Kind::Edit),
        (None, true, false) => Ok(Kind::Add),
        (None, false, true) => Ok(Kind::Delete),
        _ => Err(error(
            "the header says more than one of: new, deleted, renamed, copied",
        )),
    }
}

/// The path after the change, or before it for a deletion. All names of the section must agree.
fn path(section: &Section, kind: &Kind, are_bare: bool) -> Result<String, PatchError> {
    let extended = &section.extended;
    if let (Kind::Rename { from } | Kind::Copy { from }, Some(to)) = (
        kind,
        extended.rename_to.as_ref().or(extended.copy_to.as_ref()),
    ) {
        let is_other = |(old, new): &&(String, String)| {
            let (stripped_old, stripped_new) = name::without_prefixes(old, new);
            (stripped_old, stripped_new) != (from, to) && (old, new) != (from, to)
        };
        return match section.names.iter().find(is_other) {
            Some((old, new)) => Err(names_disagree(section, &[from, to, old, new])),
            None => Ok(to.clone()),
        };
    }
    if let Some(path) = &section.envelope {
        let is_same = |(old, new): &(String, String)| {
            let (stripped_old, stripped_new) = name::without_prefixes(old, new);
            let is_ours = |name: &str| name == path || name == NO_FILE;
            (is_ours(stripped_old) && is_ours(stripped_new)) || (is_ours(old) && is_ours(new))
        };
        return match section.names.iter().find(|names| !is_same(names)) {
            Some((old, new)) => Err(names_disagree(section, &[path, old, new])),
            None => Ok(path.clone()),
        };
    }
    let by_git = section
        .git_names
        .as_ref()
        .map(|(old, new)| name::without_prefixes(old, new));
    let named = section
        .names
        .as_ref()
        .map(|(old, new)| match (old.as_str(), new.as_str()) {
            (NO_FILE, name) => strip_one_sided(name, Side::New, by_git, are_bare),
            (name, NO_FILE) => strip_one_sided(name, Side::Old, by_git, are_bare),
            (old, new) => name::without_prefixes(old, new),
        });
    match (by_git, named) {
        (None, None) => Err(PatchError::at(
            section.line,
            "the two names of the `diff --git` line can't be told apart; put `--- a/path` and `+++ b/path` below it",
        )),
        (Some((old, new)), None) | (None, Some((old, new))) if old == new => Ok(new.to_owned()),
        (Some(by_git), Some((old, new))) if old == new && by_git == (old, new) => {
            Ok(new.to_owned())
        }
        (by_git, named) => {
            let names = [by_git, named]
                .into_iter()
                .flatten()
                .flat_map(|(old, new)| [old, new]);
            Err(names_disagree(section, &names.collect::<Vec<_>>()))
        }
    }
}

fn strip_one_sided<'n>(
    name: &'n str,
    side: Side,
    by_git: Option<(&'n str, &'n str)>,
    are_bare: bool,
) -> (&'n str, &'n str) {
    let stripped = name::without_prefix(name, side);
    let is_bare = match by_git {
        Some((path, _)) => path == name,
        None => are_bare,
    };
    let path = if is_bare { name } else { stripped };
    (path, path)
}

fn names_disagree(section: &Section, names: &[&str]) -> PatchError {
    let mut names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", one_line(name)))
        .collect();
    names.dedup();
    let message = format!(
        "the header names {}; a rename needs `diff --git`, `rename from` and `rename to`",
        names.join(" and ")
    );
    PatchError::at(section.line, message)
}

fn modes(
    section: &Section,
    kind: &Kind,
    path: &str,
) -> Result<(Option<Mode>, Option<Mode>), PatchError> {
    let extended = &section.extended;
    let read = |text: &Option<String>| {
        let mode = text.as_deref().map(Mode::read).transpose();
        mode.map_err(|why| PatchError::forbidden(path, why))
    };
    let index = extended
        .index
        .as_deref()
        .and_then(|index| index.split_once(' '));
    let kept = read(&index.map(|(_, mode)| mode.trim().to_owned()))?;
    let (old, new) = (read(&extended.old_mode)?, read(&extended.new_mode)?);
    let (added, deleted) = (read(&extended.added_mode)?, read(&extended.deleted_mode)?);
    match kind {
        Kind::Add => Ok((None, Some(added.or(new).unwrap_or(Mode::Plain)))),
        Kind::Delete => Ok((Some(deleted.or(old).unwrap_or(Mode::Plain)), None)),
        Kind::Edit | Kind::Rename { .. } | Kind::Copy { .. } => match (old, new) {
            (old, new) if new.is_none() || old == new => {
                let is_link = [old, kept].contains(&Some(Mode::Link));
                Ok((is_link.then_some(Mode::Link), None))
            }
            (Some(Mode::Link), _) | (_, Some(Mode::Link)) => {
                Err(PatchError::forbidden(path, Forbidden::ChangeOfType))
            }
            (_, Some(Mode::Executable)) => Ok((Some(Mode::Plain), new)),
            (_, new) => Ok((Some(Mode::Executable), new)),
        },
    }
}

fn content(section: Section, kind: &Kind, new_mode: Option<Mode>) -> Result<Content, PatchError> {
    let line = section.line;
    if let Some(binary) = section.binary {
        return Ok(Content::Binary(binary));
    }
    let mut hunks = section.hunks;
    // Git refuses hunks that change nothing.
    hunks.retain(|hunk| hunk.lines.iter().any(|line| line.mark != Mark::Same));
    let counts = |count: fn(&Hunk) -> usize| hunks.iter().map(count).sum::<usize>();
    match kind {
        Kind::Add if counts(Hunk::old_count) > 0 => Err(PatchError::at(
            line,
            "a new file has hunks of `+` lines alone",
        )),
        Kind::Delete if hunks.len() > 1 || counts(Hunk::new_count) > 0 => Err(PatchError::at(
            line,
            "a deleted file has one hunk, of `-` lines alone",
        )),
        Kind::Add => Ok(Content::Hunks(new_file(hunks, new_mode)?)),
        Kind::Delete => {
            hunks
                .iter_mut()
                .for_each(|hunk| (hunk.old_start, hunk.new_start) = (1, 0));
            Ok(Content::Hunks(hunks))
        }
        Kind::Edit | Kind::Rename { .. } | Kind::Copy { .. } => Ok(Content::Hunks(hunks)),
    }
}

/// Joins the hunks of a new file, which must follow each other without a gap.
pub(super) fn new_file(hunks: Vec<Hunk>, mode: Option<Mode>) -> Result<Vec<Hunk>, PatchError> {
    let mut hunks = hunks.into_iter();
    let Some(mut whole) = hunks.next() else {
        return Ok(Vec::new());
    };
    for hunk in hunks {
        let next = whole.lines.len() as u64 + 1;
        let is_numbered = matches!(hunk.stated, Stated::Line { .. });
        if is_numbered && u64::from(hunk.new_start) != next {
            let message = format!(
                "the hunks of a new file have to follow each other: this one begins at line {}, and those above end before line {next}",
                hunk.new_start
            );
            return Err(PatchError::at(hunk.line, message));
        }
        if whole.lines.last().is_some_and(|line| !line.is_ended) {
            let message = "`\\ No newline at end of file` stands in a hunk above, so no further line can follow";
            return Err(PatchError::at(hunk.line, message));
        }
        whole.lines.extend(hunk.lines);
    }
    if let Some((last, above)) = whole.lines.split_last_mut() {
        if above.iter().any(|line| !line.is_ended) {
            let message = "`\\ No newline at end of file` stands within the file";
            return Err(PatchError::at(whole.line, message));
        }
        // A newline in the target of a link is never intended; the model forgot `\ No newline at end of file`.
        last.is_ended &= mode != Some(Mode::Link);
    }
    (whole.old_start, whole.new_start) = (0, 1);
    whole.stated = Stated::Line { is_insertion: true };
    Ok(vec![whole])
}
