//! `mesh wave export` and `mesh wave exec`: a wave as a folder of slices, and one slice of it.

use super::args::{ExecArgs, ExportArgs, RowWorkArgs};
use super::call_file::read_call;
use super::context::Context;
use super::error::CliError;
use super::progress::rows;
use super::slice_outcome::{run_slice, slice_request};
use super::{stop, typed_options, wave_bundle};
use crate::adapter;
use crate::adapter::AdapterError;
use crate::executor::slices::{JobFolder, Slicing};
use crate::job::{Bounds, Settings, Worker, check_depth};
use crate::model::shell_word;
use crate::platform::{TemporaryFolder, look};
use crate::run::{ExportRequest, RunError, SliceRun, StagedJob};
use crate::wave::{Call, Export, Runner, folder_of_wave};
use std::path::{Path, PathBuf};

/// Makes the folder of a job from a wave, with a script for an engine, or a bundle, or both.
pub fn export(args: &ExportArgs, context: &Context) -> Result<u8, CliError> {
    let bundle = wave_bundle::target(args, context)?;
    let scratch = TemporaryFolder::new("mesh-export-")?;
    let into = match &args.into {
        Some(into) => context.folder.join(into),
        None => scratch.path().join("job"),
    };
    if let Some(given) = &args.into {
        let entries = look::reachable(std::fs::read_dir(&into));
        let entries = entries.map_err(CliError::unreadable(&into))?;
        if entries.is_some_and(|mut entries| entries.next().is_some()) {
            return Err(CliError::FolderNotEmpty(given.clone()));
        }
        super::files_in_use::in_use_by_all(context).check_folder(&into, "DIR")?;
        // What follows a line break would be a command of the script.
        let is_special = |c: char| c.is_control() || c == '"';
        if args.to == Some(Runner::Slurm) && into.to_string_lossy().contains(is_special) {
            return Err(CliError::NoSlurmFolder(into));
        }
    }
    let sizes = Sizes {
        rows_per_slice: args.rows_per_task,
        slices_max: Runner::SLICES_MAX,
        rows_at_once: args.rows_at_once,
    };
    let staged = stage(&args.wave, &into, &args.work, &sizes, context)?;
    let sliced = staged.sliced.clone();
    let label = staged.label.clone();
    let run = label.map_or("RUN".to_owned(), |label| shell_word(&label.run_id));
    if let Some(path) = &bundle {
        wave_bundle::write(&staged, path, args, context)?;
        context.terminal.data(&path.display().to_string())?;
        wave_bundle::advise(path, sliced.slicing.count(), context);
    }
    let shown = match (&args.into, args.to) {
        (Some(given), Some(to)) => {
            publish(staged, given, &into, to, context)?;
            shell_word(&given.to_string_lossy())
        }
        _ => "results".to_owned(),
    };
    context.terminal.advise(&format!(
        "then collect the answers: mesh collect {run} {shown}"
    ));
    Ok(0)
}

/// Puts the folder of a job in its place, with a script for the engine `to`.
fn publish(
    staged: StagedJob,
    given: &Path,
    into: &Path,
    to: Runner,
    context: &Context,
) -> Result<(), CliError> {
    let sliced = staged.sliced.clone();
    let mesh = std::env::current_exe()?;
    let script = script_of(&sliced.job, &sliced.slicing, into, &mesh).script(to);
    staged.add(script.name, &script.text, script.is_program)?;
    if !staged.publish(into)? {
        return Err(CliError::FolderNotEmpty(given.to_owned()));
    }
    context.terminal.data(&into.display().to_string())?;
    let shown = shell_word(&given.to_string_lossy());
    let slices = crate::model::counted(sliced.slicing.count(), "task");
    let rows = rows(sliced.slicing.rows.len());
    context.terminal.talk(&match to {
        Runner::Slurm => format!("{rows} in {slices}; submit them: sbatch {shown}/job.sbatch"),
        Runner::Kubernetes => format!(
            "{rows} in {slices}; set image and claim in {shown}/job.yaml, then: kubectl apply -f {shown}/job.yaml"
        ),
        _ => format!("{rows} in {slices}; run them: {shown}/run"),
    });
    Ok(())
}

/// How a wave is sliced.
struct Sizes {
    rows_per_slice: Option<u64>,
    slices_max: u64,
    rows_at_once: u64,
}

fn script_of<'e>(
    job: &'e Settings,
    slicing: &Slicing,
    folder: &'e Path,
    mesh: &'e Path,
) -> Export<'e> {
    let rows_at_once = slicing.rows_at_once as u64;
    let turns = slicing.rows_per_slice.div_ceil(rows_at_once.max(1));
    Export {
        job_id: job.job_id.as_str(),
        folder,
        mesh,
        slices: slicing.count(),
        slices_at_once: (job.bounds.max_concurrency as u64 / rows_at_once.max(1)).max(1),
        rows_at_once,
        slice_seconds: turns.saturating_mul(job.bounds.max_runtime_seconds),
        grace_seconds: job.bounds.grace_seconds,
        env_names: &job.worker.env_names,
    }
}

fn read_checked_call(wave: &Path) -> Result<Call, CliError> {
    let call = read_call(wave)?.unwrap_or_default();
    Call::parse(&call).map_err(|why| CliError::BadCall {
        path: wave.with_extension("call.json"),
        why,
    })
}

/// Who works the rows, and within which limits, by the options and the call.
fn worker(
    work: &RowWorkArgs,
    call: &Call,
    context: &Context,
) -> Result<(Worker, Bounds), CliError> {
    let adapters = &context.config.adapters;
    let chosen = adapter::select(&work.agent.choice(), adapters, &context.folder);
    let chosen = chosen.map_err(RunError::from)?;
    if chosen.name == adapter::EXTERNAL {
        return Err(RunError::from(AdapterError::ExternalSpawn).into());
    }
    let at_once = call.max_concurrency.unwrap_or(16).max(1);
    let bounds = chosen
        .capabilities
        .limit(work.attempts.bounds(at_once, None));
    let at_once = call.max_concurrency.unwrap_or(bounds.max_concurrency);
    let seconds = call.max_runtime_seconds;
    let bounds = Bounds {
        max_concurrency: at_once.max(1),
        max_runtime_seconds: seconds.unwrap_or(bounds.max_runtime_seconds).max(1),
        ..bounds
    };
    Ok((chosen.worker, bounds))
}

fn stage(
    wave: &Path,
    into: &Path,
    work: &RowWorkArgs,
    sizes: &Sizes,
    context: &Context,
) -> Result<StagedJob, CliError> {
    let path = context.folder.join(wave);
    std::fs::metadata(&path).map_err(CliError::unreadable(wave))?;
    let call = read_checked_call(&path)?;
    let (worker, bounds) = worker(work, &call, context)?;
    let rows_at_once = usize::try_from(sizes.rows_at_once).unwrap_or(usize::MAX);
    let at = |folder: &PathBuf| context.folder.join(folder);
    let request = ExportRequest {
        wave: &path,
        call: &call,
        worker,
        bounds,
        workspace: work.workspace.as_ref().map(at),
        folder: &context.folder,
        sandbox: work.agent.sandbox.request(context),
        rows_per_slice: sizes.rows_per_slice,
        slices_max: sizes.slices_max,
        rows_at_once,
    };
    let staged = request.stage(into)?;
    if let Some(note) = &staged.note {
        context.terminal.warn(note);
    }
    Ok(staged)
}

/// The options of [`RowWorkArgs`], which make a job.
const OF_EXPORT: [&str; 14] = [
    "workspace",
    "adapter",
    "model",
    "effort",
    "env_names",
    "command",
    "answers",
    "sandbox",
    "writable",
    "max_runtime_seconds",
    "retries",
    "retry_delay",
    "max_idle_seconds",
    "grace_seconds",
];

/// Refuses options that the job at `path`, which was exported before, could not follow.
fn refuse_export_options(args: &ExecArgs, path: &Path) -> Result<(), CliError> {
    let options = exported_options(args);
    match options.is_empty() {
        true => Ok(()),
        false => Err(CliError::ExportedOptions {
            options,
            job: path.to_owned(),
        }),
    }
}

fn exported_options(args: &ExecArgs) -> Vec<String> {
    typed_options::names("wave exec", &args.typed, |id| OF_EXPORT.contains(&id))
}

/// Runs one slice of a job.
pub fn exec(args: &ExecArgs, context: &Context) -> Result<u8, CliError> {
    check_depth()?;
    let job = match (&args.job, &args.bundle.bundle, &args.bundle.output) {
        (_, Some(bundle), Some(results)) => {
            refuse_export_options(args, bundle)?;
            return wave_bundle::exec(bundle, results, args, context);
        }
        (Some(job), ..) => job,
        // The parser of arguments asks for one of them.
        _ => return Err(CliError::NoSlice),
    };
    let folder = job_folder(job, args, context)?;
    let request = slice_request(args)?;
    let at_once = args.rows_at_once;
    let at_once = at_once.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
    let slice = SliceRun::begin(&folder, &request, at_once, None)?;
    let stop = stop::watch_file(folder.stop_file())?;
    run_slice(slice, &stop, context)
}

/// The folder of the job; made for a wave CSV that has none.
fn job_folder(job: &Path, args: &ExecArgs, context: &Context) -> Result<JobFolder, CliError> {
    let path = context.folder.join(job);
    if !look::is_file(&path).map_err(CliError::unreadable(&path))? {
        let folder = JobFolder::open(&path).map_err(RunError::from)?;
        refuse_export_options(args, job)?;
        return Ok(folder);
    }
    let folder = JobFolder::at(&folder_of_wave(&path));
    let sizes = Sizes {
        rows_per_slice: Some(1),
        slices_max: u64::MAX,
        rows_at_once: 1,
    };
    let job_file = folder.job_file();
    if !look::is_file(&job_file).map_err(CliError::unreadable(&job_file))? {
        // If another task of the array makes it at the same time, either is as good.
        stage(job, folder.path(), &args.work, &sizes, context)?.publish(folder.path())?;
    }
    // The tasks of an array all have the same options, and the first of them makes the folder.
    if !exported_options(args).is_empty() {
        let made = folder.read().map_err(RunError::from)?.job;
        let call = read_checked_call(&path)?;
        let (asked, bounds) = worker(&args.work, &call, context)?;
        let is_same = made.worker.program == asked.program
            && made.worker.args == asked.args
            && made.worker.env_names == asked.env_names
            && made.bounds == bounds;
        if !is_same {
            return Err(CliError::OtherWorker(folder.path().to_owned()));
        }
    }
    Ok(folder)
}
