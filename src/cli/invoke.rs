//! `mesh invoke`: a person's message -> `mesh run`, or the reason why nothing is started.
//!
//! The settings of the message are added to this command line, which is then parsed again: checks, precedence and the run
//! itself are those of `mesh run`.

use super::args::{Command, InvokeArgs, RunExtras};
use super::context::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use super::{defaults, run};
use crate::invoke;
use crate::invoke::{Argument, Invocation, SkipReason};
use std::io::Read;

/// The maximum size of a message on standard input. A truncated message could mean something else, so it is refused.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;

/// Starts the run that the message asks for; exit code 0 if it asks for none.
pub fn execute(args: &InvokeArgs, context: &Context) -> Result<u8, CliError> {
    match invoke::read(&message(&args.message)?)? {
        Invocation::Skipped(reason) => skipped(reason, &context.terminal),
        Invocation::Run(arguments) => start(&arguments),
    }
}

fn start(arguments: &[Argument]) -> Result<u8, CliError> {
    let settings: Vec<(&str, &str)> = arguments
        .iter()
        .map(|argument| (argument.key, argument.value.as_str()))
        .collect();
    let typed = std::env::args_os().collect();
    let (cli, context) = defaults::parse(defaults::with_settings(typed, &settings))?;
    match cli.command {
        Command::Invoke(args) => {
            let extras = RunExtras {
                headless: args.headless,
                notices: args.notices,
                ..RunExtras::default()
            };
            run::execute(&args.options, &extras, &context)
        }
        _ => unreachable!("more options do not change the command"),
    }
}

fn skipped(reason: SkipReason, terminal: &Terminal) -> Result<u8, CliError> {
    let word = reason.as_str();
    let line = match terminal.json {
        true => serde_json::json!({"executed": false, "skipped_reason": word}).to_string(),
        false => format!("mesh_execution_skipped_reason={word}"),
    };
    terminal.data(&line)?;
    let label = terminal.err_tone(Tone::Note, "nothing was started:");
    let hint = match reason {
        // Most often a shell has expanded it as a variable.
        SkipReason::NoToken => {
            "`$mesh ids=st-003` runs a task; in a shell, put it in single quotes"
        }
        _ => "`$mesh ids=st-003`, on a line of its own, runs a task",
    };
    terminal.talk(&format!("{label} {reason}; {hint}"));
    Ok(0)
}

fn message(argument: &str) -> Result<String, CliError> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().lock().take(MESSAGE_BYTES_MAX + 1);
    if input.read_to_end(&mut bytes)? as u64 > MESSAGE_BYTES_MAX {
        return Err(CliError::MessageTooLong(MESSAGE_BYTES_MAX));
    }
    // The token is ASCII, so invalid UTF-8 around it changes nothing.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
