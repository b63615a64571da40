//! Which rows are which slice. Pure, so that every host gets the same answer.

use crate::job::Rows;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a job is sliced. As JSON: `{"rows": "1-40,42", "rows_per_slice": 10, "rows_at_once": 1}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slicing {
    /// The rows of the job, by number; no range is open.
    pub rows: Rows,
    /// The rows of a slice; the last one may have fewer.
    pub rows_per_slice: u64,
    /// How many rows of a slice run at once.
    pub rows_at_once: usize,
}

impl Slicing {
    /// The slicing of `rows` for an engine with `slices_max` slices at most, and with `rows_per_slice` if given.
    pub fn new(
        rows: Rows,
        rows_per_slice: Option<u64>,
        slices_max: u64,
        rows_at_once: usize,
    ) -> Self {
        let needed = rows.len().div_ceil(slices_max.max(1));
        Self {
            rows_per_slice: rows_per_slice.unwrap_or(1).max(needed).max(1),
            rows,
            rows_at_once,
        }
    }

    /// How many slices there are.
    pub fn count(&self) -> u64 {
        self.rows.len().div_ceil(self.rows_per_slice)
    }

    /// The rows of slice `number`, counted from 1.
    pub fn rows_of(&self, number: u64) -> Option<Rows> {
        let before = number.checked_sub(1)?.checked_mul(self.rows_per_slice)?;
        self.rows.part(before, self.rows_per_slice)
    }
}

/// The name of a slice, and the beginning of its file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SliceName {
    /// One of the job's slices, counted from 1: `00017`.
    Number(u64),
    /// Rows that a caller picked: `rows-1-100`.
    Rows(String),
}

impl SliceName {
    /// The name for picked rows.
    pub fn of_rows(rows: &Rows) -> Self {
        // A file name has at most 255 bytes.
        const CHARS_MAX: usize = 60;
        let text = rows.to_string();
        let named = match text.len() <= CHARS_MAX {
            true => text.replace(',', "+"),
            false => {
                let hash = crate::platform::sha256_of_bytes(text.as_bytes());
                format!("{:.24}", hash)
            }
        };
        Self::Rows(named)
    }
}

impl fmt::Display for SliceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number:05}"),
            Self::Rows(rows) => write!(f, "rows-{rows}"),
        }
    }
}

impl FromStr for SliceName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.strip_prefix("rows-") {
            Some(rows) => Ok(Self::Rows(rows.to_owned())),
            None => text.parse().map(Self::Number).map_err(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slicing(rows: &str, per_slice: u64, slices_max: u64) -> Slicing {
        let rows = rows.parse().expect("rows");
        Slicing::new(rows, Some(per_slice), slices_max, 1)
    }

    #[test]
    fn slices_cover_every_row_once() {
        let sliced = slicing("1-7,20,30-40", 4, 1000);
        let parts: Vec<String> = (1..=sliced.count())
            .filter_map(|number| sliced.rows_of(number))
            .map(|rows| rows.to_string())
            .collect();
        assert_eq!(parts, ["1-4", "5-7,20", "30-33", "34-37", "38-40"]);
        assert_eq!(sliced.rows_of(0), None);
        assert_eq!(sliced.rows_of(6), None);
    }

    #[test]
    fn a_million_rows_are_at_most_a_thousand_slices() {
        let sliced = slicing("1-1000000", 1, 1000);
        assert_eq!((sliced.rows_per_slice, sliced.count()), (1000, 1000));
        assert_eq!(slicing("1-1001", 1, 1000).count(), 501);
        assert_eq!(slicing("1-5", 1, 1000).count(), 5);
    }

    #[test]
    fn a_name_is_read_back() {
        let picked = SliceName::of_rows(&"1-100,7".parse().expect("rows"));
        for name in [SliceName::Number(17), picked] {
            assert_eq!(name.to_string().parse(), Ok(name));
        }
    }
}
