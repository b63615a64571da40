//! What the integrator does to the tree and the plan: applied, refused, or restored byte for byte.

mod applied;
mod refused;
mod restored;
mod several;
mod validated;

use crate::fixture::*;
use insta::assert_snapshot;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn run_one(task: Task) -> (Bench, Said) {
    let bench = Bench::new(&[task]);
    let said = bench.run("--json");
    (bench, said)
}

fn reason(said: &Said) -> String {
    let reason = &report(said)["tasks"][0]["reason"];
    reason.as_str().unwrap_or("none").to_owned()
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

// Applied.
