//! What to look at: a wave CSV, an output CSV, or a run.

use super::error::ViewError;
use super::needs::Needs;
use super::row::ViewRow;
use super::run_rows::RunView;
use super::table_rows::TableView;
use crate::model::RunId;
use crate::platform::look;
use crate::run::{RunError, RunFolder};
use std::fs::Metadata;
use std::path::Path;

/// Something with rows.
pub enum Source {
    /// A run, by its ledger.
    Run(Box<RunView>),
    /// A wave CSV or an output CSV.
    Table(TableView),
}

impl Source {
    /// Opens what `given` names: a CSV, the folder of a run, or the id of a run below `home`. `base` is the working folder.
    pub fn open(given: &str, base: &Path, home: &Path) -> Result<Self, ViewError> {
        let path = base.join(given);
        let there = look::reach(&path).map_err(RunError::io(&path))?;
        if there.as_ref().is_some_and(Metadata::is_dir) {
            return Ok(Self::Run(Box::new(RunView::at(&path)?)));
        }
        if there.is_some() || given.ends_with(".csv") {
            return Ok(Self::Table(TableView::open(&path, Path::new(given))?));
        }
        let folder = RunFolder::find(home, &RunId::new(given))?;
        Ok(Self::Run(Box::new(RunView::read(folder)?)))
    }

    /// The columns of the input.
    pub fn header(&self) -> &[String] {
        match self {
            Self::Run(run) => run.header(),
            Self::Table(table) => table.header(),
        }
    }

    /// Visits every row in order.
    pub fn each_row<E: From<ViewError>>(
        &self,
        needs: Needs,
        visit: impl FnMut(ViewRow) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Run(run) => run.each_row(needs, visit),
            Self::Table(table) => table.each_row(visit),
        }
    }
}
