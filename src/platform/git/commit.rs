//! Commits exactly the paths of one patch, and nothing else that is in the work tree or the index.
//!
//! `git commit` makes the commit, so that author, signing and hooks are those of the repository, but from a temporary index:
//! the commit that is checked out, with the paths of the patch as they are in the tree. Afterwards only those paths are
//! updated in the real index.

use super::failure::message_of;
use super::{Call, GitError, Hooks, Repo, failed, path_of};
use crate::platform::look;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// What to commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitOrder<'c> {
    /// Paths from the root; they may be gone from the tree.
    pub paths: &'c BTreeSet<String>,
    /// The message with its trailers.
    pub message: &'c str,
    /// The path of the temporary index.
    pub index: &'c Path,
    /// Whether to run the hooks that can refuse a commit.
    pub verify: bool,
}

impl Repo {
    /// Commits. Returns the new commit, or the message with which git or a hook refused. Does not change the real index.
    pub fn commit(&self, order: &CommitOrder<'_>) -> Result<Result<String, String>, GitError> {
        let run = |args: &[&str], input: Option<Vec<u8>>, hooks: Hooks| {
            let call = Call {
                index: Some(order.index),
                input,
                // Nobody sits there to write a message.
                variables: &[("GIT_EDITOR", "true")],
                hooks,
                writes: true,
            };
            self.call(args, call)
        };
        let done = |args: &[&str], input: Option<Vec<u8>>| {
            let output = run(args, input, Hooks::None)?;
            match output.status.success() {
                true => Ok(()),
                false => Err(failed(args, &output)),
            }
        };
        // Begun as a copy of the real one, which knows which files are unchanged: else git would read them all.
        let real = self.absolute(&["rev-parse", "--git-path", "index"])?;
        copy_with_time(&real, order.index).map_err(GitError::Run)?;
        done(&["read-tree", "--reset", "HEAD"], None)?;
        let args = [
            "update-index",
            "--add",
            "--remove",
            "--replace",
            "-z",
            "--stdin",
        ];
        let list = nul_separated(order.paths.iter().map(String::as_str));
        done(&args, Some(list))?;
        let mut args = vec!["commit", "--quiet", "--cleanup=whitespace", "--file=-"];
        args.extend((!order.verify).then_some("--no-verify"));
        let hooks = match order.verify {
            true => Hooks::Users,
            false => Hooks::None,
        };
        let message = order.message.as_bytes().to_vec();
        let output = run(&args, Some(message), hooks)?;
        if !output.status.success() {
            let said = format!(
                "{}\n{}",
                message_of(&output),
                String::from_utf8_lossy(&output.stdout)
            );
            return Ok(Err(said.trim().to_owned()));
        }
        self.head().map(Ok)
    }

    /// The paths that differ between two commits.
    pub fn differing_paths(&self, from: &str, to: &str) -> Result<BTreeSet<String>, GitError> {
        let listed = self.read(&[
            "diff-tree",
            "-r",
            "-z",
            "--name-only",
            "--no-renames",
            from,
            to,
        ])?;
        let listed = String::from_utf8_lossy(&listed);
        let paths = listed.split('\0').filter(|path| !path.is_empty());
        Ok(paths.map(str::to_owned).collect())
    }

    /// Updates the paths of `commit` in the real index, and returns them.
    pub fn settle_index(&self, commit: &str) -> Result<BTreeSet<String>, GitError> {
        let paths = self.differing_paths(&format!("{commit}^"), commit)?;
        let args = [
            "--literal-pathspecs",
            "reset",
            "--quiet",
            "--pathspec-from-file=-",
            "--pathspec-file-nul",
        ];
        let list = nul_separated(paths.iter().map(String::as_str));
        let call = Call {
            input: Some(list),
            writes: true,
            ..Call::default()
        };
        let output = self.call(&args, call)?;
        match output.status.success() {
            true => Ok(paths),
            false => Err(failed(&["reset"], &output)),
        }
    }

    /// Makes the index, and then the detached `HEAD`, those of `commit`. The files stay as they are. Killed in between, `HEAD` is still at the
    /// commit before, and the same call completes it.
    pub fn reset_to(&self, commit: &str) -> Result<(), GitError> {
        for step in [
            &["read-tree", commit][..],
            &["update-ref", "--no-deref", "HEAD", commit],
        ] {
            self.read_with(step, Call::writing())?;
        }
        Ok(())
    }

    /// Those of `paths` at which the tree or the index differs from the commit that is checked out: changed, staged or
    /// untracked, also if ignored.
    pub fn uncommitted(&self, paths: &BTreeSet<String>) -> Result<BTreeSet<String>, GitError> {
        let mut found: BTreeSet<String> = self
            .changes()?
            .into_iter()
            .map(|change| change.path.to_string_lossy().into_owned())
            .filter(|path| paths.contains(path))
            .collect();
        let tracked = self.read(&["ls-files", "-z", "--cached"])?;
        let tracked: BTreeSet<PathBuf> = tracked.split(|byte| *byte == 0).map(path_of).collect();
        for path in paths {
            let full = self.root.join(path);
            // Those that git ignores.
            if !tracked.contains(Path::new(path))
                && look::is_taken(&full).map_err(GitError::unreadable(&full))?
            {
                found.insert(path.clone());
            }
        }
        Ok(found)
    }

    /// The commit after `base`, up to `tip`, that has all of `trailers`.
    pub fn commit_with(
        &self,
        base: &str,
        tip: &str,
        trailers: &[(&str, &str)],
    ) -> Result<Option<String>, GitError> {
        let mut format = "--format=%H".to_owned();
        for (key, _) in trailers {
            format.push_str(&format!(
                "%x00%(trailers:key={key},valueonly,separator=%x0a)"
            ));
        }
        let range = format!("{base}..{tip}");
        let listed = self.read(&["log", "-z", &format, &range])?;
        let listed = String::from_utf8_lossy(&listed);
        let fields: Vec<&str> = listed.split('\0').collect();
        let mut commits = fields.chunks_exact(trailers.len() + 1);
        let is_it = |commit: &&[&str]| {
            let values = commit[1..].iter().zip(trailers);
            values
                .into_iter()
                .all(|(found, (_, wanted))| found.trim() == *wanted)
        };
        Ok(commits
            .find(is_it)
            .map(|commit| commit[0].trim().to_owned()))
    }

    /// Fetches the commit that is checked out in `other` into `branch`, which is created or fast-forwarded. Returns git's
    /// message if it refuses.
    pub fn take_branch(&self, other: &Repo, branch: &str) -> Result<Result<(), String>, GitError> {
        let refspec = format!("HEAD:refs/heads/{branch}");
        let options = [
            "-c",
            "maintenance.auto=false",
            "-c",
            "gc.auto=0",
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
        ];
        let mut args: Vec<&OsStr> = options.map(OsStr::new).into();
        args.extend([other.root.as_os_str(), OsStr::new(&refspec)]);
        let output = self.call(&args, Call::writing())?;
        Ok(match output.status.success() {
            true => Ok(()),
            false => Err(message_of(&output)),
        })
    }

    /// The author of a commit; `Err` is git's message if it has none.
    pub fn author(&self) -> Result<Result<String, String>, GitError> {
        let output = self.output(&["var", "GIT_AUTHOR_IDENT"])?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(match output.status.success() {
            true => Ok(said(&output.stdout)),
            false => Err(said(&output.stderr)),
        })
    }

    /// A merge, cherry-pick, revert or rebase in progress, to which the next commit would belong.
    pub fn under_way(&self) -> Result<Option<&'static str>, GitError> {
        for (file, what) in [
            ("MERGE_HEAD", "merge"),
            ("CHERRY_PICK_HEAD", "cherry-pick"),
            ("REVERT_HEAD", "revert"),
            ("rebase-merge", "rebase"),
            ("rebase-apply", "rebase"),
        ] {
            let path = self.absolute(&["rev-parse", "--git-path", file])?;
            if look::is_taken(&path).map_err(GitError::unreadable(&path))? {
                return Ok(Some(what));
            }
        }
        Ok(None)
    }
}

/// With the time of writing: a file that is younger than its index is compared by content, and a patch may have changed
/// one within the second in which the index was written.
fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    let written = std::fs::metadata(from)?.modified()?;
    std::fs::copy(from, to)?;
    File::options().write(true).open(to)?.set_modified(written)
}

fn nul_separated<'p>(paths: impl Iterator<Item = &'p str>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(path.as_bytes());
        list.push(0);
    }
    list
}
