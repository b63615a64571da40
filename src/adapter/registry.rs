//! The built-in agents, by name.

use super::agent::Agent;
use super::{claude, codex, gemini, opencode};

/// All built-in agents, in the order of the search.
pub(crate) const AGENTS: [&Agent; 4] = [
    &codex::AGENT,
    &claude::AGENT,
    &gemini::AGENT,
    &opencode::AGENT,
];

/// The built-in agent of that name.
pub fn agent_named(name: &str) -> Option<&'static Agent> {
    AGENTS.into_iter().find(|agent| agent.name == name)
}

pub(crate) fn agent_names() -> Vec<&'static str> {
    AGENTS.iter().map(|agent| agent.name).collect()
}
