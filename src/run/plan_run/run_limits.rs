//! What all waves of a run share: the protocol of its agent, its budget, and the limits of the service.

use super::role_workers::RoleWorkers;
use crate::adapter;
use crate::job::{AgentProtocol, SharedLimits};
use crate::run::error::RunError;
use crate::run::settings::Settings;
use crate::run::store::State;
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
        role_workers: RoleWorkers,
    ) -> Result<Self, RunError> {
        let agent_protocol = adapter::agent_protocol(&settings.worker)?;
        let has_service = agent_protocol.as_ref().is_some_and(|it| it.has_service())
            || role_workers.have_service();
        let most = settings.options.bounds.max_concurrency;
        let wait_max = settings.options.bounds.rate_limit_wait_max();
        let limits = SharedLimits::new(
            settings.options.budget,
            state.spent(),
            most,
            has_service,
            wait_max,
        );
        limits.remember(state.account_until);
        Ok(Self {
            agent_protocol,
            limits: Arc::new(limits),
            role_workers,
        })
    }
}
