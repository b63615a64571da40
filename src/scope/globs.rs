//! The normal form of a glob, and what is refused as one.

use super::pattern::SPECIAL;
use globset::{Glob, GlobBuilder};

/// Limit of one glob, in bytes. Generated globs should be several.
const GLOB_BYTES_MAX: usize = 4096;
/// Limit of `{` in one glob. The matcher has a limit on nesting, which must be reported here and not in the middle of a run.
const BRACES_MAX: usize = 64;

/// Why a glob was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scope `{glob}`: {message}")]
pub struct ScopeError {
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub message: String,
}

/// The normal form of a glob, from which matching and overlap both start.
pub(super) fn compile(glob: &str) -> Result<Glob, ScopeError> {
    let fail = |message: String| ScopeError {
        glob: glob.to_owned(),
        message,
    };
    let normal = normalize(glob).map_err(|message| fail(message.to_owned()))?;
    build(&normal).map_err(|error| fail(error.kind().to_string()))
}

/// The glob that matches only `path`.
pub(super) fn literal(path: &str) -> Result<Glob, ScopeError> {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        if SPECIAL.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    build(&escaped).map_err(|error| ScopeError {
        glob: path.to_owned(),
        message: error.kind().to_string(),
    })
}

fn build(normal: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(normal)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
}

/// `./a//b/` -> `a/b/**`; refuses what can't name a path of the repository.
fn normalize(glob: &str) -> Result<String, &'static str> {
    let text = glob.trim();
    if text.is_empty() {
        return Err("is empty; `**` is the whole repository");
    }
    if text.starts_with('/') {
        return Err("is absolute; scopes are relative to the repository's root");
    }
    if text.contains(';') {
        return Err("holds a `;`, which separates the globs of a wave's row; list several globs");
    }
    if text.starts_with('!') {
        return Err("negation is not supported; list what is in scope");
    }
    if text.len() > GLOB_BYTES_MAX {
        return Err("is longer than 4096 bytes; list several globs");
    }
    if text.matches('{').count() > BRACES_MAX {
        return Err("has more than 64 `{`; list several globs");
    }
    if text.split('/').any(|segment| segment == "..") {
        return Err("leaves the repository; name the path from its root, without `..`");
    }
    let is_folder = text.ends_with('/') || text == "." || text.ends_with("/.");
    let segments = text.split('/').filter(|part| !matches!(*part, "" | "."));
    let normal: Vec<&str> = segments.chain(is_folder.then_some("**")).collect();
    Ok(normal.join("/"))
}
