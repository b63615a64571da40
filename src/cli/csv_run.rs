//! Running a spawned CSV to its end: progress, then the summary.

use super::args::{JobReportFiles, NoticeArgs};
use super::context::Context;
use super::error::{CliError, final_exit_code, or_kept};
use super::live_page::LivePage;
use super::notices::{About, Notices};
use super::plan_run::{advise_resume, run_failed};
use super::progress::{Display, rows};
use super::report_files::write_job_files;
use super::terminal::{NotPrinted, Terminal, Tone};
use super::{step_summary, stop};
use crate::adapter::Capabilities;
use crate::job::{Bounds, Counts, Summary};
use crate::model::one_line;
use crate::report::job_markdown;
use crate::run::{EarlierRun, SpawnRun};
use crate::schedule::{Concurrency, Limits};

/// The bounds of a job within the capabilities of its adapter and what remains of its quotas.
pub fn fit_bounds(bounds: Bounds, can: &Capabilities, remaining: [Option<f64>; 2]) -> Bounds {
    let concurrency = Concurrency::preflight(&Limits {
        allowed: bounds.max_concurrency,
        fanout: can.fanout,
        remaining,
        rows: usize::MAX,
    });
    Bounds {
        max_concurrency: concurrency.get(),
        ..can.limit(bounds)
    }
}

/// Reuses results of an earlier run, and prints of how many rows.
pub fn reuse_results(
    spawn_run: &mut SpawnRun,
    earlier: &EarlierRun,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let (reused, id) = (rows(spawn_run.reuse(earlier)?), earlier.id());
    terminal.talk(&format!("reused the results of {reused} from run {id}"));
    Ok(())
}

/// What was requested beside the run of a job.
#[derive(Default)]
pub struct Beside {
    /// The reports to write at the end.
    pub files: JobReportFiles,
    /// The live page.
    pub page: LivePage,
    /// Who is told.
    pub notices: NoticeArgs,
}

/// [`drive`], with the live page beside it; then writes the reports, also of a job that failed or was stopped.
pub fn drive_and_report(
    spawn_run: SpawnRun,
    total: u64,
    beside: Beside,
    context: &Context,
) -> Result<u8, CliError> {
    beside.page.show(spawn_run.folder().id(), &context.terminal);
    let folder = spawn_run.folder().clone();
    let about = About {
        run: &folder,
        kind: "spawn",
        folder: &context.folder,
    };
    let notices = Notices::of(&beside.notices, &about, &context.terminal)?;
    let mut summary = None;
    let driven = drive(spawn_run, total, &notices, &context.terminal);
    let ended = driven.map(|(code, ended)| {
        let written = write_job_files(&ended, &folder, &beside.files, context);
        summary = Some(ended);
        final_exit_code(written, code, &context.terminal)
    });
    let status = summary.as_ref().map(|summary| summary.status.as_str());
    notices.tell_end(&ended, status, serde_json::json!(summary));
    ended
}

/// Drives a spawned job to its end and prints the summary.
fn drive(
    mut spawn_run: SpawnRun,
    total: u64,
    notices: &Notices,
    terminal: &Terminal,
) -> Result<(u8, Summary), CliError> {
    let stop = stop::watch(spawn_run.folder())?;
    let job_id = spawn_run.job().job_id.to_string();
    let mut display = Display::for_job(terminal, &job_id, "job", total).telling(notices);
    let driven = spawn_run.drive(&mut display, &stop);
    let id = spawn_run.folder().id();
    let (end, summary) = driven.map_err(|error| run_failed(error, id, terminal))?;
    display.finish(Counts {
        total: summary.total_items,
        completed: summary.completed_items,
        failed: summary.failed_items,
        running: 0,
    });
    let printed = or_kept(print(&summary, terminal), || {
        format!("the rows are in `{}`", summary.output_csv_path.display())
    });
    advise_resume(id, &end, terminal);
    step_summary::append(&job_markdown(&summary, id), terminal);
    let by_rows = u8::from(summary.failed_items > 0);
    let code = end.exit_code().unwrap_or(by_rows);
    Ok((final_exit_code(printed, code, terminal), summary))
}

fn print(summary: &Summary, terminal: &Terminal) -> Result<(), NotPrinted> {
    if terminal.json {
        return terminal.data(&serde_json::to_string(summary).unwrap_or_default());
    }
    let error = summary.job_error.as_ref();
    terminal.talk(&format!(
        "job {}: {} of {} completed, {} failed{}",
        summary.status,
        summary.completed_items,
        rows(summary.total_items),
        summary.failed_items,
        error.map_or(String::new(), |error| format!(" ({error})")),
    ));
    if let Some(usage) = &summary.usage {
        terminal.talk(&format!("used: {usage}"));
    }
    for error in summary.failed_item_errors.iter().flatten() {
        let id = terminal.err_tone(Tone::Bad, &one_line(&error.item_id));
        terminal.talk(&format!("  {id} {}", error.last_error));
    }
    let listed = summary.failed_item_errors.as_ref().map_or(0, Vec::len) as u64;
    if summary.failed_items > listed {
        terminal.talk(&format!("  and {} more", summary.failed_items - listed));
    }
    terminal.data(&summary.output_csv_path.display().to_string())
}
