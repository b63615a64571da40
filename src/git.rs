//! The only place that calls `git`. Reads a lot, writes little: `apply` and `restore` to the work tree; a commit or a
//! branch only in [`commit`], for a run that was told to deliver one; never a remote. [`Repo::create`] makes the demo's
//! own repository, [`borrowed`] those of scratch copies.

mod borrowed;
mod commit;

pub use commit::CommitOrder;

use duct::Expression;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Why a git command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Not inside a work tree.
    #[error("`{}` is not inside a git repository", folder.display())]
    NoRepository {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The program is missing or could not run.
    #[error("git could not be run")]
    Run(#[source] io::Error),
    /// It ran and failed.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// The arguments.
        command: String,
        /// What it wrote to standard error.
        message: String,
    },
}

/// One entry of `git status`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Relative to the root.
    pub path: PathBuf,
    /// Git does not know the file.
    pub untracked: bool,
}

/// A repository's work tree.
#[derive(Clone, Debug)]
pub struct Repo {
    root: PathBuf,
}

impl Repo {
    /// The repository that `folder` is in.
    pub fn find(folder: &Path) -> Result<Self, GitError> {
        let no_repository = || GitError::NoRepository {
            folder: folder.to_owned(),
        };
        if !folder.is_dir() {
            return Err(no_repository());
        }
        let here = Self {
            root: folder.to_owned(),
        };
        let output = here.output(&["rev-parse", "--show-toplevel"])?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            let is_none = ["not a git repository", "work tree"]
                .iter()
                .any(|text| message.contains(text));
            return Err(match is_none {
                true => no_repository(),
                false => failed(&["rev-parse"], &output),
            });
        }
        let root = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
        Ok(Self {
            root: path_of(root),
        })
    }

    /// A new repository with everything in `folder` in one commit. The same bytes and `time` give the same commit.
    pub fn create(folder: &Path, message: &str, time: &str) -> Result<Self, GitError> {
        let repo = Self {
            root: folder.to_owned(),
        };
        let settings = [
            "user.name=mesh demo",
            "user.email=demo@example.invalid",
            "commit.gpgsign=false",
            "core.hooksPath=/dev/null",
            "core.autocrlf=false",
        ];
        let steps: [&[&str]; 3] = [
            &["init", "--quiet", "--initial-branch=main"],
            &["add", "--all"],
            &["commit", "--quiet", "--message", message],
        ];
        for step in steps {
            let args: Vec<&str> = settings
                .iter()
                .flat_map(|one| ["-c", *one])
                .chain(step.iter().copied())
                .collect();
            let command = repo
                .command(&args)
                .env("GIT_AUTHOR_DATE", time)
                .env("GIT_COMMITTER_DATE", time);
            let output = command.run().map_err(GitError::Run)?;
            if !output.status.success() {
                return Err(failed(step, &output));
            }
        }
        Ok(repo)
    }

    /// Whether git ignores `path`.
    pub fn ignores(&self, path: &Path) -> Result<bool, GitError> {
        let args = ["check-ignore", "-q", "--", &path.to_string_lossy()];
        let output = self.output(&args)?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(failed(&args, &output)),
        }
    }

    /// The top of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that all work trees of the repository share.
    pub fn common_dir(&self) -> Result<PathBuf, GitError> {
        let path = self.read(&["rev-parse", "--git-common-dir"])?;
        Ok(self
            .root
            .join(path_of(path.strip_suffix(b"\n").unwrap_or(&path))))
    }

    /// The commit that is checked out; `unborn` before the first one.
    pub fn head(&self) -> Result<String, GitError> {
        let output = self.output(&["rev-parse", "--verify", "--quiet", "HEAD"])?;
        let sha = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok(if sha.is_empty() {
            "unborn".to_owned()
        } else {
            sha
        })
    }

    /// The branch that is checked out, also before its first commit; `None` when a bare commit is.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        self.read_if_any(&["symbolic-ref", "--quiet", "--short", "HEAD"])
    }

    /// The address of the remote `origin`, as it is configured; may hold a password.
    pub fn origin(&self) -> Result<Option<String>, GitError> {
        self.read_if_any(&["config", "--get", "remote.origin.url"])
    }

    /// Tracked files, and untracked ones that git does not ignore, that exist in the tree.
    pub fn files(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let args = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let listed = self.read(&args)?;
        let paths = listed
            .split(|byte| *byte == 0)
            .filter(|path| !path.is_empty());
        Ok(paths.map(path_of).collect())
    }

    /// What differs from the commit that is checked out, untracked files one by one.
    pub fn changes(&self) -> Result<Vec<Change>, GitError> {
        self.status("--untracked-files=all")
    }

    /// Tracked files that differ from the commit that is checked out, staged or not. Untracked ones are not looked
    /// for, which is much faster where there are many.
    pub fn changed_tracked(&self) -> Result<Vec<PathBuf>, GitError> {
        let changes = self.status("--untracked-files=no")?;
        Ok(changes.into_iter().map(|change| change.path).collect())
    }

    fn status(&self, untracked: &str) -> Result<Vec<Change>, GitError> {
        let args = ["status", "--porcelain=v1", "-z", untracked, "--no-renames"];
        let listed = self.read(&args)?;
        let entries = listed
            .split(|byte| *byte == 0)
            .filter(|entry| entry.len() > 3);
        Ok(entries
            .map(|entry| Change {
                // An untracked repository within this one is listed with a slash at its end.
                path: path_of(entry[3..].strip_suffix(b"/").unwrap_or(&entry[3..])),
                untracked: entry.starts_with(b"??"),
            })
            .collect())
    }

    /// Whether `patch` applies to the work tree: `Err` has git's own words.
    ///
    /// Gives the options under which it does: hunk counts that a model got wrong are recounted.
    pub fn check_patch(
        &self,
        patch: &Path,
        strip: u8,
    ) -> Result<Result<ApplyOptions, String>, GitError> {
        let mut refusal = String::new();
        for recount in [false, true] {
            let options = ApplyOptions { strip, recount };
            let output = self.output(&self.apply_args(&["--check"], patch, options))?;
            if output.status.success() {
                return Ok(Ok(options));
            }
            if !recount {
                refusal = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            }
        }
        Ok(Err(refusal))
    }

    /// The paths that git itself would touch.
    pub fn patch_paths(
        &self,
        patch: &Path,
        options: ApplyOptions,
    ) -> Result<BTreeSet<String>, GitError> {
        let args = self.apply_args(&["--numstat", "-z"], patch, options);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let listed = String::from_utf8_lossy(&self.read(&args)?).into_owned();
        // `added TAB deleted TAB path NUL`; a rename has an empty path there and both names in records of their own.
        Ok(listed
            .split('\0')
            .map(|record| record.rsplit('\t').next().unwrap_or(record))
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Applies `patch` to the work tree; all of it or nothing.
    pub fn apply(&self, patch: &Path, options: ApplyOptions) -> Result<(), GitError> {
        let args = self.apply_args(&[], patch, options);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.read(&args).map(drop)
    }

    /// Brings tracked files back to what the index has.
    pub fn restore(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut args: Vec<String> = ["restore", "--worktree", "--"].map(str::to_owned).into();
        args.extend(
            paths
                .iter()
                .map(|path| format!(":(top,literal){}", path.display())),
        );
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.read(&args).map(drop)
    }

    fn apply_args(&self, extra: &[&str], patch: &Path, options: ApplyOptions) -> Vec<String> {
        let mut args: Vec<String> = ["apply", "--whitespace=nowarn"].map(str::to_owned).into();
        args.extend(extra.iter().map(|arg| (*arg).to_owned()));
        args.push(format!("-p{}", options.strip));
        if options.recount {
            args.push("--recount".to_owned());
        }
        args.push(patch.display().to_string());
        args
    }

    fn read(&self, args: &[&str]) -> Result<Vec<u8>, GitError> {
        let output = self.output(args)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(args, &output))
    }

    /// One line; `None` when the command says by exit code 1 that there is none.
    fn read_if_any(&self, args: &[&str]) -> Result<Option<String>, GitError> {
        let output = self.output(args)?;
        match output.status.code() {
            Some(0) => Ok(Some(
                String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            )),
            Some(1) => Ok(None),
            _ => Err(failed(args, &output)),
        }
    }

    fn output<S: AsRef<str>>(&self, args: &[S]) -> Result<std::process::Output, GitError> {
        self.command(args).run().map_err(GitError::Run)
    }

    fn command<S: AsRef<str>>(&self, args: &[S]) -> Expression {
        self.command_with(args, None, None)
    }

    /// The same with an index of its own, and something on its standard input.
    fn command_with<S: AsRef<str>>(
        &self,
        args: &[S],
        index: Option<&Path>,
        input: Option<Vec<u8>>,
    ) -> Expression {
        let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
        let command = duct::cmd("git", args);
        // What is said first counts, so these stand before everything else.
        let command = match index {
            Some(index) => command.env("GIT_INDEX_FILE", index),
            None => command.env_remove("GIT_INDEX_FILE"),
        };
        let command = match input {
            Some(input) => command.stdin_bytes(input),
            None => command.stdin_null(),
        };
        let command = command
            .dir(&self.root)
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .stdout_capture()
            .stderr_capture()
            .unchecked();
        // Set by git itself inside its hooks; they would point us at another repository.
        ["GIT_DIR", "GIT_WORK_TREE", "GIT_PREFIX"]
            .iter()
            .fold(command, |command, name| command.env_remove(name))
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

fn failed(args: &[&str], output: &std::process::Output) -> GitError {
    GitError::Failed {
        command: args.first().copied().unwrap_or_default().to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    }
}

/// How a patch is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Leading path parts to strip.
    pub strip: u8,
    /// Ignore the line counts of hunk headers.
    pub recount: bool,
}
