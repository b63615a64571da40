//! The run that a command names.

use super::args::OneRun;
use super::context::Context;
use super::error::CliError;
use crate::model::RunId;
use crate::run::RunFolder;

/// The folder of the run that is named.
pub fn find(args: &OneRun, context: &Context) -> Result<RunFolder, CliError> {
    let home = args.place.home(context)?;
    Ok(RunFolder::find(&home, &RunId::new(args.run.clone()))?)
}
