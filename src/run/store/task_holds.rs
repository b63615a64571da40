//! The tasks that other runs hold. A run holds a task from its admission until its outcome is persisted, or until the run ends or
//! is cancelled.
//!
//! A run that is driven one command at a time holds no lock between its steps, so `mesh.runs` in git's common folder lists the
//! folders of the runs of this repository that may hold tasks. The tasks themselves are read from the ledgers; the list only
//! saves reading the ledgers of all other runs. Rejected: task ids in the list, because after a kill they could differ from the
//! ledger.
//!
//! A run is listed before it admits its first task, under the repository's lock, so no run holds a task without being listed. An
//! entry without a ledger, or of a run that has ended, is ignored, and removed with the next change of the list.

use super::leases;
use super::leases::own_process;
use super::recorder::Recorder;
use super::run_folder::RunFolder;
use super::state::State;
use crate::adapter::EXTERNAL;
use crate::integrate::{IntegrateError, RepoLock};
use crate::job::Journal;
use crate::ledger;
use crate::ledger::Ledger;
use crate::model::{Event, RunFinished, RunId, RunKind, UnitId};
use crate::platform::{Repo, durable, look};
use crate::run::error::RunError;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The tasks of one plan that other runs hold.
#[derive(Clone, Debug, Default)]
pub struct TaskHolds {
    holders: Vec<Holder>,
}

/// A run that holds tasks.
#[derive(Clone, Debug)]
struct Holder {
    run_id: RunId,
    units: BTreeSet<UnitId>,
    /// Whether an external runner works its waves.
    is_external: bool,
    /// Whether it shares the plan with other runs.
    has_joined: bool,
}

impl TaskHolds {
    /// The tasks of the plan in `plan_file` that runs of `repo` hold, without those of the run in `own`.
    ///
    /// # Errors
    /// The list or a ledger on it can't be read, so the free tasks are not known.
    pub fn read(repo: &Repo, plan_file: &Path, own: Option<&Path>) -> Result<Self, RunError> {
        let mut holders = Vec::new();
        for folder in read_list(repo)? {
            if own != Some(&folder) {
                holders.extend(Holder::read(&folder, plan_file)?);
            }
        }
        Ok(Self { holders })
    }

    /// The same for preflight, without the runs that a process drives at the moment: for those the repository's lock is reported.
    pub fn read_for_preflight(repo: &Repo, plan_file: &Path) -> Result<Self, RunError> {
        let mut holders = Vec::new();
        for folder in read_list(repo)? {
            let ledger = folder.join("ledger.jsonl");
            if look::is_file(&ledger).map_err(RunError::io(&ledger))?
                && !ledger::is_in_use(&ledger)?
            {
                holders.extend(Holder::read(&folder, plan_file)?);
            }
        }
        Ok(Self { holders })
    }

    /// Those that a run must respect. Joined runs have leases for the tasks that they share.
    pub fn binding(mut self, has_joined: bool) -> Self {
        self.holders
            .retain(|holder| !(has_joined && holder.has_joined));
        self
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// All tasks that are held.
    pub fn units(&self) -> BTreeSet<UnitId> {
        let units = self.holders.iter().flat_map(|holder| &holder.units);
        units.cloned().collect()
    }

    /// Why a task can't be admitted, if another run holds it.
    pub fn refusal(&self, unit: &UnitId) -> Option<RunError> {
        let mut holders = self.holders.iter();
        let holder = holders.find(|holder| holder.units.contains(unit))?;
        Some(RunError::TaskHeld {
            unit: unit.clone(),
            run: holder.run_id.clone(),
            is_external: holder.is_external,
        })
    }
}

impl Holder {
    /// The run in `folder`, if it holds tasks of the plan.
    fn read(folder: &Path, plan_file: &Path) -> Result<Option<Self>, RunError> {
        let ledger = folder.join("ledger.jsonl");
        if !look::is_file(&ledger).map_err(RunError::io(&ledger))? {
            return Ok(None);
        }
        let state = State::read(&ledger)?;
        let Some(started) = state.started.as_ref().filter(|_| state.can_continue()) else {
            return Ok(None);
        };
        let plan = started.settings["plan_file"].as_str().unwrap_or_default();
        // A task whose patch is kept is free for others.
        let held = state.in_flight().filter(|unit| !unit.is_held());
        let units: BTreeSet<UnitId> = held.map(|unit| unit.id.clone()).collect();
        let same = is_same(Path::new(plan), plan_file).map_err(RunError::io(plan_file))?;
        let holds = !units.is_empty() && same;
        Ok(holds.then(|| Self {
            run_id: started.run_id.clone(),
            units,
            is_external: started.settings["adapter"] == EXTERNAL,
            has_joined: started.settings["join"] == true,
        }))
    }
}

fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(look::real(a)? == look::real(b)?)
}

impl State {
    /// Whether an external runner works its waves.
    pub fn is_external(&self) -> bool {
        let started = self.started.as_ref();
        started.is_some_and(|one| one.settings["adapter"] == EXTERNAL)
    }

    /// Whether the run can continue. A run that awaits answers of an external runner can, though its ledger has an end.
    pub fn can_continue(&self) -> bool {
        let awaits = || self.is_external() && self.waves.iter().any(|wave| wave.is_open());
        self.finished
            .as_ref()
            .is_none_or(|end| !end.is_released() && awaits())
    }
}

/// The detail of a run that was cancelled between its steps.
const RELEASED: &str = "cancelled between its steps";

/// The end of a run that is cancelled while no process drives it.
fn cancelled_end() -> RunFinished {
    RunFinished {
        status: "cancelled".to_owned(),
        exit_code: 4,
        detail: Some(RELEASED.to_owned()),
    }
}

impl RunFinished {
    fn is_released(&self) -> bool {
        self.detail.as_deref() == Some(RELEASED)
    }
}

/// Ends a plan run that no process drives, and frees its tasks. `false`: it has ended, or is not a plan run.
///
/// # Errors
/// A process drives it, the repository is locked, or an integration was interrupted, which only the run can roll back.
pub fn release_tasks(folder: &RunFolder) -> Result<bool, RunError> {
    if folder.kind()? != Some(RunKind::Plan) {
        return Ok(false);
    }
    let mut state = State::default();
    let opened = Ledger::open_with(&folder.ledger(), |record, place| {
        state.apply_record(&record, place)
    });
    let (ledger, _) = opened?;
    let (root, has_joined) = match &state.started {
        Some(started) if state.can_continue() => {
            (started.root.clone(), started.settings["join"] == true)
        }
        _ => return Ok(false),
    };
    if state
        .units
        .iter()
        .any(|unit| unit.open_integration.is_some())
    {
        let run_folder = folder.path().to_owned();
        return Err(IntegrateError::Pending { run_folder }.into());
    }
    // Without the repository there is no list.
    let held = match look::reachable(Repo::find(&root))? {
        Some(repo) => {
            let lock = match has_joined {
                true => RepoLock::join_for_one_turn(&repo, folder.id())?,
                false => RepoLock::take(&repo, Some(folder.path()))?,
            };
            Some((repo, lock))
        }
        None => None,
    };
    Recorder::new(ledger, state).record(&[Event::from(cancelled_end())])?;
    folder.remove_temporary_files();
    if let Some((repo, lock)) = held {
        remove_run(&repo, folder, &lock)?;
        if let Some(joined) = lock.joined() {
            leases::release_all(joined, own_process(folder.id()))?;
        }
    }
    Ok(true)
}

/// Adds the run in `folder` to the list, before it begins or is resumed.
pub(crate) fn add_run(repo: &Repo, folder: &RunFolder, lock: &RepoLock) -> Result<(), RunError> {
    update_list(repo, lock, |folders| {
        if !folders.iter().any(|known| known == folder.path()) {
            folders.push(folder.path().to_owned());
        }
    })
}

/// Removes the run in `folder` from the list.
pub(crate) fn remove_run(repo: &Repo, folder: &RunFolder, lock: &RepoLock) -> Result<(), RunError> {
    update_list(repo, lock, |folders| {
        folders.retain(|known| known != folder.path());
    })
}

/// Changes the list, and removes entries without a ledger.
fn update_list(
    repo: &Repo,
    _held: &RepoLock,
    change: impl FnOnce(&mut Vec<PathBuf>),
) -> Result<(), RunError> {
    let before = read_list(repo)?;
    let mut folders = before.clone();
    folders.retain(|folder| look::is_file(&folder.join("ledger.jsonl")).unwrap_or(true));
    change(&mut folders);
    if folders == before {
        return Ok(());
    }
    let mut text = Vec::new();
    for folder in &folders {
        text.extend_from_slice(folder.as_os_str().as_bytes());
        text.push(SEPARATOR);
    }
    let path = list_path(repo)?;
    durable::remove_strays(&path).map_err(RunError::io(&path))?;
    durable::write(&path, &text).map_err(RunError::io(&path))
}

/// No path contains this byte.
const SEPARATOR: u8 = 0;

fn read_list(repo: &Repo) -> Result<Vec<PathBuf>, RunError> {
    let path = list_path(repo)?;
    let found = look::found(std::fs::read(&path)).map_err(RunError::io(&path))?;
    let bytes = found.unwrap_or_default();
    let paths = bytes.split(|byte| *byte == SEPARATOR);
    let paths = paths.filter(|path| !path.is_empty());
    Ok(paths
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect())
}

fn list_path(repo: &Repo) -> Result<PathBuf, RunError> {
    Ok(repo.common_dir()?.join("mesh.runs"))
}
