//! An index of many globs that finds those which overlap with another glob, without comparing it with each.
//!
//! Two globs that match a common path agree in their literal prefixes (one is a prefix of the other) and in their literal
//! suffixes. The index is sorted by both; a query walks both ranges in step and ends with the smaller one. So a query
//! for `src/a.rs` among 50,000 paths takes few steps, and one for `**/a.rs` among 50,000 similar globs as well.

use super::pattern::Pattern;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// The most comparisons of two globs; long ones count more. Beyond them, globs whose prefixes and suffixes agree count as
/// meeting. Reached only by hundreds of concurrent tasks whose globs have wild cards at both ends, such as `*/a/**`.
const COMPARISONS_MAX: usize = 1_000_000;
/// Up to this many globs are always compared, such as a list of shared paths.
const FEW: usize = 256;

/// A prefix or suffix -> the places of its globs.
type Sorted = BTreeMap<Vec<u8>, Vec<usize>>;

/// Many globs, to compare at once.
#[derive(Clone, Debug, Default)]
pub struct Index {
    patterns: Vec<Arc<Pattern>>,
    by_prefix: Sorted,
    /// The suffixes are spelled backwards.
    by_suffix: Sorted,
    literals: BTreeSet<Vec<u8>>,
    comparisons: usize,
}

impl Index {
    /// Adds globs.
    pub fn add(&mut self, patterns: Vec<Arc<Pattern>>) {
        for pattern in patterns {
            let place = self.patterns.len();
            let prefix = pattern.prefix().to_vec();
            if pattern.is_literal() {
                self.literals.insert(prefix.clone());
            }
            self.by_prefix.entry(prefix).or_default().push(place);
            let suffix = backwards(pattern.suffix());
            self.by_suffix.entry(suffix).or_default().push(place);
            self.patterns.push(pattern);
        }
    }

    /// Whether `pattern` and one of these could touch the same path, or one of them a path that the other has as a folder.
    pub fn meets(&mut self, pattern: &Pattern) -> bool {
        self.has_folder_of(pattern) || self.is_below(pattern) || self.shares_path(pattern)
    }

    fn shares_path(&mut self, pattern: &Pattern) -> bool {
        let meets = |&place: &usize| self.patterns[place].may_meet(pattern);
        let backwards = backwards(pattern.suffix());
        let mut by_prefix = related(&self.by_prefix, pattern.prefix());
        let mut by_suffix = related(&self.by_suffix, &backwards);
        let is_many = self.patterns.len() > FEW;
        while let (Some(one), Some(other)) = (by_prefix.next(), by_suffix.next()) {
            self.comparisons += [one, other]
                .map(|&place| self.patterns[place].cost(pattern))
                .iter()
                .sum::<usize>();
            if is_many && self.comparisons > COMPARISONS_MAX || meets(one) || meets(other) {
                return true;
            }
        }
        false
    }

    /// Whether a path of these is a folder that `pattern` spells out: `src` for `src/*.rs`.
    fn has_folder_of(&self, pattern: &Pattern) -> bool {
        let prefix = pattern.prefix();
        let slashes = (0..prefix.len()).filter(|&at| prefix[at] == b'/');
        slashes
            .into_iter()
            .any(|at| self.literals.contains(&prefix[..at]))
    }

    /// Whether `pattern` is a path that one of these spells out as a folder.
    fn is_below(&self, pattern: &Pattern) -> bool {
        let folder = [pattern.prefix(), b"/"].concat();
        pattern.is_literal() && below(&self.by_prefix, &folder).next().is_some()
    }
}

fn backwards(text: &[u8]) -> Vec<u8> {
    text.iter().rev().copied().collect()
}

/// The places under all texts that `text` begins with, or that begin with it.
fn related<'s>(sorted: &'s Sorted, text: &'s [u8]) -> impl Iterator<Item = &'s usize> {
    let mut rest = Some(text);
    let above = std::iter::from_fn(move || {
        let (found, places) = next_above(sorted, rest?)?;
        rest = found.len().checked_sub(1).map(|end| &text[..end]);
        Some(places)
    });
    let longer = below(sorted, text).filter(|(found, _)| found.len() > text.len());
    above
        .chain(longer.map(|(_, places)| places.as_slice()))
        .flatten()
}

/// The longest text that `text` begins with.
///
/// Whatever sorts last up to `text` either is it or shows how much of `text` can be left: all that it begins with sorts
/// up to what both have in common.
fn next_above<'s>(sorted: &'s Sorted, mut text: &[u8]) -> Option<(&'s [u8], &'s [usize])> {
    loop {
        let up_to = (Bound::Unbounded, Bound::Included(text));
        let (found, places) = sorted.range::<[u8], _>(up_to).next_back()?;
        let common = found.iter().zip(text).take_while(|(a, b)| a == b).count();
        if common == found.len() {
            return Some((found, places));
        }
        text = &text[..common];
    }
}

/// The texts that begin with `text`.
fn below<'s>(
    sorted: &'s Sorted,
    text: &'s [u8],
) -> impl Iterator<Item = (&'s Vec<u8>, &'s Vec<usize>)> {
    let from = (Bound::Included(text), Bound::Unbounded);
    sorted
        .range::<[u8], _>(from)
        .take_while(move |(found, _)| found.starts_with(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_texts_are_the_beginnings_and_the_continuations() {
        let texts = ["", "a", "ab", "abc", "abd", "abde", "b", "aa", "abcz"];
        let sorted: Sorted = (0..)
            .zip(texts)
            .map(|(place, text)| (text.as_bytes().to_vec(), vec![place]))
            .collect();
        let related = |text: &str| {
            let mut found: Vec<&str> = related(&sorted, text.as_bytes())
                .map(|&place| texts[place])
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(related("abd"), ["", "a", "ab", "abd", "abde"]);
        assert_eq!(related("abcdef"), ["", "a", "ab", "abc"]);
        assert_eq!(related("z"), [""]);
        assert_eq!(related("").len(), texts.len());
    }
}
