//! `mesh report-result`: the worker's side of the report channel.

use super::args::ReportResultArgs;
use super::context::Context;
use super::error::CliError;
use crate::executor::Answer;
use crate::mcp::Identity;
use crate::model::{ReportToken, RowId};
use crate::verdict::extract;
use std::io::Read;

/// Sends one result and prints the answer; exit code 1 if it is refused.
pub fn execute(args: &ReportResultArgs, context: &Context) -> Result<u8, CliError> {
    let identity = identity()?;
    let result = match extract::value(&result_text(&args.result)?) {
        Ok(result) => result,
        Err(error) => {
            let refused = Answer {
                accepted: false,
                reason: Some(error.to_string()),
            };
            return print(&refused, context);
        }
    };
    print(&identity.report(&result, args.stop)?, context)
}

/// The attempt that this process belongs to.
pub fn identity() -> Result<Identity, CliError> {
    let variable = |name: &'static str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.ok_or(CliError::NotAWorker(name))
    };
    Ok(Identity {
        socket: variable("MESH_REPORT_SOCKET")?.into(),
        token: ReportToken::new(variable("MESH_REPORT_TOKEN")?),
        item_id: RowId::new(variable("MESH_ITEM_ID")?),
        attempt: variable("MESH_ATTEMPT")?.parse().unwrap_or_default(),
    })
}

fn print(answer: &Answer, context: &Context) -> Result<u8, CliError> {
    let text = serde_json::to_string(answer).unwrap_or_default();
    context.terminal.json(&text)?;
    Ok(u8::from(!answer.accepted))
}

fn result_text(argument: &str) -> Result<Vec<u8>, CliError> {
    if argument == "-" {
        let mut text = Vec::new();
        std::io::stdin().read_to_end(&mut text)?;
        return Ok(text);
    }
    match argument.strip_prefix('@') {
        Some(path) => std::fs::read(path).map_err(CliError::unreadable(path)),
        None => Ok(argument.as_bytes().to_vec()),
    }
}
