//! Which files of a run belong to an archive.

use super::error::ArchiveError;
use crate::platform::look;
use std::path::Path;

/// What is read by reports and by the audit. Everything else is of use only where the run was: workspaces, the state of the tree
/// before a patch, processes.
const PARTS: [&str; 6] = [
    "input.csv",
    "ledger.jsonl",
    "logs",
    "units",
    "violations",
    "waves",
];
/// Folders of a task that hold copies of the user's tree.
const COPIES: [&str; 2] = ["aside", "before"];

/// The regular files, with `/` in their names, in the order of their bytes.
pub fn list(folder: &Path) -> Result<Vec<String>, ArchiveError> {
    let mut found = Vec::new();
    for part in PARTS {
        add(folder, part.to_owned(), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn add(folder: &Path, name: String, found: &mut Vec<String>) -> Result<(), ArchiveError> {
    let path = folder.join(&name);
    let looked = look::found(std::fs::symlink_metadata(&path));
    let Some(metadata) = looked.map_err(ArchiveError::read(&path))? else {
        return Ok(());
    };
    if metadata.is_file() {
        found.push(name);
        return Ok(());
    }
    let is_copy = name.starts_with("units/") && COPIES.iter().any(|copy| path.ends_with(copy));
    if !metadata.is_dir() || is_copy {
        return Ok(());
    }
    let entries = std::fs::read_dir(&path).map_err(ArchiveError::read(&path))?;
    for entry in entries {
        let entry = entry.map_err(ArchiveError::read(&path))?;
        let below = entry.file_name();
        let below = below.to_str().ok_or(ArchiveError::Name(entry.path()))?;
        add(folder, format!("{name}/{below}"), found)?;
    }
    Ok(())
}
