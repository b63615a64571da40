//! The rows of `mesh runs show`: the failed ones, and one in full.

use super::context::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use crate::model::{
    RunId, Usage, VerdictRecord, WaveNo, one_line, shell_word, visible_lines, with_code,
};
use crate::platform::look;
use crate::report::{AttemptHistory, FailedRow, RowDetail, RowHistory, tail};
use crate::run::{RunError, RunFolder, State, resume_command};
use serde_json::Value;
use std::path::Path;

/// The number of failed rows that are listed by default.
const LISTED_MAX: usize = 20;
/// The maximum size of the shown end of a log, and its number of lines.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// Lists failed rows with reason and log: the first ones, or all.
pub fn failed_text(failed: &[FailedRow], run: &RunId, all: bool, terminal: &Terminal) -> String {
    let mut text = String::new();
    if failed.is_empty() {
        return text;
    }
    text.push_str("\nFailed rows");
    let listed = if all { failed.len() } else { LISTED_MAX };
    for row in failed.iter().take(listed) {
        let id = terminal.out_tone(Tone::Bad, &one_line(row.item_id.as_str()));
        text.push_str(&format!("\n  {id}  {}", one_line(&row.last_error)));
        match &row.log_path {
            Some(path) => text.push_str(&format!("\n    log: {}", path.display())),
            None => text.push_str("\n    log: none kept"),
        }
    }
    if let Some(more @ 1..) = failed.len().checked_sub(listed) {
        let command = terminal.pasteable(&format!("mesh runs show {run} --failed"));
        text.push_str(&format!("\n  and {more} more: {command}"));
    }
    if let Some(first) = failed.first() {
        let row = shell_word(first.item_id.as_str());
        let command = terminal.pasteable(&format!("mesh runs show {run} --row {row}"));
        text.push_str(&format!("\n  show a row: {command}"));
    }
    text
}

/// The usage of a run, or a note that its agent does not report it.
pub fn usage_text(usage: Option<Usage>) -> String {
    match usage {
        None => "not reported by this agent".to_owned(),
        Some(usage) if usage.cost_usd.is_none() => {
            format!("{usage}; cost not reported by this agent")
        }
        Some(usage) => usage.to_string(),
    }
}

/// Shows one row in full, by its id, by the id as it is shown, or for a spawned CSV by its number.
pub fn show(
    folder: &RunFolder,
    state: &State,
    given: &str,
    context: &Context,
) -> Result<(), CliError> {
    let detail = RowDetail::read(folder, state, given)?;
    if context.terminal.json {
        let object = serde_json::to_string(&detail).unwrap_or_default();
        return Ok(context.terminal.data(&object)?);
    }
    let RowDetail {
        item_id,
        prompt,
        row: story,
        ..
    } = detail;
    let mut text = row_text(
        &item_id,
        prompt.as_deref(),
        story.as_ref(),
        &context.terminal,
    );
    if let Some(story) = &story {
        text.push_str(&violation_text(
            folder,
            state,
            story.wave,
            &context.terminal,
        )?);
    }
    if let Some(command) = retry_command(folder, state, story.as_ref()) {
        let command = context.terminal.pasteable(&command);
        text.push_str(&format!("\nTry again\n  {command}\n"));
    }
    Ok(context.terminal.data(text.trim_end())?)
}

/// The command that starts a failed row again: with all failed rows of its CSV, or with the rest of its run.
fn retry_command(folder: &RunFolder, state: &State, story: Option<&RowHistory>) -> Option<String> {
    let is_done = story.is_some_and(|story| story.status == "completed");
    match (&state.spawned, &state.finished) {
        (Some(_), _) if story.is_some_and(|story| story.status == "failed") => {
            Some(format!("mesh resume {} --retry-failed", folder.id()))
        }
        (_, None) if !is_done => Some(resume_command(folder.id())),
        _ => None,
    }
}

fn row_text(
    id: &str,
    prompt: Option<&str>,
    story: Option<&RowHistory>,
    terminal: &Terminal,
) -> String {
    let status = story.map_or("pending", |story| story.status);
    let mut text = format!("row {} {status}\n", one_line(id));
    if let Some(prompt) = prompt {
        text.push_str(&format!("\nPrompt\n{}\n", indented(prompt.trim_end())));
    }
    for attempt in story.iter().flat_map(|story| &story.attempts) {
        text.push_str(&attempt_text(attempt));
    }
    if let Some(result) = story.and_then(|story| story.result.as_ref()) {
        text.push_str(&answer_text(result, terminal));
    }
    if let Some(verdict) = story.and_then(|story| story.verdict.as_ref()) {
        text.push_str(&verdict_text(verdict));
    }
    text
}

/// The answer as JSON; its patch as a diff of its own.
fn answer_text(result: &Value, terminal: &Terminal) -> String {
    let mut result = result.clone();
    let patch = result
        .as_object_mut()
        .and_then(|object| object.shift_remove("patch"));
    let mut text = format!("\nAnswer\n{}\n", indented(&format!("{result:#}")));
    let patch = patch
        .as_ref()
        .and_then(Value::as_str)
        .filter(|patch| !patch.trim().is_empty());
    if let Some(patch) = patch {
        text.push_str(&format!("\nPatch\n{}", diff_text(patch, terminal)));
    }
    text
}

/// What changed in the tree or the plan while the wave of the row ran; empty if nothing did, or it is not known.
fn violation_text(
    folder: &RunFolder,
    state: &State,
    wave: WaveNo,
    terminal: &Terminal,
) -> Result<String, CliError> {
    let mut violations = state.violations.iter().filter(|one| one.wave == wave);
    let Some(diff) = violations.find_map(|one| one.diff.as_ref()) else {
        return Ok(String::new());
    };
    let path = folder.path().join(diff);
    let found = look::found(std::fs::read(&path));
    let Some(diff) = found.map_err(|source| RunError::Io { path, source })? else {
        return Ok(String::new());
    };
    let diff = diff_text(&String::from_utf8_lossy(&diff), terminal);
    Ok(format!("\nChanged while workers ran\n{diff}"))
}

/// A diff, indented, in the colours of its lines.
fn diff_text(diff: &str, terminal: &Terminal) -> String {
    let lines = diff.lines().map(|line| diff_line(line, terminal));
    lines.map(|line| format!("  {line}\n")).collect()
}

/// A line of a diff, in the colour of its kind.
fn diff_line(line: &str, terminal: &Terminal) -> String {
    let tone = match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Note,
        _ => return visible_lines(line),
    };
    terminal.out_tone(tone, line)
}

fn verdict_text(verdict: &VerdictRecord) -> String {
    let mut text = format!("\nVerdict\n  {}", verdict.verdict.as_str());
    if let Some(code) = &verdict.code {
        let detail = verdict.detail.as_deref().unwrap_or_default();
        text.push_str(&format!(": {}", visible_lines(&with_code(code, detail))));
    }
    if let Some(checks) = &verdict.checks {
        text.push_str(&format!("\n{}", indented(&visible_lines(checks))));
    }
    text + "\n"
}

fn attempt_text(attempt: &AttemptHistory) -> String {
    let end = match attempt.end {
        None => "has not ended".to_owned(),
        Some(end) => serde_json::to_value(end)
            .ok()
            .and_then(|name| name.as_str().map(|name| name.replace('_', " ")))
            .unwrap_or_default(),
    };
    let seconds = attempt.duration_ms as f64 / 1000.0;
    let mut text = format!("\nAttempt {}: {end} after {seconds:.1}s\n", attempt.attempt);
    if let Some(feedback) = &attempt.told {
        let how = match feedback.instead_of_prompt {
            true => "its prompt, in the session of the previous attempt",
            false => "added to its prompt",
        };
        let feedback = indented(&indented(feedback.text.trim_end()));
        text.push_str(&format!("  {how}:\n{feedback}\n"));
    }
    if let Some(error) = &attempt.error {
        text.push_str(&format!("  {}\n", one_line(error)));
    }
    text.push_str(&format!("  used: {}\n", usage_text(attempt.usage)));
    for path in &attempt.log_paths {
        text.push_str(&format!("  log: {}\n", path.display()));
    }
    if let Some(tail) = attempt.log_paths.first().and_then(|path| last_lines(path)) {
        text.push_str(&format!("  last lines:\n{}\n", indented(&indented(&tail))));
    }
    text
}

/// The last lines of a log; `None` if it is empty or can't be read.
fn last_lines(path: &Path) -> Option<String> {
    let text = tail(path, TAIL_BYTES)?;
    let lines: Vec<&str> = text.lines().collect();
    Some(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
