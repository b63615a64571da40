//! `mesh runs`: the list of runs, and the report of one.

use super::args::{RunsArgs, RunsCommand, ShowRunArgs};
use super::context::Context;
use super::error::CliError;
use super::report_files::{check_files, write_files};
use super::rows;
use super::terminal::Terminal;
use crate::job::Counts;
use crate::ledger;
use crate::model::RunKind;
use crate::report::{FailedRow, Report};
use crate::run::{RunFolder, State, resume_command};
use comfy_table::Table;
use std::path::Path;

/// Lists runs or shows one.
pub fn execute(args: &RunsArgs, context: &Context) -> Result<u8, CliError> {
    match &args.command {
        RunsCommand::List(home) => list(&home.folder(context)?, context),
        RunsCommand::Show(args) => show(args, context),
    }
}

struct Line {
    id: String,
    kind: &'static str,
    status: String,
    exit_code: Option<u8>,
    work: String,
    root: String,
}

fn list(home: &Path, context: &Context) -> Result<u8, CliError> {
    let mut lines = Vec::new();
    for folder in RunFolder::list(home)? {
        match State::read(&folder.ledger()) {
            Ok(state) => lines.push(line(&folder, &state)),
            Err(error) => context.terminal.warn(&super::error::with_causes(&error)),
        }
    }
    if context.terminal.json {
        for line in lines {
            let object = serde_json::json!({"mesh_run_id": line.id, "kind": line.kind, "status": line.status, "exit_code": line.exit_code, "work": line.work, "root": line.root});
            context.terminal.data(&object.to_string())?;
        }
        return Ok(0);
    }
    if lines.is_empty() {
        let message = format!("no runs in {}", home.display());
        context.terminal.talk(&message);
        return Ok(0);
    }
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(["RUN", "KIND", "STATUS", "EXIT", "WORK", "FOLDER"]);
    for line in lines {
        table.add_row([
            line.id,
            line.kind.to_owned(),
            line.status,
            line.exit_code
                .map_or("-".to_owned(), |code| code.to_string()),
            line.work,
            line.root,
        ]);
    }
    context.terminal.data(&table.trim_fmt())?;
    Ok(0)
}

fn line(folder: &RunFolder, state: &State) -> Line {
    let started = state.started.as_ref();
    let is_driven = is_driven(folder);
    let kind = match started.map(|started| started.kind) {
        Some(RunKind::Plan) => "plan",
        Some(RunKind::Spawn) => "spawn",
        None => "-",
    };
    let work = match kind {
        "plan" => tasks_done(state, is_driven),
        _ => match &state.spawned {
            Some(job) => rows_done(job.counts(), is_driven),
            None => "no rows".to_owned(),
        },
    };
    Line {
        id: folder.id().to_string(),
        kind,
        status: status(folder, state),
        exit_code: state.finished.as_ref().map(|finished| finished.exit_code),
        work,
        root: started.map_or_else(String::new, |started| started.root.display().to_string()),
    }
}

/// `198 ok, 2 failed, 3 running, 7 pending`, without zeros.
fn rows_done(counts: Counts, is_driven: bool) -> String {
    // The running rows of a killed run are pending.
    let (running, pending) = match is_driven {
        true => (counts.running, counts.pending()),
        false => (0, counts.pending() + counts.running),
    };
    counted(&[
        (counts.completed, "ok"),
        (counts.failed, "failed"),
        (running, "running"),
        (pending, "pending"),
    ])
    .unwrap_or_else(|| "no rows".to_owned())
}

/// `3 completed, 1 blocked, 1 running`.
fn tasks_done(state: &State, is_driven: bool) -> String {
    let (mut completed, mut blocked, mut open) = (0, 0, 0);
    for unit in &state.units {
        *match &unit.ended {
            None => &mut open,
            Some(ended) if ended.reason.is_some() => &mut blocked,
            Some(_) => &mut completed,
        } += 1;
    }
    let word = if is_driven { "running" } else { "in progress" };
    counted(&[(completed, "completed"), (blocked, "blocked"), (open, word)])
        .unwrap_or_else(|| "no tasks".to_owned())
}

fn counted(parts: &[(u64, &str)]) -> Option<String> {
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts = parts.map(|(count, word)| format!("{count} {word}"));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// No process drives it and it has not ended: it was killed, or is driven one command at a time.
const NOT_ENDED: &str = "not ended";

/// Whether a process drives the run.
fn is_driven(folder: &RunFolder) -> bool {
    ledger::is_in_use(&folder.ledger()).unwrap_or(false)
}

/// `under way` while a process drives the run, else how it ended, or `not ended`.
fn status(folder: &RunFolder, state: &State) -> String {
    if is_driven(folder) {
        return "under way".to_owned();
    }
    let ended = state.finished.as_ref().map(|finished| &finished.status);
    ended.map_or(NOT_ENDED.to_owned(), String::clone)
}

fn show(args: &ShowRunArgs, context: &Context) -> Result<u8, CliError> {
    check_files(
        &args.files,
        super::files_in_use::in_use_by_all(context),
        context,
    )?;
    let folder = args.run.find(context)?;
    let state = State::read(&folder.ledger())?;
    let terminal = &context.terminal;
    if let Some(id) = &args.row {
        rows::show(&folder, &state, id, context)?;
        return Ok(0);
    }
    let failed = rows::failed(&folder)?;
    let failed_text = rows::failed_text(&failed, folder.id(), args.failed, terminal);
    let mut report = Report::of(&state);
    if let Some(report) = &mut report {
        report.failed_rows.clone_from(&failed);
        match (&state.finished, is_driven(&folder)) {
            // It has been resumed.
            (_, true) => report.status = "running".to_owned(),
            (None, false) => report.status = NOT_ENDED.to_owned(),
            (Some(_), false) => {}
        }
    }
    match &report {
        Some(report) => write_files(report, folder.path(), &args.files, context)?,
        None if args.files.junit.is_some() || args.files.markdown.is_some() => {
            return Err(CliError::NotAPlanRun(folder.id().clone()));
        }
        None => {}
    }
    match report {
        Some(report) if terminal.json => {
            terminal.data(&serde_json::to_string(&report).unwrap_or_default())?
        }
        Some(report) => {
            if !failed_text.is_empty() {
                terminal.data(&format!("{}\n", failed_text.trim_start()))?;
            }
            let used = rows::usage_text(report.usage);
            terminal.data(&format!("used: {used}\n"))?;
            terminal.data(&terminal.painted(&report.text()))?;
            advise_next(&folder, &state, &report.status, terminal);
        }
        None if terminal.json => show_spawned(&folder, &state, &failed, terminal)?,
        None => {
            show_spawned(&folder, &state, &failed, terminal)?;
            if !failed_text.is_empty() {
                terminal.data(&failed_text)?;
            }
        }
    }
    Ok(0)
}

/// Prints how to continue a run of a plan that is not completed.
fn advise_next(folder: &RunFolder, state: &State, status: &str, terminal: &Terminal) {
    let id = folder.id();
    match status {
        "running" | "completed" => {}
        _ if state.is_external() => {
            terminal.advise_as("continue with:", &format!("mesh wave next --run {id}"));
        }
        _ => terminal.advise_as("resume with:", &resume_command(id)),
    }
}

fn show_spawned(
    folder: &RunFolder,
    state: &State,
    failed: &[FailedRow],
    terminal: &Terminal,
) -> Result<(), CliError> {
    let status = status(folder, state);
    let job = state.spawned.as_ref();
    let counts = job.map(crate::job::State::counts).unwrap_or_default();
    let usage = job.map(|job| job.spent.usage).filter(|it| !it.is_none());
    let output = state.spawned_output();
    let text = if terminal.json {
        serde_json::json!({
            "mesh_run_id": folder.id(),
            "kind": "spawn",
            "status": status,
            "total_items": counts.total,
            "completed_items": counts.completed,
            "failed_items": counts.failed,
            "output_csv_path": output.map(Path::to_string_lossy),
            "failed_rows": failed,
            "usage": usage,
            "folder": folder.path().to_string_lossy(),
        })
        .to_string()
    } else {
        format!(
            "run {} {status}\nrows: {} of {} completed, {} failed\nused: {}\noutput: {}\nfolder: {}",
            folder.id(),
            counts.completed,
            counts.total,
            counts.failed,
            rows::usage_text(usage),
            output.map_or("none".to_owned(), |path| path.display().to_string()),
            folder.path().display()
        )
    };
    Ok(terminal.data(&text)?)
}
