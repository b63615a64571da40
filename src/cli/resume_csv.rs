//! Going on with a spawned CSV: by its input (`mesh spawn INPUT --resume`) or by its id (`mesh resume RUN`).

use super::args::{ResumeArgs, SpawnArgs};
use super::context::Context;
use super::error::CliError;
use crate::adapter::{Capabilities, Choice};
use crate::job::{Settings, Survey, Worker};
use crate::model::{RunId, counted};
use crate::run::{EarlierRun, InputChanged, RunError, RunFolder, SpawnRun};
use crate::schedule::{Concurrency, Limits};
use crate::verdict::Schema;
use crate::{adapter, run};
use std::path::{Path, PathBuf};

/// What this call says of the run.
struct Told {
    job: Settings,
    record: Option<PathBuf>,
    in_use: crate::run::InUse,
    force: bool,
    retry_failed: bool,
}

/// `mesh resume RUN`.
pub fn by_id(args: &ResumeArgs, folder: RunFolder, context: &Context) -> Result<u8, CliError> {
    let mut spawn_run = SpawnRun::resume(folder)?;
    if args.ask_now {
        spawn_run.ask_now();
    }
    let note = spawn_run.check_input(None, args.input_changed)?;
    let mut job = spawn_run.job().clone();
    args.overrides().apply(
        &mut job.budget,
        &mut job.max_wall_seconds,
        &mut job.wall_hard,
        &mut job.bounds,
    );
    if args.limits.max_concurrency.is_some() || args.limits.max_runtime_seconds.is_some() {
        fit(&mut job, [None; 2], context);
    }
    let given = &args.spawned;
    if let Some(path) = &given.output_csv_path {
        job.output_csv_path = context.folder.join(path);
    }
    job.halt = given.halt.unwrap_or(job.halt);
    job.keep_logs = given.logs.unwrap_or(job.keep_logs);
    let mut in_use = crate::cli::files_in_use::in_use_by_all(context);
    in_use.file("is the input", job.csv_path.clone());
    in_use.extend(spawn_run.in_use());
    let told = Told {
        job,
        record: spawn_run.recorded().cloned(),
        in_use,
        force: given.force,
        retry_failed: args.retry_failed,
    };
    go_on(spawn_run, told, note, context)
}

/// `mesh spawn INPUT --resume`, with the options of the first call or others.
pub fn by_input(
    args: &SpawnArgs,
    run: &str,
    home: &Path,
    context: &Context,
) -> Result<u8, CliError> {
    if args.dry_run {
        return Err(CliError::DryResume);
    }
    let call = args
        .call
        .as_deref()
        .map(|path| crate::cli::spawn_input::call(path, context));
    let call = call.transpose()?;
    let named = call.as_ref().map(|call| &call.csv_path);
    let input = named.or(args.csv_path.as_ref());
    let input = input.map(|path| context.folder.join(path));
    let folder = match (run, &args.home.run_id) {
        ("", Some(id)) => RunFolder::find(home, &RunId::new(id))?,
        ("", None) => last_run(home, input.as_deref())?,
        (id, _) => RunFolder::find(home, &RunId::new(id))?,
    };
    let spawn_run = SpawnRun::resume(folder)?;
    let spooled = match &input {
        Some(path) => run::spool(path)?,
        None => None,
    };
    let given = input.as_deref().map(|path| {
        let source = spooled.as_ref().map_or(path, |file| file.path());
        (path, source)
    });
    let changed = args.input_changed.unwrap_or(InputChanged::Refuse);
    let note = spawn_run.check_input(given, changed)?;
    if let Some(reuse) = args.reuse.as_deref().map(RunId::new)
        && spawn_run.reused() != Some(&reuse)
    {
        return Err(CliError::ToldAgain("--reuse"));
    }
    let mut job = told_by(args, spawn_run.job(), context)?;
    if let Some(call) = call {
        job.instruction = call.instruction;
        job.id_column = call.id_column;
        job.output_schema = call.output_schema;
    }
    let record = match &args.worker.record {
        Some(path) if is_typed(args, "record") => Some(context.folder.join(path)),
        _ => spawn_run.recorded().cloned(),
    };
    let mut in_use = crate::cli::files_in_use::in_use(args, &job.worker, context);
    in_use.extend(spawn_run.in_use());
    let told = Told {
        job,
        record,
        in_use,
        force: args.force,
        retry_failed: args.retry_failed,
    };
    go_on(spawn_run, told, note, context)
}

/// The last run over the input that is named.
fn last_run(home: &Path, input: Option<&Path>) -> Result<RunFolder, CliError> {
    let path = input.ok_or(CliError::ResumeWhat)?;
    let path = std::fs::canonicalize(path).unwrap_or(path.to_owned());
    let folders = RunFolder::list(home)?;
    let over_it =
        |folder: &&RunFolder| SpawnRun::input_of(folder).is_some_and(|input| input == path);
    let last = folders.iter().rev().find(over_it);
    last.cloned().ok_or(CliError::NoRunOver(path))
}

fn go_on(
    mut spawn_run: SpawnRun,
    told: Told,
    note: Option<String>,
    context: &Context,
) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mended = spawn_run.check_copy()?;
    let survey = Survey::take(spawn_run.job()).map_err(RunError::from)?;
    spawn_run.check_worker(&told.job, survey.total(), told.retry_failed)?;
    if told.record.as_ref() != spawn_run.recorded()
        && let Some(folder) = &told.record
    {
        told.in_use.check_folder(folder, "--record")?;
    }
    spawn_run.change(told.job, told.record, &told.in_use, told.force)?;
    for note in [note, mended].into_iter().flatten() {
        terminal.warn(&note);
    }
    if let Some(id) = spawn_run.reused() {
        // It may have been stopped before all of them were taken over.
        match spawn_run.folder().sibling(id) {
            Ok(folder) => {
                crate::cli::csv_run::take_over(
                    &mut spawn_run,
                    &EarlierRun::read(&folder)?,
                    terminal,
                )?;
            }
            Err(_) => terminal.warn(&format!(
                "run {id} no longer exists; rows whose results were not reused yet are run"
            )),
        }
    }
    if told.retry_failed {
        let reopened = counted(spawn_run.reopen_failed()?, "failed row");
        terminal.talk(&format!("retrying {reopened}"));
    }
    crate::cli::csv_run::drive(spawn_run, survey.total(), terminal)
}

fn is_typed(args: &SpawnArgs, id: &str) -> bool {
    args.typed.iter().any(|typed| typed == id)
}

/// The job with every option that stands on the command line, whether it may change or not.
fn told_by(args: &SpawnArgs, job: &Settings, context: &Context) -> Result<Settings, CliError> {
    let typed = |id: &str| is_typed(args, id);
    let mut told = job.clone();
    tell_rows(args, &mut told, context)?;
    tell_worker(args, &mut told, context)?;
    tell_bounds(args, &mut told, context);
    if typed("output_csv_path")
        && let Some(path) = &args.output_csv_path
    {
        told.output_csv_path = context.folder.join(path);
    }
    if typed("flatten") {
        told.flatten = true;
        if told.output_schema.is_none() {
            return Err(CliError::FlattenWhat);
        }
    }
    set(
        &mut told.formula_cells,
        typed("formula_cells"),
        args.formula_cells,
    );
    set(&mut told.halt, typed("halt"), args.halt);
    set(&mut told.keep_logs, typed("logs"), args.logs);
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    set(
        &mut told.result_bytes_max,
        typed("result_bytes_max"),
        bytes(args.result_bytes_max),
    );
    set(
        &mut told.output_bytes_max,
        typed("output_bytes_max"),
        bytes(args.output_bytes_max),
    );
    let given = args.budget.budget();
    set(
        &mut told.budget.max_cost_usd,
        typed("max_cost_usd"),
        given.max_cost_usd,
    );
    set(
        &mut told.budget.max_tokens,
        typed("max_tokens"),
        given.max_tokens,
    );
    set(&mut told.budget.max_rows, typed("max_rows"), given.max_rows);
    set(
        &mut told.max_wall_seconds,
        typed("max_wall_seconds"),
        args.budget.max_wall_seconds,
    );
    set(
        &mut told.wall_hard,
        typed("wall_hard"),
        args.budget.wall_hard,
    );
    Ok(told)
}

fn set<T>(place: &mut T, is_typed: bool, value: T) {
    if is_typed {
        *place = value;
    }
}

/// What a row is asked, but for the worker.
fn tell_rows(args: &SpawnArgs, told: &mut Settings, context: &Context) -> Result<(), CliError> {
    let typed = |id: &str| is_typed(args, id);
    match (typed("instruction"), typed("instruction_file")) {
        (true, true) => return Err(CliError::TwoInstructions),
        (true, false) => told.instruction = args.instruction.clone().unwrap_or_default(),
        (false, true) => told.instruction = crate::cli::spawn_input::instruction(args, context)?,
        (false, false) => {}
    }
    if typed("output_schema")
        && let Some(path) = &args.output_schema
    {
        let schema = Schema::read(&context.folder.join(path))?;
        told.output_schema = Some(schema.source().clone());
    }
    set(
        &mut told.id_column,
        typed("id_column"),
        args.id_column.clone(),
    );
    set(&mut told.selection.rows, typed("rows"), args.rows.clone());
    set(&mut told.selection.sample, typed("sample"), args.sample);
    set(&mut told.delimiter, typed("delimiter"), args.delimiter);
    set(&mut told.encoding, typed("encoding"), args.encoding.clone());
    set(&mut told.rename, typed("rename"), args.rename.clone());
    Ok(())
}

fn tell_worker(args: &SpawnArgs, told: &mut Settings, context: &Context) -> Result<(), CliError> {
    let is_named = ["command", "adapter", "model", "effort", "answers"];
    if is_named.iter().any(|id| is_typed(args, id)) {
        let adapters = &context.config.adapters;
        let chosen = adapter::select(&args.worker.choice(), adapters, &context.folder);
        let worker = chosen.map_err(RunError::from)?.worker;
        // Its folder is the one that the run began in, wherever it is resumed; what its workers see is not taken from them.
        told.worker = Worker {
            folder: told.worker.folder.clone(),
            env_names: told.worker.env_names.clone(),
            ..worker
        };
    }
    if is_typed(args, "env_names") {
        let mut names = args.worker.env_names.clone();
        names.retain(|name| !told.worker.env_names.contains(name));
        told.worker.env_names.extend(names);
    }
    Ok(())
}

fn tell_bounds(args: &SpawnArgs, told: &mut Settings, context: &Context) {
    let typed = |id: &str| is_typed(args, id);
    let given = args.worker.bounds(&args.budget);
    let bounds = &mut told.bounds;
    set(
        &mut bounds.max_concurrency,
        typed("max_concurrency"),
        given.max_concurrency,
    );
    set(
        &mut bounds.max_runtime_seconds,
        typed("max_runtime_seconds"),
        given.max_runtime_seconds,
    );
    set(&mut bounds.retries, typed("retries"), given.retries);
    set(
        &mut bounds.retry_delay,
        typed("retry_delay"),
        given.retry_delay,
    );
    set(
        &mut bounds.max_idle_seconds,
        typed("max_idle_seconds"),
        given.max_idle_seconds,
    );
    set(
        &mut bounds.grace_seconds,
        typed("grace_seconds"),
        given.grace_seconds,
    );
    set(
        &mut bounds.rate_limit_wait_max_seconds,
        typed("rate_limit_wait_max"),
        given.rate_limit_wait_max_seconds,
    );
    let fitted = [
        "max_concurrency",
        "max_runtime_seconds",
        "remaining_five_hour",
        "remaining_weekly",
    ];
    if fitted.into_iter().any(typed) {
        fit(told, args.worker.remaining(), context);
    }
}

/// As in a new run: no more at once, and no longer, than the adapter can.
fn fit(told: &mut Settings, remaining: [Option<f64>; 2], context: &Context) {
    let can = capabilities(&told.worker.adapter, context);
    let concurrency = Concurrency::preflight(&Limits {
        allowed: told.bounds.max_concurrency,
        fanout: can.fanout,
        remaining,
        rows: usize::MAX,
    });
    told.bounds.max_concurrency = concurrency.get();
    if let Some(most) = can.max_runtime_seconds {
        told.bounds.max_runtime_seconds = told.bounds.max_runtime_seconds.min(most);
    }
}

/// What the adapter of a run can do; one that is not there any more sets no limits.
pub fn capabilities(adapter: &str, context: &Context) -> Capabilities {
    let choice = Choice {
        name: Some(adapter.to_owned()),
        ..Choice::default()
    };
    let found = adapter::select(&choice, &context.config.adapters, &context.folder);
    found.map_or(Capabilities::default(), |adapter| adapter.capabilities)
}
