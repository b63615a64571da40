//! `mesh wave`.

use super::args::{ExportArgs, LintArgs, WaveCommand};
use super::context::Context;
use super::error::CliError;
use super::terminal::Tone;
use crate::job::JobError;
use crate::model::{Event, shell_word};
use crate::plan::SwarmOverrides;
use crate::platform::Repo;
use crate::run::{ProtocolSearchPath, Protocols, RunError};
use crate::table::{ReadOptions, Reader, TableError};
use crate::wave::{Call, Label, Problem, Runner, Subject, Team, lint};
use crate::{ledger, wave};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Does what the subcommand says.
pub fn execute(command: &WaveCommand, context: &Context) -> Result<u8, CliError> {
    match command {
        WaveCommand::Next(args) => super::step::next(args, context),
        WaveCommand::Export(args) => export(args, context),
        WaveCommand::Lint(args) => check(args, context),
        WaveCommand::Simulate(args) => super::simulate::execute(args, context),
    }
}

/// Checks every file; exit code 1 when something is wrong with one.
fn check(args: &LintArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut is_good = true;
    for name in &args.waves {
        let (rows, problems) = look(name, args.protocol.as_deref(), context)?;
        is_good &= problems.is_empty();
        if terminal.json {
            let problems: Vec<Value> = problems
                .iter()
                .map(|problem| as_json(problem, name))
                .collect();
            terminal
                .data(&json!({"wave": name, "rows": rows, "problems": problems}).to_string())?;
            continue;
        }
        for problem in &problems {
            let file = file_of(problem, name);
            let line = problem
                .line
                .map_or(String::new(), |line| format!(", line {line}"));
            terminal.data(&format!("`{}`{line}: {problem}", file.display()))?;
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

/// Writes the folder for another runner.
fn export(args: &ExportArgs, context: &Context) -> Result<u8, CliError> {
    let path = context.folder.join(&args.wave);
    let Table { header, rows, .. } = read_table(&path, &args.wave)?;
    let call = call_of(&path)?.unwrap_or_default();
    let bad = |why| CliError::BadCall {
        path: path.with_extension("call.json"),
        why,
    };
    let call = Call::parse(&call).map_err(bad)?;
    let folder = context.folder.join(&args.into);
    let is_taken = std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_taken {
        return Err(CliError::FolderInTheWay(args.into.clone()));
    }
    super::files_in_use::in_use_by_all(context).check_folder(&folder, "DIR")?;
    let bytes = std::fs::read(&path).map_err(|source| CliError::Read {
        path: args.wave.clone(),
        source,
    })?;
    let label = Label::of(&header, &rows, crate::platform::sha256_of_bytes(&bytes));
    let files = wave::export(
        args.to,
        &header,
        &rows,
        label.as_ref(),
        &call,
        &args.command,
    );
    for file in files {
        let path = folder.join(&file.path);
        crate::platform::write(&path, file.text.as_bytes())?;
        if file.is_program {
            std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
    }
    let shown = shell_word(&args.into.to_string_lossy());
    context.terminal.data(&folder.display().to_string())?;
    context.terminal.talk(&match args.to {
        Runner::Parallel | Runner::Xargs => format!("run it with: {shown}/run"),
        Runner::Slurm => format!("run it with: cd {shown} && sbatch job.sbatch"),
        Runner::Kubernetes => {
            format!(
                "set image and claim in {shown}/job.yaml, then: kubectl apply -f {shown}/job.yaml"
            )
        }
    });
    let run = label.map_or("RUN".to_owned(), |label| shell_word(&label.run_id));
    context.terminal.advise(&format!(
        "then collect the answers: mesh collect {run} {shown}/results"
    ));
    Ok(0)
}

/// The file that a problem is in.
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

/// The number of rows, and what is wrong with them or with the call file beside them.
fn look(
    name: &Path,
    protocol: Option<&str>,
    context: &Context,
) -> Result<(usize, Vec<Problem>), CliError> {
    let path = context.folder.join(name);
    let table = read_table(&path, name)?;
    let call = call_of(&path)?;
    let problems = lint(Subject {
        csv: &path,
        header: &table.header,
        rows: &table.rows,
        lines: &table.lines,
        call: call.as_deref(),
        teams: &teams(&path, protocol, context)?,
    });
    Ok((table.rows.len(), problems))
}

/// The rounds that a wave may be one of: those of the protocol that is named, else of the run whose folder it is in,
/// else of every protocol that is known here.
fn teams(wave: &Path, protocol: Option<&str>, context: &Context) -> Result<Vec<Team>, CliError> {
    let folder = &context.folder;
    let root = Repo::find(folder).map_or(folder.clone(), |repo| repo.root().to_owned());
    let search_path = ProtocolSearchPath {
        root: &root,
        named: &context.config.protocols,
    };
    let load = |name: &str| Protocols::load(name, search_path, SwarmOverrides::default());
    if let Some(name) = protocol {
        return Ok(load(name)?.teams());
    }
    let ledger = wave.ancestors().nth(2).map(|run| run.join("ledger.jsonl"));
    let first = ledger.and_then(|path| ledger::first(&path).ok().flatten());
    let settings = match first.map(|record| record.event) {
        Some(Event::RunStarted(body)) => body.settings,
        _ => Value::Null,
    };
    let of_run = settings["protocol"]
        .as_str()
        .and_then(|name| load(name).ok());
    Ok(match of_run {
        Some(protocols) => protocols.teams(),
        None => Protocols::known_teams(search_path),
    })
}

/// A wave CSV.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The line that each row begins on.
    lines: Vec<u64>,
}

fn read_table(path: &Path, name: &Path) -> Result<Table, CliError> {
    let table = |error: TableError| RunError::from(JobError::Table(error.fixed()));
    let mut reader = Reader::open(path, name, &ReadOptions::default()).map_err(table)?;
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    while let Some(row) = reader.next_row().map_err(table)? {
        rows.push(row);
        lines.push(reader.line());
    }
    Ok(Table {
        header: reader.header().to_vec(),
        rows,
        lines,
    })
}

/// The text of the call file beside a wave CSV.
fn call_of(path: &Path) -> Result<Option<String>, CliError> {
    let call_path = path.with_extension("call.json");
    match std::fs::read_to_string(&call_path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // Whatever it holds, it is no JSON.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(source) => Err(CliError::Read {
            path: call_path,
            source,
        }),
    }
}
