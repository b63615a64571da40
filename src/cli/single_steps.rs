//! `mesh wave next`, `mesh collect` and `mesh integrate`: a run that is driven one command at a time.

use super::args::{CollectArgs, IntegrateRunArgs, NextArgs, OneRun};
use super::context::Context;
use super::error::{CliError, or_kept};
use super::kept_patches;
use super::plan_run::print_report;
use super::progress::{Display, rows};
use super::run::{announce, nothing_to_do, request};
use super::stop;
use super::terminal::Terminal;
use super::typed_options;
use crate::adapter::EXTERNAL;
use crate::integrate::RepoLock;
use crate::job::JobStatus;
use crate::model::{RowId, RunId, WaveCompiled, WaveNo, counted, one_line, shell_word};
use crate::report::Report;
use crate::run;
use crate::run::{Collect, Collected, CollectedWave, NextWaves, PlanRun, RunError, WaitingWave};
use crate::schedule::Dispatch;
use serde_json::{Value, json};
use std::path::Path;

/// Starts or continues a run, and prints the waves to run.
pub fn next(args: &NextArgs, context: &Context) -> Result<u8, CliError> {
    let mut plan_run = match &args.run {
        Some(run) => {
            refuse_settings(args, run)?;
            let run = OneRun {
                run: run.clone(),
                home: args.options.home.clone(),
            };
            PlanRun::resume_to_step(run.find(context)?)?
        }
        None => match start(args, context)? {
            Ok(plan_run) => plan_run,
            Err(code) => return Ok(code),
        },
    };
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(&context.terminal);
    let next = plan_run.next_waves(&mut display, &stop)?;
    drop(display);
    let id = plan_run.id();
    if next.is_stopped {
        context.terminal.advise(&format!(
            "stopped before all waves were compiled; to go on: mesh wave next --run {id}"
        ));
        return Ok(JobStatus::of(&stop).exit_code().unwrap_or(4));
    }
    or_kept(show(&plan_run, &next, context), || match next.is_done {
        true => format!("mesh runs show {id} prints the report"),
        false => format!("mesh wave next --run {id} shows the waves again"),
    })
}

/// Refuses settings for a run that has started: it keeps its own.
fn refuse_settings(args: &NextArgs, run: &str) -> Result<(), CliError> {
    let is_setting = |id: &str| !["run", "artifacts"].contains(&id);
    let options = typed_options::names("wave next", &args.typed, is_setting);
    match options.is_empty() {
        true => Ok(()),
        false => Err(CliError::FixedSettings {
            options,
            run: RunId::new(run),
        }),
    }
}

/// A new run, or the exit code if there is nothing to start.
fn start(args: &NextArgs, context: &Context) -> Result<Result<PlanRun, u8>, CliError> {
    let mut request = request(&args.options, context)?;
    // One wave for all tasks in the same round: whoever runs waves by hand then has one call per round, not one per task.
    request.options.dispatch = args.options.dispatch.unwrap_or(Dispatch::Barrier);
    if request.choice.name.is_none() && request.choice.command.is_empty() {
        request.choice.name = Some(EXTERNAL.to_owned());
    }
    for (id, option) in [
        ("junit", "--junit"),
        ("markdown", "--markdown"),
        ("xlsx", "--xlsx"),
    ] {
        if args.typed.iter().any(|typed| typed == id) {
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
    let unstarted = folder.remove_unless_begun();
    announce(&preflight, folder.id(), &context.terminal);
    let plan_run = PlanRun::begin(preflight, folder, lock)?;
    unstarted.begun();
    Ok(Ok(plan_run))
}

fn show(plan_run: &PlanRun, next: &NextWaves, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let id = plan_run.id();
    let folder = plan_run.folder().path();
    if next.is_done {
        print_report(Report::of(plan_run.state()).as_ref(), terminal)?;
        let finished = plan_run.state().finished.as_ref();
        return Ok(finished.map_or(0, |finished| finished.exit_code));
    }
    if terminal.json {
        let wave = |wave: &WaveCompiled| {
            json!({
                "wave": wave.wave, "round": wave.round, "rows": wave.rows,
                "csv_path": folder.join(&wave.csv_path),
                "call_path": folder.join(&wave.call_path),
                "output_csv_path": output_of(folder, &wave.csv_path),
                "max_concurrency": wave.max_concurrency,
            })
        };
        let waves: Vec<_> = next.waves.iter().map(wave).collect();
        let object = json!({
            "mesh_run_id": id, "waves": waves, "snapshot": next.snapshot,
            "to_integrate": next.to_integrate,
        });
        terminal.data(&object.to_string())?;
        return Ok(0);
    }
    for wave in &next.waves {
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
    match &next.snapshot {
        Some(snapshot) if !next.waves.is_empty() => {
            let word = |path: &Path| shell_word(&path.to_string_lossy());
            let command = |wave: &WaveCompiled| {
                format!(
                    "\n  mesh -C {} spawn --call {} -- my-agent",
                    word(snapshot),
                    word(&folder.join(&wave.call_path))
                )
            };
            let commands: String = next.waves.iter().map(command).collect();
            let (them, all) = match next.waves.len() {
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
    if !next.to_integrate.is_empty() && !next.waves.is_empty() {
        let units = next.to_integrate.iter().map(ToString::to_string);
        let units = units.collect::<Vec<_>>().join(", ");
        terminal.advise(&format!(
            "accepted: {units}; apply with mesh integrate {id}"
        ));
    }
    Ok(0)
}

fn output_of(folder: &Path, csv_path: &Path) -> std::path::PathBuf {
    folder.join(csv_path).with_extension("out.csv")
}

/// Collects answers and judges them.
pub fn collect(args: &CollectArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut plan_run = PlanRun::resume_to_step(args.run.find(context)?)?;
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let answers = args.answers.as_ref().map(|path| context.folder.join(path));
    let request = Collect {
        wave: args.wave.map(WaveNo),
        answers: answers.as_deref(),
        give_up: args.give_up,
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
    or_kept(shown, || {
        format!("the answers are collected; continue with mesh wave next --run {id}")
    })?;
    let is_whole = |wave: &CollectedWave| wave.missing.is_empty() && wave.refused.is_empty();
    let is_good = collected.refused_files.is_empty() && collected.waves.iter().all(is_whole);
    Ok(u8::from(!is_good))
}

fn collected_json(id: &RunId, collected: &Collected) -> Value {
    let row = |(row, code): &(RowId, String)| json!({"id": row, "code": code});
    let wave = |wave: &CollectedWave| {
        let refused: Vec<_> = wave.refused.iter().map(row).collect();
        json!({
            "wave": wave.wave, "taken": wave.imported, "missing": wave.missing, "refused": refused,
        })
    };
    let waiting = |waiting: &WaitingWave| {
        json!({
            "wave": waiting.wave, "rows": waiting.rows, "output_csv_path": waiting.output_csv_path,
        })
    };
    let waves = &collected.waves;
    let files = collected.refused_files.iter();
    let copies = collected.copies.iter();
    let only = Some(waves).filter(|waves| waves.len() == 1);
    json!({
        "mesh_run_id": id,
        "wave": only.map(|waves| waves[0].wave),
        "taken": waves.iter().map(|wave| wave.imported).sum::<usize>(),
        "missing": waves.iter().flat_map(|wave| &wave.missing).collect::<Vec<_>>(),
        "refused": waves.iter().flat_map(|wave| &wave.refused).map(row).collect::<Vec<_>>(),
        "waves": waves.iter().map(wave).collect::<Vec<_>>(),
        "waiting": collected.waiting.iter().map(waiting).collect::<Vec<_>>(),
        "refused_files": files.map(|file| json!({"path": file.path, "why": file.why})).collect::<Vec<_>>(),
        "ignored_copies": copies.map(|copy| json!({"path": copy.path, "taken": copy.taken})).collect::<Vec<_>>(),
        "unknown_files": collected.unknown_files,
    })
}

fn show_collected(id: &RunId, collected: &Collected, terminal: &Terminal) -> Result<(), CliError> {
    for wave in &collected.waves {
        let taken = counted(wave.imported as u64, "answer");
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
    for copy in &collected.copies {
        let (path, taken) = (copy.path.display(), copy.taken.display());
        terminal.warn(&format!("ignored `{path}`: `{taken}` has the same slice"));
    }
    if !collected.unknown_files.is_empty() {
        let names = collected.unknown_files.iter();
        let names: Vec<String> = names
            .map(|path| one_line(&path.to_string_lossy()))
            .collect();
        terminal.warn(&format!(
            "ignored files that belong to no row of the run: {}",
            names.join(", ")
        ));
    }
    let partial = collected.waves.iter();
    let partial = partial.filter(|wave| !wave.missing.is_empty());
    let waiting = collected.waiting.iter().map(|waiting| waiting.wave);
    let open: Vec<WaveNo> = partial.map(|wave| wave.wave).chain(waiting).collect();
    if open.is_empty() {
        terminal.advise(&format!("next: mesh wave next --run {id}"));
        return Ok(());
    }
    let command = |wave: &WaveNo| format!("\n  mesh collect {id} --wave {} --give-up", wave.0);
    let commands: String = open.iter().map(command).collect();
    terminal.advise(&format!(
        "add the missing answers and collect again, or judge them as no_response:{commands}"
    ));
    Ok(())
}

/// Applies, validates and records the accepted patches.
pub fn integrate(args: &IntegrateRunArgs, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let mut plan_run = PlanRun::resume_to_step(args.run.find(context)?)?;
    if plan_run.keeps_patches() {
        return kept_patches::integrate(plan_run, &args.tasks, terminal);
    }
    if !args.tasks.is_empty() {
        return Err(CliError::NoKeptPatches(plan_run.id().clone()));
    }
    let stop = stop::watch(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let ended = plan_run.integrate_ready(&mut display, &stop)?;
    drop(display);
    let id = plan_run.id();
    or_kept(show_integrated(&plan_run, ended, terminal), || {
        format!("integrated patches are kept; mesh runs show {id} prints the report")
    })
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
