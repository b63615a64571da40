//! `mesh doctor`: checks the setup and suggests fixes.

use super::args::RunOptions;
use super::context::Context;
use super::error::{CliError, with_causes};
use super::terminal::{Terminal, Tone};
use crate::run;
use crate::run::Finding;

/// Prints a line for each check; exit code 1 if one failed.
pub fn execute(args: &RunOptions, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let findings = run::examine(&super::run::request(args, context));
    for finding in &findings {
        if terminal.json {
            terminal.data(&as_json(finding, terminal))?;
            continue;
        }
        match &finding.result {
            Ok(text) => {
                let good = terminal.out_tone(Tone::Good, "ok  ");
                terminal.data(&format!("{good} {:<12} {text}", finding.subject))?;
            }
            Err(error) => {
                let (label, more) = match finding.alternative {
                    Some(more) => (terminal.out_tone(Tone::Note, "warn"), format!("; {more}")),
                    None => (terminal.out_tone(Tone::Bad, "FAIL"), String::new()),
                };
                let what = terminal.pasteable(&with_causes(error));
                terminal.data(&format!("{label} {:<12} {what}{more}", finding.subject))?;
                if let Some(hint) = error.hint() {
                    let hint = terminal.pasteable(&hint);
                    terminal.data(&format!("     {:<12} {hint}", "hint:"))?;
                }
            }
        }
    }
    Ok(u8::from(findings.iter().any(Finding::is_failure)))
}

fn as_json(finding: &Finding, terminal: &Terminal) -> String {
    let (text, hint) = match &finding.result {
        Ok(text) => (text.clone(), None),
        Err(error) => (
            terminal.pasteable(&with_causes(error)),
            error.hint().map(|hint| terminal.pasteable(&hint)),
        ),
    };
    let level = match &finding.result {
        Ok(_) => "ok",
        Err(_) if finding.is_failure() => "fail",
        Err(_) => "warning",
    };
    serde_json::json!({
        "what": finding.subject,
        "ok": finding.result.is_ok(),
        "level": level,
        "detail": text,
        "still_usable": finding.alternative,
        "hint": hint,
    })
    .to_string()
}
