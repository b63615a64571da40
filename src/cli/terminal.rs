//! Where and how to print: colour, progress, and a closed pipe that is no error.
//!
//! Nothing reaches a stream but through here, and nothing that a terminal would act on gets out of here but our own colours:
//! a text is made visible as a whole, whoever wrote which part of it. A tone is therefore put on with marks that no visible text
//! has, and they become colours last.

use super::call_location::CallLocation;
use crate::model::{escaped_lines, is_hidden, visible_json, visible_lines};
use clap::{Args, ValueEnum};
use std::io;
use std::io::{IsTerminal, Write};

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
    place: Option<&'static CallLocation>,
}

/// Standard output did not take it.
#[derive(Debug, thiserror::Error)]
#[error("standard output can't be written")]
pub struct NotPrinted(#[source] pub io::Error);

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

/// Marks in a text and the colours that they become. They are noncharacters, and [`visible_lines`] leaves none in a text
/// from elsewhere.
const MARKS: [(char, &str); 4] = [
    ('\u{fdd0}', "\x1b[0m"),
    ('\u{fdd1}', "\x1b[1;31m"),
    ('\u{fdd2}', "\x1b[32m"),
    ('\u{fdd3}', "\x1b[1;36m"),
];

impl Tone {
    fn mark(self) -> char {
        let at = match self {
            Tone::Bad => 1,
            Tone::Good => 2,
            Tone::Note => 3,
        };
        MARKS[at].0
    }
}

impl Terminal {
    /// As the command line and the environment say; commands that are suggested are completed for `place`, which is kept
    /// for as long as the process lives.
    pub fn new(show: &ShowArgs, place: CallLocation) -> Self {
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
            place: Some(Box::leak(Box::new(place))),
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
            place: None,
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
    pub fn data(&self, text: &str) -> Result<(), NotPrinted> {
        let text = match self.json {
            true => visible_json(text),
            false => shown(text, self.colour_out),
        };
        line_out(&text)
    }

    /// Data that is JSON in any case.
    pub fn json(&self, text: &str) -> Result<(), NotPrinted> {
        line_out(&visible_json(text))
    }

    /// `text` as it may be written to standard error by somebody else, such as a progress bar.
    pub fn err_text(&self, text: &str) -> String {
        shown(text, self.colour_err)
    }

    /// An error: on standard error, whatever else is said there.
    pub fn error(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", self.err_text(text));
    }
}

/// Standard output for programs that print piece by piece: text that programs read, with nothing hidden in it.
pub struct Pieces<W: Write> {
    out: W,
    /// The beginning of a character whose end is still to come.
    rest: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    /// What is written goes on to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            rest: Vec::new(),
        }
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.rest.len(),
        };
        let text: Vec<u8> = self.rest.drain(..whole).collect();
        let text = escaped_lines(&String::from_utf8_lossy(&text));
        self.out.write_all(text.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn line_out(text: &str) -> Result<(), NotPrinted> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(NotPrinted),
    }
}

impl Terminal {
    /// Talk: a line on standard error, unless quiet.
    pub fn talk(&self, text: &str) {
        if !self.quiet {
            // Nobody is left to tell when standard error is gone.
            self.error(text);
        }
    }

    /// Talk of our own words that suggests commands: they work from where this call was made.
    pub fn advise(&self, text: &str) {
        self.talk(&self.pasteable(text));
    }

    /// `text`, in which every suggested command works from where this call was made. Not for the words of a worker.
    pub fn pasteable(&self, text: &str) -> String {
        match self.place {
            Some(place) => place.complete(text),
            None => text.to_owned(),
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
        self.error(&format!("{label} {text}"));
    }
}

fn toned(colour: bool, tone: Tone, text: &str) -> String {
    let text = visible_lines(text);
    match colour {
        true => format!("{}{text}{}", tone.mark(), MARKS[0].0),
        false => text,
    }
}

/// A text as a terminal may get it: everything visible, marks as the colours that they stand for.
fn shown(text: &str, colour: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n");
    for c in text.chars() {
        match MARKS.iter().find(|(mark, _)| *mark == c && colour) {
            Some((_, code)) => shown.push_str(code),
            None if is_hidden(c) && c != '\n' && c != '\t' => shown.push('\u{fffd}'),
            None => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_our_colours_gets_out() {
        let bad = toned(true, Tone::Bad, "a\x1b[5mb\u{fdd2}\u{202e}");
        assert_eq!(
            shown(&bad, true),
            "\x1b[1;31ma\u{fffd}[5mb\u{fffd}\u{fffd}\x1b[0m"
        );
        assert_eq!(shown("x\ty\r\nz\u{9b}1m", true), "x\ty\nz\u{fffd}1m");
        assert_eq!(shown("\u{fdd1}", false), "\u{fffd}");
    }

    #[test]
    fn characters_are_whole_however_they_are_written() {
        let mut out = Vec::new();
        let mut pieces = Pieces::new(&mut out);
        for byte in "a\té\u{202e}\u{1b}\n".bytes() {
            pieces.write_all(&[byte]).expect("written");
        }
        drop(pieces);
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "a\té\\u202e\\u001b\n"
        );
    }
}
