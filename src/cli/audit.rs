//! `mesh audit`, and the audit at the end of `mesh run --audit`.

use super::archives::Opened;
use super::args::OneRun;
use super::context::Context;
use super::error::CliError;
use super::terminal::{Terminal, Tone};
use crate::audit::{Audit, Checked, Origin, audit};
use crate::report::AuditOutcome;
use std::fmt::Write;
use std::path::Path;

/// Findings of one check that are shown; the others are counted.
const SHOWN_MAX: usize = 20;

/// Judges a run and prints the verdict.
pub fn execute(args: &OneRun, context: &Context) -> Result<u8, CliError> {
    let given = Opened::by(&args.run, context)?;
    let folder = match given.folder() {
        Some(folder) => folder,
        None => args.path(context)?,
    };
    let audit = audit(&folder, given.origin())?;
    let terminal = &context.terminal;
    match terminal.json {
        true => terminal.data(&serde_json::to_string(&audit).unwrap_or_default())?,
        false => terminal.data(text(&audit, terminal).trim_end())?,
    }
    Ok(u8::from(!audit.is_clean()))
}

/// Judges a run that has just ended, for its report.
pub fn check_run(folder: &Path, terminal: &Terminal) -> Result<AuditOutcome, CliError> {
    let audit = audit(folder, Origin::Folder)?;
    match audit.is_clean() {
        true => terminal.talk(&format!("audit: {}", summary(&audit))),
        false => terminal.warn(&format!("audit: {}", text(&audit, terminal).trim_end())),
    }
    let broken = audit
        .checks
        .iter()
        .filter(|check| !check.findings.is_empty());
    let names: Vec<&str> = broken.map(|check| check.name).collect();
    Ok(AuditOutcome {
        is_clean: audit.is_clean(),
        summary: match names.as_slice() {
            [] => summary(&audit),
            names => format!("{}: {}", summary(&audit), names.join(", ")),
        },
    })
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
    if !audit.unchecked.is_empty() {
        text.push_str("\nNot checked:\n");
    }
    for what in &audit.unchecked {
        let _ = writeln!(text, "  - {what}");
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
        unchecked,
    } = audit;
    let so_far = match is_finished {
        true => "",
        false => " so far",
    };
    let broken = checks
        .iter()
        .filter(|check| !check.findings.is_empty())
        .count();
    let but = match unchecked.len() {
        0 => String::new(),
        1 => ", but 1 thing could not be checked".to_owned(),
        more => format!(", but {more} things could not be checked"),
    };
    match broken {
        0 => format!(
            "run {run_id}: all {} rules hold in {events} events{so_far}{but}",
            checks.len()
        ),
        broken => format!(
            "run {run_id}: {broken} of {} rules broken in {events} events{so_far}",
            checks.len()
        ),
    }
}
