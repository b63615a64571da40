//! `mesh wave next`, `mesh collect` and `mesh integrate`: a run, one command at a time.

use super::args::{Cli, CollectArgs, NextArgs, OneRun};
use super::context::Context;
use super::error::CliError;
use super::plan_run::print_report;
use super::progress::{Display, rows};
use super::run::{announce, nothing_to_do, request};
use super::stop;
use super::terminal::Terminal;
use crate::adapter::EXTERNAL;
use crate::integrate::RepoLock;
use crate::model::{RowId, RunId, WaveCompiled, WaveNo, counted, one_line, shell_word};
use crate::report::Report;
use crate::run;
use crate::run::{
    BudgetOverrides, Collect, Collected, CollectedWave, NextWaves, PlanRun, RunError, WaitingWave,
};
use crate::schedule::Dispatch;
use clap::CommandFactory;
use serde_json::{Value, json};
use std::path::Path;

/// Begins a run or goes on with one, and says which waves are to be worked.
pub fn next(args: &NextArgs, context: &Context) -> Result<u8, CliError> {
    let mut plan_run = match &args.run {
        Some(run) => {
            settled(args, run)?;
            let run = OneRun {
                run: run.clone(),
                home: args.options.home.clone(),
            };
            PlanRun::resume(run.find(context)?, BudgetOverrides::default())?
        }
        None => match begin(args, context)? {
            Ok(plan_run) => plan_run,
            Err(code) => return Ok(code),
        },
    };
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(&context.terminal);
    let handed = plan_run.next_waves(&mut display, &stop)?;
    drop(display);
    let id = plan_run.id();
    let kept = match handed.is_done {
        true => format!("mesh runs show {id} prints the report"),
        false => format!("mesh wave next --run {id} shows the waves again"),
    };
    said(show(&plan_run, &handed, context), kept)
}

/// What was done stands in the ledger, also where nobody can be told.
fn said<T>(shown: Result<T, CliError>, kept: String) -> Result<T, CliError> {
    shown.map_err(|error| match error {
        CliError::NotPrinted(error) => CliError::Unsaid {
            kept,
            source: error.0,
        },
        other => other,
    })
}

/// Refuses settings for a run that has them from its beginning.
fn settled(args: &NextArgs, run: &str) -> Result<(), CliError> {
    let mesh = Cli::command();
    let wave = mesh.find_subcommand("wave");
    let own = wave.and_then(|wave| wave.find_subcommand("next"));
    let is_own = |id: &str| {
        let mut arguments = own.into_iter().flat_map(clap::Command::get_arguments);
        arguments.any(|arg| arg.get_id() == id)
    };
    let says_where = |id: &str| ["run", "artifacts"].contains(&id);
    let settings = args.typed.iter();
    let settings = settings.filter(|id| is_own(id) && !says_where(id));
    let named = |id: &String| match id.as_str() {
        "command" => "the agent's command".to_owned(),
        id => format!("`--{}`", id.replace('_', "-")),
    };
    let named: Vec<String> = settings.map(named).collect();
    match named.is_empty() {
        true => Ok(()),
        false => Err(CliError::Settled {
            options: named,
            run: RunId::new(run),
        }),
    }
}

/// A new run, or the exit code where none is to begin.
fn begin(args: &NextArgs, context: &Context) -> Result<Result<PlanRun, u8>, CliError> {
    let mut request = request(&args.options, context);
    // One wave for all tasks in the same round: whoever works waves by hand has one call to make, not one for each task.
    request.dispatch = args.options.dispatch.unwrap_or(Dispatch::Barrier);
    let is_chosen = request.choice.name.is_some() || !request.choice.command.is_empty();
    if !is_chosen {
        request.choice.name = Some(EXTERNAL.to_owned());
    }
    for (file, option) in [
        (&args.options.report.junit, "--junit"),
        (&args.options.report.markdown, "--markdown"),
    ] {
        if file.is_some()
            && args
                .typed
                .contains(&option.trim_start_matches('-').to_owned())
        {
            return Err(CliError::NoReportYet(option));
        }
    }
    let preflight = run::prepare(&request)?;
    if args.options.dry_run {
        return super::run::dry_run(&preflight, context).map(Err);
    }
    if preflight.selected.is_empty() {
        return Ok(Err(nothing_to_do(&preflight, context)?));
    }
    let lock = RepoLock::take(&preflight.repo, None).map_err(RunError::from)?;
    let folder = args.options.home.create_run(context)?;
    announce(&preflight, folder.id(), &context.terminal);
    Ok(Ok(PlanRun::begin(preflight, folder, lock)?))
}

fn show(plan_run: &PlanRun, handed: &NextWaves, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let id = plan_run.id();
    let folder = plan_run.folder().path();
    if handed.is_done {
        print_report(Report::of(plan_run.state()).as_ref(), terminal)?;
        let finished = plan_run.state().finished.as_ref();
        return Ok(finished.map_or(0, |finished| finished.exit_code));
    }
    if terminal.json {
        let waves: Vec<_> = handed
            .waves
            .iter()
            .map(|wave| {
                json!({
                    "wave": wave.wave, "round": wave.round, "rows": wave.rows,
                    "csv_path": folder.join(&wave.csv_path),
                    "call_path": folder.join(&wave.call_path),
                    "output_csv_path": output_of(folder, &wave.csv_path),
                    "max_concurrency": wave.max_concurrency,
                })
            })
            .collect();
        let object = json!({
            "mesh_run_id": id, "waves": waves, "snapshot": handed.snapshot,
            "to_integrate": handed.to_integrate,
        });
        terminal.data(&object.to_string())?;
        return Ok(0);
    }
    for wave in &handed.waves {
        terminal.data(&format!(
            "wave {} {}: {}",
            wave.wave,
            wave.round,
            rows(wave.rows.len() as u64)
        ))?;
        for (name, path) in [
            ("rows", folder.join(&wave.csv_path)),
            ("call", folder.join(&wave.call_path)),
            ("answers", output_of(folder, &wave.csv_path)),
        ] {
            terminal.data(&format!("  {name:<8} {}", path.display()))?;
        }
    }
    match &handed.snapshot {
        Some(snapshot) if !handed.waves.is_empty() => {
            let word = |path: &Path| shell_word(&path.to_string_lossy());
            let work = |wave: &WaveCompiled| {
                format!(
                    "\n  mesh -C {} spawn --call {} -- my-agent",
                    word(snapshot),
                    word(&folder.join(&wave.call_path))
                )
            };
            let commands: String = handed.waves.iter().map(work).collect();
            let (them, all) = match handed.waves.len() {
                1 => ("it", ""),
                _ => ("them", ", which collects every wave that has answers"),
            };
            terminal.advise(&format!(
                "\nWorkers may read the copy of the repository in {}. Run {them}, for example, with{commands}\nand then: mesh collect {id}{all}",
                snapshot.display(),
            ));
        }
        _ => terminal.advise(&format!("no rows to run; next: mesh integrate {id}")),
    }
    if !handed.to_integrate.is_empty() && !handed.waves.is_empty() {
        let units: Vec<String> = handed
            .to_integrate
            .iter()
            .map(ToString::to_string)
            .collect();
        terminal.advise(&format!(
            "accepted: {}; apply with mesh integrate {id}",
            units.join(", ")
        ));
    }
    Ok(0)
}

fn output_of(folder: &Path, csv_path: &Path) -> std::path::PathBuf {
    folder.join(csv_path).with_extension("out.csv")
}

/// Takes answers in and judges them.
pub fn collect(args: &CollectArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut plan_run = PlanRun::resume(args.run.find(context)?, BudgetOverrides::default())?;
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let answers = args.answers.as_ref().map(|path| context.folder.join(path));
    let request = Collect {
        wave: args.wave.map(WaveNo),
        answers: answers.as_deref(),
        gives_up: args.give_up,
    };
    let collected = plan_run.collect(request, &mut display, &stop)?;
    drop(display);
    let shown = match terminal.json {
        true => {
            let object = collected_json(plan_run.id(), &collected).to_string();
            terminal.data(&object).map_err(CliError::from)
        }
        false => show_collected(plan_run.id(), &collected, terminal),
    };
    let id = plan_run.id();
    said(
        shown,
        format!("the answers are collected; continue with mesh wave next --run {id}"),
    )?;
    let is_whole = |wave: &CollectedWave| wave.missing.is_empty() && wave.refused.is_empty();
    let is_good = collected.refused_files.is_empty() && collected.waves.iter().all(is_whole);
    Ok(u8::from(!is_good))
}

fn collected_json(id: &RunId, collected: &Collected) -> Value {
    let row = |(row, code): &(RowId, String)| json!({"id": row, "code": code});
    let wave = |wave: &CollectedWave| {
        let refused: Vec<_> = wave.refused.iter().map(row).collect();
        json!({
            "wave": wave.wave, "taken": wave.taken, "missing": wave.missing, "refused": refused,
        })
    };
    let waiting = |waiting: &WaitingWave| {
        json!({
            "wave": waiting.wave, "rows": waiting.rows, "output_csv_path": waiting.output_csv_path,
        })
    };
    let waves = &collected.waves;
    let files = collected.refused_files.iter();
    let only = Some(waves).filter(|waves| waves.len() == 1);
    json!({
        "mesh_run_id": id,
        "wave": only.map(|waves| waves[0].wave),
        "taken": waves.iter().map(|wave| wave.taken).sum::<usize>(),
        "missing": waves.iter().flat_map(|wave| &wave.missing).collect::<Vec<_>>(),
        "refused": waves.iter().flat_map(|wave| &wave.refused).map(row).collect::<Vec<_>>(),
        "waves": waves.iter().map(wave).collect::<Vec<_>>(),
        "waiting": collected.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "refused_files": files.map(|file| json!({"path": file.path, "why": file.why})).collect::<Vec<_>>(),
        "unknown_files": collected.strays,
    })
}

fn show_collected(id: &RunId, collected: &Collected, terminal: &Terminal) -> Result<(), CliError> {
    for wave in &collected.waves {
        let taken = counted(wave.taken as u64, "answer");
        terminal.data(&format!("wave {}: {taken} collected", wave.wave))?;
        for row in &wave.missing {
            terminal.data(&format!("  {} has no answer yet", one_line(row.as_str())))?;
        }
        for (row, code) in &wave.refused {
            terminal.data(&format!("  {} refused: {code}", one_line(row.as_str())))?;
        }
    }
    for waiting in &collected.waiting {
        let path = waiting.output_csv_path.display();
        terminal.data(&format!("wave {}: no new answers in {path}", waiting.wave))?;
    }
    for file in &collected.refused_files {
        let path = file.path.display();
        terminal.warn(&format!("answers `{path}` refused: {}", file.why));
    }
    if !collected.strays.is_empty() {
        let names = collected.strays.iter();
        let names: Vec<String> = names
            .map(|path| one_line(&path.to_string_lossy()))
            .collect();
        terminal.warn(&format!(
            "ignored files that belong to no row of the run: {}",
            names.join(", ")
        ));
    }
    let partly = collected
        .waves
        .iter()
        .filter(|wave| !wave.missing.is_empty());
    let open: Vec<WaveNo> = partly
        .map(|wave| wave.wave)
        .chain(collected.waiting.iter().map(|waiting| waiting.wave))
        .collect();
    if open.is_empty() {
        terminal.advise(&format!("next: mesh wave next --run {id}"));
        return Ok(());
    }
    terminal.advise(&format!(
        "add the missing answers and collect again, or judge them as no_response:{}",
        give_up_commands(id, &open)
    ));
    Ok(())
}

fn give_up_commands(id: &RunId, waves: &[WaveNo]) -> String {
    let command = |wave: &WaveNo| format!("\n  mesh collect {id} --wave {} --give-up", wave.0);
    waves.iter().map(command).collect()
}

/// Applies, validates and persists.
pub fn integrate(args: &OneRun, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut plan_run = PlanRun::resume(args.find(context)?, BudgetOverrides::default())?;
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let ended = plan_run.integrate_ready(&mut display, &stop)?;
    drop(display);
    let id = plan_run.id();
    let kept = format!("integrated patches are kept; mesh runs show {id} prints the report");
    said(show_integrated(&plan_run, ended, terminal), kept)
}

fn show_integrated(plan_run: &PlanRun, ended: usize, terminal: &Terminal) -> Result<u8, CliError> {
    if let Some(finished) = plan_run.state().finished.as_ref() {
        print_report(Report::of(plan_run.state()).as_ref(), terminal)?;
        return Ok(finished.exit_code);
    }
    let id = plan_run.id();
    if terminal.json {
        terminal.data(&json!({"mesh_run_id": id, "ended": ended}).to_string())?;
    } else {
        terminal.data(&format!("{} ended", counted(ended as u64, "task")))?;
        terminal.advise(&format!("next: mesh wave next --run {id}"));
    }
    Ok(0)
}
