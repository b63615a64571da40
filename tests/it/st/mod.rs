//! `mesh st` through the real binary: exact outputs, error exits, writers at once, what survives.

mod durable;
mod output;
mod rules;

use crate::fixture::*;
use std::fs;
use std::ops::Deref;
use std::process::Command;

/// A sandbox outside every git repository, with a name for who works in it.
struct Bench {
    sandbox: Sandbox,
}

impl Deref for Bench {
    type Target = Sandbox;
    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Bench {
    fn new() -> Bench {
        Bench {
            sandbox: Sandbox::new(),
        }
    }

    fn with_plan() -> Bench {
        let bench = Bench::new();
        bench.ok("init");
        bench
    }

    /// Another program with the environment of `mesh st`.
    fn other(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let st = self.st_command("");
        command.current_dir(self.work()).env_clear();
        command.envs(
            st.get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        command
    }

    fn st_command(&self, args: impl Into<Args>) -> Command {
        let mut command = self.command(Args::from("st").and(args));
        command
            .env("ST_ACTOR", "tester")
            .env("ST_COMMENT_AUTHOR", "ann");
        command
    }

    fn st(&self, args: impl Into<Args>) -> Said {
        self.st_command(args).run_to_end()
    }

    /// The standard output of a command that must succeed.
    #[track_caller]
    fn ok(&self, args: impl Into<Args>) -> String {
        let said = self.st(args).exits(0);
        assert_eq!(said.err, "");
        said.out
    }

    /// The first line of standard error of a command that must be refused.
    #[track_caller]
    fn refused(&self, args: impl Into<Args>) -> String {
        let said = self.st(args).exits(2);
        said.err.lines().next().unwrap_or_default().to_owned()
    }

    /// The names in a folder, sorted.
    fn files(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect(name);
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }
}
