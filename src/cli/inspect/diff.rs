//! Two runs side by side: the rows whose status or result differs.

use super::show::Style;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::model::{counted, one_line};
use crate::report::grid::Grid;
use crate::report::view::{Needs, Source, ViewRow};
use serde_json::{Value, json};
use std::collections::HashMap;

/// What is compared of a row.
struct Side {
    status: String,
    error: String,
    result: Option<Value>,
}

/// Prints the differences; exit code 0 either way.
pub fn execute(
    one: &Source,
    two: &Source,
    style: Style,
    context: &Context,
) -> Result<u8, CliError> {
    let needs = Needs {
        record: true,
        input: false,
    };
    let mut before: HashMap<String, Side> = HashMap::new();
    let mut order = Vec::new();
    one.each_row(needs, |row| {
        order.push(row.item.clone());
        before.insert(row.item.clone(), Side::of(row));
        Ok::<_, CliError>(())
    })?;
    let (mut lines, mut same) = (Vec::new(), 0);
    two.each_row(needs, |row| {
        let item = row.item.clone();
        let old = before.remove(&item);
        match change(old.as_ref(), Some(&Side::of(row))) {
            Some(change) => lines.push((item, change)),
            None => same += 1,
        }
        Ok::<_, CliError>(())
    })?;
    for item in order {
        if let Some(change) = before
            .remove(&item)
            .and_then(|old| change(Some(&old), None))
        {
            lines.push((item, change));
        }
    }
    print(&lines, same, style, context)
}

impl Side {
    fn of(row: ViewRow) -> Self {
        Self {
            status: row.status,
            error: row.error,
            result: row.result,
        }
    }
}

/// What changed: status before and after, and the properties that differ.
struct Change {
    from: String,
    to: String,
    what: String,
}

fn change(old: Option<&Side>, new: Option<&Side>) -> Option<Change> {
    let status = |side: Option<&Side>| side.map_or("absent".to_owned(), |side| side.status.clone());
    let what = match (old, new) {
        (Some(old), Some(new)) if old.result != new.result => {
            format!(
                "result: {}",
                changed_properties(old.result.as_ref(), new.result.as_ref()).join(", ")
            )
        }
        (Some(old), Some(new)) if old.status == new.status && old.error == new.error => {
            return None;
        }
        (_, Some(new)) => new.error.clone(),
        _ => String::new(),
    };
    Some(Change {
        from: status(old),
        to: status(new),
        what,
    })
}

/// The names of the properties with another value, with both values if they are short.
fn changed_properties(old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
    let Some((old, new)) = old
        .and_then(Value::as_object)
        .zip(new.and_then(Value::as_object))
    else {
        return vec![if new.is_some() { "new" } else { "gone" }.to_owned()];
    };
    let names = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)));
    let changed = names.filter(|name| old.get(*name) != new.get(*name));
    let shown = |value: Option<&Value>| {
        value.map_or("none".to_owned(), |value| one_line(&value.to_string()))
    };
    changed
        .map(|name| {
            format!(
                "{name} {} -> {}",
                shown(old.get(name)),
                shown(new.get(name))
            )
        })
        .collect()
}

fn print(
    lines: &[(String, Change)],
    same: u64,
    style: Style,
    context: &Context,
) -> Result<u8, CliError> {
    let terminal = &context.terminal;
    if terminal.json {
        for (item, change) in lines {
            let object =
                json!({"item_id": item, "from": change.from, "to": change.to, "what": change.what});
            terminal.data(&object.to_string())?;
        }
        return Ok(0);
    }
    let mut rows = vec![["ITEM", "FROM", "TO", "WHAT"].map(str::to_owned).to_vec()];
    rows.extend(lines.iter().map(|(item, change)| {
        let cells = [item, &change.from, &change.to, &change.what];
        cells.map(|cell| one_line(cell)).to_vec()
    }));
    let width = match style {
        Style::Table(width) => width,
        Style::Tsv => None,
    };
    let grid = Grid::fit(&rows, vec![false; 4], width);
    for row in &rows {
        let line = match style {
            Style::Table(_) => Grid::line(&grid.cells(row)),
            Style::Tsv => row.join("\t"),
        };
        terminal.data(line.trim_end())?;
    }
    if matches!(style, Style::Table(_)) {
        let differ = counted(lines.len() as u64, "row");
        terminal.data(&format!("\n{differ} changed, {same} the same"))?;
    }
    Ok(0)
}
