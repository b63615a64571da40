//! The report of a plan run: the list under "Reporting" in the seed, folded from the ledger. Serialized, it is the report as
//! JSON; [`text`](super::text), [`junit`](super::junit) and [`markdown`](super::markdown) are the other formats.

use super::candidates::CandidateReport;
use super::rows::FailedRow;
use crate::model::{
    CommitRecord, IntegrationFinished, LearningAppended, RoleBinding, RunId, RunKind, Tally, Usage,
    ValidationFinished, VerdictRecord, VoteLine,
};
use crate::plan::Status;
use crate::run::{RESULTS, State, Unit};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The report of a plan run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `completed`, `cancelled`, `waiting` for answers of an external runner, `running` if the ledger has no end, or `not ended` if
    /// no process drives the run either.
    pub status: String,
    /// Why it ended early.
    pub detail: Option<String>,
    /// The tasks that were admitted, with their final states.
    pub tasks: Vec<TaskReport>,
    /// The adapter and its workers.
    pub adapter: AdapterReport,
    /// Processes started against processes reaped.
    pub slots: SlotReport,
    /// Changes of the plan file, in order.
    pub plan_mutations: Vec<MutationReport>,
    /// Tasks whose metadata a worker proposed.
    pub hydrations: Vec<HydrationReport>,
    /// Changes of protocol.
    pub protocol_changes: Vec<ProtocolReport>,
    /// Changes of the concurrency number between waves.
    pub backpressure: Vec<PressureReport>,
    /// Records of the learnings store, in order.
    pub learnings: Vec<LearningReport>,
    /// Changes of the tree or the plan that no worker may make.
    pub violations: Vec<String>,
    /// The table of the tasks whose patches are kept, relative to the run's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results_path: Option<&'static str>,
    /// The command that integrates the kept patches, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_command: Option<String>,
    /// What the audit said, if the run was judged at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<AuditOutcome>,
    /// Wave CSVs, relative to the run's folder.
    pub waves: Vec<PathBuf>,
    /// The usage of all workers, if reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The usage of each wave, in order; empty if not reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wave_usage: Vec<Usage>,
    /// Why no worker was ever started, if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegation_did_not_run: Option<String>,
    /// Rows that failed for good, if requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_rows: Vec<FailedRow>,
    /// The run.
    pub mesh_run_id: RunId,
}

/// The audit of the run in short.
#[derive(Clone, Debug, Serialize)]
pub struct AuditOutcome {
    /// Whether no rule is broken.
    pub is_clean: bool,
    /// How many rules hold, and the names of those that do not.
    pub summary: String,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// The plan item.
    pub id: String,
    /// `completed`, `blocked`, `accepted` or `rejected` if the patch is kept instead of integrated, `pending` or `in_progress` before
    /// its outcome is persisted, `plan_conflict` if a person or another run changed its status, or `undone` if `mesh undo` took
    /// its patch back.
    pub state: String,
    /// The block reason.
    pub reason: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// The number of votes.
    pub consensus_attempts: usize,
    /// Every tally.
    pub tallies: Vec<TallyReport>,
    /// Paths that the applied patch changed.
    #[serde(with = "crate::model::path_text::list")]
    pub changed_paths: Vec<PathBuf>,
    /// Files of a failed validation that were moved into the run's folder.
    #[serde(with = "crate::model::path_text::list")]
    pub moved_aside: Vec<PathBuf>,
    /// The folder they were moved to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// Paths of the user's tree that changed while commands ran in another tree; it is not known who changed them.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        with = "crate::model::path_text::list"
    )]
    pub changed_meanwhile: Vec<PathBuf>,
    /// Files outside of the patch that a passed validation changed or created.
    #[serde(with = "crate::model::path_text::list")]
    pub by_validation: Vec<PathBuf>,
    /// Commands with outcomes.
    pub validation: Vec<ValidationReport>,
    /// The usage of its workers, if reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The candidates of the last round that asked for several patches, in the order of their roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateReport>,
    /// Commands that ran before the vote, with outcomes.
    pub before_vote: Vec<ValidationReport>,
    /// Commands that passed without the patch as well: weak evidence.
    pub passed_before: Vec<String>,
    /// Commands that the synthesis proposed and that were not run.
    pub left_out: Vec<String>,
    /// Refused answers.
    pub refusals: Vec<RefusalReport>,
    /// The commit that holds the patch.
    pub commit: Option<CommitRecord>,
    /// The patch that is kept instead of integrated, relative to the run's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch_path: Option<PathBuf>,
}

/// One refused answer.
#[derive(Clone, Debug, Serialize)]
pub struct RefusalReport {
    /// The row.
    pub row: String,
    /// Its failure code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
}

/// One task that had no metadata.
#[derive(Clone, Debug, Serialize)]
pub struct HydrationReport {
    /// The plan item.
    pub id: String,
    /// The stored metadata, as YAML.
    pub mesh: String,
    /// Proposed commands that were not stored.
    pub left_out: Vec<String>,
}

/// One change of protocol.
#[derive(Clone, Debug, Serialize)]
pub struct ProtocolReport {
    /// The plan item.
    pub id: String,
    /// The protocol before.
    pub from: String,
    /// The protocol after.
    pub to: String,
    /// Why, as a code.
    pub code: String,
    /// Why, in words.
    pub detail: String,
}

/// One change of the concurrency number.
#[derive(Clone, Debug, Serialize)]
pub struct PressureReport {
    /// The wave that caused it.
    pub wave: u32,
    /// The failures in that wave; empty if there were none.
    pub causes: Vec<String>,
    /// The number before.
    pub from: usize,
    /// The number after.
    pub to: usize,
}

/// One learning.
#[derive(Clone, Debug, Serialize)]
pub struct LearningReport {
    /// The record.
    pub id: String,
    /// The plan item; `null` for the learning of the run.
    pub task: Option<String>,
    /// The text.
    pub learning: String,
    /// Whether it was in the store before this run.
    pub known: bool,
}

/// One counted vote.
#[derive(Clone, Debug, Serialize)]
pub struct TallyReport {
    /// Votes for the patch.
    pub agree: u32,
    /// Votes against it.
    pub disagree: u32,
    /// Roles without a usable vote.
    pub absent: u32,
    /// How many must agree.
    pub threshold: u32,
    /// The votes that are not `agree`, with reasons.
    pub dissent: Vec<VoteLine>,
}

/// One validation command.
#[derive(Clone, Debug, Serialize)]
pub struct ValidationReport {
    /// The role whose patch it ran with, if several were tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// The command.
    pub command: String,
    /// `exit 0`, `timed out`, …
    pub outcome: String,
    /// Whether that is a success.
    pub passed: bool,
    /// Wall-clock milliseconds.
    pub duration_ms: u64,
    /// The key line of its output.
    pub key_line: String,
    /// All of its output, relative to the run's folder.
    #[serde(skip)]
    pub log_path: PathBuf,
}

/// Workers of the run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AdapterReport {
    /// The adapter's id.
    pub name: String,
    /// What roles are bound to, by role: `codex:gpt-5:high`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, String>,
    /// The one concurrency number.
    pub max_concurrency: u64,
    /// Worker processes started.
    pub workers_spawned: u64,
    /// Those with a result.
    pub workers_completed: u64,
    /// Those whose row was retried.
    pub workers_retried: u64,
    /// Those that timed out.
    pub workers_timed_out: u64,
}

/// Slot hygiene.
#[derive(Clone, Debug, Serialize)]
pub struct SlotReport {
    /// Worker processes started.
    pub spawned: u64,
    /// Worker processes reaped.
    pub closed: u64,
    /// Worker processes not reaped; only a kill of `mesh` leaves any.
    pub stragglers: u64,
    /// Their rows.
    pub straggler_rows: Vec<String>,
}

/// One change of the plan file.
#[derive(Clone, Debug, Serialize)]
pub struct MutationReport {
    /// The plan item.
    pub id: String,
    /// Its new status.
    pub status: String,
    /// Whether a `[mesh]` comment was added.
    pub comment: bool,
}

impl Report {
    /// The report of a plan run; `None` for another kind of run.
    pub fn of(state: &State) -> Option<Self> {
        let started = state
            .started
            .as_ref()
            .filter(|started| started.kind == RunKind::Plan)?;
        let keeps_patches = started.settings["integrate"] == false;
        let attempts = state.attempts();
        let finished = state.finished.as_ref();
        let usage = reported(state.spent().usage);
        let each_wave = state.waves.iter().map(|wave| wave.job.spent.usage);
        Some(Self {
            delegation_did_not_run: why_without_workers(state),
            usage,
            wave_usage: each_wave.filter(|_| usage.is_some()).collect(),
            status: finished
                .map_or("running", |finished| finished.status.as_str())
                .to_owned(),
            detail: finished.and_then(|finished| finished.detail.clone()),
            tasks: state.units.iter().map(TaskReport::of).collect(),
            adapter: AdapterReport {
                name: started.settings["adapter"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
                roles: bindings(&started.settings),
                max_concurrency: started.settings["bounds"]["max_concurrency"]
                    .as_u64()
                    .unwrap_or_default(),
                workers_spawned: attempts.spawned,
                workers_completed: attempts.completed,
                workers_retried: attempts.retried,
                workers_timed_out: attempts.timed_out,
            },
            slots: SlotReport {
                spawned: attempts.spawned,
                closed: attempts.closed,
                stragglers: attempts.spawned.saturating_sub(attempts.closed),
                straggler_rows: state.stragglers(),
            },
            plan_mutations: state
                .mutations
                .iter()
                .map(|mutation| MutationReport {
                    id: mutation.unit.to_string(),
                    status: mutation.status.to_string(),
                    comment: mutation.has_comment,
                })
                .collect(),
            hydrations: hydrations(state),
            protocol_changes: protocol_changes(state),
            backpressure: backpressure(state),
            learnings: state.learnings.iter().map(LearningReport::of).collect(),
            violations: state
                .violations
                .iter()
                .map(|violation| format!("wave {}: {}", violation.wave, violation.report()))
                .collect(),
            waves: state
                .waves
                .iter()
                .map(|wave| wave.compiled.csv_path.clone())
                .collect(),
            results_path: keeps_patches.then_some(RESULTS),
            next_command: next_command(state, &started.run_id),
            audit: None,
            failed_rows: Vec::new(),
            mesh_run_id: started.run_id.clone(),
        })
    }
}

/// `None` if no worker reported any usage.
fn reported(usage: Usage) -> Option<Usage> {
    (!usage.is_none()).then_some(usage)
}

/// Why a run has ended without a worker.
fn why_without_workers(state: &State) -> Option<String> {
    let finished = state.finished.as_ref()?;
    if state.attempts().spawned > 0 || finished.status == "waiting" {
        return None;
    }
    let blocked = state.units.iter().filter_map(|unit| {
        let reason = unit.ended.as_ref()?.reason?;
        Some(format!("{} was blocked ({reason})", unit.id))
    });
    let blocked: Vec<String> = blocked.collect();
    Some(match (&finished.detail, blocked.as_slice()) {
        (Some(detail), _) => detail.clone(),
        (None, []) => "no task was ready".to_owned(),
        (None, blocked) => blocked.join(", "),
    })
}

impl TaskReport {
    fn of(unit: &Unit) -> Self {
        let ended = unit.ended.as_ref();
        let integration = unit.integration.as_ref();
        let of_integration = |list: fn(&IntegrationFinished) -> &Vec<String>| {
            integration.map_or(Vec::new(), |one| list(one).clone())
        };
        Self {
            id: unit.id.to_string(),
            state: match ended {
                _ if unit.undone.is_some() => "undone",
                None => status_of_open(unit),
                Some(ended) if ended.is_conflict => "plan_conflict",
                Some(ended) => ended.status.as_str(),
            }
            .to_owned(),
            reason: ended
                .and_then(|ended| ended.reason)
                .map(|reason| reason.to_string()),
            detail: ended.and_then(|ended| ended.detail.clone()),
            consensus_attempts: unit.state.tallies.len(),
            tallies: unit.state.tallies.iter().map(TallyReport::of).collect(),
            changed_paths: unit.state.changed_paths.clone(),
            moved_aside: integration
                .map(|integration| integration.moved_aside.clone())
                .unwrap_or_default(),
            moved_to: integration
                .filter(|integration| !integration.moved_aside.is_empty())
                .map(|integration| format!("units/{}/aside", integration.unit.file_name())),
            changed_meanwhile: unit.concurrent_changes.iter().cloned().collect(),
            by_validation: integration.map_or(Vec::new(), |one| one.by_validation.clone()),
            validation: unit
                .state
                .validations
                .iter()
                .map(ValidationReport::of)
                .collect(),
            usage: reported(unit.spent.usage),
            candidates: CandidateReport::all(&unit.state),
            before_vote: unit.previews.iter().map(ValidationReport::of).collect(),
            passed_before: of_integration(|one| &one.passed_before),
            left_out: of_integration(|one| &one.left_out),
            refusals: unit.refusals.iter().map(RefusalReport::of).collect(),
            commit: integration.and_then(|one| one.commit.clone()),
            patch_path: kept_patch(unit),
        }
    }
}

/// The patch of a unit that is not taken.
fn kept_patch(unit: &Unit) -> Option<PathBuf> {
    let proposal = unit.proposal.as_ref().filter(|it| !it.is_taken)?;
    proposal.decided.as_ref()?.patch_path.clone()
}

/// The command that integrates the patches that the run keeps, if there are any.
fn next_command(state: &State, run_id: &RunId) -> Option<String> {
    let is_open = |unit: &Unit| unit.proposal.as_ref().is_some_and(|it| it.is_open());
    let has_open = state.units.iter().any(is_open);
    has_open.then(|| format!("mesh integrate {run_id}"))
}

/// The status of a task that has not ended: that in the plan, or `undecided` if the plan does not show it.
fn status_of_open(unit: &Unit) -> &'static str {
    if unit.is_held() {
        return "undecided";
    }
    match unit.is_early {
        true => Status::Pending.as_str(),
        false => Status::InProgress.as_str(),
    }
}

fn hydrations(state: &State) -> Vec<HydrationReport> {
    let report = |one: &crate::model::Hydrated| HydrationReport {
        id: one.unit.to_string(),
        mesh: one.mesh.clone(),
        left_out: one.left_out.clone(),
    };
    state.hydrations.iter().map(report).collect()
}

fn protocol_changes(state: &State) -> Vec<ProtocolReport> {
    let report = |one: &crate::model::ProtocolChanged| ProtocolReport {
        id: one.unit.to_string(),
        from: one.from.clone(),
        to: one.to.clone(),
        code: one.code.clone(),
        detail: one.detail.clone(),
    };
    state.protocol_changes.iter().map(report).collect()
}

fn backpressure(state: &State) -> Vec<PressureReport> {
    let report = |one: &crate::model::Backpressure| PressureReport {
        wave: one.wave.0,
        causes: one.causes.clone(),
        from: one.from,
        to: one.to,
    };
    state.backpressure.iter().map(report).collect()
}

impl PressureReport {
    /// `after wave 003 (timeout): 2 at once instead of 4`; `causes` is the text for the causes.
    pub(super) fn line(&self, causes: &str) -> String {
        let (wave, from, to) = (self.wave, self.from, self.to);
        let why = if self.causes.is_empty() {
            "clean"
        } else {
            causes
        };
        format!("after wave {wave:03} ({why}): {to} at once instead of {from}")
    }
}

impl LearningReport {
    fn of(one: &LearningAppended) -> Self {
        Self {
            id: one.id.clone(),
            task: one.unit.as_ref().map(ToString::to_string),
            learning: one.learning.clone(),
            known: one.known,
        }
    }
}

impl RefusalReport {
    fn of(refusal: &VerdictRecord) -> Self {
        Self {
            row: refusal.item_id.to_string(),
            code: refusal.code.clone().unwrap_or_default(),
            detail: refusal.detail.clone().unwrap_or_default(),
        }
    }
}

impl TallyReport {
    fn of(tally: &Tally) -> Self {
        let against = tally
            .votes
            .iter()
            .filter(|line| line.vote != crate::protocol::AGREE);
        Self {
            agree: tally.agree,
            disagree: tally.disagree,
            absent: tally.absent,
            threshold: tally.threshold,
            dissent: against.cloned().collect(),
        }
    }
}

impl ValidationReport {
    fn of(run: &ValidationFinished) -> Self {
        Self {
            candidate: run.candidate.as_ref().map(ToString::to_string),
            command: run.command.clone(),
            outcome: run.outcome(),
            passed: run.passed(),
            duration_ms: run.duration_ms,
            key_line: run.key_line.clone(),
            log_path: run.log_path.clone(),
        }
    }
}

/// What roles are bound to, by role, as text.
fn bindings(settings: &Value) -> BTreeMap<String, String> {
    let roles = settings["role_workers"].as_object();
    let roles = roles.into_iter().flatten();
    let bindings = roles.filter_map(|(role, bound)| {
        let binding: RoleBinding = serde_json::from_value(bound["binding"].clone()).ok()?;
        Some((role.clone(), binding.to_string()))
    });
    bindings.collect()
}
