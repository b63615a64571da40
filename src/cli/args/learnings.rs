//! Arguments of `mesh learnings`.

use crate::learnings::Draft;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `mesh learnings`.
#[derive(Clone, Debug, Args)]
pub struct LearningsArgs {
    /// The learnings file [default: .learnings.jsonl at the root of the repository]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) path: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: LearningsCommand,
}

/// The commands of `mesh learnings`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LearningsCommand {
    /// Append one learning
    ///
    /// White space is normalised. A learning that exists with the same status is not appended again. The record also holds
    /// the time, the repository, its branch and its modified files.
    Append(AppendArgs),
    /// Show learnings, best match first
    ///
    /// Ranked by the words that they share with the query (rare words count more), by age (the weight halves every 30 days)
    /// and by status (codify_now, then do_more and do_less, then others, then review_later). Without a query, by age and
    /// status. Learnings that a later one supersedes come last.
    Recall(RecallArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AppendArgs {
    /// Status: codify_now, do_more, do_less, review_later or a word of your own [default: review_later]
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// What was learned, in one sentence
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    learning: String,
    /// Evidence for it; may be repeated [default: none_provided]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    evidence: Vec<String>,
    /// How to apply it [default: capture_follow_up_later]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    application: Option<String>,
    /// Tag to find it by; may be repeated, or A,B
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Id of a related learning; may be repeated
    #[arg(long = "related-id", value_name = "ID")]
    related_ids: Vec<String>,
    /// Id of the learning that this one replaces
    #[arg(long, value_name = "ID")]
    supersedes_id: Option<String>,
    /// Name of the repository in the record; does not change the folder, see -C [default: owner/name of origin, else the
    /// name of the folder]
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: Option<String>,
    /// Who records it [default: skill:learnings]
    #[arg(long, value_name = "WHO")]
    source: Option<String>,
    /// Append it even if it already exists
    #[arg(long)]
    pub(crate) allow_duplicate: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RecallArgs {
    /// Show only learnings that contain at least one of these words; a query without a word matches nothing
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) query: Option<String>,
    /// Maximum number of learnings to show
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Show only learnings with this status; may be repeated
    #[arg(long = "status", value_name = "STATUS")]
    pub(crate) statuses: Vec<String>,
}

impl AppendArgs {
    pub(crate) fn draft(&self) -> Draft {
        let given = |text: &Option<String>| text.clone().unwrap_or_default();
        Draft {
            status: given(&self.status),
            learning: self.learning.clone(),
            evidence: self.evidence.clone(),
            application: given(&self.application),
            tags: self.tags.clone(),
            related_ids: self.related_ids.clone(),
            supersedes_id: given(&self.supersedes_id),
            source: given(&self.source),
        }
    }
}
