//! The paths that tasks in flight may change, and whether another task conflicts with them.
//!
//! Two tasks conflict if their scopes overlap, or if both may change a shared path, even two different ones:
//! `package.json` determines the content of `package-lock.json`.

use super::Reach;
use super::index::Index;

/// The scopes of tasks that run together.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    taken: Index,
    shared: Index,
    is_shared_taken: bool,
}

impl Claims {
    /// No claims yet; of the `shared` paths only one task at a time may touch any.
    pub fn new(shared: Reach) -> Self {
        let mut index = Index::default();
        index.add(shared.patterns);
        Self {
            taken: Index::default(),
            shared: index,
            is_shared_taken: false,
        }
    }

    /// The same shared paths, and no claims.
    pub fn cleared(&self) -> Self {
        Self {
            taken: Index::default(),
            shared: self.shared.clone(),
            is_shared_taken: false,
        }
    }

    /// Whether a task with this reach conflicts with one in flight.
    pub fn conflicts_with(&mut self, reach: &Reach) -> bool {
        let meets = |index: &mut Index| reach.patterns.iter().any(|pattern| index.meets(pattern));
        (self.is_shared_taken && meets(&mut self.shared)) || meets(&mut self.taken)
    }

    /// Adds a task.
    pub fn add(&mut self, reach: Reach) {
        // Once a shared path is taken, nothing more can be learned of it.
        self.is_shared_taken = self.is_shared_taken || {
            let mut patterns = reach.patterns.iter();
            patterns.any(|pattern| self.shared.meets(pattern))
        };
        self.taken.add(reach.patterns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(globs: &[&str]) -> Reach {
        let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
        Reach::new(&globs).expect("valid globs")
    }

    #[test]
    fn two_different_shared_paths_are_a_conflict() {
        let mut claims = Claims::new(reach(&["package.json", "*.lock"]));
        claims.add(reach(&["src/a.rs"]));
        assert!(!claims.conflicts_with(&reach(&["package.json"])));
        claims.add(reach(&["package.json"]));
        assert!(claims.conflicts_with(&reach(&["docs/**", "yarn.lock"])));
        assert!(claims.conflicts_with(&reach(&["*.l*"])));
        assert!(claims.conflicts_with(&reach(&["src/*.rs"])));
        assert!(!claims.conflicts_with(&reach(&["docs/**", "web/yarn.lock"])));
    }
}
