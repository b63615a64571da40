//! What the help and the manual pages say beside the options of a command: examples, notes and exit codes; and which options the
//! short help (`-h`) shows. The only place of examples.

mod commands;
mod help;
mod st;

pub use help::Help;

/// Every command.
pub fn help() -> impl Iterator<Item = &'static Help> {
    commands::COMMANDS.iter().chain(&st::COMMANDS)
}
