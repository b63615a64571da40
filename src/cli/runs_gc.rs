//! `mesh runs gc`: removes old runs.

use super::args::GcArgs;
use super::context::Context;
use super::error::CliError;
use crate::model::counted;
use crate::platform::clock;
use crate::report::run_summary::{RunSummary, size};
use crate::run::{RunFolder, discard_unstarted, empty_trash};

/// Removes the runs that ended long enough ago.
pub fn execute(args: &GcArgs, context: &Context) -> Result<u8, CliError> {
    let home = args.home.folder(context)?;
    let terminal = &context.terminal;
    let before = clock::now().as_millisecond() - args.older_than.as_millis() as i64;
    let (mut removed, mut freed, mut open, mut failed) = (0, 0, 0, 0);
    for folder in RunFolder::list(&home)? {
        let summary = match RunSummary::of(&folder) {
            Ok(summary) => summary,
            Err(error) => {
                terminal.warn(&format!("kept: {}", super::error::with_causes(&error)));
                continue;
            }
        };
        if summary.span_ms.1 >= before {
            continue;
        }
        // A ledger without a record is that of a run that was killed before it began.
        if summary.is_open && folder.kind()?.is_some() {
            open += 1;
            continue;
        }
        if args.keep_failed && summary.exit_code != Some(0) {
            failed += 1;
            continue;
        }
        if !args.dry_run && !folder.discard(&home)? {
            open += 1;
            continue;
        }
        removed += 1;
        freed += summary.disk_bytes;
        let line = match terminal.json {
            true => serde_json::json!({"mesh_run_id": folder.id(), "bytes": summary.disk_bytes, "removed": !args.dry_run}).to_string(),
            false => format!("{}  {}  {}", folder.id(), summary.disk(), summary.work),
        };
        terminal.data(&line)?;
    }
    removed += discard_unstarted(&home, before, args.dry_run)?;
    if !args.dry_run {
        empty_trash(&home)?;
    }
    let verb = if args.dry_run {
        "would be removed"
    } else {
        "removed"
    };
    terminal.talk(&format!(
        "{} {verb}, {} freed",
        counted(removed, "run"),
        size(freed)
    ));
    for (count, why) in [(open, "not ended"), (failed, "failed")] {
        if count > 0 {
            terminal.talk(&format!("kept: {} {why}", counted(count, "old run")));
        }
    }
    Ok(0)
}
