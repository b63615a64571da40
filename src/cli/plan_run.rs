//! Running a plan run to its end: progress, then the report and how to resume.

use super::error::{CliError, code_of_done};
use super::progress::Display;
use super::stop;
use super::terminal::{NotPrinted, Terminal, Tone};
use crate::job::JobStatus;
use crate::model::{RunId, one_line};
use crate::platform::clock;
use crate::report::Report;
use crate::run;
use crate::run::PlanRun;

/// Drives a run to its end and prints the report; also for `resume` and `demo`.
pub fn drive(mut plan_run: PlanRun, terminal: &Terminal) -> Result<(u8, Option<Report>), CliError> {
    if let Some(note) = plan_run.lock_note() {
        terminal.warn(note);
    }
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let end = plan_run.drive(&mut display, &stop);
    drop(display);
    let end = match end {
        Ok(end) => end,
        Err(error) => {
            terminal.advise(&format!(
                "the run is resumable: {}",
                run::resume_command(plan_run.id())
            ));
            return Err(CliError::UnderWay(error));
        }
    };
    let report = Report::of(plan_run.state());
    let printed = print_report(report.as_ref(), terminal).map_err(|error| CliError::Unsaid {
        kept: format!("mesh runs show {} prints the report", plan_run.id()),
        source: error.0,
    });
    if let (JobStatus::Shut(_) | JobStatus::Unanswered(_), Some(why)) = (&end, end.job_error()) {
        terminal.warn(&one_line(&why));
    }
    match plan_run.awaits_answers() {
        true => say_what_is_awaited(plan_run.id(), terminal),
        false => say_how_to_go_on(plan_run.id(), &end, terminal),
    }
    let code = plan_run
        .state()
        .finished
        .as_ref()
        .map_or(70, |finished| finished.exit_code);
    Ok((code_of_done(printed, code, terminal), report))
}

/// Gives up what a run could not restore.
pub fn abandon(mut plan_run: PlanRun, terminal: &Terminal) -> Result<u8, CliError> {
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let count = plan_run.abandon(&mut display, &stop);
    drop(display);
    if count? == 0 {
        terminal.talk("this run has no interrupted integration; nothing was changed");
        return Ok(0);
    }
    terminal.advise(&format!(
        "{} {}",
        terminal.err_tone(Tone::Note, "resume with:"),
        run::resume_command(plan_run.id())
    ));
    Ok(1)
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

/// What is to be done about a run that ended early, and when.
pub fn say_how_to_go_on(run_id: &RunId, end: &JobStatus, terminal: &Terminal) {
    if *end == JobStatus::Finished {
        return;
    }
    if let Some(advice) = end.advice() {
        terminal.talk(&format!(
            "{} {advice}",
            terminal.err_tone(Tone::Note, "hint:")
        ));
    }
    let label = match end.resume_at() {
        Some(time) => format!(
            "resume at {} with:",
            clock::time_of_day(time, &clock::here())
        ),
        None => "resume with:".to_owned(),
    };
    let command = go_on_command(run_id, end);
    terminal.advise(&format!(
        "{} {command}",
        terminal.err_tone(Tone::Note, &label)
    ));
}

/// The same for a run that stopped where answers from outside are awaited.
fn say_what_is_awaited(run_id: &RunId, terminal: &Terminal) {
    let label = terminal.err_tone(Tone::Note, "to run the rows:");
    terminal.advise(&format!("{label} mesh wave next --run {run_id}"));
    let label = terminal.err_tone(Tone::Note, "to collect their answers:");
    terminal.advise(&format!(
        "{label} mesh collect {run_id} && {}",
        run::resume_command(run_id)
    ));
}

/// The command that goes on with a run that ended so.
fn go_on_command(run_id: &RunId, end: &JobStatus) -> String {
    let command = run::resume_command(run_id);
    match end.option_to_raise() {
        Some(option) => format!("{command} {option} MORE"),
        None => command,
    }
}
