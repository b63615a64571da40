//! The tree of a run, and the integrator for it. It is the user's work tree or, for `--delivery branch`, a tree
//! of the run's own that holds the branch.

use super::begin::PlanRun;
use super::compile::{PatchPart, Task};
use super::context::Context;
use super::integrations::AcceptedPatch;
use crate::integrate::{
    Commands, CommitTo, Delivery, IntegrateError, IntegrationRequest, Integrator, Isolation,
    RepoLock, TreeWatch, is_allowed,
};
use crate::job::{Journal, Stop};
use crate::model::RunId;
use crate::platform::{Mechanism, Repo, Sandbox, Writers, durable, look};
use crate::run::error::RunError;
use crate::run::settings::{PlanOptions, Settings};
use crate::run::store::{RunFolder, State};
use crate::workspace::{Fingerprint, Lease, TreeState};
use crate::{integrate, job};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    /// The commands that validate a patch of `task`; its `answers` may propose some.
    pub(crate) fn commands(&self, task: &Task, answers: &[&Value]) -> Commands {
        let proposed = answers
            .iter()
            .filter_map(|one| one["validation"].as_array());
        let proposed = proposed.flatten().filter_map(Value::as_str);
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
        // As long as this file exists, files of the tree may be missing.
        let unfinished = path.with_extension("unfinished");
        let look = || Ok(look::is_folder(&path.join(".git"))? && !look::is_taken(&unfinished)?);
        if look().map_err(RunError::io(&path))? {
            let tree = Repo::find(&path)?.recorded(&self.folder.writers());
            if is_open(self.state()) || tree.head()? == tip {
                return Ok(tree);
            }
        }
        crate::workspace::remove(&path).map_err(RunError::io(&path))?;
        crate::platform::create(&unfinished).map_err(RunError::io(&unfinished))?;
        // Before the tree: after a power failure a part of it must not be there without the file.
        crate::platform::sync_folder(self.folder.path()).map_err(RunError::io(&unfinished))?;
        crate::platform::make_folders(&path).map_err(RunError::io(&path))?;
        self.repo.borrowed(&path, &tip)?.check_out()?;
        durable::sync_tree(&path).map_err(RunError::io(&path))?;
        durable::remove(&unfinished).map_err(RunError::io(&unfinished))?;
        // By the name that git gives it, with links resolved.
        Ok(Repo::find(&path)?.recorded(&self.folder.writers()))
    }

    /// What integrators work with.
    pub(crate) fn trees(&self) -> Trees {
        Trees {
            repo: self.repo.clone(),
            folder: self.folder.clone(),
            settings: self.settings.clone(),
            lock: Arc::clone(&self.lock),
            watch: Arc::clone(&self.watch),
        }
    }

    /// The workspace for a wave that begins on the tree as it is now.
    pub(super) fn lease_workspace(&mut self) -> Result<Lease, RunError> {
        let checkout = self.checkout()?;
        // Landlock does not keep a worker from changing the modes of files, which all who share them would see.
        let is_kept = |sandbox: &Arc<Sandbox>| sandbox.mechanism != Mechanism::Landlock;
        if !self.sandbox.as_ref().is_some_and(is_kept) {
            return Ok(self.workspaces.lease_copy(&checkout)?);
        }
        let changed = match (self.settings.options.delivery, &self.expected) {
            (Delivery::Patch | Delivery::Commit, Some(known)) => known.clone(),
            _ => Fingerprint::take(&checkout, &[])?,
        };
        let state = TreeState::of(&checkout, changed, self.tree_forgotten_ns)?;
        Ok(self.workspaces.lease_shared(&checkout, state)?)
    }

    /// Calls `work` with the integrator and the request for a patch, in a thread beside the loop. The patch is tried in scratch
    /// tree number `place`.
    pub(super) fn with_integrator<T: Send>(
        &mut self,
        patch: &AcceptedPatch,
        place: usize,
        context: &mut Context<'_, '_>,
        work: impl FnOnce(
            &mut Integrator<'_>,
            &IntegrationRequest<'_>,
            &mut dyn Journal,
        ) -> Result<T, IntegrateError>
        + Send,
    ) -> Result<T, RunError> {
        let trees = self.trees();
        let factory = IntegratorFactory::new(self.checkout()?, &trees);
        let request = factory.request(patch);
        let mut integrator = factory.integrator(patch, self.folder.trial(place), context.stop);
        context.run_blocking(&mut self.recorder, |journal| {
            Ok(work(&mut integrator, &request, journal)?)
        })
    }
}

/// What an integrator works with, apart from the patch; owned, so that a validation can run in a thread of its own.
pub(crate) struct Trees {
    pub repo: Repo,
    folder: RunFolder,
    settings: Settings,
    lock: Arc<RepoLock>,
    watch: Arc<TreeWatch>,
}

/// Creates integrators and their requests.
pub(crate) struct IntegratorFactory<'t> {
    checkout: Repo,
    plan_file: PathBuf,
    branch: String,
    writers: Writers,
    trees: &'t Trees,
}

impl<'t> IntegratorFactory<'t> {
    /// Integrators for `checkout`, which is the work tree of the repository or a tree of the run's own.
    pub fn new(checkout: Repo, trees: &'t Trees) -> Self {
        let Trees {
            repo,
            folder,
            settings,
            ..
        } = trees;
        Self {
            plan_file: plan_file_in(&checkout, repo, &settings.plan_file),
            branch: settings.branch(folder.id()),
            writers: folder.writers(),
            checkout,
            trees,
        }
    }

    /// The request to integrate, or to preview, a patch.
    pub fn request(&'t self, patch: &'t AcceptedPatch) -> IntegrationRequest<'t> {
        let Trees {
            folder, settings, ..
        } = self.trees;
        let AcceptedPatch {
            task,
            commands,
            text,
            tally,
            candidate,
            part,
            ..
        } = patch;
        IntegrationRequest {
            unit: &task.unit,
            subject: &task.objective,
            policy: task.patch_policy(
                *part,
                &self.plan_file,
                folder.runs(),
                settings.options.patch,
            ),
            commands,
            patch: text,
            tally: tally.as_ref(),
            candidate: candidate.as_ref(),
            has_test: *part == PatchPart::Whole && task.test_scope.is_some(),
        }
    }

    /// An integrator for a patch, which is tried in `scratch`.
    pub fn integrator(
        &'t self,
        patch: &AcceptedPatch,
        scratch: PathBuf,
        stop: &'t Stop,
    ) -> Integrator<'t> {
        Integrator {
            before: patch.before.clone(),
            applied: patch.applied,
            scratch,
            ..self.restorer(stop)
        }
    }

    /// An integrator that only restores what an interrupted one left.
    pub fn restorer(&'t self, stop: &'t Stop) -> Integrator<'t> {
        let Trees {
            repo,
            folder,
            settings,
            lock,
            watch,
        } = self.trees;
        let options = &settings.options;
        let delivery = options.delivery;
        Integrator {
            repo: &self.checkout,
            run_folder: folder.path(),
            limits: integrate::Limits {
                timeout: Duration::from_secs(options.validation_timeout_seconds),
                grace: Duration::from_secs(options.bounds.grace_seconds),
                log_bytes_max: 16 * 1024 * 1024,
            },
            watch,
            scratch: folder.trial(1),
            redactor: job::redactor(settings.workers()),
            stop,
            writers: &self.writers,
            lock,
            isolation: match delivery {
                // The tree of the branch is a scratch tree already.
                Delivery::Branch => Isolation::Tree,
                _ => options.isolation,
            },
            commit: (delivery != Delivery::Patch).then_some(CommitTo {
                run_id: folder.id(),
                branch: &self.branch,
                publish: (delivery == Delivery::Branch).then_some(repo),
                verify: !options.no_verify,
            }),
            before: BTreeMap::new(),
            applied: 0,
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
