//! Globs: a path is covered as a matcher of its own says, and two scopes are called disjoint only if no short path is in both; for
//! globs whose common paths are all short, exactly then.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use mesh::scope::{Reach, Scope};
use std::sync::LazyLock;

/// Two scopes.
#[derive(Debug, Arbitrary)]
pub struct Globs {
    one: Vec<Vec<Piece>>,
    other: Vec<Vec<Piece>>,
}

/// A piece of a glob.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Piece {
    A,
    B,
    Upper,
    Slash,
    Any,
    Many,
    Folders,
    Class,
    NoClass,
    Range,
    Either,
    Nested,
    Optional,
    Open,
    Comma,
    Close,
    Dot,
    Escape,
    Wide,
}

impl Piece {
    fn text(self) -> &'static str {
        match self {
            Piece::A => "a",
            Piece::B => "b",
            Piece::Upper => "A",
            Piece::Slash => "/",
            Piece::Any => "?",
            Piece::Many => "*",
            Piece::Folders => "**",
            Piece::Class => "[ab]",
            Piece::NoClass => "[!a]",
            Piece::Range => "[a-b]",
            Piece::Either => "{a,b}",
            Piece::Nested => "{a/b,{b,a*}}",
            Piece::Optional => "{,b}",
            Piece::Open => "{",
            Piece::Comma => ",",
            Piece::Close => "}",
            Piece::Dot => ".",
            Piece::Escape => "\\",
            Piece::Wide => "é",
        }
    }
}

/// The most globs of a scope, and pieces of a glob.
const GLOBS_MAX: usize = 2;
const PIECES_MAX: usize = 7;

/// Paths of up to six characters.
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut paths = Vec::new();
    let mut longest = vec![String::new()];
    for _ in 0..6 {
        let longer = |path: &String| ["a", "b", "/"].map(|next| format!("{path}{next}"));
        longest = longest.iter().flat_map(longer).collect();
        longest.retain(|path| !path.starts_with('/') && !path.contains("//"));
        paths.extend(longest.iter().filter(|path| !path.ends_with('/')).cloned());
    }
    paths.extend(
        [
            "A", "aA", "A/b", ".", "a.b", "é", "aé", "{", ",", "}", "é/a", "c",
        ]
        .map(str::to_owned),
    );
    paths
});

/// Checks one pair of scopes.
pub fn check(globs: &Globs) {
    let (one, other) = (texts(&globs.one), texts(&globs.other));
    let (Some(one), Some(other)) = (Read::new(one), Read::new(other)) else {
        return;
    };
    one.covers_as_matched();
    other.covers_as_matched();
    let meet = one.reach.may_meet(&other.reach);
    assert_eq!(
        meet,
        other.reach.may_meet(&one.reach),
        "it depends on the order"
    );
    let theirs: Vec<String> = other.folded();
    let common = one.folded().into_iter().find(|path| theirs.contains(path));
    if let Some(path) = &common {
        assert!(
            meet,
            "{:?} and {:?} both cover {path}",
            one.globs, other.globs
        );
    }
    if one.is_short() && other.is_short() {
        assert_eq!(
            meet,
            common.is_some() || one.is_above(&other) || other.is_above(&one),
            "{:?} and {:?}",
            one.globs,
            other.globs
        );
    }
}

fn texts(globs: &[Vec<Piece>]) -> Vec<String> {
    let text = |glob: &Vec<Piece>| {
        glob.iter()
            .take(PIECES_MAX)
            .map(|piece| piece.text())
            .collect()
    };
    globs.iter().take(GLOBS_MAX).map(text).collect()
}

/// A scope in both forms.
struct Read {
    globs: Vec<String>,
    scope: Scope,
    reach: Reach,
}

impl Read {
    fn new(globs: Vec<String>) -> Option<Self> {
        let (scope, reach) = (Scope::new(&globs), Reach::new(&globs));
        assert_eq!(scope.is_ok(), reach.is_ok(), "{globs:?}");
        Some(Self {
            scope: scope.ok()?,
            reach: reach.ok()?,
            globs,
        })
    }

    /// The covered paths, in lower case: overlap folds it.
    fn folded(&self) -> Vec<String> {
        let covered = PATHS.iter().filter(|path| self.scope.covers(path));
        covered.map(|path| path.to_ascii_lowercase()).collect()
    }

    fn covers_as_matched(&self) {
        let globs: Option<Vec<Vec<Token>>> = self.globs.iter().map(|glob| tokens(glob)).collect();
        let Some(globs) = globs else {
            return;
        };
        // A class and `?` stand for one byte.
        for path in PATHS.iter().filter(|path| path.is_ascii()) {
            let characters: Vec<char> = path.chars().collect();
            let matched = globs.iter().any(|glob| matches(glob, &characters));
            assert_eq!(
                self.scope.covers(path),
                matched,
                "{path} by {:?}",
                self.globs
            );
        }
    }

    /// Whether two such scopes have a path of at most six characters in common if they have any.
    fn is_short(&self) -> bool {
        let is_short = |glob: &String| {
            let plain = glob.chars().all(|c| "ab/*?".contains(c));
            plain && glob.len() <= 3
        };
        self.globs.iter().all(is_short)
    }

    /// Whether a path without wild cards is spelled out further by the other scope; such scopes meet.
    fn is_above(&self, other: &Read) -> bool {
        let is_above = |glob: &String, other: &String| {
            let is_path = !glob.contains(['*', '?']) && !glob.ends_with('/');
            is_path && other.starts_with(&format!("{glob}/"))
        };
        let mut pairs = self
            .globs
            .iter()
            .flat_map(|glob| other.globs.iter().map(move |it| (glob, it)));
        pairs.any(|(glob, other)| is_above(glob, other))
    }
}

/// A token of a plain glob, one without braces and backslashes.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    One(char),
    /// Any character but a slash.
    Any,
    /// Any text within a folder.
    Many,
    /// `**/`: any folders, or none.
    Folders,
    /// `/**` at the end: at least one name.
    Below,
    /// `**` alone.
    All,
    Class(Vec<char>, bool),
}

/// The tokens of a glob in its normal form; `None` for one that this matcher leaves out.
fn tokens(glob: &str) -> Option<Vec<Token>> {
    let text = glob.trim();
    if text.contains(['{', '}', '\\', ',']) {
        return None;
    }
    let is_folder = text.ends_with('/') || text == "." || text.ends_with("/.");
    let mut names: Vec<&str> = text
        .split('/')
        .filter(|name| !matches!(*name, "" | "."))
        .collect();
    names.extend(is_folder.then_some("**"));
    let mut tokens = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let is_last = at + 1 == names.len();
        if *name == "**" {
            match (is_last, at) {
                (true, 0) => tokens.push(Token::All),
                (true, _) => {
                    // After folders there is a slash to take back; after `**/` none.
                    match tokens.pop() {
                        Some(Token::One('/')) => tokens.push(Token::Below),
                        Some(Token::Folders) => tokens.push(Token::All),
                        _ => return None,
                    }
                }
                (false, _) => {
                    if tokens.last() != Some(&Token::Folders) {
                        tokens.push(Token::Folders);
                    }
                }
            }
            continue;
        }
        name_tokens(name, &mut tokens)?;
        tokens.extend((!is_last).then_some(Token::One('/')));
    }
    Some(tokens)
}

fn name_tokens(name: &str, tokens: &mut Vec<Token>) -> Option<()> {
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("**") {
            // Two stars within a name are left out: they mean one, or are refused.
            return None;
        }
        let (token, length) = match first {
            '*' => (Token::Many, 1),
            '?' => (Token::Any, 1),
            '[' => {
                let end = rest.find(']')?;
                let inner = &rest[1..end];
                let (is_not, inner) = match inner.strip_prefix('!') {
                    Some(inner) => (true, inner),
                    None => (false, inner),
                };
                let set = match inner {
                    "ab" | "a-b" => vec!['a', 'b'],
                    "a" => vec!['a'],
                    _ => return None,
                };
                (Token::Class(set, is_not), end + 1)
            }
            c => (Token::One(c), c.len_utf8()),
        };
        tokens.push(token);
        rest = &rest[length..];
    }
    Some(())
}

fn matches(glob: &[Token], path: &[char]) -> bool {
    let Some((first, rest)) = glob.split_first() else {
        return path.is_empty();
    };
    match first {
        Token::One(c) => path.first() == Some(c) && matches(rest, &path[1..]),
        Token::Any => path.first().is_some_and(|c| *c != '/') && matches(rest, &path[1..]),
        Token::Class(set, is_not) => {
            path.first().is_some_and(|c| set.contains(c) != *is_not) && matches(rest, &path[1..])
        }
        Token::Many => {
            let end = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=end).any(|length| matches(rest, &path[length..]))
        }
        Token::Folders => {
            let after = |at: usize| at == 0 || path[at - 1] == '/';
            (0..=path.len()).any(|at| after(at) && matches(rest, &path[at..]))
        }
        Token::Below => path.first() == Some(&'/') && path.len() > 1,
        Token::All => !path.is_empty(),
    }
}
