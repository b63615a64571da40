//! Why a git command failed: what git says, and what of it says nothing about what git was asked, but about the machine.

use crate::platform::machine_fault::named_in;
use rustix::io::Errno;
use rustix::process::Signal;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};

/// Why a git command failed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// Not inside a work tree.
    #[error("`{}` is not inside a git repository", folder.display())]
    NoRepository {
        /// The folder that was searched.
        folder: PathBuf,
    },
    /// Git is missing or could not be started.
    #[error("git could not be run")]
    Run(#[source] io::Error),
    /// What is at a path can't be told.
    #[error("`{}` can't be looked at", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Git exited with an error.
    #[error("`git {command}` failed: {message}")]
    Failed {
        /// The arguments.
        command: String,
        /// What it wrote to standard error.
        message: String,
        /// The fault of the machine that ended it, or that the message names.
        #[source]
        fault: Option<io::Error>,
    },
    /// A filter of git's settings fails.
    #[error("git can't read `{}`, because a filter of its settings fails: {message}", root.display())]
    Filter {
        /// The work tree.
        root: PathBuf,
        /// What it wrote to standard error first.
        message: String,
    },
}

impl GitError {
    pub(in crate::platform) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Unreadable { path, source }
    }

    /// A suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoRepository { .. } => {
                Some("create one with: git init; or pass a repository with -C DIR")
            }
            Self::Filter { .. } => Some(
                "install the program of the filter (for Git LFS, git-lfs), or remove its `filter.*` entries from git's settings",
            ),
            _ => None,
        }
    }
}

/// The error of a command that git refused or could not do.
pub(crate) fn failed<S: AsRef<OsStr>>(args: &[S], output: &Output) -> GitError {
    error(args, output, None)
}

/// What git wrote to standard error.
pub(super) fn message_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// How git ended, unless a fault of the machine ended it.
pub(super) fn check_machine<S: AsRef<OsStr>>(
    args: &[S],
    output: Output,
) -> Result<Output, GitError> {
    let fault = match output.status.success() {
        true => None,
        false => ended_by(output.status).or_else(|| named_by_git(&message_of(&output))),
    };
    match fault {
        Some(fault) => Err(error(args, &output, Some(fault))),
        None => Ok(output),
    }
}

fn error<S: AsRef<OsStr>>(args: &[S], output: &Output, fault: Option<io::Error>) -> GitError {
    // Its own options come before the command, and one of them has a value.
    let mut args = args.iter().map(|arg| arg.as_ref().to_string_lossy());
    let mut command = args.next().unwrap_or_default();
    while command.starts_with('-') {
        if command == "-c" {
            args.next();
        }
        command = args.next().unwrap_or_default();
    }
    let message = match (message_of(output), output.status.signal()) {
        (message, Some(signal)) if message.is_empty() => {
            format!("it was ended by signal {signal}")
        }
        (message, _) => message,
    };
    GitError::Failed {
        command: command.into_owned(),
        message,
        fault,
    }
}

/// The fault behind a signal from outside. A git that crashes may do so because of what it was asked.
fn ended_by(status: ExitStatus) -> Option<io::Error> {
    let errno = match Signal::from_named_raw(status.signal()?)? {
        // As a system that runs out of memory does.
        Signal::KILL => Errno::NOMEM,
        Signal::XFSZ => Errno::FBIG,
        // What it had mapped can't be read any more.
        Signal::BUS => Errno::IO,
        Signal::HUP | Signal::INT | Signal::TERM | Signal::XCPU => Errno::INTR,
        _ => return None,
    };
    Some(errno.into())
}

/// The fault that git names at the end of one of its own lines. Lines of hooks and filters are not git's.
fn named_by_git(message: &str) -> Option<io::Error> {
    let is_own = |line: &&str| {
        ["error: ", "fatal: "]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    let own = message.lines().filter(is_own);
    own.filter_map(|line| {
        named_in(line).or_else(|| lacks_memory(line).then(|| Errno::NOMEM.into()))
    })
    .next()
}

/// Whether git says in its own words that it has no memory. It says so too of damaged data by which it would need more than any machine gives.
fn lacks_memory(line: &str) -> bool {
    const WORDS: [&str; 2] = [": Out of memory, ", "inflate: out of memory"];
    const BYTES_MAX: u64 = 16 << 30;
    let wanted = line.split_once("(tried to allocate ");
    let bytes = wanted.and_then(|(_, rest)| rest.split_once(' ')?.0.parse().ok());
    WORDS.iter().any(|words| line.contains(words))
        && bytes.is_none_or(|bytes: u64| bytes <= BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::machine_fault::is_fault;
    use std::process::Command;

    /// What a git that ends like `script` says.
    fn says(script: &str) -> Result<String, GitError> {
        let output = Command::new("sh").args(["-c", script]).output();
        let output = output.expect("started");
        check_machine(&["apply"], output).map(|output| message_of(&output))
    }

    #[test]
    fn a_git_that_the_machine_ends_says_nothing_about_what_it_was_asked() {
        for script in [
            "kill -KILL $$",
            "kill -TERM $$",
            "echo 'error: unable to write file a: No space left on device' >&2; exit 1",
            "echo 'fatal: Out of memory, malloc failed (tried to allocate 9 bytes)' >&2; exit 128",
        ] {
            let error = says(script).expect_err(script);
            assert!(is_fault(&error), "{script}: {error}");
        }
        let killed = says("kill -KILL $$").expect_err("killed");
        assert_eq!(
            killed.to_string(),
            "`git apply` failed: it was ended by signal 9"
        );
    }

    #[test]
    fn a_refusal_is_no_fault() {
        for script in [
            "echo 'error: patch failed: a:1' >&2; exit 1",
            // A hook, and a crash for which the patch may be to blame.
            "echo 'lint: No space left on device' >&2; exit 1",
            "kill -SEGV $$",
            // A damaged index.
            "echo 'fatal: Out of memory, malloc failed (tried to allocate 171798691876 bytes)' >&2; exit 128",
            "echo 'warning: out of memory' >&2",
        ] {
            assert!(says(script).is_ok(), "{script}");
        }
    }
}
