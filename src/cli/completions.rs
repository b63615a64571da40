//! `mesh completions`: the script that makes a shell ask this program what may follow, and the answers: ids of runs and of tasks,
//! columns of the CSV on the line, adapters.

use super::args::{Cli, CompletionsArgs};
use super::error::CliError;
use crate::adapter;
use crate::model::shell_word;
use crate::plan;
use crate::platform::look;
use crate::run::{RunFolder, home};
use crate::table::{ReadOptions, Reader};
use clap::{Arg, Command, CommandFactory};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCandidates, CompletionCandidate};
use std::path::{Path, PathBuf};

/// The variable by which the script asks.
const VARIABLE: &str = "MESH_COMPLETE";

/// Answers the script of a shell, and ends the process; returns if there is no question.
pub fn answer() {
    // Without the check, the command line would be built for every start.
    if std::env::var_os(VARIABLE).is_some() {
        CompleteEnv::with_factory(command).var(VARIABLE).complete();
    }
}

/// Prints the script.
pub fn execute(args: &CompletionsArgs) -> Result<u8, CliError> {
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(args.shell.name()) else {
        return Ok(2);
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, "mesh", "mesh", "mesh", &mut script)?;
    std::io::Write::write_all(&mut std::io::stdout().lock(), &script)?;
    Ok(0)
}

/// The command line, with candidates for the values that it can't list itself.
fn command() -> Command {
    with_candidates(Cli::command())
}

fn with_candidates(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let candidates: fn() -> Vec<String> = match arg.get_id().as_str() {
            "run" | "runs" | "what" | "reuse" => runs,
            "ids" => tasks,
            "id_column" | "columns" | "sort" => columns,
            "adapter" => adapters,
            _ => return arg,
        };
        add(arg, candidates)
    });
    command.mut_subcommands(with_candidates)
}

fn add(arg: Arg, candidates: fn() -> Vec<String>) -> Arg {
    arg.add(ArgValueCandidates::new(move || {
        let words = candidates().into_iter().filter(|word| is_plain(word));
        words.map(CompletionCandidate::new).collect()
    }))
}

/// Whether a shell that puts the word on the command line as it is, as bash does, would take it for nothing else. A column that is
/// called `$(command)` is no candidate.
fn is_plain(word: &str) -> bool {
    let is_safe = |c: char| c == ' ' || shell_word(c.encode_utf8(&mut [0; 4])).starts_with(c);
    !word.starts_with('-') && word.chars().all(is_safe)
}

/// The latest first.
fn runs() -> Vec<String> {
    let folders = home()
        .ok()
        .and_then(|home| RunFolder::list(&home).ok())
        .unwrap_or_default();
    folders
        .iter()
        .rev()
        .map(|folder| folder.id().to_string())
        .collect()
}

fn tasks() -> Vec<String> {
    let read = |path: &str| plan::Store::at(Path::new(path)).read().ok();
    let plan = [".step/st-plan.jsonl", ".codex/st-plan.jsonl"]
        .into_iter()
        .find_map(read);
    let items = plan.iter().flat_map(|plan| plan.items());
    items.map(|item| item.id().to_string()).collect()
}

/// Of the last word on the line that is a CSV.
fn columns() -> Vec<String> {
    let mut words = std::env::args_os().skip(1).map(PathBuf::from);
    let is_csv = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "csv")
            && look::is_file(path).unwrap_or(false)
    };
    let Some(path) = words.rfind(is_csv) else {
        return Vec::new();
    };
    let reader = Reader::open(&path, &path, &ReadOptions::default());
    reader.map_or(Vec::new(), |reader| reader.header().to_vec())
}

fn adapters() -> Vec<String> {
    let names = adapter::agent_names().into_iter();
    names
        .chain(["replay", "external"])
        .map(str::to_owned)
        .collect()
}
