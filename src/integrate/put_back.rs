//! Writing a saved state back, and moving what stands in its place aside. Deletes nothing.

use super::beneath::Beneath;
use super::state::{stamp_of, state_of};
use super::store::Store;
use crate::model::BeforeState;
use crate::platform::fault;
use rustix::fs::FileType;
use std::io;
use std::path::{Path, PathBuf};

/// Makes `path` what it was. `true` when something else stood there; it is in `aside` now.
pub(crate) fn put_back(
    root: &Beneath,
    path: &Path,
    before: &BeforeState,
    store: &Store,
    aside: &Path,
) -> io::Result<bool> {
    if state_of(root, path).ok().flatten().as_ref() == Some(before) {
        return Ok(false);
    }
    match before {
        BeforeState::Absent => put_aside(root, path, aside),
        BeforeState::File { mode, sha256 } => {
            put_file(root, path, &store.get(sha256)?, *mode, aside)
        }
        BeforeState::Link { target } => {
            let was_there = put_aside(root, path, aside)?;
            fault::integrator_point();
            make_room(root, path, aside)?;
            root.symlink(target, path)?;
            Ok(was_there)
        }
    }
}

/// The same for a file. It is replaced in one step, so a kill in between leaves one or the other, never nothing.
pub(crate) fn put_file(
    root: &Beneath,
    path: &Path,
    content: &[u8],
    mode: u32,
    aside: &Path,
) -> io::Result<bool> {
    let now = stamp_of(root, path)?;
    let was_there = match now.map(|now| now.kind()) {
        None => false,
        Some(FileType::Directory) => put_aside(root, path, aside)?,
        Some(_) => {
            root.copy_out(path, &free_name(&aside.join(path)))?;
            true
        }
    };
    fault::integrator_point();
    make_room(root, path, aside)?;
    root.write(path, content, mode)?;
    Ok(was_there)
}

/// Moves whatever stands at `path` into `aside`; `false` when nothing did.
pub(crate) fn put_aside(root: &Beneath, path: &Path, aside: &Path) -> io::Result<bool> {
    if root.stat(path)?.is_none() {
        return Ok(false);
    }
    root.move_out(path, &free_name(&aside.join(path)))?;
    Ok(true)
}

/// `path`, or the first of `path.1`, `path.2`, … that is free: nothing put aside earlier is overwritten. Where something
/// that is no folder is in the way of one above it, that one gets the number.
fn free_name(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().collect();
    let is_free = |candidate: &PathBuf| {
        let seen = std::fs::symlink_metadata(candidate);
        seen.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
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

/// Moves aside whatever stands in the way of the folders above `path`, and makes them.
fn make_room(root: &Beneath, path: &Path, aside: &Path) -> io::Result<()> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    for folder in above
        .into_iter()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        let now = stamp_of(root, folder)?;
        if now.is_some_and(|now| now.kind() == FileType::Directory) {
            continue;
        }
        put_aside(root, folder, aside)?;
        root.make_folder(folder)?;
    }
    Ok(())
}
