//! HEAD, branches and other refs, read from the files of the git folder. Whatever is not in the plain format of files, such as
//! a reftable, a `.git` that is a file, or a broken ref, is left to git.

use super::{GitError, Repo, path_of};
use crate::platform::look;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How many symbolic refs lead to one object at most.
const LINKS_MAX: usize = 5;

/// What a ref says.
enum Target {
    /// The object.
    Id(String),
    /// The name of another ref.
    Ref(String),
}

impl Repo {
    /// The folder of this work tree's own index and HEAD.
    pub fn git_dir(&self) -> Result<PathBuf, GitError> {
        match self.plain_git_dir() {
            Some(folder) => Ok(folder),
            None => Ok(self.ask_folders()?.0.clone()),
        }
    }

    /// Whether git finds no repository here.
    ///
    /// # Errors
    /// Git can't tell.
    pub fn is_gone(&self) -> Result<bool, GitError> {
        match Self::find(self.root()) {
            Ok(_) => Ok(false),
            Err(GitError::NoRepository { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The folder that all work trees of the repository share.
    pub fn common_dir(&self) -> Result<PathBuf, GitError> {
        match self.plain_git_dir() {
            Some(folder) => Ok(folder),
            None => Ok(self.ask_folders()?.1.clone()),
        }
    }

    /// The commit that is checked out; `unborn` before the first one.
    pub fn head(&self) -> Result<String, GitError> {
        if let Some(id) = self.plain_head() {
            return Ok(id);
        }
        match self.read_if_any(&["rev-parse", "--verify", "--quiet", "HEAD"])? {
            Some(id) => Ok(id),
            None => {
                // From its file, since git resolves no name that leads to a broken ref.
                if let Some(Target::Ref(name)) = read_ref(&self.git_dir()?.join("HEAD")) {
                    self.check_is_missing(&name)?;
                }
                Ok("unborn".to_owned())
            }
        }
    }

    /// The commit that `branch` points to, if there is one.
    pub fn tip_of(&self, branch: &str) -> Result<Option<String>, GitError> {
        let name = format!("refs/heads/{branch}");
        let tip = self.read_if_any(&["rev-parse", "--verify", "--quiet", &name])?;
        if tip.is_none() {
            self.check_is_missing(&name)?;
        }
        Ok(tip)
    }

    /// Git also says that a ref does not exist where it can't read its file.
    fn check_is_missing(&self, name: &str) -> Result<(), GitError> {
        let path = self.absolute(&["rev-parse", "--git-path", name])?;
        let unreadable = GitError::unreadable(&path);
        match look::entry(&path) {
            Ok(None) => Ok(()),
            // Other refs have it as the first part of their names.
            Ok(Some(found)) if found.is_dir() => Ok(()),
            Ok(Some(_)) => Err(unreadable(match fs::read(&path) {
                Ok(_) => io::Error::new(io::ErrorKind::InvalidData, "git finds no commit in it"),
                Err(error) => error,
            })),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// The branch that is checked out, also before its first commit; `None` if `HEAD` is detached.
    pub fn branch(&self) -> Result<Option<String>, GitError> {
        let head = self
            .plain_git_dir()
            .and_then(|folder| read_ref(&folder.join("HEAD")));
        match head {
            Some(Target::Id(_)) => Ok(None),
            Some(Target::Ref(name)) if is_branch(&name) => {
                Ok(name.strip_prefix("refs/heads/").map(str::to_owned))
            }
            _ => self.read_if_any(&["symbolic-ref", "--quiet", "--short", "HEAD"]),
        }
    }

    /// Branches, tags, the stash and everything else that has a name, with the objects that they point to.
    pub fn refs(&self) -> Result<BTreeMap<String, String>, GitError> {
        if let Some(refs) = self.plain_refs() {
            return Ok(refs);
        }
        let listed = self.read(&["for-each-ref", "--format=%(objectname) %(refname)"])?;
        let listed = String::from_utf8_lossy(&listed);
        let parts = listed.lines().filter_map(|line| line.split_once(' '));
        Ok(parts
            .map(|(id, name)| (name.to_owned(), id.to_owned()))
            .collect())
    }

    /// The folder `.git` of a work tree that shares it with no other.
    fn plain_git_dir(&self) -> Option<PathBuf> {
        let folder = self.root().join(".git");
        let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        let is_plain = is_folder(&folder)
            && is_folder(&folder.join("objects"))
            && is_folder(&folder.join("refs"))
            && fs::symlink_metadata(folder.join("HEAD")).is_ok_and(|found| found.is_file())
            && matches!(look::is_taken(&folder.join("commondir")), Ok(false));
        is_plain.then_some(folder)
    }

    /// Both folders of a work tree, from git.
    fn ask_folders(&self) -> Result<&(PathBuf, PathBuf), GitError> {
        if let Some(known) = self.memory.folders.get() {
            return Ok(known);
        }
        let args = ["rev-parse", "--absolute-git-dir", "--git-common-dir"];
        let listed = self.read(&args)?;
        let mut lines = listed.split(|byte| *byte == b'\n').map(path_of);
        let (own, common) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let folders = (self.root().join(own), self.root().join(common));
        Ok(self.memory.folders.get_or_init(|| folders))
    }

    fn plain_head(&self) -> Option<String> {
        let folder = self.plain_git_dir()?;
        match read_ref(&folder.join("HEAD"))? {
            Target::Id(id) => Some(id),
            Target::Ref(name) if is_branch(&name) => match read_ref(&folder.join(&name)) {
                Some(Target::Id(id)) => Some(id),
                Some(Target::Ref(_)) => None,
                None if look::is_taken(&folder.join(&name)).ok()? => None,
                None => packed_refs(&folder)?.remove(&name),
            },
            Target::Ref(_) => None,
        }
    }

    fn plain_refs(&self) -> Option<BTreeMap<String, String>> {
        let folder = self.plain_git_dir()?;
        // With a reftable it is a file, and HEAD names a branch that can't exist.
        if !look::is_folder(&folder.join("refs/heads")).ok()? {
            return None;
        }
        let mut refs = packed_refs(&folder)?;
        let mut links = Vec::new();
        read_loose(&folder, Path::new("refs"), &mut refs, &mut links)?;
        for (name, mut target) in links {
            for _ in 0..LINKS_MAX {
                match read_ref(&folder.join(&target)) {
                    Some(Target::Ref(next)) => target = next,
                    _ => break,
                }
            }
            // Git does not list a symbolic ref that leads nowhere.
            if let Some(id) = refs.get(&target).cloned() {
                refs.insert(name, id);
            }
        }
        Some(refs)
    }
}

/// Whether `name` is a branch that can exist.
fn is_branch(name: &str) -> bool {
    name.strip_prefix("refs/heads/").is_some_and(|short| {
        !short.is_empty()
            && !short
                .split('/')
                .any(|part| part.starts_with('.') || part.is_empty())
    })
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `None` if there is no file, or none in the plain format.
fn read_ref(path: &Path) -> Option<Target> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_end();
    match text.strip_prefix("ref:") {
        Some(name) => Some(Target::Ref(name.trim_start().to_owned())),
        None => is_id(text).then(|| Target::Id(text.to_owned())),
    }
}

/// The refs of the file `packed-refs`; none if there is no such file, `None` if it is not understood.
fn packed_refs(folder: &Path) -> Option<BTreeMap<String, String>> {
    let text = match fs::read_to_string(folder.join("packed-refs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(BTreeMap::new()),
        other => other.ok()?,
    };
    let lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
    let parsed = lines.map(|line| {
        let (id, name) = line.split_once(' ')?;
        is_id(id).then(|| (name.to_owned(), id.to_owned()))
    });
    parsed.collect()
}

/// Adds the refs below `folder`; symbolic ones to `links`.
fn read_loose(
    git: &Path,
    folder: &Path,
    refs: &mut BTreeMap<String, String>,
    links: &mut Vec<(String, String)>,
) -> Option<()> {
    for entry in fs::read_dir(git.join(folder)).ok()? {
        let entry = entry.ok()?;
        let path = folder.join(entry.file_name());
        let name = path.to_str()?.to_owned();
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            read_loose(git, &path, refs, links)?;
        } else if name.ends_with(".lock") {
            continue;
        } else if !kind.is_file() {
            return None;
        } else {
            match read_ref(&entry.path())? {
                Target::Id(id) => drop(refs.insert(name, id)),
                Target::Ref(target) => links.push((name, target)),
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_that_can_not_be_read_is_not_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let time = "2026-01-01T00:00:00Z";
        let repo = Repo::create(folder.path(), "empty", time);
        // There is nothing to commit, and so no branch yet.
        assert!(repo.is_err());
        let repo = Repo::find(folder.path()).expect("a repository");
        assert_eq!(repo.head().expect("a look"), "unborn");
        let heads = folder.path().join(".git/refs/heads");
        fs::create_dir(heads.join("main")).expect("a folder of refs");
        assert_eq!(repo.head().expect("a look"), "unborn");
        fs::remove_dir(heads.join("main")).expect("removed");

        fs::write(folder.path().join("a"), "a").expect("written");
        let repo = Repo::create(folder.path(), "one", time).expect("a commit");
        let id = repo.head().expect("a look");
        assert_eq!(repo.tip_of("main").expect("a look"), Some(id));
        assert_eq!(repo.tip_of("none").expect("a look"), None);
        fs::write(heads.join("main"), "").expect("damaged");
        for looked in [repo.head().map(Some), repo.tip_of("main")] {
            let error = looked.expect_err("damaged");
            assert!(error.to_string().contains("refs/heads/main"), "{error}");
        }
    }
}
