//! What a joined run shares with others: leases, its heartbeat, and the changes that each of them made.

use crate::integrate::{JoinFolder, RepoLock};
use crate::model::{RunId, RunProcess, UnitId};
use crate::run::error::RunError;
use crate::run::store::leases::own_process;
use crate::run::store::{HeartbeatThread, Leases, TreeChanges};
use crate::schedule::Standing;
use crate::scope::{Claims, Reach};
use std::collections::BTreeSet;

/// What a joined run shares with others.
pub(super) struct Join {
    pub folder: JoinFolder,
    pub owner: RunProcess,
    pub leases: Leases,
    pub changes: TreeChanges,
    pub heartbeat: Option<HeartbeatThread>,
}

impl Join {
    /// Of the run that holds `lock`, if it has joined.
    pub fn of(lock: &RepoLock, run: &RunId) -> Option<Self> {
        let folder = lock.joined()?;
        let owner = own_process(run);
        Some(Self {
            leases: Leases::new(folder, owner.clone()),
            changes: TreeChanges::new(folder),
            folder: folder.clone(),
            owner,
            heartbeat: None,
        })
    }

    /// The paths that tasks of other runs may touch.
    pub fn claim_all(&self, claims: &mut Claims) -> Result<(), RunError> {
        self.claim(claims, |_| true)
    }

    /// The same of the runs that are at work.
    pub fn claim_alive(&self, claims: &mut Claims) -> Result<(), RunError> {
        self.claim(claims, |standing| standing == Standing::Alive)
    }

    fn claim(
        &self,
        claims: &mut Claims,
        is_meant: impl Fn(Standing) -> bool,
    ) -> Result<(), RunError> {
        for (lease, standing) in self.leases.of_others() {
            if is_meant(standing) {
                claims.add(Reach::new(&lease.scope).map_err(RunError::SharedPaths)?);
            }
        }
        Ok(())
    }

    /// The tasks of other runs that are at work, and those whose leases have expired.
    pub fn units(&self) -> (BTreeSet<UnitId>, BTreeSet<UnitId>) {
        let of = |wanted| {
            let leases = self.leases.of_others();
            let leases = leases.filter(move |(_, standing)| *standing == wanted);
            leases.map(|(lease, _)| lease.unit.clone()).collect()
        };
        (of(Standing::Alive), of(Standing::Expired))
    }
}
