//! One glob of a scope, for overlap: its literal prefix and suffix, and an automaton for the rest.
//!
//! Prefix and suffix decide most comparisons, and [`Index`](super::index::Index) is sorted by them. The automaton is built
//! on first use. All text is in lower case.

use super::program::Program;
use globset::Glob;
use std::sync::OnceLock;

/// One glob.
#[derive(Clone, Debug)]
pub struct Pattern {
    prefix: Vec<u8>,
    suffix: Vec<u8>,
    is_literal: bool,
    regex: String,
    program: OnceLock<Option<Program>>,
}

/// The characters with a special meaning in globs.
pub(super) const SPECIAL: &str = "*?[]{}\\";

impl Pattern {
    /// The ends of `glob`, which is in its normal form.
    pub fn new(glob: &Glob) -> Self {
        let text = glob.glob().to_ascii_lowercase().into_bytes();
        let is_special = |byte: &u8| !byte.is_ascii() || SPECIAL.as_bytes().contains(byte);
        let prefix = text.iter().position(is_special).unwrap_or(text.len());
        let suffix = text.iter().rposition(is_special).map_or(0, |at| at + 1);
        // `**/b` is also `b` alone.
        let is_optional = text[..suffix].ends_with(b"*") && text[suffix..].starts_with(b"/");
        Self {
            prefix: text[..prefix].to_vec(),
            suffix: text[suffix + usize::from(is_optional)..].to_vec(),
            is_literal: prefix == text.len(),
            regex: glob.regex().to_owned(),
            program: OnceLock::new(),
        }
    }

    /// The prefix of every path that it matches.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The suffix of every path that it matches.
    pub fn suffix(&self) -> &[u8] {
        &self.suffix
    }

    /// Whether its prefix is its only path.
    pub fn is_literal(&self) -> bool {
        self.is_literal
    }

    /// Whether some path could be in both.
    pub fn may_meet(&self, other: &Pattern) -> bool {
        let begin =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let end = self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        if !begin || !end {
            return false;
        }
        if self.is_literal && other.is_literal {
            return self.prefix == other.prefix;
        }
        match (self.program(), other.program()) {
            (Some(mine), Some(its)) => mine.may_meet(its),
            _ => true,
        }
    }

    /// What comparing two globs costs at most: 1 for those of some 30 bytes.
    pub fn cost(&self, other: &Pattern) -> usize {
        const BYTES_SQUARED: usize = 4096;
        1 + self.regex.len() * other.regex.len() / BYTES_SQUARED
    }

    fn program(&self) -> Option<&Program> {
        let program = self.program.get_or_init(|| Program::new(&self.regex));
        program.as_ref()
    }
}
