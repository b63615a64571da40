//! The content of one cell, with the type that a spreadsheet calculates with.

use super::place::Place;
use crate::report::view::Cell;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Number, Value as Json};
use std::path::PathBuf;

/// The content of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Empty,
    /// Text, whatever it looks like.
    Text(String),
    /// A number.
    Number(f64),
    /// An amount of dollars.
    Dollars(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A moment in UTC, in days since 1899-12-30.
    Moment(f64),
    /// A day, in days since 1899-12-30.
    Day(f64),
    /// A text that leads to a row of this workbook.
    Row(String, Place),
    /// The path of a file, which leads to it.
    File(PathBuf),
}

/// The day 1970-01-01 of a spreadsheet.
const DAY_1970: f64 = 25_569.0;
/// Before 1900-03-01, spreadsheets disagree about the number of a day.
const DAY_MIN: f64 = 61.0;
const DAY_MS: f64 = 86_400_000.0;

impl Value {
    /// Text, or nothing if it is empty.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.is_empty() {
            true => Self::Empty,
            false => Self::Text(text),
        }
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Self::Number(count as f64)
    }

    /// Dollars, or nothing.
    pub fn dollars(amount: Option<f64>) -> Self {
        amount.map_or(Self::Empty, Self::Dollars)
    }

    /// The value of one of our columns. Its times are RFC 3339.
    pub fn of_cell(cell: Cell) -> Self {
        match cell {
            Cell::Empty => Self::Empty,
            Cell::Text(text) => Self::text(text),
            Cell::Count(count) => Self::count(count),
            Cell::Number(number, _) => Self::Number(number),
        }
    }

    /// A value of a result: numbers, dates and booleans as such, arrays and objects as JSON.
    pub fn of_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Empty,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::of_number(number),
            Json::String(text) => Self::of_time(text),
            other => Self::text(other.to_string()),
        }
    }

    /// A whole number with more digits than a spreadsheet keeps is most likely an id, and stays text.
    fn of_number(number: &Number) -> Self {
        const DIGITS_MAX: usize = 15;
        let text = number.to_string();
        let digits = text.trim_start_matches('-');
        let is_whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() && !(is_whole && digits.len() > DIGITS_MAX) => {
                Self::Number(value)
            }
            _ => Self::text(text),
        }
    }

    /// A time or a date of RFC 3339 as such, other text as text.
    pub fn of_time(text: &str) -> Self {
        moment(text)
            .or_else(|| day(text))
            .unwrap_or_else(|| Self::text(text))
    }
}

/// A cell has milliseconds, so a finer time stays text.
fn moment(text: &str) -> Option<Value> {
    let shape = text
        .get(..19)?
        .bytes()
        .enumerate()
        .all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => matches!(byte, b'T' | b't' | b' '),
            13 | 16 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    let time: Timestamp = text.parse().ok().filter(|_| shape)?;
    let is_exact = time.subsec_nanosecond() % 1_000_000 == 0;
    let days = time.as_millisecond() as f64 / DAY_MS + DAY_1970;
    (is_exact && days >= DAY_MIN).then_some(Value::Moment(days))
}

fn day(text: &str) -> Option<Value> {
    let has_shape = text.len() == 10 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-'));
    let date: Date = text.parse().ok().filter(|_| has_shape)?;
    let time = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
    let days = time.as_millisecond() as f64 / DAY_MS + DAY_1970;
    (days >= DAY_MIN).then_some(Value::Day(days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_results_keep_their_types() {
        let typed = |json: Json| Value::of_json(&json);
        let text = |text: &str| Value::Text(text.to_owned());
        for (json, expected) in [
            (json!(null), Value::Empty),
            (json!(true), Value::Bool(true)),
            (json!(7), Value::Number(7.0)),
            (json!(0.1), Value::Number(0.1)),
            (
                json!(-123_456_789_012_345_i64),
                Value::Number(-123_456_789_012_345.0),
            ),
            (json!(1_234_567_890_123_456_u64), text("1234567890123456")),
            (json!([1, {"a": 2}]), text(r#"[1,{"a":2}]"#)),
            (json!("007"), text("007")),
            (json!("=1+1"), text("=1+1")),
            (json!("2026-02-13"), Value::Day(46_066.0)),
            (json!("2026-02-13T12:00:00Z"), Value::Moment(46_066.5)),
            (json!("2026-02-13T13:00:00+01:00"), Value::Moment(46_066.5)),
            (json!("2026-02-13T12:00:00"), text("2026-02-13T12:00:00")),
            (
                json!("2026-02-13T12:00:00.000001Z"),
                text("2026-02-13T12:00:00.000001Z"),
            ),
            (json!("1899-12-31"), text("1899-12-31")),
            (json!("2026-02-30"), text("2026-02-30")),
            (json!("20260213"), text("20260213")),
        ] {
            assert_eq!(typed(json.clone()), expected, "{json}");
        }
    }
}
