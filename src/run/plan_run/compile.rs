//! Compiles what units need next into a wave: rows, prompts, CSV and call file. The same state gives the same bytes.

use super::file_list::FileList;
use crate::integrate::PatchPolicy;
use crate::job::{Stop, Urgency};
use crate::ledger::{LedgerError, Lines};
use crate::model::{
    BlockReason, Risk, RowId, RowKey, RunId, UnitId, WaveCompiled, WaveNo, with_code,
};
use crate::plan::{Item, Metadata, metadata};
use crate::platform::{Hashed, Readers, compile_point, durable};
use crate::protocol::{
    Action, Artifact, Emission, Integration, Protocol, Round, TaskContext, UnitState,
};
use crate::run::error::RunError;
use crate::run::preflight::{Preflight, Protocols};
use crate::run::settings::Settings;
use crate::run::store::{AnswerPlace, RunFolder};
use crate::scope::Scope;
use crate::wave::{CsvWriter, WaveHead, WaveRow};
use crate::{patch, protocol, wave};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Why a task without a validation command is blocked.
const NO_VALIDATION: &str =
    "the task has no validation command and does not say `allow_no_validation: true`";

/// Why a task without a place for its test is blocked.
const NO_TEST_SCOPE: &str = "its protocol begins with a test, and the task lacks `test_scope`, the paths in which it may be, or a \
    validation command";

/// A part of what is integrated for a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchPart {
    /// The test that shows the fault.
    Test,
    /// What makes it pass.
    Change,
    /// Both, or the patch of a protocol without a test.
    Whole,
}

/// The scope of a test that comes first.
#[derive(Clone, Debug)]
pub(crate) struct TestScope {
    own: Scope,
    reach: Vec<String>,
    with_task: Scope,
}

/// A task as a wave sees it.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub unit: UnitId,
    pub objective: String,
    pub depends_on: Vec<String>,
    /// Its metadata; empty for a task that has none.
    pub metadata: Metadata,
    /// The notes of the item, which hold the metadata.
    pub notes: String,
    /// Whether its metadata is complete.
    pub has_metadata: bool,
    /// Whether a worker of this run has proposed the missing metadata.
    pub is_hydrated: bool,
    pub scope: Scope,
    /// Where its test may be, if its protocol begins with one.
    pub test_scope: Option<TestScope>,
    pub protocol: Protocol,
}

impl Task {
    /// Reads a task. Without metadata its scope is the whole repository.
    pub fn read(
        item: &Item,
        protocols: &Protocols,
        changed: Option<&str>,
    ) -> Result<Self, RunError> {
        let metadata = match metadata::read(item) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.needs_hydration() => None,
            Err(error) => return Err(error.into()),
        };
        let everything = ["**".to_owned()];
        let globs = metadata
            .as_ref()
            .map_or(&everything[..], |metadata| &metadata.scope);
        let scope = Scope::new(globs).map_err(RunError::scope(item))?;
        let protocol = protocols.resolve(item.id(), metadata.as_ref(), changed)?;
        let test_scope = match metadata.as_ref().filter(|it| !it.test_scope.is_empty()) {
            Some(metadata) if protocol.test_round().is_some() => {
                let reach = metadata.reach();
                Some(TestScope {
                    own: Scope::new(&metadata.test_scope).map_err(RunError::scope(item))?,
                    with_task: Scope::new(&reach).map_err(RunError::scope(item))?,
                    reach,
                })
            }
            _ => None,
        };
        let has_metadata = metadata.is_some();
        Ok(Self {
            test_scope,
            unit: UnitId::new(item.id().as_str()),
            objective: item.step().to_owned(),
            depends_on: item.deps().iter().map(|dep| dep.id.to_string()).collect(),
            metadata: metadata.unwrap_or_default(),
            notes: item.notes().to_owned(),
            has_metadata,
            is_hydrated: false,
            scope,
            protocol,
        })
    }

    /// What its unit needs next.
    pub fn next<A: Artifact>(&self, state: &UnitState<A>) -> Action {
        // Proposed metadata lacks commands only if none of them was allowed; another proposal would not help.
        let is_settled = self.has_metadata || self.is_hydrated;
        let can_end_well = !is_settled
            || !self.metadata.validation.is_empty()
            || self.metadata.allow_no_validation;
        if !can_end_well && state.integration == Integration::None {
            // Further rows would be paid for in vain.
            return Action::Block(BlockReason::MissingValidation, NO_VALIDATION.to_owned());
        }
        // A worker that proposes metadata proposes no `test_scope`.
        let begins_with_test = self.protocol.test_round().is_some();
        let can_show_fault = self.test_scope.is_some() && !self.metadata.validation.is_empty();
        if begins_with_test && !can_show_fault && state.integration == Integration::None {
            return Action::Block(BlockReason::MissingValidation, NO_TEST_SCOPE.to_owned());
        }
        protocol::next(&self.protocol, state, self.has_metadata)
    }

    /// Whether only its test may touch a path.
    pub fn is_path_of_test(&self, path: &str) -> bool {
        let test = self.test_scope.as_ref();
        test.is_some_and(|test| test.own.covers(path))
    }

    /// The rules for a patch of the task, or for a part of it: it must not touch the plan file or the folder of all runs.
    pub fn patch_policy<'t>(
        &'t self,
        part: PatchPart,
        plan_file: &'t Path,
        artifacts: &'t Path,
        limits: patch::Limits,
    ) -> PatchPolicy<'t> {
        let (globs, scope) = match (part, &self.test_scope) {
            (PatchPart::Test, Some(test)) => (&self.metadata.test_scope, &test.own),
            (PatchPart::Whole, Some(test)) => (&test.reach, &test.with_task),
            (_, None) | (PatchPart::Change, _) => (&self.metadata.scope, &self.scope),
        };
        PatchPolicy {
            metadata: &self.metadata,
            globs,
            scope,
            plan_file,
            artifacts,
            limits,
        }
    }

    /// The metadata for prompts. Every round needs an acceptance statement, so a task without one is accepted when its step
    /// is done.
    fn metadata(&self) -> Metadata {
        let mut metadata = self.metadata.clone();
        if self.has_metadata && metadata.acceptance.is_empty() {
            metadata.acceptance = vec![self.objective.clone()];
        }
        metadata
    }

    fn context(&self, files: &FileList, round: &Round) -> io::Result<TaskContext> {
        let scope = match &self.test_scope {
            Some(test) if round.is_test => &test.with_task,
            _ => &self.scope,
        };
        Ok(TaskContext {
            task_id: self.unit.to_string(),
            objective: self.objective.clone(),
            mesh_meta: match self.has_metadata {
                true => self.metadata().to_yaml(),
                // Notes without a complete block still help the worker.
                false if self.notes.trim().is_empty() => "MISSING".to_owned(),
                false => format!(
                    "MISSING or incomplete; the notes of the task:\n\n{}",
                    self.notes
                ),
            },
            files: match self.has_metadata {
                true => files.scope_as_markdown(scope)?,
                false => files.names_as_markdown(),
            },
        })
    }
}

/// A unit and what it needs.
pub(crate) type NeedingUnit<'u> = (&'u Task, &'u UnitState<AnswerPlace>, &'u Emission);

/// How many units are rendered at once. Only their rows are in memory.
const BLOCK: usize = 256;

/// A wave that is not written yet: the same round of some units, in their order, roles in the protocol's order.
pub(crate) struct WaveDraft<'u> {
    /// What its rows share.
    pub head: WaveHead,
    /// Its round.
    pub round: &'u Round,
    /// The files of the tree.
    pub files: &'u FileList,
    /// The units.
    pub units: Vec<NeedingUnit<'u>>,
    /// The ledger with their answers, if they have any.
    pub lines: Option<&'u Lines>,
}

impl WaveDraft<'_> {
    /// The rows, block by block.
    fn blocks(&self) -> impl Iterator<Item = io::Result<Vec<WaveRow>>> + Send {
        self.units.chunks(BLOCK).map(|block| {
            let loaded = block.iter().map(|(_, state, _)| self.load(state));
            let loaded: Result<Vec<UnitState>, LedgerError> = loaded.collect();
            let loaded = loaded.map_err(io::Error::other)?;
            let units = block.par_iter().zip(&loaded);
            let rows = units.map(|((task, _, emission), state)| {
                rows_of(self.files, self.round, task, state, emission)
            });
            let rows: Vec<Vec<WaveRow>> = rows.collect::<io::Result<_>>()?;
            Ok(rows.into_iter().flatten().collect())
        })
    }

    /// The state of a unit with its answers.
    fn load(&self, state: &UnitState<AnswerPlace>) -> Result<UnitState, LedgerError> {
        state.load(|place| match self.lines {
            Some(lines) => place.read(lines),
            None => Ok(Value::Null),
        })
    }

    /// Writes the wave CSV and the call file; both are durable when this returns. `None`: the run was asked to stop, and nothing
    /// was written.
    pub fn write(&self, folder: &RunFolder, stop: &Stop) -> Result<Option<WaveCompiled>, RunError> {
        let (csv, call) = (self.head.csv_name(), self.head.call_name());
        let path = folder.waves().join(&csv);
        let mut written = None;
        let staged = durable::replace(&path, Readers::Owner, |file| {
            written = self.write_csv(file, stop)?;
            // The temporary file is removed.
            written.as_ref().map(|_| ()).ok_or_else(stopped)
        });
        let Some((rows, csv_sha256)) = written else {
            return staged.map(|()| None).or_else(|error| match is_asked(stop) {
                true => Ok(None),
                false => Err(RunError::io(&path)(error)),
            });
        };
        staged.map_err(RunError::io(&path))?;
        let path = folder.waves().join(&call);
        let text = wave::call_json(&self.head, self.round.schema.source());
        crate::platform::write_private(&path, format!("{text:#}\n").as_bytes())
            .map_err(RunError::io(&path))?;
        Ok(Some(WaveCompiled {
            wave: self.head.wave,
            round: self.head.round.clone(),
            lane: self.round.lane,
            rows,
            csv_path: PathBuf::from("waves").join(csv),
            call_path: PathBuf::from("waves").join(call),
            csv_sha256,
            max_concurrency: self.head.max_concurrency,
            protocol: self
                .units
                .first()
                .map(|(task, ..)| task.protocol.name.clone()),
            risks: self.risks(),
        }))
    }

    /// The tasks whose risk is not the default.
    fn risks(&self) -> BTreeMap<UnitId, Risk> {
        let risks = self.units.iter().filter_map(|(task, ..)| {
            let risk = task.metadata.risk.filter(|risk| *risk != Risk::Medium)?;
            Some((task.unit.clone(), risk))
        });
        risks.collect()
    }

    /// Writes the rows. Returns their ids, and the hash of the file; `None` if the run was asked to stop.
    fn write_csv(
        &self,
        sink: impl Write + Send,
        stop: &Stop,
    ) -> io::Result<Option<(Vec<RowId>, String)>> {
        let mut hashed = Hashed::new(sink);
        let mut writer = CsvWriter::new(&mut hashed, &self.head)?;
        let mut ids = Vec::new();
        let mut blocks = self.blocks();
        let mut rendered = blocks.next();
        while let Some(block) = rendered.take() {
            compile_point(|| is_asked(stop));
            if is_asked(stop) {
                return Ok(None);
            }
            let block = block?;
            // One block is written while the next one is rendered.
            let write = || block.iter().try_for_each(|row| writer.row(row));
            let written;
            (written, rendered) = rayon::join(write, || blocks.next());
            written?;
            ids.extend(block.iter().map(|row| row.key.id()));
        }
        writer.finish()?;
        Ok(Some((ids, hashed.sha256())))
    }
}

fn is_asked(stop: &Stop) -> bool {
    stop.urgency() != Urgency::None
}

fn stopped() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

/// The rows of one unit.
fn rows_of(
    files: &FileList,
    round: &Round,
    task: &Task,
    state: &UnitState,
    emission: &Emission,
) -> io::Result<Vec<WaveRow>> {
    let (context, metadata) = (task.context(files, round)?, task.metadata());
    let attempt = emission.attempt;
    let row = |role| WaveRow {
        key: RowKey {
            unit: task.unit.clone(),
            round: round.name.clone(),
            role: Clone::clone(role),
            attempt,
        },
        objective: task.objective.clone(),
        lane: round.lane,
        scope: match round.is_test {
            true => metadata.test_scope.clone(),
            false => metadata.scope.clone(),
        },
        acceptance: metadata.acceptance.clone(),
        validation: metadata.validation.clone(),
        risk: metadata.risk.unwrap_or(Risk::Medium),
        depends_on: task.depends_on.clone(),
        prompt: protocol::render(&task.protocol, round, role, attempt, &context, state),
    };
    Ok(emission.roles.iter().map(row).collect())
}

/// The head of a wave: its number, and what the settings say of every wave.
pub(crate) fn head(
    settings: &Settings,
    run_id: &RunId,
    wave: WaveNo,
    round: &Round,
    max_concurrency: usize,
) -> WaveHead {
    WaveHead {
        run_id: run_id.clone(),
        wave,
        round: round.name.clone(),
        max_concurrency,
        timeout_seconds: settings.options.bounds.max_runtime_seconds,
        base_sha: settings.base_sha.clone(),
    }
}

/// The tasks that would be blocked as soon as they are admitted, each with the reason, for `--dry-run`.
pub fn find_blocked_tasks(preflight: &Preflight) -> Result<Vec<(UnitId, String)>, RunError> {
    let blocked = |task: Task| match task.next(&UnitState::<AnswerPlace>::default()) {
        Action::Block(reason, detail) => Some((task.unit, with_code(reason.as_str(), &detail))),
        _ => None,
    };
    let tasks = selected_tasks(preflight)?.into_iter();
    Ok(tasks.filter_map(blocked).collect())
}

fn selected_tasks(preflight: &Preflight) -> Result<Vec<Task>, RunError> {
    let ids = preflight.selected.iter().map(|selected| &selected.id);
    let items = ids.filter_map(|id| preflight.plan.get(id));
    let items: Vec<&Item> = items.collect();
    let read = |item: &&Item| Task::read(item, &preflight.protocols, None);
    let tasks: Vec<_> = items.par_iter().map(read).collect();
    tasks.into_iter().collect()
}

/// The first wave that a run would compile, for `--dry-run`.
pub struct Preview {
    /// What its rows share.
    pub head: WaveHead,
    round: Round,
    files: FileList,
    units: Vec<(Task, Emission)>,
}

impl Preview {
    /// Compiles nothing yet; `None` if no task needs rows.
    pub fn of(preflight: &Preflight, run_id: &RunId) -> Result<Option<Self>, RunError> {
        let fresh = UnitState::<AnswerPlace>::default();
        let tasks = selected_tasks(preflight)?.into_iter();
        let mut units: Vec<(Task, Emission)> = tasks
            .filter_map(|task| match task.next(&fresh) {
                Action::Emit(emission) => Some((task, emission)),
                _ => None,
            })
            .collect();
        let Some((first, emission)) = units.first() else {
            return Ok(None);
        };
        let Some(round) = first.protocol.round(&emission.round).cloned() else {
            return Ok(None);
        };
        let settings = &preflight.settings;
        let full = settings.options.bounds.max_concurrency;
        let head = head(settings, run_id, WaveNo(1), &round, full);
        let name = first.protocol.name.clone();
        units.retain(|(task, _)| task.protocol.name == name);
        Ok(Some(Self {
            head,
            round,
            files: FileList::read(&preflight.repo)?,
            units,
        }))
    }

    /// How many rows it has.
    pub fn row_count(&self) -> usize {
        let roles = self.units.iter().map(|(_, emission)| emission.roles.len());
        roles.sum()
    }

    /// The call file.
    pub fn call(&self) -> Value {
        wave::call_json(&self.head, self.round.schema.source())
    }

    /// Calls `show` with every row, in order.
    pub fn for_each_row<E>(&self, mut show: impl FnMut(WaveRow) -> Result<(), E>) -> Result<(), E> {
        let fresh = UnitState::<AnswerPlace>::default();
        let units = self.units.iter();
        let draft = WaveDraft {
            head: self.head.clone(),
            round: &self.round,
            files: &self.files,
            units: units
                .map(|(task, emission)| (task, &fresh, emission))
                .collect(),
            lines: None,
        };
        // Without answers nothing is read from a ledger.
        draft.blocks().flatten().flatten().try_for_each(&mut show)
    }
}
