//! `mesh learnings`: appending learnings, and recalling them.

use super::args::{AppendArgs, LearningsArgs, LearningsCommand, RecallArgs};
use super::context::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use crate::learnings::{
    BadLine, Contents, Duplicates, NewRecord, Outcome, Place, Query, Store, recall, view,
};
use crate::model::{one_line, visible};
use crate::platform::clock;
use serde_json::json;
use std::path::PathBuf;

/// The maximum number of damaged lines that are reported.
const BAD_LINES_SHOWN_MAX: usize = 5;

/// Runs a subcommand.
pub fn execute(args: &LearningsArgs, context: &Context) -> Result<u8, CliError> {
    let path = args.path.as_ref().map(|path| context.folder.join(path));
    match &args.command {
        LearningsCommand::Append(args) => append(args, path, context)?,
        LearningsCommand::Recall(args) => show(args, path, context)?,
    }
    Ok(0)
}

fn append(args: &AppendArgs, path: Option<PathBuf>, context: &Context) -> Result<(), CliError> {
    let place = Place::find(&context.folder)?;
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
        None => Place::find(&context.folder)?.file(),
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
    let has_no_word = |text: &String| !text.contains(char::is_alphanumeric);
    terminal.talk(&match contents.records.len() {
        0 => format!("no learnings in {file}"),
        _ if args.query.as_ref().is_some_and(has_no_word) => format!(
            "nothing found: the query contains no word; leave --query out to list the learnings in {file}"
        ),
        1 => format!("nothing found; {file} has 1 learning"),
        all => format!("nothing found; {file} has {all} learnings"),
    });
    Ok(())
}

/// Colours the first line of each record, the one without an indent.
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
