//! Trying a patch in a scratch tree: before the vote, for the voters, and before a patch enters the user's tree. The
//! user's tree is only read.

use super::checks::{Checks, ChecksEnd, describe_for_voters, first_failure};
use super::commands::Command;
use super::error::IntegrateError;
use super::evidence::{Evidence, examine};
use super::integrator::Integrator;
use super::request::IntegrationRequest;
use super::scratch::Scratch;
use super::state::read_states;
use super::tree_state::TreeState;
use crate::job::Journal;
use crate::model::{PatchEvidence, Stage, ValidationFinished};
use crate::patch::Patch;
use crate::platform::{GitError, machine_fault, sha256_of_bytes};
use std::path::Path;

/// How often a patch is tried again because the user edited its files meanwhile.
const TRIES: usize = 3;

/// What was seen of a patch before the vote.
#[derive(Clone, Debug)]
pub struct Preview {
    /// For the voters.
    pub text: String,
    /// For a selection among several patches.
    pub evidence: PatchEvidence,
    /// Whether a command fails with it, and not in the same way without it: what a test must do before the patch.
    pub reproduces: bool,
    /// Why it does not apply any more, if the tree has changed since it was examined.
    pub conflict: Option<String>,
}

impl Preview {
    /// The tree has changed meanwhile, and the patch no longer applies.
    fn conflict(detail: &str) -> Self {
        let text = format!("- it does not apply any more: {detail}");
        Self {
            evidence: PatchEvidence {
                passed: false,
                weak: false,
                lines: 0,
                result: String::new(),
                failure: format!("it does not apply any more: {detail}"),
            },
            text,
            reproduces: false,
            conflict: Some(detail.to_owned()),
        }
    }
}

/// The result of trying a patch in a scratch tree.
pub(super) enum Trial {
    /// With the state of the tree that it was validated on.
    Passed(TreeState),
    /// The user's tree changed meanwhile, and the patch no longer applies.
    Conflict(String),
    Failed(String),
    /// `mesh` was asked to stop at once.
    Stopped,
}

impl Integrator<'_> {
    /// Runs the commands without the patch and with it, in a scratch tree, before the vote; `None` if `mesh` was asked to
    /// stop.
    pub fn preview(
        &mut self,
        request: &IntegrationRequest<'_>,
        journal: &mut dyn Journal,
    ) -> Result<Option<Preview>, IntegrateError> {
        let patch = match self.examine(request)? {
            Ok(patch) => patch,
            Err(detail) => return Ok(Some(Preview::conflict(&detail))),
        };
        match self.run_in_scratch(request, Stage::Preview, journal)?.0 {
            ChecksEnd::Stopped => Ok(None),
            ChecksEnd::Conflict(why) => Ok(Some(Preview::conflict(&why))),
            ChecksEnd::Done(all) => {
                let outcomes = self.before.iter();
                let outcomes = outcomes.map(|(command, run)| (command.clone(), run.outcome()));
                let text = describe_for_voters(&all, &outcomes.collect(), self.run_folder)?;
                let failure = first_failure(&all);
                let passed_before = self.passed_before(all.iter().map(|run| &run.command));
                Ok(Some(Preview {
                    text,
                    conflict: None,
                    reproduces: all.iter().any(|run| self.shows_fault(run)),
                    evidence: PatchEvidence {
                        passed: failure.is_none(),
                        weak: passed_before.len() == all.len() && !request.has_test,
                        lines: patch.changed_lines() as u64,
                        result: sha256_of_bytes(&patch.effect()),
                        failure: failure.unwrap_or_default(),
                    },
                }))
            }
        }
    }

    /// Whether a command fails because of what the tree has now: a program that can't be run and a limit of time say nothing.
    fn shows_fault(&self, run: &ValidationFinished) -> bool {
        let has_failed = run
            .exit_code
            .is_some_and(|code| !matches!(code, 0 | 126 | 127));
        if !has_failed || run.timed_out || run.too_much_output {
            return false;
        }
        self.before.get(&run.command).is_some_and(|before| {
            before.passed()
                || run.proposed
                    && (before.exit_code, without_numbers(&before.key_line))
                        != (run.exit_code, without_numbers(&run.key_line))
        })
    }

    /// The patch as it applies now, or why it does not.
    pub(super) fn examine(
        &self,
        request: &IntegrationRequest<'_>,
    ) -> Result<Result<Patch, String>, IntegrateError> {
        let folder = self.run_folder.join(request.folder());
        Ok(
            match examine(self.repo, &request.policy, request.patch, &folder)? {
                Evidence::Applies { patch, .. } => Ok(patch),
                Evidence::Refused { detail, .. } => Err(detail),
            },
        )
    }

    /// Validates the patch in a scratch tree. If the user edits a file of the patch meanwhile, the result says nothing
    /// about what will be applied, so the patch is tried again.
    pub(super) fn try_in_scratch(
        &mut self,
        request: &IntegrationRequest<'_>,
        patch: &Patch,
        journal: &mut dyn Journal,
    ) -> Result<Trial, IntegrateError> {
        let paths = patch.paths();
        for _ in 0..TRIES {
            let before = read_states(self.repo, &paths)?;
            let (end, then) = self.run_in_scratch(request, Stage::Integration, journal)?;
            let trial = match (end, then) {
                (ChecksEnd::Conflict(why), _) => {
                    return Ok(Trial::Conflict(edited_meanwhile(&why)));
                }
                (ChecksEnd::Done(all), Some(then)) => {
                    first_failure(&all).map_or(Trial::Passed(then), Trial::Failed)
                }
                (ChecksEnd::Stopped | ChecksEnd::Done(_), _) => return Ok(Trial::Stopped),
            };
            if read_states(self.repo, &paths)? == before {
                return Ok(trial);
            }
            if let Err(detail) = self.examine(request)? {
                return Ok(Trial::Conflict(edited_meanwhile(&detail)));
            }
        }
        let why = format!(
            "files of the patch were edited each time while it was validated, {TRIES} times"
        );
        Ok(Trial::Conflict(why))
    }

    /// Runs the commands that have no result without the patch yet, then all of them with it. Also returns the state of the
    /// user's tree with which the patch was tried.
    fn run_in_scratch(
        &mut self,
        request: &IntegrationRequest<'_>,
        stage: Stage,
        journal: &mut dyn Journal,
    ) -> Result<(ChecksEnd, Option<TreeState>), IntegrateError> {
        let is_known = |command: &Command| self.before.contains_key(&command.text);
        if !request.commands.run.iter().all(is_known) {
            let scratch = {
                let _quiet = self.watch.quiet();
                Scratch::of(self.repo, &self.scratch)?
            };
            let checks = self.checks(request, Stage::Before, scratch.root());
            match checks.run(|command| !is_known(command), journal)? {
                early @ (ChecksEnd::Stopped | ChecksEnd::Conflict(_)) => return Ok((early, None)),
                ChecksEnd::Done(all) => {
                    let all = all.into_iter().map(|run| (run.command.clone(), run));
                    self.before.extend(all);
                }
            }
        }
        match self.patched_scratch(request)? {
            Ok((scratch, then)) => {
                let checks = self.checks(request, stage, scratch.root());
                Ok((checks.run(|_| true, journal)?, Some(then)))
            }
            Err(why) => Ok((ChecksEnd::Conflict(why), None)),
        }
    }

    /// A scratch tree with the patch, and the state of the tree that it is a copy of. The patch is placed again, because the user may have edited the tree while commands
    /// ran.
    fn patched_scratch(
        &self,
        request: &IntegrationRequest<'_>,
    ) -> Result<Result<(Scratch, TreeState), String>, IntegrateError> {
        let _quiet = self.watch.quiet();
        let candidate = self
            .run_folder
            .join(request.folder())
            .join("candidate.diff");
        let mut tries = 0;
        loop {
            let then = TreeState::take(self.repo)?;
            let scratch = Scratch::of(self.repo, &self.scratch)?;
            if let Err(detail) = self.examine(request)? {
                return Ok(Err(detail));
            }
            tries += 1;
            match machine_fault::apart(scratch.apply(&candidate))? {
                Ok(()) => return Ok(Ok((scratch, then))),
                // The user edited the tree between the copy and the examination.
                Err(IntegrateError::Git(GitError::Failed { .. })) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn checks<'c>(
        &'c self,
        request: &'c IntegrationRequest<'c>,
        stage: Stage,
        folder: &'c Path,
    ) -> Checks<'c> {
        Checks {
            request,
            stage,
            folder,
            run_folder: self.run_folder,
            limits: &self.limits,
            writers: self.writers,
            redactor: &self.redactor,
            stop: self.stop,
            watch: (folder != self.watch.root()).then_some(self.watch),
            applied: self.applied,
        }
    }
}

/// Times, addresses and seeds differ from run to run.
fn without_numbers(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
}

fn edited_meanwhile(detail: &str) -> String {
    format!("a file of the patch was edited while it was validated: {detail}")
}
