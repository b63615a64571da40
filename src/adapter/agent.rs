//! The built-in agent programs: the description of each (name, environment, capabilities, pure functions from an
//! attempt to arguments and from output to an answer), and what they share.

use super::capabilities::{Capabilities, SchemaBy};
use super::price::Price;
use crate::job::{AgentFailure, AgentProtocol, Call, Invocation, Printed, Reading, SharedFile};
use crate::model::json;
use crate::refusal;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The tool with which a worker returns its result.
pub const REPORT_TOOL: &str = "report_agent_job_result";
/// The variables that identify the attempt of a report.
pub(super) const REPORT_VARIABLES: [&str; 5] = [
    "MESH_REPORT_SOCKET",
    "MESH_REPORT_TOKEN",
    "MESH_ITEM_ID",
    "MESH_ATTEMPT",
    "MESH_SCHEMA_FILE",
];
/// Variables that every agent inherits: network settings and its own folders.
const ENV_SHARED: [&str; 15] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// A folder of a program's own: the variable that names a folder, the folder below the home folder where it is not set, and
/// which part of either is meant.
pub type StateFolder = (&'static str, &'static str, &'static str);

/// Caches that every agent may write to.
const CACHES: [StateFolder; 2] = [
    ("XDG_CACHE_HOME", ".cache", ""),
    ("npm_config_cache", ".npm", ""),
];

/// The description of an agent program.
#[derive(Debug)]
pub struct Agent {
    /// Its name, both as an adapter and of its program.
    pub name: &'static str,
    /// How to install it.
    pub install: &'static str,
    /// The version that `tests/agents/run` tests.
    pub tried: &'static str,
    /// Variables that it inherits if they are set.
    pub env: &'static [&'static str],
    /// Where it keeps its log-in, conversations and logs.
    pub state: &'static [StateFolder],
    /// Whether and how it accepts a schema.
    pub schema: SchemaBy,
    /// Whether it reports cost, and not only tokens.
    pub gives_cost: bool,
    /// Whether it gets the report tool.
    pub has_tool: bool,
    /// Whether it accepts an effort.
    pub has_effort: bool,
    pub(super) files: fn(&Setting<'_>, Option<&Value>) -> Vec<SharedFile>,
    pub(super) call: fn(&Setting<'_>, &Call<'_>) -> Invocation,
    pub(super) read: for<'o> fn(&Printed<'o>, &[String]) -> Reading<'o>,
}

/// The settings of an agent; recorded in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentSpec {
    /// Its name.
    pub agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rate_limit_patterns: Vec<String>,
}

/// The arguments of an agent's functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<'s> {
    pub spec: &'s AgentSpec,
    /// The path of this program, for the report tool, if known.
    pub mesh: Option<&'s Path>,
}

impl Agent {
    /// Its capabilities.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            fanout: None,
            lifecycle: true,
            follow_up: true,
            schema: self.schema,
            tokens: true,
            cost: self.gives_cost,
            tool: self.has_tool,
            max_runtime_seconds: None,
        }
    }

    /// The folders that it has to write to, by the variables that are set.
    fn state_folders(&self, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
        let home = variable("HOME");
        let folders = self.state.iter().chain(&CACHES);
        let folders = folders.filter_map(|(name, below_home, part)| {
            let folder = variable(name).or_else(|| Some(home.as_ref()?.join(below_home)))?;
            Some(folder.join(part))
        });
        folders.collect()
    }

    /// The variables that its workers inherit.
    pub(super) fn env_names(&self) -> impl Iterator<Item = String> {
        let names = ENV_SHARED.iter().chain(self.env);
        names.map(|name| (*name).to_owned())
    }
}

/// The agent protocol of a built-in agent.
#[derive(Debug)]
pub(super) struct BuiltInProtocol {
    pub agent: &'static Agent,
    pub spec: AgentSpec,
    pub mesh: Option<PathBuf>,
}

impl BuiltInProtocol {
    fn setting(&self) -> Setting<'_> {
        Setting {
            spec: &self.spec,
            mesh: self.mesh.as_deref(),
        }
    }
}

impl AgentProtocol for BuiltInProtocol {
    fn files(&self, schema: Option<&Value>) -> Vec<SharedFile> {
        (self.agent.files)(&self.setting(), schema)
    }

    fn call(&self, call: &Call<'_>) -> Invocation {
        (self.agent.call)(&self.setting(), call)
    }

    fn read<'o>(&self, printed: &Printed<'o>) -> Reading<'o> {
        let mut reading = (self.agent.read)(printed, &self.spec.rate_limit_patterns);
        if let (Some(price), Some(usage)) = (self.spec.price, reading.usage) {
            reading.usage = Some(price.applied(usage));
        }
        reading
    }

    fn state_folders(&self, variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
        self.agent.state_folders(variable)
    }

    fn result_instructions(&self) -> Option<&str> {
        Some(if self.agent.has_tool && self.mesh.is_some() {
            "Return it once: with the tool `report_agent_job_result`, or as your last message, which is then the object and \
             nothing else. You have read-only access; returning the result needs no file and no command. Then stop."
        } else {
            "Return it as your last message: the object and nothing else. You have read-only access; returning the result \
             needs no file and no command. Then stop."
        })
    }
}

/// Every line of an output that is a JSON object.
pub(super) fn events(output: &[u8]) -> impl Iterator<Item = Value> {
    output
        .split(|byte| *byte == b'\n')
        .filter_map(|line| json::parse(std::str::from_utf8(line).ok()?).ok())
        .filter(Value::is_object)
}

/// A text at a JSON pointer.
pub(super) fn text_at<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer)?.as_str()
}

/// A count at a JSON pointer; 0 if there is none.
pub(super) fn count_at(value: &Value, pointer: &str) -> u64 {
    value
        .pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// The failure of a program that reports none on standard output, from the end of its standard error.
pub(super) fn stderr_failure(printed: &Printed<'_>, patterns: &[String]) -> Option<AgentFailure> {
    if printed.is_success {
        return None;
    }
    match last_lines(printed.stderr).join("; ").as_str() {
        "" => None,
        end => Some(AgentFailure::of(end, patterns)),
    }
}

/// Whether `message` is a refusal by the service or the account, or an outage: it counts even if the program exited with 0,
/// if there is no answer.
pub(super) fn is_refusal(message: &str) -> bool {
    refusal::read(message).is_some()
}

/// The last five lines of an output that are not blank.
pub(super) fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let mut lines: Vec<String> = lines.map(str::to_owned).collect();
    lines.split_off(lines.len().saturating_sub(5))
}

/// The message within a service's answer that was passed on unchanged.
pub(super) fn unwrapped(text: &str) -> String {
    let answer: Option<Value> = serde_json::from_str(text).ok();
    let inner = answer
        .as_ref()
        .and_then(|answer| text_at(answer, "/error/message"));
    inner.unwrap_or(text).to_owned()
}
