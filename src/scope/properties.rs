//! Overlap against enumeration: on short paths over few names it can simply be tried out.

use super::{Reach, Scope};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::LazyLock;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

const NAMES: [&str; 14] = [
    "a", "b", "A", "aa", "ab", "ba", "bb", "aB", "*", "aab", "Ab", "bA", "{", "é",
];

/// All paths of up to three names.
static PATHS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut paths: Vec<String> = NAMES.map(str::to_owned).to_vec();
    for first in NAMES {
        for second in NAMES {
            paths.push(format!("{first}/{second}"));
            paths.extend(NAMES.map(|third| format!("{first}/{second}/{third}")));
        }
    }
    paths
});

/// Segments whose paths the enumeration has whenever there are any.
const PLAIN: [&str; 14] = [
    "a", "b", "A", "ab", "*", "**", "a*", "*b", "?", "[ab]", "{a,b}", "??", "b?", "*A*",
];

/// What else a glob may hold, often without any path in the enumeration.
const ODD: [&str; 24] = [
    "[!a]",
    "[^b]",
    "[a-b]",
    "[+-9]",
    "{a,{b,ab}}",
    "{a/b,b}",
    "{**/a,b}",
    "{,a}b",
    "a{**/,}b",
    "{a,**}",
    "**a",
    "a**",
    "\\*",
    "\\a",
    "\\{",
    "[*]",
    "é",
    "?\u{e9}",
    "[é]",
    ".",
    "",
    "{}",
    "{a/**,*}",
    "a{/**,}",
];

/// Two segments: with three of them, the shortest path in both globs can have four names.
fn plain_glob() -> impl Strategy<Value = String> {
    vec(select(PLAIN.to_vec()), 1..3).prop_map(|parts| parts.join("/"))
}

fn any_glob() -> impl Strategy<Value = String> {
    let segments = vec(select([&PLAIN[..], &ODD[..]].concat()), 1..4);
    (segments, select(vec!["", "", "", "/"])).prop_map(|(parts, end)| parts.join("/") + end)
}

/// Scope and reach; `None` for what is no glob, or an absolute one.
fn read(globs: &[String]) -> Option<(Scope, Reach)> {
    let read = (Scope::new(globs), Reach::new(globs));
    assert_eq!(read.0.is_ok(), read.1.is_ok(), "{globs:?}");
    Some((read.0.ok()?, read.1.ok()?))
}

fn folded(scope: &Scope) -> Vec<String> {
    let covered = PATHS.iter().filter(|path| scope.covers(path));
    let mut covered: Vec<String> = covered.map(|path| path.to_ascii_lowercase()).collect();
    covered.sort_unstable();
    covered
}

fn shared(a: &Scope, b: &Scope) -> Option<String> {
    let theirs = folded(b);
    let mut mine = folded(a).into_iter();
    mine.find(|path| theirs.binary_search(path).is_ok())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn never_called_disjoint_when_a_path_is_in_both(a in vec(any_glob(), 1..3), b in vec(any_glob(), 1..3)) {
        let (Some((a_scope, a_reach)), Some((b_scope, b_reach))) = (read(&a), read(&b)) else {
            return Ok(());
        };
        if let Some(path) = shared(&a_scope, &b_scope) {
            prop_assert!(a_reach.may_meet(&b_reach), "{:?} and {:?} both cover {}", a, b, path);
        }
        prop_assert_eq!(a_reach.may_meet(&b_reach), b_reach.may_meet(&a_reach));
        prop_assert!(PATHS.iter().all(|path| !a_scope.covers(path)) || a_reach.may_meet(&a_reach));
    }

    #[test]
    fn called_disjoint_whenever_no_path_is_in_both(a in plain_glob(), b in plain_glob()) {
        let both = (read(std::slice::from_ref(&a)), read(std::slice::from_ref(&b)));
        let ((a_scope, a_reach), (b_scope, b_reach)) = (both.0.expect("a glob"), both.1.expect("a glob"));
        let is_folder = |one: &str, other: &str| {
            other.to_lowercase().starts_with(&format!("{}/", one.to_lowercase()))
        };
        if !is_folder(&a, &b) && !is_folder(&b, &a) && a_reach.may_meet(&b_reach) {
            prop_assert!(shared(&a_scope, &b_scope).is_some(), "{} and {}", a, b);
        }
    }

    #[test]
    fn many_globs_are_asked_as_each_of_them(globs in vec(any_glob(), 1..12), other in any_glob()) {
        let (Some((_, all)), Some((_, other))) = (read(&globs), read(&[other])) else {
            return Ok(());
        };
        let mut each = globs.iter().filter_map(|glob| read(std::slice::from_ref(glob)));
        prop_assert_eq!(all.may_meet(&other), each.any(|(_, one)| one.may_meet(&other)));
    }
}
