//! Reads the `*** Begin Patch` format: file headers in words, hunks without numbers. It gives the same sections as a diff, which
//! pass the same checks.

use super::error::PatchError;
use super::hunk::{Mark, is_blank, is_fence};
use super::read::{NO_NAME, Reader, Section};
use super::{hunk, name};

impl Reader<'_> {
    /// Reads a line that begins with `*** `.
    pub(super) fn envelope(&mut self) -> Result<(), PatchError> {
        let line = self.lines[self.at].trim_end();
        if let Some(path) = line.strip_prefix("*** Update File: ") {
            self.update(path)
        } else if let Some(path) = line.strip_prefix("*** Add File: ") {
            let mut section = self.start_section(path)?;
            section.extended.added_mode = Some("100644".to_owned());
            self.add_section(section, Mark::Added)
        } else if let Some(path) = line.strip_prefix("*** Delete File: ") {
            let mut section = self.start_section(path)?;
            section.extended.deleted_mode = Some("100644".to_owned());
            self.at += 1;
            self.push(section);
            Ok(())
        } else if line.starts_with("*** Move to: ") {
            Err(self.malformed("`*** Move to:` must be directly below `*** Update File:`"))
        } else if line == "*** End Patch" || line == "*** Begin Patch" {
            self.is_inside = false;
            self.at += 1;
            Ok(())
        } else {
            self.skip()
        }
    }

    fn update(&mut self, path: &str) -> Result<(), PatchError> {
        let mut section = self.start_section(path)?;
        let below = self.lines.get(self.at + 1).copied().unwrap_or_default();
        if let Some(to) = below.trim_end().strip_prefix("*** Move to: ") {
            self.at += 1;
            section.extended.rename_from = section.envelope.take();
            let moved = self.start_section(to)?;
            section.extended.rename_to = moved.envelope.clone();
            section.envelope = moved.envelope;
        }
        self.add_section(section, Mark::Same)
    }

    /// Starts a section for the path in the current line.
    fn start_section(&self, path: &str) -> Result<Section, PatchError> {
        let path = path.trim();
        let path = name::read(path.strip_prefix("./").unwrap_or(path));
        let path = path.ok_or_else(|| self.malformed(NO_NAME))?;
        Ok(Section {
            line: self.at + 1,
            envelope: Some(path),
            ..Section::default()
        })
    }

    /// Adds `section`, with its first hunk if that has no header.
    fn add_section(&mut self, mut section: Section, empty: Mark) -> Result<(), PatchError> {
        self.at += 1;
        let line = self.lines.get(self.at).copied().unwrap_or_default();
        let is_header = hunk::is_header(line) || line.starts_with("--- ");
        let is_body = is_blank(line) || line.starts_with([' ', '+', '-']);
        if is_body && !is_header && !is_fence(line) && self.at < self.lines.len() {
            let read = hunk::read_headless(self.lines, self.at, empty)?;
            self.at = section.take(read);
        }
        self.push(section);
        Ok(())
    }

    fn push(&mut self, section: Section) {
        self.sections.push(section);
        self.is_inside = true;
    }
}
