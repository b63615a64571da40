//! What a run works on: the user's own tree, or, when it delivers a branch, a tree of its own that holds that branch. And
//! the integrator for it, with everything that the run's settings say.

use super::compile::Task;
use super::in_flight::WavesInFlight;
use super::main_loop::PlanRun;
use crate::integrate::{
    Commands, CommitTo, Delivery, IntegrationRequest, Integrator, Isolation, PatchPolicy, RepoLock,
    Stores, is_allowed,
};
use crate::job::Stop;
use crate::model::{RowId, RunId, Tally};
use crate::platform::{Repo, Writers};
use crate::run::error::RunError;
use crate::run::settings::Settings;
use crate::run::store::{RunFolder, State, Wave};
use crate::run::watcher::Watcher;
use crate::{integrate, job};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Settings {
    /// The branch that commits of run `id` go to; empty when there are none.
    pub(crate) fn branch(&self, id: &RunId) -> String {
        match self.delivery {
            Delivery::Patch => String::new(),
            Delivery::Commit => self.branch.clone().unwrap_or_default(),
            Delivery::Branch => integrate::branch_of(id),
        }
    }

    /// What validates a patch of `task` whose author proposed the commands in `synthesis`.
    pub(crate) fn commands(&self, task: &Task, synthesis: &Value) -> Commands {
        let proposed = synthesis["validation"].as_array();
        let proposed = proposed.into_iter().flatten().filter_map(Value::as_str);
        let proposed: Vec<String> = proposed.map(str::to_owned).collect();
        Commands::new(&task.metadata.validation, &proposed, |command| {
            self.trust_proposed_validation || is_allowed(command, &self.validation_allow)
        })
    }
}

impl PlanRun {
    /// What is to be said of whoever held the repository before.
    pub fn lock_note(&self) -> Option<&str> {
        self.lock.note()
    }

    /// The repository whose tree workers see copies of and patches are applied to.
    ///
    /// A branch is built up in a tree of its own, which holds exactly what is committed there: what is validated is what
    /// is delivered. It is made anew when it does not stand at the tip of the branch; an open integration keeps it as it is.
    pub(crate) fn checkout(&self) -> Result<Repo, RunError> {
        if self.settings.delivery != Delivery::Branch {
            return Ok(self.repo.clone());
        }
        let path = self.folder.branch_tree();
        let is_open = |state: &State| {
            state
                .units
                .iter()
                .any(|unit| unit.open_integration.is_some())
        };
        let tip = self.repo.tip_of(&self.settings.branch(self.folder.id()))?;
        let tip = tip.unwrap_or_else(|| self.settings.base_sha.clone());
        if path.join(".git").is_dir() {
            let there = Repo::find(&path)?.recorded(&self.folder.writers());
            if is_open(self.state()) || there.head()? == tip {
                return Ok(there);
            }
        }
        crate::workspace::remove(&path).map_err(RunError::io(&path))?;
        crate::platform::make_folders(&path).map_err(RunError::io(&path))?;
        let made = self.repo.borrowed(&path, &tip)?;
        made.check_out()?;
        // As git itself names it, behind links.
        Ok(Repo::find(&path)?.recorded(&self.folder.writers()))
    }

    /// Where the plan file stands in `checkout`, for the rule that no patch may touch it.
    pub(crate) fn plan_file_in(&self, checkout: &Repo) -> PathBuf {
        let plan = self.store.file();
        match plan.strip_prefix(self.repo.root()) {
            Ok(path) => checkout.root().join(path),
            Err(_) => plan.to_owned(),
        }
    }

    /// Runs the validation commands with the patch of row `id`, before anybody votes on it. `None`: `mesh` was asked to stop.
    pub(crate) fn preview(
        &mut self,
        task: &Task,
        wave: &Wave,
        id: &RowId,
        in_flight: &mut WavesInFlight<'_, '_>,
        watcher: &mut dyn Watcher,
        stop: &Stop,
    ) -> Result<Option<String>, RunError> {
        let index = wave.compiled.rows.iter().position(|row| row == id);
        let answer = index.and_then(|index| wave.answers.get(&(index as u64)));
        let nothing = Value::Null;
        let synthesis = answer
            .and_then(|answer| answer.result.as_ref())
            .unwrap_or(&nothing);
        let checkout = self.checkout()?;
        let plan_file = self.plan_file_in(&checkout);
        let commands = self.settings.commands(task, synthesis);
        let patch = synthesis["patch"].as_str().unwrap_or_default();
        let branch = self.settings.branch(self.folder.id());
        let writers = self.folder.writers();
        let factory = IntegratorFactory {
            checkout: &checkout,
            repo: &self.repo,
            folder: &self.folder,
            settings: &self.settings,
            lock: &self.lock,
            writers: &writers,
            branch: &branch,
        };
        let request = factory.request(task, &plan_file, &commands, patch, None);
        let mut integrator = factory.integrator(self.recorder.state(), stop);
        let known = self.changed_meanwhile(&task.unit);
        let shown = in_flight.run_blocking(&mut self.recorder, watcher, |journal| {
            Ok(integrator.preview(&request, journal)?)
        })?;
        self.say_what_changed(&task.unit, &known, watcher);
        Ok(shown)
    }
}

/// What an integrator of a run is made of.
pub(crate) struct IntegratorFactory<'t> {
    pub checkout: &'t Repo,
    pub repo: &'t Repo,
    pub folder: &'t RunFolder,
    pub settings: &'t Settings,
    pub lock: &'t RepoLock,
    pub writers: &'t Writers,
    pub branch: &'t str,
}

impl<'t> IntegratorFactory<'t> {
    /// An integrator's order for a patch of `task`.
    pub fn request(
        &self,
        task: &'t Task,
        plan_file: &'t Path,
        commands: &'t Commands,
        patch: &'t str,
        tally: Option<&'t Tally>,
    ) -> IntegrationRequest<'t> {
        IntegrationRequest {
            unit: &task.unit,
            subject: &task.objective,
            policy: PatchPolicy {
                metadata: &task.metadata,
                scope: &task.scope,
                plan_file,
                artifacts: self.folder.runs(),
                limits: self.settings.patch,
            },
            commands,
            patch,
            tally,
        }
    }

    pub fn integrator(&self, state: &State, stop: &'t Stop) -> Integrator<'t> {
        let delivery = self.settings.delivery;
        Integrator {
            repo: self.checkout,
            run_folder: self.folder.path(),
            limits: integrate::Limits {
                timeout: Duration::from_secs(self.settings.validation_timeout_seconds),
                grace: Duration::from_secs(self.settings.bounds.grace_seconds),
                log_bytes_max: 16 * 1024 * 1024,
            },
            stores: Stores {
                repo: self.repo,
                plan_file: &self.settings.plan_file,
            },
            redactor: job::redactor(&self.settings.worker),
            stop,
            writers: self.writers,
            lock: self.lock,
            isolation: match delivery {
                // Its tree is a scratch tree already.
                Delivery::Branch => Isolation::Tree,
                _ => self.settings.isolation,
            },
            commit: (delivery != Delivery::Patch).then_some(CommitTo {
                run_id: self.folder.id(),
                branch: self.branch,
                publish: (delivery == Delivery::Branch).then_some(self.repo),
                verify: !self.settings.no_verify,
            }),
            before: state.before.clone(),
        }
    }
}
