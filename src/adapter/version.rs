//! The version that a program reports; used by `mesh adapters` and `doctor`, never in a run.

use std::path::Path;
use std::time::Duration;

/// An agent program on a busy machine takes a few seconds to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first number with a dot in the output of `PROGRAM --version`; `None` if it prints none in time.
pub fn version(program: &Path) -> Option<String> {
    let handle = duct::cmd(program, ["--version"])
        .stdin_null()
        .stdout_capture()
        .stderr_null()
        .unchecked()
        .start()
        .ok()?;
    let Some(output) = handle.wait_timeout(PATIENCE).ok()? else {
        // It may have ended already.
        let _ = handle.kill();
        return None;
    };
    number(&String::from_utf8_lossy(&output.stdout))
}

fn number(text: &str) -> Option<String> {
    let words = text.split_whitespace();
    let words = words.map(|word| word.trim_start_matches(['v', 'V']));
    let is_version =
        |word: &&str| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.');
    words
        .into_iter()
        .find(is_version)
        .map(|word| word.trim_end_matches([',', ';', ')']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_in_other_output() {
        for (text, found) in [
            ("codex-cli 0.169.0\n", Some("0.169.0")),
            ("2.1.329 (Claude Code)", Some("2.1.329")),
            ("agent version v1.2-rc1, built 2026", Some("1.2-rc1")),
            ("no version", None),
            ("", None),
        ] {
            assert_eq!(number(text).as_deref(), found, "{text}");
        }
    }
}
