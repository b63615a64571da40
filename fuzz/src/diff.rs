//! Diffs: what `mesh` says that a patch touches and computes for every path equals what a line applier of its own makes of the text
//! that `mesh` writes for git; a text that is exact as it stands is read in that way and no other.
//!
//! The input is the contents of the files of a tree, then the patch.

use crate::line_applier::{self, Entry, Files};
use crate::parts;
use mesh::patch::{Limits, Outcome, Patch, PatchError, Rules, Tree, TreeEntry};
use mesh::scope::Scope;
use std::collections::BTreeSet;

/// The files of every tree, whose contents are the first parts of an input.
const PATHS: [&str; 3] = ["a", "d/b c", "d/e"];

/// Limits that let binary content through, so that its reader is reached.
pub const LIMITS: Limits = Limits {
    bytes_max: 1 << 20,
    allow_binary: true,
};

/// The tree of an input.
pub struct InputTree(pub Files);

/// The tree and the patch of an input.
pub fn split(data: &[u8]) -> (InputTree, String) {
    let parts: [&[u8]; PATHS.len() + 1] = parts::split(data);
    let mut files: Files = PATHS
        .iter()
        .zip(parts)
        .map(|(path, content)| ((*path).to_owned(), Entry::File(content.to_vec())))
        .collect();
    files.insert("l".to_owned(), Entry::Link(b"d/e".to_vec()));
    (
        InputTree(files),
        parts::text(parts[PATHS.len()]).into_owned(),
    )
}

impl Tree for InputTree {
    fn at(&self, path: &str) -> TreeEntry {
        let below = format!("{path}/");
        match self.0.get(path) {
            Some(Entry::File(_)) => TreeEntry::File,
            Some(Entry::Link(target)) => {
                TreeEntry::Link(String::from_utf8_lossy(target).into_owned())
            }
            None if self.0.keys().any(|known| known.starts_with(&below)) => TreeEntry::Other,
            None => TreeEntry::Nothing,
        }
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        match self.0.get(path)? {
            Entry::File(content) => Some(content.clone()),
            Entry::Link(_) => None,
        }
    }

    fn paths(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// Checks one input.
pub fn check(data: &[u8]) {
    let (tree, text) = split(data);
    let Some(patch) = fitted(&tree, &text) else {
        return;
    };
    if has_binary(&patch) {
        return;
    }
    let after = line_applier::apply(&tree.0, &patch.bytes()).unwrap_or_else(|| {
        panic!("the text for git is not exact:\n{}", patch.text());
    });
    same_as_applied(&patch, &tree.0, &after);
    if let Some(exact) = line_applier::apply(&tree.0, text.as_bytes()) {
        assert_eq!(exact, after, "an exact patch was read in another way");
    }
    reversed_gives_the_tree(patch, &tree, after);
}

/// The patch, if `mesh` accepts it for this tree. Every refusal names a line of the text or a path.
pub fn fitted(tree: &InputTree, text: &str) -> Option<Patch> {
    let refused = |error: PatchError| {
        if let PatchError::Malformed { line, .. } = &error {
            assert!((1..=parts::lines(text)).contains(line), "line {line}");
        }
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    };
    let globs = ["**".to_owned()];
    let rules = Rules {
        globs: &globs,
        scope: &Scope::new(&globs).expect("a glob"),
        reserved: &[],
        limits: LIMITS,
    };
    let patch = Patch::parse(text, &LIMITS).map_err(refused).ok()?;
    let _ = patch.bytes();
    patch.check(&rules).map_err(refused).ok()?;
    let patch = patch.fit(tree).map_err(refused).ok()?;
    let _ = (patch.effect(), patch.changed_lines(), patch.only_adds());
    let fitted = patch.text();
    // Any encoding: what is not UTF-8 in the tree is not in the text.
    if patch.bytes() == fitted.as_bytes() {
        let read = Patch::parse(&fitted, &LIMITS).expect("its own text is read back");
        assert_eq!(read.text(), fitted);
        assert!(read.corrections.is_empty(), "its own text is corrected");
        assert_eq!(read.listed(), patch.listed());
    }
    Some(patch)
}

/// Whether content is binary: its result is left to git.
pub fn has_binary(patch: &Patch) -> bool {
    let listed = patch.listed();
    listed.paths.iter().any(|(_, counts)| counts == "+- --")
}

/// What the patch says of each path is what the tree is afterwards.
pub fn same_as_applied(patch: &Patch, before: &Files, after: &Files) {
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differing = keys
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path));
    let touched = patch.paths();
    for path in differing {
        assert!(touched.contains(path), "`{path}` changes, and is not named");
    }
    for (path, outcome) in &patch.outcomes {
        let computed = match outcome {
            Outcome::Absent => None,
            Outcome::File(content) => Some(Entry::File(content.clone())),
            Outcome::Link(target) => Some(Entry::Link(target.clone())),
        };
        assert!(
            touched.contains(path),
            "`{path}` has a result, and is not named"
        );
        assert_eq!(computed.as_ref(), after.get(path), "of `{path}`");
    }
    // Without a result there is only a change of the mode.
    for path in touched
        .iter()
        .filter(|path| !patch.outcomes.contains_key(*path))
    {
        assert_eq!(before.get(path), after.get(path), "of `{path}`");
    }
}

/// The patch that takes it back gives the tree as it was, unless it is refused.
fn reversed_gives_the_tree(patch: Patch, tree: &InputTree, after: Files) {
    let bytes = patch.bytes();
    let Ok(applied) = Patch::parse_applied(&bytes, &LIMITS) else {
        panic!("its own bytes are not read back");
    };
    assert_eq!(
        applied.bytes(),
        bytes,
        "its own bytes are read in another way"
    );
    let after = InputTree(after);
    let back = applied.reversed().and_then(|back| back.fit(&after));
    let Ok(back) = back else {
        return;
    };
    let text = back.bytes();
    let again = line_applier::apply(&after.0, &text).expect("the text for git is exact");
    assert_eq!(again, tree.0, "taken back, it is another tree");
}
