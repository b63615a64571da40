//! Reads what the tasks write to the files of their slices, as it grows.

use crate::executor::slices::{SliceError, SliceFile};
use crate::job::{Counts, State, Status};
use crate::ledger;
use crate::ledger::Tail;
use crate::model::{AttemptEnd, Event, RowId, WaveNo};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The file of one slice, as far as it has been read.
pub(super) struct SliceReader {
    path: PathBuf,
    generation: u32,
    /// Its first row, 0-based.
    first: u64,
    /// How far it was read.
    tail: Tail,
    /// What they say of the rows.
    state: State,
    /// The events of rows that have not ended, by row.
    open: BTreeMap<u64, OpenRow>,
    /// The machine that took the slice last.
    pub host: String,
    /// The last process has recorded its end.
    pub has_finished: bool,
}

/// A row without an end.
#[derive(Default)]
pub(super) struct OpenRow {
    pub id: Option<RowId>,
    events: Vec<Event>,
    /// An attempt has started and not ended.
    pub is_running: bool,
    /// It has been interrupted since the slice was taken last: its task was asked to end.
    is_interrupted: bool,
}

/// A row that has ended in its slice.
pub(super) struct EndedRow {
    /// 0-based.
    pub index: u64,
    /// Its attempts in the slice.
    pub attempts: u16,
    /// The events of all of them.
    pub events: Vec<Event>,
}

impl SliceReader {
    /// Nothing is read yet. `first`: the 0-based first row of the slice.
    pub fn new(file: &SliceFile, wave: WaveNo, first: u64) -> Self {
        Self {
            first,
            path: file.path.clone(),
            generation: file.generation,
            tail: Tail::default(),
            state: State::of_rows_from(wave, first),
            open: BTreeMap::new(),
            host: String::new(),
            has_finished: false,
        }
    }

    /// Reads what is new in the newest file of the slice. Returns the rows that have ended, again from the first one if the
    /// slice was taken over since, because its file is another one then.
    pub fn read(&mut self, file: &SliceFile, wave: WaveNo) -> Result<Vec<EndedRow>, SliceError> {
        if file.generation != self.generation {
            *self = Self::new(file, wave, self.first);
        }
        let mut ended = Vec::new();
        let Self {
            path,
            tail,
            state,
            open,
            host,
            has_finished,
            ..
        } = self;
        *tail = ledger::scan_from(path, *tail, |record, place| {
            state.apply(&record.event, place);
            match &record.event {
                Event::SliceTaken(taken) => {
                    host.clone_from(&taken.host);
                    *has_finished = false;
                    open.values_mut().for_each(|row| row.is_interrupted = false);
                }
                Event::SliceFinished(_) => *has_finished = true,
                _ => ended.extend(follow(open, state, record.event)),
            }
        })?;
        Ok(ended)
    }

    /// The rows whose attempt has started and not ended.
    pub fn running(&self) -> impl Iterator<Item = (u64, &RowId)> {
        let running = self.open.iter().filter(|(_, row)| row.is_running);
        running.filter_map(|(index, row)| Some((*index, row.id.as_ref()?)))
    }

    /// The rows that the end of the task cut off: they ran until then, or were interrupted because it was to end.
    pub fn cut_off(&self) -> impl Iterator<Item = (u64, &RowId)> {
        let cut_off = self.open.iter();
        let cut_off = cut_off.filter(|(_, row)| row.is_running || row.is_interrupted);
        cut_off.filter_map(|(index, row)| Some((*index, row.id.as_ref()?)))
    }

    /// The rows that have ended, 0-based and ascending.
    pub fn ended(&self) -> impl Iterator<Item = u64> {
        self.state.ended()
    }

    /// Its rows by status.
    pub fn counts(&self) -> Counts {
        self.state.counts()
    }
}

/// Adds an event of a row, and returns the row if it has ended with it.
fn follow(open: &mut BTreeMap<u64, OpenRow>, state: &State, event: Event) -> Option<EndedRow> {
    let (index, id, end) = match &event {
        Event::AttemptStarted(body) => (body.row_index, &body.item_id, None),
        Event::AttemptReported(body) => (body.row_index, &body.item_id, None),
        Event::AttemptFinished(body) => (body.row_index, &body.item_id, Some(body.end)),
        _ => return None,
    };
    let row = open.entry(index).or_default();
    row.id.get_or_insert_with(|| id.clone());
    row.is_running = end.is_none();
    row.is_interrupted = end == Some(AttemptEnd::Interrupted);
    row.events.push(event);
    let item = state.item(index)?;
    if !matches!(item.status, Status::Completed | Status::Failed) {
        return None;
    }
    let attempts = item.attempts;
    open.remove(&index).map(|row| EndedRow {
        index,
        attempts,
        events: row.events,
    })
}
