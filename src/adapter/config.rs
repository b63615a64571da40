//! `adapters` and `prices` of `mesh.yaml`: the user's own commands, and settings of the built-in agents.
//!
//! ```yaml
//! adapters:
//!   codex: {model: gpt-5, effort: high, fanout: 8}
//!   careful: {agent: claude, model: opus, preferred: true}
//!   my-agent:
//!     command: [my-agent, --json]
//!     env: [MY_KEY]
//!     usage: {input_tokens: /usage/in, output_tokens: /usage/out}
//! prices:
//!   gpt-5: {input: 1.25, cached_input: 0.125, output: 10}
//! ```

use super::agent::Agent;
use super::price::Prices;
use super::registry::{AGENTS, agent_named};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The adapters and prices of `mesh.yaml`.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    /// Adapters by name.
    pub adapters: BTreeMap<String, AdapterConfig>,
    /// Prices by model.
    pub prices: Prices,
}

/// One entry of `adapters`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdapterConfig {
    /// The user's own command: program and arguments; `{column}` is replaced by a cell of the row.
    pub command: Vec<String>,
    /// The built-in agent, if the entry has another name.
    pub agent: Option<String>,
    /// The agent's program, if it is not on PATH under its own name.
    pub program: Option<String>,
    /// Further arguments for the agent.
    pub args: Vec<String>,
    /// The agent's model; for a command, only the name of its price.
    pub model: Option<String>,
    /// The agent's effort, in its own words.
    pub effort: Option<String>,
    /// Names of variables that the worker inherits in addition to the allow-list.
    pub env: Vec<String>,
    /// The most workers at once.
    pub fanout: Option<usize>,
    /// Selected when no `--adapter` is given.
    pub preferred: bool,
    /// How a command gets its prompt.
    pub prompt: PromptBy,
    /// How a command returns its result.
    pub result: ResultBy,
    /// The time limit of one attempt, whatever `--max-runtime-seconds` says.
    pub timeout_seconds: Option<u64>,
    /// Texts that mark a failed attempt as rate-limited.
    pub rate_limit_patterns: Vec<String>,
    /// Where a command's standard output reports its usage.
    pub usage: Option<UsagePointers>,
}

/// How a command gets its prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptBy {
    /// On standard input.
    #[default]
    Stdin,
    /// In the file named by `MESH_PROMPT_FILE`, also `{MESH_PROMPT_FILE}` in its arguments.
    File,
}

/// How a command returns its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultBy {
    /// In any of the three other ways.
    #[default]
    Any,
    /// On standard output.
    Stdout,
    /// In the file named by `MESH_RESULT_FILE`, also `{MESH_RESULT_FILE}` in its arguments.
    File,
    /// With `mesh report-result`.
    Report,
}

/// JSON pointers into the last JSON object on a command's standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsagePointers {
    /// To the input tokens, cached ones included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<String>,
    /// To the cached input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<String>,
    /// To the output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<String>,
    /// To the cost in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
}

impl UsagePointers {
    fn all(&self) -> impl Iterator<Item = &String> {
        let all = [
            &self.input_tokens,
            &self.cached_input_tokens,
            &self.output_tokens,
            &self.cost_usd,
        ];
        all.into_iter().flatten()
    }
}

impl AdapterConfig {
    /// The built-in agent of an entry with this name; `None` for a command.
    pub(super) fn agent(&self, name: &str) -> Option<&'static Agent> {
        match self.command.is_empty() {
            true => agent_named(self.agent.as_deref().unwrap_or(name)),
            false => None,
        }
    }

    /// Checks that the keys of the entry are consistent.
    ///
    /// # Errors
    /// What does not go together, in words.
    pub fn check(&self, name: &str) -> Result<(), String> {
        self.check_kind(name)?;
        if let Some(word) = self.args.iter().find(|word| continues_a_session(word)) {
            return Err(format!(
                "`args`: `{word}` continues a conversation, but each row begins its own"
            ));
        }
        if self.fanout == Some(0) {
            return Err("`fanout` must be at least 1".to_owned());
        }
        if self.timeout_seconds == Some(0) {
            return Err("`timeout_seconds` must be at least 1".to_owned());
        }
        if self
            .rate_limit_patterns
            .iter()
            .any(|text| text.trim().is_empty())
        {
            return Err(
                "an empty text in `rate_limit_patterns` would be found everywhere".to_owned(),
            );
        }
        let pointers = self.usage.iter().flat_map(UsagePointers::all);
        match pointers
            .into_iter()
            .find(|pointer| !pointer.starts_with('/'))
        {
            Some(pointer) => Err(format!(
                "`usage`: `{pointer}` is no JSON pointer; one begins with `/`"
            )),
            None => Ok(()),
        }
    }

    fn check_kind(&self, name: &str) -> Result<(), String> {
        let names: Vec<&str> = AGENTS.iter().map(|agent| agent.name).collect();
        let names = names.join(", ");
        let has_command = !self.command.is_empty();
        if has_command {
            if self.agent.is_some() {
                return Err("`command` and `agent` say two different things".to_owned());
            }
            return refuse(&[
                ("program", self.program.is_some()),
                ("args", !self.args.is_empty()),
                ("effort", self.effort.is_some()),
            ])
            .map_err(|key| format!("`{key}` is for a built-in agent; put it into `command`"));
        }
        match (self.agent(name), &self.agent) {
            (None, Some(agent)) => Err(format!("`agent: {agent}` is none of: {names}")),
            (None, None) => Err(format!(
                "neither `command`, nor `agent` with one of: {names}"
            )),
            (Some(agent), _) => refuse(&[
                ("effort", self.effort.is_some() && !agent.has_effort),
                ("prompt", self.prompt != PromptBy::default()),
                ("result", self.result != ResultBy::default()),
                ("usage", self.usage.is_some()),
            ])
            .map_err(|key| format!("`{key}` can't be set for `{}`", agent.name)),
        }
    }
}

/// Whether an argument of a built-in agent names a conversation that all its rows would share.
fn continues_a_session(word: &str) -> bool {
    const FLAGS: [&str; 6] = [
        "resume",
        "--resume",
        "--continue",
        "--session",
        "--session-id",
        "--last",
    ];
    let flag = word.split('=').next().unwrap_or(word);
    FLAGS.contains(&flag)
}

fn refuse(keys: &[(&'static str, bool)]) -> Result<(), &'static str> {
    match keys.iter().find(|(_, is_there)| *is_there) {
        Some((key, _)) => Err(key),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, yaml: &str) -> String {
        let config: AdapterConfig = serde_yaml::from_str(yaml).expect("an entry");
        match config.check(name) {
            Ok(()) => "fine".to_owned(),
            Err(why) => why,
        }
    }

    #[test]
    fn inconsistent_entries_are_refused_with_a_reason() {
        for (name, yaml, said) in [
            ("codex", "{}", "fine"),
            (
                "codex",
                "{model: m, effort: high, args: [-c, x], program: /x}",
                "fine",
            ),
            ("mine", "{agent: claude, preferred: true}", "fine"),
            (
                "mine",
                "{command: [a], prompt: file, result: report, model: m}",
                "fine",
            ),
            ("codex", "{command: [my-codex]}", "fine"),
            (
                "mine",
                "{}",
                "neither `command`, nor `agent` with one of: codex, claude, gemini, opencode",
            ),
            (
                "mine",
                "{agent: gpt}",
                "`agent: gpt` is none of: codex, claude, gemini, opencode",
            ),
            (
                "mine",
                "{agent: codex, command: [a]}",
                "`command` and `agent` say two different things",
            ),
            (
                "mine",
                "{command: [a], effort: high}",
                "`effort` is for a built-in agent; put it into `command`",
            ),
            (
                "gemini",
                "{effort: high}",
                "`effort` can't be set for `gemini`",
            ),
            (
                "claude",
                "{result: file}",
                "`result` can't be set for `claude`",
            ),
            (
                "claude",
                "{args: [--resume, abc]}",
                "`args`: `--resume` continues a conversation, but each row begins its own",
            ),
            (
                "opencode",
                "{args: ['--session=abc']}",
                "`args`: `--session=abc` continues a conversation, but each row begins its own",
            ),
            ("claude", "{fanout: 0}", "`fanout` must be at least 1"),
            (
                "claude",
                "{timeout_seconds: 0}",
                "`timeout_seconds` must be at least 1",
            ),
            (
                "mine",
                "{command: [a], rate_limit_patterns: ['']}",
                "an empty text in `rate_limit_patterns` would be found everywhere",
            ),
            (
                "mine",
                "{command: [a], usage: {cost_usd: cost}}",
                "`usage`: `cost` is no JSON pointer; one begins with `/`",
            ),
        ] {
            assert_eq!(check(name, yaml), said, "{name}: {yaml}");
        }
    }
}
