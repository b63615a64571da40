//! The folder of a run, `$MESH_HOME/runs/<run id>/`: ledger, waves, units and logs, outside the work tree.

use crate::ledger;
use crate::ledger::Record;
use crate::model::{Event, RowId, RunId, RunKind, UnitId, WaveNo};
use crate::platform::{Writers, clock, durable, look, machine_fault, private};
use crate::run::error::RunError;
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// `$MESH_HOME`, else `$XDG_STATE_HOME/mesh`, else `~/.local/state/mesh`.
pub fn home() -> Result<PathBuf, RunError> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("MESH_HOME")
        .or_else(|| folder("XDG_STATE_HOME").map(|state| state.join("mesh")))
        .or_else(|| folder("HOME").map(|home| home.join(".local/state/mesh")))
        // Workers start in another folder, so their paths must be absolute.
        .map(|home| std::path::absolute(&home).unwrap_or(home))
        .ok_or(RunError::NoHome)
}

/// The sort key of a run id. Ids of the same second are numbered from the second one on: `…Z`, `…Z-2`, …, `…Z-10`.
fn sort_key(id: &str) -> (String, u32) {
    let numbered = id.rsplit_once('-').filter(|(base, _)| base.ends_with('Z'));
    match numbered.and_then(|(base, number)| Some((base, number.parse().ok()?))) {
        Some((base, number)) => (base.to_owned(), number),
        None => (id.to_owned(), 1),
    }
}

/// The run whose id is most similar to a mistyped one.
fn find_similar(home: &Path, id: &RunId) -> Option<RunId> {
    const SIMILARITY_MIN: f64 = 0.8;
    let entries = std::fs::read_dir(home.join("runs")).ok()?;
    let names = entries.flatten().filter_map(|entry| {
        let is_run = look::is_file(&entry.path().join("ledger.jsonl")).unwrap_or(false);
        entry.file_name().into_string().ok().filter(|_| is_run)
    });
    let (beginnings, names): (Vec<String>, Vec<String>) =
        names.partition(|name| !id.as_str().is_empty() && name.starts_with(id.as_str()));
    if let [name] = beginnings.as_slice() {
        return Some(RunId::new(name.clone()));
    }
    let likeness = |name: &String| strsim::normalized_damerau_levenshtein(name, id.as_str());
    let names = beginnings.into_iter().chain(names);
    names
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)))
        .map(|(_, name)| RunId::new(name))
}

/// The beginning of the names of scratch trees.
const TRIAL: &str = "trial";

/// How soon a cancelled run stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelRequest {
    /// Running rows may finish.
    Soon,
    /// Running rows are terminated.
    Now,
}

/// One run's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    id: RunId,
}

impl RunFolder {
    /// Creates a folder below `home` for a run called `given`, or by the current time.
    pub fn create(home: &Path, given: Option<&RunId>) -> Result<Self, RunError> {
        if let Some(id) = given.filter(|id| crate::model::file_name(id.as_str()) != id.as_str()) {
            return Err(RunError::BadRunId { id: id.clone() });
        }
        let runs = home.join("runs");
        private::make_folders(&runs).map_err(RunError::io(&runs))?;
        let base = given
            .cloned()
            .unwrap_or_else(|| clock::run_id(clock::now()));
        for number in 1..1000 {
            let id = match number {
                1 => base.clone(),
                _ => RunId::new(format!("{base}-{number}")),
            };
            let path = runs.join(id.as_str());
            match private::make_folder(&path) {
                Ok(()) => {
                    let folder = Self { path, id };
                    return match folder.complete(home) {
                        Ok(()) => Ok(folder),
                        Err(error) => {
                            let _ = std::fs::remove_dir_all(&folder.path);
                            Err(error)
                        }
                    };
                }
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(RunError::io(&path)(error));
                }
                Err(_) if given.is_some() => {
                    let ledger = path.join("ledger.jsonl");
                    let has_begun = look::is_taken(&ledger).map_err(RunError::io(&ledger))?;
                    return Err(RunError::RunExists {
                        id,
                        path,
                        has_begun,
                    });
                }
                Err(_) => {}
            }
        }
        Err(RunError::io(&runs)(io::ErrorKind::AlreadyExists.into()))
    }

    /// A placeholder for checks and dry runs, which write nothing into it.
    pub fn dry_run() -> Self {
        Self {
            path: std::env::temp_dir(),
            id: RunId::new("dry-run"),
        }
    }

    /// The entry of the folder must survive a power failure as well.
    fn complete(&self, home: &Path) -> Result<(), RunError> {
        for folder in [home, self.runs()] {
            crate::platform::sync_folder(folder).map_err(RunError::io(folder))?;
        }
        for folder in [
            self.waves(),
            self.path.join("units"),
            self.logs(),
            self.scratch(),
        ] {
            private::make_folders(&folder).map_err(RunError::io(&folder))?;
        }
        Ok(())
    }

    /// The folder of all runs.
    pub fn runs(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Another run of the same home.
    pub fn sibling(&self, id: &RunId) -> Result<Self, RunError> {
        let home = self.runs().parent().unwrap_or(&self.path);
        Self::find(home, id)
    }

    /// The run whose folder is `path`; `None` if it has no ledger.
    ///
    /// # Errors
    /// [`RunError::Io`]: the folder can't be looked at.
    pub fn at(path: &Path) -> Result<Option<Self>, RunError> {
        let look = || {
            Ok((
                look::real(path)?,
                look::is_file(&path.join("ledger.jsonl"))?,
            ))
        };
        let (path, has_ledger) = look().map_err(RunError::io(path))?;
        let id = path.file_name().filter(|_| has_ledger);
        Ok(id.map(|id| Self {
            id: RunId::new(id.to_string_lossy()),
            path: path.clone(),
        }))
    }

    /// The folder of an earlier run.
    pub fn find(home: &Path, id: &RunId) -> Result<Self, RunError> {
        let is_name = !id.as_str().is_empty() && !id.as_str().contains('/') && id.as_str() != "..";
        let path = home.join("runs").join(id.as_str());
        if is_name && look::is_file(&path.join("ledger.jsonl")).map_err(RunError::io(&path))? {
            return Ok(Self {
                path,
                id: id.clone(),
            });
        }
        Err(RunError::NoRun {
            id: id.clone(),
            nearest: find_similar(home, id),
            home: home.to_owned(),
        })
    }

    /// The kind of the run; `None` for a run that was killed before it began.
    pub fn kind(&self) -> Result<Option<RunKind>, RunError> {
        Ok(match ledger::first(&self.ledger())? {
            Some(Record {
                event: Event::RunStarted(started),
                ..
            }) => Some(started.kind),
            _ => None,
        })
    }

    /// Refuses a run of another kind than `expected`.
    pub(crate) fn check_kind(&self, expected: RunKind) -> Result<(), RunError> {
        match self.kind()? {
            Some(kind) if kind != expected => Err(RunError::WrongKind {
                id: self.id.clone(),
                kind,
            }),
            _ => Ok(()),
        }
    }

    /// All runs below `home`, oldest first.
    pub fn list(home: &Path) -> Result<Vec<Self>, RunError> {
        let runs = home.join("runs");
        let failed = RunError::io(&runs);
        let entries = match std::fs::read_dir(&runs) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
        };
        let mut folders = Vec::new();
        for entry in entries.map_err(failed)? {
            let path = entry.path();
            let ledger = path.join("ledger.jsonl");
            let found = machine_fault::apart(std::fs::symlink_metadata(&ledger));
            if found.map_err(RunError::io(&ledger))?.is_ok()
                && let Some(id) = path.file_name().and_then(OsStr::to_str)
            {
                let id = RunId::new(id);
                folders.push(Self { path, id });
            }
        }
        folders.sort_by_cached_key(|folder| {
            let first = ledger::first(&folder.ledger()).ok().flatten();
            (first.map(|record| record.ts), sort_key(folder.id.as_str()))
        });
        Ok(folders)
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger.
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.jsonl")
    }

    /// The wave CSVs with their call files and outputs.
    pub fn waves(&self) -> PathBuf {
        self.path.join("waves")
    }

    /// The artifacts of a unit.
    pub fn unit(&self, unit: &UnitId) -> PathBuf {
        self.path.join("units").join(unit.file_name())
    }

    /// The folder of the logs of attempts.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// The logs of an attempt that were kept, standard error first.
    pub fn kept_logs(&self, wave: WaveNo, item: &RowId, attempt: u32) -> Vec<PathBuf> {
        let folder = self.logs().join(wave.to_string());
        let name = item.file_name();
        let paths = ["err", "out"].map(|suffix| folder.join(format!("{name}.{attempt}.{suffix}")));
        let is_kept = |path: &PathBuf| look::is_file(path).unwrap_or(false);
        paths.into_iter().filter(is_kept).collect()
    }

    /// Short-lived files; removed when the run ends.
    pub fn scratch(&self) -> PathBuf {
        self.path.join("scratch")
    }

    /// The copies of the repository for workers.
    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshot")
    }

    /// One of them; each wave in flight has its own.
    pub fn snapshot(&self, place: usize) -> PathBuf {
        self.snapshots().join(place.to_string())
    }

    /// Where a patch is tried before it touches the user's tree; each validation that runs has its own.
    pub fn trial(&self, place: usize) -> PathBuf {
        match place {
            1 => self.path.join(TRIAL),
            _ => self.path.join(format!("{TRIAL}-{place}")),
        }
    }

    /// The tree of the run's own branch, when it delivers one.
    pub fn branch_tree(&self) -> PathBuf {
        self.path.join("branch")
    }

    /// The diff of violation `number`, relative to this folder.
    pub fn violation_diff(number: usize) -> PathBuf {
        Path::new("violations").join(format!("{number}.patch"))
    }

    /// The record of children that may write a tree.
    pub fn writers(&self) -> Writers {
        Writers::at(&self.path.join("writers"))
    }

    /// The folder of a wave's short-lived files.
    pub fn wave_scratch(&self, wave: WaveNo) -> PathBuf {
        self.scratch().join(wave.to_string())
    }

    /// Leaves a request to cancel for the process that drives the run.
    pub fn request_cancel(&self, request: CancelRequest) -> Result<(), RunError> {
        let path = self.cancel_path(request);
        private::write(&path, b"").map_err(RunError::io(&path))
    }

    /// Removes requests to an earlier process and its temporary files, and closes the folder to other users. Call it as soon as the
    /// ledger is locked: before that, a request may be for another process; later, it may be for this one.
    pub fn claim(&self) {
        self.take_cancel_request();
        remove_strays(&self.path);
        // Fails only for the folder of another user, whose choice it is.
        let closed = Permissions::from_mode(private::FOLDER_MODE);
        let _ = std::fs::set_permissions(&self.path, closed);
    }

    /// Removes the requests to cancel and returns the most urgent one.
    pub fn take_cancel_request(&self) -> Option<CancelRequest> {
        let removed = |request| std::fs::remove_file(self.cancel_path(request)).is_ok();
        let soon = removed(CancelRequest::Soon).then_some(CancelRequest::Soon);
        removed(CancelRequest::Now)
            .then_some(CancelRequest::Now)
            .or(soon)
    }

    fn cancel_path(&self, request: CancelRequest) -> PathBuf {
        self.path.join(match request {
            CancelRequest::Soon => "cancel",
            CancelRequest::Now => "cancel-now",
        })
    }

    /// Removes the files that only a running run needs. A run that was killed at its end is resumed for this alone.
    pub fn remove_temporary_files(&self) {
        // Leftovers are harmless; `mesh runs gc` removes them with the run.
        let _ = std::fs::remove_dir_all(self.scratch());
        if let Ok(places) = std::fs::read_dir(self.snapshots()) {
            for place in places.flatten() {
                let _ = crate::workspace::remove(&place.path());
            }
        }
        let _ = std::fs::remove_dir_all(self.snapshots());
        let _ = crate::workspace::remove(&self.branch_tree());
        self.remove_trials();
    }

    fn remove_trials(&self) {
        let Ok(entries) = std::fs::read_dir(&self.path) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_trial = name.to_str().is_some_and(|name| name.starts_with(TRIAL));
            if is_trial && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let _ = crate::workspace::remove(&entry.path());
            }
        }
    }
}

/// Folders with copies of the user's files, whose names may look like those of temporary files, or that are removed as a whole.
const COPIES: [&str; 5] = ["scratch", "snapshot", "branch", "aside", "before"];

/// Removes the temporary files of killed writers in a run's folder. What can't be removed is harmless; `mesh runs gc` removes it
/// with the run.
fn remove_strays(folder: &Path) {
    let _ = durable::remove_all_strays(folder);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_copy = name.starts_with(TRIAL) || COPIES.contains(&&*name);
        if !is_copy && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_strays(&entry.path());
        }
    }
}
