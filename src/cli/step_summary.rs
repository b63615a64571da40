//! The summary page of GitHub Actions: the report of a run as Markdown, appended to the file that `GITHUB_STEP_SUMMARY` names.

use super::terminal::Terminal;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::PathBuf;

/// The variable that names the file of the step.
const VARIABLE: &str = "GITHUB_STEP_SUMMARY";
/// GitHub shows nothing of a longer file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The last line of a text that was cut.
const CUT: &str = "\n\n(cut: the summary of a step is limited to 1 MiB)\n";

/// Appends the text with one write, if the variable is set. It can fail only with a warning, since the run has ended.
pub fn append(markdown: &str, terminal: &Terminal) {
    let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) else {
        return;
    };
    let path = PathBuf::from(path);
    let append = || -> io::Result<()> {
        // GitHub has created it.
        let mut file = File::options().append(true).open(&path)?;
        let text = fit(
            markdown,
            FILE_BYTES_MAX.saturating_sub(file.metadata()?.len()),
        );
        file.write_all(text.as_bytes())
    };
    if let Err(error) = append() {
        let shown = path.display();
        terminal.warn(&format!(
            "the summary of the step can't be appended to `{shown}`: {error}"
        ));
    }
}

/// The text after an empty line, or as many of its whole lines as fit into `room` bytes.
fn fit(markdown: &str, room: u64) -> String {
    let room = usize::try_from(room).unwrap_or(usize::MAX);
    let text = format!("\n{}\n", markdown.trim_end());
    if text.len() <= room {
        return text;
    }
    let Some(room) = room.checked_sub(CUT.len()) else {
        return String::new();
    };
    let lines = text.split_inclusive('\n').scan(0, |end, line| {
        *end += line.len();
        Some(*end)
    });
    let end = lines.take_while(|end| *end <= room).last().unwrap_or(0);
    format!("{}{CUT}", text[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_lines_and_fits() {
        assert_eq!(fit("a\nb\n\n", 100), "\na\nb\n");
        let long = "äöü\n".repeat(100);
        for room in 0..long.len() as u64 {
            let text = fit(&long, room);
            assert!(text.len() as u64 <= room, "{room}");
            assert!(text.is_empty() || text.ends_with(CUT), "{room}");
        }
    }
}
