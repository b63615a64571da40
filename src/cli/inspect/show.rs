//! Rows as a table, as tab-separated values, or as JSON Lines.

use crate::cli::error::CliError;
use crate::cli::terminal::{Terminal, Tone};
use crate::model::{counted, dollars, one_line, short, visible, visible_lines};
use crate::report::grid::Grid;
use crate::report::view::{Column, Headline, Needs, Totals, ViewRow};
use serde_json::{Map, Value, json};

/// The widths of a table are those of its first rows.
const SAMPLE_ROWS: usize = 1000;
/// The most text that is printed at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// The longest cell of a table.
const CELL_CHARS_MAX: usize = 300;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Aligned columns, cut to this width if there is one.
    Table(Option<usize>),
    /// Tab-separated values.
    Tsv,
}

/// Rows on their way to standard output.
pub struct Shown<'t> {
    style: Style,
    terminal: &'t Terminal,
    /// Empty: those that have a value.
    columns: Vec<Column>,
    header: Vec<String>,
    sample: Vec<ViewRow>,
    grid: Option<Grid>,
    text: String,
    totals: Totals,
}

impl<'t> Shown<'t> {
    /// Prints rows with these columns; by default, with those that have a value in the first rows.
    pub fn new(
        style: Style,
        columns: Vec<Column>,
        header: &[String],
        terminal: &'t Terminal,
    ) -> Self {
        Self {
            style,
            terminal,
            columns,
            header: header.to_vec(),
            sample: Vec::new(),
            grid: None,
            text: String::new(),
            totals: Totals::default(),
        }
    }

    /// What has to be read of each row.
    pub fn needs(&self) -> Needs {
        Needs {
            record: true,
            input: self.terminal.json && self.columns.is_empty(),
        }
    }

    /// Prints a row, at the latest with [`Shown::finish`].
    pub fn row(&mut self, row: ViewRow) -> Result<(), CliError> {
        self.totals.add(&row);
        if self.terminal.json {
            let line = self.json(&row).to_string();
            return self.line(&line);
        }
        if self.grid.is_some() {
            return self.table_row(&row);
        }
        self.sample.push(row);
        match self.sample.len() < SAMPLE_ROWS {
            true => Ok(()),
            false => self.begin(),
        }
    }

    /// Prints what is left, and the summary of a table.
    pub fn finish(mut self) -> Result<(), CliError> {
        if !self.terminal.json && self.grid.is_none() {
            self.begin()?;
        }
        if matches!(self.style, Style::Table(_)) && !self.terminal.json {
            let summary = summary(&self.totals);
            let gap = if self.grid.is_some() { "\n" } else { "" };
            self.line(&format!("{gap}{summary}"))?;
        }
        self.flush()
    }

    /// Decides on columns and widths, and prints the first rows.
    fn begin(&mut self) -> Result<(), CliError> {
        let sample = std::mem::take(&mut self.sample);
        if self.columns.is_empty() {
            self.columns = default_columns(&sample, self.style);
        }
        if sample.is_empty() && matches!(self.style, Style::Table(_)) {
            return Ok(());
        }
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|column| self.title(column))
            .collect();
        let cells = |row: &ViewRow| {
            self.columns
                .iter()
                .map(|column| self.cell(column, row))
                .collect()
        };
        let mut rows: Vec<Vec<String>> = vec![titles.clone()];
        rows.extend(sample.iter().map(cells));
        let is_right = |column: &Column| {
            let mut values = sample
                .iter()
                .map(|row| column.cell(row))
                .filter(|cell| cell.as_number().is_some());
            values.next().is_some_and(|cell| cell.is_numeric())
        };
        let right = self.columns.iter().map(is_right).collect();
        let width = match self.style {
            Style::Table(width) => width,
            Style::Tsv => None,
        };
        let grid = Grid::fit(&rows, right, width);
        let head = match self.style {
            Style::Table(_) => Grid::line(&grid.cells(&titles)),
            Style::Tsv => titles.join("\t"),
        };
        self.grid = Some(grid);
        self.line(head.trim_end())?;
        sample.iter().try_for_each(|row| self.table_row(row))
    }

    fn table_row(&mut self, row: &ViewRow) -> Result<(), CliError> {
        let cells: Vec<String> = self
            .columns
            .iter()
            .map(|column| self.cell(column, row))
            .collect();
        let line = match (&self.grid, self.style) {
            (Some(grid), Style::Table(_)) => {
                let mut cells = grid.cells(&cells);
                for (cell, column) in cells.iter_mut().zip(&self.columns) {
                    if let Some(tone) = tone(column, row) {
                        *cell = self.terminal.out_tone(tone, cell);
                    }
                }
                Grid::line(&cells).trim_end().to_owned()
            }
            _ => cells.join("\t"),
        };
        self.line(&line)
    }

    fn title(&self, column: &Column) -> String {
        match (self.style, column) {
            (Style::Table(_), Column::Own(name)) => name.to_uppercase(),
            (Style::Table(_), column) => one_line(&column.title()),
            (Style::Tsv, column) => escaped(&column.title()),
        }
    }

    fn cell(&self, column: &Column, row: &ViewRow) -> String {
        let text = column.cell(row).shown();
        match self.style {
            Style::Tsv => escaped(&text),
            Style::Table(Some(_)) => {
                let text: String = text.chars().take(CELL_CHARS_MAX).collect();
                visible(&text)
            }
            Style::Table(None) => visible(&text),
        }
    }

    fn json(&self, row: &ViewRow) -> Value {
        if !self.columns.is_empty() {
            let values = self
                .columns
                .iter()
                .map(|column| (column.title(), value(column, row)));
            return Value::Object(values.collect());
        }
        let own = Column::NAMES.iter().filter(|name| **name != "what");
        let own = own.map(|name| ((*name).to_owned(), value(&Column::Own(name), row)));
        let mut object: Map<String, Value> = own.collect();
        if let Some(verdict) = &row.verdict {
            object.insert(
                "verdict".to_owned(),
                json!({"verdict": verdict.verdict, "code": verdict.code, "detail": verdict.detail}),
            );
        }
        object.insert("result".to_owned(), row.result.clone().unwrap_or_default());
        let input = self
            .header
            .iter()
            .cloned()
            .zip(row.fields.iter().map(|cell| json!(cell)));
        object.insert("input".to_owned(), Value::Object(input.collect()));
        Value::Object(object)
    }

    fn line(&mut self, line: &str) -> Result<(), CliError> {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
        match self.text.len() < CHUNK_BYTES {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<(), CliError> {
        let text = std::mem::take(&mut self.text);
        match text.is_empty() {
            true => Ok(()),
            false => Ok(self.terminal.data(&text)?),
        }
    }
}

/// Those that say something: of a plan also the verdict, with reported cost also the cost, of a wave its scope and lane.
fn default_columns(sample: &[ViewRow], style: Style) -> Vec<Column> {
    let names: &[&'static str] = match style {
        Style::Table(_) => &[
            "item", "status", "verdict", "attempts", "seconds", "cost", "what",
        ],
        Style::Tsv => &[
            "item", "wave", "unit", "round", "role", "status", "verdict", "attempts", "seconds",
            "tokens", "cost", "what",
        ],
    };
    let is_run = sample.iter().all(|row| !row.status.is_empty());
    let says_something = |name: &&&'static str| {
        let column = Column::Own(name);
        let always = match style {
            Style::Tsv => true,
            Style::Table(_) => matches!(**name, "item" | "status" | "what"),
        };
        let has_value = |row: &ViewRow| column.cell(row).shown() != "";
        (always && is_run) || sample.iter().any(has_value)
    };
    let mut columns: Vec<Column> = names
        .iter()
        .filter(says_something)
        .map(|name| Column::Own(name))
        .collect();
    if !is_run {
        let names = ["unit", "round", "role"].map(Column::Own);
        columns = std::iter::once(Column::Own("item")).chain(names).collect();
    }
    columns
}

fn value(column: &Column, row: &ViewRow) -> Value {
    use crate::report::view::Cell;
    match column.cell(row) {
        Cell::Empty => Value::Null,
        Cell::Text(text) => json!(text),
        Cell::Count(count) => json!(count),
        Cell::Number(number, _) => json!(number),
    }
}

fn tone(column: &Column, row: &ViewRow) -> Option<Tone> {
    match column {
        Column::Own("status" | "verdict") if row.has_failed() => Some(Tone::Bad),
        Column::Own("status") if row.status == "completed" => Some(Tone::Good),
        Column::Own("status") if row.status == "running" => Some(Tone::Note),
        _ => None,
    }
}

/// `12 rows: 9 completed, 2 failed, 1 pending`, and what else there is to sum.
pub fn summary(totals: &Totals) -> String {
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        let parts = counts
            .iter()
            .map(|(name, count)| format!("{} {count}", one_line(name)));
        parts.collect::<Vec<_>>().join(", ")
    };
    let statuses = ["completed", "failed", "running", "pending"];
    let of_status = |name: &&str| {
        totals
            .statuses
            .get(*name)
            .map(|count| format!("{count} {name}"))
    };
    let statuses: Vec<String> = statuses.iter().filter_map(of_status).collect();
    let mut text = counted(totals.rows, "row");
    if !statuses.is_empty() {
        text.push_str(&format!(": {}", statuses.join(", ")));
    }
    if totals.attempts > 0 {
        text.push_str(&format!("\n{}", counted(totals.attempts, "attempt")));
        if totals.seconds > 0.0 {
            text.push_str(&format!(", {:.1} s of worker time", totals.seconds));
        }
        if let Some(tokens) = totals.tokens {
            text.push_str(&format!(", {} tokens", short(tokens)));
        }
        if let Some(cost) = totals.cost_usd {
            text.push_str(&format!(", {}", dollars(cost)));
        }
    }
    let lists = [
        ("failures", &totals.codes),
        ("roles", &totals.roles),
        ("adapters", &totals.adapters),
    ];
    for (label, counts) in lists.into_iter().filter(|(_, counts)| !counts.is_empty()) {
        text.push_str(&format!("\n{label}: {}", listed(counts)));
    }
    text
}

/// One row of a CSV in full.
pub fn one(row: &ViewRow, header: &[String], terminal: &Terminal) -> Result<(), CliError> {
    let mut text = format!("row {}", one_line(&row.item));
    if !row.status.is_empty() {
        text.push_str(&format!(" {}", one_line(&row.status)));
    }
    for (name, cell) in header
        .iter()
        .zip(&row.fields)
        .filter(|(_, cell)| !cell.is_empty())
    {
        text.push_str(&format!("\n\n{}\n{}", one_line(name), indented(cell)));
    }
    if let Headline::Failure(error) = row.headline() {
        text.push_str(&format!("\n\nError\n{}", indented(&error)));
    }
    if let Some(result) = &row.result {
        text.push_str(&format!("\n\nAnswer\n{}", indented(&format!("{result:#}"))));
    }
    if terminal.json {
        let input = header
            .iter()
            .cloned()
            .zip(row.fields.iter().map(|cell| json!(cell)));
        let input: Map<String, Value> = input.collect();
        text = json!({"item_id": row.item, "status": row.status, "last_error": row.error, "result": row.result, "input": input}).to_string();
    }
    Ok(terminal.data(&text)?)
}

fn indented(text: &str) -> String {
    let text = visible_lines(text);
    let lines = text.lines().map(|line| format!("  {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The text in one field of tab-separated values.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c => escaped.push(c),
        }
    }
    escaped
}
