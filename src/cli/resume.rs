//! `mesh resume`: the kind of the run and its settings come from the ledger.

use super::args::{ResumeArgs, RunExtras};
use super::context::Context;
use super::error::{CliError, final_exit_code};
use super::files_in_use::in_use_by_all;
use super::plan_run::{drive_and_report, notices};
use super::report_files::{check_files, write_files};
use super::{resume_csv, step_summary};
use crate::job::check_depth;
use crate::ledger;
use crate::model::{Event, RunKind};
use crate::platform::GitError;
use crate::run::{PlanRun, RunError};

/// Resumes a run.
pub fn execute(args: &ResumeArgs, context: &Context) -> Result<u8, CliError> {
    check_depth()?;
    let folder = args.run.find(context)?;
    let started = match ledger::first(&folder.ledger())?.map(|record| record.event) {
        Some(Event::RunStarted(body)) => Some(body),
        _ => None,
    };
    match started.as_ref().map(|started| started.kind) {
        Some(RunKind::Plan) => {
            if let Some(option) = args.spawned_option() {
                return Err(CliError::NotASpawnedRun(option, folder.id().clone()));
            }
            check_files(
                &args.report,
                args.spawned.force,
                in_use_by_all(context),
                context,
            )?;
            if let Some(code) = super::undo::complete(&folder, args.abandon, &context.terminal)? {
                return Ok(code);
            }
            let mut overrides = args.overrides();
            let adapter = started.map(|started| started.settings["adapter"].clone());
            let adapter = adapter.and_then(|name| name.as_str().map(str::to_owned));
            let adapter = adapter.unwrap_or_default();
            let can = resume_csv::capabilities(&adapter, context);
            overrides.max_concurrency = overrides
                .max_concurrency
                .map(|given| given.min(can.fanout.unwrap_or(usize::MAX)));
            let kept = folder.path().join("kept");
            let opened = match args.abandon {
                true => PlanRun::open_to_abandon(folder),
                false => PlanRun::resume(folder, overrides),
            };
            let plan_run = opened.map_err(|error| match error {
                RunError::Git(source @ GitError::NoRepository { .. }) => {
                    CliError::RepositoryGone { kept, source }
                }
                other => other.into(),
            })?;
            if args.abandon {
                return abandon(plan_run, args, context);
            }
            let mut plan_run = plan_run;
            if plan_run.follows() {
                let reload = super::follow::reload(&adapter, plan_run.root(), context)?;
                plan_run.reload_with(reload);
            }
            let notices = notices(&args.notices, plan_run.folder(), context)?;
            drive_and_report(
                plan_run,
                &RunExtras::default(),
                &args.report,
                &notices,
                context,
            )
        }
        Some(RunKind::Spawn) if args.abandon => {
            Err(CliError::NothingToAbandon(folder.id().clone()))
        }
        Some(RunKind::Spawn) => resume_csv::resume_by_id(args, folder, context),
        None => Err(RunError::NotResumable {
            id: folder.id().clone(),
            why: "its ledger is empty: it was killed before it started anything".to_owned(),
        }
        .into()),
    }
}

fn abandon(plan_run: PlanRun, args: &ResumeArgs, context: &Context) -> Result<u8, CliError> {
    let run_folder = plan_run.folder().path().to_owned();
    let (code, report) = super::plan_run::abandon(plan_run, &context.terminal)?;
    let written = report.map_or(Ok(()), |report| {
        step_summary::append(&report.markdown(), &context.terminal);
        write_files(&report, &run_folder, &args.report, context)
    });
    Ok(final_exit_code(written, code, &context.terminal))
}
