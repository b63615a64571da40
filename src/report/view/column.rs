//! The columns that rows can be shown, filtered and sorted by.

use super::cell::Cell;
use super::error::ViewError;
use super::needs::Needs;
use super::row::{Headline, ViewRow, plain};
use crate::platform::clock;
use jiff::Timestamp;
use serde_json::Value;

/// A column: one of ours, a property of the result, or a column of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// One of [`Column::NAMES`].
    Own(&'static str),
    /// `result.NAME`, also in objects below: `result.a.b`.
    Property(String),
    /// A column of the input, by its index.
    Input(String, usize),
}

impl Column {
    /// The names of the columns that every source has.
    pub const NAMES: [&'static str; 18] = [
        "item", "number", "wave", "unit", "round", "role", "adapter", "status", "attempts",
        "seconds", "tokens", "cost", "started", "ended", "code", "error", "verdict", "what",
    ];

    /// Finds a column by its name. A column of the input whose name is also one of ours is `input.NAME`.
    pub fn find(name: &str, header: &[String]) -> Result<Self, ViewError> {
        if let Some(own) = Self::NAMES
            .iter()
            .chain(&["result"])
            .find(|own| **own == name)
        {
            return Ok(Self::Own(own));
        }
        if let Some(property) = name.strip_prefix("result.").filter(|name| !name.is_empty()) {
            return Ok(Self::Property(property.to_owned()));
        }
        let wanted = [Some(name), name.strip_prefix("input.")];
        let mut found = wanted.into_iter().flatten().filter_map(|name| {
            let at = header.iter().position(|column| column == name)?;
            Some(Self::Input(name.to_owned(), at))
        });
        found.next().ok_or_else(|| ViewError::UnknownColumn {
            name: name.to_owned(),
            known: known(header),
        })
    }

    /// The name to show above the column.
    pub fn title(&self) -> String {
        match self {
            Self::Own(name) => (*name).to_owned(),
            Self::Property(name) => format!("result.{name}"),
            Self::Input(name, _) => name.clone(),
        }
    }

    /// What has to be read for it.
    pub fn needs(&self) -> Needs {
        let record = matches!(self, Self::Property(_))
            || matches!(self, Self::Own("code" | "error" | "what" | "result"));
        Needs {
            record,
            input: matches!(self, Self::Input(..)),
        }
    }

    /// The value of a row.
    pub fn cell(&self, row: &ViewRow) -> Cell {
        match self {
            Self::Own(name) => own_cell(name, row),
            Self::Property(path) => row
                .result
                .as_ref()
                .map_or(Cell::Empty, |result| property(result, path)),
            Self::Input(_, at) => Cell::text(row.fields.get(*at).cloned().unwrap_or_default()),
        }
    }
}

fn known(header: &[String]) -> Vec<String> {
    const INPUT_COLUMNS_MAX: usize = 20;
    let own = Column::NAMES.iter().map(|name| (*name).to_owned());
    let own = own.chain(["result".to_owned(), "result.NAME".to_owned()]);
    own.chain(header.iter().take(INPUT_COLUMNS_MAX).cloned())
        .collect()
}

fn own_cell(name: &str, row: &ViewRow) -> Cell {
    match name {
        "item" => Cell::text(&row.item),
        "number" => Cell::Count(row.number),
        "wave" => row
            .wave
            .map_or(Cell::Empty, |wave| Cell::Count(wave.into())),
        "unit" => Cell::text(&row.unit),
        "round" => Cell::text(&row.round),
        "role" => Cell::text(&row.role),
        "adapter" => Cell::text(&row.adapter),
        "status" => Cell::text(&row.status),
        "attempts" => Cell::Count(row.attempts),
        "seconds" => Cell::number(row.seconds, 1),
        "tokens" => row.tokens.map_or(Cell::Empty, Cell::Count),
        "cost" => Cell::number(row.cost_usd, 4),
        "started" => time(row.span_ms.0),
        "ended" => time(row.span_ms.1),
        "code" => Cell::text(row.code()),
        "error" => Cell::text(&row.error),
        "verdict" => row
            .verdict
            .as_ref()
            .map_or(Cell::Empty, |verdict| Cell::text(verdict.verdict.as_str())),
        "what" => match row.headline() {
            Headline::Failure(text) | Headline::Answer(text) => Cell::text(text),
            Headline::Nothing => Cell::Empty,
        },
        _ => row
            .result
            .as_ref()
            .map_or(Cell::Empty, |result| Cell::text(result.to_string())),
    }
}

fn time(ms: i64) -> Cell {
    let time = (ms != 0)
        .then(|| Timestamp::from_millisecond(ms).ok())
        .flatten();
    time.map_or(Cell::Empty, |time| Cell::text(clock::csv_time(time)))
}

/// The property called `path`, else the one below that its dots lead to.
fn property(value: &Value, path: &str) -> Cell {
    if let Some(found) = value.get(path) {
        return json_cell(found);
    }
    let mut prefixes = path.match_indices('.');
    let below = prefixes.find_map(|(dot, _)| Some((value.get(&path[..dot])?, &path[dot + 1..])));
    below.map_or(Cell::Empty, |(value, rest)| property(value, rest))
}

fn json_cell(value: &Value) -> Cell {
    Cell::text(plain(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn properties_are_found_by_name_or_by_path() {
        let row = ViewRow {
            result: Some(json!({"a.b": 1, "a": {"c": "x", "b": 2}, "n": null, "l": [1, 2]})),
            ..ViewRow::default()
        };
        let shown = |name: &str| {
            let column = Column::find(&format!("result.{name}"), &[]).expect("a column");
            column.cell(&row).shown()
        };
        assert_eq!(
            ["a.b", "a.c", "n", "l", "none", "a.c.d"].map(shown),
            ["1", "x", "", "[1,2]", "", ""]
        );
    }

    #[test]
    fn our_columns_come_before_those_of_the_input() {
        let header = ["status".to_owned(), "city".to_owned()];
        assert_eq!(
            Column::find("status", &header).expect("ours"),
            Column::Own("status")
        );
        let input = Column::find("input.status", &header).expect("of the input");
        assert_eq!(input, Column::Input("status".to_owned(), 0));
        let error = Column::find("town", &header)
            .expect_err("unknown")
            .to_string();
        assert!(
            error.starts_with("`town` is not a column; columns: item, "),
            "{error}"
        );
        assert!(error.ends_with("result.NAME, status, city"), "{error}");
    }
}
