//! Running a spawned CSV to its end: progress, then the summary.

use super::error::{CliError, code_of_done};
use super::progress::{Display, rows};
use super::stop;
use super::terminal::{NotPrinted, Terminal, Tone};
use crate::job::Summary;
use crate::model::one_line;
use crate::run::{EarlierRun, SpawnRun};
use crate::{job, run};

/// Takes results over from an earlier run, and says of how many rows.
pub fn take_over(
    spawn_run: &mut SpawnRun,
    earlier: &EarlierRun,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let taken = spawn_run.reuse(earlier)?;
    let (taken, id) = (rows(taken), earlier.id());
    terminal.talk(&format!("reused the results of {taken} from run {id}"));
    Ok(())
}

/// Drives a spawned job to its end and prints the summary; also for `resume`.
pub fn drive(mut spawn_run: SpawnRun, total: u64, terminal: &Terminal) -> Result<u8, CliError> {
    let stop = stop::asked_for(spawn_run.folder())?;
    let job_id = spawn_run.job().job_id.to_string();
    let mut display = Display::for_job(terminal, &job_id, "job", total);
    let driven = spawn_run.drive(&mut display, &stop);
    let (end, summary) = driven.map_err(|error| {
        let command = run::resume_command(spawn_run.folder().id());
        terminal.advise(&format!("the run is resumable: {command}"));
        CliError::UnderWay(error)
    })?;
    display.finish(job::Counts {
        total: summary.total_items,
        completed: summary.completed_items,
        failed: summary.failed_items,
        running: 0,
    });
    let printed = print(&summary, terminal).map_err(|error| CliError::Unsaid {
        kept: format!("the rows are in `{}`", summary.output_csv_path.display()),
        source: error.0,
    });
    super::plan_run::say_how_to_go_on(spawn_run.folder().id(), &end, terminal);
    let by_rows = u8::from(summary.failed_items > 0);
    let code = end.exit_code().unwrap_or(by_rows);
    Ok(code_of_done(printed, code, terminal))
}

fn print(summary: &Summary, terminal: &Terminal) -> Result<(), NotPrinted> {
    if terminal.json {
        return terminal.data(&serde_json::to_string(summary).unwrap_or_default());
    }
    terminal.talk(&format!(
        "job {}: {} of {} completed, {} failed{}",
        summary.status,
        summary.completed_items,
        rows(summary.total_items),
        summary.failed_items,
        summary
            .job_error
            .as_ref()
            .map_or(String::new(), |error| format!(" ({error})")),
    ));
    if let Some(usage) = &summary.usage {
        terminal.talk(&format!("used: {usage}"));
    }
    for error in summary.failed_item_errors.iter().flatten() {
        terminal.talk(&format!(
            "  {} {}",
            terminal.err_tone(Tone::Bad, &one_line(&error.item_id)),
            error.last_error
        ));
    }
    let listed = summary.failed_item_errors.as_ref().map_or(0, Vec::len) as u64;
    if summary.failed_items > listed {
        terminal.talk(&format!("  and {} more", summary.failed_items - listed));
    }
    terminal.data(&summary.output_csv_path.display().to_string())
}
