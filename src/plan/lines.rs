//! The lines of a plan file: git conflict markers, and errors of lines that are not JSON.

use super::error::PlanError;

/// The first git conflict marker: at least seven of one character at the beginning of a line.
pub(super) fn conflict_marker(bytes: &[u8]) -> Option<PlanError> {
    const MARKERS: [&[u8]; 4] = [b"<<<<<<<", b"|||||||", b"=======", b">>>>>>>"];
    let found =
        lines(bytes).find(|(_, line)| MARKERS.iter().any(|marker| line.starts_with(marker)));
    found.map(|(line, text)| PlanError::ConflictMarker {
        line,
        text: String::from_utf8_lossy(text).chars().take(80).collect(),
    })
}

/// The lines that are not blank, with their numbers from 1.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    bytes
        .split(|&byte| byte == b'\n')
        .enumerate()
        .map(|(at, line)| (at + 1, line.trim_ascii()))
        .filter(|(_, line)| !line.is_empty())
}

/// The text of line `at`.
pub(super) fn utf8(line: &[u8], at: usize) -> Result<&str, PlanError> {
    std::str::from_utf8(line).map_err(|error| PlanError::InvalidJson {
        line: at,
        message: error.to_string(),
    })
}

/// A parser error, with the line of the file instead of the parser's own.
pub(super) fn invalid_json(error: &serde_json::Error, line: usize) -> PlanError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&place).unwrap_or(&text);
    PlanError::InvalidJson {
        line,
        message: format!("{reason} (column {})", error.column()),
    }
}
