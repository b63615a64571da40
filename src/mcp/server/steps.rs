//! Steps of a run that write, each by this program in a process of its own: a step ends even if the client goes away, and takes its
//! options from the same places as on the command line.

use super::settings::Settings;
use crate::mcp::toolbox::ToolError;
use serde_json::Value;

/// Runs `mesh ARGS --json` in the root and gives what it printed.
///
/// # Errors
/// The command failed, in its own words.
pub fn run(settings: &Settings, args: &[String], next: &str) -> Result<Value, ToolError> {
    let output = settings.command(&[]).args(args).output();
    let program = settings.program.display();
    let output =
        output.map_err(|error| ToolError::new(format!("`{program}`: {error}"), "call it again"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok());
    match (last, output.status.code()) {
        // 1: it ended, and something was refused or missing, as the object says.
        (Some(object @ Value::Object(_)), Some(0 | 1 | 4)) => Ok(object),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let from = said.find("error: ").map_or(0, |at| at + "error: ".len());
            let text = match said[from..].trim() {
                "" => format!("`mesh {}` ended with {}", args.join(" "), output.status),
                text => text.to_owned(),
            };
            Err(ToolError::new(text, next))
        }
    }
}
