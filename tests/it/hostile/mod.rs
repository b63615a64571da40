//! Hostile text everywhere: the texts of `corpus.json` go through every input and are looked for in every output.
//!
//! ```text
//! corpus.json ─► corpus: texts, each with a word of its own for each input
//!                  │  carriers: jobs, headers, plans, votes, patches, calls, commands, scripts, slices
//!                  ▼
//!               mesh ─► outputs ─► matrix: one check of checks/ for each format, and which words came out where
//! ```
//!
//! A check says what its format demands whoever wrote the text, and gives the texts as a reader of the format gets them. The
//! table at the end of a carrier is a snapshot: an input that no longer arrives in an output changes it, so that no check passes
//! because nothing was there to check. Texts for shells would make a file [`CANARY`]; it must exist nowhere.

mod calls;
mod checks;
mod commands;
mod corpus;
mod headers;
mod imports;
mod jobs;
mod matrix;
mod outputs;
mod patches;
mod plans;
mod scripts;
mod slices;

use crate::fixture::*;
use checks::*;
use corpus::Text;
use matrix::Matrix;
use std::path::Path;

/// The name of the file that a text makes if a shell runs it.
pub const CANARY: &str = "mesh-canary";

/// Nothing has made the canary, neither in the sandbox nor where the tests run.
#[track_caller]
fn assert_no_canary(sandbox: &Sandbox) {
    let mut folders = vec![sandbox.beside("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            assert_ne!(entry.file_name(), CANARY, "{}", entry.path().display());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    assert!(!Path::new(CANARY).exists());
}
