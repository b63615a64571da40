//! The replay adapter's worker: prints the recorded answer of its row.

use super::args::ReplayWorkerArgs;
use super::error::CliError;
use crate::adapter::replay;
use crate::model::RowId;
use std::io::Write;

/// Prints the answer on standard output; without one, the worker fails.
pub fn execute(args: &ReplayWorkerArgs) -> Result<u8, CliError> {
    let item = std::env::var("MESH_ITEM_ID").map_err(|_| CliError::NotAWorker("MESH_ITEM_ID"))?;
    let id = RowId::new(item);
    let path = args.answers.join(replay::answer_path(&id));
    let answer = replay::recorded(&args.answers, &id).map_err(CliError::unreadable(path))?;
    std::io::stdout().lock().write_all(&answer)?;
    Ok(0)
}
