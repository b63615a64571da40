//! Files beside the tree's own that a validation may damage: those by which git knows what is checked out, its settings
//! and hooks, the plan, the learnings.
//!
//! They are put back by their bytes, for git may not even start without them. Of branches only the one that is checked
//! out is put back; others, tags and the stash may have moved because somebody works on them in another work tree, so
//! they are named. A commit that a validation made stays in git's log of the branch.

use super::beneath::Beneath;
use super::put_back::{put_aside, put_back};
use super::state::{Moment, state_of};
use super::store::Store;
use crate::model::{BeforeState, path_text};
use crate::platform::{GitError, Repo};
use crate::{learnings, plan};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// One file that is watched.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Guarded {
    /// The folder that it is looked for beneath.
    #[serde(with = "path_text")]
    folder: PathBuf,
    /// Relative to it.
    #[serde(with = "path_text")]
    path: PathBuf,
    before: BeforeState,
    rule: Rule,
}

/// What it may have become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// Nothing else.
    Same,
    /// Anything in which git lists the same entries.
    Index,
    /// A lock of git that nobody holds any more.
    Lock,
    /// The same plan or a later state of it, in which every item under way still stands.
    Plan,
    /// Longer.
    Longer,
}

/// All of them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Guard {
    files: Vec<Guarded>,
    /// SHA-256 of what git listed.
    index: String,
    /// Branches, tags and the stash: the object that each of them points to.
    #[serde(default)]
    refs: BTreeMap<String, String>,
}

/// What was done about them.
#[derive(Debug, Default)]
pub(super) struct Mended {
    /// Put back.
    pub restored: Vec<PathBuf>,
    /// Not as before, and left so.
    pub kept: Vec<PathBuf>,
    /// `path: reason`.
    pub failures: Vec<String>,
}

const OF_THE_WORK_TREE: [&str; 6] = [
    "HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "config.worktree",
    "info/sparse-checkout",
];
const OF_THE_REPOSITORY: [&str; 3] = ["config", "info/exclude", "info/attributes"];

impl Guard {
    /// What stands there now, with copies in `store`. `index` is what git lists of it.
    pub fn take(
        repo: &Repo,
        plan_file: &Path,
        index: &[u8],
        store: &Store,
    ) -> Result<Result<Self, (PathBuf, io::Error)>, GitError> {
        let real = plan_file.canonicalize();
        let plan = real.as_deref().unwrap_or(plan_file);
        Self::take_with(repo, plan_file, plan, index, store)
    }

    fn take_with<'f>(
        repo: &'f Repo,
        plan_file: &'f Path,
        real_plan: &'f Path,
        index: &[u8],
        store: &Store,
    ) -> Result<Result<Self, (PathBuf, io::Error)>, GitError> {
        let (own, common) = (repo.git_dir()?, repo.common_dir()?);
        let mut wanted: Vec<(&Path, PathBuf, Rule)> = Vec::new();
        let mut add = |folder, path: &str, rule| wanted.push((folder, path.into(), rule));
        for path in OF_THE_WORK_TREE {
            add(own.as_path(), path, Rule::Same);
        }
        add(&own, "index", Rule::Index);
        for path in OF_THE_REPOSITORY {
            add(&common, path, Rule::Same);
        }
        for (folder, path) in [
            (&own, "index.lock"),
            (&own, "HEAD.lock"),
            (&common, "config.lock"),
            (&common, "packed-refs.lock"),
        ] {
            add(folder, path, Rule::Lock);
        }
        if let Some(branch) = repo.branch()? {
            add(&common, &format!("refs/heads/{branch}"), Rule::Same);
            add(&common, &format!("refs/heads/{branch}.lock"), Rule::Lock);
        }
        for name in hooks(&common) {
            wanted.push((&common, Path::new("hooks").join(name), Rule::Same));
        }
        if repo.root().join(".git").is_file() {
            wanted.push((repo.root(), ".git".into(), Rule::Same));
        }
        wanted.extend(stores(repo.root(), plan_file, real_plan));
        let refs = repo.refs()?;
        let files = take_all(wanted, store);
        Ok(files.map(|files| Self {
            files,
            index: super::store::sha256(index),
            refs,
        }))
    }

    /// Of the plan and the learnings alone, for commands that are run elsewhere: they may reach these all the same.
    pub fn of_stores(
        root: &Path,
        plan_file: &Path,
        store: &Store,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let real = plan_file.canonicalize();
        let real = real.as_deref().unwrap_or(plan_file);
        Ok(Self {
            files: take_all(stores(root, plan_file, real), store)?,
            ..Self::default()
        })
    }

    /// The copies that it needs.
    pub fn copies(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| match &file.before {
            BeforeState::File { sha256, .. } => Some(sha256.as_str()),
            _ => None,
        })
    }

    /// Puts back what was damaged. What stood there instead is kept in `aside`.
    pub fn mend(&self, repo: &Repo, store: &Store, aside: &Path, moment: Moment) -> Mended {
        let mut mended = Mended::default();
        for file in &self.files {
            self.mend_one(file, repo, store, aside, moment, &mut mended);
        }
        mended.restored.extend(match moment {
            Moment::Validated => self.remove_new_hooks(aside, &mut mended.failures),
            Moment::Killed => Vec::new(),
        });
        mended.kept.extend(self.changed_refs(repo));
        mended
    }

    /// Only the plan and the learnings, after a validation that passed.
    pub fn mend_stores(&self, repo: &Repo, store: &Store, aside: &Path) -> Mended {
        let mut mended = Mended::default();
        for file in &self.files {
            if matches!(file.rule, Rule::Plan | Rule::Longer) {
                self.mend_one(file, repo, store, aside, Moment::Validated, &mut mended);
            }
        }
        mended
    }

    /// Names of what is not as before. The index is not one of them: git rewrites it at any time.
    pub fn differing(&self, repo: &Repo) -> Vec<PathBuf> {
        let differs = |file: &&Guarded| file.rule == Rule::Same && !file.is_as_before();
        let known = self.files.iter().filter(differs).map(Guarded::name);
        known
            .chain(self.new_hooks().map(|(_, name)| name))
            .chain(self.changed_refs(repo))
            .collect()
    }

    /// Branches, tags and the stash that were made, moved or removed; but for the branch that is checked out, which is one
    /// of the files. They are named and stay: somebody may work with them in another work tree.
    fn changed_refs(&self, repo: &Repo) -> Vec<PathBuf> {
        let Ok(now) = repo.refs() else {
            return Vec::new();
        };
        let watched: BTreeSet<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
        let names: BTreeSet<&String> = self.refs.keys().chain(now.keys()).collect();
        let is_changed = |name: &&String| {
            self.refs.get(*name) != now.get(*name) && !watched.contains(Path::new(name))
        };
        let changed = names.into_iter().filter(is_changed);
        changed.map(|name| Path::new(".git").join(name)).collect()
    }

    fn mend_one(
        &self,
        file: &Guarded,
        repo: &Repo,
        store: &Store,
        aside: &Path,
        moment: Moment,
        mended: &mut Mended,
    ) {
        if file.is_as_before() || (file.rule == Rule::Index && self.lists_the_same(repo)) {
            return;
        }
        let is_lost = match file.rule {
            // A lock that stood before is somebody's.
            Rule::Lock if file.before != BeforeState::Absent => return,
            Rule::Lock => true,
            Rule::Plan => !file.is_sound_plan(store),
            Rule::Longer => !file.is_longer(store),
            // Since a kill, a person may have changed it; what is gone can't be such a change.
            Rule::Same | Rule::Index => moment == Moment::Validated || file.is_gone(),
        };
        if !is_lost {
            if file.rule == Rule::Same {
                mended.kept.push(file.name());
            }
            return;
        }
        match file.put_back(store, aside) {
            Ok(true) => mended.restored.push(file.name()),
            // Nothing gave way: it was gone.
            Ok(false) => {}
            Err(error) => mended
                .failures
                .push(format!("{}: {error}", file.name().display())),
        }
    }

    fn lists_the_same(&self, repo: &Repo) -> bool {
        repo.index()
            .is_ok_and(|index| super::store::sha256(&index) == self.index)
    }

    fn new_hooks(&self) -> impl Iterator<Item = (&Path, PathBuf)> {
        let config = self
            .files
            .iter()
            .find(|file| file.path == Path::new("config"));
        let common = config.map(|file| file.folder.as_path());
        let known: BTreeSet<PathBuf> = self.files.iter().map(Guarded::name).collect();
        let all = common.into_iter().flat_map(|common| {
            let hooks = hooks(common).into_iter();
            hooks.map(move |name| (common, common.join("hooks").join(name)))
        });
        all.filter(move |(_, name)| !known.contains(name))
    }

    fn remove_new_hooks(&self, aside: &Path, failures: &mut Vec<String>) -> Vec<PathBuf> {
        let mut removed = Vec::new();
        for (common, name) in self.new_hooks() {
            let path = name.strip_prefix(common).unwrap_or(&name);
            let moved = Beneath::open(common)
                .and_then(|folder| put_aside(&folder, path, &aside.join("git-folder")));
            match moved {
                Ok(_) => removed.push(name),
                Err(error) => failures.push(format!("{}: {error}", name.display())),
            }
        }
        removed
    }
}

impl Guarded {
    /// Nothing for what is neither file nor link, such as a plan that is a folder.
    fn take(
        folder: &Path,
        path: PathBuf,
        rule: Rule,
        store: &Store,
    ) -> Result<Option<Self>, (PathBuf, io::Error)> {
        let take = || {
            let beneath = Beneath::open(folder)?;
            let before = match (state_of(&beneath, &path)?, rule) {
                (Some(before), _) => before,
                (None, _) => return Ok(None),
            };
            if let BeforeState::File { .. } = before {
                store.put(&beneath.read(&path)?)?;
            }
            Ok(Some(before))
        };
        let before = take().map_err(|error| (folder.join(&path), error))?;
        Ok(before.map(|before| Self {
            folder: folder.to_owned(),
            path,
            before,
            rule,
        }))
    }

    fn name(&self) -> PathBuf {
        self.folder.join(&self.path)
    }

    fn now(&self) -> io::Result<Option<BeforeState>> {
        state_of(&Beneath::open(&self.folder)?, &self.path)
    }

    fn is_as_before(&self) -> bool {
        let now = self.now().unwrap_or(Some(BeforeState::Absent));
        now.as_ref() == Some(&self.before)
    }

    fn is_gone(&self) -> bool {
        let now = self.now().unwrap_or(Some(BeforeState::Absent));
        now == Some(BeforeState::Absent)
    }

    fn is_sound_plan(&self, store: &Store) -> bool {
        let BeforeState::File { sha256, .. } = &self.before else {
            return true;
        };
        // Nothing is read through a link, or from a pipe, that stands there now.
        if !matches!(self.now(), Ok(Some(BeforeState::File { .. }))) {
            return false;
        }
        // A plan that could not be read before can't be told from a damaged one.
        let Ok((before, known)) = plan::Store::at(store.file(sha256)).read_numbered() else {
            return true;
        };
        let now = plan::Store::at(self.name()).read_numbered();
        // Every change of a plan raises its sequence number, so a lower one is an older state, such as a checkout
        // brings: it would take back what the run and others have written since.
        now.is_ok_and(|(now, number)| {
            let under_way = |item: &&plan::Item| item.status() == plan::Status::InProgress;
            let mut items = before.items().iter().filter(under_way);
            number >= known && items.all(|item| now.get(item.id()).is_some())
        })
    }

    fn is_longer(&self, store: &Store) -> bool {
        let BeforeState::File { sha256, .. } = &self.before else {
            return true;
        };
        let now = Beneath::open(&self.folder).and_then(|folder| folder.read(&self.path));
        let before = store.get(sha256);
        before.is_ok_and(|before| now.is_ok_and(|now| now.starts_with(&before)))
    }

    fn put_back(&self, store: &Store, aside: &Path) -> io::Result<bool> {
        if self.before != BeforeState::Absent {
            std::fs::create_dir_all(&self.folder)?;
        }
        let folder = Beneath::open(&self.folder)?;
        let aside = aside.join("git-folder");
        put_back(&folder, &self.path, &self.before, store, &aside)
    }
}

/// The plan and the learnings, as `(folder, path, rule)`.
fn stores<'f>(
    root: &'f Path,
    plan_file: &'f Path,
    real_plan: &'f Path,
) -> Vec<(&'f Path, PathBuf, Rule)> {
    let place = |file: &'f Path| match file.strip_prefix(root) {
        Ok(path) => (root, path.to_owned()),
        Err(_) => {
            let name = file.file_name().unwrap_or_default();
            (crate::platform::parent(file), name.into())
        }
    };
    let mut stores = vec![(root, learnings::FILE_NAME.into(), Rule::Longer)];
    if plan_file.is_symlink() {
        let (folder, path) = place(plan_file);
        stores.push((folder, path, Rule::Same));
    }
    let (folder, path) = place(real_plan);
    stores.push((folder, path, Rule::Plan));
    stores
}

fn take_all(
    wanted: Vec<(&Path, PathBuf, Rule)>,
    store: &Store,
) -> Result<Vec<Guarded>, (PathBuf, io::Error)> {
    let files = wanted
        .into_iter()
        .map(|(folder, path, rule)| Guarded::take(folder, path, rule, store));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    Ok(files.into_iter().flatten().collect())
}

/// Names in the folder of hooks; a folder elsewhere behind a link is not ours to watch.
fn hooks(common: &Path) -> Vec<std::ffi::OsString> {
    let entries = Beneath::open(common)
        .and_then(|common| common.folder(Path::new("hooks")))
        .and_then(super::beneath::entries);
    let mut names: Vec<_> = entries
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, kind)| *kind == rustix::fs::FileType::RegularFile)
        .map(|(name, _)| name)
        .collect();
    names.sort();
    names
}
