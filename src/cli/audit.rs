//! `mesh audit`, and the audit at the end of `mesh run --audit`.

use super::args::OneRun;
use super::context::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use crate::audit::{Audit, Checked, audit};
use std::fmt::Write;
use std::path::Path;

/// Findings of one check that are shown; the others are counted.
const SHOWN_MAX: usize = 20;

/// Judges a run and prints the verdict.
pub fn execute(args: &OneRun, context: &Context) -> Result<u8, CliError> {
    let audit = audit(&args.path(context)?)?;
    let terminal = &context.terminal;
    match terminal.json {
        true => terminal.data(&serde_json::to_string(&audit).unwrap_or_default())?,
        false => terminal.data(text(&audit, terminal).trim_end())?,
    }
    Ok(u8::from(!audit.is_clean()))
}

/// Judges a run that has just ended; `false` if a rule is broken.
pub fn check_run(folder: &Path, terminal: &Terminal) -> Result<bool, CliError> {
    let audit = audit(folder)?;
    match audit.is_clean() {
        true => terminal.talk(&format!("audit: {}", summary(&audit))),
        false => terminal.warn(&format!("audit: {}", text(&audit, terminal).trim_end())),
    }
    Ok(audit.is_clean())
}

fn text(audit: &Audit, terminal: &Terminal) -> String {
    let mut text = format!("{}\n\n", summary(audit));
    for check in &audit.checks {
        let (tone, word) = match check.findings.is_empty() {
            true => (Tone::Good, "ok    "),
            false => (Tone::Bad, "BROKEN"),
        };
        let word = terminal.out_tone(tone, word);
        let _ = writeln!(text, "  {word}  {}", check.name);
        write_findings(&mut text, check);
    }
    text
}

fn write_findings(text: &mut String, check: &Checked) {
    if !check.findings.is_empty() {
        let _ = writeln!(text, "          {}", check.rule);
    }
    for finding in check.findings.iter().take(SHOWN_MAX) {
        let line = finding
            .line
            .map_or(String::new(), |line| format!("line {line}, "));
        let _ = writeln!(
            text,
            "          - {line}{}: {}",
            finding.place, finding.detail
        );
    }
    if let Some(more) = check
        .findings
        .len()
        .checked_sub(SHOWN_MAX)
        .filter(|more| *more > 0)
    {
        let _ = writeln!(text, "          - and {more} more; see --json");
    }
}

fn summary(audit: &Audit) -> String {
    let Audit {
        run_id,
        events,
        is_finished,
        checks,
    } = audit;
    let so_far = match is_finished {
        true => "",
        false => " so far",
    };
    let broken = checks
        .iter()
        .filter(|check| !check.findings.is_empty())
        .count();
    match broken {
        0 => format!(
            "run {run_id}: all {} rules hold in {events} events{so_far}",
            checks.len()
        ),
        broken => format!(
            "run {run_id}: {broken} of {} rules broken in {events} events{so_far}",
            checks.len()
        ),
    }
}
