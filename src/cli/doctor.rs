//! `mesh doctor`: checks the setup and suggests fixes.

use super::args::{RunOptions, SkillPlace};
use super::context::Context;
use super::error::{CliError, with_causes};
use super::terminal::{Terminal, Tone};
use crate::run;
use crate::run::Finding;
use crate::skill::{Copy, Level, State};

/// Prints a line for each check; exit code 1 if one failed.
pub fn execute(args: &RunOptions, context: &Context) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    let findings = run::examine(&super::run::request(args, context)?);
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
    for copy in super::skill::installed(&SkillPlace::default(), context)? {
        print_skill(&copy, terminal)?;
    }
    Ok(u8::from(findings.iter().any(Finding::is_failure)))
}

/// A copy of the skill that differs is a warning; none is no fault.
fn print_skill(copy: &Copy, terminal: &Terminal) -> Result<(), CliError> {
    let is_current = copy.state == State::Current;
    let text = format!("{}: {}", copy.path.display(), super::skill::word(copy));
    let level = match copy.level {
        Level::Project => "--project",
        Level::User => "--user",
    };
    let hint = format!("mesh skill install --for {} {level}", copy.agent.name());
    let hint = terminal.pasteable(&hint);
    if terminal.json {
        let level = if is_current { "ok" } else { "warning" };
        let object = serde_json::json!({
            "what": "skill", "ok": is_current, "level": level, "detail": text, "still_usable": null,
            "hint": (!is_current).then_some(hint),
        });
        return Ok(terminal.data(&object.to_string())?);
    }
    let label = match is_current {
        true => terminal.out_tone(Tone::Good, "ok  "),
        false => terminal.out_tone(Tone::Note, "warn"),
    };
    terminal.data(&format!("{label} {:<12} {text}", "skill"))?;
    if !is_current {
        terminal.data(&format!("     {:<12} {hint}", "hint:"))?;
    }
    Ok(())
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
