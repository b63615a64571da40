//! `mesh collect`: imports the answers to waves as events, and judges the waves.
//!
//! All files are checked before anything is recorded; results in files of slices, and in files of single rows, are read again when they
//! are recorded, so that they are never in memory together. A file is accepted or refused as a whole; a refused file does not
//! affect other waves. A row keeps its first answer, so importing the same answers again changes nothing, and continues an import that was
//! killed.

use super::answers::answers_folder;
use super::awaited::AwaitedAnswers;
use super::imported_answers::{Answers, AnswersError, IgnoredCopy, ImportedAnswer};
use super::imported_row::{ImportedRow, Outcomes};
use super::unknown_files::KnownNames;
use crate::job;
use crate::job::{Journal, ResultCheck, Stop, Survey};
use crate::model::{Event, JobId, RowId, WaveNo, WaveStarted};
use crate::platform::{look, machine_fault};
use crate::run::error::RunError;
use crate::run::plan_run::PlanRun;
use crate::run::refusal::Refusal;
use crate::run::store::Wave;
use crate::run::watcher::Watcher;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How many rows are recorded with one write. Only their answers are in memory.
const ROWS_PER_WRITE: usize = 512;

/// What to collect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collect<'c> {
    /// The wave; `None`: all that await answers.
    pub wave: Option<WaveNo>,
    /// An output CSV or a folder; `None`: the output CSV beside each wave.
    pub answers: Option<&'c Path>,
    /// Whether rows without an answer are judged as `no_response`.
    pub give_up: bool,
}

/// The result of `mesh collect`.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// The waves with new answers, or that were given up.
    pub waves: Vec<CollectedWave>,
    /// The waves without new answers.
    pub waiting: Vec<WaitingWave>,
    /// The refused files.
    pub refused_files: Vec<Refusal>,
    /// Copies of slices that were ignored beside a fuller one.
    pub copies: Vec<IgnoredCopy>,
    /// Files of no row of the run, relative to the folder of answers.
    pub unknown_files: Vec<PathBuf>,
    /// The number of answers to waves that no longer await any.
    pub other_rows: usize,
    /// The number of answers to rows that have one already.
    pub already_answered: usize,
}

/// The result for one wave.
#[derive(Clone, Debug)]
pub struct CollectedWave {
    /// The wave.
    pub wave: WaveNo,
    /// The number of rows whose answers were imported.
    pub imported: usize,
    /// Rows without an answer.
    pub missing: Vec<RowId>,
    /// Rows with a verdict that is not `accepted`, with its code.
    pub refused: Vec<(RowId, String)>,
}

/// A wave without new answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingWave {
    /// The wave.
    pub wave: WaveNo,
    /// Its rows without an answer.
    pub rows: Vec<RowId>,
    /// The path where its output CSV is expected.
    pub output_csv_path: PathBuf,
}

/// The answers found for a wave.
#[derive(Clone)]
enum FoundAnswers {
    Answers(Rc<Answers>),
    Nothing,
    Refused(Refusal),
}

impl FoundAnswers {
    fn of(read: Result<Answers, AnswersError>) -> Result<Self, RunError> {
        match read {
            Ok(answers) => Ok(Self::Answers(Rc::new(answers))),
            Err(AnswersError::Refused(refusal)) => Ok(Self::Refused(refusal)),
            Err(AnswersError::Run(error)) => Err(error),
        }
    }
}

impl PlanRun {
    /// Imports answers, and judges the waves in which every row has an answer or an error.
    ///
    /// # Errors
    /// [`RunError::NothingToCollect`] if there is no new answer, [`RunError::BadAnswers`] if all files are refused. Nothing is
    /// recorded then.
    pub fn collect(
        &mut self,
        request: Collect<'_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<Collected, RunError> {
        self.release_changed_units(watcher)?;
        let waves = self.select_waves(request.wave)?;
        let mut collected = Collected::default();
        if let Some(folder) = request.answers
            && look::reach(folder)
                .map_err(RunError::io(folder))?
                .is_some_and(|there| there.is_dir())
        {
            let plan = self.store.current()?;
            let names = KnownNames::of(self.state(), &plan, &self.protocols);
            collected.unknown_files = names.unknown_files(&answers_folder(folder)?);
        }
        let mut to_take = Vec::new();
        for (number, found) in self.find_answers(&waves, request, &mut collected)? {
            let Some(wave) = self.state().wave(number) else {
                continue;
            };
            let answers = match found {
                FoundAnswers::Refused(refusal) => {
                    if !collected.refused_files.contains(&refusal) {
                        collected.refused_files.push(refusal);
                    }
                    continue;
                }
                FoundAnswers::Answers(answers) => answers,
                FoundAnswers::Nothing => Rc::default(),
            };
            collected.already_answered += answered_rows(wave, &answers)
                .filter(|is_closed| *is_closed)
                .count();
            let has_new = answered_rows(wave, &answers).any(|is_closed| !is_closed);
            match request.give_up || is_answered(wave) || has_new {
                true => to_take.push((number, answers)),
                false => collected.waiting.push(self.waiting(wave)),
            }
        }
        if to_take.is_empty() {
            return Err(self.explain_no_import(collected));
        }
        for (wave, answers) in to_take {
            let done = self.import_wave(wave, answers, request.give_up, watcher, stop)?;
            collected.waves.push(done);
        }
        Ok(collected)
    }

    /// The waves to collect, all of which await answers.
    fn select_waves(&self, requested: Option<WaveNo>) -> Result<Vec<WaveNo>, RunError> {
        let id = self.id();
        let is_over = self.state().in_flight().next().is_none();
        let hint = match is_over && self.state().finished.is_some() {
            true => format!("the run has ended: mesh runs show {id}"),
            false => format!("continue it: mesh wave next --run {id}"),
        };
        let refuse = |why: String| {
            Err(RunError::NothingToCollect {
                why,
                hint: Some(hint.clone()),
            })
        };
        let open: Vec<WaveNo> = self.open_waves().map(|wave| wave.compiled.wave).collect();
        let Some(number) = requested else {
            return match open.is_empty() {
                true => refuse("no wave awaits answers".to_owned()),
                false => Ok(open),
            };
        };
        if open.contains(&number) {
            return Ok(vec![number]);
        }
        let others: Vec<String> = open.iter().map(ToString::to_string).collect();
        refuse(match (self.state().wave(number), others.as_slice()) {
            (Some(_), _) => format!("wave {number} is not open: its rows were judged before"),
            (None, []) => format!("wave {number} is not open: the run has no such wave"),
            (None, others) => format!(
                "wave {number} is not open: the run has no such wave; waves that await answers: {}",
                others.join(", ")
            ),
        })
    }

    /// Reads the answers to each wave.
    fn find_answers(
        &self,
        waves: &[WaveNo],
        request: Collect<'_>,
        collected: &mut Collected,
    ) -> Result<Vec<(WaveNo, FoundAnswers)>, RunError> {
        let waves = waves.iter().filter_map(|wave| self.state().wave(*wave));
        let waves: Vec<&Wave> = waves.collect();
        if let Some(path) = request.answers {
            let found = FoundAnswers::of(Answers::read(path, &self.awaited(&waves)?))?;
            if let FoundAnswers::Answers(answers) = &found {
                collected.other_rows = answers.other_rows;
                collected.refused_files.clone_from(&answers.refused_files);
                collected.copies.clone_from(&answers.copies);
            }
            let numbers = waves.iter().map(|wave| wave.compiled.wave);
            return Ok(numbers.map(|wave| (wave, found.clone())).collect());
        }
        let own = |wave: &&Wave| {
            let (path, number) = (self.output_path(wave), wave.compiled.wave);
            if is_answered(wave) || !look::is_file(&path).map_err(RunError::io(&path))? {
                return Ok((number, FoundAnswers::Nothing));
            }
            let awaited = self.awaited(&[wave]).map_err(AnswersError::from);
            let read = awaited.and_then(|awaited| Answers::read(&path, &awaited));
            match FoundAnswers::of(read) {
                Err(RunError::Job(error @ job::JobError::Table(_)))
                    if !machine_fault::is_fault(&error) =>
                {
                    let refusal = Refusal::new(&path, error.to_string());
                    Ok((number, FoundAnswers::Refused(refusal)))
                }
                found => Ok((number, found?)),
            }
        };
        waves.iter().map(own).collect()
    }

    fn awaited<'s>(&'s self, waves: &[&'s Wave]) -> Result<AwaitedAnswers<'s>, RunError> {
        AwaitedAnswers::read(&self.folder, self.state(), &self.settings.base_sha, waves)
    }

    fn output_path(&self, wave: &Wave) -> PathBuf {
        let csv = self.folder.path().join(&wave.compiled.csv_path);
        csv.with_extension("out.csv")
    }

    fn waiting(&self, wave: &Wave) -> WaitingWave {
        let rows = wave.compiled.rows.iter().enumerate();
        let open = rows.filter(|(index, _)| !is_row_closed(wave, *index));
        WaitingWave {
            wave: wave.compiled.wave,
            rows: open.map(|(_, id)| id.clone()).collect(),
            output_csv_path: self.output_path(wave),
        }
    }

    /// The error if nothing was imported, with all possible next commands.
    fn explain_no_import(&self, collected: Collected) -> RunError {
        if !collected.refused_files.is_empty() {
            return RunError::BadAnswers(collected.refused_files);
        }
        let numbers: Vec<String> = collected
            .waiting
            .iter()
            .map(|waiting| waiting.wave.to_string())
            .collect();
        let mut why = format!("no new answers for wave {}", numbers.join(", "));
        if collected.other_rows > 0 {
            why.push_str(&format!(
                "; rows of other waves, or already judged: {}",
                collected.other_rows
            ));
        }
        if collected.already_answered > 0 {
            why.push_str(&format!(
                "; rows that already have an answer: {}",
                collected.already_answered
            ));
        }
        if !collected.unknown_files.is_empty() {
            why.push_str("; files of no row: ");
            why.push_str(&join_names(&collected.unknown_files));
        }
        let id = self.id();
        let mut hint = format!("to run them: mesh wave next --run {id}");
        for waiting in &collected.waiting {
            let (wave, path) = (waiting.wave.0, waiting.output_csv_path.display());
            hint.push_str(&format!(
                "\n  when `{path}` exists: mesh collect {id} --wave {wave}\n  to judge its rows as no_response: mesh collect {id} --wave {wave} --give-up"
            ));
        }
        RunError::NothingToCollect {
            why,
            hint: Some(hint),
        }
    }

    /// Imports the answers to one wave.
    fn import_wave(
        &mut self,
        number: WaveNo,
        answers: Rc<Answers>,
        gives_up: bool,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<CollectedWave, RunError> {
        let mut done = CollectedWave {
            wave: number,
            imported: 0,
            missing: Vec::new(),
            refused: Vec::new(),
        };
        let Some(wave) = self.state().wave(number) else {
            return Ok(done);
        };
        let mut settings = self.job_settings(&wave.compiled, wave.job_id.clone())?;
        if let (None, Some(job_id)) = (&wave.job_id, answers.job_id(number)) {
            settings.job_id = JobId::new(job_id);
        }
        let rows = 0..wave.compiled.rows.len();
        let open: Vec<usize> = rows.filter(|index| !is_row_closed(wave, *index)).collect();
        done.missing = self.import_rows(number, &open, &settings, &answers, gives_up)?;
        done.imported = open.len() - done.missing.len();
        drop((answers, open));
        if done.missing.is_empty() {
            // Not earlier: the external runner may still write this file.
            self.write_output(number, &settings)?;
            self.with_context(watcher, stop, |run, context| {
                run.judge(number, context)?;
                run.finish_previews(context)
            })?;
        }
        let wave = self.state().wave(number);
        done.refused = wave.map_or(Vec::new(), |wave| wave.refused.clone());
        Ok(done)
    }

    /// Records the answers to the rows at `open` of a wave, a part at a time. Returns the rows without an answer.
    fn import_rows(
        &mut self,
        number: WaveNo,
        open: &[usize],
        settings: &job::Settings,
        answers: &Answers,
        gives_up: bool,
    ) -> Result<Vec<RowId>, RunError> {
        let check = ResultCheck::of(settings)?;
        let redactor = job::redactor(settings.row_workers().map(|it| it.worker));
        let mut outcomes = Outcomes::new(answers, &check, settings.read_text);
        let mut missing = Vec::new();
        if let Some(wave) = self.state().wave(number)
            && wave.job_id.is_none()
        {
            let started = WaveStarted {
                wave: number,
                job_id: settings.job_id.clone(),
                items: wave.compiled.rows.len() as u64,
                max_concurrency: wave.compiled.max_concurrency,
            };
            self.recorder.write(&[Event::from(started)])?;
        }
        let no_answer = ImportedAnswer::failed("no_response: no answer came back");
        for part in open.chunks(ROWS_PER_WRITE) {
            let Some(wave) = self.state().wave(number) else {
                break;
            };
            let mut events = Vec::new();
            for index in part {
                let (id, index) = (&wave.compiled.rows[*index], *index as u64);
                let imported = match answers.answer(number, index) {
                    ImportedAnswer::Nothing if gives_up => &no_answer,
                    imported => imported,
                };
                let Some((attempts, outcome)) = outcomes.read(id, imported)? else {
                    missing.push(id.clone());
                    continue;
                };
                let wave = number;
                let row = ImportedRow { wave, id, index };
                row.events(attempts, outcome, &mut events);
            }
            job::hide_in(&mut events, &redactor);
            self.recorder.write(&events)?;
        }
        self.recorder.sync()?;
        Ok(missing)
    }

    /// Writes the output CSV of a wave.
    fn write_output(&self, number: WaveNo, settings: &job::Settings) -> Result<(), RunError> {
        let Some(wave) = self.state().wave(number) else {
            return Ok(());
        };
        let survey = Survey::take(settings)?;
        job::write_csv(settings, &survey, &wave.job, &self.recorder.lines()?)?;
        Ok(())
    }
}

/// File names on one line.
fn join_names(paths: &[PathBuf]) -> String {
    let shown = paths
        .iter()
        .map(|path| crate::model::one_line(&path.to_string_lossy()));
    shown.collect::<Vec<_>>().join(", ")
}

/// For each row with an imported answer, whether it was closed before.
fn answered_rows(wave: &Wave, answers: &Answers) -> impl Iterator<Item = bool> {
    let number = wave.compiled.wave;
    let rows = 0..wave.compiled.rows.len();
    let is_answered =
        move |index: &usize| *answers.answer(number, *index as u64) != ImportedAnswer::Nothing;
    let answered = rows.filter(is_answered);
    answered.map(|index| is_row_closed(wave, index))
}

/// Whether a row awaits nothing more: it has an answer or an error, or was judged.
fn is_row_closed(wave: &Wave, index: usize) -> bool {
    wave.is_judged(index as u64) || wave.job.has_ended(index as u64)
}

/// Whether every row has an answer or an error.
pub(crate) fn is_answered(wave: &Wave) -> bool {
    let rows = 0..wave.compiled.rows.len();
    rows.into_iter().all(|index| is_row_closed(wave, index))
}
