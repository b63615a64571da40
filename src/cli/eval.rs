//! `mesh eval`: tasks under several protocols and adapters, compared.

use super::args::EvalArgs;
use super::context::Context;
use super::error::CliError;
use super::stop::watch_signals;
use crate::eval::{Arm, ArmRun, Comparison, EvalError, EvalTask, Results, RunSettings, Settings};
use crate::job::StopSource;
use crate::model::{counted, span};
use std::time::Duration;

/// Runs what has no outcome yet, one run after another, then prints the comparison.
pub fn execute(args: &EvalArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let arms = arms(args)?;
    let tasks = EvalTask::list(&context.folder.join(&args.tasks), &args.only)?;
    let dir = context.folder.join(&args.dir);
    let settings = run_settings(args, context, &dir)?;
    let mut results = Results::open(&dir, &recorded_settings(args))?;
    let stop = watch_signals()?;
    let mut outcomes = Vec::new();
    let mut open = Vec::new();
    for task in &tasks {
        for arm in &arms {
            let run = ArmRun {
                task,
                arm,
                settings: &settings,
            };
            match results.find(&task.name, arm, &run.digest()?)? {
                Some(outcome) => outcomes.push(outcome.clone()),
                None => open.push(run),
            }
        }
    }
    if !outcomes.is_empty() {
        let done = counted(outcomes.len() as u64, "run");
        terminal.talk(&format!("{done} already there, {} to go", open.len()));
    }
    for run in open {
        let outcome = run.run(&stop)?;
        if let Some(StopSource::Signal(signal)) = stop.source() {
            terminal.talk("stopped; the same command continues");
            return Ok(128 + u8::try_from(signal).unwrap_or(0));
        }
        let Some(outcome) = outcome else {
            continue;
        };
        terminal.talk(&format!(
            "{}, {}: {} ({}, {})",
            outcome.task,
            outcome.arm.name(),
            outcome.word(),
            counted(outcome.rows, "row"),
            span(outcome.makespan_ms)
        ));
        results.add(outcome.clone())?;
        outcomes.push(outcome);
    }
    outcomes.sort_by(|a, b| a.task.cmp(&b.task));
    let comparison = Comparison::new(&arms, outcomes);
    match terminal.json {
        true => terminal.data(&comparison.json().to_string())?,
        false => terminal.data(&comparison.text())?,
    }
    Ok(0)
}

/// Every protocol with every adapter.
fn arms(args: &EvalArgs) -> Result<Vec<Arm>, EvalError> {
    let adapters = match (args.command.is_empty(), args.adapters.is_empty()) {
        (false, _) => vec!["command".to_owned()],
        (true, true) => vec!["auto".to_owned()],
        (true, false) => args.adapters.clone(),
    };
    for (option, names) in [("--protocols", &args.protocols), ("--adapters", &adapters)] {
        let mut seen = names.clone();
        seen.sort();
        if let Some(twice) = seen.windows(2).find(|two| two[0] == two[1]) {
            let text = format!("`{option}` has `{}` twice", twice[0]);
            return Err(EvalError::BadOption(text));
        }
        if names.iter().any(String::is_empty) {
            return Err(EvalError::BadOption(format!(
                "`{option}` has an empty name"
            )));
        }
    }
    if let Some(bad) = args.set.iter().find(|one| !one.contains('=')) {
        let text = format!("`--set {bad}` is not key=value");
        return Err(EvalError::BadOption(text));
    }
    let arm = |protocol: &String, adapter: &String| Arm {
        protocol: protocol.clone(),
        adapter: adapter.clone(),
    };
    let of_adapter = |adapter| args.protocols.iter().map(move |one| arm(one, adapter));
    Ok(adapters.iter().flat_map(of_adapter).collect())
}

fn recorded_settings(args: &EvalArgs) -> Settings {
    Settings {
        v: 1,
        max_concurrency: args.max_concurrency,
        hidden_timeout_seconds: args.hidden_timeout_seconds,
        set: args.set.clone(),
        command: args.command.clone(),
    }
}

fn run_settings(
    args: &EvalArgs,
    context: &Context,
    dir: &std::path::Path,
) -> Result<RunSettings, CliError> {
    Ok(RunSettings {
        mesh: std::env::current_exe()?,
        folder: context.folder.clone(),
        runs: dir.join("runs"),
        tasks: context.folder.join(&args.tasks),
        max_concurrency: args.max_concurrency,
        hidden_timeout: Duration::from_secs(args.hidden_timeout_seconds),
        set: args.set.clone(),
        command: args.command.clone(),
    })
}
