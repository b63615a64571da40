//! The workspaces of a run: folders with a copy of the work tree, which workers start in.
//!
//! Where the kernel keeps workers from writing, the waves that begin on one state of the tree share a workspace. The next
//! state gets a workspace whose last wave has ended, with only the changed paths brought; while all are in use, a new one
//! of hard links. Elsewhere each wave has a copy of its own, in which everything that a worker changed is undone before
//! the next wave.

use super::error::SnapshotError;
use super::file_copy::{FileStamp, remove_tree};
use super::git_view::{self, GitView};
use super::kept_copy::create_copy;
use super::shared_tree::{self, Copied};
use super::tree_state::TreeState;
use crate::platform::{FileClock, Repo, look, private};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// The workspaces of a run.
#[derive(Debug)]
pub struct Workspaces {
    folder: PathBuf,
    workspaces: Vec<Workspace>,
    /// The settings of every `.git`, once they are read.
    settings: Option<String>,
    /// Whether what an earlier process left is removed.
    is_swept: bool,
}

/// A wave's use of a workspace, which ends when this is dropped.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    _use: Arc<()>,
}

impl Lease {
    /// The folder that workers start in.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[derive(Debug)]
struct Workspace {
    path: PathBuf,
    /// Each lease has a clone.
    uses: Arc<()>,
    /// `None` for one that is not shared.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: TreeState,
    view: GitView,
    /// Files that may have changed between the look at the tree and the copying, or right after it.
    unsettled: Vec<Copied>,
}

/// What a workspace is to hold.
struct Wanted {
    state: TreeState,
    view: GitView,
}

impl Workspace {
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.uses) == 1
    }

    fn lease(&self) -> Lease {
        Lease {
            path: self.path.clone(),
            _use: Arc::clone(&self.uses),
        }
    }
}

impl Workspaces {
    /// Those in `folder`, which belong to one process at a time.
    pub fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            workspaces: Vec::new(),
            settings: None,
            is_swept: false,
        }
    }

    /// A workspace with the tree of `repo` for a worker that may write to it.
    pub fn lease_copy(&mut self, repo: &Repo) -> Result<Lease, SnapshotError> {
        let free = self.workspaces.iter().find(|one| one.is_free());
        let path = free.map_or_else(|| self.free_path(), |one| one.path.clone());
        create_copy(repo, &path)?;
        self.workspaces.retain(|one| one.path != path);
        Ok(self.add(path, None))
    }

    /// A workspace with the tree of `repo`, which is in `state`, for a worker that can't write to it.
    pub fn lease_shared(&mut self, repo: &Repo, state: TreeState) -> Result<Lease, SnapshotError> {
        let leased = self.sweep().map_err(SnapshotError::copy(&self.folder));
        let leased = leased.and_then(|()| self.lease_at(repo, state));
        self.remove_free_but_one();
        leased.map_err(|error| error.in_folder(&self.folder))
    }

    /// One is enough for the next state of the tree.
    fn remove_free_but_one(&mut self) {
        let mut has_free = false;
        self.workspaces.retain(|one| {
            let is_free = one.is_free();
            let is_extra = is_free && has_free;
            has_free |= is_free;
            // What can't be removed now is removed with the run's temporary files.
            !(is_extra && remove_tree(&one.path).is_ok())
        });
    }

    fn lease_at(&mut self, repo: &Repo, state: TreeState) -> Result<Lease, SnapshotError> {
        // Somebody may have removed them. The number of one that can't be looked at must not be given to another one.
        let mut failed = None;
        self.workspaces.retain(|one| {
            look::is_folder(&one.path).unwrap_or_else(|error| {
                failed.get_or_insert(SnapshotError::copy(&one.path)(error));
                true
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if self.settings.is_none() {
            self.settings = Some(git_view::read_settings(repo)?);
        }
        let view = GitView::of(repo, self.settings.as_deref().unwrap_or_default())?;
        let nearest = self.nearest(repo, &state, &view)?;
        let wanted = Wanted { state, view };
        match nearest {
            Some((at, changed, true)) if changed.is_empty() => Ok(self.workspaces[at].lease()),
            Some((at, changed, _)) if self.workspaces[at].is_free() => {
                self.move_on(repo, at, &changed, wanted)
            }
            Some((at, changed, _)) => self.link(repo, at, &changed, wanted),
            None => self.copy(repo, wanted),
        }
    }

    /// The workspace to take: one in this state, else a free one, else any; with the paths that are to change, and whether
    /// its `.git` may stay.
    fn nearest(
        &mut self,
        repo: &Repo,
        state: &TreeState,
        view: &GitView,
    ) -> Result<Option<(usize, BTreeSet<PathBuf>, bool)>, SnapshotError> {
        let mut found = Vec::new();
        for (at, one) in self.workspaces.iter_mut().enumerate() {
            if let Some(shared) = &mut one.shared {
                let mut changed = shared.state.differences(state);
                changed.extend(shared.take_changed(repo.root(), &one.path, state.since_ns));
                found.push((at, changed, shared.view == *view));
            }
        }
        let rank = |(at, changed, has_view): &(usize, BTreeSet<PathBuf>, bool)| {
            let fits = changed.is_empty() && *has_view;
            (!fits && !self.workspaces[*at].is_free(), changed.len())
        };
        Ok(found.into_iter().min_by_key(rank))
    }

    fn move_on(
        &mut self,
        repo: &Repo,
        at: usize,
        changed: &BTreeSet<PathBuf>,
        wanted: Wanted,
    ) -> Result<Lease, SnapshotError> {
        let Workspace { path, shared, .. } = self.workspaces.swap_remove(at);
        let mut unsettled = shared.map_or(Vec::new(), |shared| shared.unsettled);
        unsettled.retain(|(path, _)| !changed.contains(path));
        let updated = shared_tree::update(repo.root(), &path, changed);
        match with_view(updated, &wanted.view, repo, &path) {
            Ok(copied) => Ok(self.add_shared(repo, path, wanted, unsettled, copied)),
            Err(error) => {
                self.discard(&path, error)?;
                self.copy(repo, wanted)
            }
        }
    }

    fn link(
        &mut self,
        repo: &Repo,
        at: usize,
        changed: &BTreeSet<PathBuf>,
        wanted: Wanted,
    ) -> Result<Lease, SnapshotError> {
        let (path, from) = (self.free_path(), &self.workspaces[at]);
        let shared = from.shared.as_ref();
        let mut unsettled = shared.map_or(Vec::new(), |shared| shared.unsettled.clone());
        unsettled.retain(|(path, _)| !changed.contains(path));
        let linked = shared_tree::link(&from.path, &path, Some(git_view::FOLDER))
            .map_err(SnapshotError::copy(&path));
        let updated = linked.and_then(|()| shared_tree::update(repo.root(), &path, changed));
        match with_view(updated, &wanted.view, repo, &path) {
            Ok(copied) => Ok(self.add_shared(repo, path, wanted, unsettled, copied)),
            // There are file systems without hard links.
            Err(error) => {
                self.discard(&path, error)?;
                self.copy(repo, wanted)
            }
        }
    }

    fn copy(&mut self, repo: &Repo, wanted: Wanted) -> Result<Lease, SnapshotError> {
        let path = self.free_path();
        private::make_folders(&path).map_err(SnapshotError::copy(&path))?;
        let files = repo.files()?;
        let filled = shared_tree::fill(repo.root(), &path, &files);
        match with_view(filled, &wanted.view, repo, &path) {
            Ok(copied) => Ok(self.add_shared(repo, path, wanted, Vec::new(), copied)),
            Err(error) => {
                let _ = remove_tree(&path);
                Err(error)
            }
        }
    }

    /// Removes a workspace that could not be finished. Fails with `error` if another attempt would fail as well.
    fn discard(&self, path: &Path, error: SnapshotError) -> Result<(), SnapshotError> {
        let removed = remove_tree(path);
        match error.in_folder(&self.folder) {
            full @ SnapshotError::DiskFull { .. } => Err(full),
            _ => removed.map_err(SnapshotError::copy(path)),
        }
    }

    fn add_shared(
        &mut self,
        repo: &Repo,
        path: PathBuf,
        wanted: Wanted,
        mut unsettled: Vec<Copied>,
        copied: Vec<Copied>,
    ) -> Lease {
        let Wanted { state, view } = wanted;
        let clock = FileClock::of(repo.root());
        let is_unsettled = |stamp: &FileStamp| !clock.is_settled(stamp.changed_ns, state.since_ns);
        unsettled.extend(copied.into_iter().filter(|(_, stamp)| is_unsettled(stamp)));
        let shared = Shared {
            state,
            view,
            unsettled,
        };
        self.add(path, Some(shared))
    }

    fn add(&mut self, path: PathBuf, shared: Option<Shared>) -> Lease {
        let workspace = Workspace {
            path,
            uses: Arc::default(),
            shared,
        };
        let lease = workspace.lease();
        self.workspaces.push(workspace);
        lease
    }

    fn free_path(&self) -> PathBuf {
        let paths = (1..).map(|number: usize| self.folder.join(number.to_string()));
        let mut free = paths.filter(|path| !self.workspaces.iter().any(|one| one.path == *path));
        free.next().unwrap_or_else(|| self.folder.clone())
    }

    /// Removes what an earlier process left: nothing tells whether it was finished.
    fn sweep(&mut self) -> io::Result<()> {
        if !self.is_swept {
            remove_tree(&self.folder)?;
            private::make_folders(&self.folder)?;
            self.is_swept = true;
        }
        Ok(())
    }
}

impl Shared {
    /// The unsettled files that differ from the tree. Those that can't have changed any more are settled.
    fn take_changed(&mut self, root: &Path, copy: &Path, since_ns: i128) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        let clock = FileClock::of(root);
        self.unsettled.retain(|(path, stamp)| {
            let now = FileStamp::of(&root.join(path)).ok().flatten();
            let is_same = now == Some(*stamp) && holds_same(&root.join(path), &copy.join(path));
            if !is_same {
                changed.push(path.clone());
            }
            !is_same || !clock.is_settled(stamp.changed_ns, since_ns)
        });
        changed
    }
}

/// Adds the `.git` to a workspace with these files.
fn with_view(
    copied: Result<Vec<Copied>, SnapshotError>,
    view: &GitView,
    repo: &Repo,
    path: &Path,
) -> Result<Vec<Copied>, SnapshotError> {
    let copied = copied?;
    view.write(repo, path)?;
    Ok(copied)
}

fn holds_same(one: &Path, two: &Path) -> bool {
    let read = |path: &Path| match fs::read_link(path) {
        Ok(target) => Ok(target.into_os_string().into_encoded_bytes()),
        Err(_) => fs::read(path),
    };
    matches!((read(one), read(two)), (Ok(one), Ok(two)) if one == two)
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint::Fingerprint;
    use super::*;
    use crate::platform::clock;

    #[test]
    fn one_free_workspace_is_kept() {
        let root = tempfile::tempdir().expect("a folder");
        let (tree, folder) = (root.path().join("tree"), root.path().join("snapshot"));
        fs::create_dir(&tree).expect("made");
        fs::write(tree.join("file"), "0").expect("written");
        let repo = Repo::create(&tree, "start", "2026-01-01T00:00:00Z").expect("a repository");
        let mut workspaces = Workspaces::in_folder(&folder);
        let mut lease = |content: &str| {
            fs::write(tree.join("file"), content).expect("written");
            let since_ns = clock::now().as_nanosecond();
            let changed = Fingerprint::take(&repo, &[]).expect("a fingerprint");
            let state = TreeState::of(&repo, changed, since_ns).expect("a state");
            workspaces.lease_shared(&repo, state).expect("a workspace")
        };
        let used = ["1", "22", "333"].map(&mut lease);
        let count = || fs::read_dir(&folder).expect("a folder").count();
        assert_eq!(count(), 3);
        drop(used);
        let last = lease("4444");
        assert_eq!(fs::read(last.path().join("file")).expect("read"), b"4444");
        assert_eq!(count(), 2, "the leased one and a free one");
    }
}
