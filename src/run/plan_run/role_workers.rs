//! The workers of a run beside its usual one: by role in the settings, by row in the job of a wave.

use crate::adapter;
use crate::job::{OtherWorkers, RowWorker, SharedLimits};
use crate::model::{Role, RowId, RowKey, WaveCompiled};
use crate::run::confinement;
use crate::run::error::RunError;
use crate::run::settings::{RoleWorker, Settings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The workers of roles, ready for jobs.
#[derive(Debug)]
pub(crate) struct RoleWorkers {
    /// Each once, whatever the number of its roles.
    workers: Vec<RowWorker>,
    /// The place of a role's worker.
    places: BTreeMap<Role, usize>,
}

impl RoleWorkers {
    /// The workers that `settings` bind roles to. They must not write to `protected`, nor to the folder of all runs.
    pub fn of(settings: &Settings, protected: &[PathBuf], runs: &Path) -> Result<Self, RunError> {
        let mut known: Vec<&RoleWorker> = Vec::new();
        let mut places = BTreeMap::new();
        for (role, bound) in &settings.role_workers {
            let is_same = |one: &&RoleWorker| {
                (&one.worker, one.max_runtime_seconds) == (&bound.worker, bound.max_runtime_seconds)
            };
            let place = known.iter().position(is_same).unwrap_or(known.len());
            if place == known.len() {
                known.push(bound);
            }
            places.insert(role.clone(), place);
        }
        let workers = known.into_iter().map(|bound| {
            let agent_protocol = adapter::agent_protocol(&bound.worker)?;
            let protocol = agent_protocol.as_ref();
            let sandbox = confinement::sandbox(&bound.worker, protocol, protected.to_vec(), runs)?;
            Ok(RowWorker {
                worker: bound.worker.clone(),
                agent_protocol,
                sandbox,
                max_runtime_seconds: bound.max_runtime_seconds,
                limits: None,
            })
        });
        Ok(Self {
            workers: workers.collect::<Result<_, RunError>>()?,
            places,
        })
    }

    /// All of them, to set the limits of their accounts.
    pub fn all_mut(&mut self) -> &mut [RowWorker] {
        &mut self.workers
    }

    /// The limits of the account that works a row, if it is not that of the run.
    pub fn limits_of(&self, id: &RowId) -> Option<&SharedLimits> {
        let place = *self.places.get(&RowKey::parse(id)?.role)?;
        self.workers[place].limits.as_deref()
    }

    /// Those of the rows of a wave.
    pub fn of_wave(&self, wave: &WaveCompiled) -> OtherWorkers {
        let place = |role: &Role| self.places.get(role).copied();
        let rows = wave.rows.iter();
        let rows: Vec<Option<usize>> = rows
            .map(|id| RowKey::parse(id).and_then(|key| place(&key.role)))
            .collect();
        match rows.iter().any(Option::is_some) {
            true => OtherWorkers {
                workers: self.workers.clone(),
                rows,
            },
            false => OtherWorkers::default(),
        }
    }
}
