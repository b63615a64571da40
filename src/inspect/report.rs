//! The final report of a plan run: the list under "Reporting" in the seed, as text and as JSON.

use crate::model::{RunId, RunKind, Tally, Usage, ValidationFinished, VoteLine};
use crate::run::{CLOSING_LINE, State, Unit};
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Everything that a run has to say in the end.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `completed`, `cancelled`, or `running` when the ledger has no end.
    pub status: String,
    /// Why it ended early.
    pub detail: Option<String>,
    /// Tasks attempted, with their final states.
    pub tasks: Vec<TaskReport>,
    /// The adapter and its workers.
    pub adapter: AdapterReport,
    /// Processes started against processes reaped.
    pub slots: SlotReport,
    /// Changes of the plan file, in order.
    pub plan_mutations: Vec<MutationReport>,
    /// Records appended to the learnings store.
    pub learnings: Vec<String>,
    /// Changes that nobody may make.
    pub violations: Vec<String>,
    /// Wave CSVs, relative to the run's folder.
    pub waves: Vec<PathBuf>,
    /// What all workers used, where they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The same for each wave, in their order; empty where nobody said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wave_usage: Vec<Usage>,
    /// The run.
    pub mesh_run_id: RunId,
}

/// One task.
#[derive(Clone, Debug, Serialize)]
pub struct TaskReport {
    /// The plan item.
    pub id: String,
    /// `completed`, `blocked`, or `pending` when its outcome is not persisted.
    pub state: String,
    /// The block reason.
    pub reason: Option<String>,
    /// The reason in words.
    pub detail: Option<String>,
    /// How many votes were taken.
    pub consensus_attempts: usize,
    /// Every tally.
    pub tallies: Vec<TallyReport>,
    /// Paths that the applied patch changed.
    pub changed_paths: Vec<PathBuf>,
    /// Files that a failed validation left and that were moved into the run's folder.
    pub moved_aside: Vec<PathBuf>,
    /// Commands with outcomes.
    pub validation: Vec<ValidationReport>,
    /// What its workers used, where they said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
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
    /// Those who did not agree, with reasons.
    pub dissent: Vec<VoteLine>,
}

/// One validation command.
#[derive(Clone, Debug, Serialize)]
pub struct ValidationReport {
    /// The command.
    pub command: String,
    /// `exit 0`, `timed out`, …
    pub outcome: String,
    /// Wall-clock milliseconds.
    pub duration_ms: u64,
    /// The last line of its output.
    pub key_line: String,
}

/// Workers of the run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AdapterReport {
    /// The adapter's id.
    pub name: String,
    /// The one concurrency number.
    pub max_concurrency: u64,
    /// Worker processes started.
    pub workers_spawned: u64,
    /// Those that gave a result.
    pub workers_completed: u64,
    /// Those after which the row was tried again.
    pub workers_retried: u64,
    /// Those that ran out of time.
    pub workers_timed_out: u64,
}

/// Slot hygiene.
#[derive(Clone, Debug, Serialize)]
pub struct SlotReport {
    /// Worker processes started.
    pub spawned: u64,
    /// Worker processes reaped.
    pub closed: u64,
    /// Started and never seen to end; only a kill of `mesh` leaves any.
    pub stragglers: u64,
}

/// One change of the plan file.
#[derive(Clone, Debug, Serialize)]
pub struct MutationReport {
    /// The plan item.
    pub id: String,
    /// Its new status.
    pub status: String,
    /// A `[mesh]` comment was added.
    pub comment: bool,
}

impl Report {
    /// The report of a plan run; `None` for a ledger that is none.
    pub fn of(state: &State) -> Option<Self> {
        let started = state
            .started
            .as_ref()
            .filter(|started| started.kind == RunKind::Plan)?;
        let attempts = state.attempts();
        let finished = state.finished.as_ref();
        let usage = said(state.spent().usage);
        let each_wave = state.waves.iter().map(|wave| wave.job.spent.usage);
        Some(Self {
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
            },
            plan_mutations: state
                .mutations
                .iter()
                .map(|mutation| MutationReport {
                    id: mutation.unit.to_string(),
                    status: mutation.status.clone(),
                    comment: mutation.comment.is_some(),
                })
                .collect(),
            learnings: Vec::new(),
            violations: state
                .violations
                .iter()
                .map(|violation| {
                    format!(
                        "wave {}: {}: {:?}",
                        violation.wave, violation.detail, violation.paths
                    )
                })
                .collect(),
            waves: state
                .waves
                .iter()
                .map(|wave| wave.compiled.csv_path.clone())
                .collect(),
            mesh_run_id: started.run_id.clone(),
        })
    }

    /// The report for a person, at most 80 columns where the content allows.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "Run {}", self.status)?;
        if let Some(detail) = &self.detail {
            write!(out, " ({detail})")?;
        }
        writeln!(out, "\n\nTasks")?;
        if self.tasks.is_empty() {
            writeln!(out, "  none attempted")?;
        }
        for task in &self.tasks {
            task.write(out)?;
        }
        let adapter = &self.adapter;
        writeln!(
            out,
            "\nWorkers\n  adapter {}, concurrency {}, {} waves",
            adapter.name,
            adapter.max_concurrency,
            self.waves.len()
        )?;
        writeln!(
            out,
            "  {} spawned, {} completed, {} retried, {} timed out",
            adapter.workers_spawned,
            adapter.workers_completed,
            adapter.workers_retried,
            adapter.workers_timed_out
        )?;
        if let Some(usage) = &self.usage {
            writeln!(out, "  used {usage}")?;
        }
        writeln!(
            out,
            "  slots: {} spawned, {} closed{}",
            self.slots.spawned,
            self.slots.closed,
            match self.slots.stragglers {
                0 => String::new(),
                stragglers => format!(", {stragglers} never seen to end"),
            }
        )?;
        writeln!(out, "\nPlan mutations")?;
        for mutation in &self.plan_mutations {
            let comment = if mutation.comment {
                " + [mesh] comment"
            } else {
                ""
            };
            writeln!(out, "  {} -> {}{comment}", mutation.id, mutation.status)?;
        }
        if self.plan_mutations.is_empty() {
            writeln!(out, "  none")?;
        }
        if !self.violations.is_empty() {
            writeln!(out, "\nViolations")?;
            for violation in &self.violations {
                writeln!(out, "  {violation}")?;
            }
        }
        writeln!(
            out,
            "\nLearnings\n  {}",
            if self.learnings.is_empty() {
                "none appended".to_owned()
            } else {
                self.learnings.join(", ")
            }
        )?;
        writeln!(out, "\nmesh_run_id={}\n\n{CLOSING_LINE}", self.mesh_run_id)
    }
}

/// Nothing where nobody said anything.
fn said(usage: Usage) -> Option<Usage> {
    (!usage.is_none()).then_some(usage)
}

impl TaskReport {
    fn of(unit: &Unit) -> Self {
        let ended = unit.ended.as_ref();
        let integration = unit.integration.as_ref();
        Self {
            id: unit.id.to_string(),
            state: ended
                .map_or("pending", |ended| ended.status.as_str())
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
            validation: unit
                .state
                .validations
                .iter()
                .map(ValidationReport::of)
                .collect(),
            usage: said(unit.usage),
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "  {:<10} {}", self.id, self.state)?;
        if let Some(reason) = &self.reason {
            write!(out, ": {reason}")?;
        }
        writeln!(out)?;
        for (index, tally) in self.tallies.iter().enumerate() {
            let absent = match tally.absent {
                0 => String::new(),
                absent => format!(", {absent} absent"),
            };
            let (agree, disagree, threshold) = (tally.agree, tally.disagree, tally.threshold);
            writeln!(
                out,
                "    vote {}: {agree} agree, {disagree} disagree{absent} ({threshold} needed)",
                index + 1,
            )?;
        }
        if let Some(usage) = &self.usage {
            writeln!(out, "    used {usage}")?;
        }
        for path in &self.changed_paths {
            writeln!(out, "    changed {}", path.display())?;
        }
        for run in &self.validation {
            let seconds = run.duration_ms as f64 / 1000.0;
            write!(
                out,
                "    `{}`: {} in {seconds:.1}s",
                run.command, run.outcome
            )?;
            match run.key_line.as_str() {
                "" => writeln!(out)?,
                line => writeln!(out, ": {line}")?,
            }
        }
        for path in &self.moved_aside {
            writeln!(out, "    moved aside {}", path.display())?;
        }
        match &self.detail {
            Some(detail) if self.validation.is_empty() => writeln!(out, "    {detail}"),
            _ => Ok(()),
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
            command: run.command.clone(),
            outcome: run.outcome(),
            duration_ms: run.duration_ms,
            key_line: run.key_line.clone(),
        }
    }
}
