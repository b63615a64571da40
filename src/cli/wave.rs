//! `mesh wave`.

use super::args::{Context, LintArgs, WaveCommand};
use super::error::CliError;
use super::terminal::Tone;
use crate::job::JobError;
use crate::run::RunError;
use crate::table::{ReadOptions, Reader};
use crate::wave::{Problem, lint};
use serde_json::{Value, json};
use std::path::Path;

/// Does what the subcommand says.
pub fn execute(command: &WaveCommand, context: &Context) -> Result<u8, CliError> {
    match command {
        WaveCommand::Lint(args) => check(args, context),
        WaveCommand::Simulate(args) => super::simulate::execute(args, context),
    }
}

/// Checks every file; exit code 1 when something is wrong with one.
fn check(args: &LintArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut is_good = true;
    for name in &args.waves {
        let (rows, problems) = look(&context.folder.join(name), name)?;
        is_good &= problems.is_empty();
        if terminal.json {
            let problems: Vec<Value> = problems
                .iter()
                .map(|problem| json!({"row": problem.row, "column": problem.column, "message": problem.message}))
                .collect();
            terminal
                .data(&json!({"wave": name, "rows": rows, "problems": problems}).to_string())?;
            continue;
        }
        for problem in &problems {
            terminal.data(&format!("`{}`: {problem}", name.display()))?;
        }
        if problems.is_empty() {
            let good = terminal.out_tone(Tone::Good, "ok");
            terminal.data(&format!(
                "{good} `{}`: {}",
                name.display(),
                super::progress::rows(rows as u64)
            ))?;
        }
    }
    Ok(u8::from(!is_good))
}

/// The number of rows, and what is wrong with them or with the call file beside them.
fn look(path: &Path, name: &Path) -> Result<(usize, Vec<Problem>), CliError> {
    let table = |error| RunError::from(JobError::Table(error));
    let mut reader = Reader::open(path, name, &ReadOptions::default()).map_err(table)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(table)? {
        rows.push(row);
    }
    let call_path = path.with_extension("call.json");
    let call = match std::fs::read_to_string(&call_path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap_or_default()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(CliError::Read {
                path: call_path,
                source,
            });
        }
    };
    Ok((rows.len(), lint(reader.header(), &rows, call.as_ref())))
}
