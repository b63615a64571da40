//! `mesh wave`.

use super::args::{Context, ExportArgs, LintArgs, WaveCommand};
use super::error::CliError;
use super::terminal::Tone;
use crate::job::JobError;
use crate::model::shell_word;
use crate::run::{self, RunError};
use crate::table::{ReadOptions, Reader};
use crate::wave::{self, Call, Label, Problem, Runner, lint};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// Writes the folder for another runner.
fn export(args: &ExportArgs, context: &Context) -> Result<u8, CliError> {
    let path = context.folder.join(&args.wave);
    let (header, rows) = read_table(&path, &args.wave)?;
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
    let bytes = std::fs::read(&path).map_err(|source| CliError::Read {
        path: args.wave.clone(),
        source,
    })?;
    let label = Label::of(&header, &rows, run::sha256(&bytes));
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
        crate::durable::write(&path, file.text.as_bytes())?;
        if file.is_program {
            std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        }
    }
    let shown = shell_word(&args.into.to_string_lossy());
    context.terminal.data(&folder.display().to_string())?;
    context.terminal.talk(&match args.to {
        Runner::Parallel | Runner::Xargs => format!("work it with: {shown}/run"),
        Runner::Slurm => format!("work it with: cd {shown} && sbatch job.sbatch"),
        Runner::Kubernetes => {
            format!("name image and claim in {shown}/job.yaml, then kubectl apply -f it")
        }
    });
    let run = label.map_or("RUN".to_owned(), |label| shell_word(&label.run_id));
    context.terminal.talk(&format!(
        "then bring the answers back: mesh collect {run} {shown}/results"
    ));
    Ok(0)
}

/// The number of rows, and what is wrong with them or with the call file beside them.
fn look(path: &Path, name: &Path) -> Result<(usize, Vec<Problem>), CliError> {
    let (header, rows) = read_table(path, name)?;
    let call = call_of(path)?.map(|text| serde_json::from_str(&text).unwrap_or_default());
    Ok((rows.len(), lint(&header, &rows, call.as_ref())))
}

fn read_table(path: &Path, name: &Path) -> Result<(Vec<String>, Vec<Vec<String>>), CliError> {
    let table = |error| RunError::from(JobError::Table(error));
    let mut reader = Reader::open(path, name, &ReadOptions::default()).map_err(table)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(table)? {
        rows.push(row);
    }
    Ok((reader.header().to_vec(), rows))
}

/// The text of the call file beside a wave CSV.
fn call_of(path: &Path) -> Result<Option<String>, CliError> {
    let call_path = path.with_extension("call.json");
    match std::fs::read_to_string(&call_path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CliError::Read {
            path: call_path,
            source,
        }),
    }
}
