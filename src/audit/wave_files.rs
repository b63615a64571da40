//! The files of the waves that the ledger names, as plain CSV and JSON.

use super::record::Record;
use crate::platform::sha256_of_bytes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The waves seen so far, by number.
pub(super) struct WaveFiles {
    folder: PathBuf,
    /// Files that are not as they were written, since secrets were removed.
    redacted: BTreeSet<String>,
    waves: BTreeMap<u64, WaveFile>,
    /// The wave of each row.
    rows: BTreeMap<String, u64>,
}

/// One wave.
#[derive(Default)]
pub(super) struct WaveFile {
    /// As the ledger names it.
    pub csv_path: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Null if it can't be read.
    pub call: Value,
    /// What could not be read, or is not what was compiled.
    pub damage: Vec<String>,
}

impl WaveFiles {
    pub fn new(folder: &Path, redacted: BTreeSet<String>) -> Self {
        Self {
            folder: folder.to_owned(),
            redacted,
            waves: BTreeMap::new(),
            rows: BTreeMap::new(),
        }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The files that are not as they were written.
    pub fn redacted(&self) -> &BTreeSet<String> {
        &self.redacted
    }

    /// Reads the files that `wave_compiled` names.
    pub fn load(&mut self, record: &Record) {
        let number = record.number("wave");
        let mut wave = WaveFile {
            csv_path: record.text("csv_path").to_owned(),
            ..WaveFile::default()
        };
        let csv_path = self.folder.join(&wave.csv_path);
        match std::fs::read(&csv_path) {
            Ok(bytes) => {
                let is_known = !self.redacted.contains(&wave.csv_path);
                if is_known && sha256_of_bytes(&bytes) != record.text("csv_sha256") {
                    wave.damage
                        .push(format!("{}: not the file that was compiled", wave.csv_path));
                }
                if let Err(error) = wave.read_csv(&bytes) {
                    wave.damage.push(format!("{}: {error}", wave.csv_path));
                }
            }
            Err(error) => wave.damage.push(format!("{}: {error}", wave.csv_path)),
        }
        let call_path = record.text("call_path");
        let call = std::fs::read(self.folder.join(call_path)).map_err(|error| error.to_string());
        let call = call.and_then(|bytes| {
            serde_json::from_slice(&bytes).map_err(|error: serde_json::Error| error.to_string())
        });
        match call {
            Ok(call) => wave.call = call,
            Err(error) => wave.damage.push(format!("{call_path}: {error}")),
        }
        let ids = wave.rows.iter().filter_map(|row| wave.cell(row, "id"));
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        self.rows.extend(ids.into_iter().map(|id| (id, number)));
        self.waves.insert(number, wave);
    }

    /// All waves.
    pub fn all(&self) -> impl Iterator<Item = (u64, &WaveFile)> {
        self.waves.iter().map(|(number, wave)| (*number, wave))
    }

    /// One wave.
    pub fn get(&self, number: u64) -> Option<&WaveFile> {
        self.waves.get(&number)
    }

    /// The wave of the row called `id`, and the row.
    pub fn row(&self, id: &str) -> Option<(&WaveFile, &[String])> {
        let wave = self.waves.get(self.rows.get(id)?)?;
        let row = wave
            .rows
            .iter()
            .find(|row| wave.cell(row, "id") == Some(id))?;
        Some((wave, row))
    }
}

impl WaveFile {
    fn read_csv(&mut self, bytes: &[u8]) -> Result<(), csv::Error> {
        let mut reader = csv::Reader::from_reader(bytes);
        self.header = reader.headers()?.iter().map(str::to_owned).collect();
        for record in reader.records() {
            self.rows.push(record?.iter().map(str::to_owned).collect());
        }
        Ok(())
    }

    /// The cell of `row` in `column`.
    pub fn cell<'r>(&self, row: &'r [String], column: &str) -> Option<&'r str> {
        let at = self.header.iter().position(|name| name == column)?;
        row.get(at).map(String::as_str)
    }
}
