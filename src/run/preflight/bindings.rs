//! Which adapter works the rows of each role: `--role`, then `roles` of `mesh.yaml`, then the protocol file, then the adapter of
//! the run.
//!
//! Candidates are bound one by one, or all by the name of their author. A binding is configuration: no wave has it.

use super::protocols::{ProtocolSearchPath, Protocols};
use crate::adapter;
use crate::adapter::{Adapter, AdapterError, Choice, Configured, EXTERNAL, REPLAY};
use crate::job::ExecutorChoice;
use crate::model::{Role, RoleBinding, RoleBindings};
use crate::protocol::Protocol;
use crate::run::role_error::RoleError;
use crate::run::settings::{PlanOptions, RoleWorker};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Where roles are bound outside of the protocol.
#[derive(Clone, Debug, Default)]
pub struct RoleSources {
    /// `--role`.
    pub given: RoleBindings,
    /// `roles` of `mesh.yaml`.
    pub configured: RoleBindings,
}

/// What selects the adapters of a run and its roles.
#[derive(Clone, Copy, Debug)]
pub(super) struct BindingRequest<'r> {
    /// What roles are bound to.
    pub roles: &'r RoleSources,
    /// The adapter of the run.
    pub choice: &'r Choice,
    /// The adapters of `mesh.yaml`.
    pub adapters: &'r Configured,
    /// The folder where the command was given.
    pub folder: &'r Path,
    /// Its options.
    pub options: &'r PlanOptions,
}

/// A role with an adapter of its own.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// What it is bound to, with the adapter named.
    pub binding: RoleBinding,
    /// The adapter.
    pub adapter: Adapter,
}

/// The roles of a run that are not worked by its own adapter.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings {
    roles: BTreeMap<Role, Bound>,
    /// Warnings about bindings that are not used.
    pub notes: Vec<String>,
}

impl Bindings {
    /// Selects the adapter of each role that a task of the run may have.
    ///
    /// # Errors
    /// A role or an adapter is unknown, or can't be used.
    pub fn select(
        request: &BindingRequest<'_>,
        protocols: &Protocols,
        usual: &Adapter,
        search_path: ProtocolSearchPath<'_>,
    ) -> Result<Self, Box<RoleError>> {
        let sources = request.roles;
        check_names(sources, protocols, search_path)?;
        if usual.name == EXTERNAL && !sources.given.is_empty() {
            let why = "it starts no worker; whoever runs the wave chooses who works a row";
            return Err(one_worker("adapter `external`", why));
        }
        // Whoever replays a run, or works its waves elsewhere, has none of the adapters at hand.
        let is_elsewhere = [EXTERNAL, REPLAY].contains(&usual.name.as_str());
        let mut found = Self::default();
        for (role, protocol) in roles_of(protocols) {
            let author = protocol.author_of(role);
            let of =
                |source: &RoleBindings| source.get(role).or_else(|| source.get(&author)).cloned();
            let in_files = || of(&sources.configured).or_else(|| of(&protocol.bindings));
            match (of(&sources.given), is_elsewhere) {
                (Some(binding), _) => found.bind(role, binding, request, usual)?,
                (None, false) => {
                    if let Some(binding) = in_files() {
                        found.bind(role, binding, request, usual)?;
                    }
                }
                (None, true) if in_files().is_some() => found.leave_out(usual),
                (None, true) => {}
            }
        }
        match request.options.executor {
            ExecutorChoice::Slurm(_) if !found.roles.is_empty() => {
                let why = "the rows of a slice have one worker command";
                Err(one_worker("executor `slurm`", why))
            }
            _ => Ok(found),
        }
    }

    fn leave_out(&mut self, usual: &Adapter) {
        if self.notes.is_empty() {
            self.notes.push(format!(
                "adapter `{}` works all roles; what mesh.yaml or the protocol binds them to is not used",
                usual.name
            ));
        }
    }

    fn bind(
        &mut self,
        role: &Role,
        mut binding: RoleBinding,
        request: &BindingRequest<'_>,
        usual: &Adapter,
    ) -> Result<(), Box<RoleError>> {
        let refuse = |source: AdapterError| {
            let role = role.clone();
            Box::new(RoleError::Adapter { role, source })
        };
        let choice = choice_of(&binding, request.choice, &usual.name);
        let adapter = adapter::select(&choice, request.adapters, request.folder);
        let adapter = adapter.map_err(refuse)?;
        if adapter.name == EXTERNAL {
            return Err(Box::new(RoleError::External { role: role.clone() }));
        }
        let options = request.options;
        for budget in [&options.budget, &options.task_budget.budget] {
            adapter.check_budget(budget).map_err(refuse)?;
        }
        if adapter.worker != usual.worker {
            binding.adapter = Some(adapter.name.clone());
            self.roles.insert(role.clone(), Bound { binding, adapter });
        }
        Ok(())
    }

    /// The adapters.
    pub fn adapters(&mut self) -> impl Iterator<Item = &mut Adapter> {
        self.roles.values_mut().map(|bound| &mut bound.adapter)
    }

    /// A line for each role: its binding and its program.
    pub fn described(&self) -> impl Iterator<Item = String> {
        self.roles.iter().map(|(role, bound)| {
            let program = bound.adapter.worker.program.display();
            format!("{role}={}: {program}", bound.binding)
        })
    }

    /// The most rows at once that `usual` and each of the adapters can work.
    pub fn fanout(&self, usual: &Adapter) -> Option<usize> {
        let all = self.roles.values().map(|bound| &bound.adapter);
        let all = all.chain([usual]);
        all.filter_map(|adapter| adapter.capabilities.fanout).min()
    }

    /// The workers, as the settings of a run have them. `asked` are the options before the adapter of the run limited them, `holds`
    /// those that hold.
    pub fn into_workers(
        self,
        asked: &PlanOptions,
        holds: &PlanOptions,
    ) -> BTreeMap<Role, RoleWorker> {
        let worker = |bound: Bound| {
            let bounds = bound.adapter.capabilities.limit(asked.bounds);
            let seconds = bounds.max_runtime_seconds;
            RoleWorker {
                binding: bound.binding,
                worker: bound.adapter.worker,
                max_runtime_seconds: (seconds != holds.bounds.max_runtime_seconds)
                    .then_some(seconds),
            }
        };
        let roles = self.roles.into_iter();
        roles.map(|(role, bound)| (role, worker(bound))).collect()
    }
}

/// Each role of the protocols once, with the first protocol that has it: a role has one worker in a run.
fn roles_of(protocols: &Protocols) -> BTreeMap<&Role, &Protocol> {
    let mut roles = BTreeMap::new();
    for protocol in protocols.chosen_first() {
        let hydration = protocol.hydration.iter().flat_map(|round| &round.roles);
        for role in protocol.roles.iter().chain(hydration) {
            roles.entry(role).or_insert(protocol);
        }
    }
    roles
}

/// The choice for a role: what its binding names, and else what is given for the run. Model and effort of the run are for its
/// own adapter only.
fn choice_of(binding: &RoleBinding, run: &Choice, usual: &str) -> Choice {
    let is_usual = binding.adapter.as_deref().is_none_or(|name| name == usual);
    let own = |given: &Option<String>, of_run: &Option<String>| {
        given
            .clone()
            .or_else(|| of_run.clone().filter(|_| is_usual))
    };
    Choice {
        name: match &binding.adapter {
            Some(name) if !is_usual => Some(name.clone()),
            _ => Some(usual.to_owned()),
        },
        command: match is_usual {
            true => run.command.clone(),
            false => Vec::new(),
        },
        answers: run.answers.clone(),
        env_names: run.env_names.clone(),
        model: own(&binding.model, &run.model),
        effort: own(&binding.effort, &run.effort),
    }
}

fn one_worker(what: &'static str, why: &'static str) -> Box<RoleError> {
    Box::new(RoleError::OneWorker { what, why })
}

/// Refuses roles that no protocol has. A run needs not have all roles of `mesh.yaml`, which is for every run of the project.
fn check_names(
    sources: &RoleSources,
    protocols: &Protocols,
    search_path: ProtocolSearchPath<'_>,
) -> Result<(), Box<RoleError>> {
    let of_run = protocols.role_names();
    let unknown = |source: &RoleBindings, known: &BTreeSet<Role>| {
        source.keys().find(|role| !known.contains(*role)).cloned()
    };
    let refuse = |role: Role, whence, known: BTreeSet<Role>| {
        let known = known.iter().map(ToString::to_string).collect();
        Box::new(RoleError::Unknown {
            role,
            whence,
            known,
        })
    };
    if let Some(role) = unknown(&sources.given, &of_run) {
        return Err(refuse(role, "--role", of_run));
    }
    if unknown(&sources.configured, &of_run).is_some() {
        let mut known = Protocols::known_role_names(search_path);
        known.extend(of_run);
        if let Some(role) = unknown(&sources.configured, &known) {
            return Err(refuse(role, "`roles` of mesh.yaml", known));
        }
    }
    Ok(())
}
