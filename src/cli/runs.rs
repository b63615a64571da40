//! `mesh runs`.

use super::args::{Context, ReportFiles, RunsArgs, RunsCommand, ShowRunArgs};
use super::error::CliError;
use super::terminal::Terminal;
use crate::inspect::Report;
use crate::ledger;
use crate::model::RunKind;
use crate::run::{RunFolder, State};
use comfy_table::Table;
use std::path::Path;

/// Lists runs or shows one.
pub fn execute(args: &RunsArgs, context: &Context) -> Result<u8, CliError> {
    match &args.command {
        RunsCommand::List(place) => list(&place.home(context)?, context),
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

fn list(home: &std::path::Path, context: &Context) -> Result<u8, CliError> {
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
        context
            .terminal
            .talk(&format!("no runs in {}", home.display()));
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
    let kind = match started.map(|started| started.kind) {
        Some(RunKind::Plan) => "plan",
        Some(RunKind::Spawn) => "spawn",
        None => "-",
    };
    let work = match kind {
        "plan" => {
            let done = state
                .units
                .iter()
                .filter(|unit| unit.ended.is_some())
                .count();
            format!("{done}/{} tasks", state.units.len())
        }
        _ => match &state.spawned {
            Some(job) => format!("{}/{} rows", job.counts().ended(), job.counts().total),
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

/// How it ended; while a process drives it, `under way`; else somebody killed it: `not ended`.
fn status(folder: &RunFolder, state: &State) -> String {
    if ledger::is_in_use(&folder.ledger()).unwrap_or(false) {
        return "under way".to_owned();
    }
    let ended = state.finished.as_ref().map(|finished| &finished.status);
    ended.map_or("not ended".to_owned(), String::clone)
}

fn show(args: &ShowRunArgs, context: &Context) -> Result<u8, CliError> {
    let folder = super::resume::find(&args.run, context)?;
    let state = State::read(&folder.ledger())?;
    let terminal = &context.terminal;
    let report = Report::of(&state);
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
        Some(report) => terminal.data(&terminal.painted(&report.text()))?,
        None => show_spawned(&folder, &state, terminal)?,
    }
    Ok(0)
}

/// Writes the report in the forms that were asked for.
pub fn write_files(
    report: &Report,
    run_folder: &Path,
    files: &ReportFiles,
    context: &Context,
) -> Result<(), CliError> {
    let write = |path: &Path, text: &str| {
        let path = context.folder.join(path);
        crate::durable::write(&path, text.as_bytes())
            .map_err(|source| CliError::Write { path, source })
    };
    if let Some(path) = &files.junit {
        let log = |path: &Path| {
            let bytes = std::fs::read(run_folder.join(path)).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        write(path, &report.junit(&log)?)?;
    }
    if let Some(path) = &files.markdown {
        write(path, &report.markdown())?;
    }
    Ok(())
}

fn show_spawned(folder: &RunFolder, state: &State, terminal: &Terminal) -> Result<(), CliError> {
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
            "output_csv_path": output,
            "usage": usage,
            "folder": folder.path().to_string_lossy(),
        })
        .to_string()
    } else {
        format!(
            "run {} {status}\nrows: {} of {} completed, {} failed\n{}output: {}\nfolder: {}",
            folder.id(),
            counts.completed,
            counts.total,
            counts.failed,
            usage.map_or_else(String::new, |usage| format!("used: {usage}\n")),
            output.unwrap_or("none"),
            folder.path().display()
        )
    };
    Ok(terminal.data(&text)?)
}
