//! `mesh.yaml`: refused with the line of the key, or accepted with the values that plain YAML gives; written out again, the options
//! are the same.

use crate::{parts, scratch};
use mesh::config::{Config, ConfigError, FILE_NAME};
use serde_yaml::Value;
use std::collections::BTreeMap;

/// Checks one input.
pub fn check(data: &[u8]) {
    let folder = scratch::folder();
    scratch::file(FILE_NAME, data);
    let config = match Config::load(folder) {
        Ok(config) => config,
        Err(error) => return refused(&error, data),
    };
    as_plain_yaml(&config, data);
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

/// An option has all its values, and texts as they are.
fn as_plain_yaml(config: &Config, data: &[u8]) {
    let yaml: Value = serde_yaml::from_str(&parts::text(data)).unwrap_or_default();
    for (name, values) in &config.options {
        let expected = match &yaml[name.as_str()] {
            Value::Sequence(expected) => expected.clone(),
            single => vec![single.clone()],
        };
        assert_eq!(values.len(), expected.len(), "`{name}`");
        for (value, expected) in values.iter().zip(&expected) {
            let is_same = |text: &str| text == value;
            assert!(expected.as_str().is_none_or(is_same), "`{name}`: {value}");
        }
    }
}

/// A refusal is one line that names a line of the file.
fn refused(error: &ConfigError, data: &[u8]) {
    let message = error.to_string();
    let ConfigError::Invalid {
        at, message: why, ..
    } = error
    else {
        assert!(std::str::from_utf8(data).is_err(), "{message}");
        return;
    };
    let line = at
        .strip_prefix(", line ")
        .map(|at| at.split(',').next().unwrap_or_default());
    if let Some(line) = line {
        let line: usize = line.parse().expect("a number");
        let text = parts::text(data);
        assert!((1..=parts::lines(&text)).contains(&line), "{message}");
        // With a column it is the place of a fault of syntax. A key that is spelled in another way is said to be on the first line.
        if line > 1 && !at.contains("column") {
            let name = text.lines().nth(line - 1).expect("a line of the file");
            let name = name.split(':').next().unwrap_or_default().trim_end();
            let name = name.trim_matches(['"', '\'']);
            assert!(
                why.contains(&format!("`{name}`")),
                "`{name}` there: {message}"
            );
        }
    }
}
