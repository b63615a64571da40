//! What others than readers take: git, a shell, the file system.

use crate::hostile::matrix::find_marks;
use std::collections::BTreeSet;
use std::path::Path;

/// A commit message: one line, then our trailers, each once.
pub fn commit_has_only_our_trailers(bytes: &[u8]) -> Result<Vec<String>, String> {
    super::terminal_is_tame(bytes)?;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let [_, "", trailers @ ..] = lines.as_slice() else {
        return Err(format!("no single subject: {text:?}"));
    };
    let names: Vec<&str> = trailers
        .iter()
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    match names.as_slice() {
        ["Mesh-Run", "Mesh-Task"] | ["Mesh-Run", "Mesh-Task", "Mesh-Votes"]
            if names.len() == trailers.len() =>
        {
            Ok(lines.iter().map(|line| (*line).to_owned()).collect())
        }
        _ => Err(format!("other lines than our trailers: {text:?}")),
    }
}

/// A script or manifest: no text of a cell or of the worker's command is in it.
pub fn script_has_no_text(bytes: &[u8]) -> Result<Vec<String>, String> {
    let texts = super::terminal_is_tame(bytes)?;
    let mut marks = BTreeSet::new();
    find_marks(&texts[0], &mut marks);
    match marks.pop_first() {
        Some(mark) => Err(format!("a text of others, {mark}: {}", texts[0])),
        None => Ok(texts),
    }
}

/// Every name below `folder` is one that no program takes for anything else.
#[track_caller]
pub fn assert_names_are_plain(folder: &Path) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name();
        let name = name.to_str().expect("UTF-8");
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.%".contains(&byte);
        assert!(
            name.bytes().all(is_plain) && !name.starts_with('-') && name.len() < 200,
            "{name:?}"
        );
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            assert_names_are_plain(&entry.path());
        }
    }
}

/// Candidates for a completion: each is a word of a shell without quotes, and no option.
pub fn candidates_are_words(bytes: &[u8]) -> Result<Vec<String>, String> {
    let texts = super::terminal_is_tame(bytes)?;
    let is_safe = |c: char| c.is_alphanumeric() || "/._-+@%:, ".contains(c);
    let is_carried = |line: &&str| {
        let mut marks = BTreeSet::new();
        find_marks(line, &mut marks);
        !marks.is_empty()
    };
    let mut lines = texts[0].lines().filter(is_carried);
    match lines.find(|line| !line.chars().all(is_safe) || line.starts_with('-')) {
        Some(line) => Err(format!("not a word: {line}")),
        None => Ok(texts),
    }
}
