//! The tree, and short ways to parse, check and fit a patch.

use crate::patch::error::PatchError;
use crate::patch::forbidden::Forbidden;
use crate::patch::limits::Limits;
use crate::patch::parsed::Patch;
use crate::patch::rules::Rules;
use crate::patch::tree::{Tree, TreeEntry};
use crate::scope::Scope;

/// Every entry of a tree but its folders, with the content of files.
pub struct TestTree(Vec<(String, TreeEntry, Vec<u8>)>);

impl TestTree {
    pub fn of_files<const N: usize>(files: [(&str, &[u8]); N]) -> Self {
        let entry =
            |(path, content): (&str, &[u8])| (path.to_owned(), TreeEntry::File, content.to_vec());
        Self(files.into_iter().map(entry).collect())
    }
}

impl Tree for TestTree {
    fn at(&self, path: &str) -> TreeEntry {
        let below = format!("{path}/");
        let found = self.0.iter().find(|(known, ..)| known == path);
        match found {
            Some((_, entry, _)) => entry.clone(),
            None if self.0.iter().any(|(known, ..)| known.starts_with(&below)) => TreeEntry::Other,
            None => TreeEntry::Nothing,
        }
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        let found = self.0.iter().find(|(known, ..)| known == path);
        found.map(|(.., content)| content.clone())
    }

    fn paths(&self) -> Vec<String> {
        self.0.iter().map(|(path, ..)| path.clone()).collect()
    }
}

pub fn tree() -> TestTree {
    let link = |target: &str| TreeEntry::Link(target.to_owned());
    let entries = [
        ("x", TreeEntry::File, "x\n"),
        ("r m", TreeEntry::File, "x\n"),
        ("dos", TreeEntry::File, "x\r\n"),
        ("dir/inner", TreeEntry::File, "x\n"),
        ("l", link("x"), ""),
        ("out", link("/etc"), ""),
        ("up", link("dir/.."), ""),
        ("loop", link("loop"), ""),
        ("sub", TreeEntry::Submodule, ""),
    ];
    let entry = |(path, entry, content): (&str, TreeEntry, &str)| {
        (path.to_owned(), entry, content.as_bytes().to_vec())
    };
    TestTree(entries.map(entry).into())
}

pub fn read(text: &str) -> Patch {
    Patch::parse(text, &Limits::default()).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub fn refusal(text: &str) -> String {
    match Patch::parse(text, &Limits::default()) {
        Ok(patch) => panic!("{patch:?}\n{text}"),
        Err(error) => error.to_string(),
    }
}

pub fn paths(text: &str) -> Vec<String> {
    read(text).paths().into_iter().collect()
}

/// Parsed, checked and fitted, as the integrator does it.
pub fn examined(text: &str, globs: &[&str], limits: Limits) -> Result<Patch, PatchError> {
    let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
    let patch = Patch::parse(text, &limits)?;
    patch.check(&Rules {
        globs: &globs,
        scope: &Scope::new(&globs).expect("globs"),
        reserved: &[
            ("plans/own.jsonl".to_owned(), Forbidden::Plan),
            (".learnings.jsonl".to_owned(), Forbidden::Learnings),
            ("runs".to_owned(), Forbidden::Artifacts),
        ],
        limits,
    })?;
    patch.fit(&tree())
}

pub fn fitted(text: &str) -> Result<Patch, PatchError> {
    examined(text, &["**"], Limits::default())
}

pub fn forbidden(text: &str) -> String {
    match fitted(text) {
        Err(PatchError::Forbidden { path, why }) => format!("{path}: {why}"),
        other => panic!("{other:?}\n{text}"),
    }
}

pub fn edit(path: &str) -> String {
    format!("--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-x\n+y\n")
}

pub fn add_link(path: &str, target: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 120000\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{target}\n\\ No newline at end of file\n"
    )
}

pub const EDIT: &str = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n x\n-y\n+z\n";
