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

    /// Entries of the index that are repositories of their own.
    pub fn submodules(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let listed = self.read(&["ls-files", "--stage", "-z"])?;
        // `mode id stage TAB path`
        let entries = listed.split(|byte| *byte == 0);
        let links = entries.filter(|entry| entry.starts_with(b"160000 "));
        let path = |entry: &[u8]| Some(path_of(entry.splitn(2, |byte| *byte == b'\t').nth(1)?));
        Ok(links.filter_map(path).collect())
    }

    /// Whether `patch` applies to the work tree: `Ok` has what git would do, `Err` its own words on why not.
    pub fn check_patch(&self, patch: &Path) -> Result<Result<PatchReport, String>, GitError> {
        let output = self.apply_with(&["--check", "--numstat", "-z", "--summary"], patch)?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Ok(Err(message.trim().to_owned()));
        }
        let listed = output.stdout;
        // Backwards, what a rename or copy comes from is what it goes to.
        let output = self.apply_with(&["--numstat", "-z", "-R"], patch)?;
        if !output.status.success() {
            return Err(failed(&["apply"], &output));
        }
        Ok(Ok(PatchReport {
            forwards: String::from_utf8_lossy(&listed).into_owned(),
            backwards: String::from_utf8_lossy(&output.stdout).into_owned(),
        }))
    }

    /// Applies `patch` to the work tree; all of it or nothing.
    pub fn apply(&self, patch: &Path) -> Result<(), GitError> {
        let output = self.apply_with(&[], patch)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(&["apply"], &output)),
        }
    }

    /// The one way in which git reads a patch, to check it and to apply it: no setting of the user has a say.
    fn apply_with(&self, what: &[&str], patch: &Path) -> Result<std::process::Output, GitError> {
        let patch = patch.display().to_string();
        let settings = ["core.protectHFS=true", "apply.ignoreWhitespace=no"];
        let mut args: Vec<&str> = settings.iter().flat_map(|one| ["-c", *one]).collect();
        args.extend(["apply", "--whitespace=nowarn", "-p1"]);
        args.extend(what);
        args.push(&patch);
        self.output(&args)
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

/// What git says about a patch that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchReport {
    /// `added TAB deleted TAB path NUL` for each file, then the lines of `--summary`.
    pub forwards: String,
    /// The same records for its reverse, last one first.
    pub backwards: String,
}
