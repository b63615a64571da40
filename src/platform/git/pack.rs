//! Packs objects of a git folder that borrows them.

use super::{Call, GitError, Repo};
use std::ffi::OsStr;
use std::path::Path;

impl Repo {
    /// Writes a pack with everything that the HEAD and the index of `git_dir` reach into `git_dir`, the git folder of a copy of the
    /// work tree at `root`. Without a commit (`is_born`), only the index counts.
    pub fn pack_reachable(root: &Path, git_dir: &Path, is_born: bool) -> Result<(), GitError> {
        let pack = git_dir.join("objects/pack/pack");
        let mut args = ["--git-dir".as_ref(), git_dir.as_os_str()].to_vec();
        args.extend(["pack-objects", "--quiet", "--revs", "--indexed-objects"].map(OsStr::new));
        args.push(pack.as_os_str());
        let input = match is_born {
            true => "HEAD\n",
            false => "\n",
        };
        let call = Call {
            input: Some(input.as_bytes().to_vec()),
            ..Call::default()
        };
        Self::at(root).read_with(&args, call).map(drop)
    }
}
