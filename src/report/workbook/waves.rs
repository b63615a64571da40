//! One sheet a wave: its rows by task and role, with lane, scope and prompt.

use super::error::WorkbookError;
use super::place::Place;
use super::sheet::{Sheet, sheet_name};
use super::style::Styles;
use super::value::Value;
use crate::report::view::{Column, ViewRow};
use rust_xlsxwriter::Workbook;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// The waves with a sheet of their own; the rest share one.
pub const SHEETS_MAX: usize = 200;
const FURTHER: &str = "Further waves";
/// Our columns, and the columns of the wave CSV, in the order of the sheet.
const FIRST: [&str; 4] = ["item", "wave", "unit", "role"];
const OF_INPUT: [&str; 4] = ["lane", "objective", "scope", "prompt"];
const LAST: [&str; 4] = ["status", "verdict", "attempts", "seconds"];
const COLOURED: [&str; 2] = ["status", "verdict"];

/// The sheets of the waves.
#[derive(Default)]
pub struct Waves {
    sheets: Vec<Sheet>,
    places: BTreeMap<u32, Place>,
    input: Vec<Option<usize>>,
    /// Waves without a sheet of their own.
    pub further: usize,
}

impl Waves {
    /// Waves whose CSVs have this header.
    pub fn new(header: &[String]) -> Self {
        let at = |name: &&str| header.iter().position(|column| column == *name);
        Self {
            input: OF_INPUT.iter().map(at).collect(),
            ..Self::default()
        }
    }

    /// The top of the sheet of a wave.
    pub fn place(&self, wave: u32) -> Option<&Place> {
        self.places.get(&wave)
    }

    /// The sheets, in order.
    pub fn into_sheets(self) -> Vec<Sheet> {
        self.sheets
    }

    /// Adds a row with a link to where it stands in Results.
    pub fn row(
        &mut self,
        workbook: &mut Workbook,
        styles: &Rc<Styles>,
        row: &ViewRow,
        results: &Place,
        whole: &Path,
    ) -> Result<(), WorkbookError> {
        let wave = row.wave.unwrap_or_default();
        if !self.places.contains_key(&wave) {
            self.begin(workbook, styles, wave, &row.round)?;
        }
        let own = |name: &&'static str| match *name {
            "item" => Value::Row(row.item.clone(), results.clone()),
            name => Value::of_cell(Column::Own(name).cell(row)),
        };
        let input = |at: &Option<usize>| {
            let field = at.and_then(|at| row.fields.get(at));
            Value::text(field.cloned().unwrap_or_default())
        };
        let mut values: Vec<Value> = FIRST.iter().map(own).collect();
        values.extend(self.input.iter().map(input));
        values.extend(LAST.iter().map(own));
        // Rows come by wave, so the last sheet is theirs.
        if let Some(sheet) = self.sheets.last_mut() {
            sheet.row(workbook, &values, whole)?;
        }
        Ok(())
    }

    fn begin(
        &mut self,
        workbook: &mut Workbook,
        styles: &Rc<Styles>,
        wave: u32,
        round: &str,
    ) -> Result<(), WorkbookError> {
        let name = match self.places.len() {
            ..SHEETS_MAX => sheet_name(&format!("{wave:03} {round}")),
            _ => FURTHER.to_owned(),
        };
        if self.places.len() <= SHEETS_MAX {
            let titles = FIRST.iter().chain(&OF_INPUT).chain(&LAST);
            let titles = titles.map(|title| (*title).to_owned()).collect();
            let sheet = Sheet::begin(workbook, styles, &name, titles, &COLOURED)?;
            self.sheets.push(sheet);
        }
        self.further += usize::from(self.places.len() >= SHEETS_MAX);
        if let Some(sheet) = self.sheets.last() {
            self.places.insert(wave, sheet.top());
        }
        Ok(())
    }
}
