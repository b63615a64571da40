//! `mesh.yaml` at the repository's root: defaults of options, adapters, prices, and protocols of the project.
//!
//! ```yaml
//! max_runtime_seconds: 600
//! adapters:
//!   my-agent: {command: [my-agent, --json], env: [MY_KEY], fanout: 8, preferred: true}
//! protocols:
//!   careful: .mesh/careful.yaml
//! roles:
//!   critic_a: {adapter: codex, effort: high}
//! prices:
//!   gpt-5: {input: 1.25, cached_input: 0.125, output: 10}
//! ```
//!
//! The command line knows the names of the options and checks them. An unknown key is an error.

use crate::adapter::{AdapterConfig, Configured, Prices};
use crate::model::{RoleBindings, yaml_error};
use crate::platform::look;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The name of the file.
pub const FILE_NAME: &str = "mesh.yaml";

/// The contents of the file.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Its path; `None` if there is no file.
    pub path: Option<PathBuf>,
    /// Adapters by name, and prices by model.
    pub adapters: Configured,
    /// The project's protocols: name -> file, relative to the repository's root.
    pub protocols: BTreeMap<String, PathBuf>,
    /// What roles are bound to, in every run of the project.
    pub roles: RoleBindings,
    /// Option name (`max_concurrency`) -> its values as text.
    pub options: BTreeMap<String, Vec<String>>,
}

/// Why the file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("`{}` can't be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is not valid.
    #[error("`{}`{at}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// `, line 3, column 5`, where known.
        at: String,
        /// What is wrong.
        message: String,
    },
}

impl Config {
    /// Reads the `mesh.yaml` of `root`, if there is one.
    pub fn load(root: &Path) -> Result<Self, ConfigError> {
        let path = root.join(FILE_NAME);
        match look::found(std::fs::read_to_string(&path)) {
            Ok(Some(text)) => Self::parse(&path, &text),
            Ok(None) => Ok(Self::default()),
            Err(source) => Err(ConfigError::Io { path, source }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |at: &str, message: &str| ConfigError::Invalid {
            path: path.to_owned(),
            at: at.to_owned(),
            message: message.to_owned(),
        };
        let not_yaml = |error: serde_yaml::Error| {
            let place = yaml_error::place(&error, text);
            let at = place.map(|(line, column)| format!(", line {line}, column {column}"));
            invalid(&at.unwrap_or_default(), &yaml_error::message(&error, 1))
        };
        let mut config = Self {
            path: Some(path.to_owned()),
            ..Self::default()
        };
        let mapping = match serde_yaml::from_str(text).map_err(not_yaml)? {
            Value::Null => return Ok(config),
            Value::Mapping(mapping) => mapping,
            _ => return Err(invalid("", "must be a mapping of option names")),
        };
        for (key, value) in mapping {
            let Value::String(key) = key else {
                return Err(invalid("", "a key is not a text"));
            };
            let at = format!(", line {}", line_of(text, &key));
            let refuse = |why: String| invalid(&at, &format!("`{key}`: {why}"));
            let bad = |error: serde_yaml::Error| refuse(error.to_string());
            match key.as_str() {
                "adapters" => {
                    let adapters = serde_yaml::from_value(value).map_err(bad)?;
                    check_adapters(&adapters).map_err(refuse)?;
                    config.adapters.adapters = adapters;
                }
                "prices" => {
                    let prices: Prices = serde_yaml::from_value(value).map_err(bad)?;
                    if let Some((model, _)) = prices.iter().find(|(_, price)| !price.is_sound()) {
                        return Err(refuse(format!("`{model}`: a price is a number from 0")));
                    }
                    config.adapters.prices = prices;
                }
                "roles" => config.roles = serde_yaml::from_value(value).map_err(bad)?,
                "protocols" => config.protocols = serde_yaml::from_value(value).map_err(bad)?,
                _ => {
                    let expected = "must be a text, a number, true or false, or a list of those";
                    let values = texts(&value)
                        .ok_or_else(|| invalid(&at, &format!("`{key}` {expected}")))?;
                    config.options.insert(key, values);
                }
            }
        }
        Ok(config)
    }

    /// Refuses option names that are not `is_known`.
    pub fn check_options(&self, is_known: impl Fn(&str) -> bool) -> Result<(), ConfigError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        match self.options.keys().find(|key| !is_known(key)) {
            None => Ok(()),
            Some(key) => {
                let text = std::fs::read_to_string(path).unwrap_or_default();
                Err(ConfigError::Invalid {
                    path: path.clone(),
                    at: format!(", line {}", line_of(&text, key)),
                    message: format!("unknown key `{key}`"),
                })
            }
        }
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    match value {
        Value::Sequence(values) => values.iter().map(one).collect(),
        single => Some(vec![one(single)?]),
    }
}

/// Why the first inconsistent adapter is refused.
fn check_adapters(adapters: &BTreeMap<String, AdapterConfig>) -> Result<(), String> {
    adapters.iter().try_for_each(|(name, adapter)| {
        let checked = adapter.check(name);
        checked.map_err(|why| format!("`{name}`: {why}"))
    })
}

/// The line of a top-level key.
fn line_of(text: &str, key: &str) -> usize {
    let is_key = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        line.contains(':') && name.trim_end().trim_matches(['"', '\'']) == key
    };
    text.lines().position(is_key).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_adapters() {
        let text = "max_concurrency: 4\nenv: [A, B]\nadapters:\n  x: {command: [run-x]}\n";
        let config = Config::parse(Path::new("mesh.yaml"), text).expect("valid");
        assert_eq!(config.options["max_concurrency"], ["4"]);
        assert_eq!(config.options["env"], ["A", "B"]);
        assert_eq!(config.adapters.adapters["x"].command, ["run-x"]);
    }

    #[test]
    fn a_refusal_names_line_and_key() {
        let refusal = |text: &str| {
            Config::parse(Path::new("mesh.yaml"), text)
                .expect_err("refused")
                .to_string()
        };
        assert!(
            refusal("a: 1\nadapters:\n  x: {comand: [y]}\n")
                .starts_with("`mesh.yaml`, line 2: `adapters`")
        );
        assert_eq!(
            refusal("adapters:\n  x: {fanout: 2}\n"),
            "`mesh.yaml`, line 1: `adapters`: `x`: neither `command`, nor `agent` with one of: codex, claude, gemini, opencode"
        );
        assert_eq!(
            refusal("prices:\n  m: {input: -1, output: 2}\n"),
            "`mesh.yaml`, line 1: `prices`: `m`: a price is a number from 0"
        );
        assert!(refusal("a: {b: 1}\n").contains("line 1: `a` must be"));
        assert!(refusal("a: [\n").starts_with("`mesh.yaml`, line"));
    }
}
