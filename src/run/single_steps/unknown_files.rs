//! Finds files in a folder of answers that belong to no row, because an answer with a misspelt name would be missed.

use crate::model::{Role, RoundName, RowId, RowKey, UnitId};
use crate::plan::Plan;
use crate::platform::look;
use crate::run::preflight::Protocols;
use crate::run::store::State;
use crate::wave::Label;
use std::cell::OnceCell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::DirEntry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// The most files that are listed.
pub(crate) const UNKNOWN_FILES_MAX: usize = 50;

/// The extensions of a row's files.
const ROW_EXTENSIONS: [&str; 3] = ["json", "error", "log"];

/// The known names in a folder of answers. They are collected when a file asks for them, and as hashes, since a run may have very
/// many rows and most folders have files of slices only.
pub(crate) struct KnownNames<'n> {
    state: &'n State,
    plan: &'n Plan,
    protocols: &'n Protocols,
    rows: OnceCell<HashSet<u64>>,
    units: OnceCell<HashSet<u64>>,
}

impl<'n> KnownNames<'n> {
    /// The names of the run's rows, and of recorded answers for any task of the plan.
    pub fn of(state: &'n State, plan: &'n Plan, protocols: &'n Protocols) -> Self {
        Self {
            state,
            plan,
            protocols,
            rows: OnceCell::new(),
            units: OnceCell::new(),
        }
    }

    fn is_row(&self, name: &str) -> bool {
        let rows = self.rows.get_or_init(|| {
            let rows = self.state.waves.iter().flat_map(|wave| &wave.compiled.rows);
            rows.map(|row| hash(&row.file_name())).collect()
        });
        rows.contains(&hash(name))
    }

    fn is_unit(&self, name: &str) -> bool {
        let units = self.units.get_or_init(|| {
            let items = self.plan.items().iter();
            let units = items.map(|item| UnitId::new(item.id().as_str()));
            units.map(|unit| hash(&unit.file_name())).collect()
        });
        units.contains(&hash(name))
    }

    /// The unknown files in `folder`, relative to it; at most [`UNKNOWN_FILES_MAX`].
    pub fn unknown_files(&self, folder: &Path) -> Vec<PathBuf> {
        let mut strays = Vec::new();
        for entry in sorted_entries(folder) {
            let name = entry.file_name();
            let is_folder = look::is_folder(&entry.path()).unwrap_or(false);
            match name.to_str() {
                Some(unit) if is_folder && self.is_unit(unit) => {
                    let inside = sorted_entries(&entry.path());
                    let unknown = inside.iter().filter(|file| !self.is_recorded_answer(file));
                    strays.extend(unknown.map(|file| Path::new(&name).join(file.file_name())));
                }
                // Beside a file of results there may be the logs of its failed attempts.
                _ if is_folder && name.as_encoded_bytes().ends_with(b".logs") => {}
                _ if is_folder || !self.is_row_file(&name) => strays.push(PathBuf::from(name)),
                _ => {}
            }
            if strays.len() >= UNKNOWN_FILES_MAX {
                strays.truncate(UNKNOWN_FILES_MAX);
                break;
            }
        }
        strays
    }

    fn is_row_file(&self, name: &OsStr) -> bool {
        let Some(name) = name.to_str() else {
            return false;
        };
        let is_row = |(row, kind): (&str, &str)| ROW_EXTENSIONS.contains(&kind) && self.is_row(row);
        // Hidden files and those of slices are ignored.
        name == Label::FILE_NAME
            || name.starts_with('.')
            || name.ends_with(".jsonl")
            || name.rsplit_once('.').is_some_and(is_row)
    }

    /// Whether it is a recorded answer of a row that a unit may have, now or later.
    fn is_recorded_answer(&self, file: &DirEntry) -> bool {
        let name = file.file_name();
        let Some(stem) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            return name.to_string_lossy().starts_with('.');
        };
        const UNIT: &str = "unit";
        let key = RowKey::parse(&RowId::new(format!("{UNIT}.{stem}")));
        let is_own = |key: &RowKey| key.unit.as_str() == UNIT;
        key.is_some_and(|key| is_own(&key) && self.protocols.has_row(&key.round, &key.role))
    }
}

/// That two names have the same hash would only keep a file from being named as unknown.
fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn sorted_entries(folder: &Path) -> Vec<DirEntry> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut entries: Vec<DirEntry> = entries.flatten().collect();
    entries.sort_by_key(DirEntry::file_name);
    entries
}

impl Protocols {
    /// Whether any protocol has a row of `role` in `round`.
    fn has_row(&self, round: &RoundName, role: &Role) -> bool {
        let mut protocols = self.all();
        protocols.any(|protocol| {
            let found = protocol.round(round);
            found.is_some_and(|round| round.roles.contains(role))
        })
    }
}
