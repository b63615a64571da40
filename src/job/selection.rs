//! `--rows` and `--sample`: which rows of the input a job runs.
//!
//! Row numbers are 1-based over kept rows, as in the id `row-N`; an `index` is 0-based, as in the column `row_index`.
//! With both options the sample is spread over the rows that `--rows` picks. Nothing is random: resuming depends on the
//! same selection of the same input picking the same rows.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The `last` of a range with an open end; no row has this number.
const OPEN: u64 = u64::MAX;

/// Which rows to run. As JSON: `{"rows": "1-10,15,40-" or null, "sample": 100 or null}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// `--rows`; without it, all.
    pub rows: Option<Rows>,
    /// `--sample`: of `n` rows picked by `rows`, those at `floor(i * n / sample)`; all if it is not less than `n`.
    pub sample: Option<NonZeroU64>,
}

/// Rows by number: `1-10,15,40-`, in any order, overlaps counted once. Written as text, also in JSON: sorted and
/// merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rows(Vec<Range>);

/// Why a `--rows` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// Empty, or nothing next to a comma.
    #[error("a row number is missing; for example: 1-10,15,40-")]
    Missing,
    /// Row 0.
    #[error("`{0}`: rows count from 1")]
    Zero(String),
    /// `5-3`.
    #[error("`{piece}` runs backwards; write {last}-{first}")]
    Backwards {
        /// As given.
        piece: String,
        /// Its first number.
        first: u64,
        /// Its second number.
        last: u64,
    },
    /// `-5`.
    #[error("`{0}` has no first row; write 1{0}")]
    NoFirst(String),
    /// A number out of range.
    #[error("`{0}`: no input has so many rows")]
    TooLarge(String),
    /// Anything else.
    #[error("`{0}` is neither a row number nor a range; for example: 1-10,15,40-")]
    NotRows(String),
}

/// A range of rows, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    /// Rows in the ranges before this one.
    before: u64,
}

impl Selection {
    /// Whether the row at `index` of an input of `total` rows is picked.
    pub fn picks(&self, index: u64, total: u64) -> bool {
        if index >= total {
            return false;
        }
        let rank = match &self.rows {
            None => Some(index),
            Some(rows) => rows.rank(index + 1),
        };
        match (rank, self.sample) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(rank), Some(size)) => is_sampled(rank, self.named(total), size.get()),
        }
    }

    /// How many rows of an input of `total` rows are picked.
    pub fn count(&self, total: u64) -> u64 {
        let named = self.named(total);
        self.sample.map_or(named, |size| named.min(size.get()))
    }

    /// The lowest requested row number that is out of range: a single row, the end of a range, or the start of an open
    /// one. Refused before anything starts.
    pub fn beyond(&self, total: u64) -> Option<u64> {
        // The ranges are sorted and disjoint, so the first that is out of range has the lowest such row.
        let ranges = self.rows.iter().flat_map(|rows| &rows.0);
        let mut missing = ranges
            .filter(|range| range.first > total || (total < range.last && range.last != OPEN));
        missing.next().map(|range| range.first.max(total + 1))
    }

    /// The index of the first row that may be picked.
    pub fn first(&self) -> u64 {
        let first = self.rows.as_ref().and_then(|rows| rows.0.first());
        first.map_or(0, |range| range.first - 1)
    }

    /// The index behind the last row of an input of `total` rows that may be picked.
    pub fn end(&self, total: u64) -> u64 {
        match &self.rows {
            None => total,
            Some(rows) => rows.0.last().map_or(0, |range| range.last.min(total)),
        }
    }

    /// The picked rows of an input of `total` rows.
    pub fn resolve(&self, total: u64) -> Rows {
        Rows::of_numbers(
            (0..total)
                .filter(|index| self.picks(*index, total))
                .map(|index| index + 1),
        )
    }

    fn named(&self, total: u64) -> u64 {
        self.rows.as_ref().map_or(total, |rows| rows.count(total))
    }
}

/// Whether some `i` has `floor(i * count / size) == rank`: the least that can is `ceil(rank * size / count)`.
fn is_sampled(rank: u64, count: u64, size: u64) -> bool {
    if size >= count {
        return true;
    }
    let (rank, count, size) = (u128::from(rank), u128::from(count), u128::from(size));
    let i = (rank * size).div_ceil(count);
    i * count / size == rank
}

impl Rows {
    /// The rows from 1 to `count`.
    pub fn of_first(count: u64) -> Self {
        Self(match count {
            0 => Vec::new(),
            last => vec![Range {
                first: 1,
                last,
                before: 0,
            }],
        })
    }

    /// The rows `numbers`, which ascend.
    pub fn of_numbers(numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut ranges: Vec<Range> = Vec::new();
        for (before, number) in (0..).zip(numbers) {
            match ranges.last_mut() {
                Some(last) if last.last + 1 == number => last.last = number,
                _ => ranges.push(Range {
                    first: number,
                    last: number,
                    before,
                }),
            }
        }
        Self(ranges)
    }

    /// The rows that `other` does not name.
    pub fn without(&self, other: &Self) -> Self {
        Self::of_numbers(
            self.numbers()
                .filter(|number| other.rank(*number).is_none()),
        )
    }

    /// Every row, in order; an open range does not end.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().flat_map(|range| range.first..=range.last)
    }

    /// How many rows it names; the rest of an open range counts as infinite.
    pub fn len(&self) -> u64 {
        self.count(OPEN)
    }

    /// Whether it names no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// At most `count` rows, from the one of 0-based rank `from` on; `None` if there are none.
    pub fn part(&self, from: u64, count: u64) -> Option<Self> {
        let end = from.saturating_add(count);
        let part = self.0.iter().filter_map(|range| {
            let first = from.max(range.before) - range.before + range.first;
            let ranks = end.checked_sub(range.before).filter(|ranks| *ranks > 0)?;
            let last = range.last.min(range.first.saturating_add(ranks - 1));
            (first <= last).then_some(Range {
                first,
                last,
                before: 0,
            })
        });
        let part = Self::merged(part.collect());
        (!part.is_empty()).then_some(part)
    }

    /// The 0-based rank of row `number` among the named rows.
    fn rank(&self, number: u64) -> Option<u64> {
        let range = self.last_from(number)?;
        (number <= range.last).then(|| range.before + (number - range.first))
    }

    fn count(&self, total: u64) -> u64 {
        self.last_from(total).map_or(0, |range| {
            range.before + (range.last.min(total) - range.first) + 1
        })
    }

    /// The last range that starts at or before row `number`.
    fn last_from(&self, number: u64) -> Option<&Range> {
        let after = self.0.partition_point(|range| range.first <= number);
        self.0[..after].last()
    }

    fn merged(mut ranges: Vec<Range>) -> Self {
        ranges.sort_by_key(|range| range.first);
        let mut merged: Vec<Range> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.first <= last.last.saturating_add(1) => {
                    last.last = last.last.max(range.last);
                }
                Some(last) => {
                    let before = last.before + (last.last - last.first) + 1;
                    merged.push(Range { before, ..range });
                }
                None => merged.push(range),
            }
        }
        Self(merged)
    }
}

impl FromStr for Rows {
    type Err = RowsError;

    fn from_str(text: &str) -> Result<Self, RowsError> {
        let ranges: Result<_, _> = text.split(',').map(|piece| range(piece.trim())).collect();
        Ok(Self::merged(ranges?))
    }
}

fn range(piece: &str) -> Result<Range, RowsError> {
    let (first, last) = match piece.split_once('-') {
        None if piece.is_empty() => return Err(RowsError::Missing),
        Some(("", _)) => return Err(RowsError::NoFirst(piece.to_owned())),
        None => (number(piece, piece)?, number(piece, piece)?),
        Some((first, "")) => (number(first, piece)?, OPEN),
        Some((first, last)) => (number(first, piece)?, number(last, piece)?),
    };
    if last < first {
        let piece = piece.to_owned();
        return Err(RowsError::Backwards { piece, first, last });
    }
    Ok(Range {
        first,
        last,
        before: 0,
    })
}

fn number(text: &str, piece: &str) -> Result<u64, RowsError> {
    let text = text.trim();
    // The standard parser also takes `+3`.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RowsError::NotRows(piece.to_owned()));
    }
    match text.parse() {
        Ok(0) => Err(RowsError::Zero(piece.to_owned())),
        Ok(OPEN) | Err(_) => Err(RowsError::TooLarge(piece.to_owned())),
        Ok(number) => Ok(number),
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            match (range.first, range.last) {
                (first, OPEN) => write!(f, "{first}-")?,
                (first, last) if first == last => write!(f, "{first}")?,
                (first, last) => write!(f, "{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Rows {
    type Error = RowsError;

    fn try_from(text: String) -> Result<Self, RowsError> {
        text.parse()
    }
}

impl From<Rows> for String {
    fn from(rows: Rows) -> Self {
        rows.to_string()
    }
}

#[cfg(test)]
mod tests;
