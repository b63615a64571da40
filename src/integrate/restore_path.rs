//! Restoring one path to a saved state. What is in its place is moved or copied aside, never deleted.

use super::content_store::ContentStore;
use super::state::{read_stamp, read_state};
use crate::model::BeforeState;
use crate::platform::root_dir::RootDir;
use crate::platform::{fault, look};
use rustix::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

/// Restores `path`. `true` if something else was there; that is in `aside` now.
pub(crate) fn restore_path(
    root: &RootDir,
    path: &Path,
    before: &BeforeState,
    store: &ContentStore,
    aside: &Path,
) -> io::Result<bool> {
    // What is only moved away need not be read.
    if *before != BeforeState::Absent {
        let now = look::reachable(read_state(root, path))?.flatten();
        if now.as_ref() == Some(before) {
            return Ok(false);
        }
    }
    match before {
        BeforeState::Absent => move_aside(root, path, aside),
        BeforeState::File { mode, sha256 } => {
            restore_file(root, path, &store.get(sha256)?, *mode, aside)
        }
        BeforeState::Link { target } => {
            let existed = move_aside(root, path, aside)?;
            fault::integrator_point();
            make_parents(root, path, aside)?;
            root.symlink(target, path)?;
            Ok(existed)
        }
    }
}

/// Restores a file atomically: a kill leaves the old or the new file.
pub(crate) fn restore_file(
    root: &RootDir,
    path: &Path,
    content: &[u8],
    mode: u32,
    aside: &Path,
) -> io::Result<bool> {
    let now = read_stamp(root, path)?;
    let existed = match now.map(|now| now.kind()) {
        None => false,
        Some(FileType::Directory) => move_aside(root, path, aside)?,
        Some(_) => {
            root.copy_out(path, &free_name(&aside.join(path)))?;
            true
        }
    };
    fault::integrator_point();
    make_parents(root, path, aside)?;
    root.write(path, content, mode)?;
    Ok(existed)
}

/// Moves the file, link or folder at `path` into `aside`; `false` if nothing is there.
pub(crate) fn move_aside(root: &RootDir, path: &Path, aside: &Path) -> io::Result<bool> {
    if root.stat(path)?.is_none() {
        return Ok(false);
    }
    root.move_out(path, &free_name(&aside.join(path)))?;
    Ok(true)
}

/// `path`, or the first of `path.1`, `path.2`, … that does not exist, so that nothing moved aside earlier is overwritten. If
/// a parent exists and is not a folder, the parent gets the number.
fn free_name(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().collect();
    let is_free = |candidate: &PathBuf| {
        let found = std::fs::symlink_metadata(candidate);
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let numbered = (1..10_000).map(|number| {
        let mut name = plain.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    let free = std::iter::once(plain.clone()).chain(numbered).find(is_free);
    free.unwrap_or_else(|| match (plain.parent(), plain.file_name()) {
        (Some(above), Some(name)) => free_name(above).join(name),
        _ => plain,
    })
}

/// Creates the folders above `path`, and moves aside what is in their place.
fn make_parents(root: &RootDir, path: &Path, aside: &Path) -> io::Result<()> {
    let mut parents: Vec<&Path> = path.ancestors().skip(1).collect();
    parents.reverse();
    for folder in parents
        .into_iter()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let now = read_stamp(root, folder)?;
        if now.is_some_and(|now| now.kind() == FileType::Directory) {
            continue;
        }
        move_aside(root, folder, aside)?;
        root.make_folder(folder)?;
    }
    Ok(())
}
