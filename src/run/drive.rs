//! The loop of a plan run. Each turn: finish what is open, take up tasks, ask every unit what it needs, do it.

use super::compile::{self, Task};
use super::prepare::closure;
use super::state::{State, Unit};
use super::{Preflight, Protocols, Recorder, RunError, RunFolder, Settings, collecting};
use crate::adapter::replay;
use crate::git::Repo;
use crate::integrate::{self, Integrator, Order, Persisted, RepoLock};
use crate::job::{self, Ending, Journal, Observer, Stop, Urgency};
use crate::ledger::Ledger;
use crate::model::{
    BlockReason, Event, JobId, PlanMutated, RowKey, RunFinished, RunId, RunKind, RunStarted,
    UnitId, Violation, WaveCompiled, WaveNo,
};
use crate::plan::{Item, MutateOptions, Plan, Status, Store, metadata};
use crate::protocol::{self, Action, Answer, Emission, UnitState};
use crate::schedule::{Selection, select};
use crate::scope::Scope;
use crate::snapshot::{self, Fingerprint};
use crate::wave::WaveHead;
use std::time::Duration;

/// Somebody who watches a run.
pub trait Watcher: Observer {
    /// A wave is about to be worked.
    fn wave_begins(&mut self, wave: &WaveCompiled);
    /// Its rows have ended.
    fn wave_ends(&mut self, wave: &WaveCompiled, counts: job::Counts);
    /// One line about a task or the run.
    fn say(&mut self, text: &str);
    /// One line that something is wrong.
    fn warn(&mut self, text: &str);
}

/// How a call of the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Nothing is left to do within the limits of the run.
    Finished,
    /// A worker asked to end it; resumable.
    StoppedByWorker,
    /// A signal asked to end it; resumable.
    Interrupted(i32),
}

/// A plan run that holds its repository.
pub struct PlanRun {
    folder: RunFolder,
    repo: Repo,
    store: Store,
    protocols: Protocols,
    settings: Settings,
    recorder: Recorder,
    _lock: RepoLock,
}

impl PlanRun {
    /// Begins a run: from now on it is in the ledger.
    pub fn begin(
        preflight: Preflight,
        folder: RunFolder,
        lock: RepoLock,
    ) -> Result<Self, RunError> {
        let mut settings = preflight.settings;
        settings.worker.folder = folder.snapshot();
        let mut recorder = Recorder::new(Ledger::create(&folder.ledger())?, State::default());
        recorder.record(vec![Event::from(RunStarted {
            run_id: folder.id().clone(),
            kind: RunKind::Plan,
            mesh_version: env!("CARGO_PKG_VERSION").to_owned(),
            root: preflight.repo.root().to_owned(),
            settings: serde_json::to_value(&settings).unwrap_or_default(),
        })])?;
        Ok(Self {
            store: Store::at(&settings.plan_file),
            folder,
            repo: preflight.repo,
            protocols: preflight.protocols,
            settings,
            recorder,
            _lock: lock,
        })
    }

    /// Takes up an earlier run from its ledger alone.
    pub fn resume(folder: RunFolder) -> Result<Self, RunError> {
        let (ledger, contents) = Ledger::open(&folder.ledger())?;
        let state = State::fold(&contents.records);
        let refuse = |why: String| RunError::NotResumable {
            id: folder.id().clone(),
            why,
        };
        let started = state
            .started
            .clone()
            .ok_or_else(|| refuse("its ledger is empty".to_owned()))?;
        let settings: Settings = serde_json::from_value(started.settings)
            .map_err(|error| refuse(format!("its settings are not understood: {error}")))?;
        let repo = Repo::find(&started.root)?;
        let lock = RepoLock::take(&repo)?;
        Ok(Self {
            store: Store::at(&settings.plan_file),
            protocols: Protocols::load(&settings.protocol, repo.root())?,
            repo,
            settings,
            recorder: Recorder::new(ledger, state),
            folder,
            _lock: lock,
        })
    }

    /// What is known.
    pub fn state(&self) -> &State {
        self.recorder.state()
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        self.folder.id()
    }

    /// Drives the run until nothing is left to do or it is asked to stop, and records how it ended.
    pub fn drive(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<RunEnd, RunError> {
        self.roll_back(watcher, stop)?;
        let end = loop {
            if let Some(end) = self.finish_open_waves(watcher, stop)? {
                break end;
            }
            self.settle(watcher, stop)?;
            if stop.urgency() != Urgency::None {
                break RunEnd::Interrupted(stop.signal().unwrap_or_default());
            }
            self.take_up(watcher)?;
            if self.state().in_flight().next().is_none() {
                break RunEnd::Finished;
            }
            self.emit()?;
        };
        let finished = self.finished(end);
        self.recorder.record(vec![Event::from(finished)])?;
        self.folder.tidy();
        Ok(end)
    }

    /// A kill during an integration: the tree goes back to its before-state first of all.
    fn roll_back(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<(), RunError> {
        let open: Vec<_> = self
            .state()
            .units
            .iter()
            .filter_map(|unit| unit.open_integration.clone())
            .collect();
        for started in open {
            watcher.say(&format!(
                "{}: an interrupted integration is rolled back",
                started.unit
            ));
            integrator(&self.repo, &self.folder, &self.settings, stop)
                .roll_back(&started, &mut self.recorder)?;
        }
        Ok(())
    }

    /// Works and judges every wave that is compiled and not fully judged.
    fn finish_open_waves(
        &mut self,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<Option<RunEnd>, RunError> {
        let open: Vec<WaveNo> = self
            .state()
            .waves
            .iter()
            .filter(|wave| wave.is_open())
            .map(|wave| wave.compiled.wave)
            .collect();
        for wave in open {
            match self.work(wave, watcher, stop)? {
                Ending::Finished => self.judge(wave)?,
                Ending::StoppedByWorker => return Ok(Some(RunEnd::StoppedByWorker)),
                Ending::Interrupted(signal) => return Ok(Some(RunEnd::Interrupted(signal))),
            }
        }
        Ok(None)
    }

    /// Fills the places for tasks: `in_progress` in the plan first, then in the ledger.
    fn take_up(&mut self, watcher: &mut dyn Watcher) -> Result<(), RunError> {
        loop {
            let state = self.state();
            let in_flight: Vec<UnitId> = state.in_flight().map(|unit| unit.id.clone()).collect();
            let places = in_flight.len() < self.settings.parallel_tasks.max(1) as usize;
            if !places || state.units.len() >= self.settings.max_tasks as usize {
                return Ok(());
            }
            let past = state.units.iter().map(|unit| unit.id.clone()).collect();
            let plan = self.store.read()?;
            let scopes = in_flight
                .iter()
                .map(|unit| Ok(self.task(&plan, unit)?.scope))
                .collect::<Result<Vec<Scope>, RunError>>()?;
            let closure = closure(&plan, &self.settings.ids)?;
            let selected = match select(&plan, closure.as_ref(), &past, &scopes) {
                Selection::Task(selected) => selected,
                Selection::Unusable(error) => {
                    watcher.warn(&format!("{error}; it is left for later"));
                    return Ok(());
                }
                Selection::BadScope(item, error) => {
                    watcher.warn(&format!("item `{item}`: {error}; it is left for later"));
                    return Ok(());
                }
                Selection::Nothing => return Ok(()),
            };
            self.store.mutate(self.mutate_options(), |plan| {
                plan.set_status(&selected.id, Status::InProgress)
            })?;
            let unit = UnitId::new(selected.id.as_str());
            watcher.say(&format!("{unit}: in progress"));
            self.recorder.record(vec![Event::from(PlanMutated {
                unit,
                status: Status::InProgress.as_str().to_owned(),
                comment: None,
                reason: None,
                detail: None,
            })])?;
        }
    }

    /// Does everything that needs no rows, unit by unit: count votes, integrate, persist.
    fn settle(&mut self, watcher: &mut dyn Watcher, stop: &Stop) -> Result<(), RunError> {
        let ids: Vec<UnitId> = self
            .state()
            .in_flight()
            .map(|unit| unit.id.clone())
            .collect();
        for id in ids {
            // A stop is looked at between steps: each of them is whole by itself.
            while stop.urgency() == Urgency::None && self.step(&id, watcher, stop)? {}
        }
        Ok(())
    }

    /// One step of one unit; `false` when it needs rows, or nothing any more.
    fn step(
        &mut self,
        id: &UnitId,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<bool, RunError> {
        let in_flight = self.state().in_flight().find(|unit| unit.id == *id);
        let Some(unit) = in_flight.cloned() else {
            return Ok(false);
        };
        let task = self.task(&self.store.read()?, id)?;
        match protocol::next(&task.protocol, &unit.state) {
            Action::Await | Action::Emit(_) => return Ok(false),
            Action::Tally => self.tally(&task, &unit.state, watcher)?,
            Action::Integrate => self.integrate(&task, &unit.state, watcher, stop)?,
            Action::Complete => self.persist(&unit, None, "", watcher)?,
            Action::Block(reason, detail) => self.persist(&unit, Some(reason), &detail, watcher)?,
        }
        Ok(true)
    }

    /// Compiles the rows that the units need: one wave for each round.
    fn emit(&mut self) -> Result<(), RunError> {
        let plan = self.store.read()?;
        let units: Vec<Unit> = self.state().in_flight().cloned().collect();
        let mut emissions: Vec<(Task, UnitState, Emission)> = Vec::new();
        for unit in units {
            let task = self.task(&plan, &unit.id)?;
            if let Action::Emit(emission) = protocol::next(&task.protocol, &unit.state) {
                emissions.push((task, unit.state, emission));
            }
        }
        while let Some((first, _, emission)) = emissions.first() {
            let key = (first.protocol.name.clone(), emission.round.clone());
            let (group, rest): (Vec<_>, Vec<_>) =
                emissions.into_iter().partition(|(task, _, emission)| {
                    (&task.protocol.name, &emission.round) == (&key.0, &key.1)
                });
            self.compile(&group)?;
            emissions = rest;
        }
        Ok(())
    }

    fn compile(&mut self, group: &[(Task, UnitState, Emission)]) -> Result<(), RunError> {
        let Some((first, _, emission)) = group.first() else {
            return Ok(());
        };
        let Some(round) = first.protocol.round(&emission.round) else {
            return Ok(());
        };
        let head = compile::head(&self.settings, self.id(), self.state().next_wave(), round);
        let units: Vec<_> = group
            .iter()
            .map(|(task, state, emission)| (task, state, emission))
            .collect();
        let wave = compile::compile(&self.repo, head, round, &units)?;
        wave.write(&self.folder)?;
        self.recorder.record(vec![Event::from(wave.event())])?;
        Ok(())
    }

    /// One call of the substrate, watched for changes that no worker may make.
    fn work(
        &mut self,
        number: WaveNo,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<Ending, RunError> {
        let Some(wave) = self.state().wave(number).cloned() else {
            return Ok(Ending::Finished);
        };
        let settings = self.job_settings(&wave.compiled, wave.job_id.clone())?;
        snapshot::make(&self.repo, &self.folder.snapshot())?;
        let before = Fingerprint::take(&self.repo, &[self.store.file()])?;
        watcher.wave_begins(&wave.compiled);
        let mut state = wave.job;
        let ending = job::run(&settings, &mut state, &mut self.recorder, watcher, stop)?;
        watcher.wave_ends(&wave.compiled, state.counts());
        let paths = before.differences(&Fingerprint::take(&self.repo, &[self.store.file()])?);
        if !paths.is_empty() {
            let violation = Violation {
                wave: number,
                paths,
                detail: "the work tree or the plan changed while workers ran".to_owned(),
            };
            watcher.warn(&format!(
                "violation: {}: {:?}",
                violation.detail, violation.paths
            ));
            self.recorder.record(vec![Event::from(violation)])?;
        }
        Ok(ending)
    }

    fn judge(&mut self, number: WaveNo) -> Result<(), RunError> {
        let plan = self.store.read()?;
        let Some(wave) = self.state().wave(number).cloned() else {
            return Ok(());
        };
        let mut verdicts = Vec::new();
        for id in wave
            .compiled
            .rows
            .iter()
            .filter(|id| !wave.judged.contains(id))
        {
            let Some(key) = RowKey::parse(id) else {
                continue;
            };
            let task = self.task(&plan, &key.unit)?;
            let folder = self.folder.unit(&key.unit);
            let verdict = collecting::judge(self.state(), &wave, id, &task, &self.repo, &folder)?;
            verdicts.push(Event::from(verdict));
            self.keep_answer(&wave, id)?;
        }
        self.recorder.record(verdicts)?;
        Ok(())
    }

    /// The answer as an artifact of its unit, and in the folder of recorded answers where one is kept.
    fn keep_answer(&self, wave: &super::Wave, id: &crate::model::RowId) -> Result<(), RunError> {
        let index = wave
            .compiled
            .rows
            .iter()
            .position(|row| row == id)
            .unwrap_or_default();
        let item = wave.job.item(index as u64);
        let Some(text) = item.and_then(|item| item.result.as_deref()) else {
            return Ok(());
        };
        let value = serde_json::from_str(text).unwrap_or_default();
        let units = self.folder.path().join("units");
        for folder in [Some(&units), self.settings.record.as_ref()]
            .into_iter()
            .flatten()
        {
            replay::record(folder, id, &value).map_err(RunError::io(folder))?;
        }
        Ok(())
    }

    fn tally(
        &mut self,
        task: &Task,
        state: &UnitState,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let gate = &task.protocol.consensus;
        let answers = state.current_answers();
        let votes = answers.iter().map(|(role, answer)| match answer {
            Answer::Accepted(value) => (*role, Ok(value)),
            Answer::Rejected { code, .. } | Answer::Retry { code, .. } => {
                (*role, Err(code.as_str()))
            }
            Answer::Open => (*role, Err("no verdict")),
        });
        let number = state.tallies.len() as u32 + 1;
        let tally = protocol::tally(&task.unit, number, gate.threshold, votes);
        watcher.say(&format!(
            "{}: vote {number}: {} agree, {} disagree{} ({} needed)",
            task.unit,
            tally.agree,
            tally.disagree,
            if tally.absent > 0 {
                format!(", {} absent", tally.absent)
            } else {
                String::new()
            },
            tally.threshold,
        ));
        self.recorder.record(vec![Event::from(tally)])?;
        Ok(())
    }

    fn integrate(
        &mut self,
        task: &Task,
        state: &UnitState,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<(), RunError> {
        let order = Order {
            unit: &task.unit,
            metadata: &task.metadata,
            scope: &task.scope,
            patch: protocol::latest_patch(&task.protocol, state).unwrap_or_default(),
        };
        integrator(&self.repo, &self.folder, &self.settings, stop)
            .integrate(&order, &mut self.recorder)?;
        if let Some(unit) = self.state().unit(&task.unit) {
            for run in &unit.state.validations {
                watcher.say(&format!(
                    "{}: `{}`: {}",
                    task.unit,
                    run.command,
                    run.outcome()
                ));
            }
        }
        Ok(())
    }

    fn persist(
        &mut self,
        unit: &Unit,
        reason: Option<BlockReason>,
        detail: &str,
        watcher: &mut dyn Watcher,
    ) -> Result<(), RunError> {
        let run_id = self.id().clone();
        let outcome = Persisted {
            run_id: &run_id,
            reason,
            detail,
            tally: unit.state.tallies.last(),
            validations: &unit.state.validations,
        };
        let text = integrate::comment(&outcome);
        let status = outcome.status();
        let plan = self.store.read()?;
        let item = item_of(&plan, &unit.id)?;
        integrate::persist(&self.store, item.id(), status, &text, self.mutate_options())?;
        let why = reason.map_or(String::new(), |reason| format!(" ({reason}: {detail})"));
        watcher.say(&format!("{}: {}{why}", unit.id, status.as_str()));
        self.recorder.record(vec![Event::from(PlanMutated {
            unit: unit.id.clone(),
            status: status.as_str().to_owned(),
            comment: Some(text),
            reason,
            detail: reason.map(|_| detail.to_owned()),
        })])?;
        Ok(())
    }

    fn task(&self, plan: &Plan, unit: &UnitId) -> Result<Task, RunError> {
        let item = item_of(plan, unit)?;
        let metadata = metadata::read(item)?;
        let scope = Scope::new(&metadata.scope).map_err(|source| RunError::Scope {
            item: item.id().clone(),
            source,
        })?;
        let protocol = self.protocols.of_task(item.id(), &metadata.swarm)?;
        Ok(Task::new(item, metadata, scope, protocol))
    }

    fn job_settings(
        &self,
        wave: &WaveCompiled,
        job_id: Option<JobId>,
    ) -> Result<job::Settings, RunError> {
        let csv_path = self.folder.path().join(&wave.csv_path);
        let call_path = self.folder.path().join(&wave.call_path);
        let call = std::fs::read(&call_path).map_err(RunError::io(&call_path))?;
        let call: serde_json::Value = serde_json::from_slice(&call)
            .map_err(|error| RunError::io(&call_path)(error.into()))?;
        let head = WaveHead {
            run_id: self.id().clone(),
            wave: wave.wave,
            round: wave.round.clone(),
            max_concurrency: wave.max_concurrency,
            timeout_seconds: self.settings.max_runtime_seconds,
            base_sha: self.settings.base_sha.clone(),
        };
        Ok(job::Settings {
            run_id: self.id().clone(),
            job_id: job_id.unwrap_or_else(|| JobId::new(uuid::Uuid::new_v4().to_string())),
            wave: wave.wave,
            input_path: csv_path.clone(),
            csv_path,
            delimiter: ',',
            rename: Vec::new(),
            instruction: "{prompt}".to_owned(),
            id_column: Some("id".to_owned()),
            output_csv_path: self.folder.wave_output(&head),
            output_schema: Some(call["output_schema"].clone()),
            max_concurrency: wave.max_concurrency,
            max_runtime_seconds: self.settings.max_runtime_seconds,
            retries: self.settings.retries,
            grace_seconds: self.settings.grace_seconds,
            result_bytes_max: job::RESULT_BYTES_MAX,
            output_bytes_max: job::OUTPUT_BYTES_MAX,
            worker: self.settings.worker.clone(),
            scratch: self.folder.wave_scratch(wave.wave),
            logs: self.folder.logs(),
        })
    }

    fn mutate_options(&self) -> MutateOptions {
        MutateOptions {
            allow_multiple_in_progress: self.settings.parallel_tasks > 1,
            ..MutateOptions::default()
        }
    }

    fn finished(&self, end: RunEnd) -> RunFinished {
        let state = self.state();
        let blocked = state.units.iter().any(|unit| {
            unit.ended
                .as_ref()
                .is_some_and(|ended| ended.reason.is_some())
        });
        let attempts = state.attempts();
        let unclean = attempts.spawned != attempts.closed || !state.violations.is_empty();
        let (status, exit_code, detail) = match end {
            RunEnd::Finished if blocked || unclean => ("completed", 1, None),
            RunEnd::Finished => ("completed", 0, None),
            RunEnd::StoppedByWorker => (
                "cancelled",
                4,
                Some("a worker asked to end the run".to_owned()),
            ),
            RunEnd::Interrupted(signal) => {
                let code = u8::try_from(128 + signal).unwrap_or(130);
                (
                    "cancelled",
                    code,
                    Some(format!("interrupted by signal {signal}")),
                )
            }
        };
        RunFinished {
            status: status.to_owned(),
            exit_code,
            detail,
        }
    }
}

fn item_of<'p>(plan: &'p Plan, unit: &UnitId) -> Result<&'p Item, RunError> {
    let id = crate::plan::ItemId::try_from(unit.to_string())?;
    let item = plan.get(&id);
    item.ok_or(RunError::Plan(crate::plan::PlanError::UnknownId { id }))
}

fn integrator<'i>(
    repo: &'i Repo,
    folder: &'i RunFolder,
    settings: &Settings,
    stop: &'i Stop,
) -> Integrator<'i> {
    Integrator {
        repo,
        run_folder: folder.path(),
        limits: integrate::Limits {
            timeout: Duration::from_secs(settings.validation_timeout_seconds),
            grace: Duration::from_secs(settings.grace_seconds),
            log_bytes_max: 16 * 1024 * 1024,
        },
        stop,
    }
}
