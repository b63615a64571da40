//! What all waves of a run share: how its worker is spoken to, its budget, and the patience of the service behind it.

use crate::adapter;
use crate::job::{Dialect, Ration};
use crate::run::error::RunError;
use crate::run::settings::Settings;
use crate::run::store::State;
use std::sync::Arc;

/// Shared by every wave of a run.
pub(crate) struct Terms {
    pub dialect: Option<Arc<dyn Dialect>>,
    pub ration: Arc<Ration>,
}

impl Terms {
    /// Those of a run that has got as far as `state`.
    pub fn of(settings: &Settings, state: &State) -> Result<Self, RunError> {
        let dialect = adapter::dialect(&settings.worker)?;
        let has_service = dialect.as_ref().is_some_and(|it| it.has_service());
        let most = settings.bounds.max_concurrency;
        let wait_max = settings.bounds.rate_limit_wait_max();
        let ration = Ration::new(settings.budget, state.spent(), most, has_service, wait_max);
        ration.remember(state.account_until);
        Ok(Self {
            dialect,
            ration: Arc::new(ration),
        })
    }
}
