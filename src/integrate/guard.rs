//! Files that a validation may damage although they are not in the tree: git's record of what is checked out, its settings
//! and hooks, the plan and the learnings.
//!
//! They are restored from copies, because git may not even start without them. The branch that is checked out is restored.
//! Other branches, tags and the stash are only reported, because the user may have moved them from another work tree. A
//! commit that a validation made stays in the reflog of the branch.

use super::content_store::ContentStore;
use super::error::IntegrateError;
use super::restore_path::{move_aside, restore_path};
use super::state::{KnownStates, RestoreCause, read_stamp};
use crate::model::{BeforeState, path_text};
use crate::platform::root_dir::RootDir;
use crate::platform::{GitError, Repo, look, machine_fault, sha256_of_bytes};
use crate::{learnings, plan};
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One guarded file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct GuardedFile {
    /// The folder that it is opened from.
    #[serde(with = "path_text")]
    folder: PathBuf,
    /// Relative to it.
    #[serde(with = "path_text")]
    path: PathBuf,
    before: BeforeState,
    rule: Rule,
    /// The permission bits of the folder below `folder` that holds it.
    #[serde(default)]
    parent_mode: Option<u32>,
}

/// Which changes of a guarded file are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Rule {
    /// None.
    Same,
    /// Those after which git lists the same entries.
    Index,
    /// Those after which it is there and git can read it.
    References,
    /// None; a lock file of git that is left over from a killed command.
    Lock,
    /// Those that leave a readable plan with the same or a higher sequence number, in which all items in progress still exist.
    Plan,
    /// Those that append.
    Longer,
}

/// All guarded files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Guard {
    files: Vec<GuardedFile>,
    /// SHA-256 of git's listing of the index.
    index: String,
    /// Branches, tags and the stash, with the object that each of them points to.
    #[serde(default)]
    refs: BTreeMap<String, String>,
    /// So that a file is read again only when it may have changed.
    #[serde(skip)]
    states: Arc<KnownStates>,
}

/// The result of a repair.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Files that were restored.
    pub restored: Vec<PathBuf>,
    /// Files and references that differ and were left as they are.
    pub kept: Vec<PathBuf>,
    /// `path: reason`.
    pub failures: Vec<String>,
}

const WORK_TREE_FILES: [&str; 6] = [
    "HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "config.worktree",
    "info/sparse-checkout",
];
const REPOSITORY_FILES: [&str; 3] = ["config", "info/exclude", "info/attributes"];

impl Guard {
    /// Takes the current state, with copies in `store`. `index` is git's listing of the index. `published` is a branch elsewhere, of which only
    /// the lock is guarded.
    pub fn take(
        (repo, published): (&Repo, Option<(&Repo, &str)>),
        plan_file: &Path,
        index: &[u8],
        store: &ContentStore,
        states: Arc<KnownStates>,
    ) -> Result<Result<Self, (PathBuf, io::Error)>, GitError> {
        let (own, common) = (repo.git_dir()?, repo.common_dir()?);
        let looked = || {
            let hooks = common.join("hooks");
            let git = repo.root().join(".git");
            Ok((
                PlanFiles::of(plan_file)?,
                list_hooks(&common).map_err(|error| (hooks, error))?,
                look::is_file(&git).map_err(|error| (git, error))?,
            ))
        };
        let (plan, hooks, has_git_file) = match looked() {
            Ok(looked) => looked,
            Err(failure) => return Ok(Err(failure)),
        };
        let mut wanted: Vec<(&Path, PathBuf, Rule)> = Vec::new();
        let mut add = |folder, path: &str, rule| wanted.push((folder, path.into(), rule));
        for path in WORK_TREE_FILES {
            add(own.as_path(), path, Rule::Same);
        }
        for path in REPOSITORY_FILES {
            add(&common, path, Rule::Same);
        }
        // Git can tell what is in these when the files before are sound.
        add(&common, "packed-refs", Rule::References);
        add(&own, "index", Rule::Index);
        for (folder, path) in [
            (&own, "index.lock"),
            (&own, "HEAD.lock"),
            (&own, "AUTO_MERGE.lock"),
            (&common, "config.lock"),
            (&common, "packed-refs.lock"),
        ] {
            add(folder, path, Rule::Lock);
        }
        if let Some(branch) = repo.branch()? {
            add(&common, &format!("refs/heads/{branch}"), Rule::Same);
            add(&common, &format!("refs/heads/{branch}.lock"), Rule::Lock);
        }
        let elsewhere = published.map(|(repo, branch)| Ok((repo.common_dir()?, branch)));
        let elsewhere = elsewhere.transpose()?;
        if let Some((folder, branch)) = &elsewhere {
            let lock = format!("refs/heads/{branch}.lock");
            wanted.push((folder, lock.into(), Rule::Lock));
        }
        for name in hooks {
            wanted.push((&common, Path::new("hooks").join(name), Rule::Same));
        }
        if has_git_file {
            wanted.push((repo.root(), ".git".into(), Rule::Same));
        }
        wanted.extend(store_files(repo.root(), &plan));
        let refs = repo.refs()?;
        let files = take_all(wanted, store, &states);
        Ok(files.map(|files| Self {
            files,
            index: sha256_of_bytes(index),
            refs,
            states,
        }))
    }

    /// Guards only the plan and the learnings, while commands run in a scratch tree.
    pub fn take_stores(
        root: &Path,
        plan_file: &Path,
        store: &ContentStore,
        states: Arc<KnownStates>,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let plan = PlanFiles::of(plan_file)?;
        Ok(Self {
            files: take_all(store_files(root, &plan), store, &states)?,
            states,
            ..Self::default()
        })
    }

    /// The contents that a repair needs.
    pub fn copy_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter_map(|file| match &file.before {
            BeforeState::File { sha256, .. } => Some(sha256.as_str()),
            _ => None,
        })
    }

    /// Restores damaged files. Their current contents are kept in `aside`.
    pub fn repair(
        &self,
        repo: &Repo,
        store: &ContentStore,
        aside: &Path,
        cause: RestoreCause,
    ) -> Repaired {
        let mut repaired = Repaired::default();
        for file in &self.files {
            self.repair_file(file, repo, store, aside, cause, &mut repaired);
        }
        repaired.restored.extend(match cause {
            RestoreCause::AfterValidation => self.remove_new_hooks(aside, &mut repaired.failures),
            RestoreCause::AfterKill => Vec::new(),
        });
        match self.changed_refs(repo) {
            Ok(changed) => repaired.kept.extend(changed),
            Err(error) => repaired.failures.push(machine_fault::line_of(&error)),
        }
        repaired
    }

    /// Repairs only the plan and the learnings, after a validation that passed.
    pub fn repair_stores(&self, repo: &Repo, store: &ContentStore, aside: &Path) -> Repaired {
        let is_store = |rule| matches!(rule, Rule::Plan | Rule::Longer);
        self.repair_some(is_store, repo, store, aside)
    }

    /// Removes only the locks of git that did not exist before.
    pub fn remove_new_locks(&self, repo: &Repo, store: &ContentStore, aside: &Path) -> Repaired {
        self.repair_some(|rule| rule == Rule::Lock, repo, store, aside)
    }

    fn repair_some(
        &self,
        is_meant: impl Fn(Rule) -> bool,
        repo: &Repo,
        store: &ContentStore,
        aside: &Path,
    ) -> Repaired {
        let mut repaired = Repaired::default();
        let cause = RestoreCause::AfterValidation;
        for file in self.files.iter().filter(|file| is_meant(file.rule)) {
            self.repair_file(file, repo, store, aside, cause, &mut repaired);
        }
        repaired
    }

    /// Guarded files that differ. The index is not one of them, because git rewrites it at any time.
    pub fn differing(&self, repo: &Repo) -> Result<Vec<PathBuf>, IntegrateError> {
        let mut differing = Vec::new();
        for file in self.files.iter().filter(|file| file.rule == Rule::Same) {
            let is_unchanged = file.is_unchanged(&self.states);
            if !is_unchanged.map_err(IntegrateError::io(&file.name()))? {
                differing.push(file.name());
            }
        }
        differing.extend(self.new_hooks()?.into_iter().map(|(_, name)| name));
        differing.extend(self.changed_refs(repo)?);
        Ok(differing)
    }

    /// Branches, tags and the stash that were created, moved or removed, except the branch that is checked out, which is a
    /// guarded file. They are not restored, because the user may have changed them from another work tree.
    fn changed_refs(&self, repo: &Repo) -> Result<Vec<PathBuf>, GitError> {
        let Ok(now) = machine_fault::apart(repo.refs())? else {
            // A command has damaged them.
            return Ok(vec![".git/refs".into()]);
        };
        let guarded: BTreeSet<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
        let names: BTreeSet<&String> = self.refs.keys().chain(now.keys()).collect();
        let is_changed = |name: &&String| {
            self.refs.get(*name) != now.get(*name) && !guarded.contains(Path::new(name))
        };
        let changed = names.into_iter().filter(is_changed);
        Ok(changed.map(|name| Path::new(".git").join(name)).collect())
    }

    fn repair_file(
        &self,
        file: &GuardedFile,
        repo: &Repo,
        store: &ContentStore,
        aside: &Path,
        cause: RestoreCause,
        repaired: &mut Repaired,
    ) {
        let failure = |error: &dyn Error| {
            format!(
                "{}: {}",
                file.name().display(),
                machine_fault::line_of(error)
            )
        };
        let mut is_mode_restored = false;
        if matches!(file.rule, Rule::Plan | Rule::Longer) && cause == RestoreCause::AfterValidation
        {
            match file.restore_modes() {
                Ok(is_restored) => is_mode_restored = is_restored,
                Err(error) => repaired.failures.push(failure(&error)),
            }
        }
        if is_mode_restored {
            repaired.restored.push(file.name());
        }
        match file.is_unchanged(&self.states) {
            Ok(true) => return,
            Ok(false) if file.rule == Rule::Index => match self.lists_the_same(repo) {
                Ok(true) => return,
                Err(error) if cause == RestoreCause::AfterKill => {
                    return repaired.failures.push(failure(&error));
                }
                // After a validation the copy is right, whatever keeps git from listing what stands there.
                Ok(false) | Err(_) => {}
            },
            Ok(false) => {}
            Err(error) => return repaired.failures.push(failure(&error)),
        }
        match file.is_damaged(cause, repo, store, &self.states) {
            Ok(true) => {}
            Ok(false) if file.rule == Rule::Same => return repaired.kept.push(file.name()),
            Ok(false) => return,
            Err(error) => return repaired.failures.push(failure(&*error)),
        }
        match file.put_back(store, aside) {
            Ok(true) if is_mode_restored => {}
            Ok(true) => repaired.restored.push(file.name()),
            // Nothing was overwritten: the file was gone.
            Ok(false) => {}
            Err(error) => repaired.failures.push(failure(&error)),
        }
    }

    fn lists_the_same(&self, repo: &Repo) -> Result<bool, GitError> {
        let listed = look::reachable(repo.list_index())?;
        Ok(listed.is_some_and(|index| sha256_of_bytes(&index) == self.index))
    }

    /// Hooks that were not there before, each with git's folder.
    fn new_hooks(&self) -> Result<Vec<(&Path, PathBuf)>, IntegrateError> {
        let mut files = self.files.iter();
        let Some(config) = files.find(|file| file.path == Path::new("config")) else {
            return Ok(Vec::new());
        };
        let (common, hooks) = (config.folder.as_path(), config.folder.join("hooks"));
        let known: BTreeSet<PathBuf> = self.files.iter().map(GuardedFile::name).collect();
        let names = list_hooks(common).map_err(IntegrateError::io(&hooks))?;
        let all = names.into_iter().map(|name| (common, hooks.join(name)));
        Ok(all.filter(|(_, name)| !known.contains(name)).collect())
    }

    fn remove_new_hooks(&self, aside: &Path, failures: &mut Vec<String>) -> Vec<PathBuf> {
        let mut removed = Vec::new();
        let new = self.new_hooks().unwrap_or_else(|error| {
            failures.push(machine_fault::line_of(&error));
            Vec::new()
        });
        for (common, name) in new {
            let path = name.strip_prefix(common).unwrap_or(&name);
            let moved = RootDir::open(common)
                .and_then(|folder| move_aside(&folder, path, &aside.join("git-folder")));
            match moved {
                Ok(_) => removed.push(name),
                Err(error) => failures.push(format!("{}: {error}", name.display())),
            }
        }
        removed
    }
}

impl GuardedFile {
    /// `None` for what is neither a file nor a link, such as a plan that is a folder.
    fn take(
        folder: &Path,
        path: PathBuf,
        rule: Rule,
        store: &ContentStore,
        states: &KnownStates,
    ) -> Result<Option<Self>, (PathBuf, io::Error)> {
        let take = || states.save(&RootDir::open(folder)?, &path, None, store);
        let taken = take().and_then(|before| Ok((before, mode_of_parent(folder, &path)?)));
        let (before, parent_mode) = taken.map_err(|error| (folder.join(&path), error))?;
        Ok(before.map(|before| Self {
            parent_mode,
            folder: folder.to_owned(),
            path,
            before,
            rule,
        }))
    }

    fn name(&self) -> PathBuf {
        self.folder.join(&self.path)
    }

    fn now(&self, states: &KnownStates) -> io::Result<Option<BeforeState>> {
        states.read(&RootDir::open(&self.folder)?, &self.path)
    }

    /// What can't be looked at, because a program has closed it, has changed; a fault of the machine is an error, and says nothing.
    fn is_unchanged(&self, states: &KnownStates) -> io::Result<bool> {
        let now = machine_fault::apart(self.now(states))?;
        Ok(now.unwrap_or(Some(BeforeState::Absent)).as_ref() == Some(&self.before))
    }

    /// Restores the permission bits of the file and of the folder that holds it; `true` if they had changed.
    fn restore_modes(&self) -> io::Result<bool> {
        let folder = RootDir::open(&self.folder)?;
        let mut is_restored = false;
        // The folder first: it may keep its owner from looking at the file.
        if let (Some(mode), Some(parent)) = (self.parent_mode, self.path.parent()) {
            is_restored |= restore_mode(&folder, parent, mode, FileType::Directory)?;
        }
        if let BeforeState::File { mode, .. } = self.before {
            is_restored |= restore_mode(&folder, &self.path, mode, FileType::RegularFile)?;
        }
        Ok(is_restored)
    }

    /// Whether a file that has changed must be put back. A fault of the machine is an error, and says nothing of the file.
    fn is_damaged(
        &self,
        cause: RestoreCause,
        repo: &Repo,
        store: &ContentStore,
        states: &KnownStates,
    ) -> Result<bool, Box<dyn Error>> {
        Ok(match self.rule {
            // Another git command holds a lock that existed before.
            Rule::Lock => self.before == BeforeState::Absent,
            Rule::Plan => !self.is_sound_plan(store, states)?,
            Rule::Longer => !self.is_longer(store)?,
            // Git makes it smaller, and never removes it.
            Rule::References => {
                self.is_gone(states)? || machine_fault::apart(repo.refs())?.is_err()
            }
            // The user may have changed the file since a kill, but hardly removed it.
            Rule::Same | Rule::Index => {
                cause == RestoreCause::AfterValidation || self.is_gone(states)?
            }
        })
    }

    fn is_gone(&self, states: &KnownStates) -> io::Result<bool> {
        let now = machine_fault::apart(self.now(states))?;
        Ok(now.unwrap_or(Some(BeforeState::Absent)) == Some(BeforeState::Absent))
    }

    fn is_sound_plan(
        &self,
        store: &ContentStore,
        states: &KnownStates,
    ) -> Result<bool, Box<dyn Error>> {
        let BeforeState::File { sha256, .. } = &self.before else {
            return Ok(true);
        };
        // Do not follow a link, or read from a pipe, that replaced the plan.
        let now = machine_fault::apart(self.now(states))?;
        if !matches!(now, Ok(Some(BeforeState::File { .. }))) {
            return Ok(false);
        }
        let read = |file| machine_fault::apart(plan::Store::at(file).read_numbered());
        // A plan that was unreadable before can't be distinguished from a damaged one.
        let Ok((before, known)) = read(store.file(sha256))? else {
            return Ok(true);
        };
        // Every change of a plan raises its sequence number. A lower number means an older plan, for example after a
        // checkout, which would undo what the run and others have written since.
        Ok(read(self.name())?.is_ok_and(|(now, number)| {
            let is_in_progress = |item: &&plan::Item| item.status() == plan::Status::InProgress;
            let mut items = before.items().iter().filter(is_in_progress);
            number >= known && items.all(|item| now.get(item.id()).is_some())
        }))
    }

    fn is_longer(&self, store: &ContentStore) -> io::Result<bool> {
        let BeforeState::File { sha256, .. } = &self.before else {
            return Ok(true);
        };
        let now = RootDir::open(&self.folder).and_then(|folder| folder.read(&self.path));
        let (now, before) = (
            machine_fault::apart(now)?,
            machine_fault::apart(store.get(sha256))?,
        );
        Ok(before.is_ok_and(|before| now.is_ok_and(|now| now.starts_with(&before))))
    }

    fn put_back(&self, store: &ContentStore, aside: &Path) -> io::Result<bool> {
        if self.before != BeforeState::Absent {
            crate::platform::private::make_open_folders(&self.folder)?;
        }
        let folder = RootDir::open(&self.folder)?;
        let aside = aside.join("git-folder");
        restore_path(&folder, &self.path, &self.before, store, &aside)
    }
}

/// The permission bits of the folder between `folder` and the file at `path`, if there is one.
fn mode_of_parent(folder: &Path, path: &Path) -> io::Result<Option<u32>> {
    let parent = path.parent().unwrap_or(path);
    if parent.as_os_str().is_empty() {
        return Ok(None);
    }
    let stamp = RootDir::open(folder).and_then(|folder| read_stamp(&folder, parent));
    let stamp = look::reachable(stamp)?.flatten();
    Ok(stamp.map(|stamp| stamp.permissions()))
}

fn restore_mode(folder: &RootDir, path: &Path, mode: u32, kind: FileType) -> io::Result<bool> {
    let now = read_stamp(folder, path)?.filter(|now| now.kind() == kind);
    match now.is_some_and(|now| now.permissions() != mode) {
        true => folder.set_mode(path, mode).map(|()| true),
        false => Ok(false),
    }
}

/// The file of the plan.
struct PlanFiles<'f> {
    named: &'f Path,
    /// The name is a link.
    is_linked: bool,
    /// Without links.
    real: PathBuf,
}

impl<'f> PlanFiles<'f> {
    fn of(named: &'f Path) -> Result<Self, (PathBuf, io::Error)> {
        let entry = look::entry(named);
        let looked = entry.and_then(|entry| Ok((entry, look::real(named)?)));
        let (entry, real) = looked.map_err(|error| (named.to_owned(), error))?;
        Ok(Self {
            named,
            is_linked: entry.is_some_and(|entry| entry.is_symlink()),
            real,
        })
    }
}

/// The plan and the learnings, as `(folder, path, rule)`.
fn store_files<'f>(root: &'f Path, plan: &'f PlanFiles<'_>) -> Vec<(&'f Path, PathBuf, Rule)> {
    let split = |file: &'f Path| match file.strip_prefix(root) {
        Ok(path) => (root, path.to_owned()),
        Err(_) => {
            let name = file.file_name().unwrap_or_default();
            (crate::platform::parent(file), name.into())
        }
    };
    let mut stores = vec![(root, learnings::FILE_NAME.into(), Rule::Longer)];
    if plan.is_linked {
        let (folder, path) = split(plan.named);
        stores.push((folder, path, Rule::Same));
    }
    let (folder, path) = split(&plan.real);
    stores.push((folder, path, Rule::Plan));
    stores
}

fn take_all(
    wanted: Vec<(&Path, PathBuf, Rule)>,
    store: &ContentStore,
    states: &KnownStates,
) -> Result<Vec<GuardedFile>, (PathBuf, io::Error)> {
    let files = wanted
        .into_iter()
        .map(|(folder, path, rule)| GuardedFile::take(folder, path, rule, store, states));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    Ok(files.into_iter().flatten().collect())
}

/// Names of the hooks. A folder that is a link is not guarded, because it may belong to other repositories.
fn list_hooks(common: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = RootDir::open(common)
        .and_then(|common| common.open_folder(Path::new("hooks")))
        .and_then(crate::platform::root_dir::list_entries);
    let mut names: Vec<_> = look::reachable(entries)?
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, kind)| *kind == rustix::fs::FileType::RegularFile)
        .map(|(name, _)| name)
        .collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_machine_can_not_read_has_not_changed() {
        let guarded = |path: &str| GuardedFile {
            folder: "/proc/self".into(),
            path: path.into(),
            parent_mode: None,
            before: BeforeState::Absent,
            rule: Rule::Same,
        };
        let states = KnownStates::default();
        assert!(guarded("none").is_unchanged(&states).expect("a look"));
        assert!(!guarded("stat").is_unchanged(&states).expect("a look"));
        // A read of its first page fails with EIO.
        let error = guarded("mem").is_unchanged(&states).expect_err("a fault");
        assert!(machine_fault::find(&error).is_some(), "{error}");
    }
}
