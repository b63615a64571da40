//! Where and how to print: colour, progress, and a closed pipe that is no error.

use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, Write};

/// Heading of the options that every command has.
pub const GLOBAL: &str = "Global options";

/// How to print; the same for every command.
#[derive(Clone, Copy, Debug, Args)]
pub struct ShowArgs {
    /// Write JSON to standard output: one object, or JSON Lines while something runs
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// When to use colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL, hide_possible_values = true)]
    pub color: When,
    /// How to show progress: auto, bar, plain or none
    #[arg(long, global = true, value_name = "HOW", default_value = "auto", help_heading = GLOBAL, hide_possible_values = true)]
    pub progress: ProgressMode,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Also into a pipe
    Always,
    /// Not at all
    Never,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, lines elsewhere
    Auto,
    /// A bar for each wave
    Bar,
    /// Lines
    Plain,
    /// Nothing
    None,
}

/// What the streams of this process can show.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// JSON on standard output.
    pub json: bool,
    /// Nothing but errors on standard error.
    pub quiet: bool,
    /// More on standard error.
    pub verbose: bool,
    /// How progress is shown, with `auto` resolved.
    pub progress: ProgressMode,
    colour_out: bool,
    colour_err: bool,
}

/// A meaning, not a colour: it survives without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong.
    Bad,
    /// Something went well.
    Good,
    /// Something to look at.
    Note,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Tone::Bad => "\x1b[1;31m",
            Tone::Good => "\x1b[32m",
            Tone::Note => "\x1b[1;36m",
        }
    }
}

impl Terminal {
    /// As the command line and the environment say.
    pub fn new(show: &ShowArgs) -> Self {
        let colour = |is_terminal: bool| match show.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                is_terminal
                    && !refused
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        let progress = match show.progress {
            _ if show.quiet => ProgressMode::None,
            ProgressMode::Auto if io::stderr().is_terminal() => ProgressMode::Bar,
            ProgressMode::Auto => ProgressMode::Plain,
            chosen => chosen,
        };
        Self {
            json: show.json,
            quiet: show.quiet,
            verbose: show.verbose,
            progress,
            colour_out: colour(io::stdout().is_terminal()),
            colour_err: colour(io::stderr().is_terminal()),
        }
    }

    /// For errors before the command line is understood.
    pub fn plain() -> Self {
        Self {
            json: false,
            quiet: false,
            verbose: false,
            progress: ProgressMode::None,
            colour_out: false,
            colour_err: false,
        }
    }

    /// `text` in the colour of `tone`, on standard error.
    pub fn err_tone(&self, tone: Tone, text: &str) -> String {
        toned(self.colour_err, tone, text)
    }

    /// `text` in the colour of `tone`, on standard output.
    pub fn out_tone(&self, tone: Tone, text: &str) -> String {
        toned(self.colour_out, tone, text)
    }

    /// A report for standard output: lines that say how a task ended, in their colour.
    pub fn painted(&self, report: &str) -> String {
        let paint = |line: &str| match line.trim_start().split_once(' ') {
            Some((_, rest)) if rest.trim_start().starts_with("blocked") => {
                toned(self.colour_out, Tone::Bad, line)
            }
            Some((_, rest)) if rest.trim_start() == "completed" => {
                toned(self.colour_out, Tone::Good, line)
            }
            _ => line.to_owned(),
        };
        report.lines().map(paint).collect::<Vec<_>>().join("\n")
    }

    /// Data: a line on standard output. A reader that went away is a quiet success.
    pub fn data(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Talk: a line on standard error, unless quiet.
    pub fn talk(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to tell when standard error is gone.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// More talk: only with `--verbose`.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.talk(text);
        }
    }

    /// A warning: on standard error in any case.
    pub fn warn(&self, text: &str) {
        let label = self.err_tone(Tone::Note, "warning:");
        let _ = writeln!(io::stderr().lock(), "{label} {text}");
    }
}

fn toned(colour: bool, tone: Tone, text: &str) -> String {
    match colour {
        true => format!("{}{text}\x1b[0m", tone.code()),
        false => text.to_owned(),
    }
}
