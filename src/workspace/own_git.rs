//! The git folder of a workspace that leaves this host: with objects of its own, instead of those of the user's repository.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, copy_file};
use super::git_view::FOLDER;
use crate::platform::{Repo, private};
use std::path::Path;
use std::{fs, io};

/// Makes the folder `target` a git folder for the workspace `workspace`, whose own one borrows its objects. It has the history of its
/// HEAD, what is in its index, and of the refs only the branch that is checked out.
///
/// # Errors
/// Objects are missing in the user's repository, or the folder can't be written.
pub fn own_git(workspace: &Path, target: &Path) -> Result<(), SnapshotError> {
    let failed = || SnapshotError::copy(target);
    copy_folder(&workspace.join(FOLDER), target).map_err(failed())?;
    let head = fs::read_to_string(target.join("HEAD")).map_err(failed())?;
    let refs = target.join("packed-refs");
    let listed = fs::read_to_string(&refs).map_err(failed())?;
    let branch = head.trim().strip_prefix("ref: ");
    let is_kept = |line: &&str| {
        let name = line.split_once(' ').map(|(_, name)| name);
        line.starts_with('#') || (branch.is_some() && name == branch)
    };
    let kept = listed.lines().filter(is_kept);
    let kept: String = kept.map(|line| format!("{line}\n")).collect();
    private::write(&refs, kept.as_bytes()).map_err(failed())?;
    let is_born = branch.is_none() || kept.lines().count() > 1;
    Repo::pack_reachable(workspace, target, is_born)?;
    fs::remove_file(target.join("objects/info/alternates")).map_err(failed())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    private::make_folders(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let below = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &below)?,
            false => {
                if let Some(stamp) = FileStamp::of(&entry.path())? {
                    copy_file(&entry.path(), &below, &stamp)?;
                }
            }
        }
    }
    Ok(())
}
