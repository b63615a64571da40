//! Where the rows of an input begin, so that a slice of a job reads its own rows and not all of them.
//!
//! A file in the folder of a sliced job ([`Settings::row_index`]) with the place of every Nth row. An index that does not fit the input
//! is ignored: the input is then read from its beginning.

use super::settings::Settings;
use crate::platform::write_private;
use crate::table::Mark;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;

/// The version of the file.
const VERSION: u32 = 1;

/// The most marks of an index; with more rows they are farther apart.
const MARKS_MAX: usize = 4096;

/// The index of an input. As JSON: `{"v": 1, "bytes": …, "rows": …, "step": 256, "marks": [{"offset": …, …}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowIndex {
    v: u32,
    /// The size of the input.
    bytes: u64,
    /// How many rows it has.
    pub(super) rows: u64,
    pub(super) marks: Marks,
}

/// The places of rows 0, `step`, 2 `step`, … (0-based).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    step: u64,
    places: Vec<Mark>,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            step: 1,
            places: Vec::new(),
        }
    }
}

impl Marks {
    /// Whether row `index`, which is read next in order, is to be marked.
    pub(super) fn wants(&self, index: u64) -> bool {
        index == self.places.len() as u64 * self.step
    }

    /// Marks the row that was asked for.
    pub(super) fn add(&mut self, mark: Mark) {
        self.places.push(mark);
        if self.places.len() > MARKS_MAX {
            let mut is_even = false;
            self.places.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.step *= 2;
        }
    }

    /// The last marked row at or before row `index`, and its place.
    pub(super) fn before(&self, index: u64) -> Option<(u64, Mark)> {
        let last = self.places.len().checked_sub(1)?;
        let at = (index / self.step).min(last as u64);
        Some((at * self.step, self.places[at as usize]))
    }
}

impl RowIndex {
    /// The index of an input of `rows` rows, all of whose ids are different.
    pub(super) fn new(input: &Path, rows: u64, marks: Marks) -> io::Result<Self> {
        Ok(Self {
            v: VERSION,
            bytes: input.metadata()?.len(),
            rows,
            marks,
        })
    }

    /// The index of a job's input, if there is one that may fit.
    pub(super) fn find(settings: &Settings) -> Option<Self> {
        let text = std::fs::read(settings.row_index.as_ref()?).ok()?;
        let index: Self = serde_json::from_slice(&text).ok()?;
        let is_same = settings
            .input_path
            .metadata()
            .is_ok_and(|now| now.len() == index.bytes);
        (index.v == VERSION && is_same && index.marks.step > 0).then_some(index)
    }

    /// Writes it.
    ///
    /// # Errors
    /// It can't be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        write_private(path, &serde_json::to_vec(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64) -> Mark {
        Mark {
            offset,
            lines: offset,
            rows: offset,
            begin: 0,
        }
    }

    #[test]
    fn marks_are_bounded_and_the_one_before_a_row_is_found() {
        let mut marks = Marks::default();
        for row in 0..1_000_000 {
            if marks.wants(row) {
                marks.add(mark(row));
            }
        }
        assert!((MARKS_MAX / 2..=MARKS_MAX).contains(&marks.places.len()));
        for row in [0, 1, 255, 256, 999_999, 2_000_000] {
            let (before, place) = marks.before(row).expect("a mark");
            assert_eq!(place.offset, before);
            assert!(before <= row && (row >= 1_000_000 || row - before < marks.step));
        }
        assert_eq!(Marks::default().before(7), None);
    }
}
