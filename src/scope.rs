//! A task's scope: the globs that say which paths it may touch, and whether two scopes can meet.
//!
//! Globs match whole paths relative to the repository's root; `*` and `?` stay within one folder, `**` crosses
//! folders, `dir/` stands for everything below. Overlap is decided on the globs, not on the files that are
//! there today, and errs on the side of "they meet": only scopes that provably share no path are disjoint.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// The most alternatives that one glob's braces may stand for; beyond that it counts as `**`.
const ALTERNATIVES_MAX: usize = 64;

/// Why a glob was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scope `{glob}`: {message}")]
pub struct ScopeError {
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub message: String,
}

/// A compiled scope.
#[derive(Clone, Debug)]
pub struct Scope {
    set: GlobSet,
    patterns: Vec<Vec<String>>,
}

impl Scope {
    /// Compiles `globs`.
    pub fn new(globs: &[String]) -> Result<Self, ScopeError> {
        let mut set = GlobSetBuilder::new();
        let mut patterns = Vec::new();
        for glob in globs {
            let fail = |message: String| ScopeError {
                glob: glob.clone(),
                message,
            };
            let normal = normalized(glob).map_err(|message| fail(message.to_owned()))?;
            let compiled = GlobBuilder::new(&normal)
                .literal_separator(true)
                .backslash_escape(true)
                .build()
                .map_err(|error| fail(error.kind().to_string()))?;
            set.add(compiled);
            patterns.extend(alternatives(&normal).iter().map(|one| segments(one)));
        }
        let set = set.build().map_err(|error| ScopeError {
            glob: globs.join(", "),
            message: error.to_string(),
        })?;
        Ok(Self { set, patterns })
    }

    /// Whether the scope covers `path`, relative to the repository's root.
    pub fn covers(&self, path: &str) -> bool {
        self.set.is_match(path)
    }

    /// Whether some path could be in both scopes.
    pub fn may_meet(&self, other: &Scope) -> bool {
        let mine = self.patterns.iter();
        mine.into_iter()
            .any(|a| other.patterns.iter().any(|b| paths_may_meet(a, b)))
    }
}

/// `./a/` -> `a/**`; refuses what can't name a path of the repository.
fn normalized(glob: &str) -> Result<String, &'static str> {
    let mut rest = glob.trim();
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter;
    }
    if rest.is_empty() {
        return Err("is empty");
    }
    if rest.starts_with('/') {
        return Err("is absolute; scopes are relative to the repository's root");
    }
    if rest.starts_with('!') {
        return Err("negation is not supported; list what is in scope");
    }
    if rest.split('/').any(|segment| segment == "..") {
        return Err("leaves the repository");
    }
    Ok(match rest.strip_suffix('/') {
        Some(folder) => format!("{folder}/**"),
        None => rest.to_owned(),
    })
}

/// Every text that the braces of `glob` stand for; `**` alone when there are too many or they are nested badly.
fn alternatives(glob: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![glob.to_owned()];
    while let Some(text) = open.pop() {
        if done.len() + open.len() > ALTERNATIVES_MAX {
            return vec!["**".to_owned()];
        }
        match first_braces(&text) {
            None => done.push(text),
            Some((before, choices, after)) => {
                open.extend(
                    choices
                        .iter()
                        .map(|choice| format!("{before}{choice}{after}")),
                );
            }
        }
    }
    done
}

/// The first outermost `{a,b}` of `text`: what stands before, its choices, what stands after.
fn first_braces(text: &str) -> Option<(&str, Vec<&str>, &str)> {
    let begin = text.find('{')?;
    let mut depth = 0;
    let mut from = begin + 1;
    let mut choices = Vec::new();
    for (offset, c) in text[begin..].char_indices() {
        let at = begin + offset;
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => {
                choices.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            choices.push(&text[from..at]);
            return Some((&text[..begin], choices, &text[at + 1..]));
        }
    }
    None
}

/// Folders differ in case on some file systems and not on others; folding it errs towards "they meet".
fn segments(pattern: &str) -> Vec<String> {
    pattern
        .split('/')
        .filter(|segment| !segment.is_empty() && *segment != ".")
        .map(str::to_lowercase)
        .collect()
}

/// Whether some path could match both segment lists; `reach[j]` says whether `a[..i]` and `b[..j]` can meet.
fn paths_may_meet(a: &[String], b: &[String]) -> bool {
    let mut reach = vec![vec![false; b.len() + 1]; a.len() + 1];
    reach[0][0] = true;
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if !reach[i][j] {
                continue;
            }
            let (left, right) = (a.get(i), b.get(j));
            let left_any = left.is_some_and(|segment| crosses_folders(segment));
            let right_any = right.is_some_and(|segment| crosses_folders(segment));
            if left_any {
                reach[i + 1][j] = true;
            }
            if right_any {
                reach[i][j + 1] = true;
            }
            if let (Some(left), Some(right)) = (left, right) {
                if left_any && !right_any {
                    reach[i][j + 1] = true;
                } else if right_any && !left_any {
                    reach[i + 1][j] = true;
                } else if !left_any && segments_may_meet(left, right) {
                    reach[i + 1][j + 1] = true;
                }
            }
        }
    }
    reach[a.len()][b.len()]
}

fn crosses_folders(segment: &str) -> bool {
    segment.contains("**")
}

/// Compares what is literal at both ends of two segments; wild cards in between may stand for anything.
fn segments_may_meet(a: &str, b: &str) -> bool {
    let (a_wild, b_wild) = (is_wild(a), is_wild(b));
    if !a_wild && !b_wild {
        return a == b;
    }
    let prefix = |text: &str| text[..text.find(WILD).unwrap_or(text.len())].to_owned();
    let suffix = |text: &str| {
        let end = text.rfind(WILD).map_or(0, |at| at + 1);
        text[end..].to_owned()
    };
    let ends_fit = |x: &str, y: &str, fits: fn(&str, &str) -> bool| fits(x, y) || fits(y, x);
    ends_fit(&prefix(a), &prefix(b), |x, y| x.starts_with(y))
        && ends_fit(&suffix(a), &suffix(b), |x, y| x.ends_with(y))
}

/// Characters that can stand for something else; an escape makes what follows literal, which is not worth telling apart.
const WILD: [char; 7] = ['*', '?', '[', ']', '\\', '{', '}'];

fn is_wild(segment: &str) -> bool {
    segment.contains(WILD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(globs: &[&str]) -> Scope {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        Scope::new(&globs).expect("valid globs")
    }

    #[test]
    fn covers_whole_paths_only() {
        let scope = scope(&["src/*.rs", "docs/", "./README.md", "{a,b}/x"]);
        for path in ["src/a.rs", "docs/x/y.md", "README.md", "b/x"] {
            assert!(scope.covers(path), "{path}");
        }
        for path in [
            "src/deep/a.rs",
            "docs",
            "x/README.md",
            "c/x",
            "src/a.rs.bak",
        ] {
            assert!(!scope.covers(path), "{path}");
        }
    }

    #[test]
    fn meeting_is_decided_on_the_globs() {
        let meet = |a: &str, b: &str| scope(&[a]).may_meet(&scope(&[b]));
        for (a, b) in [
            ("src/**", "src/a.rs"),
            ("{a,b}/*.rs", "a/x.rs"),
            ("**/x.rs", "deep/er/x.rs"),
            ("src/a*.rs", "src/*b.rs"),
            ("SRC/a.rs", "src/A.rs"),
            ("lib/", "lib/slug.sh"),
            ("a/**/b", "a/b"),
            ("[ab].rs", "a.rs"),
        ] {
            assert!(meet(a, b) && meet(b, a), "{a} meets {b}");
        }
        for (a, b) in [
            ("*.md", "src/*.md"),
            ("src/a.rs", "src/b.rs"),
            ("src/*.rs", "src/*.md"),
            ("src/**", "tests/**"),
            ("{a,b}/*.rs", "c/x.rs"),
        ] {
            assert!(!meet(a, b) && !meet(b, a), "{a} does not meet {b}");
        }
    }

    /// Sound against enumeration: whenever a path is covered by both scopes, they are said to meet.
    #[test]
    fn never_called_disjoint_when_a_path_is_in_both() {
        let globs = [
            "a", "b", "a/b", "*", "**", "a/*", "*/b", "a/**", "**/b", "a*", "*b", "?", "[ab]",
            "{a,b}", "{a,b}/b", "a/", "a/**/b", "ab", "*/*", "**/a*", "a?/b",
        ];
        let names = ["a", "b", "ab", "ba"];
        let mut paths: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        for first in names {
            for second in names {
                paths.push(format!("{first}/{second}"));
                paths.extend(
                    names
                        .iter()
                        .map(|third| format!("{first}/{second}/{third}")),
                );
            }
        }
        for a in globs {
            for b in globs {
                let (left, right) = (scope(&[a]), scope(&[b]));
                if let Some(path) = paths.iter().find(|p| left.covers(p) && right.covers(p)) {
                    assert!(left.may_meet(&right), "{a} and {b} both cover {path}");
                }
            }
        }
    }

    #[test]
    fn globs_that_leave_the_repository_are_refused() {
        for glob in ["/etc/passwd", "../x", "a/../../x", "", "!a"] {
            assert!(Scope::new(&[glob.to_owned()]).is_err(), "{glob}");
        }
    }
}
