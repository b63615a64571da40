//! The instruction and the call file of `mesh spawn`.

use super::args::SpawnArgs;
use super::context::Context;
use super::error::CliError;
use crate::wave::Call;

/// The arguments in a call file, with its relative paths resolved.
pub fn call(path: &std::path::Path, context: &Context) -> Result<Call, CliError> {
    let full = context.folder.join(path);
    let text = std::fs::read_to_string(&full).map_err(CliError::unreadable(path))?;
    let mut call = Call::parse(&text).map_err(|why| CliError::BadCall {
        path: path.to_owned(),
        why,
    })?;
    let folder = crate::platform::parent(&full);
    call.csv_path = folder.join(&call.csv_path);
    call.output_csv_path = call.output_csv_path.map(|path| folder.join(path));
    Ok(call)
}

/// The text of `--instruction`, or of `--instruction-file`.
pub fn instruction(args: &SpawnArgs, context: &Context) -> Result<String, CliError> {
    let Some(path) = &args.instruction_file else {
        return Ok(args.instruction.clone().unwrap_or_default());
    };
    std::fs::read_to_string(context.folder.join(path)).map_err(CliError::unreadable(path))
}
