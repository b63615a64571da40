//! `mesh adapters`.

use super::context::Context;
use super::error::CliError;
use super::terminal::Tone;
use crate::adapter;
use crate::adapter::{Capabilities, Listed, SchemaBy};
use crate::platform::look;
use crate::run::RunError;
use rayon::prelude::*;

/// Lists the adapters with their versions.
pub fn execute(context: &Context) -> Result<u8, CliError> {
    let configured = &context.config.adapters;
    let listed = adapter::list(configured, &context.folder);
    // Each program takes seconds.
    let versions: Vec<Option<String>> = listed.par_iter().map(version).collect();
    let default = look::reachable(adapter::default_name(configured, &context.folder))
        .map_err(RunError::from)?;
    let all = listed.iter().zip(&versions);
    if context.terminal.json {
        let objects: Vec<_> = all
            .map(|(one, version)| object(one, version.as_deref(), default.as_deref()))
            .collect();
        let text = serde_json::json!({ "adapters": objects }).to_string();
        context.terminal.data(&text)?;
        return Ok(0);
    }
    for (one, version) in all {
        show(one, version.as_deref(), context)?;
    }
    let default = match &default {
        Some(name) => format!("\nDefault adapter: {name}"),
        None => "\nNo default adapter: pass --adapter NAME, or a command after `--`".to_owned(),
    };
    context.terminal.talk(&default);
    Ok(0)
}

/// The version of a built-in agent. A command of the user may do anything when it is given `--version`.
fn version(listed: &Listed) -> Option<String> {
    let program = listed.program.as_ref().filter(|_| listed.tried.is_some())?;
    adapter::version(program)
}

fn object(one: &Listed, version: Option<&str>, default: Option<&str>) -> serde_json::Value {
    serde_json::json!({
        "name": one.name,
        "source": one.source,
        "program": one.program.as_ref().map(|path| path.to_string_lossy()),
        "version": version,
        "tried_with": one.tried,
        "missing": one.missing,
        "usage": one.usage,
        "is_default": default == Some(one.name.as_str()),
        "capabilities": one.capabilities,
    })
}

fn show(one: &Listed, version: Option<&str>, context: &Context) -> Result<(), CliError> {
    let terminal = &context.terminal;
    let program = one.program.as_ref();
    let what = match (&one.missing, program) {
        (Some(missing), _) => terminal.out_tone(Tone::Note, &format!("missing: {missing}")),
        (None, Some(program)) => {
            let version = version.map_or(String::new(), |version| version_text(version, one.tried));
            format!("{version}{}", program.display())
        }
        (None, None) => one.usage.unwrap_or_default().to_owned(),
    };
    terminal.data(&format!("{:<10} {what}", one.name))?;
    Ok(terminal.data(&format!(
        "           {}",
        capabilities_text(&one.capabilities)
    ))?)
}

/// Adds the tested version if it differs.
fn version_text(version: &str, tried: Option<&str>) -> String {
    match tried.filter(|tried| *tried != version) {
        Some(tried) => format!("{version} (tested with {tried}) "),
        None => format!("{version} "),
    }
}

/// `fanout 8, follow-ups in a session, schema by the service, tokens, cost, report tool`
fn capabilities_text(can: &Capabilities) -> String {
    let schema = match can.schema {
        SchemaBy::Prompt => "schema in the prompt",
        SchemaBy::Service => "schema by the service",
        SchemaBy::Program => "schema by the program",
    };
    let fanout = can.fanout.map(|most| format!("fanout {most}"));
    let words = [
        fanout.as_deref(),
        can.follow_up.then_some("follow-ups in a session"),
        Some(schema),
        can.tokens.then_some("tokens"),
        can.cost.then_some("cost"),
        can.tool.then_some("report tool"),
    ];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    words.join(", ")
}
