//! `mesh.yaml`: accepted or refused with a line of the file; what is accepted is the same when its options are written out again.

use crate::{parts, scratch};
use mesh::config::{Config, ConfigError, FILE_NAME};
use std::collections::BTreeMap;

/// Checks one input.
pub fn check(data: &[u8]) {
    let folder = scratch::folder();
    scratch::file(FILE_NAME, data);
    let config = match Config::load(folder) {
        Ok(config) => config,
        Err(error) => return refused(&error, data),
    };
    let known = config.check_options(|_| true);
    assert!(known.is_ok());
    let unknown = config.check_options(|_| false);
    assert_eq!(unknown.is_ok(), config.options.is_empty());
    if let Err(error) = unknown {
        refused(&error, data);
    }
    if config.options.is_empty() {
        return;
    }
    let written = serde_yaml::to_string::<BTreeMap<_, _>>(&config.options).expect("lists of texts");
    scratch::file(FILE_NAME, written.as_bytes());
    let again = Config::load(folder).expect("its own options");
    assert_eq!(again.options, config.options, "{written}");
}

/// A refusal is one line that names a line of the file.
fn refused(error: &ConfigError, data: &[u8]) {
    let message = error.to_string();
    let ConfigError::Invalid { at, .. } = error else {
        assert!(std::str::from_utf8(data).is_err(), "{message}");
        return;
    };
    let line = at
        .strip_prefix(", line ")
        .map(|at| at.split(',').next().unwrap_or_default());
    if let Some(line) = line {
        let line: usize = line.parse().expect("a number");
        let text = parts::text(data);
        let breaks = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        // The parser counts the end of the file as a line.
        assert!((1..=breaks.count() + 2).contains(&line), "{message}");
    }
}
