//! `mesh mcp`.

use super::args::McpArgs;
use super::context::Context;
use super::error::CliError;
use super::report_result;
use crate::mcp;
use crate::mcp::{Root, Server, Settings, Worker};
use std::ffi::OsString;
use std::time::Duration;

/// Serves until standard input ends.
pub fn execute(args: &McpArgs, context: &Context) -> Result<u8, CliError> {
    if args.worker {
        return serve_worker();
    }
    let folder = match &args.root {
        Some(root) => context.folder.join(root),
        None => context.folder.clone(),
    };
    let settings = Settings {
        program: std::env::current_exe()?,
        root: Root::open(&folder).map_err(CliError::unreadable(folder))?,
        home: args.home.folder(context)?,
        worker_options: args.worker_options(),
        worker_command: args.agent.command.clone(),
        max_concurrency: args.max_concurrency,
        block: Duration::from_secs(args.block_seconds),
        result_chars: usize::try_from(args.result_chars).unwrap_or(usize::MAX),
        allow_run: args.allow_run,
        max_depth: args.max_depth,
    };
    mcp::serve(Server::new(settings, worker()))?;
    Ok(0)
}

/// Whether the arguments are just `mcp --worker`, which an agent starts once for each row.
pub fn is_worker(mut args: impl Iterator<Item = OsString>) -> bool {
    let mut is = |word: &str| args.next().is_some_and(|arg| arg == word);
    is("mcp") && is("--worker") && args.next().is_none()
}

/// Serves the report tool.
pub fn serve_worker() -> Result<u8, CliError> {
    mcp::serve(worker())?;
    Ok(0)
}

fn worker() -> Worker {
    Worker {
        identity: report_result::identity().map_err(|error| error.to_string()),
        schema: schema(),
    }
}

/// The schema of the result. It is only shown to the model, so a missing or damaged one is no error.
fn schema() -> Option<serde_json::Value> {
    let path = std::env::var_os("MESH_SCHEMA_FILE").filter(|path| !path.is_empty())?;
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
