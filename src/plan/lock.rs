//! The lock file beside the plan file, which git must ignore.
//!
//! `flock` on `<plan file>.lock`, as in the other `$st` programs. The kernel releases it when the process ends in any way, so
//! there are no stale locks.

use super::error::PlanError;
use super::file::io_error;
use crate::model::shell_word;
use crate::platform::{LockKind, Repo, file_lock, look};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The exclusive right to change one plan file, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock.
    pub(super) fn acquire(plan_file: &Path) -> Result<Lock, PlanError> {
        let path = lock_path(plan_file).map_err(|cause| io_error("lock", plan_file, cause))?;
        let failed = |cause| PlanError::Io {
            action: "lock",
            file: path.clone(),
            cause,
        };
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed)?;
        file_lock::lock(&file, LockKind::Exclusive).map_err(failed)?;
        Ok(Lock { _file: file })
    }
}

/// Refuses a plan file in a git repository that does not ignore the lock: it would show up in every status and end up in a
/// commit. Outside a repository, or without git, everything is accepted.
///
/// # Errors
/// [`PlanError::LockNotIgnored`] with the command that ignores it.
pub fn check_lock_ignored(plan_file: &Path) -> Result<(), PlanError> {
    match find_unignored_lock(plan_file) {
        None => Ok(()),
        Some(UnignoredLock { root, lock }) => Err(PlanError::LockNotIgnored {
            lock: shell_word(&lock.to_string_lossy()),
            root: shell_word(&root.to_string_lossy()),
        }),
    }
}

/// The shell command that creates the plan `file`, named as `shown`. It adds the lock to `.gitignore` first where needed, so
/// that it works the first time.
pub(super) fn init_command(file: &Path, shown: &Path) -> String {
    let init = format!(
        "mesh st init --file {}",
        shell_word(&shown.to_string_lossy())
    );
    match find_unignored_lock(file) {
        None => init,
        Some(UnignoredLock { root, lock }) => format!(
            "echo {} >> {} && {init}",
            shell_word(&lock.to_string_lossy()),
            shell_word(&root.join(".gitignore").to_string_lossy()),
        ),
    }
}

/// A lock that git does not ignore.
struct UnignoredLock {
    /// The root of its repository.
    root: PathBuf,
    /// The lock, relative to the root.
    lock: PathBuf,
}

fn find_unignored_lock(plan_file: &Path) -> Option<UnignoredLock> {
    let lock = absolute(&lock_path(plan_file).ok()?);
    let folder = existing_ancestor(&lock);
    let repo = Repo::find(&folder).ok()?;
    if repo.ignores(&lock).unwrap_or(true) {
        return None;
    }
    let root = repo.root();
    let folder_real = look::real(&folder).ok()?;
    let lock_real = lock
        .strip_prefix(&folder)
        .map_or_else(|_| lock.clone(), |rest| folder_real.join(rest));
    let shown = lock_real.strip_prefix(root).unwrap_or(&lock_real);
    Some(UnignoredLock {
        root: root.to_owned(),
        lock: shown.to_owned(),
    })
}

/// The lock beside the file that is rewritten: the target of a symbolic link, so that all names of a plan share one lock.
fn lock_path(plan_file: &Path) -> io::Result<PathBuf> {
    let is_link = look::reachable(fs::read_link(plan_file))?.is_some();
    let file = match is_link {
        true => look::real(plan_file)?,
        false => plan_file.to_owned(),
    };
    let mut name = file.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The nearest existing folder above `path`; that of the plan may be created later.
fn existing_ancestor(path: &Path) -> PathBuf {
    let found = path
        .ancestors()
        .skip(1)
        .find(|folder| look::is_folder(folder).unwrap_or(false));
    found.unwrap_or(Path::new("/")).to_owned()
}
