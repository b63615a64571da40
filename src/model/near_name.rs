//! The known name that an unknown one is probably meant to be.

/// How alike two names must be, from 0 to 1.
const LIKE: f64 = 0.8;

/// The name of `known` that is most like `name`, if any is like it.
pub fn near_name<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let rated = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(known, name), known));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= LIKE)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let known = ["proposer", "critic_a", "critic_b"];
        assert_eq!(near_name("critik_b", known), Some("critic_b"));
        assert_eq!(near_name("judge", known), None);
    }
}
