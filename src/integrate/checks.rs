//! Runs the validation commands of one patch in one tree, one after the other, and records each result.

use super::commands::Command;
use super::error::IntegrateError;
use super::request::IntegrationRequest;
use super::tree_watch::{TreeWatch, Watch};
use super::validate;
use super::validate::{Limits, ValidationEnd, tail};
use crate::job::{Journal, Stop};
use crate::model::{Event, Stage, ValidationFinished, one_line};
use crate::platform::Writers;
use crate::redact::Redactor;
use crate::template;
use std::collections::BTreeMap;
use std::path::Path;

/// Limit of the output of one command that voters see.
const SHOWN_BYTES: u64 = 2048;

/// The commands of a request, with the tree in which they run.
pub(super) struct Checks<'c> {
    pub request: &'c IntegrationRequest<'c>,
    pub stage: Stage,
    /// The tree.
    pub folder: &'c Path,
    pub run_folder: &'c Path,
    pub limits: &'c Limits,
    pub writers: &'c Writers,
    pub redactor: &'c Redactor,
    pub stop: &'c Stop,
    /// The watch of the user's tree, if this tree is a scratch tree.
    pub watch: Option<&'c TreeWatch>,
    /// How many patches of the run were applied when the request was made.
    pub applied: u64,
}

/// How the commands ended.
#[derive(Debug)]
pub(super) enum ChecksEnd {
    /// All selected commands ran, up to the first failure in an integration.
    Done(Vec<ValidationFinished>),
    /// `mesh` was asked to stop at once.
    Stopped,
    /// The user edited the tree meanwhile, and the patch no longer applies; with the reason.
    Conflict(String),
}

impl Checks<'_> {
    /// Runs the commands that `is_selected` accepts. An integration stops at the first failure; before a vote all commands
    /// run, because voters see all results.
    pub fn run(
        &self,
        is_selected: impl Fn(&Command) -> bool,
        journal: &mut dyn Journal,
    ) -> Result<ChecksEnd, IntegrateError> {
        let Some(watch) = self.watch else {
            return self.run_all(is_selected, None, journal);
        };
        let folder = self.run_folder.join(self.request.folder());
        let mut watch = watch.begin(&folder.join("aside"))?;
        let checked = self.run_all(is_selected, Some(&mut watch), journal);
        watch.end()?;
        checked
    }

    fn run_all(
        &self,
        is_selected: impl Fn(&Command) -> bool,
        mut watch: Option<&mut Watch<'_>>,
        journal: &mut dyn Journal,
    ) -> Result<ChecksEnd, IntegrateError> {
        let mut all = Vec::new();
        for (index, command) in self.request.commands.run.iter().enumerate() {
            if !is_selected(command) {
                continue;
            }
            let number = index as u32 + 1;
            let Some(mut finished) = self.run_one(number, command)? else {
                return Ok(ChecksEnd::Stopped);
            };
            if let Some(watch) = &mut watch {
                finished.changed_meanwhile = watch.check()?;
            }
            journal.record(&[Event::from(finished.clone())])?;
            let is_done = self.stage == Stage::Integration && !finished.passed();
            all.push(finished);
            if is_done {
                break;
            }
        }
        Ok(ChecksEnd::Done(all))
    }

    fn run_one(
        &self,
        number: u32,
        command: &Command,
    ) -> Result<Option<ValidationFinished>, IntegrateError> {
        let name = match self.stage {
            Stage::Integration => "validation",
            Stage::Before => "before",
            Stage::Preview => "preview",
        };
        let folder = self.request.folder();
        let log_path = folder.join(format!("{name}-{number}.log"));
        let log = self.run_folder.join(&log_path);
        let end = validate::run(
            &command.text,
            self.folder,
            &log,
            self.limits,
            self.writers,
            self.redactor,
            self.stop,
        )?;
        Ok(match end {
            ValidationEnd::Stopped => None,
            ValidationEnd::Finished(finished) => Some(ValidationFinished {
                unit: self.request.unit.clone(),
                candidate: self.request.candidate.cloned(),
                number,
                stage: self.stage,
                proposed: command.proposed,
                log_path,
                applied: (self.stage == Stage::Before).then_some(self.applied),
                ..*finished
            }),
        })
    }
}

/// Describes the first failure.
pub(super) fn first_failure(all: &[ValidationFinished]) -> Option<String> {
    let failed = all.iter().find(|finished| !finished.passed())?;
    Some(format!("`{}`: {}", failed.command, failed.outcome()))
}

/// Describes the results for the voters.
pub(super) fn describe_for_voters(
    all: &[ValidationFinished],
    before: &BTreeMap<String, String>,
    run_folder: &Path,
) -> Result<String, IntegrateError> {
    let mut text =
        String::from("- the validation commands, run in a copy of the tree with the patch:");
    if all.is_empty() {
        text.push_str(" the task has none");
    }
    let mut outputs = String::new();
    for run in all {
        let command = one_line(&run.command);
        let seconds = run.duration_ms as f64 / 1000.0;
        text.push_str(&format!(
            "\n  - `{command}`: {} in {seconds:.1} s",
            run.outcome()
        ));
        if let Some(outcome) = before.get(&run.command) {
            text.push_str(&format!(" (without the patch: {outcome})"));
        }
        let log = run_folder.join(&run.log_path);
        let output = tail(&log, SHOWN_BYTES).map_err(IntegrateError::io(&log))?;
        if !output.trim().is_empty() {
            let output = output.trim_end();
            let fence = template::fence_for(output);
            outputs.push_str(&format!(
                "\n\nEnd of the output of `{command}`:\n\n{fence}text\n{output}\n{fence}"
            ));
        }
    }
    Ok(text + &outputs)
}
