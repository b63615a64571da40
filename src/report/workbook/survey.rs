//! The first pass over the rows: which columns have values, which properties results have, and the sums.

use super::cost::Costs;
use crate::report::view::{Cell, Column, Needs, Source, Totals, ViewError, ViewRow};
use indexmap::IndexSet;
use serde_json::Value as Json;

/// The most properties of results with a column of their own; the rest is in `result`.
const PROPERTIES_MAX: usize = 500;

/// What is known before the first row is written.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The sums over all rows.
    pub totals: Totals,
    /// The sums by role, adapter and wave.
    pub costs: Costs,
    /// The top-level properties of results, in the order in which they appear.
    pub properties: IndexSet<String>,
    /// Whether there are more properties than columns for them.
    pub has_more: bool,
    used: Vec<&'static str>,
}

impl Survey {
    /// Reads all rows.
    pub fn take(source: &Source, has_waves: bool) -> Result<Self, ViewError> {
        let needs = Needs {
            record: true,
            input: false,
        };
        let mut survey = Self::default();
        source.each_row(needs, |row| {
            survey.add(&row, has_waves);
            Ok::<_, ViewError>(())
        })?;
        Ok(survey)
    }

    /// Whether any row has a value in one of our columns.
    pub fn has(&self, name: &str) -> bool {
        self.used.contains(&name)
    }

    fn add(&mut self, row: &ViewRow, has_waves: bool) {
        self.totals.add(row);
        self.costs.add(row, has_waves);
        for name in Column::NAMES {
            // A CSV job is a single wave, which says nothing.
            let says_nothing = name == "wave" && !has_waves;
            if !says_nothing && !self.has(name) && Column::Own(name).cell(row) != Cell::Empty {
                self.used.push(name);
            }
        }
        let result = row.result.as_ref().and_then(Json::as_object);
        for name in result.into_iter().flat_map(|object| object.keys()) {
            match self.properties.len() < PROPERTIES_MAX {
                true => drop(self.properties.insert(name.clone())),
                false => self.has_more |= !self.properties.contains(name),
            }
        }
    }
}
