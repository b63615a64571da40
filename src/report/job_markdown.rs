//! The summary of a spawned CSV as Markdown.

use super::markdown::{code_span, escape};
use crate::job::Summary;
use crate::model::{RunId, counted};

/// The summary of the job of run `run`: counts, why it ended early, the first failed rows, the output.
pub fn job_markdown(summary: &Summary, run: &RunId) -> String {
    let mut text = format!(
        "## mesh spawn {}: {}\n\n{} of {} completed, {} failed",
        escape(run.as_str()),
        escape(&summary.status),
        summary.completed_items,
        counted(summary.total_items, "row"),
        summary.failed_items,
    );
    if let Some(error) = &summary.job_error {
        text.push_str(&format!(" ({})", escape(error)));
    }
    text.push_str(".\n");
    let failed = summary.failed_item_errors.as_deref().unwrap_or_default();
    if !failed.is_empty() {
        text.push_str("\n| failed row | error |\n| --- | --- |\n");
    }
    for row in failed {
        let (id, error) = (escape(&row.item_id), escape(&row.last_error));
        text.push_str(&format!("| {id} | {error} |\n"));
    }
    let more = summary.failed_items - summary.failed_items.min(failed.len() as u64);
    if more > 0 {
        text.push_str(&format!("\nand {more} more\n"));
    }
    if let Some(usage) = &summary.usage {
        text.push_str(&format!("\nused: {}\n", escape(&usage.to_string())));
    }
    let output = summary.output_csv_path.display().to_string();
    text.push_str(&format!(
        "\noutput: {}\n\n`mesh_run_id={run}`\n",
        code_span(&output)
    ));
    text
}
