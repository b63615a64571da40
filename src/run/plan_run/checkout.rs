//! The tree of a run, and the integrator for it. It is the user's work tree or, for `--delivery branch`, a tree
//! of the run's own that holds the branch.

use super::begin::PlanRun;
use super::compile::Task;
use super::context::Context;
use crate::integrate::{
    Commands, CommitTo, Delivery, IntegrationRequest, Integrator, Isolation, RepoLock, Stores,
    is_allowed,
};
use crate::job::Stop;
use crate::model::{RowId, RunId, Tally};
use crate::platform::{Repo, Writers};
use crate::run::error::RunError;
use crate::run::settings::{PlanOptions, Settings};
use crate::run::store::{RunFolder, State, Wave};
use crate::{integrate, job};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

impl Settings {
    /// The branch that commits of run `id` go to; empty when there are none.
    pub(crate) fn branch(&self, id: &RunId) -> String {
        match self.options.delivery {
            Delivery::Patch => String::new(),
            Delivery::Commit => self.branch.clone().unwrap_or_default(),
            Delivery::Branch => integrate::run_branch(id),
        }
    }
}

impl PlanOptions {
    /// The commands that validate a patch of `task`; `synthesis` may propose some.
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
    /// The repository whose tree is copied for workers and patched.
    ///
    /// A branch is built in a tree of its own that holds exactly what is committed there, so what is validated is what is
    /// delivered. The tree is created again if it is not at the tip of the branch, unless an integration is open in it.
    pub(crate) fn checkout(&self) -> Result<Repo, RunError> {
        if self.settings.options.delivery != Delivery::Branch {
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
            let tree = Repo::find(&path)?.recorded(&self.folder.writers());
            if is_open(self.state()) || tree.head()? == tip {
                return Ok(tree);
            }
        }
        crate::workspace::remove(&path).map_err(RunError::io(&path))?;
        crate::platform::make_folders(&path).map_err(RunError::io(&path))?;
        let made = self.repo.borrowed(&path, &tip)?;
        made.check_out()?;
        // By the name that git gives it, with links resolved.
        Ok(Repo::find(&path)?.recorded(&self.folder.writers()))
    }

    /// Runs the validation commands with the patch of row `id`, for the voters to see. `None`: the run was asked to stop.
    pub(crate) fn preview(
        &mut self,
        task: &Task,
        wave: &Wave,
        id: &RowId,
        context: &mut Context<'_, '_>,
    ) -> Result<Option<String>, RunError> {
        let nothing = Value::Null;
        let synthesis = wave.result(id).unwrap_or(&nothing);
        let commands = self.settings.options.commands(task, synthesis);
        let patch = synthesis["patch"].as_str().unwrap_or_default();
        self.forget_tree();
        let (repo, folder, lock) = (&self.repo, &self.folder, &self.lock);
        let factory = IntegratorFactory::new(self.checkout()?, repo, folder, &self.settings, lock);
        let request = factory.request(task, &commands, patch, None);
        let mut integrator = factory.integrator(self.recorder.state(), context.stop);
        let known = self.concurrent_changes(&task.unit);
        let shown = context.run_blocking(&mut self.recorder, |journal| {
            Ok(integrator.preview(&request, journal)?)
        })?;
        self.warn_of_concurrent_changes(&task.unit, &known, context.watcher);
        Ok(shown)
    }
}

/// Creates integrators and their requests.
pub(crate) struct IntegratorFactory<'t> {
    checkout: Repo,
    plan_file: PathBuf,
    branch: String,
    writers: Writers,
    repo: &'t Repo,
    folder: &'t RunFolder,
    settings: &'t Settings,
    lock: &'t RepoLock,
}

impl<'t> IntegratorFactory<'t> {
    /// Integrators for `checkout`, which is the work tree of `repo` or a tree of the run's own.
    pub fn new(
        checkout: Repo,
        repo: &'t Repo,
        folder: &'t RunFolder,
        settings: &'t Settings,
        lock: &'t RepoLock,
    ) -> Self {
        Self {
            plan_file: plan_file_in(&checkout, repo, &settings.plan_file),
            branch: settings.branch(folder.id()),
            writers: folder.writers(),
            checkout,
            repo,
            folder,
            settings,
            lock,
        }
    }

    /// The request to integrate, or to preview, a patch of `task`.
    pub fn request(
        &'t self,
        task: &'t Task,
        commands: &'t Commands,
        patch: &'t str,
        tally: Option<&'t Tally>,
    ) -> IntegrationRequest<'t> {
        IntegrationRequest {
            unit: &task.unit,
            subject: &task.objective,
            policy: task.patch_policy(
                &self.plan_file,
                self.folder.runs(),
                self.settings.options.patch,
            ),
            commands,
            patch,
            tally,
        }
    }

    /// An integrator for a run in `state`.
    pub fn integrator(&'t self, state: &State, stop: &'t Stop) -> Integrator<'t> {
        let delivery = self.settings.options.delivery;
        Integrator {
            repo: &self.checkout,
            run_folder: self.folder.path(),
            limits: integrate::Limits {
                timeout: Duration::from_secs(self.settings.options.validation_timeout_seconds),
                grace: Duration::from_secs(self.settings.options.bounds.grace_seconds),
                log_bytes_max: 16 * 1024 * 1024,
            },
            stores: Stores {
                repo: self.repo,
                plan_file: &self.settings.plan_file,
            },
            redactor: job::redactor(&self.settings.worker),
            stop,
            writers: &self.writers,
            lock: self.lock,
            isolation: match delivery {
                // The tree of the branch is a scratch tree already.
                Delivery::Branch => Isolation::Tree,
                _ => self.settings.options.isolation,
            },
            commit: (delivery != Delivery::Patch).then_some(CommitTo {
                run_id: self.folder.id(),
                branch: &self.branch,
                publish: (delivery == Delivery::Branch).then_some(self.repo),
                verify: !self.settings.options.no_verify,
            }),
            before: state.before.clone(),
        }
    }
}

/// The path of the plan file of `repo` in `checkout`; no patch may touch it.
pub(crate) fn plan_file_in(checkout: &Repo, repo: &Repo, plan_file: &Path) -> PathBuf {
    match plan_file.strip_prefix(repo.root()) {
        Ok(path) => checkout.root().join(path),
        Err(_) => plan_file.to_owned(),
    }
}
