//! The tree that a patch of the file `f` makes.

use super::fixture::TestTree;
use crate::patch::error::PatchError;
use crate::patch::limits::Limits;
use crate::patch::parsed::Patch;
use crate::patch::tree::Outcome;

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
