//! An adapter, and the user's options for selecting one.

use super::capabilities::Capabilities;
use super::error::AdapterError;
use crate::job::{Bounds, Budget, Worker};
use std::path::PathBuf;

/// The adapter for other runners: waves are written to files, and `mesh collect` imports the answers.
pub const EXTERNAL: &str = "external";

/// An adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its id in the preflight line and the report.
    pub name: String,
    /// The worker command.
    pub worker: Worker,
    /// What it can do.
    pub capabilities: Capabilities,
}

/// The options for selecting an adapter.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--adapter NAME`.
    pub name: Option<String>,
    /// `-- COMMAND …`.
    pub command: Vec<String>,
    /// `--answers DIR`.
    pub answers: Option<PathBuf>,
    /// `--env NAME`, repeatable.
    pub env_names: Vec<String>,
    /// `--model`.
    pub model: Option<String>,
    /// `--effort`.
    pub effort: Option<String>,
}

impl Adapter {
    /// The bounds of a job with this adapter: its own time limit can't be raised.
    pub fn bounded(&self, mut bounds: Bounds) -> Bounds {
        if let Some(most) = self.capabilities.max_runtime_seconds {
            bounds.max_runtime_seconds = bounds.max_runtime_seconds.min(most);
        }
        bounds
    }

    /// Checks that budgets of cost and tokens can be enforced.
    ///
    /// # Errors
    /// [`AdapterError::NoUsage`] where the adapter never says what it used.
    pub fn check_budget(&self, budget: &Budget) -> Result<(), AdapterError> {
        let can = &self.capabilities;
        let wishes = [
            (
                budget.max_tokens.is_some() && !can.tokens,
                "how many tokens it used",
                "--max-tokens",
            ),
            (
                budget.max_cost_usd.is_some() && !can.cost,
                "what it cost",
                "--max-cost-usd",
            ),
        ];
        match wishes.into_iter().find(|(is_in_vain, ..)| *is_in_vain) {
            Some((_, what, option)) => Err(AdapterError::NoUsage {
                adapter: self.name.clone(),
                what,
                option,
                wants_price: can.tokens,
            }),
            None => Ok(()),
        }
    }
}
