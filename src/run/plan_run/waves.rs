//! The waves of a plan run: compiled for what the units need, started as one call of the executor each, judged row by row.

use super::begin::PlanRun;
use super::checkout::plan_file_in;
use super::compile::{Task, WaveDraft};
use super::context::Context;
use super::file_list::FileList;
use super::reproduction::is_test;
use super::{compile, plan_conflict, verdicts};
use crate::adapter::replay;
use crate::job;
use crate::job::policy::backoff;
use crate::job::{Bounds, Delayed, Journal, Stop};
use crate::model::{
    Backpressure, Event, Fault, JobId, Lane, RowId, RowKey, UnitId, VerdictKind, WaveCompiled,
    WaveNo,
};
use crate::plan::{ItemId, Plan};
use crate::platform::Readers;
use crate::protocol::{Action, Emission, UnitState};
use crate::run::error::RunError;
use crate::run::settings::PlanOptions;
use crate::run::store::{AnswerPlace, Reported, Unit, Wave};
use crate::run::watcher::Watcher;
use crate::schedule::{Dispatch, Priority};
use crate::verdict::prose;
use indexmap::IndexMap;
use rayon::prelude::*;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

impl PlanOptions {
    /// How prose is read as an answer; `None` under `--strict`.
    pub(crate) fn read_text(&self) -> Option<job::ReadText> {
        (!self.strict).then_some(prose::read as job::ReadText)
    }
}

impl PlanRun {
    /// Starts every open wave that is not in flight; with a barrier only the first one, and only when no wave is in flight.
    pub(crate) fn start_waves(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let in_flight = &mut context.in_flight;
        let state = self.state();
        let open = state.waves.iter().filter(|wave| wave.is_open());
        let new = open.filter(|wave| {
            let number = wave.compiled.wave;
            !in_flight.has(number) && !context.integrations.is_previewing(number)
        });
        let waves: Vec<Wave> = match self.settings.options.dispatch {
            Dispatch::Rolling => new.cloned().collect(),
            Dispatch::Barrier => new
                .take(usize::from(in_flight.is_empty()))
                .cloned()
                .collect(),
        };
        if waves.is_empty() {
            return Ok(());
        }
        let plan = self.store.current()?;
        let priority = self.priority(&plan);
        for wave in waves {
            self.look_at_tree(context)?;
            let workspace = self.lease_workspace()?;
            let mut settings = self.job_settings(&wave.compiled, wave.job_id)?;
            settings.set_folder(workspace.path());
            let remaining_path = remaining_path(&priority, &wave.compiled);
            context.watcher.wave_begins(&wave.compiled);
            let (compiled, job) = (wave.compiled, wave.job);
            let in_flight = &mut context.in_flight;
            in_flight.start(compiled, workspace, settings, job, remaining_path)?;
        }
        Ok(())
    }

    /// The remaining paths of the plan; a task in flight counts for the share of its rounds that is left.
    fn priority(&self, plan: &Plan) -> Priority {
        Priority::new(plan, |item| {
            let unit = self.state().unit(&UnitId::new(item.id().as_str()));
            let left = unit.and_then(|unit| self.remaining_share(plan, unit));
            Some(left.unwrap_or(1.0))
        })
    }

    fn remaining_share(&self, plan: &Plan, unit: &Unit) -> Option<f64> {
        let task = self.task(plan, &unit.id).ok()?;
        let last = unit.state.rounds.last()?;
        let done = task.protocol.position(&last.round)?;
        Some(1.0 - done as f64 / task.protocol.rounds.len() as f64)
    }

    /// Compiles the rows that the units need: in rolling dispatch one wave for each unit, so that no unit waits for the rows
    /// of another; with a barrier one for each round.
    pub(crate) fn compile_waves(&mut self, context: &mut Context<'_, '_>) -> Result<(), RunError> {
        let plan = self.store.current()?;
        let units: Vec<&Unit> = self.state().in_flight().collect();
        let needed = units.par_iter().map(|unit| {
            let task = self.task(&plan, &unit.id)?;
            Ok(match task.next(&unit.state) {
                Action::Emit(emission) => Some((task, Unit::clone(unit), emission)),
                _ => None,
            })
        });
        let needed: Vec<Option<_>> = needed.collect::<Result<_, RunError>>()?;
        let mut emissions: Vec<(Task, UnitState<AnswerPlace>, Emission)> = Vec::new();
        for (task, unit, emission) in needed.into_iter().flatten() {
            if self.fits_budget(&unit, emission.roles.len(), context.watcher)? {
                emissions.push((task, unit.state, emission));
            }
        }
        if emissions.is_empty() {
            return Ok(());
        }
        let files = FileList::read(&self.checkout()?)?;
        let is_rolling = self.settings.options.dispatch == Dispatch::Rolling;
        let groups = group_in_order(emissions, |(task, _, emission)| {
            let unit = is_rolling.then(|| task.unit.clone());
            (task.protocol.name.clone(), emission.round.clone(), unit)
        });
        for group in groups {
            // Each wave is whole by itself, so a stop takes effect between waves, and within one.
            if !context.is_stopping() {
                self.compile_wave(&files, &group, context.stop)?;
            }
        }
        Ok(())
    }

    fn compile_wave(
        &mut self,
        files: &FileList,
        group: &[(Task, UnitState<AnswerPlace>, Emission)],
        stop: &Stop,
    ) -> Result<(), RunError> {
        let Some((first, _, emission)) = group.first() else {
            return Ok(());
        };
        let Some(round) = first.protocol.round(&emission.round) else {
            return Ok(());
        };
        let head = compile::head(
            &self.settings,
            self.id(),
            self.state().next_wave(),
            round,
            self.concurrency(),
        );
        let units = group.iter();
        let units = units.map(|(task, state, emission)| (task, state, emission));
        let draft = WaveDraft {
            head,
            round,
            files,
            units: units.collect(),
            lines: Some(self.recorder.reader()?),
        };
        if let Some(compiled) = draft.write(&self.folder, stop)? {
            self.recorder.record(&[Event::from(compiled)])?;
        }
        Ok(())
    }

    /// Judges a wave whose rows have ended.
    pub(crate) fn judge(
        &mut self,
        number: WaveNo,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        self.release_changed_units(context.watcher)?;
        let Some(wave) = self.state().wave(number) else {
            return Ok(());
        };
        // A task that somebody else took is no failure of its rows.
        let is_failure = |(_, code): &(RowId, String)| code != plan_conflict::CODE;
        let mut judging = Judging {
            is_refused: wave.refused.iter().any(is_failure),
            ..Judging::default()
        };
        // Patches that are tried first are judged in one step with the other rows of their wave. Of another wave a kill leaves the
        // rows open that have no verdict yet.
        let is_in_parts = wave.compiled.lane != Lane::Patch;
        let open: Vec<u64> = wave.open_rows().map(|(index, _)| index).collect();
        let parts = open.chunks(ROWS_PER_PART);
        let last = parts.len().saturating_sub(1);
        for (number_of_part, part) in parts.enumerate() {
            self.judge_rows(number, part, &mut judging, context)?;
            // The last ones are recorded below.
            if is_in_parts && number_of_part < last {
                self.recorder.write(&judging.verdicts)?;
                judging.verdicts.clear();
            }
        }
        if judging.is_previewing {
            // The wave is judged again when that has ended.
            return Ok(());
        }
        context.integrations.forget_previews(number);
        let Judging {
            mut verdicts,
            is_refused,
            waits,
            ..
        } = judging;
        if let Some(wave) = self.state().wave(number) {
            // Recorded together with the last verdicts, so that a kill leaves both or neither.
            verdicts.extend(
                self.apply_backpressure(wave, is_refused, context.watcher)
                    .map(Event::from),
            );
        }
        self.recorder.record(&verdicts)?;
        for (id, wait) in &waits {
            self.run_limits.of_row(id).hold(*wait);
        }
        let wait = waits
            .iter()
            .map(|(_, wait)| *wait)
            .max()
            .unwrap_or_default();
        if !wait.is_zero() {
            context.watcher.say(&format!(
                "wave {number}: rows that the service or the machine failed are asked again in {:.0} s",
                wait.as_secs_f64().ceil()
            ));
        }
        context.in_flight.set_concurrency(self.concurrency());
        Ok(())
    }

    /// Judges the rows at `part` of a wave.
    fn judge_rows(
        &self,
        number: WaveNo,
        part: &[u64],
        judging: &mut Judging,
        context: &mut Context<'_, '_>,
    ) -> Result<(), RunError> {
        let Some(wave) = self.state().wave(number) else {
            return Ok(());
        };
        let plan = self.store.current()?;
        let checkout = self.checkout()?;
        let plan_file = plan_file_in(&checkout, &self.repo, &self.settings.plan_file);
        let lines = self.recorder.reader()?;
        let input = verdicts::VerdictInput {
            options: &self.settings.options,
            plan: &plan,
            repo: &checkout,
            task: &|unit| self.task(&plan, unit),
            plan_file: &plan_file,
            folder: &self.folder,
            lines,
        };
        let report = |index: &u64| {
            let id = &wave.compiled.rows[*index as usize];
            Ok((id, wave.report_at(*index, lines)?))
        };
        let reports: Vec<(&RowId, Option<Reported>)> =
            part.iter().map(report).collect::<Result<_, RunError>>()?;
        // Before the verdicts, so that a judged row has its recorded answer.
        self.record_answers(&reports)?;
        for (id, report) in &reports {
            let mut verdict = verdicts::judge(self.state(), wave, id, report.as_ref(), &input)?;
            if let (Some(checks), Some(report)) = (&mut verdict.checks, report)
                && let Some(RowKey { unit, round, .. }) = RowKey::parse(id)
            {
                let task = self.task(&plan, &unit)?;
                let is_test = is_test(&task, &round);
                let select = task.protocol.select().filter(|_| !is_test);
                if self.settings.options.prevalidate || select.is_some() || is_test {
                    match self.preview(&task, number, id, &report.result, context)? {
                        Some(shown) => {
                            checks.push_str(&format!("\n{}", shown.text));
                            verdict.evidence = select.map(|_| shown.evidence);
                            let refused = match shown.conflict {
                                Some(why) if is_test || select.is_some() => {
                                    Some(("does_not_apply", why))
                                }
                                None if is_test && !shown.reproduces => {
                                    Some(("empty_test", verdicts::EMPTY_TEST.to_owned()))
                                }
                                _ => None,
                            };
                            if let Some((code, why)) = refused {
                                let state = self.state();
                                verdict = verdicts::refuse_tried(state, verdict, code, why);
                            }
                        }
                        None => judging.is_previewing = true,
                    }
                }
            }
            if verdict.verdict == VerdictKind::Retry
                && let Some(fault) = verdict.fault
            {
                judging
                    .waits
                    .push(((*id).clone(), self.delay_after(fault, wave, id)));
            }
            // A fault of the service or the machine is no reason for backpressure.
            judging.is_refused |=
                verdict.verdict != VerdictKind::Accepted && verdict.fault.is_none();
            judging.verdicts.push(Event::from(verdict));
        }
        Ok(())
    }

    /// How long a role waits after a fault before it is asked again, by the delays that retries of one row have. The
    /// breaker of the account delays the rest by itself, and a program that has never started will not start later.
    fn delay_after(&self, fault: Fault, wave: &Wave, id: &RowId) -> Duration {
        let attempt = 1 + verdicts::count_faults(self.state(), id).unwrap_or_default() as u32;
        let Some((job_id, row_index)) = wave.job_id.as_ref().zip(wave.index(id)) else {
            return Duration::ZERO;
        };
        let delayed = Delayed {
            job_id,
            row_index,
            attempt,
        };
        match fault {
            Fault::RateLimit => backoff::after_rate_limit(attempt, None, delayed),
            Fault::Program if !self.run_limits.of_row(id).has_answered() => Duration::ZERO,
            Fault::Network | Fault::Memory | Fault::Program => {
                backoff::after_outage(attempt, self.settings.options.bounds.retry_delay, delayed)
            }
            Fault::Quota | Fault::Credit | Fault::LogIn => Duration::ZERO,
        }
    }

    /// Backpressure: how many rows of the next wave may run at once, judging by this one.
    fn apply_backpressure(
        &self,
        wave: &Wave,
        is_refused: bool,
        watcher: &mut dyn Watcher,
    ) -> Option<Backpressure> {
        let full = self.settings.options.bounds.max_concurrency;
        let change = self.state().backpressure_after(wave, is_refused, full)?;
        let Backpressure {
            wave: number,
            causes,
            from,
            to,
        } = &change;
        watcher.say(&match causes.as_slice() {
            [] => format!("wave {number} had no failures; increasing concurrency to {to}"),
            causes => format!(
                "wave {number} had failures ({}); reducing concurrency from {from} to {to}",
                causes.join(", ")
            ),
        });
        Some(change)
    }

    /// How many rows of the next wave may run at once.
    pub(crate) fn concurrency(&self) -> usize {
        let full = self.settings.options.bounds.max_concurrency;
        self.state().concurrency(full)
    }

    /// Keeps answers in the folder of recorded answers, if the run has one. They are on disk when this returns.
    fn record_answers(&self, reports: &[(&RowId, Option<Reported>)]) -> Result<(), RunError> {
        let Some(folder) = &self.settings.options.record else {
            return Ok(());
        };
        let answers = reports.iter();
        let answers = answers.filter_map(|(id, report)| Some((*id, &report.as_ref()?.result)));
        replay::record_all(folder, Readers::Umask, answers).map_err(RunError::io(folder))
    }

    /// Copies the answers of a task, also the refused ones, from the ledger to the folder of its artifacts. They are on disk when
    /// this returns.
    ///
    /// Once for each task, when its outcome is known: a file for each answer of a wave would take most of the time of collecting it.
    pub(super) fn store_answers_of(&self, unit: &Unit) -> Result<(), RunError> {
        let lines = self.recorder.reader()?;
        let mut answers = Vec::new();
        for (number, index) in &unit.rows {
            let index = u64::from(*index);
            if let Some(wave) = self.state().wave(*number)
                && let Some(id) = wave.compiled.rows.get(index as usize)
                && let Some(report) = wave.report_at(index, lines)?
            {
                answers.push((id, report.result));
            }
        }
        let answers = answers.iter().map(|(id, result)| (*id, result));
        let units = self.folder.path().join("units");
        replay::record_all(&units, Readers::Owner, answers).map_err(RunError::io(&units))
    }

    pub(crate) fn job_settings(
        &self,
        wave: &WaveCompiled,
        job_id: Option<JobId>,
    ) -> Result<job::Settings, RunError> {
        let csv_path = self.folder.path().join(&wave.csv_path);
        let call_path = self.folder.path().join(&wave.call_path);
        let call = std::fs::read(&call_path).map_err(RunError::io(&call_path))?;
        let call: serde_json::Value = serde_json::from_slice(&call)
            .map_err(|error| RunError::io(&call_path)(error.into()))?;
        let options = &self.settings.options;
        Ok(job::Settings {
            run_id: self.id().clone(),
            job_id: job_id.unwrap_or_else(|| JobId::new(uuid::Uuid::new_v4().to_string())),
            wave: wave.wave,
            input_path: csv_path.clone(),
            row_index: None,
            output_csv_path: csv_path.with_extension("out.csv"),
            csv_path,
            delimiter: None,
            sheet: None,
            encoding: None,
            rename: Vec::new(),
            instruction: "{prompt}".to_owned(),
            id_column: Some("id".to_owned()),
            output_readers: Readers::Owner,
            output_schema: Some(call["output_schema"].clone()),
            selection: job::Selection::default(),
            bounds: Bounds {
                max_concurrency: wave.max_concurrency,
                ..options.bounds
            },
            halt: job::Halt::default(),
            max_wall_seconds: options.max_wall_seconds,
            wall_hard: options.wall_hard,
            flatten: false,
            formula_cells: job::FormulaCells::default(),
            keep_logs: job::Logs::default(),
            result_bytes_max: job::RESULT_BYTES_MAX,
            output_bytes_max: job::OUTPUT_BYTES_MAX,
            read_text: options.read_text(),
            budget: options.budget,
            agent_protocol: self.run_limits.agent_protocol.clone(),
            limits: Some(Arc::clone(&self.run_limits.limits)),
            executor: options.executor.clone(),
            worker: self.settings.worker.clone(),
            others: self.run_limits.role_workers.of_wave(wave),
            scratch: self.folder.wave_scratch(wave.wave),
            logs: self.folder.logs(),
            sandbox: self.sandbox.clone(),
        })
    }
}

/// How many rows are judged between two writes to the ledger. Only their answers are in memory.
const ROWS_PER_PART: usize = 1024;

/// What is known of a wave while its rows are judged.
#[derive(Default)]
struct Judging {
    /// The verdicts that are not recorded yet.
    verdicts: Vec<Event>,
    is_refused: bool,
    /// How long rows wait that the service or the machine failed.
    waits: Vec<(RowId, Duration)>,
    /// Whether a preview of a patch is in flight.
    is_previewing: bool,
}

/// Groups items by a key. The groups are in the order of their first items, and so are the items within each.
fn group_in_order<T, K: Hash + Eq>(items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut groups: IndexMap<K, Vec<T>> = IndexMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups.into_values().collect()
}

/// The longest remaining path of the wave's units, in thousandths of a task.
fn remaining_path(priority: &Priority, wave: &WaveCompiled) -> u64 {
    let units = wave.rows.iter().filter_map(RowKey::parse);
    let ids = units.filter_map(|key| ItemId::try_from(key.unit.to_string()).ok());
    let remaining = ids.filter_map(|id| priority.remaining(&id));
    // Saturates; no plan has so many tasks.
    (remaining.fold(0.0, f64::max) * 1000.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_their_items_keep_the_order_of_the_items() {
        let items = vec!["b1", "a1", "b2", "c1", "a2", "b3"];
        let groups = group_in_order(items, |item| item.as_bytes()[0]);
        assert_eq!(
            groups,
            [vec!["b1", "b2", "b3"], vec!["a1", "a2"], vec!["c1"]]
        );
    }
}
