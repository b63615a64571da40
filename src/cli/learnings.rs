//! `mesh learnings`: capturing what was learned, and finding it again.

use super::args::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use crate::clock;
use crate::learnings::recall::{Query, recall};
use crate::learnings::{
    BadLine, Contents, Draft, Duplicates, NewRecord, Outcome, Place, Store, view,
};
use crate::model::{one_line, visible};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// The most lines of a file that are named as damaged.
const BAD_LINES_SHOWN_MAX: usize = 5;

/// Arguments of `mesh learnings`.
#[derive(Clone, Debug, Args)]
pub struct LearningsArgs {
    /// The learnings file [default: .learnings.jsonl at the repository's root]
    #[arg(long, global = true, value_name = "F")]
    path: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    command: LearningsCommand,
}

/// The commands of `mesh learnings`.
#[derive(Clone, Debug, Subcommand)]
enum LearningsCommand {
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
struct AppendArgs {
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
    repo: Option<String>,
    /// Who captures it [default: skill:learnings]
    #[arg(long, value_name = "WHO")]
    source: Option<String>,
    /// Add it also when it is there already
    #[arg(long)]
    allow_duplicate: bool,
}

#[derive(Clone, Debug, Args)]
struct RecallArgs {
    /// Only learnings with at least one of these words; none when there is no word in it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    query: Option<String>,
    /// The most learnings to show
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only learnings of this status; may be repeated
    #[arg(long = "status", value_name = "S")]
    statuses: Vec<String>,
}

/// Appends a learning or shows some.
pub fn execute(args: &LearningsArgs, context: &Context) -> Result<u8, CliError> {
    let path = args.path.as_ref().map(|path| context.folder.join(path));
    match &args.command {
        LearningsCommand::Append(args) => append(args, path, context)?,
        LearningsCommand::Recall(args) => show(args, path, context)?,
    }
    Ok(0)
}

fn append(args: &AppendArgs, path: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let place = Place::of(&context.folder)?;
    let store = Store::at(path.unwrap_or_else(|| place.file()));
    let mut captured_in = place.context(store.file())?;
    if let Some(repo) = &args.repo {
        captured_in.repo = repo.trim().to_owned();
    }
    let record = NewRecord::new(&args.draft(), captured_in, clock::now())?;
    let duplicates = match args.allow_duplicate {
        true => Duplicates::Allow,
        false => Duplicates::Skip,
    };
    let appended = store.append(&record, duplicates)?;
    warn(&appended.bad_lines, &store, &context.terminal);
    match appended.outcome {
        Outcome::Appended => say_appended(&record, &store, &context.terminal),
        Outcome::Duplicate { existing_id } => {
            say_duplicate(&record, &existing_id, &store, &context.terminal)
        }
    }
}

impl AppendArgs {
    fn draft(&self) -> Draft {
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

fn say_appended(record: &NewRecord, store: &Store, terminal: &Terminal) -> Result<(), CliError> {
    let (id, status) = (record.id(), record.status());
    let text = match terminal.json {
        true => view::one_json_line(&json!({
            "appended": true,
            "id": id,
            "status": status,
            "fingerprint": record.fingerprint(),
            "path": store.file().to_string_lossy(),
        })),
        false => format!("appended: id={id} status={status} path={}", shown(store)),
    };
    Ok(terminal.data(&text)?)
}

fn say_duplicate(
    record: &NewRecord,
    existing_id: &str,
    store: &Store,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let fingerprint = record.fingerprint();
    terminal.talk(&format!(
        "duplicate-skip: fingerprint={fingerprint} existing_id={} path={}",
        one_line(existing_id),
        shown(store)
    ));
    if terminal.json {
        terminal.data(&view::one_json_line(&json!({
            "appended": false,
            "fingerprint": fingerprint,
            "existing_id": existing_id,
            "path": store.file().to_string_lossy(),
        })))?;
    }
    Ok(())
}

fn show(args: &RecallArgs, path: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let file = match path {
        Some(path) => path,
        None => Place::of(&context.folder)?.file(),
    };
    let store = Store::at(file);
    let bytes = store.read()?;
    let contents = Contents::parse(&bytes);
    let terminal = &context.terminal;
    warn(&contents.bad_lines, &store, terminal);
    let query = Query {
        text: args.query.clone(),
        statuses: args.statuses.clone(),
        limit: args.limit as usize,
    };
    let found = recall(&contents.records, clock::now(), &query);
    if terminal.json {
        return Ok(terminal.data(&view::json(&found))?);
    }
    if !found.is_empty() {
        return Ok(terminal.data(&painted(&view::text(&found), terminal))?);
    }
    let file = shown(&store);
    let asks_nothing = |text: &String| !text.contains(char::is_alphanumeric);
    terminal.talk(&match contents.records.len() {
        0 => format!("no learnings in {file}"),
        _ if args.query.as_ref().is_some_and(asks_nothing) => format!(
            "nothing found: there is no word in the query; leave --query out to see what {file} has"
        ),
        1 => format!("nothing found; {file} has 1 learning"),
        all => format!("nothing found; {file} has {all} learnings"),
    });
    Ok(())
}

/// The line that begins a record is the one without an indent.
fn painted(text: &str, terminal: &Terminal) -> String {
    let paint = |line: &str| match line.is_empty() || line.starts_with(' ') {
        true => line.to_owned(),
        false => terminal.out_tone(Tone::Note, line),
    };
    text.lines().map(paint).collect::<Vec<_>>().join("\n")
}

fn warn(bad_lines: &[BadLine], store: &Store, terminal: &Terminal) {
    let file = shown(store);
    for bad in bad_lines.iter().take(BAD_LINES_SHOWN_MAX) {
        terminal.warn(&format!("`{file}`, {bad}; kept and skipped"));
    }
    if bad_lines.len() > BAD_LINES_SHOWN_MAX {
        let more = bad_lines.len() - BAD_LINES_SHOWN_MAX;
        terminal.warn(&format!("`{file}`: {more} more such lines"));
    }
}

fn shown(store: &Store) -> String {
    visible(&store.file().to_string_lossy())
}
