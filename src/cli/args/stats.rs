//! The options of `mesh stats`.

use super::values;
use super::values::{RunHomeArgs, Since};
use crate::report::stats::By;
use clap::{Args, ValueEnum};

/// Arguments of `mesh stats`.
#[derive(Clone, Debug, Args)]
pub struct StatsArgs {
    /// The runs: ids, folders or archives of `mesh runs export`; by default, all that `mesh runs list` lists
    #[arg(value_name = "RUN", conflicts_with = "since")]
    pub runs: Vec<String>,
    /// Only runs that started since then: an age, such as 30d or 12h, or a date or time of RFC 3339, in UTC
    #[arg(long, value_name = "WHEN", value_parser = values::since)]
    pub since: Option<Since>,
    /// Also sum up the tasks by protocol, role, adapter, model or risk
    #[arg(long, value_name = "WHAT", hide_possible_values = true)]
    pub by: Option<Grouping>,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

/// What to group tasks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Grouping {
    /// The protocol that a task ended under
    Protocol,
    /// The role of its rows
    Role,
    /// The adapter of its run
    Adapter,
    /// The model of its run
    Model,
    /// Its risk
    Risk,
}

impl From<Grouping> for By {
    fn from(grouping: Grouping) -> Self {
        match grouping {
            Grouping::Protocol => By::Protocol,
            Grouping::Role => By::Role,
            Grouping::Adapter => By::Adapter,
            Grouping::Model => By::Model,
            Grouping::Risk => By::Risk,
        }
    }
}
