//! The command line with its help: a short one (`-h`) of the options that most calls need, with an example, and a long one
//! (`--help`) of all, with all examples and the exit codes.

use super::args::{Cli, Help, help};
use super::terminal::GLOBAL;
use clap::{Command, CommandFactory};

/// The command line.
pub fn command() -> Command {
    with_help(Cli::command(), "")
}

/// The help of the command called `name`, such as `wave next`.
pub fn help_of(name: &str) -> Option<&'static Help> {
    help().find(|help| help.command == name)
}

fn with_help(command: Command, name: &str) -> Command {
    let command = match help_of(name) {
        Some(help) => describe(command, help),
        None => command,
    };
    command.mut_subcommands(|below| {
        let name = format!("{name} {}", below.get_name());
        with_help(below, name.trim_start())
    })
}

fn describe(command: Command, help: &Help) -> Command {
    let is_hidden = |arg: &clap::Arg| {
        let id = arg.get_id().as_str();
        let is_global = arg.get_help_heading() == Some(GLOBAL);
        is_global || !(help.short.is_empty() || help.short.contains(&id))
    };
    command
        .mut_args(|arg| match is_hidden(&arg) {
            true => arg.hide_short_help(true),
            false => arg,
        })
        .after_help(format!("Example:\n{}", indented(help.examples[0])))
        .after_long_help(long(help))
}

fn long(help: &Help) -> String {
    let examples: Vec<String> = help.examples.iter().map(|text| indented(text)).collect();
    // Examples of several lines stand apart.
    let gap = match examples.iter().any(|text| text.contains('\n')) {
        true => "\n\n",
        false => "\n",
    };
    let mut text = format!("Examples:\n{}", examples.join(gap));
    if !help.notes.is_empty() {
        text.push_str(&format!("\n\n{}", help.notes));
    }
    text + &format!("\n\nExit codes: {}.", help.exit_codes)
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(command: &Command, name: &str, found: &mut Vec<String>) {
        found.push(name.to_owned());
        for below in command.get_subcommands() {
            let name = format!("{name} {}", below.get_name());
            names(below, name.trim_start(), found);
        }
    }

    #[test]
    fn every_command_has_three_examples_that_name_it_and_only_options_that_exist() {
        let mut found = Vec::new();
        names(&Cli::command(), "", &mut found);
        let mut known: Vec<String> = help().map(|help| help.command.to_owned()).collect();
        found.sort();
        known.sort();
        assert_eq!(found, known);
        let root = Cli::command();
        for help in help() {
            assert!(help.examples.len() >= 3, "{}", help.command);
            let words = help.command.split(' ').filter(|word| !word.is_empty());
            let command = words.fold(&root, |command, word| {
                command.find_subcommand(word).expect("a command")
            });
            for id in help.short {
                let has = command.get_arguments().any(|arg| arg.get_id() == id);
                assert!(has, "{} has no {id}", help.command);
            }
        }
    }

    /// Without the breaks of wrapped lines.
    fn on_one_line(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// On a terminal of 80 columns.
    #[test]
    fn the_short_help_fits_on_a_screen_and_has_an_example() {
        for help in help() {
            let mut command = command().term_width(80);
            command.build();
            let words = help.command.split(' ').filter(|word| !word.is_empty());
            let mut found = &mut command;
            for word in words {
                found = found.find_subcommand_mut(word).expect("a command");
            }
            let mut found = found.clone().term_width(80);
            let short = found.render_help().to_string();
            let lines = short.lines().count();
            assert!(
                lines <= 40,
                "mesh {} -h has {lines} lines:\n{short}",
                help.command
            );
            assert!(on_one_line(&short).contains(&on_one_line(help.examples[0])));
            let long = on_one_line(&found.render_long_help().to_string());
            for example in help.examples {
                assert!(long.contains(&on_one_line(example)), "{example}: {long}");
            }
        }
    }
}
