//! `mesh wave`: checking waves; the other commands are next to this file.

use super::args::{LintArgs, WaveCommand};
use super::call_file::read_call;
use super::context::Context;
use super::csv_file;
use super::defaults::config_root;
use super::error::CliError;
use super::terminal::Tone;
use crate::ledger;
use crate::model::Event;
use crate::plan::SwarmOverrides;
use crate::platform::look;
use crate::run::{ProtocolSearchPath, Protocols};
use crate::wave::{Lint, LintInput, Problem, Team};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Runs a subcommand.
pub fn execute(command: &WaveCommand, context: &Context) -> Result<u8, CliError> {
    match command {
        WaveCommand::Next(args) => super::single_steps::next(args, context),
        WaveCommand::Export(args) => super::wave_slices::export(args, context),
        WaveCommand::Exec(args) => super::wave_slices::exec(args, context),
        WaveCommand::Lint(args) => lint_all(args, context),
        WaveCommand::Simulate(args) => super::simulate::execute(args, context),
    }
}

/// Checks every wave; exit code 1 if a check fails.
fn lint_all(args: &LintArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut is_good = true;
    for name in &args.waves {
        let (rows, problems) = lint_one(name, args.protocol.as_deref(), context)?;
        is_good &= problems.is_empty();
        if terminal.json {
            let problems = problems.iter().map(|problem| as_json(problem, name));
            let problems: Vec<Value> = problems.collect();
            let object = json!({"wave": name, "rows": rows, "problems": problems});
            terminal.data(&object.to_string())?;
            continue;
        }
        for problem in &problems {
            let file = file_of(problem, name);
            let line = problem.line;
            let line = line.map_or(String::new(), |line| format!(", line {line}"));
            terminal.data(&format!("`{}`{line}: {problem}", file.display()))?;
        }
        if problems.is_empty() {
            let good = terminal.out_tone(Tone::Good, "ok");
            let rows = super::progress::rows(rows as u64);
            terminal.data(&format!("{good} `{}`: {rows}", name.display()))?;
        }
    }
    Ok(u8::from(!is_good))
}

/// The file that contains a problem.
fn file_of(problem: &Problem, wave: &Path) -> PathBuf {
    match problem.in_call {
        true => wave.with_extension("call.json"),
        false => wave.to_owned(),
    }
}

fn as_json(problem: &Problem, wave: &Path) -> Value {
    json!({
        "row": problem.row,
        "column": problem.column,
        "message": problem.message,
        "item": problem.item,
        "file": file_of(problem, wave),
        "line": problem.line,
    })
}

/// The number of rows of a wave, and the problems in its CSV and its call file.
fn lint_one(
    name: &Path,
    protocol: Option<&str>,
    context: &Context,
) -> Result<(usize, Vec<Problem>), CliError> {
    let path = context.folder.join(name);
    let mut reader = csv_file::open(&path, name)?;
    let call = read_call(&path)?;
    let header = reader.header().to_vec();
    let teams = teams(&path, protocol, context)?;
    let mut lint = Lint::new(LintInput {
        csv: &path,
        header: &header,
        call: call.as_deref(),
        teams: &teams,
    });
    let mut rows = 0;
    while let Some((row, line)) = reader.next_record().map_err(csv_file::unreadable)? {
        lint.row(row, line);
        rows += 1;
    }
    Ok((rows, lint.finish()))
}

/// The rounds that a wave may belong to: those of the given protocol, else of the run whose folder contains the wave, else of
/// every known protocol.
fn teams(wave: &Path, protocol: Option<&str>, context: &Context) -> Result<Vec<Team>, CliError> {
    let folder = &context.folder;
    let root = config_root(folder)?;
    let search_path = ProtocolSearchPath {
        root: &root,
        named: &context.config.protocols,
    };
    let load = |name: &str| Protocols::load(name, search_path, SwarmOverrides::default());
    if let Some(name) = protocol {
        return Ok(load(name)?.teams(search_path));
    }
    let ledger = wave.ancestors().nth(2).map(|run| run.join("ledger.jsonl"));
    let first = match ledger {
        Some(path) => look::reachable(ledger::first(&path))?.flatten(),
        None => None,
    };
    let settings = match first.map(|record| record.event) {
        Some(Event::RunStarted(body)) => body.settings,
        _ => Value::Null,
    };
    let protocol = settings["protocol"].as_str();
    let loaded = protocol.map(load).map(look::reachable).transpose()?;
    Ok(match loaded.flatten() {
        Some(protocols) => protocols.teams(search_path),
        None => Protocols::known_teams(search_path),
    })
}
