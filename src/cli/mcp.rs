//! `mesh mcp`.

use super::error::CliError;
use super::report_result;
use crate::mcp::{Worker, rpc};
use std::io;
use std::io::ErrorKind;

/// Serves until standard input ends.
pub fn execute() -> Result<u8, CliError> {
    let identity = report_result::identity().map_err(|error| error.to_string());
    let mut worker = Worker {
        identity,
        schema: schema(),
    };
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    match rpc::serve(&mut input, &mut output, &mut worker) {
        // The agent went away.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(0),
        other => other.map(|()| 0).map_err(CliError::from),
    }
}

/// The schema of the result. It is only shown to the model, so a missing or damaged one is no error.
fn schema() -> Option<serde_json::Value> {
    let path = std::env::var_os("MESH_SCHEMA_FILE").filter(|path| !path.is_empty())?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
