//! The folder of the job that the tasks of a run share, and its name in Slurm.

use crate::executor::slices::{JobFolder, SliceError, SlicedJob, Slicing};
use crate::job::{
    Budget, ExecutorChoice, Halt, JobError, Rows, Settings, SlurmOptions, State, Status, Survey,
};
use crate::platform::{durable, look, private};
use std::collections::BTreeMap;

/// The folder of the job, and what Slurm calls its arrays.
pub(super) struct ArrayFolder {
    pub folder: JobFolder,
    pub sliced: SlicedJob,
    pub name: String,
    /// Nothing of it was submitted before.
    pub is_new: bool,
}

impl ArrayFolder {
    /// The newest folder of the job; `None` if there is none yet.
    pub fn newest(settings: &Settings) -> Result<Option<Self>, JobError> {
        let number = last_number(settings)?;
        if number == 0 {
            return Ok(None);
        }
        let folder = at(settings, number);
        Ok(Some(Self {
            sliced: folder.read().map_err(JobError::from)?,
            name: name(settings, number),
            folder,
            is_new: false,
        }))
    }

    /// Makes a folder for the rows that are pending, with at most `slices_max` slices.
    pub fn create(
        settings: &Settings,
        options: &SlurmOptions,
        survey: &Survey,
        rows: Rows,
        slices_max: u64,
        state: &State,
    ) -> Result<Self, JobError> {
        let number = last_number(settings)? + 1;
        let folder = at(settings, number);
        let logs = folder.path().join("logs");
        private::make_folders(&logs).map_err(JobError::Scratch)?;
        let before = rows.numbers().filter_map(|number| {
            let attempts = state.item(number - 1)?.attempts;
            (attempts > 0).then_some((number - 1, attempts))
        });
        let before: BTreeMap<u64, u16> = before.collect();
        let at_once = options.rows_at_once.max(1);
        let slicing = Slicing::new(rows, options.rows_per_task, slices_max, at_once);
        // What counts over all slices is up to the process that hands them out, and a slice runs where it is.
        let index = folder.path().join(JobFolder::ROW_INDEX);
        let is_indexed = survey
            .write_index(&settings.input_path, &index)
            .map_err(JobError::Scratch)?;
        let job = Settings {
            row_index: is_indexed.then_some(index),
            executor: ExecutorChoice::Local,
            halt: Halt::default(),
            budget: Budget::default(),
            max_wall_seconds: None,
            ..settings.clone()
        };
        let mut sliced = SlicedJob::new(job, slicing);
        sliced.attempts_before = before;
        folder.write(&sliced).map_err(JobError::from)?;
        Ok(Self {
            name: name(settings, number),
            folder,
            sliced,
            is_new: true,
        })
    }

    /// Leaves the rows of slice `number` out that were given up.
    pub fn skip(&self, number: u64, rows: &Rows) -> Result<(), JobError> {
        let path = self.folder.skipped_file(number);
        let text = format!("{rows}\n");
        crate::platform::write_private(&path, text.as_bytes()).map_err(JobError::Scratch)
    }

    /// Asks the tasks that run to start no more rows, or takes that back.
    pub fn ask_to_stop(&self, stop: bool) -> Result<(), JobError> {
        let path = self.folder.stop_file();
        let done = match stop {
            true => private::write(&path, b""),
            false => durable::remove(&path),
        };
        done.map_err(JobError::Scratch)
    }

    /// The last line that the tasks of a slice printed.
    pub fn last_line(&self, number: u64) -> Option<String> {
        let log = self.folder.path().join(format!("logs/slurm-{number}.log"));
        let text = std::fs::read(log).ok()?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
        Some(crate::model::one_line(line.trim()))
    }
}

/// The rows that are pending, as many as the budget has left.
pub(super) fn pending(settings: &Settings, survey: &Survey, state: &State) -> Rows {
    let is_pending = |number: &u64| {
        let item = state.item(number - 1);
        item.is_none_or(|item| item.status == Status::Pending)
    };
    let picked = survey.picked();
    let rows = picked.numbers().filter(is_pending);
    match settings.budget.max_rows {
        None => Rows::of_numbers(rows),
        Some(max) => {
            let left = max.saturating_sub(state.spent.rows);
            let mut fresh = 0;
            Rows::of_numbers(rows.filter(|number| {
                fresh += u64::from(!state.has_begun(number - 1));
                fresh <= left
            }))
        }
    }
}

/// The number of the newest folder; 0 if there is none yet.
fn last_number(settings: &Settings) -> Result<u32, JobError> {
    let mut last = 0;
    while look::is_file(&at(settings, last + 1).job_file()).map_err(JobError::Scratch)? {
        last += 1;
    }
    Ok(last)
}

fn at(settings: &Settings, number: u32) -> JobFolder {
    JobFolder::at(&settings.scratch.join(format!("slurm-{number}")))
}

fn name(settings: &Settings, number: u32) -> String {
    format!(
        "mesh-{:.8}-{}-{number}",
        settings.job_id.as_str(),
        settings.wave
    )
}

impl From<SliceError> for JobError {
    fn from(error: SliceError) -> Self {
        match error {
            SliceError::Ledger(error) => JobError::Ledger(error),
            SliceError::Io { source, .. } => JobError::Scratch(source),
            error => JobError::Scratch(std::io::Error::other(error)),
        }
    }
}
