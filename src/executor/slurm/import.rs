//! From the files of slices to the events of the run: each row once, when it has ended.

use super::folder::ArrayFolder;
use super::slice_reader::{EndedRow, SliceReader};
use crate::executor::slices::{SliceFile, SliceName};
use crate::job::{JobError, Rows, RunningRow, Settings, State, Status};
use crate::model::{AttemptEnd, AttemptKey, Event, RowId, Usage};
use crate::platform::clock;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How many running rows are shown.
const SHOWN_MAX: usize = 8;

/// What has been read of all slices.
#[derive(Default)]
pub(super) struct Import {
    readers: BTreeMap<u64, SliceReader>,
    /// When a running row was first seen.
    seen: HashMap<u64, Instant>,
}

/// What is new.
#[derive(Default)]
pub(super) struct News {
    pub rows: Vec<ImportedRow>,
    /// A worker asked to stop the job.
    pub asks_to_stop: bool,
}

/// A row that has ended, as the run records it.
pub(super) struct ImportedRow {
    pub slice: u64,
    /// 0-based.
    pub index: u64,
    pub events: Vec<Event>,
    /// What its attempts used.
    pub usage: Usage,
}

impl Import {
    /// Reads what is new.
    pub fn read(
        &mut self,
        array: &ArrayFolder,
        settings: &Settings,
        state: &State,
    ) -> Result<News, JobError> {
        let mut news = News::default();
        for file in SliceFile::list(&array.folder.slices())? {
            let SliceName::Number(slice) = file.slice else {
                continue;
            };
            let reader = self.readers.entry(slice);
            let reader = reader.or_insert_with(|| {
                let rows = array.sliced.slicing.rows_of(slice);
                let first = rows.and_then(|rows| rows.numbers().next());
                SliceReader::new(&file, settings.wave, first.map_or(0, |number| number - 1))
            });
            for row in reader.read(&file, settings.wave)? {
                self.seen.remove(&row.index);
                let before = array.sliced.attempts_before.get(&row.index);
                if let Some(imported) = imported(slice, row, before.copied().unwrap_or(0), state) {
                    news.asks_to_stop |= imported.events.iter().any(asks_to_stop);
                    news.rows.push(imported);
                }
            }
        }
        let readers = self.readers.values();
        for (row, _) in readers.flat_map(SliceReader::running) {
            self.seen.entry(row).or_insert_with(Instant::now);
        }
        Ok(news)
    }

    /// The rows that have ended in their slices.
    pub fn ended_rows(&self) -> Rows {
        // Slices ascend, and so do the rows in them.
        let ended = self.readers.values().flat_map(SliceReader::ended);
        Rows::of_numbers(ended.map(|row| row + 1))
    }

    /// The rows of a slice that the end of its task cut off.
    pub fn cut_off(&self, slice: u64) -> impl Iterator<Item = (u64, &RowId)> {
        let reader = self.readers.get(&slice);
        reader.into_iter().flat_map(SliceReader::cut_off)
    }

    /// How many rows of a slice have ended.
    pub fn ended(&self, slice: u64) -> u64 {
        let reader = self.readers.get(&slice);
        reader.map_or(0, |reader| reader.counts().ended())
    }

    /// Whether the last process of a slice recorded its end.
    pub fn has_finished(&self, slice: u64) -> bool {
        let reader = self.readers.get(&slice);
        reader.is_some_and(|reader| reader.has_finished)
    }

    /// The events of a row that is given up.
    pub fn give_up(
        &self,
        settings: &Settings,
        state: &State,
        row: u64,
        id: &RowId,
        text: &str,
    ) -> [Event; 2] {
        let attempts = state.item(row).map_or(0, |item| item.attempts);
        let key = AttemptKey {
            wave: settings.wave,
            item_id: id.clone(),
            row_index: row,
            attempt: u32::from(attempts) + 1,
        };
        let now = clock::csv_time(clock::now());
        let mut finished = key.clone().finished(AttemptEnd::Failed, now);
        finished.error = Some(text.to_owned());
        [Event::from(key.started()), Event::from(finished)]
    }

    pub fn count_running(&self) -> u64 {
        let readers = self.readers.values();
        readers.flat_map(SliceReader::running).count() as u64
    }

    /// The rows that run, with their nodes, longest first.
    pub fn shown(&self) -> Vec<RunningRow> {
        let mut rows: Vec<RunningRow> = Vec::new();
        for reader in self.readers.values() {
            rows.extend(reader.running().map(|(row, id)| RunningRow {
                id: RowId::new(format!("{id} on {}", reader.host)),
                age: self.seen.get(&row).map_or(Duration::ZERO, Instant::elapsed),
                quiet: Duration::ZERO,
            }));
        }
        rows.sort_by(|a, b| b.age.cmp(&a.age).then(a.id.cmp(&b.id)));
        rows.truncate(SHOWN_MAX);
        rows
    }
}

fn asks_to_stop(event: &Event) -> bool {
    matches!(event, Event::AttemptReported(reported) if reported.stop)
}

/// The row as the run records it, with its attempts numbered behind those `before`; `None` if the run has it already.
fn imported(slice: u64, row: EndedRow, before: u16, state: &State) -> Option<ImportedRow> {
    let known = state.item(row.index).copied().unwrap_or_default();
    let is_known = known.status != Status::Pending || known.attempts >= before + row.attempts;
    // A row that ended without an attempt that counts has nothing to compare.
    if is_known && row.attempts > 0 {
        return None;
    }
    let mut usage = Usage::default();
    let mut events = row.events;
    for event in &mut events {
        match event {
            Event::AttemptStarted(body) => body.attempt += u32::from(before),
            Event::AttemptReported(body) => body.attempt += u32::from(before),
            Event::AttemptFinished(body) => {
                body.attempt += u32::from(before);
                if let Some(used) = body.usage {
                    usage += used;
                }
            }
            _ => {}
        }
    }
    Some(ImportedRow {
        slice,
        index: row.index,
        events,
        usage,
    })
}
