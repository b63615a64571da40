//! Completes suggested commands with the `-C DIR` and `--artifacts DIR` of this call.
//!
//! A suggestion is pasted into the same shell, where without these options it would find another folder and other runs. Only
//! our own text is completed, never that of a worker. Environment variables such as `MESH_HOME` are still set for the pasted
//! command and are not repeated.

use crate::model::shell_word;
use clap::{ArgMatches, Command};
use std::path::{Path, PathBuf};

/// The location options of this call.
#[derive(Clone, Debug)]
pub struct CallLocation {
    /// All commands, with their options.
    commands: fn() -> Command,
    /// `-C`, as given.
    folder: Option<PathBuf>,
    /// `--artifacts`, as given.
    artifacts: Option<PathBuf>,
}

impl CallLocation {
    /// Reads them from the command line.
    pub fn of(folder: &Path, matches: &ArgMatches, commands: fn() -> Command) -> Self {
        Self {
            commands,
            folder: (folder != Path::new(".")).then(|| folder.to_owned()),
            artifacts: artifacts(matches),
        }
    }

    /// Adds the location options to every command of `mesh` in `text`.
    pub fn complete(&self, text: &str) -> String {
        if self.folder.is_none() && self.artifacts.is_none() {
            return text.to_owned();
        }
        let root = (self.commands)();
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("mesh ") {
            let is_word = |c: char| c.is_alphanumeric() || "-_/.$\\".contains(c);
            let is_name = !rest[..at].ends_with(is_word);
            let (before, after) = rest.split_at(at + "mesh ".len());
            whole.push_str(before);
            let (command, length) = subcommand(&root, after);
            if is_name && length > 0 {
                let folder = self.folder.as_deref().filter(|_| !changes_folder(&whole));
                whole.push_str(&option("-C ", folder, ' '));
                whole.push_str(&after[..length]);
                whole.push_str(&self.artifacts_of(command));
            } else {
                whole.push_str(&after[..length]);
            }
            rest = &after[length..];
        }
        whole.push_str(rest);
        whole
    }

    fn artifacts_of(&self, command: &Command) -> String {
        let takes_it = command
            .get_arguments()
            .any(|arg| arg.get_long() == Some("artifacts"));
        let folder = self.artifacts.as_deref().filter(|_| takes_it);
        match folder {
            Some(folder) => format!(" --artifacts {}", word(folder)),
            None => String::new(),
        }
    }
}

/// `--artifacts` of the command, or of its subcommand.
fn artifacts(matches: &ArgMatches) -> Option<PathBuf> {
    let here = matches.try_get_one::<PathBuf>("artifacts").ok().flatten();
    let below = || matches.subcommand().and_then(|(_, below)| artifacts(below));
    here.cloned().or_else(below)
}

/// The subcommand at the start of `text`, such as `runs show`, and the length of its name in bytes.
fn subcommand<'c>(root: &'c Command, text: &str) -> (&'c Command, usize) {
    let (mut command, mut length) = (root, 0);
    loop {
        let rest = &text[length..];
        let blank = rest.len() - rest.trim_start_matches(' ').len();
        let name = &rest[blank..];
        let is_part = |c: char| c.is_ascii_lowercase() || c == '-';
        let name = &name[..name.find(|c| !is_part(c)).unwrap_or(name.len())];
        match command.find_subcommand(name) {
            Some(next) => (command, length) = (next, length + blank + name.len()),
            None => return (command, length),
        }
    }
}

/// Whether the command line that ends in `text` has changed the folder with `cd`.
fn changes_folder(text: &str) -> bool {
    let line = text.rsplit(['\n', ';', '`']).next().unwrap_or_default();
    line.contains("cd ") && line.contains(" && ")
}

fn option(name: &str, value: Option<&Path>, end: char) -> String {
    value.map_or(String::new(), |value| format!("{name}{}{end}", word(value)))
}

fn word(path: &Path) -> String {
    shell_word(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::CommandFactory;

    fn place(folder: Option<&str>, artifacts: Option<&str>) -> CallLocation {
        CallLocation {
            commands: Cli::command,
            folder: folder.map(PathBuf::from),
            artifacts: artifacts.map(PathBuf::from),
        }
    }

    #[test]
    fn a_suggestion_has_the_options_that_its_command_takes() {
        let place = place(Some("my repo"), Some("../runs"));
        for (text, whole) in [
            (
                "resume with: mesh resume R",
                "resume with: mesh -C 'my repo' resume --artifacts ../runs R",
            ),
            (
                "`mesh runs show R`; mesh wave next --run R",
                "`mesh -C 'my repo' runs show --artifacts ../runs R`; \
                 mesh -C 'my repo' wave next --artifacts ../runs --run R",
            ),
            (
                "mesh runs list",
                "mesh -C 'my repo' runs list --artifacts ../runs",
            ),
            (
                "mesh st init && mesh st doctor",
                "mesh -C 'my repo' st init && mesh -C 'my repo' st doctor",
            ),
            (
                "mesh keeps it, my-mesh resume too",
                "mesh keeps it, my-mesh resume too",
            ),
            ("mesh ", "mesh "),
            ("run: cd x && mesh st init", "run: cd x && mesh st init"),
        ] {
            assert_eq!(place.complete(text), whole);
        }
    }

    #[test]
    fn without_such_options_nothing_changes() {
        let text = "resume with: mesh resume R";
        assert_eq!(place(None, None).complete(text), text);
    }
}
