//! The `mesh` block in the notes of an item: what is read is written as it stands, what is written is read back, and the text around
//! the block stays.
//!
//! The input is the notes, then the scope, the acceptance and the validation of other metadata, an entry a line.

use crate::parts;
use mesh::plan::metadata::{read, write, write_without_validation};
use mesh::plan::{Item, Metadata, MetadataError};

/// Checks one input.
pub fn check(data: &[u8]) {
    let [notes, scope, acceptance, validation] = parts::split(data).map(parts::text);
    let item = noted(&notes);
    let found = read(&item);
    if let Err(error) = &found {
        in_the_notes(error, &notes);
    }
    if let Ok(metadata) = &found {
        let written = write(&item, metadata).expect("what was read");
        assert_eq!(written, notes, "writing what is there changes it");
        let fresh = write(&noted(""), metadata).expect("what was read");
        assert_eq!(read(&noted(&fresh)).as_ref(), Ok(metadata), "{fresh}");
    }
    let entries = |text: &str| {
        let entries = text
            .lines()
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        entries.map(str::to_owned).collect::<Vec<_>>()
    };
    let other = Metadata {
        scope: entries(&scope),
        acceptance: entries(&acceptance),
        validation: entries(&validation),
        ..Metadata::default()
    };
    if let Ok(written) = write_without_validation(&item, &other) {
        assert!(read(&noted(&written)).is_err() || found.is_ok());
    }
    let Ok(written) = write(&item, &other) else {
        return;
    };
    let again = noted(&written);
    assert_eq!(read(&again).as_ref(), Ok(&other), "{written}");
    assert_eq!(
        write(&again, &other).as_deref(),
        Ok(&*written),
        "written twice it changes"
    );
    if found.is_ok() {
        same_around(&notes, &written);
    }
    if matches!(found, Err(MetadataError::Missing { .. })) {
        assert!(written.ends_with(&*notes), "the notes change: {written:?}");
    }
    if let Ok(metadata) = found {
        let back = write(&again, &metadata).expect("what was read");
        assert_eq!(read(&noted(&back)), Ok(metadata));
        same_around(&notes, &back);
    }
}

fn noted(notes: &str) -> Item {
    let item = serde_json::json!({"id": "a", "step": "s", "deps": [], "notes": notes});
    item.to_string().parse().expect("a good item")
}

/// The line that an error names is one of the notes.
fn in_the_notes(error: &MetadataError, notes: &str) {
    let _ = (error.to_string(), error.hint(), error.needs_hydration());
    let lines = 1..=parts::lines(notes);
    match error {
        MetadataError::Broken { line, .. }
        | MetadataError::UnknownKey { line, .. }
        | MetadataError::Unclosed { line, .. } => assert!(lines.contains(line), "line {line}"),
        MetadataError::Several { lines: found, .. } => {
            assert!(found.len() > 1 && found.iter().all(|line| lines.contains(line)));
        }
        _ => {}
    }
}

/// The text before and behind the block, which both have, is the same.
fn same_around(notes: &str, written: &str) {
    if let Some(outside) = outside(notes) {
        assert_eq!(Some(outside), self::outside(written), "{written:?}");
    }
}

/// The text before the opening fence, and from the end of the closing one on; `None` if another fence comes first.
fn outside(text: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    let mut opened: Option<(usize, &str)> = None;
    for line in text.split_inclusive('\n') {
        let begin = at;
        at += line.len();
        let bare = line.trim_start_matches(' ');
        let marks = match bare.chars().next() {
            Some(mark @ ('`' | '~')) => &bare[..bare.len() - bare.trim_start_matches(mark).len()],
            _ => continue,
        };
        let info = bare[marks.len()..].trim_matches([' ', '\t', '\r', '\n']);
        if marks.len() < 3 || line.len() - bare.len() > 3 {
            continue;
        }
        match opened {
            None if info == "mesh" => opened = Some((begin, marks)),
            None => return None,
            Some((opening, open)) if info.is_empty() && marks.starts_with(open) => {
                let end = begin + line.trim_end_matches(['\r', '\n']).len();
                return Some((&text[..opening], &text[end..]));
            }
            Some(_) => {}
        }
    }
    None
}
