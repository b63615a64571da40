//! `mesh.yaml` at the repository's root: adapters, and the project's protocols, and a default for every option.
//!
//! ```yaml
//! max_runtime_seconds: 600
//! adapters:
//!   my-agent: {command: [my-agent, --json], env: [MY_KEY], fanout: 8, preferred: true}
//! protocols:
//!   careful: .mesh/careful.yaml
//! prices:
//!   gpt-5: {input: 1.25, cached_input: 0.125, output: 10}
//! ```
//!
//! Which option names exist is the command line's knowledge; it checks them. An unknown key is an error.

use crate::adapter::{AdapterConfig, Configured};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE_NAME: &str = "mesh.yaml";

/// What the file says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where it was read from; `None` when there is no file.
    pub path: Option<PathBuf>,
    /// Agents by name, and prices by model.
    pub adapters: Configured,
    /// The project's own protocols: name -> file, from the repository's root.
    pub protocols: BTreeMap<String, PathBuf>,
    /// Option name (`max_concurrency`) -> its values as text.
    pub options: BTreeMap<String, Vec<String>>,
}

/// Why the file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("`{}` can't be read", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
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
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(ConfigError::Io { path, source }),
        };
        Self::parse(&path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |at: String, message: String| ConfigError::Invalid {
            path: path.to_owned(),
            at,
            message,
        };
        let not_yaml = |error: serde_yaml::Error| {
            let at = error
                .location()
                .map(|at| format!(", line {}, column {}", at.line(), at.column()));
            invalid(at.unwrap_or_default(), error.to_string())
        };
        let mut config = Self {
            path: Some(path.to_owned()),
            ..Self::default()
        };
        let mapping = match serde_yaml::from_str(text).map_err(not_yaml)? {
            Value::Null => return Ok(config),
            Value::Mapping(mapping) => mapping,
            _ => {
                return Err(invalid(
                    String::new(),
                    "must be a mapping of option names".to_owned(),
                ));
            }
        };
        for (key, value) in mapping {
            let Value::String(key) = key else {
                return Err(invalid(String::new(), "a key is not a text".to_owned()));
            };
            let at = format!(", line {}", line_of(text, &key));
            if key == "adapters" {
                config.adapters.adapters = serde_yaml::from_value(value)
                    .map_err(|error| invalid(at.clone(), format!("`adapters`: {error}")))?;
                check(&config.adapters.adapters)
                    .map_err(|why| invalid(at, format!("`adapters`: {why}")))?;
            } else if key == "prices" {
                config.adapters.prices = serde_yaml::from_value(value)
                    .map_err(|error| invalid(at.clone(), format!("`prices`: {error}")))?;
                let unsound = config.adapters.prices.iter().find(|it| !it.1.is_sound());
                if let Some((model, _)) = unsound {
                    let why = format!("`prices`: `{model}`: a price is a number from 0");
                    return Err(invalid(at, why));
                }
            } else if key == "protocols" {
                config.protocols = serde_yaml::from_value(value)
                    .map_err(|error| invalid(at, format!("`protocols`: {error}")))?;
            } else {
                let values = texts(&value).ok_or_else(|| {
                    invalid(
                        at,
                        format!(
                            "`{key}` must be a text, a number, true or false, or a list of those"
                        ),
                    )
                })?;
                config.options.insert(key, values);
            }
        }
        Ok(config)
    }

    /// Refuses option names that `is_known` does not know.
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

/// The first adapter that makes no sense, and why.
fn check(adapters: &BTreeMap<String, AdapterConfig>) -> Result<(), String> {
    adapters.iter().try_for_each(|(name, adapter)| {
        let checked = adapter.check(name);
        checked.map_err(|why| format!("`{name}`: {why}"))
    })
}

/// The line of a top-level key.
fn line_of(text: &str, key: &str) -> usize {
    let is_key = |line: &str| {
        let rest = line.trim_start_matches(['"', '\'']).strip_prefix(key);
        rest.is_some_and(|rest| {
            rest.trim_start_matches(['"', '\''])
                .trim_start()
                .starts_with(':')
        })
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
    fn refusals_say_where() {
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
