//! The tree that a patch of the file `f` makes, or why it is refused.

use super::fixture::TestTree;
use crate::patch::error::PatchError;
use crate::patch::limits::Limits;
use crate::patch::parsed::Patch;
use crate::patch::tree::Outcome;

pub const APP: &str = "import os\nimport sys\n\nVERSION = \"1.0\"\n\n\ndef load(path):\n    with open(path) as f:\n        data = f.read()\n\n    return data\n\n\ndef save(path, data):\n    with open(path, \"w\") as f:\n        f.write(data)\n\n    return len(data)\n";

pub fn fitted(content: &[u8], patch: &str) -> Result<Patch, PatchError> {
    let files = TestTree::of_files([("f", content)]);
    Patch::parse(patch, &Limits::default())?.fit(&files)
}

/// What becomes of the file `f`, or the refusal.
pub fn outcome(content: &[u8], patch: &str) -> Result<Vec<u8>, String> {
    let patch = fitted(content, patch).map_err(|error| error.to_string())?;
    match patch.outcomes.get("f") {
        Some(Outcome::File(content)) => Ok(content.clone()),
        other => Err(format!("{other:?}")),
    }
}

pub fn diff(body: &str) -> String {
    format!("--- a/f\n+++ b/f\n{body}")
}

pub fn envelope(body: &str) -> String {
    format!("*** Begin Patch\n*** Update File: f\n{body}*** End Patch\n")
}

pub fn becomes(content: &str, patch: &str, wanted: &str) {
    let found = outcome(content.as_bytes(), patch);
    let found = found.map(|content| String::from_utf8_lossy(&content).into_owned());
    assert_eq!(found, Ok(wanted.to_owned()), "{patch}");
}

pub fn refused(content: &str, patch: &str, why: &[&str]) {
    match outcome(content.as_bytes(), patch) {
        Ok(content) => panic!("{}\n{patch}", String::from_utf8_lossy(&content)),
        Err(said) => {
            for why in why {
                assert!(said.contains(why), "{why}\n{said}\n{patch}");
            }
        }
    }
}
