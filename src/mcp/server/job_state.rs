//! What a job or a run has done so far, as the answer of a tool, and waiting for its end.

use super::jobs::Jobs;
use super::runs;
use super::settings::Settings;
use crate::job::Counts;
use crate::ledger;
use crate::mcp::toolbox::{CallContext, Progress, ToolError};
use crate::model::RunKind;
use crate::report::view::{NOT_ENDED, RUNNING, RunView, WAITING};
use crate::report::{FailedRow, FailedRows, Report};
use crate::run::{RunFolder, SpawnRun};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How often a waiting call looks at its job, and how often it tells its client.
const POLL: Duration = Duration::from_millis(50);
const NOTIFY_EVERY: Duration = Duration::from_secs(1);

/// Waits until no process drives the run, at most for `time`, or until the call is cancelled.
pub fn wait(settings: &Settings, folder: &RunFolder, time: Duration, context: &CallContext) {
    let (jobs, began) = (Jobs::new(settings), Instant::now());
    let (mut notified, mut notifier) = (None, Notifier::default());
    let time = if context.is_task() {
        Duration::ZERO
    } else {
        time
    };
    while is_driven(folder) && began.elapsed() < time && !context.is_cancelled() {
        if notified.is_none_or(|at: Instant| at.elapsed() >= NOTIFY_EVERY) {
            notified = Some(Instant::now());
            if let Some(counts) = jobs.last_progress(folder.id()) {
                context.report(notifier.next(&counts));
            }
        }
        std::thread::sleep(POLL.min(time.saturating_sub(began.elapsed())));
    }
}

/// Whether a process drives the run.
pub fn is_driven(folder: &RunFolder) -> bool {
    ledger::is_in_use(&folder.ledger()).unwrap_or(false)
}

/// The answer about a run.
pub fn describe(settings: &Settings, folder: &RunFolder) -> Result<Value, ToolError> {
    if is_driven(folder)
        && let Some(running) = describe_by_progress(settings, folder)
    {
        return Ok(running);
    }
    describe_view(&read(folder)?)
}

/// The answer about a run that was read.
pub fn describe_view(view: &RunView) -> Result<Value, ToolError> {
    match view.started().kind {
        RunKind::Spawn => describe_job(view),
        RunKind::Plan => Ok(describe_plan_run(view)),
    }
}

/// The rows that failed and were not retried since.
pub fn failed_rows(folder: &RunFolder) -> Result<Vec<FailedRow>, ToolError> {
    let mut failed = FailedRows::default();
    let read = ledger::scan(&folder.ledger(), |record, _| failed.apply(&record));
    read.map_err(|error| unreadable(folder, &error.to_string()))?;
    Ok(failed.with_logs(folder))
}

/// Reads a run as reports do.
pub fn read(folder: &RunFolder) -> Result<RunView, ToolError> {
    RunView::read(folder.clone()).map_err(|error| unreadable(folder, &error.to_string()))
}

fn unreadable(folder: &RunFolder, error: &str) -> ToolError {
    ToolError::new(
        error,
        format!(
            "look at the files of the run in `{}`",
            folder.path().display()
        ),
    )
}

/// The answer about a running job from the last progress that its process has printed: the ledger of a large job takes longer
/// to read.
fn describe_by_progress(settings: &Settings, folder: &RunFolder) -> Option<Value> {
    let progress = Jobs::new(settings).current_progress(folder.id())?;
    let started = runs::started(folder).ok()??;
    let job = SpawnRun::recorded_job(folder, &started).ok()?;
    Some(json!({
        "job_id": job.job_id,
        "mesh_run_id": folder.id(),
        "status": RUNNING,
        "output_csv_path": job.output_csv_path,
        "total_items": progress["total_items"],
        "completed_items": progress["completed_items"],
        "failed_items": progress["failed_items"],
        "pending_items": progress["pending_items"],
        "running_items": progress["running_items"],
        "eta_seconds": progress["eta_seconds"],
        "job_error": null,
        "failed_item_errors": null,
        "next": next_for_job(RUNNING, 0),
    }))
}

/// The summary of a job; while it runs also the rows that are left.
fn describe_job(view: &RunView) -> Result<Value, ToolError> {
    let folder = view.folder();
    let summary = view.summary();
    let summary = summary.map_err(|error| unreadable(folder, &error.to_string()))?;
    let Some(summary) = summary else {
        return Err(unreadable(folder, "the job has not begun"));
    };
    let next = next_for_job(view.status(), summary.failed_items);
    let mut object = serde_json::to_value(&summary).unwrap_or_default();
    object["mesh_run_id"] = json!(folder.id());
    if view.is_driven() {
        let counts = view.state().spawned.as_ref().map(|job| job.counts());
        let counts = counts.unwrap_or_default();
        object["pending_items"] = json!(counts.pending());
        object["running_items"] = json!(counts.running);
    }
    if let Some(next) = next {
        object["next"] = json!(next);
    }
    Ok(object)
}

fn describe_plan_run(view: &RunView) -> Value {
    let mut object = json!({"mesh_run_id": view.folder().id(), "status": view.status()});
    if let Some(Value::Object(report)) =
        Report::of(view.state()).and_then(|report| serde_json::to_value(report).ok())
    {
        for (name, value) in report {
            if object.get(&name).is_none() {
                object[name] = value;
            }
        }
    }
    object["folder"] = json!(view.folder().path());
    let next = match view.status() {
        RUNNING => Some(
            "call get_agent_job with wait_seconds to wait for the rest, or cancel_agent_job to end it",
        ),
        WAITING => Some(
            "run the waves that compile_wave lists, for example with spawn_agents_on_csv, then call collect_wave",
        ),
        NOT_ENDED => Some("call run_ready_tasks again: tasks in progress are selected first"),
        _ => None,
    };
    if let Some(next) = next {
        object["next"] = json!(next);
    }
    object
}

fn next_for_job(status: &str, failed: u64) -> Option<&'static str> {
    match status {
        RUNNING => Some(
            "the job goes on by itself: call get_agent_job with wait_seconds, or the same call again, to wait for the rest; cancel_agent_job ends it",
        ),
        NOT_ENDED => Some(
            "the process of the job was killed: the same call again, or retry_failed_rows, goes on where it stopped",
        ),
        "completed" if failed == 0 => None,
        "completed" => Some(
            "get_failed_rows lists the failed rows, inspect_row shows one, and retry_failed_rows runs them again",
        ),
        _ => Some(
            "rows are left: retry_failed_rows runs them and the failed ones, get_failed_rows lists the failed ones",
        ),
    }
}

/// Numbers of progress, which have to grow every time (protocol, "Progress"): while no row ends, they approach the next row, so that
/// a client that waits sees that the job is alive.
#[derive(Default)]
struct Notifier {
    ended: Option<u64>,
    /// How often in a row no row had ended.
    quiet: u32,
}

impl Notifier {
    /// The progress in a line that the process of the job has printed.
    fn next(&mut self, line: &Value) -> Progress {
        let number = |name: &str| line[name].as_u64().unwrap_or_default();
        let counts = Counts {
            total: number("total_items"),
            completed: number("completed_items"),
            failed: number("failed_items"),
            running: number("running_items"),
        };
        let ended = counts.ended();
        let is_quiet = self.ended.replace(ended) == Some(ended);
        self.quiet = if is_quiet { self.quiet + 1 } else { 0 };
        let quiet = f64::from(self.quiet);
        Progress {
            done: ended as f64 + quiet / (quiet + 1.0),
            total: counts.total,
            message: format!(
                "{} completed, {} failed, {} running",
                counts.completed, counts.failed, counts.running
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_grows_while_no_row_ends() {
        let line = |completed: u64| json!({"total_items": 9, "completed_items": completed});
        let mut notifier = Notifier::default();
        let all = [0, 0, 0, 3, 3, 4].map(|completed| notifier.next(&line(completed)).done);
        assert_eq!(all, [0.0, 0.5, 2.0 / 3.0, 3.0, 3.5, 4.0]);
        // However long it takes.
        let mut before = 4.0;
        for _ in 0..100_000 {
            let done = notifier.next(&line(4)).done;
            assert!(before < done && done < 5.0, "{done}");
            before = done;
        }
    }
}
