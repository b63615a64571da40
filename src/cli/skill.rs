//! `mesh skill`: the skill for agents, installed and compared.

use super::args::{SkillAgent, SkillArgs, SkillCommand, SkillPlace};
use super::context::Context;
use super::defaults::config_root;
use super::error::CliError;
use super::terminal::Terminal;
use crate::platform::{Repo, look, program};
use crate::run::RunError;
use crate::skill::{Agent, Copy, Level, State, copies, write};
use serde_json::json;
use similar::TextDiff;
use std::path::{Path, PathBuf};

/// Installs the skill, or compares what is installed.
pub fn execute(args: &SkillArgs, context: &Context) -> Result<u8, CliError> {
    match &args.command {
        SkillCommand::Install { place, force } => install(place, *force, context),
        SkillCommand::Check(place) => check(place, context),
    }
}

fn install(place: &SkillPlace, force: bool, context: &Context) -> Result<u8, CliError> {
    let level = match (place.user, place.project) {
        (true, _) => Level::User,
        (_, true) => Level::Project,
        // Without a repository there is no project that others share.
        _ if look::reachable(Repo::find(&context.folder))
            .map_err(RunError::from)?
            .is_some() =>
        {
            Level::Project
        }
        _ => Level::User,
    };
    let agents = match place.agent {
        Some(agent) => agents(agent),
        None => found_agents(),
    };
    let mut all = Vec::new();
    for agent in agents {
        all.extend(read(agent, level, context)?);
    }
    let edited = all
        .iter()
        .find(|copy| matches!(copy.state, State::Edited(_)));
    if let Some(copy) = edited.filter(|_| !force) {
        print(copy, word(copy), &context.terminal)?;
        return Err(CliError::SkillEdited(copy.path.clone()));
    }
    for copy in &all {
        if copy.state != State::Current {
            write(copy).map_err(|source| CliError::Write {
                path: copy.path.clone(),
                source,
            })?;
        }
        print(copy, change(copy), &context.terminal)?;
    }
    Ok(0)
}

fn check(place: &SkillPlace, context: &Context) -> Result<u8, CliError> {
    let installed = installed(place, context)?;
    if installed.is_empty() {
        context
            .terminal
            .advise("the skill is not installed here: mesh skill install");
    }
    for copy in &installed {
        print(copy, word(copy), &context.terminal)?;
    }
    let differs = installed.iter().any(|copy| copy.state != State::Current);
    Ok(u8::from(differs))
}

/// The files of all copies that are there, or should be beside one that is.
pub fn installed(place: &SkillPlace, context: &Context) -> Result<Vec<Copy>, CliError> {
    let mut all = Vec::new();
    for agent in place.agent.map_or(Agent::ALL.to_vec(), agents) {
        for level in [Level::Project, Level::User] {
            let is_meant = match level {
                Level::Project => !place.user || place.project,
                Level::User => !place.project || place.user,
            };
            if !is_meant {
                continue;
            }
            let copies = read(agent, level, context)?;
            if copies.iter().any(|copy| copy.state != State::Missing) {
                all.extend(copies);
            }
        }
    }
    Ok(all)
}

fn read(agent: Agent, level: Level, context: &Context) -> Result<Vec<Copy>, CliError> {
    let root = match level {
        Level::User => match std::env::var_os("HOME") {
            Some(home) => PathBuf::from(home),
            None => return Ok(Vec::new()),
        },
        Level::Project => config_root(&context.folder)?,
    };
    copies(agent, level, &root).map_err(CliError::unreadable(root))
}

fn agents(agent: SkillAgent) -> Vec<Agent> {
    match agent {
        SkillAgent::Codex => vec![Agent::Codex],
        SkillAgent::Claude => vec![Agent::Claude],
        SkillAgent::Gemini => vec![Agent::Gemini],
        SkillAgent::Opencode => vec![Agent::Opencode],
        SkillAgent::All => Agent::ALL.to_vec(),
    }
}

/// Those whose program is installed; all if there is none.
fn found_agents() -> Vec<Agent> {
    let found = Agent::ALL.into_iter();
    let found: Vec<Agent> = found
        .filter(|agent| matches!(program::find(agent.name(), Path::new(".")), Ok(Some(_))))
        .collect();
    match found.is_empty() {
        true => Agent::ALL.to_vec(),
        false => found,
    }
}

/// The state of a file in a word.
pub fn word(copy: &Copy) -> &'static str {
    match copy.state {
        State::Missing => "missing",
        State::Current => "current",
        State::Outdated(_) => "outdated",
        State::Edited(_) => "edited",
    }
}

/// What an installation did to a file.
fn change(copy: &Copy) -> &'static str {
    match copy.state {
        State::Missing => "written",
        State::Current => "current",
        State::Outdated(_) => "updated",
        State::Edited(_) => "replaced",
    }
}

/// The path and a word; then the lines that differ from what is written.
fn print(copy: &Copy, state: &str, terminal: &Terminal) -> Result<(), CliError> {
    let diff = match &copy.state {
        State::Missing | State::Current => String::new(),
        State::Outdated(found) | State::Edited(found) => {
            TextDiff::from_lines(found, &copy.expected())
                .unified_diff()
                .header("installed", "this mesh")
                .to_string()
        }
    };
    if terminal.json {
        let object = json!({
            "path": copy.path.to_string_lossy(), "agent": copy.agent.name(), "level": copy.level.name(), "state": state, "diff": diff,
        });
        terminal.data(&object.to_string())?;
        return Ok(());
    }
    let path = copy.path.display();
    terminal.data(&format!("{path}: {state}"))?;
    if !diff.is_empty() {
        terminal.data(diff.trim_end())?;
    }
    Ok(())
}
