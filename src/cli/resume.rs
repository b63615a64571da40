//! `mesh resume`: the ledger says what kind of run it is and everything else.

use super::args::{Context, OneRun, ResumeArgs};
use super::error::CliError;
use crate::model::{RunId, RunKind};
use crate::run::{PlanRun, Raised, RunError, RunFolder};

/// Goes on with a run.
pub fn execute(args: &ResumeArgs, context: &Context) -> Result<u8, CliError> {
    let folder = find(&args.run, context)?;
    let raised = Raised {
        task_budget: args.task_budget.budget(),
        ask_now: args.ask_now,
        ..super::spawn::raised(&args.budget)
    };
    match folder.kind()? {
        Some(RunKind::Plan) => {
            let plan_run = PlanRun::resume(folder, raised)?;
            if args.abandon {
                return super::run::abandon(plan_run, &context.terminal);
            }
            super::run::drive(plan_run, &context.terminal).map(|(code, _)| code)
        }
        Some(RunKind::Spawn) => {
            super::spawn::go_on(folder, args.retry_failed, raised, &context.terminal)
        }
        None => Err(RunError::NotResumable {
            id: folder.id().clone(),
            why: "its ledger is empty: it was ended before it began, and nothing was started"
                .to_owned(),
        }
        .into()),
    }
}

/// The folder of the run that is named.
pub fn find(args: &OneRun, context: &Context) -> Result<RunFolder, CliError> {
    let home = args.place.home(context)?;
    Ok(RunFolder::find(&home, &RunId::new(args.run.clone()))?)
}
