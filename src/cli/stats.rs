//! `mesh stats`: figures over runs, as text or JSON.

use super::archives::Opened;
use super::args::StatsArgs;
use super::context::Context;
use super::error::{CliError, with_causes};
use crate::ledger;
use crate::model::RunId;
use crate::platform::{clock, look};
use crate::report::stats::{By, Figures, RunFacts};
use crate::report::view::ViewError;
use crate::run::RunFolder;

/// Sums up the runs that the arguments name. A run that can't be read is named and left out; exit code 1 if none is left.
pub fn execute(args: &StatsArgs, context: &Context) -> Result<u8, CliError> {
    let mut figures = Figures::new(args.by.map(By::from));
    match args.runs.as_slice() {
        [] => add_all(args, context, &mut figures)?,
        named => {
            for given in named {
                let opened = Opened::by(given, context)?;
                let folder = find(given, &opened, args, context)?;
                add(&folder, &mut figures);
            }
        }
    }
    let terminal = &context.terminal;
    for (run, why) in &figures.left_out {
        terminal.warn(&format!("{run} is left out: {why}"));
    }
    if terminal.json {
        terminal.data(&figures.json().to_string())?;
    } else if figures.runs.is_empty() {
        terminal.talk("no runs to sum up");
    } else {
        terminal.data(&figures.text())?;
    }
    Ok(u8::from(
        figures.runs.is_empty() && !figures.left_out.is_empty(),
    ))
}

/// Adds every run of the folder of runs that started late enough.
fn add_all(args: &StatsArgs, context: &Context, figures: &mut Figures) -> Result<(), CliError> {
    let home = args.home.folder(context)?;
    let since = args.since.map(|since| since.before(clock::now()));
    for folder in RunFolder::list(&home)? {
        let started = || ledger::first(&folder.ledger()).ok()?;
        let is_old = since.is_some_and(|since| {
            let time = started().and_then(|record| clock::read(&record.ts));
            time.is_some_and(|time| time < since)
        });
        if !is_old {
            add(&folder, figures);
        }
    }
    Ok(())
}

fn add(folder: &RunFolder, figures: &mut Figures) {
    match RunFacts::read(folder) {
        Ok(facts) => figures.add(facts),
        Err(error) => figures.leave_out(folder.id().to_string(), with_causes(&error)),
    }
}

/// The folder of a run that was named.
fn find(
    given: &str,
    opened: &Opened,
    args: &StatsArgs,
    context: &Context,
) -> Result<RunFolder, CliError> {
    let path = context.folder.join(given);
    let there = look::reach(&path).map_err(CliError::unreadable(&path))?;
    let is_folder = there.is_some_and(|there| there.is_dir());
    match opened.folder().or(is_folder.then_some(path)) {
        Some(path) => Ok(RunFolder::at(&path)?.ok_or(ViewError::NoLedger(path))?),
        None => Ok(RunFolder::find(
            &args.home.folder(context)?,
            &RunId::new(given),
        )?),
    }
}
