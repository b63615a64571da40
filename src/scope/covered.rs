//! Which paths a scope covers.

use super::globs::{ScopeError, compile};
use super::pattern;
use globset::{Glob, GlobSet, GlobSetBuilder};
use std::sync::{Arc, OnceLock};

/// A scope for matching.
#[derive(Clone, Debug)]
pub struct Scope {
    globs: Vec<Glob>,
    prefixes: Vec<String>,
    /// The matcher, built for the first path: that takes longer than all else that is done for most tasks.
    set: Arc<OnceLock<GlobSet>>,
}

impl Scope {
    /// Reads `globs`.
    pub fn new(globs: &[String]) -> Result<Self, ScopeError> {
        let globs: Vec<Glob> = globs
            .iter()
            .map(|glob| compile(glob))
            .collect::<Result<_, _>>()?;
        let prefixes = globs
            .iter()
            .map(|glob| literal_prefix(glob.glob()).to_owned());
        Ok(Self {
            prefixes: prefixes.collect(),
            globs,
            set: Arc::default(),
        })
    }

    /// Whether the scope covers `path`, relative to the repository's root. Case counts, as it does for git.
    pub fn covers(&self, path: &str) -> bool {
        self.set.get_or_init(|| self.matcher()).is_match(path)
    }

    /// Globs within the limits of [`compile`] fit together; if they did not, they would cover nothing.
    fn matcher(&self) -> GlobSet {
        let mut set = GlobSetBuilder::new();
        for glob in &self.globs {
            set.add(glob.clone());
        }
        set.build().unwrap_or_else(|_| GlobSet::empty())
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
