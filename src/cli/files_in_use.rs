//! The files that a command reads. No output may replace one of them.

use super::args::SpawnArgs;
use super::context::Context;
use super::error::CliError;
use crate::job::Worker;
use crate::platform::look;
use crate::run::{InUse, RunError};
use std::path::{Path, PathBuf};

/// The files that no output of `mesh spawn` can replace.
pub fn in_use(args: &SpawnArgs, worker: &Worker, context: &Context) -> Result<InUse, RunError> {
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
            in_use.add_file(what, at(path));
        }
    }
    if let Some(folder) = &args.worker.agent.answers {
        in_use.add_folder("is in the folder of answers", at(folder));
    }
    in_use.add_command(worker.program.to_str(), &context.folder)?;
    let words = worker.fixed_args.iter().chain(&worker.args);
    in_use.add_command(words.map(String::as_str), &context.folder)?;
    Ok(in_use)
}

/// Refuses a file that exists, unless it may be replaced; also a link to nowhere, which would be replaced as well.
pub fn refuse_existing(path: &Path, may_replace: bool) -> Result<(), CliError> {
    match !may_replace && look::is_taken(path).map_err(CliError::unreadable(path))? {
        true => Err(CliError::FileExists(path.to_owned())),
        false => Ok(()),
    }
}

/// The files that no output of any command can replace.
pub fn in_use_by_all(context: &Context) -> InUse {
    let config = context.config.path.as_deref();
    let root = config.map_or(context.folder.as_path(), crate::platform::parent);
    InUse::around(&context.folder, root)
}
