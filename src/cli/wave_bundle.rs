//! `mesh wave export --bundle` and `mesh wave exec --bundle`: a wave as one file, and one slice of it where no folder is shared.

use super::args::{ExecArgs, ExportArgs};
use super::context::Context;
use super::error::CliError;
use super::files_in_use::{in_use_by_all, refuse_existing};
use super::slice_outcome::{run_slice, slice_request};
use super::stop;
use crate::archive::{BundleManifest, Limits, Linkage, linkage};
use crate::job::{JobStatus, Stop, StopSource, Urgency};
use crate::model::{counted, shell_word};
use crate::platform::{Readers, durable};
use crate::report::run_summary::size;
use crate::run::{BundleRequest, RunError, SliceRun, StagedJob, UnpackedJob};
use std::io;
use std::path::{Path, PathBuf};

/// The place of the bundle that `args` ask for, if they do; nothing is there, unless it may be replaced.
pub fn target(args: &ExportArgs, context: &Context) -> Result<Option<PathBuf>, CliError> {
    let Some(file) = &args.bundle.bundle else {
        return Ok(None);
    };
    let path = context.folder.join(file);
    refuse_existing(&path, args.bundle.force)?;
    in_use_by_all(context).check_in_folder(&path, "FILE")?;
    Ok(Some(path))
}

/// Writes the bundle of a job to `path`.
pub fn write(
    staged: &StagedJob,
    path: &Path,
    args: &ExportArgs,
    context: &Context,
) -> Result<(), CliError> {
    let own_program = std::env::current_exe()?;
    let program = match &args.bundle.bundle_program {
        Some(program) => context.folder.join(program),
        None => own_program.clone(),
    };
    note_linkage(&program, context)?;
    let bundle = staged.bundle(&BundleRequest {
        program: &program,
        own_program: &own_program,
        file: path,
        limits: limits(args.bundle.bundle_max),
    })?;
    let mut manifest: Option<BundleManifest> = None;
    let mut failed = None;
    let draft = bundle.draft;
    // It has the user's tree: it is for its owner until they hand it on.
    let written = durable::replace(path, Readers::Owner, |out| match draft.write(out) {
        Ok(packed) => {
            manifest = Some(packed);
            Ok(())
        }
        Err(error) => {
            failed = Some(error);
            Err(io::ErrorKind::Other.into())
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    written.map_err(|source| CliError::Write {
        path: path.to_owned(),
        source,
    })?;
    if let Some(manifest) = manifest {
        let bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        context.terminal.talk(&format!(
            "{}, {} in {}",
            counted(manifest.files(), "file"),
            size(manifest.bytes()),
            size(bytes)
        ));
    }
    Ok(())
}

/// Tells about a program that may not run on other hosts.
fn note_linkage(program: &Path, context: &Context) -> Result<(), CliError> {
    let what = match linkage(program).map_err(CliError::unreadable(program))? {
        Linkage::Static => return Ok(()),
        Linkage::Dynamic => "is dynamically linked, so it needs hosts with the same libraries",
        Linkage::Foreign => "is not a program of Linux",
    };
    context.terminal.warn(&format!(
        "`{}` {what}; --bundle-program packs another one, such as one built for x86_64-unknown-linux-musl",
        program.display()
    ));
    Ok(())
}

/// What to do with a bundle.
pub fn advise(path: &Path, slices: u64, context: &Context) {
    let shown = path.strip_prefix(&context.folder).unwrap_or(path);
    let shown = shell_word(&shown.to_string_lossy());
    context.terminal.advise(&format!(
        "run each of the {} on any host: mesh wave exec --bundle {shown} --index 1 -o results/1.jsonl",
        counted(slices, "slice")
    ));
}

fn limits(bytes: u64) -> Limits {
    Limits {
        bytes,
        ..Limits::default()
    }
}

/// Runs one slice of a bundle.
pub fn exec(
    bundle: &Path,
    results: &Path,
    args: &ExecArgs,
    context: &Context,
) -> Result<u8, CliError> {
    let request = slice_request(args)?;
    let at = |path: &Path| context.folder.join(path);
    let (bundle, results) = (at(bundle), at(results));
    if results == bundle {
        return Err(CliError::FileExists(results));
    }
    let root = args.bundle.workdir.as_deref().map(at);
    let root = root.unwrap_or_else(std::env::temp_dir);
    let stop = stop::watch_signals()?;
    let is_stopped = || stop.urgency() != Urgency::None;
    let limits = limits(args.bundle.bundle_max);
    let unpacked = match UnpackedJob::unpack(&bundle, limits, &root, &results, &is_stopped) {
        Err(RunError::Archive(_)) if is_stopped() => return Ok(stopped(&stop)),
        unpacked => unpacked?,
    };
    let at_once = args.rows_at_once;
    let at_once = at_once.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX));
    let slice = SliceRun::begin(&unpacked.folder, &request, at_once, Some(&results))?;
    let code = run_slice(slice, &stop, context);
    let place = unpacked.folder.path().to_owned();
    if let Err(error) = unpacked.remove() {
        context
            .terminal
            .warn(&format!("`{}` can't be removed: {error}", place.display()));
    }
    code
}

/// The exit code of a process that was stopped before any row started.
fn stopped(stop: &Stop) -> u8 {
    let status = match stop.source() {
        Some(StopSource::Signal(signal)) => JobStatus::Interrupted(signal),
        _ => JobStatus::Cancelled,
    };
    status.exit_code().unwrap_or(4)
}
