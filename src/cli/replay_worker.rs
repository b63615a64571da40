//! The replay adapter's worker: prints the recorded answer of its row.

use super::args::ReplayWorkerArgs;
use super::error::CliError;
use crate::adapter::replay;
use crate::model::RowId;
use std::io::Write;

/// The answer on standard output; a row without one is a worker that fails.
pub fn execute(args: &ReplayWorkerArgs) -> Result<u8, CliError> {
    let item = std::env::var("MESH_ITEM_ID").map_err(|_| CliError::NotAWorker("MESH_ITEM_ID"))?;
    let id = RowId::new(item);
    let answer = replay::recorded(&args.answers, &id).map_err(|source| CliError::Read {
        path: args.answers.join(replay::answer_path(&id)),
        source,
    })?;
    std::io::stdout().lock().write_all(&answer)?;
    Ok(0)
}
