//! `mesh run`; `mesh invoke` ends here as well.

use super::args::{RunExtras, RunOptions, RunOutput};
use super::context::Context;
use super::error::CliError;
use super::follow;
use super::live_page::LivePage;
use super::patch_output;
use super::plan_run::{drive_and_report, notices};
use super::progress::rows;
use super::terminal::Terminal;
use crate::adapter::EXTERNAL;
use crate::integrate::{RepoLock, VALIDATION_ALLOW};
use crate::job::check_depth;
use crate::model::{RunId, one_line};
use crate::platform::clock;
use crate::run::{PlanOptions, PlanRun, Preflight, Request, RoleSources, RunError};
use crate::schedule::{Dispatch, TaskLimit};
use crate::{patch, run};
use std::path::Path;

/// The wall-clock budget of `max_tasks=auto` when none is given: 45 minutes.
const AUTO_WALL_SECONDS: u64 = 45 * 60;

/// What a script reads when no worker was started; the reason follows.
const DID_NOT_RUN: &str = "delegation_did_not_run=true";

/// Checks the preflight, runs the tasks, and prints the report.
pub fn execute(args: &RunOptions, extras: &RunExtras, context: &Context) -> Result<u8, CliError> {
    match start(args, extras, context) {
        Err(CliError::Run(error)) if extras.headless.is_headless() => {
            headless_stop(error, extras.output, context)
        }
        ended => ended,
    }
}

/// Nobody reads the message of a run that could not begin, so a script gets its reason.
fn headless_stop(error: RunError, output: RunOutput, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let stop = error.headless_stop().map(|stop| stop.to_string());
    let detail = error.to_string();
    match terminal.json {
        true => {
            let object = serde_json::json!({"status": "refused", "headless_stop_reason": stop, "delegation_did_not_run": detail});
            terminal.data(&object.to_string())?;
        }
        false if output == RunOutput::Patch => {
            let stop = stop.as_ref();
            let code = stop.map(|stop| format!("mesh_headless_stop_reason={stop}: "));
            let why = format!("{}{detail}", code.unwrap_or_default());
            patch_output::print_reason(&why, terminal)?;
        }
        false => {
            if let Some(stop) = &stop {
                terminal.data(&format!("mesh_headless_stop_reason={stop}"))?;
            }
            terminal.data(&format!("{DID_NOT_RUN}: {}", one_line(&detail)))?;
        }
    }
    let error = CliError::from(error);
    match stop {
        Some(_) => {
            error.report(terminal);
            Ok(3)
        }
        None => Err(error),
    }
}

fn start(args: &RunOptions, extras: &RunExtras, context: &Context) -> Result<u8, CliError> {
    check_outputs(args, context)?;
    let mut request = request(args, context)?;
    if extras.output == RunOutput::Patch {
        patch_output::check(request.options.max_tasks, &context.terminal)?;
    }
    request.options.is_headless = extras.headless.is_headless();
    if extras.follow {
        follow::set_options(&mut request.options, args);
    }
    request.options.join = extras.join;
    let preflight = run::prepare(&request)?;
    for skipped in &preflight.skipped {
        let warning = format!("{}; it is skipped", skipped.why);
        context.terminal.warn(&warning);
    }
    if args.dry_run {
        return dry_run(&preflight, context);
    }
    check_depth()?;
    if preflight.selected.is_empty() && !extras.follow {
        return match extras.output {
            RunOutput::Report => nothing_to_do(&preflight, context),
            RunOutput::Patch => {
                let why = format!("no runnable tasks: {}", preflight.counts());
                patch_output::print_reason(&why, &context.terminal)?;
                Ok(0)
            }
        };
    }
    let lock = match extras.join {
        true => RepoLock::join(&preflight.repo),
        false => RepoLock::take(&preflight.repo, None),
    };
    let lock = lock.map_err(RunError::from)?;
    let page = LivePage::listen(extras.watch, &args.home.folder(context)?)?;
    let folder = args.home.create_run(context)?;
    let unstarted = folder.remove_unless_begun();
    announce(&preflight, folder.id(), &context.terminal);
    let artifacts = format!("artifacts: {}", folder.path().display());
    context.terminal.detail(&artifacts);
    page.show(folder.id(), &context.terminal);
    let notices = notices(&extras.notices, &folder, context)?;
    let adapter = preflight.settings.adapter.clone();
    let mut plan_run = PlanRun::begin(preflight, folder, lock)?;
    unstarted.begun();
    if extras.follow {
        plan_run.reload_with(follow::reload(&adapter, &context.folder, context)?);
    }
    drive_and_report(plan_run, extras, &args.report.files, &notices, context)
}

/// Checks, before anything starts, that the report and the recorded answers can be written.
fn check_outputs(args: &RunOptions, context: &Context) -> Result<(), CliError> {
    let at = |path: &Path| context.folder.join(path);
    let mut in_use = super::files_in_use::in_use_by_all(context);
    if let Some(plan) = &args.plan.plan_file {
        in_use.add_file("is the plan", at(plan));
    }
    in_use.add_file("is the protocol", at(Path::new(&args.plan.protocol)));
    if let Some(answers) = &args.worker.agent.answers {
        in_use.add_folder("is in the folder of answers", at(answers));
    }
    in_use.add_command(
        args.worker.agent.program.command.iter().map(String::as_str),
        &context.folder,
    )?;
    if let Some(folder) = &args.worker.record {
        in_use.check_folder(&at(folder), "--record")?;
    }
    super::report_files::check_files(&args.report.files, args.report.force, in_use, context)
}

pub fn request(args: &RunOptions, context: &Context) -> Result<Request, CliError> {
    Ok(Request {
        folder: context.folder.clone(),
        plan_file: args.plan.plan_file.clone(),
        ids: args.plan.ids.clone(),
        choice: args.worker.agent.choice(),
        roles: RoleSources {
            given: args.role.iter().cloned().collect(),
            configured: context.config.roles.clone(),
        },
        adapters: context.config.adapters.clone(),
        sandbox: args.worker.agent.sandbox.request(context),
        remaining: args.worker.remaining(),
        protected_branches: args.integrate.protected_branches.clone(),
        allow_protected: args.integrate.allow_protected,
        is_parallel_auto: args.plan.parallel_tasks.is_auto(),
        options: options(args, context)?,
    })
}

fn options(args: &RunOptions, context: &Context) -> Result<PlanOptions, CliError> {
    Ok(PlanOptions {
        max_tasks: args.max_tasks.unwrap_or(TaskLimit::Number(1)),
        // Preflight replaces `auto`.
        parallel_tasks: u32::try_from(args.plan.parallel_tasks.count()).unwrap_or(u32::MAX),
        parallel_arithmetic: None,
        is_headless: false,
        follow: false,
        // The other commands that start a run of a plan know no such option.
        join: false,
        dispatch: args.dispatch.unwrap_or(default_dispatch(args)),
        deps: args.deps,
        shared_paths: args.plan.shared_paths.clone(),
        protocol: args.plan.protocol.clone(),
        protocols: context.config.protocols.clone(),
        swarm: args.plan.overrides(),
        validation_allow: match args.validation_allow.as_slice() {
            [] => VALIDATION_ALLOW.map(str::to_owned).to_vec(),
            given => given.to_vec(),
        },
        trust_proposed_validation: args.trust_proposed_validation,
        prevalidate: args.integrate.prevalidate,
        isolation: args.integrate.isolation,
        validation_parallel: usize::try_from(args.integrate.validation_parallel)
            .unwrap_or(usize::MAX),
        strict_validation: args.integrate.strict_validation,
        integrate: args.integrate.integrate,
        comment: args.integrate.comment,
        delivery: args.integrate.delivery,
        no_verify: args.integrate.no_verify,
        no_learnings: args.integrate.no_learnings,
        strict: args.strict,
        bounds: args.worker.bounds(&args.budget),
        budget: args.budget.budget(),
        max_wall_seconds: match args.max_tasks {
            Some(TaskLimit::Auto) => args.budget.max_wall_seconds.or(Some(AUTO_WALL_SECONDS)),
            _ => args.budget.max_wall_seconds,
        },
        wall_hard: args.budget.wall_hard,
        task_budget: args.task_budget.budget(),
        patch: patch::Limits {
            bytes_max: args.integrate.patch_bytes_max,
            allow_binary: args.integrate.allow_binary,
        },
        validation_timeout_seconds: args.integrate.validation_timeout_seconds,
        executor: args.worker.executor.choice()?,
        record: args.worker.record.clone(),
        overrides: context.overrides.clone(),
    })
}

/// Whoever runs waves by hand gets one wave for all tasks in the same round.
fn default_dispatch(args: &RunOptions) -> Dispatch {
    match args.worker.agent.program.adapter.as_deref() {
        Some(EXTERNAL) => Dispatch::Barrier,
        _ => Dispatch::Rolling,
    }
}

/// Prints the preflight line, and what differs from the request.
pub fn announce(preflight: &Preflight, run_id: &RunId, terminal: &Terminal) {
    terminal.talk(&preflight.preflight_line(run_id));
    if let Some(arithmetic) = &preflight.settings.options.parallel_arithmetic {
        terminal.talk(&arithmetic.to_string());
    }
    for note in &preflight.notes {
        terminal.warn(note);
    }
}

pub fn nothing_to_do(preflight: &Preflight, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    terminal.talk(&preflight.preflight_line(&clock::run_id(clock::now())));
    let counts = preflight.counts();
    let hint = preflight.suggest_command(&context.folder);
    let is_headless = preflight.settings.options.is_headless;
    let json_hint = hint.as_ref().map(|hint| terminal.pasteable(hint));
    if terminal.json {
        let detail = format!("no runnable tasks: {counts}");
        let mut object = serde_json::json!({"status": "completed", "tasks": [], "detail": detail, "hint": json_hint});
        if is_headless {
            object["delegation_did_not_run"] = detail.into();
        }
        terminal.data(&object.to_string())?;
    } else {
        terminal.data(&format!("No runnable tasks: {counts}"))?;
        if is_headless {
            terminal.data(&format!("{DID_NOT_RUN}: no runnable tasks"))?;
        }
        if let Some(hint) = &hint {
            terminal.advise_as("hint:", hint);
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
    let blocked = run::find_blocked_tasks(preflight)?;
    for (unit, why) in &blocked {
        terminal.warn(&format!("{unit}: would be blocked ({why})"));
    }
    let Some(wave) = run::Preview::of(preflight, &run_id)? else {
        if terminal.json {
            let object = serde_json::json!({"call": null, "rows": []});
            terminal.data(&object.to_string())?;
        }
        terminal.talk("\nDry run: nothing was started, and no row would start.");
        return Ok(0);
    };
    if terminal.json {
        let mut rows = Vec::new();
        wave.for_each_row(|row| {
            rows.push(serde_json::json!({"id": row.key.id(), "lane": row.lane.as_str(), "prompt": row.prompt}));
            Ok::<(), CliError>(())
        })?;
        let object = serde_json::json!({"call": wave.call(), "rows": rows});
        terminal.data(&object.to_string())?;
        return Ok(0);
    }
    terminal.data(&format!(
        "First wave: {} ({})",
        wave.head.stem(),
        rows(wave.row_count() as u64)
    ))?;
    wave.for_each_row(|row| {
        let line = format!(
            "\n{} [{}]\n\n{}",
            row.key.id(),
            row.lane.as_str(),
            row.prompt.trim_end()
        );
        terminal.data(&line)
    })?;
    terminal.talk("\nDry run: nothing was started.");
    Ok(0)
}
