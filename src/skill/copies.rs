//! Where agents look for the skill, and what is there.

use super::text::{FILES, is_as_written, text};
use crate::platform;
use crate::platform::look;
use std::io;
use std::path::{Path, PathBuf};

/// An agent that reads skills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `.agents/skills`, which others read too.
    Codex,
    /// `.claude/skills`.
    Claude,
    /// `.gemini/skills`.
    Gemini,
    /// `.opencode/skills`.
    Opencode,
}

/// For whom a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For everybody who works in the project.
    Project,
    /// For the user, in every project.
    User,
}

/// What a file of a copy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Missing,
    /// As this `mesh` writes it.
    Current,
    /// As another `mesh` wrote it; its text.
    Outdated(String),
    /// Somebody changed it; its text.
    Edited(String),
}

/// One file at one place.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The agent that reads it.
    pub agent: Agent,
    /// For whom it is.
    pub level: Level,
    /// Where it is.
    pub path: PathBuf,
    /// The file of the skill.
    pub file: &'static str,
    /// What is there.
    pub state: State,
}

impl Agent {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Codex, Self::Claude, Self::Gemini, Self::Opencode];

    /// Its name, which is that of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Codex => "codex",
            Self::Claude => "claude",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
        }
    }

    /// The folder of its skills below the project or the home of the user. Sources: the manuals of the agents, "Skills".
    fn folder(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Codex, _) => ".agents/skills",
            (Self::Claude, _) => ".claude/skills",
            (Self::Gemini, _) => ".gemini/skills",
            (Self::Opencode, Level::Project) => ".opencode/skills",
            (Self::Opencode, Level::User) => ".config/opencode/skills",
        }
    }
}

impl Level {
    /// `project` or `user`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

impl Copy {
    /// The text that it should have.
    pub fn expected(&self) -> String {
        text(self.file)
    }
}

/// The files of the copy of an agent below `root`, the project's or the user's folder.
///
/// # Errors
/// A file can't be read.
pub fn copies(agent: Agent, level: Level, root: &Path) -> io::Result<Vec<Copy>> {
    let folder = root.join(agent.folder(level)).join("mesh");
    let copy = |file| {
        let path = folder.join(file);
        let state = state(&path, file)?;
        Ok(Copy {
            agent,
            level,
            path,
            file,
            state,
        })
    };
    FILES.into_iter().map(copy).collect()
}

fn state(path: &Path, file: &str) -> io::Result<State> {
    let Some(bytes) = look::found(std::fs::read(path))? else {
        return Ok(State::Missing);
    };
    let found = String::from_utf8_lossy(&bytes).into_owned();
    Ok(match () {
        () if found == text(file) => State::Current,
        () if is_as_written(&found) => State::Outdated(found),
        () => State::Edited(found),
    })
}

/// Writes a file as it should be.
///
/// # Errors
/// It can't be written.
pub fn write(copy: &Copy) -> io::Result<()> {
    platform::write(&copy.path, copy.expected().as_bytes())
}
