//! Resuming a spawned CSV: by its id (`mesh resume RUN`) or by its input (`mesh spawn INPUT --resume`).

use super::args::{ResumeArgs, SpawnArgs};
use super::context::Context;
use super::csv_run::{Beside, drive_and_report, fit_bounds, reuse_results};
use super::error::CliError;
use super::files_in_use::{in_use, in_use_by_all};
use super::live_page::LivePage;
use super::report_files::check_files;
use super::spawn_input;
use crate::adapter::{Capabilities, Choice};
use crate::job::{Settings, Survey, Worker};
use crate::model::{RunId, counted};
use crate::platform::look;
use crate::platform::sandbox::Choice as Sandboxing;
use crate::run::{EarlierRun, InUse, InputChanged, RunError, RunFolder, SpawnRun};
use crate::verdict::Schema;
use crate::{adapter, run};
use std::path::{Path, PathBuf};

/// Assigns each value whose option is on the command line. A run keeps its own value for every other option, whatever the
/// environment and `mesh.yaml` say.
macro_rules! assign_typed {
    ($args:expr; $($option:literal => $assignment:expr;)*) => {
        $(if $args.is_typed($option) {
            $assignment;
        })*
    };
}

/// What a resume changes.
struct Changes {
    job: Settings,
    record: Option<PathBuf>,
    in_use: InUse,
    force: bool,
    retry_failed: bool,
    beside: Beside,
}

/// `mesh resume RUN`.
pub fn resume_by_id(
    args: &ResumeArgs,
    folder: RunFolder,
    context: &Context,
) -> Result<u8, CliError> {
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
    job.executor.change(&args.slurm.options());
    if let Some(choice) = args.sandbox {
        let protected = run::protected_by_csv(&job.worker.folder)?;
        let note = run::renew(&mut job.worker, Some(choice), &protected);
        if let Some(note) = note.map_err(RunError::from)? {
            context.terminal.warn(&note);
        }
    }
    if args.limits.max_concurrency.is_some() || args.limits.max_runtime_seconds.is_some() {
        fit_to_adapter(&mut job, [None; 2], context);
    }
    let given = &args.spawned;
    if let Some(path) = &given.output_csv_path {
        job.output_csv_path = context.folder.join(path);
    }
    job.halt = given.halt.unwrap_or(job.halt);
    job.keep_logs = given.logs.unwrap_or(job.keep_logs);
    let mut in_use = in_use_by_all(context);
    in_use.add_file("is the input", job.csv_path.clone());
    in_use.extend(spawn_run.in_use());
    let mut reports_in_use = in_use.clone();
    reports_in_use.reserve("is the output", job.output_csv_path.clone());
    check_files(&args.report, given.force, reports_in_use, context)?;
    let changes = Changes {
        job,
        record: spawn_run.record_folder().cloned(),
        in_use,
        force: given.force,
        retry_failed: args.retry_failed,
        beside: Beside {
            files: args.report.clone(),
            notices: args.notices.clone(),
            ..Beside::default()
        },
    };
    resume(spawn_run, changes, note, context)
}

/// `mesh spawn INPUT --resume`, with the options of the first call or others. An empty `run` is the last run of the input.
pub fn resume_by_input(
    args: &SpawnArgs,
    run: &str,
    home: &Path,
    context: &Context,
) -> Result<u8, CliError> {
    if args.dry_run {
        return Err(CliError::DryRunResume);
    }
    let call = args.call.as_deref();
    let call = call.map(|path| spawn_input::call(path, context));
    let call = call.transpose()?;
    let named = call.as_ref().map(|call| &call.csv_path);
    let input = named.or(args.csv_path.as_ref());
    let input = input.map(|path| context.folder.join(path));
    let folder = match (run, &args.home.run_id) {
        ("", Some(id)) => RunFolder::find(home, &RunId::new(id))?,
        ("", None) => last_run_of(home, input.as_deref())?,
        (id, _) => RunFolder::find(home, &RunId::new(id))?,
    };
    let spawn_run = SpawnRun::resume(folder)?;
    let changed = args.input_changed.unwrap_or(InputChanged::Refuse);
    let note = spawn_run.check_input(input.as_deref(), changed)?;
    if let Some(reuse) = args.reuse.as_deref().map(RunId::new)
        && spawn_run.reuse_source() != Some(&reuse)
    {
        return Err(CliError::FixedOption("--reuse"));
    }
    let mut job = job_with_options(args, spawn_run.job(), context)?;
    if let Some(call) = call {
        job.instruction = call.instruction;
        job.id_column = call.id_column;
        job.output_schema = call.output_schema;
    }
    let record = match &args.worker.record {
        Some(path) if args.is_typed("record") => Some(context.folder.join(path)),
        _ => spawn_run.record_folder().cloned(),
    };
    let mut in_use = in_use(args, &job.worker, context)?;
    in_use.extend(spawn_run.in_use());
    let changes = Changes {
        job,
        record,
        in_use,
        force: args.force,
        retry_failed: args.retry_failed,
        beside: Beside {
            files: args.report.clone(),
            page: LivePage::listen(args.watch, home)?,
            notices: args.notices.clone(),
        },
    };
    resume(spawn_run, changes, note, context)
}

fn last_run_of(home: &Path, input: Option<&Path>) -> Result<RunFolder, CliError> {
    let path = input.ok_or(CliError::NoRunToResume)?;
    let path = look::real(path).map_err(CliError::unreadable(path))?;
    let folders = RunFolder::list(home)?;
    for folder in folders.into_iter().rev() {
        if SpawnRun::input_path(&folder)?.is_some_and(|input| input == path) {
            return Ok(folder);
        }
    }
    Err(CliError::NoRunOfInput(path))
}

fn resume(
    mut spawn_run: SpawnRun,
    changes: Changes,
    note: Option<String>,
    context: &Context,
) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let restored = spawn_run.check_copy()?;
    let survey = Survey::take(spawn_run.job()).map_err(RunError::from)?;
    spawn_run.check_worker(&changes.job, survey.total(), changes.retry_failed)?;
    if changes.record.as_ref() != spawn_run.record_folder()
        && let Some(folder) = &changes.record
    {
        changes.in_use.check_folder(folder, "--record")?;
    }
    spawn_run.change_settings(changes.job, changes.record, &changes.in_use, changes.force)?;
    for note in [note, restored].into_iter().flatten() {
        terminal.warn(&note);
    }
    if let Some(id) = spawn_run.reuse_source() {
        // The run may have been stopped before it reused all of them.
        match look::reachable(spawn_run.folder().sibling(id))? {
            Some(folder) => reuse_results(&mut spawn_run, &EarlierRun::read(&folder)?, terminal)?,
            None => terminal.warn(&format!(
                "run {id} no longer exists; rows whose results were not reused yet are run"
            )),
        }
    }
    if changes.retry_failed {
        let reopened = counted(spawn_run.reopen_failed()?, "failed row");
        terminal.talk(&format!("retrying {reopened}"));
    }
    drive_and_report(spawn_run, survey.total(), changes.beside, context)
}

/// The settings with every option on the command line, whether a resume may change it or not.
fn job_with_options(
    args: &SpawnArgs,
    job: &Settings,
    context: &Context,
) -> Result<Settings, CliError> {
    let mut job = job.clone();
    assign_input(args, &mut job, context)?;
    assign_worker(args, &mut job, context)?;
    assign_bounds(args, &mut job, context);
    if args.is_typed("output_csv_path")
        && let Some(path) = &args.output_csv_path
    {
        job.output_csv_path = context.folder.join(path);
    }
    let slurm = [
        "slurm_partition",
        "slurm_time",
        "slurm_memory",
        "slurm_cpus",
        "slurm_args",
    ];
    if slurm.iter().any(|id| args.is_typed(id)) {
        job.executor.change(&args.worker.executor.slurm.options());
    }
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let budget = args.budget.budget();
    assign_typed! { args;
        "flatten" => job.flatten = true;
        "formula_cells" => job.formula_cells = args.formula_cells;
        "halt" => job.halt = args.halt;
        "logs" => job.keep_logs = args.logs;
        "result_bytes_max" => job.result_bytes_max = bytes(args.result_bytes_max);
        "output_bytes_max" => job.output_bytes_max = bytes(args.output_bytes_max);
        "max_cost_usd" => job.budget.max_cost_usd = budget.max_cost_usd;
        "max_tokens" => job.budget.max_tokens = budget.max_tokens;
        "max_rows" => job.budget.max_rows = budget.max_rows;
        "max_wall_seconds" => job.max_wall_seconds = args.budget.max_wall_seconds;
        "wall_hard" => job.wall_hard = args.budget.wall_hard;
    }
    if args.is_typed("flatten") && job.output_schema.is_none() {
        return Err(CliError::FlattenWithoutSchema);
    }
    Ok(job)
}

/// The options that select rows and make their prompts.
fn assign_input(args: &SpawnArgs, job: &mut Settings, context: &Context) -> Result<(), CliError> {
    match (
        args.is_typed("instruction"),
        args.is_typed("instruction_file"),
    ) {
        (true, true) => return Err(CliError::TwoInstructions),
        (true, false) => job.instruction = args.instruction.clone().unwrap_or_default(),
        (false, true) => job.instruction = spawn_input::instruction(args, context)?,
        (false, false) => {}
    }
    if args.is_typed("output_schema")
        && let Some(path) = &args.output_schema
    {
        let schema = Schema::read(&context.folder.join(path))?;
        job.output_schema = Some(schema.source().clone());
    }
    assign_typed! { args;
        "id_column" => job.id_column = args.id_column.clone();
        "rows" => job.selection.rows = args.rows.clone();
        "sample" => job.selection.sample = args.sample;
        "delimiter" => job.delimiter = args.delimiter;
        "sheet" => job.sheet = args.sheet.clone();
        "encoding" => job.encoding = args.encoding.clone();
        "rename" => job.rename = args.rename.clone();
    }
    Ok(())
}

fn assign_worker(args: &SpawnArgs, job: &mut Settings, context: &Context) -> Result<(), CliError> {
    let options = ["command", "adapter", "model", "effort", "answers"];
    if options.iter().any(|id| args.is_typed(id)) {
        let adapters = &context.config.adapters;
        let chosen = adapter::select(&args.worker.agent.choice(), adapters, &context.folder);
        let worker = chosen.map_err(RunError::from)?.worker;
        // Workers run in the folder where the run was started, and keep the variables that they had.
        job.worker = Worker {
            folder: job.worker.folder.clone(),
            env_names: job.worker.env_names.clone(),
            sandbox: job.worker.sandbox.clone(),
            ..worker
        };
    }
    if args.is_typed("sandbox") || args.is_typed("writable") {
        let protected = run::protected_by_csv(&job.worker.folder)?;
        let sandbox = args.worker.agent.sandbox.request(context);
        let note = sandbox.apply(Sandboxing::None, &mut job.worker, &protected);
        if let Some(note) = note.map_err(RunError::from)? {
            context.terminal.warn(&note);
        }
    }
    if args.is_typed("env_names") {
        let mut names = args.worker.agent.program.env_names.clone();
        names.retain(|name| !job.worker.env_names.contains(name));
        job.worker.env_names.extend(names);
    }
    Ok(())
}

fn assign_bounds(args: &SpawnArgs, job: &mut Settings, context: &Context) {
    let given = args.worker.bounds(&args.budget);
    let bounds = &mut job.bounds;
    assign_typed! { args;
        "max_concurrency" => bounds.max_concurrency = given.max_concurrency;
        "max_runtime_seconds" => bounds.max_runtime_seconds = given.max_runtime_seconds;
        "retries" => bounds.retries = given.retries;
        "retry_delay" => bounds.retry_delay = given.retry_delay;
        "max_idle_seconds" => bounds.max_idle_seconds = given.max_idle_seconds;
        "grace_seconds" => bounds.grace_seconds = given.grace_seconds;
        "rate_limit_wait_max" => bounds.rate_limit_wait_max_seconds = given.rate_limit_wait_max_seconds;
    }
    let fitted = [
        "max_concurrency",
        "max_runtime_seconds",
        "remaining_five_hour",
        "remaining_weekly",
    ];
    if fitted.iter().any(|id| args.is_typed(id)) {
        fit_to_adapter(job, args.worker.remaining(), context);
    }
}

fn fit_to_adapter(job: &mut Settings, remaining: [Option<f64>; 2], context: &Context) {
    let can = capabilities(&job.worker.adapter, context);
    job.bounds = fit_bounds(job.bounds, &can, remaining);
}

/// The capabilities of a run's adapter; one that no longer exists sets no limits.
pub fn capabilities(adapter: &str, context: &Context) -> Capabilities {
    let choice = Choice {
        name: Some(adapter.to_owned()),
        ..Choice::default()
    };
    let found = adapter::select(&choice, &context.config.adapters, &context.folder);
    found.map_or(Capabilities::default(), |adapter| adapter.capabilities)
}
