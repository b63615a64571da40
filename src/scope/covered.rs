//! Which paths a scope covers.

use super::globs::{ScopeError, compile};
use super::pattern;
use globset::{GlobSet, GlobSetBuilder};

/// A scope compiled for matching.
#[derive(Clone, Debug)]
pub struct Scope {
    set: GlobSet,
    prefixes: Vec<String>,
}

impl Scope {
    /// Compiles `globs`.
    pub fn new(globs: &[String]) -> Result<Self, ScopeError> {
        let mut set = GlobSetBuilder::new();
        let mut prefixes = Vec::new();
        for glob in globs {
            let glob = compile(glob)?;
            prefixes.push(literal_prefix(glob.glob()).to_owned());
            set.add(glob);
        }
        let set = set.build().map_err(|error| ScopeError {
            glob: globs.join(", "),
            message: error.to_string(),
        })?;
        Ok(Self { set, prefixes })
    }

    /// Whether the scope covers `path`, relative to the repository's root. Case counts, as it does for git.
    pub fn covers(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// For each glob, the text that every path it covers begins with; may be empty.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }
}

/// The text before the first character with a special meaning.
fn literal_prefix(glob: &str) -> &str {
    let end = glob.find(|c: char| pattern::SPECIAL.contains(c));
    &glob[..end.unwrap_or(glob.len())]
}
