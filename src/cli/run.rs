//! `mesh run`; `mesh invoke` ends here as well.

use super::args::{BudgetArgs, Context, IntegrateArgs, RunOptions, WorkerArgs};
use super::error::{CliError, code_of_done};
use super::progress::{Display, rows};
use super::stop;
use super::terminal::{NotPrinted, Terminal, Tone};
use crate::adapter::{Choice, EXTERNAL};
use crate::clock;
use crate::inspect::Report;
use crate::integrate::{RepoLock, VALIDATION_ALLOW};
use crate::job::{Bounds, Ending, RATE_LIMIT_WAIT_MAX_SECONDS};
use crate::model::{RunId, one_line};
use crate::patch;
use crate::plan::SwarmOverrides;
use crate::run::{self, Integrating, PlanRun, Preflight, Request, RunError, RunFolder};
use crate::schedule::Dispatch;
use std::path::Path;

/// Preflight, run, report.
pub fn execute(args: &RunOptions, context: &Context) -> Result<u8, CliError> {
    check_outputs(args, context)?;
    let preflight = run::prepare(&request(args, context))?;
    for skipped in &preflight.skipped {
        context
            .terminal
            .warn(&format!("{}; it is left for later", skipped.why));
    }
    let home = args.place.home(context)?;
    if args.dry_run {
        return dry_run(&preflight, context);
    }
    if preflight.selected.is_empty() {
        return nothing_to_do(&preflight, context);
    }
    let lock = RepoLock::take(&preflight.repo, None).map_err(RunError::from)?;
    let folder = RunFolder::create(&home, args.place.wanted().as_ref())?;
    announce(&preflight, folder.id(), &context.terminal);
    let artifacts = format!("artifacts: {}", folder.path().display());
    context.terminal.detail(&artifacts);
    let run_folder = folder.path().to_owned();
    let (code, report) = drive(PlanRun::begin(preflight, folder, lock)?, &context.terminal)?;
    let written = report.map_or(Ok(()), |report| {
        super::runs::write_files(&report, &run_folder, &args.report, context)
    });
    Ok(code_of_done(written, code, &context.terminal))
}

/// Whether the report and the recorded answers can be written where they are wanted, before anything starts.
pub fn check_outputs(args: &RunOptions, context: &Context) -> Result<(), CliError> {
    let at = |path: &Path| context.folder.join(path);
    let mut in_use = super::spawn::in_use_by_all(context);
    if let Some(plan) = &args.plan_file {
        in_use.file("is the plan", at(plan));
    }
    in_use.file("is the protocol", at(Path::new(&args.protocol)));
    if let Some(answers) = &args.worker.answers {
        in_use.folder("lies in the folder of answers", at(answers));
    }
    in_use.command(
        args.worker.command.iter().map(String::as_str),
        &context.folder,
    );
    if let Some(folder) = &args.worker.record {
        in_use.check_folder(&at(folder), "--record")?;
    }
    super::runs::check_files(&args.report, in_use, context)
}

/// Drives a run to its end and prints the report; also for `resume` and `demo`.
pub fn drive(mut plan_run: PlanRun, terminal: &Terminal) -> Result<(u8, Option<Report>), CliError> {
    if let Some(note) = plan_run.lock_note() {
        terminal.warn(note);
    }
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let end = plan_run.drive(&mut display, &stop);
    drop(display);
    let end = match end {
        Ok(end) => end,
        Err(error) => {
            terminal.advise(&format!(
                "the run is resumable: {}",
                run::resume_command(plan_run.id())
            ));
            return Err(CliError::UnderWay(error));
        }
    };
    let report = Report::of(plan_run.state());
    let printed = print_report(report.as_ref(), terminal).map_err(|error| CliError::Unsaid {
        kept: format!("mesh runs show {} prints the report", plan_run.id()),
        source: error.0,
    });
    if let (Ending::Shut(_) | Ending::Unanswered(_), Some(why)) = (&end, end.job_error()) {
        terminal.warn(&one_line(&why));
    }
    match plan_run.awaits_answers() {
        true => say_what_is_awaited(plan_run.id(), terminal),
        false => say_how_to_go_on(plan_run.id(), &end, terminal),
    }
    let code = plan_run
        .state()
        .finished
        .as_ref()
        .map_or(70, |finished| finished.exit_code);
    Ok((code_of_done(printed, code, terminal), report))
}

/// Gives up what a run could not restore.
pub fn abandon(mut plan_run: PlanRun, terminal: &Terminal) -> Result<u8, CliError> {
    let stop = stop::asked_for(plan_run.folder())?;
    let mut display = Display::for_run(terminal);
    let count = plan_run.abandon(&mut display, &stop);
    drop(display);
    if count? == 0 {
        terminal.talk("no integration of this run is open; nothing was changed");
        return Ok(0);
    }
    terminal.advise(&format!(
        "{} {}",
        terminal.err_tone(Tone::Note, "go on with:"),
        run::resume_command(plan_run.id())
    ));
    Ok(1)
}

/// Prints the report of a plan run.
pub fn print_report(report: Option<&Report>, terminal: &Terminal) -> Result<(), NotPrinted> {
    match report {
        None => Ok(()),
        Some(report) if terminal.json => {
            terminal.data(&serde_json::to_string(report).unwrap_or_default())
        }
        Some(report) => terminal.data(&format!("\n{}", terminal.painted(&report.text()))),
    }
}

/// What is to be done about a run that ended early, and when.
pub fn say_how_to_go_on(run_id: &RunId, end: &Ending, terminal: &Terminal) {
    if *end == Ending::Finished {
        return;
    }
    if let Some(advice) = end.advice() {
        terminal.talk(&format!(
            "{} {advice}",
            terminal.err_tone(Tone::Note, "hint:")
        ));
    }
    let label = match end.goes_on_at() {
        Some(time) => format!(
            "go on at {} with:",
            clock::time_of_day(time, &clock::here())
        ),
        None => "go on with:".to_owned(),
    };
    let command = go_on_command(run_id, end);
    terminal.advise(&format!(
        "{} {command}",
        terminal.err_tone(Tone::Note, &label)
    ));
}

/// The same for a run that stopped where answers from outside are awaited.
fn say_what_is_awaited(run_id: &RunId, terminal: &Terminal) {
    let label = terminal.err_tone(Tone::Note, "how to work the rows:");
    terminal.advise(&format!("{label} mesh wave next --run {run_id}"));
    let label = terminal.err_tone(Tone::Note, "when their answers are there:");
    terminal.advise(&format!(
        "{label} mesh collect {run_id} && {}",
        run::resume_command(run_id)
    ));
}

/// The command that goes on with a run that ended so.
fn go_on_command(run_id: &RunId, end: &Ending) -> String {
    let command = run::resume_command(run_id);
    match end.to_raise() {
        Some(option) => format!("{command} {option} MORE"),
        None => command,
    }
}

pub fn request(args: &RunOptions, context: &Context) -> Request {
    Request {
        folder: context.folder.clone(),
        plan_file: args.plan_file.clone(),
        ids: args.ids.clone(),
        max_tasks: args.max_tasks,
        parallel_tasks: args.parallel_tasks,
        dispatch: args.dispatch.unwrap_or(default_dispatch(&args.worker)),
        deps: args.deps,
        shared_paths: args.shared_paths.clone(),
        protocol: args.protocol.clone(),
        protocols: context.config.protocols.clone(),
        swarm: SwarmOverrides {
            roles: args.swarm_roles,
            consensus_threshold: args.consensus_threshold,
            consensus_retries: args.consensus_retries,
        },
        validation_allow: match args.validation_allow.as_slice() {
            [] => VALIDATION_ALLOW.map(str::to_owned).to_vec(),
            given => given.to_vec(),
        },
        trust_proposed_validation: args.trust_proposed_validation,
        strict: args.strict,
        choice: choice(&args.worker),
        adapters: context.config.adapters.clone(),
        bounds: bounds(&args.worker, &args.budget),
        budget: args.budget.budget(),
        max_wall_seconds: args.budget.max_wall_seconds,
        wall_hard: args.budget.wall_hard,
        task_budget: args.task_budget.budget(),
        remaining: remaining(&args.worker),
        patch: patch::Limits {
            bytes_max: args.patch_bytes_max,
            allow_binary: args.allow_binary,
        },
        validation_timeout_seconds: args.validation_timeout_seconds,
        integrating: integrating(&args.integrate),
        record: args.worker.record.clone(),
        overrides: context.overrides.clone(),
    }
}

/// Who works waves by hand gets one for all tasks in the same round.
fn default_dispatch(args: &WorkerArgs) -> Dispatch {
    match args.adapter.as_deref() {
        Some(EXTERNAL) => Dispatch::Barrier,
        _ => Dispatch::Rolling,
    }
}

fn integrating(args: &IntegrateArgs) -> Integrating {
    Integrating {
        prevalidate: args.prevalidate,
        isolation: args.isolation,
        delivery: args.delivery,
        protected_branches: args.protected_branches.clone(),
        allow_protected: args.allow_protected,
        no_verify: args.no_verify,
        no_learnings: args.no_learnings,
    }
}

/// How much at once, how long, how often.
pub fn bounds(args: &WorkerArgs, budget: &BudgetArgs) -> Bounds {
    Bounds {
        max_concurrency: usize::try_from(args.max_concurrency).unwrap_or(usize::MAX),
        max_runtime_seconds: args.max_runtime_seconds,
        retries: args.retries,
        grace_seconds: args.grace_seconds,
        max_idle_seconds: args.max_idle_seconds,
        retry_delay: args.retry_delay,
        rate_limit_wait_max_seconds: budget
            .rate_limit_wait_max
            .unwrap_or(RATE_LIMIT_WAIT_MAX_SECONDS),
    }
}

/// What is left of the budget with the agent's service.
pub fn remaining(args: &WorkerArgs) -> [Option<f64>; 2] {
    let percent = |left: Option<u8>| left.map(f64::from);
    [
        percent(args.remaining_five_hour),
        percent(args.remaining_weekly),
    ]
}

/// Who works the rows.
pub fn choice(args: &WorkerArgs) -> Choice {
    Choice {
        name: args.adapter.clone(),
        command: args.command.clone(),
        answers: args.answers.clone(),
        env_names: args.env_names.clone(),
        model: args.model.clone(),
        effort: args.effort.clone(),
    }
}

/// The one line before any worker, and what differs from what was asked for.
pub fn announce(preflight: &Preflight, run_id: &RunId, terminal: &Terminal) {
    terminal.talk(&preflight.line(run_id));
    for note in &preflight.notes {
        terminal.warn(note);
    }
}

pub fn nothing_to_do(preflight: &Preflight, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    terminal.talk(&preflight.line(&clock::run_id(clock::now())));
    let counts = preflight.counts();
    let hint = preflight.way_on(&context.folder);
    let json_hint = hint.as_ref().map(|hint| terminal.pasteable(hint));
    if terminal.json {
        let detail = format!("no runnable tasks: {counts}");
        let object = serde_json::json!({"status": "completed", "tasks": [], "detail": detail, "hint": json_hint});
        terminal.data(&object.to_string())?;
    } else {
        terminal.data(&format!("No runnable tasks: {counts}"))?;
        if let Some(hint) = &hint {
            let label = terminal.err_tone(Tone::Note, "hint:");
            terminal.advise(&format!("{label} {hint}"));
        }
    }
    Ok(0)
}

pub fn dry_run(preflight: &Preflight, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let run_id = clock::run_id(clock::now());
    if preflight.selected.is_empty() {
        return nothing_to_do(preflight, context);
    }
    announce(preflight, &run_id, terminal);
    let blocked = run::hopeless(preflight)?;
    for (unit, why) in &blocked {
        terminal.warn(&format!("{unit}: would be blocked ({why})"));
    }
    let Some(wave) = run::preview(preflight, &run_id)? else {
        if terminal.json {
            let object = serde_json::json!({"call": null, "rows": []});
            terminal.data(&object.to_string())?;
        }
        terminal.talk("\nDry run: nothing was started, and no row would be.");
        return Ok(0);
    };
    if terminal.json {
        let rows: Vec<_> = wave
            .rows
            .iter()
            .map(|row| serde_json::json!({"id": row.key.id(), "lane": row.lane.as_str(), "prompt": row.prompt}))
            .collect();
        let object = serde_json::json!({"call": wave.call, "rows": rows});
        terminal.data(&object.to_string())?;
        return Ok(0);
    }
    terminal.data(&format!(
        "First wave: {} ({})",
        wave.head.stem(),
        rows(wave.rows.len() as u64)
    ))?;
    for row in &wave.rows {
        let line = format!(
            "\n{} [{}]\n\n{}",
            row.key.id(),
            row.lane.as_str(),
            row.prompt.trim_end()
        );
        terminal.data(&line)?;
    }
    terminal.talk("\nDry run: nothing was started.");
    Ok(0)
}
