//! Reading earlier versions of a file.

use super::{GitError, Repo, failed, path_of};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What a commit has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEntry {
    /// Relative to the root.
    pub path: PathBuf,
    /// In octal digits, such as `100644`.
    pub mode: String,
    /// The object.
    pub id: String,
    /// Its size; `None` for a submodule or a folder.
    pub bytes: Option<u64>,
}

impl Repo {
    /// The commits that changed `path`, newest first: of what is checked out, and of what is being merged into it.
    pub fn commits_of(&self, path: &Path, most: usize) -> Result<Vec<String>, GitError> {
        let most = format!("--max-count={most}");
        let path = format!(":(top,literal){}", path.display());
        let mut args = vec!["log", "--full-history", "--format=%H", &most, "HEAD"];
        let is_merging = self.output(&["rev-parse", "--verify", "--quiet", "MERGE_HEAD"])?;
        if is_merging.status.success() {
            args.push("MERGE_HEAD");
        }
        args.extend(["--", &path]);
        let listed = self.read(&args)?;
        let lines = String::from_utf8_lossy(&listed);
        Ok(lines.lines().map(str::to_owned).collect())
    }

    /// The content of `path` in a commit; `None` where the commit does not have the file.
    pub fn file_at(&self, commit: &str, path: &Path) -> Result<Option<Vec<u8>>, GitError> {
        let object = format!("{commit}:{}", path.display());
        let output = self.output(&["cat-file", "blob", &object])?;
        match output.status.code() {
            Some(0) => Ok(Some(output.stdout)),
            // Its exit code is the same for a content that can't be read.
            Some(_) if self.entries_at(commit, &[path])?.is_empty() => Ok(None),
            _ => Err(failed(&["cat-file"], &output)),
        }
    }

    /// What a commit has at `paths`, without those that it does not have.
    pub fn entries_at(&self, commit: &str, paths: &[&Path]) -> Result<Vec<PastEntry>, GitError> {
        let args = ["--literal-pathspecs", "ls-tree", "-z", "-l", "--full-tree"];
        let mut args: Vec<&OsStr> = args.into_iter().map(OsStr::new).collect();
        args.extend([OsStr::new(commit), OsStr::new("--")]);
        args.extend(paths.iter().map(|path| path.as_os_str()));
        let listed = self.read(&args)?;
        Ok(listed.split(|byte| *byte == 0).filter_map(entry).collect())
    }

    /// The paths that differ between two commits.
    pub fn paths_between(&self, one: &str, two: &str) -> Result<Vec<PathBuf>, GitError> {
        let args = ["diff-tree", "-r", "-z", "--name-only", "--no-renames"];
        let listed = self.read(&[&args[..], &[one, two]].concat())?;
        let paths = listed.split(|byte| *byte == 0);
        Ok(paths.filter(|path| !path.is_empty()).map(path_of).collect())
    }

    /// The commit that all `commits` have in common; `None` when their histories have none.
    pub fn merge_base(&self, commits: &[String]) -> Result<Option<String>, GitError> {
        let mut args = vec!["merge-base", "--octopus"];
        args.extend(commits.iter().map(String::as_str));
        self.read_if_any(&args)
    }
}

/// `mode type id size TAB path`
fn entry(record: &[u8]) -> Option<PastEntry> {
    let at = record.iter().position(|byte| *byte == b'\t')?;
    let mut words = std::str::from_utf8(&record[..at]).ok()?.split_whitespace();
    let (mode, _, id, bytes) = (words.next()?, words.next()?, words.next()?, words.next()?);
    Some(PastEntry {
        path: path_of(&record[at + 1..]),
        mode: mode.to_owned(),
        id: id.to_owned(),
        bytes: bytes.parse().ok(),
    })
}
