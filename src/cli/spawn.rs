//! `mesh spawn`.

use super::args::{Context, SpawnArgs};
use super::error::{CliError, code_of_done};
use super::going_on;
use super::progress::{Display, rows};
use super::run::{bounds, choice, remaining};
use super::stop;
use super::terminal::{NotPrinted, Terminal, Tone};
use crate::adapter::{self, AdapterError};
use crate::collect::schema::Schema;
use crate::job::{self, Selection, Summary, Survey, Worker};
use crate::model::{RunId, one_line};
use crate::run::{self, Earlier, InUse, RunError, RunFolder, SpawnRun, SpawnSettings};
use crate::schedule::{Concurrency, Limits};
use crate::table::RowsInCell;
use crate::wave::Call;
use std::path::{Path, PathBuf};

/// Checks everything, then runs the rows.
pub fn execute(args: &SpawnArgs, context: &Context) -> Result<u8, CliError> {
    let home = args.place.home(context)?;
    if let Some(run) = &args.resume {
        return going_on::by_input(args, run, &home, context);
    }
    let call = args
        .call
        .as_deref()
        .map(|path| call(path, context))
        .transpose()?;
    let mut settings = settings(args, call, context)?;
    let spooled = run::spool(&settings.csv_path)?;
    if let Some(file) = &spooled {
        settings.input_path = file.path().to_owned();
        settings.output_folder.clone_from(&context.folder);
    }
    settings.check_output()?;
    // Checked on the user's file, before a run exists; the run then works on its own copy of it.
    let looked_at = settings.job(&RunFolder::unmade())?;
    looked_at.result_columns().map_err(RunError::from)?;
    let survey = Survey::take(&looked_at).map_err(RunError::from)?;
    looked_at.check_delimiter(&survey).map_err(RunError::from)?;
    let total = survey.total();
    warn_of_oddities(&survey, &looked_at, &context.terminal);
    if args.dry_run {
        return dry_run(&looked_at, &survey, context);
    }
    drop(survey);
    let earlier = match &args.reuse {
        Some(id) => Some(Earlier::read(&RunFolder::find(&home, &RunId::new(id))?)?),
        None => None,
    };
    if let Some(earlier) = &earlier {
        earlier.check(&looked_at, &context.folder)?;
    }
    let claim = settings.claim_output()?;
    let folder = RunFolder::create(&home, args.place.wanted().as_ref())?;
    let mut spawn_run = SpawnRun::begin(&settings, claim, folder, &context.folder)?;
    context.terminal.talk(&format!(
        "mesh_spawn mesh_run_id={} job_id={} rows={total} adapter={} concurrency={}",
        spawn_run.folder().id(),
        spawn_run.job().job_id,
        settings.worker.adapter,
        settings.bounds.max_concurrency,
    ));
    if let Some(earlier) = &earlier {
        take_over(&mut spawn_run, earlier, &context.terminal)?;
    }
    drive(spawn_run, total, &context.terminal)
}

/// Takes results over from an earlier run, and says of how many rows.
pub fn take_over(
    spawn_run: &mut SpawnRun,
    earlier: &Earlier,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let taken = spawn_run.reuse(earlier)?;
    let (taken, id) = (rows(taken), earlier.id());
    terminal.talk(&format!("results of {taken} taken over from run {id}"));
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
    super::run::say_how_to_go_on(spawn_run.folder().id(), &end, terminal);
    let by_rows = u8::from(summary.failed_items > 0);
    let code = end.exit_code().unwrap_or(by_rows);
    Ok(code_of_done(printed, code, terminal))
}

/// The arguments in a call file, with its paths as they count from here.
pub fn call(path: &std::path::Path, context: &Context) -> Result<Call, CliError> {
    let full = context.folder.join(path);
    let text = std::fs::read_to_string(&full).map_err(|source| CliError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut call = Call::parse(&text).map_err(|why| CliError::BadCall {
        path: path.to_owned(),
        why,
    })?;
    let folder = crate::durable::parent(&full);
    call.csv_path = folder.join(&call.csv_path);
    call.output_csv_path = call.output_csv_path.map(|path| folder.join(path));
    Ok(call)
}

fn settings(
    args: &SpawnArgs,
    call: Option<Call>,
    context: &Context,
) -> Result<SpawnSettings, CliError> {
    let settings = own_settings(args, context)?;
    let Some(call) = call else {
        return Ok(settings);
    };
    let schema = call.output_schema;
    let mut in_use = settings.in_use;
    in_use.file("is the input", call.csv_path.clone());
    let mut bounds = settings.bounds;
    bounds.max_concurrency = call
        .max_concurrency
        .unwrap_or(bounds.max_concurrency)
        .max(1);
    bounds.max_runtime_seconds = call
        .max_runtime_seconds
        .unwrap_or(bounds.max_runtime_seconds)
        .max(1);
    Ok(SpawnSettings {
        input_path: call.csv_path.clone(),
        output_folder: crate::durable::parent(&call.csv_path).to_owned(),
        csv_path: call.csv_path,
        instruction: call.instruction,
        id_column: call.id_column,
        output_csv_path: settings.output_csv_path.clone().or(call.output_csv_path),
        output_schema: schema,
        bounds,
        in_use,
        ..settings
    })
}

fn own_settings(args: &SpawnArgs, context: &Context) -> Result<SpawnSettings, CliError> {
    let at = |path: &std::path::Path| context.folder.join(path);
    let instruction = instruction(args, context)?;
    let output_schema = match &args.output_schema {
        Some(path) => Some(Schema::read(&at(path))?.source().clone()),
        None if args.flatten && args.call.is_none() => return Err(CliError::FlattenWhat),
        None => None,
    };
    let chosen = adapter::select(
        &choice(&args.worker),
        &context.config.adapters,
        &context.folder,
    )
    .map_err(RunError::from)?;
    if chosen.name == adapter::EXTERNAL {
        return Err(RunError::from(AdapterError::ExternalSpawn).into());
    }
    let budget = args.budget.budget();
    chosen.check_budget(&budget).map_err(RunError::from)?;
    let mut bounds = chosen.bounded(bounds(&args.worker, &args.budget));
    let concurrency = Concurrency::preflight(&Limits {
        allowed: bounds.max_concurrency,
        fanout: chosen.capabilities.fanout,
        remaining: remaining(&args.worker),
        rows: usize::MAX,
    });
    bounds.max_concurrency = concurrency.get();
    Ok(SpawnSettings {
        input_path: at(args.input()),
        output_folder: crate::durable::parent(&at(args.input())).to_owned(),
        csv_path: at(args.input()),
        delimiter: args.delimiter,
        encoding: args.encoding.clone(),
        rename: args.rename.clone(),
        instruction,
        id_column: args.id_column.clone(),
        output_csv_path: args.output_csv_path.as_ref().map(|path| at(path)),
        force: args.force,
        in_use: in_use(args, &chosen.worker, context),
        output_schema,
        selection: Selection {
            rows: args.rows.clone(),
            sample: args.sample,
        },
        bounds,
        halt: args.halt,
        max_wall_seconds: args.budget.max_wall_seconds,
        wall_hard: args.budget.wall_hard,
        budget,
        flatten: args.flatten,
        formula_cells: args.formula_cells,
        keep_logs: args.logs,
        result_bytes_max: args.result_bytes_max as usize,
        output_bytes_max: args.output_bytes_max as usize,
        worker: chosen.worker,
        record: args.worker.record.as_ref().map(|path| at(path)),
        reuse: args.reuse.as_deref().map(RunId::new),
    })
}

/// The text of `--instruction`, or of the file.
pub fn instruction(args: &SpawnArgs, context: &Context) -> Result<String, CliError> {
    let Some(path) = &args.instruction_file else {
        return Ok(args.instruction.clone().unwrap_or_default());
    };
    std::fs::read_to_string(context.folder.join(path)).map_err(|source| CliError::Read {
        path: path.clone(),
        source,
    })
}

/// What the output can't be, as it is read or belongs to somebody else.
pub fn in_use(args: &SpawnArgs, worker: &Worker, context: &Context) -> InUse {
    let mut in_use = in_use_by_all(context);
    let at = |path: &PathBuf| context.folder.join(path);
    let files = [
        ("is the input", &args.csv_path),
        ("is the instruction", &args.instruction_file),
        ("is the schema", &args.output_schema),
        ("is the call file", &args.call),
    ];
    for (what, path) in files {
        if let Some(path) = path {
            in_use.file(what, at(path));
        }
    }
    if let Some(folder) = &args.worker.answers {
        in_use.folder("lies in the folder of answers", at(folder));
    }
    in_use.command(worker.program.to_str(), &context.folder);
    let words = worker.fixed_args.iter().chain(&worker.args);
    in_use.command(words.map(String::as_str), &context.folder);
    in_use
}

/// What no output of any command can be.
pub fn in_use_by_all(context: &Context) -> InUse {
    let config = context.config.path.as_deref();
    let root = config.map_or(context.folder.as_path(), crate::durable::parent);
    InUse::around(&context.folder, root)
}

/// Things that are allowed and probably not meant.
fn warn_of_oddities(survey: &Survey, job: &job::Settings, terminal: &Terminal) {
    let header = survey.header();
    if let Some((cell, more)) = survey.rows_in_cells() {
        terminal.warn(&rows_in_cell(cell, *more, header, &job.csv_path));
    }
    for name in job.unknown_placeholders(header) {
        terminal.warn(&format!(
            "the instruction's {{{name}}} is no column and stays as it is; columns: {}",
            header.join(", ")
        ));
    }
    let other = match header {
        [only] => job::delimiter::probable(std::slice::from_ref(only), b',', &[]),
        _ => None,
    };
    if let Some(other) = other {
        let (shown, option) = (
            job::delimiter::shown(other.separator),
            job::delimiter::option(other.separator),
        );
        terminal.warn(&format!(
            "the header is one column that contains `{shown}`; if that is the separator: {option}"
        ));
    }
}

fn rows_in_cell(cell: &RowsInCell, more: u64, header: &[String], path: &Path) -> String {
    let (first, last) = (cell.line, cell.last_line);
    let name = header.get(cell.column - 1).map_or("", String::as_str);
    let more = match more {
        0 => String::new(),
        more => format!(" (and {more} more like it)"),
    };
    format!(
        "{}:{first}: lines {first} to {last} are one row, with a cell over several lines in column {} ({name}), but each of them reads like a row of its own{more}; if a stray quote did that, double it (\"\") and quote its field; if the cell is meant so, all is well",
        path.display(),
        cell.column
    )
}

fn dry_run(job: &job::Settings, survey: &Survey, context: &Context) -> Result<u8, CliError> {
    let prompt = job.first_prompt(survey).map_err(RunError::from)?;
    let total = survey.total();
    let terminal = &context.terminal;
    if terminal.json {
        let object = serde_json::json!({"total_items": total, "max_concurrency": job.bounds.max_concurrency, "first_prompt": prompt});
        terminal.data(&object.to_string())?;
    } else {
        terminal.data(prompt.unwrap_or_default().trim_end())?;
        terminal.talk(&format!(
            "\nDry run: {}, at most {} at once; nothing was started.",
            rows(total),
            job.bounds.max_concurrency
        ));
    }
    Ok(0)
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
