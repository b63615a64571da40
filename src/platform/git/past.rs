//! Reading earlier versions of a file.

use super::{GitError, Repo, failed};
use std::path::Path;

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
            Some(_) => Ok(None),
            None => Err(failed(&["cat-file"], &output)),
        }
    }

    /// The commit that all `commits` have in common; `None` when their histories have none.
    pub fn merge_base(&self, commits: &[String]) -> Result<Option<String>, GitError> {
        let mut args = vec!["merge-base", "--octopus"];
        args.extend(commits.iter().map(String::as_str));
        self.read_if_any(&args)
    }
}
