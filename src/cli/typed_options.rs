//! The names of options that were typed, for commands that refuse some of them.

use super::args::Cli;
use clap::CommandFactory;

/// The options of the command `path`, such as `wave next`, that are among `typed` and `is_meant`, as a person writes them.
pub fn names(path: &str, typed: &[String], is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let mesh = Cli::command();
    let mut parts = path.split(' ');
    let command = parts.try_fold(&mesh, |command, name| command.find_subcommand(name));
    let arguments = command.into_iter().flat_map(clap::Command::get_arguments);
    let named = arguments.filter_map(|arg| {
        let id = arg.get_id().as_str();
        let is_refused = is_meant(id) && typed.iter().any(|typed| typed == id);
        is_refused.then(|| match arg.get_long() {
            _ if id == "command" => "the agent's command".to_owned(),
            long => format!("`--{}`", long.unwrap_or(id)),
        })
    });
    named.collect()
}
