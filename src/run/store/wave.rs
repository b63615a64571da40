//! A wave of a run with the state of its rows: a part of the fold over the ledger.

use super::answer_place::{AnswerPlace, Gist, Reported};
use crate::job;
use crate::ledger::{LedgerError, Lines};
use crate::model::{JobId, RowId, WaveCompiled};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A wave with the state of its rows.
#[derive(Clone, Debug)]
pub struct Wave {
    /// The files and row ids.
    pub compiled: WaveCompiled,
    /// The state of the rows.
    pub job: job::State,
    /// The codes of failed attempts, including those that were retried.
    pub failures: BTreeSet<String>,
    /// What the answers say that decides something, by the index of the row.
    gists: BTreeMap<u64, Gist>,
    /// The job, once it has started.
    pub job_id: Option<JobId>,
    /// Rows whose answer was refused, with the code.
    pub refused: Vec<(RowId, String)>,
    /// Whether each row has a verdict, by index.
    judged: Vec<bool>,
    /// How many rows have a verdict.
    judged_rows: usize,
    /// The indexes of the rows in the order of their ids: a map with the ids would take several times as much memory.
    by_id: Vec<u32>,
}

impl Wave {
    /// A compiled wave, no row of which has started.
    pub(super) fn new(compiled: WaveCompiled) -> Self {
        let rows = &compiled.rows;
        let mut job = job::State::new(compiled.wave);
        job.expect(rows.len() as u64);
        let mut by_id: Vec<u32> = (0..rows.len() as u32).collect();
        by_id.sort_by_key(|index| &rows[*index as usize]);
        Self {
            job,
            failures: BTreeSet::new(),
            gists: BTreeMap::new(),
            job_id: None,
            refused: Vec::new(),
            judged: vec![false; rows.len()],
            judged_rows: 0,
            by_id,
            compiled,
        }
    }

    /// The index of row `id`.
    pub fn index(&self, id: &RowId) -> Option<u64> {
        let row = |index: &u32| &self.compiled.rows[*index as usize];
        let at = self.by_id.binary_search_by_key(&id, row).ok()?;
        Some(u64::from(self.by_id[at]))
    }

    /// What row `id` reported last; `None` without a report.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn report(&self, id: &RowId, lines: &Lines) -> Result<Option<Reported>, LedgerError> {
        match self.index(id) {
            Some(index) => self.report_at(index, lines),
            None => Ok(None),
        }
    }

    /// What the row at `index` reported last; `None` without a report.
    ///
    /// # Errors
    /// The ledger can't be read.
    pub fn report_at(&self, index: u64, lines: &Lines) -> Result<Option<Reported>, LedgerError> {
        let place = self.job.item(index).and_then(|item| item.reported);
        place.map(|place| Reported::read(place, lines)).transpose()
    }

    /// Where the answer of the row at `index` is.
    pub(super) fn answer_place(&self, index: u64) -> Option<AnswerPlace> {
        Some(AnswerPlace {
            place: self.job.item(index)?.reported?,
            gist: self.gists.get(&index).copied().unwrap_or_default(),
        })
    }

    /// Notes what the answer of the row at `index` says that decides something.
    pub(super) fn note_gist(&mut self, index: u64, answer: &Value) {
        match Gist::of(answer) {
            gist if gist == Gist::default() => self.gists.remove(&index),
            gist => self.gists.insert(index, gist),
        };
    }

    /// Whether rows have no verdict.
    pub fn is_open(&self) -> bool {
        self.judged_rows < self.compiled.rows.len()
    }

    /// Whether the row at `index` has a verdict.
    pub fn is_judged(&self, index: u64) -> bool {
        self.judged.get(index as usize).copied().unwrap_or(false)
    }

    /// The rows without a verdict, with their indexes.
    pub fn open_rows(&self) -> impl Iterator<Item = (u64, &RowId)> {
        let rows = (0..).zip(&self.compiled.rows);
        rows.filter(|(index, _)| !self.is_judged(*index))
    }

    /// Marks the row at `index` as judged; `false` if it was before.
    pub(super) fn mark_judged(&mut self, index: u64) -> bool {
        match self.judged.get_mut(index as usize) {
            Some(judged) if !*judged => {
                *judged = true;
                self.judged_rows += 1;
                true
            }
            _ => false,
        }
    }
}
