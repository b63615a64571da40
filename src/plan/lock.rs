//! The lock file beside the plan file, which git must ignore.
//!
//! `flock` on `<plan file>.lock`, as in the other `$st` programs. The kernel releases it when the process ends in any way, so
//! there are no stale locks.

use super::error::PlanError;
use crate::model::shell_word;
use crate::platform::{LockKind, Repo, file_lock};
use std::fs;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The exclusive right to change one plan file, until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock.
    pub(super) fn acquire(plan_file: &Path) -> Result<Lock, PlanError> {
        let path = lock_path(plan_file);
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
    let lock = absolute(&lock_path(plan_file));
    let folder = existing_ancestor(&lock);
    let repo = Repo::find(&folder).ok()?;
    if repo.ignores(&lock).unwrap_or(true) {
        return None;
    }
    let root = repo.root();
    let folder_real = fs::canonicalize(&folder).unwrap_or_else(|_| folder.clone());
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
fn lock_path(plan_file: &Path) -> PathBuf {
    let target = match fs::read_link(plan_file) {
        Ok(_) => fs::canonicalize(plan_file).ok(),
        Err(_) => None,
    };
    let mut name = target.map_or_else(|| plan_file.as_os_str().to_owned(), PathBuf::into_os_string);
    name.push(".lock");
    name.into()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The nearest existing folder above `path`; that of the plan may be created later.
fn existing_ancestor(path: &Path) -> PathBuf {
    let found = path.ancestors().skip(1).find(|folder| folder.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}
