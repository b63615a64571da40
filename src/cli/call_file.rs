//! The call file of a wave CSV, as text.

use super::error::CliError;
use std::path::Path;

/// The text of the call file of a wave CSV.
pub fn read_call(path: &Path) -> Result<Option<String>, CliError> {
    let call_path = path.with_extension("call.json");
    match std::fs::read_to_string(&call_path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // Not UTF-8, so no JSON either.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(Some(String::new())),
        Err(error) => Err(CliError::unreadable(call_path)(error)),
    }
}
