//! Column names: repeated ones, and renames.

use std::collections::{HashMap, HashSet};
use std::fmt;

/// A column with the name of an earlier one. Columns are 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// The name.
    pub name: String,
    /// The later column.
    pub column: usize,
    /// The first column of that name.
    pub first: usize,
}

impl fmt::Display for Repeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            column,
            first,
        } = self;
        write!(
            f,
            "column {column}: header `{name}` appears twice (first as column {first})"
        )
    }
}

/// All columns with the name of an earlier one.
pub(super) fn repeated(header: &[String]) -> Vec<Repeated> {
    let mut first = HashMap::new();
    let mut repeated = Vec::new();
    for (name, column) in header.iter().zip(1..) {
        match first.get(name) {
            None => drop(first.insert(name, column)),
            Some(first) => repeated.push(Repeated {
                name: name.clone(),
                column,
                first: *first,
            }),
        }
    }
    repeated
}

/// Renames after which all names differ: all columns of a name except the last get another one. Applied in order, each
/// to the first column of its name.
pub(super) fn renames(header: &[String]) -> Vec<(String, String)> {
    let mut taken: HashSet<String> = header.iter().cloned().collect();
    let repeated = repeated(header);
    let mut next: HashMap<&str, u32> = HashMap::new();
    let mut renames = Vec::new();
    for Repeated { name, .. } in &repeated {
        let number = next.entry(name).or_insert(1);
        let mut new = format!("{name}_{number}");
        while !taken.insert(new.clone()) {
            *number += 1;
            new = format!("{name}_{number}");
        }
        renames.push((name.clone(), new));
    }
    renames
}

/// The column of `OLD=NEW`, and its new name. The text was split at its first `=`; if OLD is not a column but a longer
/// prefix is, the name itself contains a `=`.
pub(super) fn renamed(header: &[String], old: &str, new: &str) -> Option<(usize, String)> {
    let place = |old: &str| header.iter().position(|name| name == old);
    if let Some(index) = place(old) {
        return Some((index, new.to_owned()));
    }
    let whole = format!("{old}={new}");
    whole.match_indices('=').find_map(|(at, _)| {
        let (old, new) = (&whole[..at], &whole[at + 1..]);
        Some((place(old).filter(|_| !new.is_empty())?, new.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_renames_make_all_names_differ() {
        for header in [
            names(&["a", "b", "a"]),
            names(&["a", "a", "a", "a_1", "b", "b"]),
            names(&["", "", "x=y", "x=y", "with space", "with space"]),
            names(&["a", "b"]),
        ] {
            let mut changed = header.clone();
            for (old, new) in renames(&header) {
                // As the command line splits it.
                let whole = format!("{old}={new}");
                let (old, new) = whole.split_once('=').expect("a pair");
                let (index, new) = renamed(&changed, old, new).expect("a column");
                changed[index] = new;
            }
            assert!(repeated(&changed).is_empty(), "{header:?}: {changed:?}");
            // The last of each name keeps it.
            assert_eq!(changed.last(), header.last());
        }
    }
}
