//! What every command is given: the folder it works in, and the terminal.

use super::terminal::Terminal;
use crate::config::Config;
use std::path::PathBuf;

/// What every command gets beside its own arguments.
pub struct Context {
    /// Where the command works, absolute.
    pub folder: PathBuf,
    /// `mesh.yaml`.
    pub config: Config,
    /// What was given on the command line of `run`, as `key=value`.
    pub overrides: Vec<String>,
    /// Where and how to print.
    pub terminal: Terminal,
}
