//! Suggests paths of the tree for a path that does not exist.

/// Limit of suggestions.
const NAMED_MAX: usize = 3;

/// The nearest paths, best first: those with the same file name, then those with a similar path.
pub(super) fn nearest(path: &str, paths: Vec<String>) -> Vec<String> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let wanted = name(path);
    let mut ranked: Vec<(bool, usize, String)> = paths
        .into_iter()
        .filter_map(|other| {
            let found = name(&other);
            let is_same = found == wanted;
            // Names of very different lengths are not worth comparing.
            let is_near = || {
                found.len().abs_diff(wanted.len()) <= 3
                    && wanted.len() <= 100
                    && strsim::osa_distance(&found, &wanted) <= 1 + wanted.len() / 5
            };
            (is_same || is_near()).then(|| (!is_same, distance(path, &other), other))
        })
        .collect();
    ranked.sort();
    let paths = ranked.into_iter().map(|(_, _, path)| path);
    paths.take(NAMED_MAX).collect()
}

fn distance(path: &str, other: &str) -> usize {
    match path.len().max(other.len()) {
        0..=300 => strsim::osa_distance(path, other),
        long => long,
    }
}
