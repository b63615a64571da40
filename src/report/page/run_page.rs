//! The page of a run that can be brought up to date: only what was recorded since is read again.

use super::data;
use super::timeline::Timeline;
use crate::ledger::Record;
use crate::model::{RowId, UnitId, WaveNo};
use crate::report::stats::FanOutFold;
use crate::report::view::{RunView, ViewError};
use crate::run::RunFolder;
use serde_json::Value;

/// A run as its page needs it.
pub struct RunPage {
    run: RunView,
    timeline: Timeline,
    fan_out: FanOutFold,
    version: u64,
}

impl RunPage {
    /// Reads a run.
    pub fn read(folder: RunFolder) -> Result<Self, ViewError> {
        let (mut timeline, mut fan_out) = (Timeline::default(), FanOutFold::default());
        let run = RunView::read_with(folder, |record, _| {
            timeline.apply(record);
            fan_out.apply(record);
        })?;
        timeline.close();
        Ok(Self {
            run,
            timeline,
            fan_out,
            version: 1,
        })
    }

    /// Reads what was recorded since.
    pub fn refresh(&mut self) -> Result<(), ViewError> {
        let (timeline, fan_out) = (&mut self.timeline, &mut self.fan_out);
        let apply = |record: &Record| {
            timeline.apply(record);
            fan_out.apply(record);
        };
        if self.run.refresh(apply)? {
            let timeline = &mut self.timeline;
            timeline.close();
            self.version += 1;
        }
        Ok(())
    }

    /// Grows with each change, from 1 on.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The run.
    pub fn run(&self) -> &RunView {
        &self.run
    }

    /// The data of the page.
    pub fn data(&self) -> Result<Value, ViewError> {
        data::of_run(&self.run, &self.timeline, &self.fan_out)
    }

    /// The row of a wave with longer texts than in [`RunPage::data`], if there is one; 1 is the wave of a spawned CSV.
    pub fn row(&self, wave: WaveNo, id: &RowId) -> Result<Option<Value>, ViewError> {
        data::of_row(&self.run, &self.timeline, wave, id)
    }

    /// A task, likewise.
    pub fn task(&self, id: &UnitId) -> Result<Option<Value>, ViewError> {
        data::of_task(&self.run, &self.timeline, id)
    }
}
