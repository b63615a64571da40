//! `mesh wave next`, `mesh collect` and `mesh integrate`: a run, one command at a time.

use super::args::{CollectArgs, Context, NextArgs, OneRun};
use super::error::CliError;
use super::progress::{Display, rows};
use super::run::{announce, nothing_to_do, print_report, request};
use super::{resume, stop};
use crate::adapter::EXTERNAL;
use crate::integrate::RepoLock;
use crate::model::{WaveNo, one_line, shell_word};
use crate::run::{self, HandedOut, PlanRun, Raised, RunError, RunFolder};
use serde_json::json;
use std::path::Path;

/// Begins a run or goes on with one, and says which waves are to be worked.
pub fn next(args: &NextArgs, context: &Context) -> Result<u8, CliError> {
    let mut plan_run = match &args.run {
        Some(run) => {
            let run = OneRun {
                run: run.clone(),
                place: args.options.place.clone(),
            };
            PlanRun::resume(resume::find(&run, context)?, Raised::default())?
        }
        None => match begin(args, context)? {
            Ok(plan_run) => plan_run,
            Err(code) => return Ok(code),
        },
    };
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(&context.terminal);
    let handed = plan_run.hand_out(&mut display, &stop)?;
    drop(display);
    show(&plan_run, &handed, context)
}

/// A new run, or the exit code where none is to begin.
fn begin(args: &NextArgs, context: &Context) -> Result<Result<PlanRun, u8>, CliError> {
    let mut request = request(&args.options, context);
    let is_chosen = request.choice.name.is_some() || !request.choice.command.is_empty();
    if !is_chosen {
        request.choice.name = Some(EXTERNAL.to_owned());
    }
    let preflight = run::prepare(&request)?;
    if preflight.selected.is_empty() {
        return Ok(Err(nothing_to_do(&preflight, context)?));
    }
    let home = args.options.place.home(context)?;
    let lock = RepoLock::take(&preflight.repo, None).map_err(RunError::from)?;
    let folder = RunFolder::create(&home, args.options.place.wanted().as_ref())?;
    announce(&preflight, folder.id(), &context.terminal);
    Ok(Ok(PlanRun::begin(preflight, folder, lock)?))
}

fn show(plan_run: &PlanRun, handed: &HandedOut, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let id = plan_run.id();
    let folder = plan_run.folder().path();
    if handed.is_done {
        print_report(plan_run.state(), terminal)?;
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
    match (&handed.snapshot, handed.waves.first()) {
        (Some(snapshot), Some(wave)) => {
            let word = |path: &Path| shell_word(&path.to_string_lossy());
            terminal.talk(&format!(
                "\nWorkers may read the repository's copy in {}. Work it, for example, with\n  mesh -C {} spawn --call {} -- my-agent\nand then: mesh collect {id}",
                snapshot.display(),
                word(snapshot),
                word(&folder.join(&wave.call_path)),
            ));
        }
        _ => terminal.talk(&format!("no rows to work; next: mesh integrate {id}")),
    }
    if !handed.to_integrate.is_empty() && !handed.waves.is_empty() {
        let units: Vec<String> = handed
            .to_integrate
            .iter()
            .map(ToString::to_string)
            .collect();
        terminal.talk(&format!(
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
    let mut plan_run = PlanRun::resume(resume::find(&args.run, context)?, Raised::default())?;
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let answers = args.answers.as_ref().map(|path| context.folder.join(path));
    let collected = plan_run.collect(
        args.wave.map(WaveNo),
        answers.as_deref(),
        args.give_up,
        &mut display,
        &stop,
    )?;
    drop(display);
    let id = plan_run.id();
    let is_good = collected.missing.is_empty() && collected.refused.is_empty();
    if terminal.json {
        let refused: Vec<_> = collected
            .refused
            .iter()
            .map(|(row, code)| json!({"id": row, "code": code}))
            .collect();
        let object = json!({
            "mesh_run_id": id, "wave": collected.wave, "taken": collected.taken,
            "missing": collected.missing, "refused": refused,
        });
        terminal.data(&object.to_string())?;
        return Ok(u8::from(!is_good));
    }
    let taken = rows(collected.taken as u64);
    terminal.data(&format!(
        "wave {}: answers of {taken} taken",
        collected.wave
    ))?;
    for row in &collected.missing {
        terminal.data(&format!("  {} has none yet", one_line(row.as_str())))?;
    }
    for (row, code) in &collected.refused {
        terminal.data(&format!("  {} refused: {code}", one_line(row.as_str())))?;
    }
    terminal.talk(&match collected.missing.len() {
        0 => format!("next: mesh wave next --run {id}"),
        _ => format!(
            "the wave stays open; bring the rest, or give up on it: mesh collect {id} --give-up"
        ),
    });
    Ok(u8::from(!is_good))
}

/// Applies, validates and persists.
pub fn integrate(args: &OneRun, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut plan_run = PlanRun::resume(resume::find(args, context)?, Raised::default())?;
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let ended = plan_run.integrate_ready(&mut display, &stop)?;
    drop(display);
    if let Some(finished) = plan_run.state().finished.as_ref() {
        print_report(plan_run.state(), terminal)?;
        return Ok(finished.exit_code);
    }
    let id = plan_run.id();
    if terminal.json {
        terminal.data(&json!({"mesh_run_id": id, "ended": ended}).to_string())?;
    } else {
        let tasks = if ended == 1 { "task" } else { "tasks" };
        terminal.data(&format!("{ended} {tasks} ended"))?;
        terminal.talk(&format!("next: mesh wave next --run {id}"));
    }
    Ok(0)
}
