//! A separate repository for a copy of the work tree. It borrows the objects, settings and hooks of the real one, but can't
//! change the real one's index, branches or stash.
//!
//! Rejected: `git worktree add`. A linked work tree shares all branches and the stash, so a validation command that
//! stashes or commits would do it to the user.

use super::memory::Lent;
use super::{Call, GitError, Hooks, Repo, failed, path_of};
use crate::platform::look;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

impl Repo {
    /// Creates such a repository in `folder`, in place of an existing one, with `HEAD` at `commit`. The files of the folder
    /// do not change. `unborn` is a repository without a commit.
    pub fn borrowed(&self, folder: &Path, commit: &str) -> Result<Repo, GitError> {
        let mut made = Repo::at(folder);
        made.writers.clone_from(&self.writers);
        remove_git_folder(&folder.join(".git")).map_err(GitError::Run)?;
        let lent = self.lent()?;
        let format = format!("--object-format={}", lent.object_format);
        made.read(&["init", "--quiet", "--template=", &format])?;
        self.lend(lent, &made).map_err(GitError::Run)?;
        if commit != "unborn" {
            made.read(&["update-ref", "--no-deref", "HEAD", commit])?;
            made.read(&["read-tree", "HEAD"])?;
        }
        Ok(made)
    }

    /// Writes the files of the commit that is checked out, and overwrites existing ones.
    pub fn check_out(&self) -> Result<(), GitError> {
        self.read_filtered(&["checkout-index", "--all", "--force", "--quiet"])
            .map(drop)
    }

    /// The ignored files in `folder`, a copy of this work tree; ignored folders as a whole.
    pub fn ignored_in(&self, folder: &Path) -> Result<BTreeSet<PathBuf>, GitError> {
        let git_dir = self.git_dir()?;
        let mut args = ["--git-dir".as_ref(), git_dir.as_os_str()].to_vec();
        args.extend(["--work-tree".as_ref(), folder.as_os_str()]);
        let list = [
            "ls-files",
            "-z",
            "--others",
            "--ignored",
            "--exclude-standard",
            "--directory",
        ];
        args.extend(list.map(OsStr::new));
        let there = Repo::at(folder);
        let listed = there.read(&args)?;
        let paths = listed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty())
            .map(|path| path_of(path.strip_suffix(b"/").unwrap_or(path)));
        Ok(paths.collect())
    }

    /// What every repository that borrows from this one needs; git is asked once.
    fn lent(&self) -> Result<&Lent, GitError> {
        if let Some(known) = self.memory.lent.get() {
            return Ok(known);
        }
        let mut args = vec!["rev-parse", "--show-object-format"];
        for path in ["objects", "shallow", "config"] {
            args.extend(["--git-path", path]);
        }
        let listed = self.read(&args)?;
        let mut lines = listed.split(|byte| *byte == b'\n').map(path_of);
        let object_format = lines.next().unwrap_or_default();
        let mut path = || self.root.join(lines.next().unwrap_or_default());
        let lent = Lent {
            object_format: object_format.to_string_lossy().into_owned(),
            objects: path(),
            shallow: path(),
            config: path(),
        };
        Ok(self.memory.lent.get_or_init(|| lent))
    }

    fn lend(&self, lent: &Lent, made: &Repo) -> io::Result<()> {
        let Lent {
            objects,
            shallow,
            config,
            ..
        } = lent;
        let git = made.root.join(".git");
        crate::platform::private::make_open_folders(&git.join("objects/info"))?;
        std::fs::write(
            git.join("objects/info/alternates"),
            format!("{}\n", objects.display()),
        )?;
        if look::is_file(shallow)? {
            std::fs::copy(shallow, git.join("shallow"))?;
        }
        // The real settings with who the author is; then what must be otherwise. A relative path to hooks would
        // count from here, where only tracked files are.
        let settings = format!(
            "[include]\n\tpath = {}\n[core]\n\tbare = false\n\tworktree = {}\n\thooksPath = {}\n\tsparseCheckout = false\n\tfsmonitor = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n",
            quoted(config),
            quoted(&made.root),
            quoted(&self.hooks().map_err(io::Error::other)?),
        );
        let path = git.join("config");
        let own = std::fs::read_to_string(&path)?;
        std::fs::write(path, own + &settings)
    }

    /// The path that git answers with, from the root.
    pub(crate) fn absolute(&self, args: &[&str]) -> Result<PathBuf, GitError> {
        let path = self.read(args)?;
        let path = path_of(path.strip_suffix(b"\n").unwrap_or(&path));
        Ok(self.root.join(path))
    }

    /// The folder of the user's hooks. Runs none of them.
    fn hooks(&self) -> Result<PathBuf, GitError> {
        let args = ["rev-parse", "--git-path", "hooks"];
        let call = Call {
            hooks: Hooks::Users,
            ..Call::default()
        };
        let output = self.call(&args, call)?;
        if !output.status.success() {
            return Err(failed(&args, &output));
        }
        let path = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
        Ok(self.root.join(path_of(path)))
    }
}

/// A value of git's configuration format.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn remove_git_folder(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
