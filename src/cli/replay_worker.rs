//! The replay adapter's worker: prints the recorded answer of its row.

use super::error::CliError;
use crate::adapter::replay;
use crate::model::RowId;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// Prints the answer on standard output; without one, the worker fails. The argument is the folder of the answers.
pub fn execute(mut args: impl Iterator<Item = OsString>) -> Result<(), CliError> {
    let item = std::env::var("MESH_ITEM_ID").map_err(|_| CliError::NotAWorker("MESH_ITEM_ID"))?;
    let answers = PathBuf::from(args.next().unwrap_or_default());
    let id = RowId::new(item);
    let path = answers.join(replay::answer_path(&id));
    let answer = replay::recorded(&answers, &id).map_err(CliError::unreadable(path))?;
    std::io::stdout().lock().write_all(&answer)?;
    Ok(())
}
