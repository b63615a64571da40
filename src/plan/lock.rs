//! The lock beside the plan file, and the rule that git must not see it.
//!
//! `flock` on `<plan file>.lock`, as the other `$st` programs take it. The kernel gives it back
//! when the process ends, however it ends, so there is no stale lock to clean up.

use super::error::PlanError;
use crate::model::shell_word;
use crate::platform::Repo;
use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use std::fs;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// The exclusive right to change one plan file; ends when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until the right is free.
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
        retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            .map_err(|errno| failed(errno.into()))?;
        Ok(Lock { _file: file })
    }
}

/// Refuses a plan file in a git repository whose lock git does not ignore: it would show up in
/// every status and end up in a commit. Outside a repository, or without git, there is nothing to
/// refuse.
///
/// # Errors
/// [`PlanError::LockNotIgnored`] with the command that mends it.
pub fn check_lock_ignored(plan_file: &Path) -> Result<(), PlanError> {
    match seen_lock(plan_file) {
        None => Ok(()),
        Some(SeenLock { root, lock }) => Err(PlanError::LockNotIgnored {
            lock: shell_word(&lock.to_string_lossy()),
            root: shell_word(&root.to_string_lossy()),
        }),
    }
}

/// What a shell runs to make the plan `file`, named as `shown`: with the line in `.gitignore` first where `init` would
/// ask for it, so that the command works the first time.
pub(super) fn init_command(file: &Path, shown: &Path) -> String {
    let init = format!(
        "mesh st init --file {}",
        shell_word(&shown.to_string_lossy())
    );
    match seen_lock(file) {
        None => init,
        Some(SeenLock { root, lock }) => format!(
            "echo {} >> {} && {init}",
            shell_word(&lock.to_string_lossy()),
            shell_word(&root.join(".gitignore").to_string_lossy()),
        ),
    }
}

/// A lock that git does not ignore.
struct SeenLock {
    /// The root of its repository.
    root: PathBuf,
    /// Relative to that.
    lock: PathBuf,
}

fn seen_lock(plan_file: &Path) -> Option<SeenLock> {
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
    Some(SeenLock {
        root: root.to_owned(),
        lock: shown.to_owned(),
    })
}

/// Beside the file that is rewritten: behind a symbolic link that is the one it points to, so that
/// every name of a plan shares one lock.
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

/// The nearest folder above `path` that is there: the plan's own may be made only later.
fn existing_ancestor(path: &Path) -> PathBuf {
    let found = path.ancestors().skip(1).find(|folder| folder.is_dir());
    found.unwrap_or(Path::new("/")).to_owned()
}
