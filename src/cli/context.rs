//! The surroundings of every command: its folder, the configuration and the terminal.

use super::terminal::Terminal;
use crate::config::Config;
use std::path::PathBuf;

/// Passed to every command besides its own arguments.
pub struct Context {
    /// The folder that the command works in, absolute.
    pub folder: PathBuf,
    /// `mesh.yaml`.
    pub config: Config,
    /// The options of `run` that differ from their defaults, as `key=value`.
    pub overrides: Vec<String>,
    /// Prints.
    pub terminal: Terminal,
}
