//! `mesh runs`: the list of runs, and the report of one.

use super::args::{RunsArgs, RunsCommand, ShowRunArgs};
use super::context::Context;
use super::error::CliError;
use super::report_files::{check_files, write_files, write_row_junit};
use super::rows;
use super::terminal::Terminal;
use super::workbook;
use crate::ledger;
use crate::model::dollars;
use crate::report::run_summary::RunSummary;
use crate::report::view::{RUNNING, RunView};
use crate::report::{FailedRow, FailedRows, Report};
use crate::run::{RunFolder, resume_command};
use comfy_table::Table;
use std::path::Path;

/// Lists runs or shows one.
pub fn execute(args: &RunsArgs, context: &Context) -> Result<u8, CliError> {
    match &args.command {
        RunsCommand::List(args) => list(&args.home.folder(context)?, args.active, context),
        RunsCommand::Show(args) => show(args, context),
        RunsCommand::Gc(args) => super::runs_gc::execute(args, context),
        RunsCommand::Export(args) => super::archives::execute(args, context),
    }
}

fn list(home: &Path, only_active: bool, context: &Context) -> Result<u8, CliError> {
    let mut lines = Vec::new();
    for folder in RunFolder::list(home)? {
        if only_active && !ledger::is_in_use(&folder.ledger()).unwrap_or(false) {
            continue;
        }
        match RunSummary::of(&folder) {
            Ok(summary) => lines.push((folder.id().clone(), summary)),
            Err(error) => context.terminal.warn(&super::error::with_causes(&error)),
        }
    }
    if context.terminal.json {
        for (id, run) in lines {
            let object = serde_json::json!({
                "mesh_run_id": id, "kind": run.kind, "status": run.status, "exit_code": run.exit_code, "work": run.work, "root": run.root,
                "cost_usd": run.cost_usd, "seconds": seconds(&run), "disk_bytes": run.disk_bytes,
            });
            context.terminal.data(&object.to_string())?;
        }
        return Ok(0);
    }
    if lines.is_empty() {
        let what = if only_active { "active runs" } else { "runs" };
        let message = format!("no {what} in {}", home.display());
        context.terminal.talk(&message);
        return Ok(0);
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header([
        "RUN", "KIND", "STATUS", "EXIT", "TIME", "COST", "DISK", "WORK", "FOLDER",
    ]);
    for (id, run) in lines {
        table.add_row([
            id.to_string(),
            run.kind.clone(),
            run.status.clone(),
            run.exit_code
                .map_or("-".to_owned(), |code| code.to_string()),
            duration(seconds(&run)),
            run.cost_usd.map_or("-".to_owned(), dollars),
            run.disk(),
            run.work.clone(),
            run.root.clone(),
        ]);
    }
    context.terminal.data(&table.trim_fmt())?;
    Ok(0)
}

/// From the first to the last event.
fn seconds(run: &RunSummary) -> f64 {
    (run.span_ms.1 - run.span_ms.0).max(0) as f64 / 1000.0
}

/// `4.2s`, `3m07s`, `2h05m`.
fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole / 60 % 60),
    }
}

fn show(args: &ShowRunArgs, context: &Context) -> Result<u8, CliError> {
    check_files(
        &args.files.files,
        args.files.force,
        super::files_in_use::in_use_by_all(context),
        context,
    )?;
    let folder = args.run.find(context)?;
    let terminal = &context.terminal;
    let mut failed = FailedRows::default();
    let run = RunView::read_with(folder, |record, _| failed.apply(record))?;
    let (folder, state) = (run.folder(), run.state());
    if let Some(id) = &args.row {
        rows::show(folder, state, id, context)?;
        return Ok(0);
    }
    let failed = failed.with_logs(folder);
    let failed_text = rows::failed_text(&failed, folder.id(), args.failed, terminal);
    let mut report = Report::of(state);
    if let Some(report) = &mut report {
        report.failed_rows.clone_from(&failed);
        run.status().clone_into(&mut report.status);
    }
    match &report {
        Some(report) => write_files(report, folder.path(), &args.files.files, context)?,
        None if args.files.files.markdown.is_some() => {
            return Err(CliError::NotAPlanRun(folder.id().clone()));
        }
        None => {
            write_row_junit(&args.files.files, &run, context)?;
            workbook::write_run(args.files.files.xlsx.as_deref(), folder.path(), context)?;
        }
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
            advise_next(&run, terminal);
        }
        None if terminal.json => show_spawned(&run, &failed, terminal)?,
        None => {
            show_spawned(&run, &failed, terminal)?;
            if !failed_text.is_empty() {
                terminal.data(&failed_text)?;
            }
        }
    }
    Ok(0)
}

/// Prints how to continue a run of a plan that is not completed.
fn advise_next(run: &RunView, terminal: &Terminal) {
    let id = run.folder().id();
    match run.status() {
        RUNNING | "completed" => {}
        _ if run.state().is_external() => {
            terminal.advise_as("continue with:", &format!("mesh wave next --run {id}"));
        }
        _ => terminal.advise_as("resume with:", &resume_command(id)),
    }
}

fn show_spawned(run: &RunView, failed: &[FailedRow], terminal: &Terminal) -> Result<(), CliError> {
    let (folder, state, status) = (run.folder(), run.state(), run.status());
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
