//! `mesh inspect`: the rows of a wave, an output or a run, in the terminal.
//!
//! ```text
//! mod    which rows, in which order
//! show   as a table, tab-separated or JSON
//! sorted in another order
//! diff   of two runs
//! files  a web page, a picture or a trace
//! ```

mod diff;
mod files;
mod show;
mod sorted;

use super::archives::Opened;
use super::args::{InspectArgs, TableFormat};
use super::context::Context;
use super::error::CliError;
use super::files_in_use::in_use_by_all;
use super::{rows, workbook};
use crate::report::view::{Column, Condition, Needs, RunView, Source, ViewError, ViewRow};
use files::Requested;
use serde_json::json;
use show::{Shown, Style};
use sorted::Sorter;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

/// How often `--watch` reads the run.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Shows what the arguments name.
pub fn execute(args: &InspectArgs, context: &Context) -> Result<u8, CliError> {
    let home = args.home.folder(context)?;
    let given = args.what.as_deref().unwrap_or_default();
    let named = [
        Some(given),
        args.diff.first().map(String::as_str),
        args.diff.get(1).map(String::as_str),
    ];
    let named = named
        .into_iter()
        .flatten()
        .map(|given| Ok((given, Opened::by(given, context)?)));
    let named: Vec<(&str, Opened)> = named.collect::<Result<_, CliError>>()?;
    // An archive is read where it was unpacked.
    let open = |given: &str| {
        let unpacked = named.iter().find(|(name, _)| *name == given);
        match unpacked.and_then(|(_, opened)| opened.folder()) {
            Some(folder) => Ok(Source::Run(Box::new(RunView::at(&folder)?))),
            None => Source::open(given, &context.folder, &home),
        }
    };
    if let [one, two] = args.diff.as_slice() {
        return diff::execute(&open(one)?, &open(two)?, style(args), context);
    }
    if args.watch {
        return watch(args, context, || open(given));
    }
    if let Some(path) = &args.xlsx {
        return write_workbook(args, path, || open(given), context);
    }
    let requested = Requested::by(args)?;
    let source = open(given)?;
    if let Some(file) = requested {
        files::write(file, &source, given, args.force, context)?;
        return Ok(0);
    }
    match &args.row {
        Some(id) => show_row(&source, given, id, context)?,
        None => show(args, &source, style(args), context)?,
    }
    Ok(0)
}

/// Writes the workbook and prints its path.
fn write_workbook(
    args: &InspectArgs,
    path: &Path,
    open: impl Fn() -> Result<Source, ViewError>,
    context: &Context,
) -> Result<u8, CliError> {
    let mut in_use = in_use_by_all(context);
    let given = context
        .folder
        .join(args.what.as_deref().unwrap_or_default());
    in_use.add_file("is what is inspected", given);
    workbook::check_file(path, args.force, &in_use, context)?;
    let written = workbook::write_file(&open()?, path, context)?;
    let terminal = &context.terminal;
    match terminal.json {
        true => terminal.data(&json!({"xlsx_path": path, "rows": written.rows}).to_string())?,
        false => terminal.data(&path.display().to_string())?,
    }
    Ok(0)
}

fn show_row(source: &Source, given: &str, id: &str, context: &Context) -> Result<(), CliError> {
    match source {
        Source::Run(run) => rows::show(run.folder(), run.state(), id, context),
        Source::Table(table) => {
            let mut found = None;
            table.each_row(|row| {
                if row.item == id {
                    found = Some(row);
                }
                Ok::<_, ViewError>(())
            })?;
            let row = found.ok_or_else(|| CliError::NoRowInTable {
                path: given.into(),
                row: id.to_owned(),
            })?;
            show::one(&row, table.header(), &context.terminal)
        }
    }
}

/// Shows the run again and again until it ends; a CSV only once.
fn watch(
    args: &InspectArgs,
    context: &Context,
    open: impl Fn() -> Result<Source, ViewError>,
) -> Result<u8, CliError> {
    loop {
        let source = open()?;
        let is_driven = matches!(&source, Source::Run(run) if run.is_driven());
        let style = style(args);
        if matches!(style, Style::Table(_)) {
            context.terminal.clear()?;
        }
        // In a pipe or as JSON, only the last state is of use.
        if !is_driven || (matches!(style, Style::Table(_)) && !context.terminal.json) {
            show(args, &source, style, context)?;
        }
        if !is_driven {
            return Ok(0);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

fn style(args: &InspectArgs) -> Style {
    let is_terminal = std::io::stdout().is_terminal();
    match args.format {
        TableFormat::Table => Style::Table(width(args.wide)),
        TableFormat::Auto if is_terminal => Style::Table(width(args.wide)),
        _ => Style::Tsv,
    }
}

/// The width of the terminal, or of `COLUMNS`; 80 if neither is known.
fn width(wide: bool) -> Option<usize> {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    (!wide).then(|| columns().or_else(terminal).unwrap_or(80))
}

/// Shows the chosen rows.
fn show(
    args: &InspectArgs,
    source: &Source,
    style: Style,
    context: &Context,
) -> Result<(), CliError> {
    let choice = Choice::of(args, source)?;
    let mut shown = Shown::new(
        style,
        choice.columns.clone(),
        source.header(),
        &context.terminal,
    );
    let mut sorter = match &choice.sort {
        Some((column, is_descending)) => Some(Sorter::new(column.clone(), *is_descending)?),
        None => None,
    };
    source.each_row(choice.needs(shown.needs()), |row| {
        if !choice.holds(&row) {
            return Ok::<_, CliError>(());
        }
        match &mut sorter {
            None => shown.row(row),
            Some(sorter) => Ok(sorter.add(&row)?),
        }
    })?;
    if let Some(sorter) = sorter {
        sorter.for_each(|row| shown.row(row))?;
    }
    shown.finish()
}

/// Which rows and columns, in which order.
struct Choice {
    failed: bool,
    conditions: Vec<Condition>,
    columns: Vec<Column>,
    sort: Option<(Column, bool)>,
}

impl Choice {
    fn of(args: &InspectArgs, source: &Source) -> Result<Self, ViewError> {
        let header = source.header();
        let find = |name: &String| Column::find(name.trim(), header);
        let sort = args.sort.as_deref().map(|given| {
            // A column of the input may begin with a hyphen.
            let name = given
                .strip_prefix('-')
                .filter(|_| Column::find(given, header).is_err());
            let column = Column::find(name.unwrap_or(given), header)?;
            Ok::<_, ViewError>((column, name.is_some()))
        });
        let conditions = args.conditions.iter();
        Ok(Self {
            failed: args.failed,
            conditions: conditions
                .map(|text| Condition::parse(text, header))
                .collect::<Result<_, _>>()?,
            columns: args.columns.iter().map(find).collect::<Result<_, _>>()?,
            sort: sort.transpose()?,
        })
    }

    fn holds(&self, row: &ViewRow) -> bool {
        (!self.failed || row.has_failed()) && self.conditions.iter().all(|one| one.holds(row))
    }

    fn needs(&self, shown: Needs) -> Needs {
        let columns = self
            .columns
            .iter()
            .chain(self.conditions.iter().map(|one| &one.column));
        let columns = columns.chain(self.sort.iter().map(|(column, _)| column));
        columns.fold(shown, |needs, column| needs.or(column.needs()))
    }
}
