//! Which tasks other runs hold: those that a run has taken up and not brought to an end, until the run ends or is cancelled.
//!
//! A run that is driven one command at a time holds no lock between its steps, so something on disk must say that it is there:
//! `mesh.runs` in git's common folder lists the folders of the runs of this repository that may hold tasks. Which ones they
//! are is known from their ledgers alone; the list only keeps all the other ledgers from being read. Rejected: the ids of the
//! tasks in the list, which a kill would leave different from the ledger.
//!
//! A run is listed before it takes up its first task, under the repository's lock, so none ever holds a task without being listed.
//! An entry without a ledger, or of a run that has ended, means nothing and goes with the next change of the list.

use super::recorder::Recorder;
use super::run_folder::RunFolder;
use super::state::State;
use crate::adapter::EXTERNAL;
use crate::integrate::{IntegrateError, RepoLock};
use crate::job::Journal;
use crate::ledger;
use crate::ledger::Ledger;
use crate::model::{Event, RunFinished, RunId, RunKind, UnitId};
use crate::platform::{Repo, durable};
use crate::run::error::RunError;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What other runs hold of one plan.
#[derive(Clone, Debug, Default)]
pub struct TaskHolds {
    holders: Vec<Holder>,
}

/// A run that holds tasks.
#[derive(Clone, Debug)]
struct Holder {
    run_id: RunId,
    units: BTreeSet<UnitId>,
    /// Somebody else works its waves.
    is_external: bool,
}

impl TaskHolds {
    /// What the runs of `repo` other than the one in `own` hold of the plan in `plan_file`.
    ///
    /// # Errors
    /// The list or a ledger on it can't be read: nobody knows then which tasks are free.
    pub fn read(repo: &Repo, plan_file: &Path, own: Option<&Path>) -> Result<Self, RunError> {
        let mut holders = Vec::new();
        for folder in listed(repo)? {
            if own != Some(&folder) {
                holders.extend(Holder::read(&folder, plan_file)?);
            }
        }
        Ok(Self { holders })
    }

    /// The same for preflight, without the runs that a process drives right now: whoever meets one of them is told of the
    /// lock of the repository.
    pub fn between_steps(repo: &Repo, plan_file: &Path) -> Result<Self, RunError> {
        let mut holders = Vec::new();
        for folder in listed(repo)? {
            let ledger = folder.join("ledger.jsonl");
            if ledger.is_file() && !ledger::is_in_use(&ledger)? {
                holders.extend(Holder::read(&folder, plan_file)?);
            }
        }
        Ok(Self { holders })
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

    /// Why a task can't be taken up, when another run holds it.
    pub fn refusal(&self, unit: &UnitId) -> Option<RunError> {
        let mut holders = self.holders.iter();
        let holder = holders.find(|holder| holder.units.contains(unit))?;
        Some(RunError::Held {
            unit: unit.clone(),
            run: holder.run_id.clone(),
            is_external: holder.is_external,
        })
    }
}

impl Holder {
    /// The run in `folder`, if it holds something of the plan.
    fn read(folder: &Path, plan_file: &Path) -> Result<Option<Self>, RunError> {
        let ledger = folder.join("ledger.jsonl");
        if !ledger.is_file() {
            return Ok(None);
        }
        let state = State::read(&ledger)?;
        let Some(started) = state.started.as_ref().filter(|_| state.is_going_on()) else {
            return Ok(None);
        };
        let plan = started.settings["plan_file"].as_str().unwrap_or_default();
        let units: BTreeSet<UnitId> = state.in_flight().map(|unit| unit.id.clone()).collect();
        let holds = !units.is_empty() && is_same(Path::new(plan), plan_file);
        Ok(holds.then(|| Self {
            run_id: started.run_id.clone(),
            units,
            is_external: started.settings["adapter"] == EXTERNAL,
        }))
    }
}

fn is_same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real(a) == real(b)
}

impl State {
    /// Whether somebody else works its waves.
    pub fn is_external(&self) -> bool {
        let started = self.started.as_ref();
        started.is_some_and(|one| one.settings["adapter"] == EXTERNAL)
    }

    /// Whether somebody is still to go on with the run. One that stopped where answers from outside are awaited has an end in
    /// its ledger and waits all the same.
    fn is_going_on(&self) -> bool {
        let awaits = || self.is_external() && self.waves.iter().any(|wave| wave.is_open());
        self.finished
            .as_ref()
            .is_none_or(|end| !end.is_released() && awaits())
    }
}

/// Why a run that was cancelled between its steps has ended.
const RELEASED: &str = "cancelled between its steps";

/// The end of a run that is cancelled while nobody drives it.
fn released() -> RunFinished {
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

/// Ends a run of a plan that nobody drives: what it holds is free from now on. `false`: it has ended, or is no such run.
///
/// # Errors
/// Somebody drives it, the repository is locked, or an integration of it was interrupted, which only the run can undo.
pub fn release(folder: &RunFolder) -> Result<bool, RunError> {
    if folder.kind()? != Some(RunKind::Plan) {
        return Ok(false);
    }
    let mut state = State::default();
    let opened = Ledger::open_with(&folder.ledger(), |record, place| state.take(&record, place));
    let (ledger, _) = opened?;
    let root = match &state.started {
        Some(started) if state.is_going_on() => started.root.clone(),
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
    // Where the repository is gone, nothing of it is held.
    let held = match Repo::find(&root) {
        Ok(repo) => {
            let lock = RepoLock::take(&repo, Some(folder.path()))?;
            Some((repo, lock))
        }
        Err(_) => None,
    };
    Recorder::new(ledger, state).record(&[Event::from(released())])?;
    folder.tidy();
    if let Some((repo, lock)) = held {
        leave(&repo, folder, &lock)?;
    }
    Ok(true)
}

/// Lists the run in `folder`, which is about to begin or to go on.
pub(crate) fn enter(repo: &Repo, folder: &RunFolder, lock: &RepoLock) -> Result<(), RunError> {
    rewrite(repo, lock, |folders| {
        if !folders.iter().any(|known| known == folder.path()) {
            folders.push(folder.path().to_owned());
        }
    })
}

/// Takes the run in `folder` off the list.
pub(crate) fn leave(repo: &Repo, folder: &RunFolder, lock: &RepoLock) -> Result<(), RunError> {
    rewrite(repo, lock, |folders| {
        folders.retain(|known| known != folder.path());
    })
}

/// Changes the list, without those entries whose run is gone.
fn rewrite(
    repo: &Repo,
    _held: &RepoLock,
    change: impl FnOnce(&mut Vec<PathBuf>),
) -> Result<(), RunError> {
    let before = listed(repo)?;
    let mut folders = before.clone();
    folders.retain(|folder| folder.join("ledger.jsonl").is_file());
    change(&mut folders);
    if folders == before {
        return Ok(());
    }
    let mut text = Vec::new();
    for folder in &folders {
        text.extend_from_slice(folder.as_os_str().as_bytes());
        text.push(SEPARATOR);
    }
    let path = list(repo)?;
    durable::write(&path, &text).map_err(RunError::io(&path))
}

/// No path holds one.
const SEPARATOR: u8 = 0;

fn listed(repo: &Repo) -> Result<Vec<PathBuf>, RunError> {
    let path = list(repo)?;
    let bytes = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(RunError::io(&path))?,
    };
    let paths = bytes.split(|byte| *byte == SEPARATOR);
    let paths = paths.filter(|path| !path.is_empty());
    Ok(paths
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect())
}

fn list(repo: &Repo) -> Result<PathBuf, RunError> {
    Ok(repo.common_dir()?.join("mesh.runs"))
}
