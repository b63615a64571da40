//! Makes the workbook in two passes over the rows, and writes it as a whole.

use super::error::WorkbookError;
use super::place::{Place, absolute};
use super::results::Results;
use super::sheet::Sheet;
use super::style::Styles;
use super::summary::{self, Omitted};
use super::survey::Survey;
use super::value::Value;
use super::waves::Waves;
use super::{cost, figures, tasks};
use crate::model::RunKind;
use crate::platform;
use crate::platform::look;
use crate::report::stats::{By, Figures, RunFacts};
use crate::report::view::{Needs, RunView, Source, TableKind};
use rust_xlsxwriter::Workbook;
use rustix::io::Errno;
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// From this many rows on, a sheet may need the form of a zip archive for large files.
const LARGE_ROWS: u64 = 200_000;

/// What was written.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// The rows of the sheet Results.
    pub rows: u64,
}

/// Writes the workbook of `source` to `path`, whole or not at all. Temporary files are in the same folder and have no name.
pub fn write(source: &Source, path: &Path) -> Result<Written, WorkbookError> {
    without_panic(|| {
        let has_waves = has_waves(source);
        let survey = Survey::take(source, has_waves)?;
        let mut workbook = make(source, &survey, path)?;
        let save = |error| match WorkbookError::from(error) {
            WorkbookError::Io(error) => error,
            error => io::Error::other(error),
        };
        platform::durable::write_with(path, |file| workbook.save_to_writer(file).map_err(save))?;
        Ok(Written {
            rows: survey.totals.rows,
        })
    })
}

/// Whether rows are those of waves of a plan.
fn has_waves(source: &Source) -> bool {
    match source {
        Source::Run(run) => run.started().kind == RunKind::Plan,
        Source::Table(table) => table.kind() == TableKind::Wave,
    }
}

/// The parts of a workbook that is being made.
struct Draft<'s> {
    source: &'s Source,
    survey: &'s Survey,
    styles: Rc<Styles>,
    workbook: Workbook,
    whole: Whole,
}

fn make(source: &Source, survey: &Survey, path: &Path) -> Result<Workbook, WorkbookError> {
    let mut workbook = Workbook::new();
    workbook.set_tempdir(platform::parent(path))?;
    workbook.use_zip_large_file(survey.totals.rows >= LARGE_ROWS);
    let mut draft = Draft {
        source,
        survey,
        styles: Rc::new(Styles::new()),
        workbook,
        whole: Whole::of(source)?,
    };
    let sheets = draft.sheets()?;
    draft.finish(sheets)
}

impl Draft<'_> {
    /// All sheets but the first, in order, and the number of waves that share one.
    fn sheets(&mut self) -> Result<(Vec<Sheet>, usize), WorkbookError> {
        let (results, waves) = self.rows()?;
        let further = waves.further;
        let mut sheets = vec![results.results, results.failures];
        if let Source::Run(run) = self.source
            && has_waves(self.source)
        {
            sheets.extend(self.tasks(run, &waves)?);
        }
        sheets.extend(waves.into_sheets());
        let survey = self.survey;
        sheets.push(self.table("Cost", &cost::COLUMNS, &[], survey.costs.rows())?);
        if let Source::Run(run) = self.source {
            let mut figures = Figures::new(Some(By::Risk));
            figures.add(RunFacts::read(run.folder())?);
            let rows = figures::rows(&figures);
            sheets.push(self.table("Figures", &figures::COLUMNS, &[], rows)?);
        }
        Ok((sheets, further))
    }

    /// The second pass over the rows.
    fn rows(&mut self) -> Result<(Results, Waves), WorkbookError> {
        let (source, workbook, styles) = (self.source, &mut self.workbook, &self.styles);
        let (has_waves, folder) = match source {
            Source::Run(run) => (has_waves(source), Some(run.folder())),
            Source::Table(_) => (has_waves(source), None),
        };
        let with_input = !has_waves || folder.is_none();
        let mut results = Results::begin(workbook, styles, source, self.survey, with_input)?;
        let mut waves = Waves::new(source.header());
        source.each_row(Needs::ALL, |row| {
            let place = results.row(workbook, &row, folder, &self.whole.result)?;
            if has_waves {
                let whole = self.whole.wave(row.wave);
                waves.row(workbook, styles, &row, &place, whole)?;
            }
            Ok::<_, WorkbookError>(())
        })?;
        Ok((results, waves))
    }

    fn tasks(&mut self, run: &RunView, waves: &Waves) -> Result<[Sheet; 2], WorkbookError> {
        let columns = tasks::vote_columns(run.state());
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let owned: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let votes = tasks::votes(run.state(), &owned);
        let rows = tasks::tasks(run.state(), waves);
        Ok([
            self.table("Tasks", &tasks::TASK_COLUMNS, &["status"], rows)?,
            self.table("Votes", &columns, &columns, votes)?,
        ])
    }

    fn table(
        &mut self,
        name: &str,
        columns: &[&str],
        coloured: &[&str],
        rows: impl IntoIterator<Item = Vec<Value>>,
    ) -> Result<Sheet, WorkbookError> {
        let titles = columns.iter().map(|title| (*title).to_owned()).collect();
        let workbook = &mut self.workbook;
        let mut sheet = Sheet::begin(workbook, &self.styles, name, titles, coloured)?;
        for row in rows {
            sheet.row(workbook, &row, &self.whole.result)?;
        }
        Ok(sheet)
    }

    /// Adds the sheets after their summary.
    fn finish(mut self, (sheets, further): (Vec<Sheet>, usize)) -> Result<Workbook, WorkbookError> {
        let omitted = Omitted {
            cut: sheets.iter().map(|sheet| sheet.cut).sum(),
            unlinked: sheets.iter().map(|sheet| sheet.unlinked).sum(),
            further_waves: further,
        };
        let places: Vec<Place> = sheets.iter().map(Sheet::top).collect();
        let rows = summary::rows(self.source, self.survey, &places, omitted);
        let summary = self.table("Summary", &summary::COLUMNS, &["value"], rows)?;
        for sheet in std::iter::once(summary).chain(sheets) {
            sheet.finish(&mut self.workbook)?;
        }
        Ok(self.workbook)
    }
}

/// The files that have the whole texts of cells.
struct Whole {
    result: PathBuf,
    waves: Vec<(u32, PathBuf)>,
}

impl Whole {
    fn of(source: &Source) -> io::Result<Self> {
        let (result, waves) = match source {
            Source::Table(table) => (table.path().to_owned(), Vec::new()),
            Source::Run(run) => {
                let output = match run.state().spawned_output() {
                    Some(path) => look::reach(path)?.map(|_| path),
                    None => None,
                };
                let ledger = run.folder().ledger();
                let compiled = run.state().waves.iter().map(|wave| &wave.compiled);
                let path = |file: &PathBuf| absolute(&run.folder().path().join(file));
                let waves = compiled.map(|wave| (wave.wave.0, path(&wave.csv_path)));
                (output.map_or(ledger, Path::to_owned), waves.collect())
            }
        };
        Ok(Self {
            result: absolute(&result),
            waves,
        })
    }

    fn wave(&self, wave: Option<u32>) -> &Path {
        let mut waves = self.waves.iter();
        let found = waves.find(|(number, _)| Some(*number) == wave);
        found.map_or(self.result.as_path(), |(_, path)| path)
    }
}

/// The library panics if a temporary file can't be written, as on a full disk; that is an error like any other. Other panics go
/// on.
fn without_panic<T>(work: impl FnOnce() -> Result<T, WorkbookError>) -> Result<T, WorkbookError> {
    let hook = Arc::new(std::panic::take_hook());
    let print = Arc::clone(&hook);
    std::panic::set_hook(Box::new(move |info| {
        if unwritten(info.payload()).is_none() {
            print(info);
        }
    }));
    let done = catch_unwind(AssertUnwindSafe(work));
    std::panic::set_hook(Box::new(move |info| hook(info)));
    done.unwrap_or_else(|panic| match unwritten(&*panic) {
        Some(error) => Err(error.into()),
        None => resume_unwind(panic),
    })
}

/// The error that such a panic of the library shows: `Couldn't write to xml file: Os { code: 28, … }`.
fn unwritten(panic: &(dyn Any + Send)) -> Option<io::Error> {
    const MESSAGE: &str = "Couldn't write to xml file";
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied())?;
    let (_, shown) = text.split_once(MESSAGE)?;
    let number = shown.split_once("code: ").and_then(|(_, rest)| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    Some(match number {
        Some(number) => io::Error::from_raw_os_error(number),
        None => Errno::NOSPC.into(),
    })
}
