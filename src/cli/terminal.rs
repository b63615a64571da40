//! Printing: colour, progress mode, and closed pipes.
//!
//! All output passes through here, and no control sequence leaves here except our own colours. A text is escaped as a whole,
//! whoever wrote which part of it; so colours are first marks that escaped text can't contain, and are replaced last.

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
    /// Print only errors and warnings
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// Print more details
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub verbose: bool,
    /// Use colour: auto, always or never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL, hide_possible_values = true)]
    pub color: When,
    /// Show progress: auto, bar, plain or none
    #[arg(long, global = true, value_name = "HOW", default_value = "auto", help_heading = GLOBAL, hide_possible_values = true)]
    pub progress: ProgressMode,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Even into a pipe
    Always,
    /// No colour
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
    /// Only errors and warnings on standard error.
    pub quiet: bool,
    /// More on standard error.
    pub verbose: bool,
    /// How progress is shown, with `auto` resolved.
    pub progress: ProgressMode,
    colour_out: bool,
    colour_err: bool,
    location: Option<&'static CallLocation>,
}

/// Standard output can't be written.
#[derive(Debug, thiserror::Error)]
#[error("standard output can't be written")]
pub struct NotPrinted(#[source] pub io::Error);

/// A meaning; it is clear without colour too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something is wrong.
    Bad,
    /// Something went well.
    Good,
    /// Something worth attention.
    Note,
}

/// Marks and the colours that replace them. They are noncharacters, which [`visible_lines`] removes from other text.
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
    /// Reads the command line and the environment. Suggested commands are completed for `location`, which is leaked so that
    /// the terminal can be copied.
    pub fn new(show: &ShowArgs, location: CallLocation) -> Self {
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
            location: Some(Box::leak(Box::new(location))),
        }
    }

    /// For errors that occur before the command line is parsed.
    pub fn plain() -> Self {
        Self {
            json: false,
            quiet: false,
            verbose: false,
            progress: ProgressMode::None,
            colour_out: false,
            colour_err: false,
            location: None,
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

    /// A report for standard output, with the status lines of tasks in colour.
    pub fn painted(&self, report: &str) -> String {
        let paint = |line: &str| match line.trim_start().split_once(' ') {
            Some((_, rest))
                if rest.trim_start().starts_with("blocked")
                    || rest.trim_start().starts_with("rejected: ") =>
            {
                toned(self.colour_out, Tone::Bad, line)
            }
            Some((_, rest)) if ["completed", "accepted"].contains(&rest.trim_start()) => {
                toned(self.colour_out, Tone::Good, line)
            }
            _ => line.to_owned(),
        };
        report.lines().map(paint).collect::<Vec<_>>().join("\n")
    }

    /// Prints a line of data on standard output. A closed pipe is a quiet success.
    pub fn data(&self, text: &str) -> Result<(), NotPrinted> {
        let text = match self.json {
            true => visible_json(text),
            false => shown(text, self.colour_out),
        };
        line_out(&text)
    }

    /// Prints a text on standard output as it is, byte for byte. On a terminal, hidden characters are replaced.
    pub fn verbatim(&self, text: &str) -> Result<(), NotPrinted> {
        match io::stdout().is_terminal() {
            true => line_out(&shown(text, false)),
            false => line_out(text),
        }
    }

    /// Prints JSON on standard output, with or without `--json`.
    pub fn json(&self, text: &str) -> Result<(), NotPrinted> {
        line_out(&visible_json(text))
    }

    /// Clears the terminal before a text is drawn again.
    pub fn clear(&self) -> Result<(), NotPrinted> {
        if !io::stdout().is_terminal() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        // The cursor goes to the top left, and everything behind it is erased.
        out.write_all(b"\x1b[H\x1b[J")
            .and_then(|()| out.flush())
            .map_err(NotPrinted)
    }

    /// `text` as another writer, such as a progress bar, may print it on standard error.
    pub fn err_text(&self, text: &str) -> String {
        shown(text, self.colour_err)
    }

    /// Prints an error on standard error.
    pub fn error(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", self.err_text(text));
    }
}

/// Standard output for text that is printed in pieces, with hidden characters escaped.
pub struct Pieces<W: Write> {
    out: W,
    /// The first bytes of an incomplete character.
    rest: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    /// Writes to `out`.
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
    /// Prints a message on standard error, unless quiet.
    pub fn talk(&self, text: &str) {
        if !self.quiet {
            self.error(text);
        }
    }

    /// Prints a message of our own that suggests commands, completed for this call's location.
    pub fn advise(&self, text: &str) {
        self.talk(&self.pasteable(text));
    }

    /// Prints advice of our own after a coloured label; see [`Terminal::advise`].
    pub fn advise_as(&self, label: &str, text: &str) {
        let label = self.err_tone(Tone::Note, label);
        self.advise(&format!("{label} {text}"));
    }

    /// Completes every suggested command in `text` with the location options of this call. Not for text of a worker.
    pub fn pasteable(&self, text: &str) -> String {
        match self.location {
            Some(location) => location.complete(text),
            None => text.to_owned(),
        }
    }

    /// Prints a message only with `--verbose`.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.talk(text);
        }
    }

    /// Prints a warning on standard error, even if quiet.
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

/// Escapes hidden characters, and replaces marks by colours.
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
