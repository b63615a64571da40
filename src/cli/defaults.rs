//! The sources of option values: command line or `KEY=VALUE`, then environment, then `mesh.yaml`, then the default.
//!
//! clap knows the names of the options. This file attaches the variable `MESH_<OPTION>` and the key in `mesh.yaml` to each
//! global option and to each option of a configurable command.

use super::args::{Cli, Command, SpawnArgs, WaveCommand};
use super::call_location::CallLocation;
use super::command_line;
use super::context::Context;
use super::error::CliError;
use super::terminal::Terminal;
use crate::config::Config;
use crate::platform::{Repo, look};
use crate::run::RunError;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, FromArgMatches};
use std::cmp::Ordering;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The commands whose options can be set by the environment and `mesh.yaml`.
const CONFIGURABLE: [&str; 7] = [
    "run",
    "mcp",
    "invoke",
    "doctor",
    "spawn",
    "wave next",
    "wave simulate",
];
/// The commands that take options as `KEY=VALUE`.
const WITH_SETTINGS: [&str; 3] = ["run", "wave next", "wave simulate"];
/// Options that are read from the command line only.
const TYPED_ONLY: [&str; 20] = [
    "help",
    "worker",
    "root",
    "version",
    "folder",
    "settings",
    "message",
    "command",
    "run_id",
    "dry_run",
    "csv_path",
    "sheet",
    "resume",
    "retry_failed",
    "input_changed",
    "reuse",
    "run",
    "call",
    "simulated_executor",
    "simulated_rows",
];
/// Options that the preflight line shows if they are given.
const SHOWN_IN_PREFLIGHT: [&str; 51] = [
    "ids",
    "max_tasks",
    "parallel_tasks",
    "join",
    "dispatch",
    "deps",
    "shared_paths",
    "protocol",
    "swarm_roles",
    "consensus_threshold",
    "consensus_retries",
    "early_vote",
    "validation_allow",
    "trust_proposed_validation",
    "prevalidate",
    "isolation",
    "validation_parallel",
    "strict_validation",
    "integrate",
    "comment",
    "delivery",
    "protected_branches",
    "allow_protected",
    "no_verify",
    "no_learnings",
    "strict",
    "sandbox",
    "writable",
    "role",
    "model",
    "effort",
    "max_concurrency",
    "max_cost_usd",
    "max_tokens",
    "max_rows",
    "max_wall_seconds",
    "rate_limit_wait_max",
    "task_max_cost_usd",
    "task_max_tokens",
    "task_max_rows",
    "task_max_wall_seconds",
    "remaining_five_hour",
    "remaining_weekly",
    "retries",
    "retry_delay",
    "max_runtime_seconds",
    "max_idle_seconds",
    "grace_seconds",
    "allow_binary",
    "patch_bytes_max",
    "validation_timeout_seconds",
];

/// Reads the command line.
pub fn parse(args: Vec<OsString>) -> Result<(Cli, Context), CliError> {
    // A first, lenient pass finds the folder, which decides on mesh.yaml, and the KEY=VALUE arguments.
    let lenient = with_environment(command_line::command()).ignore_errors(true);
    let first_pass = lenient.try_get_matches_from(&args).ok();
    let first_pass = first_pass.as_ref();
    let given = first_pass.and_then(|matches| matches.get_one::<PathBuf>("folder").cloned());
    let given = given.unwrap_or_else(|| ".".into());
    let folder = std::path::absolute(&given).unwrap_or_default();
    if !look::is_folder(&folder).map_err(CliError::unreadable(&given))? {
        return Err(CliError::NoFolder(given));
    }
    let name = first_pass.map(full_name).unwrap_or_default();
    let name = name.as_str();
    let config = match CONFIGURABLE.contains(&name) || ["resume", "adapters"].contains(&name) {
        true => Config::load(&config_root(&folder)?)?,
        false => Config::default(),
    };
    let command = with_config(with_environment(command_line::command()), &config);
    config.check_options(|key| find_option(&command, key).is_some())?;
    let args = match WITH_SETTINGS.contains(&name) {
        true => expand_settings(args, name, first_pass, &command)?,
        false => args,
    };
    let matches = command
        .try_get_matches_from(args)
        .map_err(CliError::Usage)?;
    let mut cli = Cli::from_arg_matches(&matches).map_err(CliError::Usage)?;
    if let (Command::Spawn(args), Some(matches)) =
        (&mut cli.command, matches.subcommand_matches("spawn"))
    {
        args.typed = typed(matches);
        if args.resume.is_none() && args.call.is_none() {
            choose_instruction(args, matches)?;
        }
    }
    match &mut cli.command {
        Command::Wave(WaveCommand::Next(args)) => args.typed = typed(innermost(&matches)),
        Command::Wave(WaveCommand::Exec(args)) => args.typed = typed(innermost(&matches)),
        _ => {}
    }
    let terminal = Terminal::new(
        &cli.show,
        CallLocation::of(&cli.folder, &matches, command_line::command),
    );
    let context = Context {
        folder,
        config,
        overrides: overrides(&matches),
        terminal,
    };
    Ok((cli, context))
}

/// The repository's root, or the folder itself outside of one.
pub fn config_root(folder: &Path) -> Result<PathBuf, CliError> {
    Ok(
        match look::reachable(Repo::find(folder)).map_err(RunError::from)? {
            Some(repo) => repo.root().to_owned(),
            None => folder.to_owned(),
        },
    )
}

fn key_of(arg: &Arg) -> Option<String> {
    let id = arg.get_id().as_str();
    let long = arg.get_long()?;
    (!TYPED_ONLY.contains(&id)).then(|| long.replace('-', "_"))
}

fn with_environment(command: clap::Command) -> clap::Command {
    let attach = |arg: Arg| match key_of(&arg) {
        Some(key) => {
            let arg = arg
                .env(format!("MESH_{}", key.to_uppercase()))
                .hide_env(true);
            if arg.get_action().takes_values() {
                arg
            } else {
                // `MESH_JSON=0` must not mean `--json`.
                arg.value_parser(clap::builder::FalseyValueParser::new())
            }
        }
        None => arg,
    };
    mut_all_options(command, &attach)
}

fn with_config(command: clap::Command, config: &Config) -> clap::Command {
    let attach = |arg: Arg| match key_of(&arg).and_then(|key| config.options.get(&key)) {
        Some(values) if arg.get_action().takes_values() => arg
            .required(false)
            .default_values(values.clone())
            .hide_default_value(true),
        Some(values) => arg.default_value(values.first().cloned().unwrap_or_default()),
        None => arg,
    };
    mut_all_options(command, &attach)
}

/// Changes the global options and those of all configurable commands.
fn mut_all_options(command: clap::Command, change: &dyn Fn(Arg) -> Arg) -> clap::Command {
    let names = CONFIGURABLE.iter();
    names.fold(command.mut_args(change), |command, name| {
        mut_options(command, name, change)
    })
}

/// The name of the command with those of its subcommands, such as `wave next`.
fn full_name(matches: &ArgMatches) -> String {
    let Some((name, sub)) = matches.subcommand() else {
        return String::new();
    };
    format!("{name} {}", full_name(sub)).trim_end().to_owned()
}

/// The matches of the last subcommand.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, sub)) => innermost(sub),
        None => matches,
    }
}

fn mut_options(command: clap::Command, name: &str, change: &dyn Fn(Arg) -> Arg) -> clap::Command {
    let (first, rest) = name.split_once(' ').unwrap_or((name, ""));
    command.mut_subcommand(first, |sub| match rest {
        "" => sub.mut_args(change),
        _ => mut_options(sub, rest, change),
    })
}

fn find_command<'c>(command: &'c clap::Command, name: &str) -> Option<&'c clap::Command> {
    let mut names = name.split(' ');
    names.try_fold(command, |command, name| command.find_subcommand(name))
}

fn find_option<'c>(command: &'c clap::Command, key: &str) -> Option<&'c Arg> {
    let subs = CONFIGURABLE.iter();
    let subs = subs.filter_map(|name| find_command(command, name));
    std::iter::once(command)
        .chain(subs)
        .flat_map(clap::Command::get_arguments)
        .find(|arg| key_of(arg).as_deref() == Some(key))
}

/// The command line with more settings, as if they had been typed: the last options before the agent's command.
pub fn with_settings(args: Vec<OsString>, settings: &[(&str, &str)]) -> Vec<OsString> {
    let (mut args, command) = split_command(args);
    let options = settings.iter().map(|(key, value)| option(key, value));
    args.extend(options.map(OsString::from));
    args.extend(command);
    args
}

/// The arguments before `--`, and the rest.
fn split_command(mut args: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let end = args.iter().position(|arg| arg == "--");
    let command = args.split_off(end.unwrap_or(args.len()));
    (args, command)
}

/// One argument, so that no value is taken for an option.
fn option(key: &str, value: &str) -> String {
    format!("--{}={value}", key.replace('_', "-"))
}

/// Replaces `max_tasks=2` by `--max-tasks=2`.
fn expand_settings(
    args: Vec<OsString>,
    name: &str,
    first_pass: Option<&ArgMatches>,
    command: &clap::Command,
) -> Result<Vec<OsString>, CliError> {
    let given = first_pass.map(innermost);
    let given = given.and_then(|command| command.get_many::<String>("settings"));
    let given: Vec<&String> = given.into_iter().flatten().collect();
    let (args, worker) = split_command(args);
    let mut expanded = Vec::with_capacity(args.len() + worker.len());
    for arg in args {
        let setting = arg
            .to_str()
            .filter(|text| given.iter().any(|given| given == text));
        let Some(text) = setting else {
            expanded.push(arg);
            continue;
        };
        let bad = || CliError::BadSetting {
            setting: text.to_owned(),
            command: name.to_owned(),
        };
        let (key, value) = text.split_once('=').ok_or_else(bad)?;
        let known = find_option(command, key).ok_or_else(bad)?;
        match (known.get_action().takes_values(), value) {
            (true, _) => expanded.push(option(key, value).into()),
            (false, "true") => expanded.push(format!("--{}", key.replace('_', "-")).into()),
            (false, "false") => {}
            (false, _) => return Err(bad()),
        }
    }
    expanded.extend(worker);
    Ok(expanded)
}

/// The options on the command line. A run keeps its settings, so only these can change it when it is resumed.
fn typed(matches: &ArgMatches) -> Vec<String> {
    let is_typed = |id: &&clap::Id| {
        let is_known = matches.try_contains_id(id.as_str()).is_ok();
        is_known && matches.value_source(id.as_str()) == Some(ValueSource::CommandLine)
    };
    let ids = matches.ids().filter(is_typed);
    ids.map(|id| id.as_str().to_owned()).collect()
}

/// Keeps either `--instruction` or `--instruction-file`: the one from the source with precedence.
fn choose_instruction(args: &mut SpawnArgs, matches: &ArgMatches) -> Result<(), CliError> {
    let precedence = |id: &str| match matches.value_source(id) {
        Some(ValueSource::CommandLine) => 3,
        Some(ValueSource::EnvVariable) => 2,
        Some(_) => 1,
        None => 0,
    };
    let (text, file) = (precedence("instruction"), precedence("instruction_file"));
    match text.cmp(&file) {
        Ordering::Equal if text == 0 => return Err(CliError::NoInstruction),
        Ordering::Equal => return Err(CliError::TwoInstructions),
        Ordering::Greater => args.instruction_file = None,
        Ordering::Less => args.instruction = None,
    }
    Ok(())
}

/// The options of `run`, `invoke` or `wave next` from the command line or the environment, as the preflight line shows them.
fn overrides(matches: &ArgMatches) -> Vec<String> {
    if !["run", "invoke", "wave next"].contains(&full_name(matches).as_str()) {
        return Vec::new();
    }
    let run = innermost(matches);
    let is_given = |id: &&&str| {
        // The commands have not all of them.
        let is_known = run.try_contains_id(id).is_ok();
        is_known && !matches!(run.value_source(id), None | Some(ValueSource::DefaultValue))
    };
    let shown = SHOWN_IN_PREFLIGHT.iter().filter(is_given);
    let show = |id: &&str| {
        let value = match run.try_get_one::<bool>(id) {
            // `MESH_PREVALIDATE=0` is shown as `prevalidate=false`.
            Ok(flag) => flag?.to_string(),
            Err(_) => {
                let values = run.get_raw(id)?.map(|value| value.to_string_lossy());
                values.collect::<Vec<_>>().join("+")
            }
        };
        Some(format!("{id}={value}"))
    };
    shown.filter_map(show).collect()
}
