//! Running a plan run to its end: progress, then the report and how to resume.

use super::args::{JobReportFiles, NoticeArgs, RunExtras, RunOutput};
use super::context::Context;
use super::error::{CliError, final_exit_code, or_kept};
use super::notices::{About, Notices};
use super::progress::Display;
use super::report_files::write_files;
use super::terminal::{NotPrinted, Terminal, Tone};
use super::{patch_output, step_summary, stop};
use crate::job::JobStatus;
use crate::model::{RunId, one_line};
use crate::platform::clock;
use crate::report::Report;
use crate::report::view::run_status;
use crate::run::{PlanRun, RunError, RunFolder, resume_command};

/// Who is told about a run of a plan.
pub fn notices(args: &NoticeArgs, run: &RunFolder, context: &Context) -> Result<Notices, CliError> {
    let about = About {
        run,
        kind: "plan",
        folder: &context.folder,
    };
    Ok(Notices::of(args, &about, &context.terminal)?)
}

/// Drives a run to its end, prints the report, writes it to `files`, and tells that it has ended; for `run` and `resume`.
pub fn drive_and_report(
    plan_run: PlanRun,
    extras: &RunExtras,
    files: &JobReportFiles,
    notices: &Notices,
    context: &Context,
) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let run_folder = plan_run.folder().path().to_owned();
    let mut report = None;
    let ended = drive_and_judge(plan_run, extras, notices, terminal).map(|(code, found)| {
        report = found;
        let written = report.as_ref().map_or(Ok(()), |report| {
            step_summary::append(&report.markdown(), terminal);
            write_files(report, &run_folder, files, context)
        });
        final_exit_code(written, code, terminal)
    });
    let status = report.as_ref().map(|report| report.status.as_str());
    notices.tell_end(&ended, status, serde_json::json!(report));
    ended
}

/// Drives a run to its end and prints the report.
pub fn drive(plan_run: PlanRun, terminal: &Terminal) -> Result<(u8, Option<Report>), CliError> {
    drive_and_judge(
        plan_run,
        &RunExtras::default(),
        &Notices::default(),
        terminal,
    )
}

/// [`drive`]; with `audit`, the run is judged when it has ended, and the report says how. With `output`, the patch of the only
/// task is printed instead of the report.
fn drive_and_judge(
    mut plan_run: PlanRun,
    extras: &RunExtras,
    notices: &Notices,
    terminal: &Terminal,
) -> Result<(u8, Option<Report>), CliError> {
    let notes = [plan_run.lock_note(), plan_run.sandbox_note()];
    for note in notes.into_iter().flatten() {
        terminal.warn(note);
    }
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(terminal).telling(notices);
    let end = plan_run.drive(&mut display, &stop);
    drop(display);
    let id = plan_run.id();
    let end = end.map_err(|error| run_failed(error, id, terminal))?;
    let mut report = Report::of(plan_run.state());
    let mut is_broken = false;
    if let Some(report) = report.as_mut().filter(|_| extras.audit) {
        let outcome = super::audit::check_run(plan_run.folder().path(), terminal)?;
        is_broken = !outcome.is_clean;
        report.audit = Some(outcome);
    }
    let printed = match extras.output {
        RunOutput::Report => print_report(report.as_ref(), terminal).map_err(CliError::from),
        RunOutput::Patch => patch_output::print(&plan_run, terminal),
    };
    let printed = or_kept(printed, || format!("mesh runs show {id} prints the report"));
    if let (JobStatus::Shut(_) | JobStatus::Unanswered(_), Some(why)) = (&end, end.job_error()) {
        terminal.warn(&one_line(&why));
    }
    if plan_run.keeps_patches() {
        let folder = plan_run.folder().path().display().to_string();
        terminal.advise(&format!(
            "the patches are in {folder}/units, their table is {folder}/results.csv"
        ));
    }
    match plan_run.awaits_answers() {
        true => advise_collect(id, terminal),
        false => advise_resume(id, &end, terminal),
    }
    let finished = plan_run.state().finished.as_ref();
    let code = finished.map_or(70, |finished| finished.exit_code);
    let code = code.max(u8::from(is_broken));
    Ok((final_exit_code(printed, code, terminal), report))
}

/// Prints that a run that failed is resumable, and gives its error.
pub fn run_failed(error: RunError, run_id: &RunId, terminal: &Terminal) -> CliError {
    let command = resume_command(run_id);
    terminal.advise(&format!("the run is resumable: {command}"));
    CliError::RunFailed(error)
}

/// Gives up the integrations that a run could not restore. The report is that of the run without them.
pub fn abandon(
    mut plan_run: PlanRun,
    terminal: &Terminal,
) -> Result<(u8, Option<Report>), CliError> {
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let count = plan_run.abandon(&mut display, &stop);
    drop(display);
    let count = count?;
    let mut report = Report::of(plan_run.state());
    if let Some(report) = &mut report {
        run_status(plan_run.state(), false).clone_into(&mut report.status);
    }
    if count == 0 {
        terminal.talk("this run has no interrupted integration; nothing was changed");
        return Ok((0, report));
    }
    if plan_run.state().finished.is_none() {
        terminal.advise_as("resume with:", &resume_command(plan_run.id()));
    }
    Ok((1, report))
}

/// Prints the report of a plan run.
pub fn print_report(report: Option<&Report>, terminal: &Terminal) -> Result<(), NotPrinted> {
    match report {
        None => Ok(()),
        Some(report) if terminal.json => {
            terminal.data(&serde_json::to_string(report).unwrap_or_default())
        }
        Some(report) => terminal.data(&format!("\n{}", terminal.painted(&report.text()))),
    }
}

/// Prints how to resume a run that ended early, and when.
pub fn advise_resume(run_id: &RunId, end: &JobStatus, terminal: &Terminal) {
    if *end == JobStatus::Finished {
        return;
    }
    if let Some(advice) = end.advice() {
        let label = terminal.err_tone(Tone::Note, "hint:");
        terminal.talk(&format!("{label} {advice}"));
    }
    let label = match end.resume_at() {
        Some(time) => {
            let time = clock::time_of_day(time, &clock::here());
            format!("resume at {time} with:")
        }
        None => "resume with:".to_owned(),
    };
    let mut command = resume_command(run_id);
    if let Some(option) = end.option_to_raise() {
        command.push_str(&format!(" {option} MORE"));
    }
    terminal.advise_as(&label, &command);
}

/// The same for a run that waits for answers from outside.
fn advise_collect(run_id: &RunId, terminal: &Terminal) {
    terminal.advise_as(
        "to run the rows:",
        &format!("mesh wave next --run {run_id}"),
    );
    let resume = resume_command(run_id);
    terminal.advise_as(
        "to collect their answers:",
        &format!("mesh collect {run_id} && {resume}"),
    );
}
