//! Splits the text of a model into the sections of its diff, one for each file header. Skips prose, fences and mail headers.

use super::error::PatchError;
use super::hunk::{Hunk, Mark, is_blank, is_fence};
use super::name::NO_FILE;
use super::{hunk, name};

pub(super) const NO_NAME: &str = "a path that does not parse: it is empty, longer than 4096 bytes, or its quotes or escapes are not those of git";

/// The part of a diff for one file, as written.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Its first line, 1-based.
    pub line: usize,
    /// Both names of its `diff --git` line, if they can be separated.
    pub git_names: Option<(String, String)>,
    /// The names after `--- ` and `+++ `.
    pub names: Option<(String, String)>,
    /// The lines below `diff --git`.
    pub extended: Extended,
    pub hunks: Vec<Hunk>,
    pub binary: Option<Binary>,
    /// Whether a hunk had wrong counts.
    pub is_recounted: bool,
    /// The path in the `*** Begin Patch` format, which has no prefixes.
    pub envelope: Option<String>,
}

/// Git's extended header, as written.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub old_mode: Option<String>,
    pub new_mode: Option<String>,
    pub added_mode: Option<String>,
    pub deleted_mode: Option<String>,
    pub rename_from: Option<String>,
    pub rename_to: Option<String>,
    pub copy_from: Option<String>,
    pub copy_to: Option<String>,
    /// `<id>..<id>`, and the mode if it does not change.
    pub index: Option<String>,
}

/// The content of a binary file, as git encodes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binary {
    /// The full object ids before and after, which git requires; empty if the diff has none.
    pub index: String,
    /// The change, and usually its reverse; empty if the diff only says that the files differ.
    pub blocks: Vec<Vec<String>>,
}

impl Section {
    /// Whether the file is new.
    pub fn is_new(&self) -> bool {
        let from_nothing = self.names.as_ref().is_some_and(|(old, _)| old == NO_FILE);
        from_nothing || self.extended.added_mode.is_some()
    }

    /// Adds a hunk and returns the line after it.
    pub(super) fn take(&mut self, read: hunk::ParsedHunk) -> usize {
        self.is_recounted |= read.is_recounted;
        self.hunks.push(read.hunk);
        read.next
    }

    fn object_ids(&self) -> String {
        let index = self.extended.index.as_deref().unwrap_or_default();
        index.split(' ').next().unwrap_or_default().to_owned()
    }

    /// Whether it has only a `diff --git` header so far.
    fn awaits_names(&self) -> bool {
        self.names.is_none() && self.hunks.is_empty() && self.binary.is_none()
    }
}

/// The sections of `text`, in order.
pub(super) fn sections(text: &str) -> Result<Vec<Section>, PatchError> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    // There is no line after the last newline.
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    let mut reader = Reader {
        lines: &lines,
        at: 0,
        sections: Vec::new(),
        is_inside: false,
    };
    while reader.at < lines.len() {
        reader.step()?;
    }
    Ok(reader.sections)
}

pub(super) struct Reader<'t> {
    pub(super) lines: &'t [&'t str],
    /// The next line.
    pub(super) at: usize,
    pub(super) sections: Vec<Section>,
    /// Whether a file header is above, so that a line that looks like one of a hunk is not prose.
    pub(super) is_inside: bool,
}

impl Reader<'_> {
    /// Reads one line, or all lines of the element that begins with it.
    fn step(&mut self) -> Result<(), PatchError> {
        let line = self.lines[self.at];
        if let Some(names) = line.strip_prefix("diff --git ") {
            self.git_header(names)
        } else if self.is_lone_extended() {
            self.lone_extended()
        } else if line.starts_with("diff --cc ") || line.starts_with("diff --combined ") {
            Err(self.malformed(
                "a combined diff of a merge can't be applied; give a diff against one state",
            ))
        } else if line.starts_with("--- ") && self.begins(1, "+++ ") {
            self.file_header()
        } else if hunk::is_lone_header(self.lines, self.at) {
            self.lone_header()
        } else if hunk::is_header(line) {
            self.hunk()
        } else if line.starts_with("*** ") {
            self.envelope()
        } else if line.trim_end() == "GIT binary patch" {
            self.binary()
        } else if line.starts_with("Binary files ") && line.trim_end().ends_with(" differ") {
            let section = self.section("a binary file that no `diff --git` line names")?;
            section.binary = Some(Binary {
                index: section.object_ids(),
                blocks: Vec::new(),
            });
            self.at += 1;
            Ok(())
        } else {
            self.skip()
        }
    }

    fn git_header(&mut self, names: &str) -> Result<(), PatchError> {
        let line = self.at + 1;
        self.at += 1;
        let section = Section {
            line,
            git_names: name::read_both(names),
            extended: self.extended()?,
            ..Section::default()
        };
        self.sections.push(section);
        self.is_inside = true;
        Ok(())
    }

    /// Reads the lines of git's extended header.
    fn extended(&mut self) -> Result<Extended, PatchError> {
        let mut extended = Extended::default();
        while let Some(line) = self.lines.get(self.at) {
            let is_taken = extended.take(line);
            if !is_taken.map_err(|message| self.malformed(message))? {
                break;
            }
            self.at += 1;
        }
        Ok(extended)
    }

    /// Whether an extended header without a `diff --git` line begins here. Prose rarely has a mode of six digits, or
    /// `rename from` and `rename to` in two lines.
    fn is_lone_extended(&self) -> bool {
        let line = self.lines[self.at].trim_end();
        let modes = [
            "new file mode ",
            "deleted file mode ",
            "old mode ",
            "new mode ",
        ];
        let mut modes = modes.iter().filter_map(|word| line.strip_prefix(word));
        let is_move = |from: &str, to: &str| line.starts_with(from) && self.begins(1, to);
        modes.any(|mode| mode.len() == 6 && mode.bytes().all(|byte| byte.is_ascii_digit()))
            || is_move("rename from ", "rename to ")
            || is_move("copy from ", "copy to ")
    }

    /// Reads an extended header without a `diff --git` line. Refuses it if nothing names the file, so that it is not lost.
    fn lone_extended(&mut self) -> Result<(), PatchError> {
        let line = self.at + 1;
        let mut section = Section {
            line,
            extended: self.extended()?,
            ..Section::default()
        };
        section.names = match section.extended.moved() {
            Some(moved) => Some(moved).filter(|moved| !self.has_header_below(moved)),
            None if self.begins(0, "--- ") || self.begins(0, "+++ ") => None,
            None => {
                let message = "nothing names the file of this header; put `diff --git a/path b/path` above it";
                return Err(PatchError::at(line, message));
            }
        };
        self.sections.push(section);
        self.is_inside = true;
        Ok(())
    }

    /// Whether a file header with these two names is here.
    fn has_header_below(&self, (from, to): &(String, String)) -> bool {
        let name = |offset: usize, mark: &str| {
            let line = self.lines.get(self.at + offset)?;
            name::read(line.strip_prefix(mark)?)
        };
        name(0, "--- ")
            .zip(name(1, "+++ "))
            .is_some_and(|(old, new)| {
                (&old, &new) == (from, to) || name::without_prefixes(&old, &new) == (from, to)
            })
    }

    fn file_header(&mut self) -> Result<(), PatchError> {
        let name = |offset: usize| {
            let text = &self.lines[self.at + offset][4..];
            name::read(text).ok_or_else(|| PatchError::at(self.at + offset + 1, NO_NAME))
        };
        let names = (name(0)?, name(1)?);
        self.at += 2;
        self.add_names(names, self.at - 1);
        Ok(())
    }

    /// Reads a single header line. The other name is that of the `diff --git` line, or the same.
    fn lone_header(&mut self) -> Result<(), PatchError> {
        let line = self.lines[self.at];
        let name = name::read(&line[4..]).ok_or_else(|| self.malformed(NO_NAME))?;
        let above = self.sections.last();
        let above = above.filter(|last| self.is_inside && last.awaits_names());
        let by_git = above.and_then(|section| section.git_names.clone());
        let is_old = line.starts_with("--- ");
        let names = match (by_git, is_old) {
            (Some((old, _)), false) => (old, name),
            (Some((_, new)), true) => (name, new),
            (None, _) if name == NO_FILE => {
                return Err(
                    self.malformed("the other header line, which names the file, is missing")
                );
            }
            (None, true) => name::paired(name, name::Side::Old),
            (None, false) => name::paired(name, name::Side::New),
        };
        self.at += 1;
        self.add_names(names, self.at);
        Ok(())
    }

    /// Adds the names to the section above, if it has none yet, or starts a section at `line`.
    fn add_names(&mut self, names: (String, String), line: usize) {
        let continued = self
            .sections
            .last_mut()
            .filter(|last| self.is_inside && last.awaits_names());
        match continued {
            Some(section) => section.names = Some(names),
            None => self.sections.push(Section {
                line,
                names: Some(names),
                ..Section::default()
            }),
        }
        self.is_inside = true;
    }

    fn hunk(&mut self) -> Result<(), PatchError> {
        let (lines, at) = (self.lines, self.at);
        let section =
            self.section("a hunk without a file header (`--- a/path`, `+++ b/path`) above it")?;
        let empty = if section.is_new() {
            Mark::Added
        } else {
            Mark::Same
        };
        let read = hunk::read(lines, at, empty, section.envelope.is_some())?;
        self.at = section.take(read);
        Ok(())
    }

    fn binary(&mut self) -> Result<(), PatchError> {
        const UNNAMED: &str = "a binary patch that no `diff --git` line names";
        self.section(UNNAMED)?;
        self.at += 1;
        let mut blocks = Vec::new();
        while let Some(block) = self.block()? {
            blocks.push(block);
        }
        if blocks.is_empty() {
            return Err(self.malformed(
                "a binary patch needs `literal SIZE` or `delta SIZE` and its lines here",
            ));
        }
        let section = self.section(UNNAMED)?;
        let index = section.object_ids();
        section.binary = Some(Binary { index, blocks });
        Ok(())
    }

    /// Reads `literal SIZE` or `delta SIZE` and lines of base 85, up to an empty line.
    fn block(&mut self) -> Result<Option<Vec<String>>, PatchError> {
        let mut block: Vec<String> = Vec::new();
        while let Some(line) = self.lines.get(self.at) {
            let line = line.trim_end_matches('\r');
            let begins = ["literal ", "delta "]
                .iter()
                .any(|word| line.starts_with(word));
            if line.is_empty() || is_fence(line) || begins != block.is_empty() {
                break;
            }
            if !begins && !line.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(self.malformed("no line of a binary patch"));
            }
            block.push(line.to_owned());
            self.at += 1;
        }
        if !block.is_empty() && self.lines.get(self.at).is_some_and(|line| is_blank(line)) {
            self.at += 1;
        }
        Ok((!block.is_empty()).then_some(block))
    }

    /// Skips a line of prose. Refuses a line that looks like a part of the diff.
    pub(super) fn skip(&mut self) -> Result<(), PatchError> {
        let line = self.lines[self.at].trim_end_matches('\r');
        if is_fence(line) {
            self.is_inside = false;
        }
        if self.is_inside && self.is_lost(line) {
            return Err(self.malformed(
                "belongs to no file: between `*** Begin Patch` and `*** End Patch` every line is a header or begins with ` `, `+` or `-`",
            ));
        }
        let is_rule = line.bytes().all(|byte| byte == b'-') || line == "-- ";
        let is_list_item = line.starts_with("- ");
        if self.is_inside && line.starts_with(['+', '-']) && !is_rule && !is_list_item {
            return Err(self.malformed(
                "looks like a line of a hunk but belongs to none: it needs a header `@@ -12,7 +12,8 @@` above it that counts it; prose goes before the diff",
            ));
        }
        self.at += 1;
        Ok(())
    }

    /// Whether skipping the line would lose content of the `*** Begin Patch` format: it is before `*** End Patch`, or directly
    /// below the header or the lines of a new file.
    fn is_lost(&self, line: &str) -> bool {
        let last = self.sections.last();
        let Some(section) = last.filter(|last| last.envelope.is_some()) else {
            return false;
        };
        if is_blank(line) || is_fence(line) || line.trim_end() == "*** End of File" {
            return false;
        }
        let is_mark =
            |line: &&&str| line.starts_with("*** Begin ") || line.starts_with("*** End Patch");
        let mark = self.lines[self.at..].iter().find(is_mark);
        let is_below = self.at > 0 && !is_blank(self.lines[self.at - 1]);
        mark.is_some_and(|line| line.starts_with("*** End ")) || section.is_new() && is_below
    }

    fn section(&mut self, otherwise: &str) -> Result<&mut Section, PatchError> {
        let line = self.at + 1;
        let last = self.sections.last_mut().filter(|_| self.is_inside);
        last.ok_or_else(|| PatchError::at(line, otherwise))
    }

    fn begins(&self, offset: usize, text: &str) -> bool {
        let line = self.lines.get(self.at + offset);
        line.is_some_and(|line| line.starts_with(text))
    }

    /// An error at the next line; at the end of the text, at its last line.
    pub(super) fn malformed(&self, message: impl Into<String>) -> PatchError {
        PatchError::at((self.at + 1).min(self.lines.len()), message)
    }
}

impl Extended {
    /// The old and the new path of a rename or copy.
    fn moved(&self) -> Option<(String, String)> {
        let renamed = self.rename_from.clone().zip(self.rename_to.clone());
        renamed.or_else(|| self.copy_from.clone().zip(self.copy_to.clone()))
    }

    /// Reads one line; `false` if it is not part of an extended header.
    fn take(&mut self, line: &str) -> Result<bool, &'static str> {
        let line = line.trim_end_matches('\r');
        let names: [(&str, &mut Option<String>); 4] = [
            ("rename from ", &mut self.rename_from),
            ("rename to ", &mut self.rename_to),
            ("copy from ", &mut self.copy_from),
            ("copy to ", &mut self.copy_to),
        ];
        for (keyword, slot) in names {
            if let Some(text) = line.strip_prefix(keyword) {
                *slot = Some(name::read(text).ok_or(NO_NAME)?);
                return Ok(true);
            }
        }
        let texts: [(&str, &mut Option<String>); 5] = [
            ("old mode ", &mut self.old_mode),
            ("new mode ", &mut self.new_mode),
            ("new file mode ", &mut self.added_mode),
            ("deleted file mode ", &mut self.deleted_mode),
            ("index ", &mut self.index),
        ];
        for (keyword, slot) in texts {
            if let Some(text) = line.strip_prefix(keyword) {
                *slot = Some(text.trim().to_owned());
                return Ok(true);
            }
        }
        Ok(line.starts_with("similarity index ") || line.starts_with("dissimilarity index "))
    }
}
