//! Landlock rules: nothing can be written but a list of folders.
//!
//! Landlock covers what is created, written, truncated, renamed and removed. It does not cover modes, owners, times and
//! extended attributes.

use super::privileges;
use crate::platform::machine_fault::at;
use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    path_beneath_rules,
};
use std::io;
use std::path::PathBuf;

/// The first version that covers truncation.
const REQUIRED: ABI = ABI::V3;

/// The devices that any program may write to, and where terminals and shared memory are.
const DEVICES: [&str; 7] = [
    "/dev/full",
    "/dev/null",
    "/dev/ptmx",
    "/dev/pts",
    "/dev/shm",
    "/dev/tty",
    "/dev/zero",
];

/// Restricts this process and everything that it starts.
pub fn enter(writable: &[PathBuf]) -> io::Result<()> {
    let access = AccessFs::from_write(REQUIRED);
    let devices = path_beneath_rules(DEVICES, access);
    let folders = path_beneath_rules(writable, access);
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(access)
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(devices))
        .and_then(|ruleset| ruleset.add_rules(folders))
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted
        .map(drop)
        .map_err(io::Error::other)
        .map_err(at("restricting by Landlock"))?;
    privileges::drop_all()
}
