//! Folders whose files are shared: one holds a copy of each file, the others hard links to it.
//!
//! A shared file is never written to: a file that changed is a new one in the folders that it changed in. So this is only for
//! folders that nobody else can write to.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, copy_file, is_absent, list_folders, remove_tree};
use crate::platform::{fault, look, private};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A file of a tree, with its stamp when it was copied.
pub type Copied = (PathBuf, FileStamp);

/// Copies what `source` has at `paths` to `target`, which has nothing there.
pub fn fill(
    source: &Path,
    target: &Path,
    paths: &BTreeSet<PathBuf>,
) -> Result<Vec<Copied>, SnapshotError> {
    let files = list_present(source, paths)?;
    for folder in list_folders(files.iter().map(|(path, _)| path.as_path())) {
        make_folder(&target.join(&folder)).map_err(SnapshotError::copy(&folder))?;
    }
    let copied = files.into_par_iter().map(|(path, stamp)| {
        fault::workspace_point();
        match copy_file(&source.join(&path), &target.join(&path), &stamp) {
            // It was removed while it was copied.
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(SnapshotError::copy(&path)(error)),
            Ok(copy) => Ok(copy.map(|_| (path, stamp))),
        }
    });
    let copied = copied.collect::<Result<Vec<_>, SnapshotError>>()?;
    Ok(copied.into_iter().flatten().collect())
}

/// Makes `target` hold at `paths` what `source` holds there.
pub fn update(
    source: &Path,
    target: &Path,
    paths: &BTreeSet<PathBuf>,
) -> Result<Vec<Copied>, SnapshotError> {
    for path in paths {
        remove_tree(&target.join(path)).map_err(SnapshotError::copy(path))?;
    }
    let copied = fill(source, target, paths)?;
    for path in paths {
        remove_empty_folders(target, path);
    }
    Ok(copied)
}

/// Makes `to`, where nothing is, a folder with links to the files of `from`, without the entry `except`.
pub fn link(from: &Path, to: &Path, except: Option<&str>) -> io::Result<()> {
    private::make_folder(to)?;
    let entries = fs::read_dir(from)?.collect::<io::Result<Vec<_>>>()?;
    entries.into_par_iter().try_for_each(|entry| {
        if except.is_some_and(|except| entry.file_name() == *except) {
            return Ok(());
        }
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            return link(&from, &to, None);
        }
        fault::workspace_point();
        fs::hard_link(from, to)
    })
}

/// What `paths` has of files, links and folders, with their stamps. Below a link, nothing is part of the tree.
pub(super) fn list_present(
    source: &Path,
    paths: &BTreeSet<PathBuf>,
) -> Result<Vec<(PathBuf, FileStamp)>, SnapshotError> {
    let stamped = paths.par_iter().map(|path| {
        let stamp = FileStamp::of(&source.join(path)).map_err(SnapshotError::copy(path))?;
        Ok(stamp.map(|stamp| (path.clone(), stamp)))
    });
    let stamped: Vec<_> = stamped.collect::<Result<_, SnapshotError>>()?;
    let files = stamped.into_iter().flatten();
    let files: Vec<_> = files.filter(|(_, stamp)| stamp.is_copied()).collect();
    let is_folder = |folder: &PathBuf| -> Result<bool, SnapshotError> {
        let found = look::entry(&source.join(folder)).map_err(SnapshotError::copy(folder))?;
        Ok(found.is_some_and(|found| found.is_dir()))
    };
    let folders = list_folders(files.iter().map(|(path, _)| path.as_path()));
    let folders: BTreeMap<PathBuf, bool> = folders
        .into_iter()
        .map(|folder| Ok((folder.clone(), is_folder(&folder)?)))
        .collect::<Result<_, SnapshotError>>()?;
    let is_in_tree = |path: &Path| {
        let above = path.ancestors().skip(1);
        let mut above = above.filter(|folder| !folder.as_os_str().is_empty());
        let is_below = above.all(|folder| folders.get(folder) == Some(&true));
        // A folder with files of the tree took the place of a file.
        is_below && folders.get(path) != Some(&true)
    };
    Ok(files
        .into_iter()
        .filter(|(path, _)| is_in_tree(path))
        .collect())
}

fn make_folder(path: &Path) -> io::Result<()> {
    match private::make_folder(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Git knows no empty folders.
fn remove_empty_folders(target: &Path, path: &Path) {
    let above = path.ancestors().skip(1);
    let folders = above.filter(|folder| !folder.as_os_str().is_empty());
    for folder in folders {
        match fs::remove_dir(target.join(folder)) {
            Err(error) if !is_absent(&error) => return,
            _ => {}
        }
    }
}
