//! Compiles what units need next into a wave: rows, prompts, CSV and call file. The same state gives the same bytes.

use super::file_list::FileList;
use crate::integrate::PatchPolicy;
use crate::model::{
    BlockReason, Lane, Risk, RowKey, RunId, UnitId, WaveCompiled, WaveNo, with_code,
};
use crate::plan::{Item, Metadata, metadata};
use crate::platform::sha256_of_bytes;
use crate::protocol::{Action, Emission, Integration, Protocol, Round, TaskContext, UnitState};
use crate::run::error::RunError;
use crate::run::preflight::{Preflight, Protocols};
use crate::run::settings::Settings;
use crate::run::store::RunFolder;
use crate::scope::Scope;
use crate::wave::{WaveHead, WaveRow};
use crate::{patch, protocol, wave};
use rayon::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Why a task without a validation command is blocked.
const NO_VALIDATION: &str =
    "the task has no validation command and does not say `allow_no_validation: true`";

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
        let has_metadata = metadata.is_some();
        Ok(Self {
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
    pub fn next(&self, state: &UnitState) -> Action {
        // Proposed metadata lacks commands only if none of them was allowed; another proposal would not help.
        let is_settled = self.has_metadata || self.is_hydrated;
        let can_end_well = !is_settled
            || !self.metadata.validation.is_empty()
            || self.metadata.allow_no_validation;
        if !can_end_well && state.integration == Integration::None {
            // Further rows would be paid for in vain.
            return Action::Block(BlockReason::MissingValidation, NO_VALIDATION.to_owned());
        }
        protocol::next(&self.protocol, state, self.has_metadata)
    }

    /// The rules for a patch of the task: it must not touch the plan file or the folder of all runs.
    pub fn patch_policy<'t>(
        &'t self,
        plan_file: &'t Path,
        artifacts: &'t Path,
        limits: patch::Limits,
    ) -> PatchPolicy<'t> {
        PatchPolicy {
            metadata: &self.metadata,
            scope: &self.scope,
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

    fn context(&self, files: &FileList) -> TaskContext {
        TaskContext {
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
                true => files.scope_as_markdown(&self.scope),
                false => files.names_as_markdown(),
            },
        }
    }
}

/// A compiled wave that is not written yet.
#[derive(Clone, Debug)]
pub struct CompiledWave {
    /// What its rows share.
    pub head: WaveHead,
    /// What its rows may return.
    pub lane: Lane,
    /// The rows.
    pub rows: Vec<WaveRow>,
    /// The call file.
    pub call: Value,
    csv: Vec<u8>,
}

impl CompiledWave {
    /// Writes the wave CSV and the call file; both are durable when this returns.
    pub fn write(&self, folder: &RunFolder) -> Result<(), RunError> {
        let write = |name: PathBuf, bytes: &[u8]| {
            let path = folder.waves().join(name);
            crate::platform::write_private(&path, bytes).map_err(RunError::io(&path))
        };
        write(self.head.csv_name(), &self.csv)?;
        write(
            self.head.call_name(),
            format!("{:#}\n", self.call).as_bytes(),
        )
    }

    /// The event for the ledger.
    pub fn event(&self) -> WaveCompiled {
        WaveCompiled {
            wave: self.head.wave,
            round: self.head.round.clone(),
            lane: self.lane,
            rows: self.rows.iter().map(|row| row.key.id()).collect(),
            csv_path: PathBuf::from("waves").join(self.head.csv_name()),
            call_path: PathBuf::from("waves").join(self.head.call_name()),
            csv_sha256: sha256_of_bytes(&self.csv),
            max_concurrency: self.head.max_concurrency,
        }
    }
}

/// Compiles one wave: the same round of `units`, in their order, roles in the protocol's order.
pub(crate) fn compile(
    files: &FileList,
    head: WaveHead,
    round: &Round,
    units: &[(&Task, &UnitState, &Emission)],
) -> Result<CompiledWave, RunError> {
    let rows = units
        .par_iter()
        .flat_map_iter(|(task, state, emission)| rows_of(files, round, task, state, emission));
    let rows: Vec<WaveRow> = rows.collect();
    let csv = wave::write_csv(&head, &rows).map_err(RunError::io(&head.csv_name()))?;
    Ok(CompiledWave {
        call: wave::call_json(&head, round.schema.source()),
        lane: round.lane,
        head,
        rows,
        csv,
    })
}

/// The rows of one unit.
fn rows_of(
    files: &FileList,
    round: &Round,
    task: &Task,
    state: &UnitState,
    emission: &Emission,
) -> Vec<WaveRow> {
    let (context, metadata) = (task.context(files), task.metadata());
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
        scope: metadata.scope.clone(),
        acceptance: metadata.acceptance.clone(),
        validation: metadata.validation.clone(),
        risk: metadata.risk.unwrap_or(Risk::Medium),
        depends_on: task.depends_on.clone(),
        prompt: protocol::render(&task.protocol, round, role, attempt, &context, state),
    };
    emission.roles.iter().map(row).collect()
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
    let blocked = |task: Task| match task.next(&UnitState::default()) {
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
pub fn preview(preflight: &Preflight, run_id: &RunId) -> Result<Option<CompiledWave>, RunError> {
    let tasks = selected_tasks(preflight)?;
    let fresh = UnitState::default();
    let emissions: Vec<(&Task, Emission)> = tasks
        .iter()
        .filter_map(|task| match task.next(&fresh) {
            Action::Emit(emission) => Some((task, emission)),
            _ => None,
        })
        .collect();
    let Some((first, emission)) = emissions.first() else {
        return Ok(None);
    };
    let Some(round) = first.protocol.round(&emission.round) else {
        return Ok(None);
    };
    let head = head(
        &preflight.settings,
        run_id,
        WaveNo(1),
        round,
        preflight.settings.options.bounds.max_concurrency,
    );
    let same_round = emissions
        .iter()
        .filter(|(task, _)| task.protocol.name == first.protocol.name)
        .map(|(task, emission)| (*task, &fresh, emission));
    compile(
        &FileList::read(&preflight.repo)?,
        head,
        round,
        &same_round.collect::<Vec<_>>(),
    )
    .map(Some)
}
