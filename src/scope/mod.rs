//! The scope of a task: the globs of the paths that it may change, and whether two scopes overlap.
//!
//! Globs match whole paths relative to the repository's root; `*` and `?` stay within one folder, `**` crosses
//! folders, `dir/` stands for everything below. Overlap is decided on the globs, not on existing files, and
//! conservatively: scopes are disjoint only if they provably match no common path.
//!
//! [`Scope`] matches paths and is compiled for the tasks that run. [`Reach`] compares two scopes, and is cheap enough for
//! every task of a plan. Both are built from the same normal form of the globs.

mod claims;
mod index;
mod pattern;
mod program;
#[cfg(test)]
mod properties;
mod shared;

pub use claims::Claims;
pub use shared::SHARED_PATHS;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use index::Index;
use pattern::Pattern;

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

/// A scope in the form in which two of them can be compared.
#[derive(Clone, Debug)]
pub struct Reach {
    patterns: Vec<Pattern>,
}

impl Reach {
    /// Reads `globs`; refuses what [`Scope::new`] refuses.
    pub fn new(globs: &[String]) -> Result<Self, ScopeError> {
        let pattern = |glob: &String| Ok(Pattern::new(&compile(glob)?));
        let patterns = globs.iter().map(pattern).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
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

/// The normal form of a glob, from which matching and overlap both start.
fn compile(glob: &str) -> Result<Glob, ScopeError> {
    let fail = |message: String| ScopeError {
        glob: glob.to_owned(),
        message,
    };
    let normal = normalize(glob).map_err(|message| fail(message.to_owned()))?;
    GlobBuilder::new(&normal)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map_err(|error| fail(error.kind().to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(globs: &[&str]) -> Vec<String> {
        globs.iter().map(|glob| (*glob).to_owned()).collect()
    }

    fn scope(globs: &[&str]) -> Scope {
        Scope::new(&texts(globs)).expect("valid globs")
    }

    fn meet(a: &[&str], b: &[&str]) -> bool {
        let reach = |globs| Reach::new(&texts(globs)).expect("valid globs");
        let (a, b) = (reach(a), reach(b));
        assert_eq!(a.may_meet(&b), b.may_meet(&a), "one way as the other");
        a.may_meet(&b)
    }

    #[test]
    fn covers_whole_paths_only() {
        let scope = scope(&["src/*.rs", "docs/", ".//README.md", "{a,b}/x"]);
        for path in ["src/a.rs", "docs/x/y.md", "README.md", "b/x"] {
            assert!(scope.covers(path), "{path}");
        }
        for path in [
            "src/deep/a.rs",
            "docs",
            "x/README.md",
            "readme.md",
            "c/x",
            "src/a.rs.bak",
        ] {
            assert!(!scope.covers(path), "{path}");
        }
    }

    #[test]
    fn covered_paths_begin_with_the_prefix_of_a_glob() {
        let globs = [
            "src/*.rs",
            "./docs/",
            "{a,b}/x",
            "a\\*b",
            "README.md",
            "x[ab]",
            "y?",
        ];
        let prefixes = ["src/", "docs/", "", "a", "README.md", "x", "y"];
        assert_eq!(scope(&globs).prefixes(), prefixes);
    }

    #[test]
    fn globs_that_share_a_path_meet() {
        for (a, b) in [
            ("src/**", "src/a.rs"),
            ("{a,b}/*.rs", "a/x.rs"),
            ("**/x.rs", "deep/er/x.rs"),
            ("**/x.rs", "x.rs"),
            ("src/a*.rs", "src/*b.rs"),
            ("SRC/a.rs", "src/A.rs"),
            ("[A-C].md", "b.md"),
            ("lib/", "lib/slug.sh"),
            ("./lib//", "lib/./slug.sh"),
            (".", "a/b"),
            ("a/**/b", "a/b"),
            ("a/**/b", "a/x/y/b"),
            ("[ab].rs", "a.rs"),
            ("[!b].rs", "a.rs"),
            ("[!b].rs", "b.rs"),
            ("a[!b]c", "a/c"),
            ("a\\*", "a\\*"),
            ("a\\*", "a*"),
            ("{a,{b,c}d}/x", "cd/x"),
            ("x{**/,}y", "xy"),
            ("größe.md", "GRÖSSE.md"),
            ("größe.md", "g*"),
        ] {
            assert!(meet(&[a], &[b]), "{a} meets {b}");
        }
    }

    #[test]
    fn globs_that_share_none_do_not() {
        for (a, b) in [
            ("*.md", "src/*.md"),
            ("src/a.rs", "src/b.rs"),
            ("src/*.rs", "src/*.md"),
            ("src/*a.rs", "src/*b.rs"),
            ("src/a?.rs", "src/a.rs"),
            ("src/**", "tests/**"),
            ("src/a.rs", "**/*.md"),
            ("src/a.rs", "src/a.rsx"),
            ("{a,b}/*.rs", "c/x.rs"),
            ("{,a}b", "b"),
            ("[!bB].rs", "b.rs"),
            ("[a-c]x", "dx"),
            ("a\\*", "ab"),
            ("a*b*c", "ac*d"),
            ("*/x", "x"),
            ("a/*/b", "a/b"),
            ("*/a_1/**", "*/a_2/**"),
            ("größe.md", "größe.rs"),
        ] {
            assert!(!meet(&[a], &[b]), "{a} does not meet {b}");
        }
        assert!(!meet(&["a", "b/**"], &["c", "d/**"]));
        assert!(meet(&["a", "b/**"], &["c", "b/d"]));
        assert!(!meet(&[], &["**"]));
    }

    #[test]
    fn a_path_meets_what_is_spelled_out_below_it() {
        assert!(meet(&["src"], &["src/a.rs"]));
        assert!(meet(&["src"], &["Src/**"]));
        assert!(meet(&["src"], &["src/deep/*.rs"]));
        assert!(!meet(&["src"], &["srcs/a.rs"]));
        assert!(!meet(&["src/a.rs"], &["**/*.md"]));
    }

    #[test]
    fn globs_that_take_too_long_to_compare_meet() {
        let (short, long) = ("?".repeat(100), "?".repeat(2000));
        assert!(!meet(
            &[&format!("{short}[ab]")],
            &[&format!("{short}[cd]")]
        ));
        assert!(meet(&[&format!("{long}[ab]")], &[&format!("{long}[cd]")]));
    }

    #[test]
    fn globs_that_name_no_path_of_the_repository_are_refused_with_what_to_do() {
        let deep = "{".repeat(65);
        let long = "a".repeat(4097);
        for (glob, message) in [
            ("/etc/passwd", "relative to the repository's root"),
            ("../x", "without `..`"),
            ("a/../../x", "without `..`"),
            ("", "`**` is the whole repository"),
            ("!a", "list what is in scope"),
            (&deep, "list several"),
            (&long, "list several"),
            ("{a", "unclosed alternate group"),
            ("[a", "unclosed character class"),
        ] {
            let globs = [glob.to_owned()];
            let error = Scope::new(&globs).expect_err(glob);
            assert!(error.message.contains(message), "{error}");
            assert_eq!(Reach::new(&globs).expect_err(glob), error);
        }
    }
}
