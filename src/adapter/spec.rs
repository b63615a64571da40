//! An adapter, and the user's options for selecting one.

use super::capabilities::Capabilities;
use super::error::AdapterError;
use crate::job::{Budget, Worker};
use std::path::PathBuf;

/// The adapter for other runners: waves are written to files, and `mesh collect` imports the answers.
pub const EXTERNAL: &str = "external";

/// The adapter that starts no process and answers `{}` for each row: it measures what a row costs without a worker, and is in no
/// list.
pub const NOOP: &str = "noop";

/// The adapter for recorded answers.
pub const REPLAY: &str = "replay";

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
    /// Checks that budgets of cost and tokens can be enforced.
    ///
    /// # Errors
    /// [`AdapterError::NoUsage`] if the adapter does not report its usage.
    pub fn check_budget(&self, budget: &Budget) -> Result<(), AdapterError> {
        let can = &self.capabilities;
        let unenforceable = [
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
        match unenforceable.into_iter().find(|(is_given, ..)| *is_given) {
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
