//! A run as a file: a web page, a picture or a trace.

use crate::cli::args::InspectArgs;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::files_in_use::refuse_existing;
use crate::model::shell_word;
use crate::platform;
use crate::report;
use crate::report::page::RunPage;
use crate::report::view::{RunView, Source};
use crate::report::{otel, page, picture};
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// A file to be written.
#[derive(Clone, Copy, Debug)]
pub enum Requested<'a> {
    /// `--html`.
    Page(&'a Path),
    /// `--svg timeline`.
    Timeline(&'a Path),
    /// `--svg graph`.
    Graph(&'a Path),
    /// `--otel`.
    Trace(&'a Path),
    /// `--junit`.
    Junit(&'a Path),
}

impl<'a> Requested<'a> {
    /// The file that the arguments request, if they do.
    pub fn by(args: &'a InspectArgs) -> Result<Option<Self>, CliError> {
        if let [kind, path] = args.svg.as_slice() {
            return match kind.to_str() {
                Some("timeline") => Ok(Some(Self::Timeline(path))),
                Some("graph") => Ok(Some(Self::Graph(path))),
                _ => Err(CliError::NoPicture(kind.clone())),
            };
        }
        let page = args.html.as_deref().map(Self::Page);
        let trace = args.otel.as_deref().map(Self::Trace);
        let junit = args.junit.as_deref().map(Self::Junit);
        Ok(page.or(trace).or(junit))
    }

    fn path(self) -> &'a Path {
        match self {
            Self::Page(path)
            | Self::Timeline(path)
            | Self::Graph(path)
            | Self::Trace(path)
            | Self::Junit(path) => path,
        }
    }

    /// Its name in messages.
    fn noun(self) -> &'static str {
        match self {
            Self::Page(_) => "page",
            Self::Timeline(_) => "timeline",
            Self::Graph(_) => "graph",
            Self::Trace(_) => "trace",
            Self::Junit(_) => "JUnit file",
        }
    }

    /// Writes it to `path`. A trace and a JUnit file are written as they are made; everything else fits into memory.
    fn write(self, run: &RunView, path: &Path) -> Result<(), CliError> {
        let unwritten = |source| CliError::Write {
            path: path.to_owned(),
            source,
        };
        let content = match self {
            Self::Page(_) => {
                let data = RunPage::read(run.folder().clone())?.data()?;
                let export = |out: &mut BufWriter<&File>| page::write(&data, out);
                return platform::durable::write_with(path, export).map_err(unwritten);
            }
            Self::Timeline(_) => picture::timeline(run)?,
            Self::Graph(_) => picture::graph(run)?,
            Self::Trace(_) => {
                let export = |out: &mut BufWriter<&File>| otel::export(run, out).map(drop);
                return platform::durable::write_with(path, export)
                    .map_err(CliError::unexported(path));
            }
            Self::Junit(_) => {
                let export = |out: &mut BufWriter<&File>| report::write_junit(run, out);
                return platform::durable::write_with(path, export)
                    .map_err(CliError::unexported(path));
            }
        };
        platform::write(path, &content).map_err(unwritten)
    }
}

/// Writes the file and prints its path. `given` is what names the source.
pub fn write(
    file: Requested<'_>,
    source: &Source,
    given: &str,
    force: bool,
    context: &Context,
) -> Result<(), CliError> {
    let path = context.folder.join(file.path());
    refuse_existing(&path, force)?;
    let Source::Run(run) = source else {
        return Err(CliError::FileOfTable {
            path: PathBuf::from(given),
            noun: file.noun(),
        });
    };
    file.write(run, &path)?;
    let rows = run.rows_total();
    if matches!(file, Requested::Page(_)) && rows > page::ROWS_MAX {
        context.terminal.warn(&format!(
            "the page has {} of {} rows: first those that failed, then the first others; its sums are of all",
            page::ROWS_MAX, rows
        ));
        let given = shell_word(given);
        context
            .terminal
            .advise(&format!("to see all rows: mesh inspect {given}"));
    }
    context.terminal.data(&path.to_string_lossy())?;
    Ok(())
}
