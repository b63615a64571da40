//! Whether two scopes can match a common path.

use super::globs::{ScopeError, compile, literal};
use super::index::Index;
use super::pattern::Pattern;
use std::sync::Arc;

/// A scope in the form in which two of them can be compared.
#[derive(Clone, Debug)]
pub struct Reach {
    pub(super) patterns: Vec<Arc<Pattern>>,
}

impl Reach {
    /// Reads `globs`; refuses what [`Scope::new`] refuses.
    pub fn new(globs: &[String]) -> Result<Self, ScopeError> {
        let pattern = |glob: &String| Ok(Arc::new(Pattern::new(&compile(glob)?)));
        let patterns = globs.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The scope that covers only `path`, whatever characters it has.
    pub fn of_path(path: &str) -> Result<Self, ScopeError> {
        let pattern = Pattern::new(&literal(path)?);
        Ok(Self {
            patterns: vec![Arc::new(pattern)],
        })
    }

    /// Whether the two scopes can match a common path.
    ///
    /// Exact for ASCII globs; a letter beyond ASCII counts as any text within its folder. Case is folded, since
    /// `README.md` and `readme.md` are one file on some file systems. A path without wild cards also meets what is
    /// spelled out below it: of `src` and `src/a.rs` only one can be there.
    pub fn may_meet(&self, other: &Reach) -> bool {
        let mut index = Index::default();
        index.add(other.patterns.clone());
        self.patterns.iter().any(|pattern| index.meets(pattern))
    }
}
