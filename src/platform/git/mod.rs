//! The only code that calls `git`. It writes little: `apply` changes the work tree; [`commit`] makes a commit or a branch, for
//! a run with such a delivery; nothing writes to a remote. [`Repo::create`] creates the repository of the demo,
//! [`borrowed`] those of scratch copies.

mod borrowed;
mod commit;
mod failure;
mod files;
mod filters;
mod memory;
mod pack;
mod past;
mod recall;
mod records;
mod refs;

pub use commit::CommitOrder;
pub use failure::GitError;
pub(crate) use failure::failed;
pub use memory::{FileMark, IndexListing, KnownChanges, SettingsMark, file_mark};
pub use past::PastEntry;
pub use records::{Change, Conversion, PatchReport, Tracked};

use super::process::{Group, Input, Writers};
use super::{look, threads};
use crossbeam_channel::Sender;
use failure::{check_machine, message_of};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output, Stdio};
use std::sync::Arc;

/// A repository's work tree.
#[derive(Clone, Debug)]
pub struct Repo {
    root: PathBuf,
    /// The record of git commands that may write to the tree.
    writers: Option<Writers>,
    /// What is known from earlier calls.
    memory: Arc<memory::Memory>,
}

/// The environment of one git command.
#[derive(Debug, Default)]
pub(crate) struct Call<'c> {
    /// A temporary index.
    index: Option<&'c Path>,
    /// Its standard input.
    input: Option<Vec<u8>>,
    /// Further variables.
    variables: &'c [(&'c str, &'c str)],
    /// Whether the user's hooks run.
    hooks: Hooks,
    /// Whether it may write to the tree or a branch, by itself or by a hook or filter of the user. Then it is recorded
    /// before it starts.
    writes: bool,
}

impl Call<'_> {
    /// A call that may write, with nothing else special.
    fn writing() -> Self {
        Self {
            writes: true,
            ..Self::default()
        }
    }
}

/// Whose hooks a git command runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hooks {
    /// No hooks.
    #[default]
    None,
    /// The user's, as in a commit of the user's own.
    Users,
}

/// Variables by which git's own hooks point their children at a repository, and others by which the meaning of paths
/// changes (`git rev-parse --local-env-vars`, without those that hold settings).
pub const LOCAL_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_GRAFT_FILE",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_LITERAL_PATHSPECS",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// Prefixes of the variables that git calls keep: the identity of the user, and the paths of settings and programs. All
/// other variables of git could change the meaning of a command.
const KEPT_VARIABLES: [&str; 9] = [
    "GIT_ASKPASS",
    "GIT_AUTHOR_",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_",
    "GIT_CONFIG_",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_LFS_",
    "GIT_SSH",
];

impl Repo {
    /// The repository that `folder` is in.
    pub fn find(folder: &Path) -> Result<Self, GitError> {
        let no_repository = || GitError::NoRepository {
            folder: folder.to_owned(),
        };
        let there = look::reach(folder);
        if !there
            .map_err(GitError::unreadable(folder))?
            .is_some_and(|there| there.is_dir())
        {
            return Err(no_repository());
        }
        let here = Self::at(folder);
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
        Ok(Self::at(&path_of(root)))
    }

    /// The work tree whose top was `root`, where git finds no repository any more: every call of git fails.
    pub fn gone(root: &Path) -> Self {
        Self::at(root)
    }

    /// The work tree whose top is `root`.
    fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            writers: None,
            memory: Arc::default(),
        }
    }

    /// Records every command that may write to the tree in `writers` before it starts.
    pub fn recorded(&self, writers: &Writers) -> Self {
        Self {
            writers: Some(writers.clone()),
            ..self.clone()
        }
    }

    /// The same repository for another thread: what this one remembers of the tree is nothing to that one.
    pub fn separate(&self) -> Self {
        Self {
            memory: Arc::new(self.memory.of_places()),
            ..self.clone()
        }
    }

    /// The repository that `path` below the root is in, with the same record.
    pub fn nested(&self, path: &Path) -> Result<Self, GitError> {
        let mut nested = Self::find(&self.root.join(path))?;
        nested.writers.clone_from(&self.writers);
        Ok(nested)
    }

    /// Creates a repository with everything in `folder` in one commit. The same bytes and `time` give the same commit.
    pub fn create(folder: &Path, message: &str, time: &str) -> Result<Self, GitError> {
        let repo = Self::at(folder);
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
            let dates = [("GIT_AUTHOR_DATE", time), ("GIT_COMMITTER_DATE", time)];
            let call = Call {
                variables: &dates,
                ..Call::default()
            };
            let output = repo.call(&args, call)?;
            if !output.status.success() {
                return Err(failed(step, &output));
            }
        }
        Ok(repo)
    }

    /// Whether git ignores `path`.
    pub fn ignores(&self, path: &Path) -> Result<bool, GitError> {
        let args = ["check-ignore", "-q", "--"].map(OsStr::new);
        let args = [&args[..], &[path.as_os_str()]].concat();
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

    /// The address of the remote `origin`, as it is configured; may hold a password.
    pub fn origin(&self) -> Result<Option<String>, GitError> {
        self.read_if_any(&["config", "--get", "remote.origin.url"])
    }

    /// The settings of the repository and of this work tree, without those of the user and the system.
    pub fn local_settings(&self) -> Result<Vec<(String, String)>, GitError> {
        let mut settings = self.settings_of("--local")?;
        let own = ("extensions.worktreeconfig".to_owned(), "true".to_owned());
        if settings.contains(&own) {
            settings.extend(self.settings_of("--worktree")?);
        }
        Ok(settings)
    }

    fn settings_of(&self, scope: &str) -> Result<Vec<(String, String)>, GitError> {
        let listed = self.read(&["config", scope, "--list", "-z"])?;
        let listed = String::from_utf8_lossy(&listed);
        let entries = listed
            .split('\0')
            .filter_map(|entry| entry.split_once('\n'));
        Ok(entries
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// Tracked files, and untracked ones that git does not ignore. Git is not asked while the changes of the tree are
    /// remembered.
    pub fn files(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        if let Some(untracked) = self.remembered_untracked() {
            let index = self.index()?;
            let tracked = index.tracked.iter().map(|entry| entry.path.clone());
            return Ok(tracked.chain(untracked).collect());
        }
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

    /// The differences from the commit that is checked out, with each untracked file.
    pub fn changes(&self) -> Result<Vec<Change>, GitError> {
        self.status("--untracked-files=all", &[])
    }

    /// Those of `paths`, which are tracked, that differ from the commit that is checked out, staged or not.
    pub fn changes_of(&self, paths: &[&Path]) -> Result<Vec<Change>, GitError> {
        match paths {
            [] => Ok(Vec::new()),
            paths => self.status("--untracked-files=no", paths),
        }
    }

    /// Tracked files that differ from the commit that is checked out, staged or not. Untracked ones are not looked
    /// for, which is much faster where there are many.
    pub fn changed_tracked(&self) -> Result<Vec<PathBuf>, GitError> {
        let changes = self.status("--untracked-files=no", &[])?;
        Ok(changes.into_iter().map(|change| change.path).collect())
    }

    fn status(&self, untracked: &str, paths: &[&Path]) -> Result<Vec<Change>, GitError> {
        let args = ["status", "--porcelain=v1", "-z", untracked, "--no-renames"];
        let mut args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        if !paths.is_empty() {
            args.insert(0, "--literal-pathspecs".as_ref());
            args.push("--".as_ref());
            args.extend(paths.iter().map(|path| path.as_os_str()));
        }
        let listed = self.read_filtered(&args)?;
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

    /// The submodules in the index.
    pub fn submodules(&self) -> Result<BTreeSet<PathBuf>, GitError> {
        let index = self.index()?;
        let submodules = index.tracked.iter().filter(|entry| entry.is_repository);
        Ok(submodules.map(|entry| entry.path.clone()).collect())
    }

    /// Whether `patch` applies to the work tree: `Ok` is what git would do, `Err` its message. Git is not asked again about a
    /// patch that applied when `key`, which tells the patch and the files that it touches, was the same.
    pub fn check_patch(
        &self,
        patch: &Path,
        key: &str,
    ) -> Result<Result<PatchReport, String>, GitError> {
        if let Some(report) = self.checked_before(key) {
            return Ok(Ok(report));
        }
        let report = ["--check", "--numstat", "-z", "--summary"];
        let output = self.apply_with(&report, patch)?;
        if !output.status.success() {
            return Ok(Err(message_of(&output)));
        }
        let forwards = String::from_utf8_lossy(&output.stdout).into_owned();
        let backwards = match names_a_source(&forwards) {
            true => Some(self.report_backwards(patch)?),
            false => None,
        };
        let report = PatchReport {
            forwards,
            backwards,
        };
        self.remember_checked(key, &report);
        Ok(Ok(report))
    }

    /// Backwards, what a rename or copy comes from is what it goes to.
    fn report_backwards(&self, patch: &Path) -> Result<String, GitError> {
        let output = self.apply_with(&["--numstat", "-z", "-R"], patch)?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(failed(&["apply"], &output)),
        }
    }

    /// Applies `patch` to the work tree; all of it or nothing.
    pub fn apply(&self, patch: &Path) -> Result<(), GitError> {
        let output = self.apply_with(&[], patch)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(&["apply"], &output)),
        }
    }

    /// Whether git stores the same object for the contents of the files `one` and `other` at `path` of the tree. Attributes and
    /// settings may make git write other line ends, or `$Id$`.
    pub fn stores_alike(&self, path: &str, one: &Path, other: &Path) -> Result<bool, GitError> {
        let as_path = format!("--path={path}");
        let args = ["hash-object", &as_path, "--"].map(OsStr::new);
        let id = |file: &Path| self.read_filtered(&[&args[..], &[file.as_os_str()]].concat());
        Ok(id(one)? == id(other)?)
    }

    /// The options with which git reads a patch, to check and to apply it. No setting of the user applies.
    fn apply_with(&self, what: &[&str], patch: &Path) -> Result<Output, GitError> {
        let settings = ["core.protectHFS=true", "apply.ignoreWhitespace=no"];
        let mut args: Vec<&str> = settings.iter().flat_map(|one| ["-c", *one]).collect();
        args.extend(["apply", "--whitespace=nowarn", "-p1"]);
        args.extend(what);
        let mut args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        args.push(patch.as_os_str());
        self.call(&args, Call::writing())
    }

    fn read<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Vec<u8>, GitError> {
        self.read_with(args, Call::default())
    }

    fn read_with<S: AsRef<OsStr>>(&self, args: &[S], call: Call<'_>) -> Result<Vec<u8>, GitError> {
        let output = self.call(args, call)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(failed(args, &output))
    }

    /// One line; `None` if the command exits with 1.
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

    fn output<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output, GitError> {
        self.call(args, Call::default())
    }

    /// Runs git. The caller checks how it ended.
    ///
    /// # Errors
    /// It could not be run, or failed for a fault of the machine, which says nothing about what it was asked.
    fn call<S: AsRef<OsStr>>(&self, args: &[S], call: Call<'_>) -> Result<Output, GitError> {
        let output = self.run(args, call).map_err(GitError::Run)?;
        check_machine(args, output)
    }

    fn run<S: AsRef<OsStr>>(&self, args: &[S], call: Call<'_>) -> io::Result<Output> {
        // What the user or a hook set up for other programs has no say in these calls.
        let mut all: Vec<OsString> = ["-c", "core.fsmonitor=false"].map(OsString::from).into();
        if call.hooks == Hooks::None {
            all.extend(["-c", "core.hooksPath=/dev/null"].map(OsString::from));
        }
        all.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        let group = match call.hooks {
            Hooks::None => Group::Own,
            Hooks::Users => Group::Shared,
        };
        let writers = self.writers.as_ref().filter(|_| call.writes);
        let mut command = match writers {
            Some(writers) => writers.command("git", &all, Input::Pipe),
            None => {
                let mut command = Command::new("git");
                command.args(&all);
                command
            }
        };
        self.surround(&mut command, &call);
        let feeder = call.input.filter(|input| !input.is_empty()).map(feeder);
        let feeder = feeder.transpose()?;
        let (child, stdin) = match writers {
            Some(writers) => writers.start(command, group)?,
            None => {
                let mut child = command.stdin(Stdio::piped()).spawn()?;
                let stdin = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
                (child, stdin)
            }
        };
        match feeder {
            // It fails where git ends before it has read everything, which its exit code tells better.
            Some(feeder) => drop(feeder.send(stdin)),
            // Git's input ends here, and not when this function does: git waits for that.
            None => drop(stdin),
        }
        child.wait_with_output()
    }

    /// Folder, environment and output of a call.
    fn surround(&self, command: &mut Command, call: &Call<'_>) {
        command
            .current_dir(&self.root)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_kept = KEPT_VARIABLES.iter().any(|kept| text.starts_with(kept));
            if text.starts_with("GIT_") && !is_kept {
                command.env_remove(&name);
            }
        }
        command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        if let Some(index) = call.index {
            command.env("GIT_INDEX_FILE", index);
        }
        command.envs(call.variables.iter().copied());
    }
}

/// A thread that writes to the pipe it is sent, because git may answer before it has read everything. It is there before git starts, which
/// would take a missing rest of its input for the end.
fn feeder(input: Vec<u8>) -> io::Result<Sender<ChildStdin>> {
    let (sender, pipes) = crossbeam_channel::bounded::<ChildStdin>(1);
    threads::start("git input", move || {
        for mut stdin in pipes {
            let _ = stdin.write_all(&input);
        }
    })?;
    Ok(sender)
}

pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// Whether the summary of a patch lists a rename or a copy.
fn names_a_source(report: &str) -> bool {
    let (_, summary) = report.rsplit_once('\0').unwrap_or_default();
    let mut lines = summary.lines().map(str::trim_start);
    lines.any(|line| line.starts_with("rename ") || line.starts_with("copy "))
}
