//! Arguments of `mesh learnings`.

use crate::learnings::Draft;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Arguments of `mesh learnings`.
#[derive(Clone, Debug, Args)]
pub struct LearningsArgs {
    /// The learnings file [default: .learnings.jsonl at the repository's root]
    #[arg(long, global = true, value_name = "F")]
    pub(crate) path: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: LearningsCommand,
}

/// The commands of `mesh learnings`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LearningsCommand {
    /// Add one learning
    ///
    /// White space is normalised. The same learning with the same status is added only once. Beside what is given, the
    /// record holds the time, the repository, its branch and the tracked files that are changed.
    #[command(
        after_help = "Example:\n  mesh learnings append --status do_more \\\n    --learning 'Run the focused test before the whole suite' \\\n    --evidence 'st-003: 2 s instead of 41 s until the failure showed' \\\n    --application 'Put the focused test first in validation' --tag testing\n\nPrints `appended: id=... status=... path=...`; for a learning that is there already\n`duplicate-skip: fingerprint=... existing_id=... path=...` on standard error.\n\nExit codes: 0 also for a duplicate, 1 for an empty learning, 2 for all else."
    )]
    Append(AppendArgs),
    /// Show learnings, best first
    ///
    /// Ranked by words in common with the query (rare ones count more), recency (halves every 30 days) and status
    /// (codify_now, then do_more and do_less, then others, then review_later). Without a query by recency and status.
    /// Learnings that a later one supersedes come last.
    #[command(
        after_help = "Example:\n  mesh learnings recall --query 'flaky parser test'\n  mesh learnings recall --status codify_now --limit 20 --json"
    )]
    Recall(RecallArgs),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AppendArgs {
    /// How firm it is: codify_now, do_more, do_less, review_later or a word of your own [default: review_later]
    #[arg(long, value_name = "S")]
    status: Option<String>,
    /// What was learned, in a sentence
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    learning: String,
    /// What shows it; may be repeated [default: none_provided]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    evidence: Vec<String>,
    /// What to do with it [default: capture_follow_up_later]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    application: Option<String>,
    /// A word to find it by; may be repeated, or A,B
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// A learning that belongs to it; may be repeated
    #[arg(long = "related-id", value_name = "ID")]
    related_ids: Vec<String>,
    /// The learning that it takes the place of
    #[arg(long, value_name = "ID")]
    supersedes_id: Option<String>,
    /// The repository's name in the record, as it is (for a folder there is -C) [default: owner/name of origin, else the
    /// folder's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) repo: Option<String>,
    /// Who captures it [default: skill:learnings]
    #[arg(long, value_name = "WHO")]
    source: Option<String>,
    /// Add it also when it is there already
    #[arg(long)]
    pub(crate) allow_duplicate: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RecallArgs {
    /// Only learnings with at least one of these words; none when there is no word in it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) query: Option<String>,
    /// The most learnings to show
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
    /// Only learnings of this status; may be repeated
    #[arg(long = "status", value_name = "S")]
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
