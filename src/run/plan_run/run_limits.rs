//! What all waves of a run share: the protocol of its agent, its budget, and the limits of each account.

use super::role_workers::RoleWorkers;
use crate::adapter;
use crate::job::{AgentProtocol, SharedLimits};
use crate::model::RowId;
use crate::run::error::RunError;
use crate::run::settings::Settings;
use crate::run::store::State;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shared by every wave of a run.
pub(crate) struct RunLimits {
    pub agent_protocol: Option<Arc<dyn AgentProtocol>>,
    pub limits: Arc<SharedLimits>,
    /// The workers of roles that are bound to others.
    pub role_workers: RoleWorkers,
}

impl RunLimits {
    /// The limits of a run in `state`.
    pub fn of(
        settings: &Settings,
        state: &State,
        mut role_workers: RoleWorkers,
    ) -> Result<Self, RunError> {
        let agent_protocol = adapter::agent_protocol(&settings.worker)?;
        let has_service = |protocol: Option<&Arc<dyn AgentProtocol>>| {
            protocol.is_some_and(|protocol| protocol.has_service())
        };
        let most = settings.options.bounds.max_concurrency;
        let wait_max = settings.options.bounds.rate_limit_wait_max();
        let limits = SharedLimits::new(
            settings.options.budget,
            state.spent(),
            most,
            has_service(agent_protocol.as_ref()),
            wait_max,
        );
        let limits = Arc::new(limits);
        let mut accounts = BTreeMap::from([(adapter::account(&settings.worker), limits.clone())]);
        for other in role_workers.all_mut() {
            let account = accounts.entry(adapter::account(&other.worker));
            let has_service = has_service(other.agent_protocol.as_ref());
            let own =
                account.or_insert_with(|| Arc::new(limits.beside(most, has_service, wait_max)));
            other.limits = (!Arc::ptr_eq(own, &limits)).then(|| Arc::clone(own));
        }
        // The ledger does not say whose limit it was.
        if accounts.len() == 1 {
            limits.remember(state.account_until);
        }
        Ok(Self {
            agent_protocol,
            limits,
            role_workers,
        })
    }

    /// The limits of the account that works a row.
    pub fn of_row(&self, id: &RowId) -> &SharedLimits {
        self.role_workers.limits_of(id).unwrap_or(&self.limits)
    }
}
