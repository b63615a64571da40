//! The files that a command reads. No output may replace one of them.

use super::args::SpawnArgs;
use super::context::Context;
use crate::job::Worker;
use crate::run::InUse;
use std::path::PathBuf;

/// The files that no output of `mesh spawn` can replace.
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
            in_use.add_file(what, at(path));
        }
    }
    if let Some(folder) = &args.worker.agent.answers {
        in_use.add_folder("is in the folder of answers", at(folder));
    }
    in_use.add_command(worker.program.to_str(), &context.folder);
    let words = worker.fixed_args.iter().chain(&worker.args);
    in_use.add_command(words.map(String::as_str), &context.folder);
    in_use
}

/// The files that no output of any command can replace.
pub fn in_use_by_all(context: &Context) -> InUse {
    let config = context.config.path.as_deref();
    let root = config.map_or(context.folder.as_path(), crate::platform::parent);
    InUse::around(&context.folder, root)
}
