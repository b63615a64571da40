//! The ledger's events: what can have happened, and the fields that each one carries.
//!
//! In the file an event is one JSON object; [`crate::ledger`] adds `v`, `seq`, `ts` and `event`
//! in front of the fields below. An event name that this version does not know is kept and skipped.

use super::id::{JobId, Role, RoundName, RowId, RunId, UnitId, WaveNo};
use super::path_text;
use super::row::{Fault, Lane};
use super::usage::{Session, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::path::PathBuf;

/// Why the fields of a known event could not be read.
#[derive(Debug, thiserror::Error)]
#[error("event `{name}` has fields that do not fit")]
pub struct EventError {
    /// The event's name.
    pub name: String,
    /// What serde says.
    #[source]
    pub source: serde_json::Error,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:literal $variant:ident($body:ident),)*) => {
        /// Something that occurred in a run.
        #[derive(Clone, Debug)]
        pub enum Event {
            $($(#[$doc])* $variant($body),)*
            /// An event of a later version, kept as it is.
            Unknown {
                /// Its name.
                name: String,
                /// Its fields.
                body: Map<String, Value>,
            },
        }

        impl Event {
            /// The value of the field `event`.
            pub fn name(&self) -> &str {
                match self {
                    $(Event::$variant(_) => $name,)*
                    Event::Unknown { name, .. } => name,
                }
            }

            /// Writes the fields, without the ledger's own four, as one compact JSON object.
            pub fn write_body(&self, out: &mut Vec<u8>) {
                match self {
                    $(Event::$variant(body) => write_fields(out, body),)*
                    Event::Unknown { body, .. } => write_fields(out, body),
                }
            }

            /// Reads the fields of the event called `name`.
            pub fn parse(name: &str, mut body: Map<String, Value>) -> Result<Self, EventError> {
                // Reading a number rewrites its exponent, so a result goes around it.
                let result = body.get_mut("result").filter(|_| name == "attempt_reported");
                let result = result.map(Value::take);
                let mut event = Self::parse_rest(name, body)?;
                if let (Some(result), Event::AttemptReported(reported)) = (result, &mut event) {
                    reported.result = result;
                }
                Ok(event)
            }

            fn parse_rest(name: &str, body: Map<String, Value>) -> Result<Self, EventError> {
                match name {
                    $($name => serde_json::from_value(Value::Object(body))
                        .map(Event::$variant)
                        .map_err(|source| EventError { name: name.to_owned(), source }),)*
                    _ => Ok(Event::Unknown { name: name.to_owned(), body }),
                }
            }
        }

        $(impl From<$body> for Event {
            fn from(body: $body) -> Self {
                Event::$variant(body)
            }
        })*
    };
}

events! {
    /// The run exists, with everything that is needed to go on with it.
    "run_started" RunStarted(RunStarted),
    /// The run goes on with other settings, which hold from now on.
    "run_resumed" RunResumed(RunResumed),
    /// A wave CSV and its call file are on disk.
    "wave_compiled" WaveCompiled(WaveCompiled),
    /// The substrate begins with a wave or a spawned CSV.
    "wave_started" WaveStarted(WaveStarted),
    /// A worker process is about to be started (durable before it exists).
    "attempt_started" AttemptStarted(AttemptStarted),
    /// A result was handed back and taken.
    "attempt_reported" AttemptReported(AttemptReported),
    /// The worker process and its group are gone.
    "attempt_finished" AttemptFinished(AttemptFinished),
    /// A report was not taken: late, repeated, or not its sender's to give.
    "report_refused" ReportRefused(ReportRefused),
    /// A worker met a rate limit; its row waits and then goes on with the same attempt.
    "rate_limited" RateLimited(RateLimited),
    /// Failed rows are to be worked once more.
    "rows_reopened" RowsReopened(RowsReopened),
    /// The rows of a spawned CSV are about to be given their name (durable before they have it).
    "output_written" OutputWritten(OutputWritten),
    /// A budget is used up; nothing more starts.
    "budget_reached" BudgetReached(BudgetReached),
    /// What the collector makes of a row's report.
    "verdict" Verdict(VerdictRecord),
    /// Metadata that a worker proposed stands in the plan.
    "hydrated" Hydrated(Hydrated),
    /// A task goes on under another protocol: the fallback, or the next tier.
    "protocol_changed" ProtocolChanged(ProtocolChanged),
    /// The next wave runs fewer rows at once, or all of them again.
    "backpressure" Backpressure(Backpressure),
    /// The votes of one round, counted.
    "tally" Tally(Tally),
    /// The integrator is about to change the tree (durable before the first byte).
    "integration_started" IntegrationStarted(IntegrationStarted),
    /// One validation command ended.
    "validation_finished" ValidationFinished(ValidationFinished),
    /// The patch stands in the tree, or the tree is as it was.
    "integration_finished" IntegrationFinished(IntegrationFinished),
    /// A task was taken up before its dependencies are completed; the plan does not say so yet.
    "began_early" BeganEarly(BeganEarly),
    /// The plan file was changed.
    "plan_mutated" PlanMutated(PlanMutated),
    /// Somebody else decided about a task in flight; the run leaves it alone.
    "plan_conflict" PlanConflict(PlanConflict),
    /// A learning stands in the learnings file.
    "learning_appended" LearningAppended(LearningAppended),
    /// Something changed that no worker may change.
    "violation" Violation(Violation),
    /// The run ended.
    "run_finished" RunFinished(RunFinished),
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn write_fields(out: &mut Vec<u8>, body: &impl Serialize) {
    let begin = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, body) {
        // Events are structs of plain values; a path that is not UTF-8 is the one thing that JSON has no text for.
        out.truncate(begin);
        let unwritable = serde_json::json!({ "unwritable": error.to_string() });
        out.extend_from_slice(unwritable.to_string().as_bytes());
    }
}

/// Which command the run belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// `mesh run`: tasks of a plan.
    Plan,
    /// `mesh spawn`: rows of a CSV.
    Spawn,
}

/// Fields of `run_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunStarted {
    /// The run.
    pub run_id: RunId,
    /// Plan or spawn.
    pub kind: RunKind,
    /// Version of the program that began the run.
    pub mesh_version: String,
    /// The folder the command worked in: the repository's root for a plan.
    #[serde(with = "path_text")]
    pub root: PathBuf,
    /// All settings, resolved: an object of `run::Settings` or `job::Settings`.
    pub settings: Value,
}

impl RunStarted {
    /// Takes over what a resumed run was told.
    pub fn change(&mut self, resumed: &RunResumed) {
        merge(&mut self.settings, &resumed.changed);
    }
}

/// Fields of `run_resumed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResumed {
    /// Those fields of `settings` that have another value from now on; objects are merged.
    pub changed: Value,
}

impl RunResumed {
    /// What leads from the settings `old` to `new`; `None` when they are the same.
    pub fn between(old: &Value, new: &Value) -> Option<Self> {
        difference(old, new).map(|changed| Self { changed })
    }

    /// Whether a spawned CSV has another output from now on.
    pub fn names_output(&self) -> bool {
        !self.changed["job"]["output_csv_path"].is_null()
    }
}

/// The fields of `new` that differ from those of `old`; one that is gone is null.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut changed = Map::new();
    for (key, value) in new {
        if let Some(value) = difference(old.get(key).unwrap_or(&Value::Null), value) {
            changed.insert(key.clone(), value);
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        changed.insert(key.clone(), Value::Null);
    }
    (!changed.is_empty()).then_some(Value::Object(changed))
}

fn merge(settings: &mut Value, changed: &Value) {
    match (settings, changed) {
        (Value::Object(settings), Value::Object(changed)) => {
            for (key, value) in changed {
                merge(settings.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (settings, changed) => *settings = changed.clone(),
    }
}

/// Fields of `output_written`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OutputWritten {
    /// The file; another than the settings say when something else stood there.
    pub path: PathBuf,
    /// SHA-256 of its content, in hexadecimal: by that it is known again.
    pub sha256: String,
}

/// Fields of `wave_compiled`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaveCompiled {
    /// Its number.
    pub wave: WaveNo,
    /// The round that all its rows share.
    pub round: RoundName,
    /// What its rows may return.
    pub lane: Lane,
    /// The row ids, in file order.
    pub rows: Vec<RowId>,
    /// The wave CSV, relative to the run's folder.
    pub csv_path: PathBuf,
    /// The call file, relative to the run's folder.
    pub call_path: PathBuf,
    /// SHA-256 of the wave CSV, in hexadecimal.
    pub csv_sha256: String,
    /// The one concurrency number of the run.
    pub max_concurrency: usize,
}

/// Fields of `wave_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaveStarted {
    /// The wave (1 for a spawned CSV).
    pub wave: WaveNo,
    /// The substrate's job.
    pub job_id: JobId,
    /// Rows that were kept from the input.
    pub items: u64,
    /// The number of slots of the pool.
    pub max_concurrency: usize,
}

/// Fields of `attempt_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptStarted {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based place of the row in the kept rows.
    pub row_index: u64,
    /// 1-based, counted over all started attempts of the row.
    pub attempt: u32,
}

/// How a result came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportVia {
    /// `mesh report-result`.
    Report,
    /// The file named by `MESH_RESULT_FILE`.
    ResultFile,
    /// Standard output.
    Stdout,
    /// Standard output, which was no JSON and was read as prose.
    Text,
    /// An earlier run that was asked the same.
    Reuse,
    /// `mesh collect`, from whoever worked the wave.
    Collect,
}

/// Fields of `attempt_reported`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptReported {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based place of the row in the kept rows.
    pub row_index: u64,
    /// The attempt.
    pub attempt: u32,
    /// The way it came.
    pub via: ReportVia,
    /// The result object, keys in the order in which they were reported.
    pub result: Value,
    /// Names of the secrets that were taken out of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
    /// The worker asked to end the job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stop: bool,
    /// Whole-second UTC time for the output CSV.
    pub reported_at: String,
}

/// What an ended attempt means for its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptEnd {
    /// The row has its result.
    Completed,
    /// The row failed for good.
    Failed,
    /// The row gets another attempt.
    Retry,
    /// The attempt was ended from outside; the row is pending again.
    Interrupted,
    /// It met a rate limit and does not count; the row is pending again.
    RateLimited,
    /// The agent could not be asked at all, and it does not count; the row is pending again.
    Unavailable,
    /// It was never started, because the job stopped first, and does not count.
    Withdrawn,
}

/// Fields of `attempt_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttemptFinished {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based place of the row in the kept rows.
    pub row_index: u64,
    /// The attempt.
    pub attempt: u32,
    /// What follows.
    pub end: AttemptEnd,
    /// `code: text` where the attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The worker's exit code, when it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that ended the worker, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Processes that the worker left behind and that were ended with its group, as `name (pid)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaked: Vec<String>,
    /// Wall-clock milliseconds from start to reaping.
    pub duration_ms: u64,
    /// Tokens and money, where the worker said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The conversation that a further attempt goes on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// What kept the worker from an answer, where that was not the row's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<AttemptFault>,
    /// Whole-second UTC time for the output CSV.
    pub completed_at: String,
}

/// What kept a worker from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptFault {
    /// What it was.
    pub kind: Fault,
    /// The row waits until then, as the ledger writes times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What the next prompt is to say of an earlier attempt: nothing of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
}

/// Fields of `report_refused`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportRefused {
    /// The wave.
    pub wave: WaveNo,
    /// The row that the sender named.
    pub item_id: String,
    /// The attempt that the sender named.
    pub attempt: u32,
    /// What the sender was told.
    pub reason: String,
}

/// Fields of `rate_limited`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RateLimited {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// 0-based place of the row in the kept rows.
    pub row_index: u64,
    /// Until the row is tried again.
    pub delay_ms: u64,
    /// How many rows may run at once from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<usize>,
    /// Until then no row of the account starts: its quota is used up. As the ledger writes times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_until: Option<String>,
}

/// Fields of `rows_reopened`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RowsReopened {
    /// The wave.
    pub wave: WaveNo,
    /// How many rows had failed.
    pub rows: u64,
}

/// Fields of `budget_reached`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetReached {
    /// The option that set it.
    pub budget: String,
    /// Its value, with its unit in the option's name.
    pub limit: Number,
    /// The task whose budget it is; nothing for that of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
}

/// Whether a report may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// The report is an artifact of its unit now.
    Accepted,
    /// The role may answer once more, with the reason in its prompt.
    Retry,
    /// There is no usable answer of this role in this round.
    Rejected,
}

/// Fields of `verdict`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// The wave.
    pub wave: WaveNo,
    /// The row.
    pub item_id: RowId,
    /// The verdict.
    pub verdict: VerdictKind,
    /// One failure code when not accepted: a substrate code, `lane`, `patch_invalid`, `out_of_scope`, `does_not_apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The reason in words; shown to the role when it answers again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What kept the worker from an answer, where that was not the row's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What the mechanical checks found (patch rows only); shown to the voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<String>,
}

/// One role's vote within a tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteLine {
    /// Who voted.
    pub role: Role,
    /// `agree`, `disagree` or `absent`.
    pub vote: String,
    /// The one-line reason; why there is none, when absent.
    pub reason: String,
}

/// Fields of `tally`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The task.
    pub unit: UnitId,
    /// Which vote of this unit it was, from 1.
    pub attempt: u32,
    /// Votes for the patch.
    pub agree: u32,
    /// Votes against it.
    pub disagree: u32,
    /// Roles without a usable vote.
    pub absent: u32,
    /// How many must agree.
    pub threshold: u32,
    /// `agree >= threshold`.
    pub consensus: bool,
    /// Every vote with its reason.
    pub votes: Vec<VoteLine>,
}

/// What stood at a path before the integrator touched it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum BeforeState {
    /// Nothing.
    Absent,
    /// A regular file.
    File {
        /// Permission bits, as a number.
        mode: u32,
        /// SHA-256 of the content, in hexadecimal; the copy is named after it.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        #[serde(with = "path_text")]
        target: PathBuf,
    },
}

/// One path of a patch with its before-state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TouchedPath {
    /// Relative to the repository's root.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// What stood there.
    pub before: BeforeState,
}

/// Fields of `integration_started`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntegrationStarted {
    /// The task.
    pub unit: UnitId,
    /// The patch file, relative to the run's folder.
    pub patch_path: PathBuf,
    /// The paths of the patch, and every other changed or untracked path of the tree.
    pub paths: Vec<TouchedPath>,
    /// Those of them that the patch itself touches.
    #[serde(with = "path_text::list")]
    pub patched: Vec<PathBuf>,
    /// Folders that the patch makes, outermost first; removed again on restore.
    #[serde(with = "path_text::list")]
    pub new_folders: Vec<PathBuf>,
    /// Changed paths that are neither saved nor restored: the plan file, submodules, what is too large.
    #[serde(with = "path_text::list")]
    pub left_alone: Vec<PathBuf>,
    /// The commit that was checked out; a commit of this integration comes after it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub head: String,
}

/// Which tree a validation command ran on, and what for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// With the patch in place: it decides.
    #[default]
    Integration,
    /// Without the patch: what passes there as well says little about the patch.
    Before,
    /// With the patch in a scratch tree, before the vote: shown to the voters.
    Preview,
}

impl Stage {
    fn is_integration(&self) -> bool {
        *self == Stage::Integration
    }
}

/// Fields of `validation_finished`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidationFinished {
    /// The task.
    pub unit: UnitId,
    /// The command, as the task's metadata or the synthesis has it.
    pub command: String,
    /// Its place among the commands of this stage, from 1.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub number: u32,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Stage::is_integration")]
    pub stage: Stage,
    /// A worker proposed it; the task's metadata does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proposed: bool,
    /// Its exit code, when it exited by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// It ran past its limit and its process group was ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timed_out: bool,
    /// It printed more than is kept and its process group was ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub too_much_output: bool,
    /// Wall-clock milliseconds.
    pub duration_ms: u64,
    /// The most telling line of its output: of a failure the first one that names one, else the last that is not blank.
    pub key_line: String,
    /// The whole output, relative to the run's folder.
    pub log_path: PathBuf,
    /// It ran in another tree than the user's, and these paths of the user's changed meanwhile. Nobody can tell whether the
    /// command or a person did it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub changed_meanwhile: Vec<PathBuf>,
}

impl ValidationFinished {
    /// Exit code 0, within its limits.
    pub fn passed(&self) -> bool {
        self.exit_code == Some(0) && !self.timed_out && !self.too_much_output
    }

    /// The outcome in a few words: `exit 1`, `signal 9`, `timed out`.
    pub fn outcome(&self) -> String {
        match (self.timed_out, self.exit_code, self.signal) {
            (true, ..) => "timed out".to_owned(),
            _ if self.too_much_output => "too much output".to_owned(),
            (_, Some(code), _) => format!("exit {code}"),
            (_, _, Some(signal)) => format!("signal {signal}"),
            _ => "did not start".to_owned(),
        }
    }
}

/// How an integration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationOutcome {
    /// The patch stands in the tree, validated.
    Applied,
    /// The tree is as it was before.
    Restored,
    /// Nothing was touched.
    Refused,
    /// `mesh` was ended in between; the tree is as it was before and the integration starts again.
    RolledBack,
    /// It could not be undone and is to be left; the tree is as a person finds it.
    Abandoned,
}

/// Fields of `integration_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntegrationFinished {
    /// The task.
    pub unit: UnitId,
    /// How it ended.
    pub outcome: IntegrationOutcome,
    /// The block reason, unless applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<super::row::BlockReason>,
    /// The reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Paths that the patch changed.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub paths: Vec<PathBuf>,
    /// What stood in the way of the before-state and was moved into the run's folder.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub moved_aside: Vec<PathBuf>,
    /// What a validation that passed changed or made outside of the patch, and git does not ignore; it stays.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "path_text::list"
    )]
    pub by_validation: Vec<PathBuf>,
    /// Validation commands that passed without the patch as well: weak evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_before: Vec<String>,
    /// Validation commands that the synthesis proposed and that nobody vouches for; they were not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The commit that holds the patch, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitRecord>,
}

/// A commit that a run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Its id, in hexadecimal.
    pub id: String,
    /// The branch that it is on.
    pub branch: String,
}

impl IntegrationFinished {
    /// `unit` ended with `outcome`; everything else is for the caller to fill in.
    pub fn new(unit: &UnitId, outcome: IntegrationOutcome) -> Self {
        Self {
            unit: unit.clone(),
            outcome,
            reason: None,
            detail: None,
            paths: Vec::new(),
            moved_aside: Vec::new(),
            by_validation: Vec::new(),
            passed_before: Vec::new(),
            left_out: Vec::new(),
            commit: None,
        }
    }
}

/// Fields of `backpressure`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Backpressure {
    /// The wave after which it changed.
    pub wave: WaveNo,
    /// What was wrong with it; empty for a clean wave.
    pub causes: Vec<String>,
    /// The concurrency number until now.
    pub from: usize,
    /// The number from now on.
    pub to: usize,
}

/// Fields of `hydrated`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hydrated {
    /// The task.
    pub unit: UnitId,
    /// The row that proposed it.
    pub item_id: RowId,
    /// The metadata, as YAML.
    pub mesh: String,
    /// Proposed validation commands that nobody vouches for, and that the plan does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// Fields of `protocol_changed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProtocolChanged {
    /// The task.
    pub unit: UnitId,
    /// The protocol until now.
    pub from: String,
    /// The protocol from now on.
    pub to: String,
    /// Whether its accepted answers stand; else it begins anew.
    pub keeps: bool,
    /// Why, as a failure code or block reason.
    pub code: String,
    /// The same in words.
    pub detail: String,
}

/// Fields of `began_early`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BeganEarly {
    /// The task.
    pub unit: UnitId,
    /// The dependencies that are not completed.
    pub waits_for: Vec<String>,
}

/// Fields of `plan_mutated`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanMutated {
    /// The task.
    pub unit: UnitId,
    /// The status it has now.
    pub status: String,
    /// The `[mesh]` comment that was added with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The block reason, when blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<super::row::BlockReason>,
    /// The block reason in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Fields of `plan_conflict`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanConflict {
    /// The task.
    pub unit: UnitId,
    /// The status that somebody gave it, or `removed`.
    pub found: String,
}

impl PlanConflict {
    /// The same in words.
    pub fn told(&self) -> String {
        format!(
            "the plan says `{}`, which this run did not write; it is left as it is",
            super::text::one_line(&self.found)
        )
    }
}

/// Fields of `learning_appended`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearningAppended {
    /// The task; `None` for the learning of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitId>,
    /// The record's id.
    pub id: String,
    /// What was learned.
    pub learning: String,
    /// The same learning was in the file before; its id is the one above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
}

/// Fields of `violation`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Violation {
    /// The wave during which it happened.
    pub wave: WaveNo,
    /// The paths that changed.
    #[serde(with = "path_text::list")]
    pub paths: Vec<PathBuf>,
    /// What it means.
    pub detail: String,
}

impl Violation {
    /// What happened, in words.
    pub fn told(&self) -> String {
        let paths: Vec<String> = self
            .paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        format!("{}: {}", self.detail, paths.join(", "))
    }
}

/// Fields of `run_finished`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunFinished {
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    /// The exit code the run ended with.
    pub exit_code: u8,
    /// Why it ended early, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
