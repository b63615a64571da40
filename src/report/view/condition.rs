//! Conditions on rows: `status=failed`, `seconds>60`, `error~disk full`.

use super::cell::{Cell, number};
use super::column::Column;
use super::error::ViewError;
use super::row::ViewRow;
use regex::Regex;

/// A condition on one column.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The column.
    pub column: Column,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String, bool),
    Matches(Regex, bool),
    /// Keeps the row if the comparison with the value is one of these.
    Order(Cell, &'static [std::cmp::Ordering]),
}

/// The operators; one that begins with another comes before it.
const OPERATORS: [&str; 8] = ["!=", "!~", "<=", ">=", "=", "~", "<", ">"];

impl Condition {
    /// Reads `COLUMN OPERATOR VALUE`. The operators are `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` (a regular expression matches) and
    /// `!~`. Values that are numbers are compared as numbers.
    pub fn parse(text: &str, header: &[String]) -> Result<Self, ViewError> {
        let fail = |why: String| ViewError::BadCondition {
            text: text.to_owned(),
            why,
        };
        let at = text.find(['!', '=', '~', '<', '>']);
        let parts = at.and_then(|at| {
            let (name, rest) = text.split_at(at);
            let operator = OPERATORS
                .into_iter()
                .find(|operator| rest.starts_with(operator))?;
            Some((name.trim(), operator, rest[operator.len()..].trim()))
        });
        let (name, operator, value) = parts.ok_or_else(|| {
            fail("write COLUMN=VALUE, or one of != < <= > >= ~ !~ instead of =".to_owned())
        })?;
        let column = Column::find(name, header)?;
        let test = Test::new(operator, value).map_err(|error| fail(error.to_string()))?;
        Ok(Self { column, test })
    }

    /// Whether the row fulfils it. An empty value has no order.
    pub fn holds(&self, row: &ViewRow) -> bool {
        let cell = self.column.cell(row);
        match &self.test {
            Test::Equal(value, expected) => equals(&cell, value) == *expected,
            Test::Matches(pattern, expected) => pattern.is_match(&cell.shown()) == *expected,
            Test::Order(value, kept) => cell != Cell::Empty && kept.contains(&cell.compare(value)),
        }
    }
}

impl Test {
    fn new(operator: &str, value: &str) -> Result<Self, regex::Error> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = |kept| Ok(Self::Order(Cell::text(value), kept));
        match operator {
            "=" | "!=" => Ok(Self::Equal(value.to_owned(), operator == "=")),
            "~" | "!~" => Ok(Self::Matches(Regex::new(value)?, operator == "~")),
            "<" => order(&[Less]),
            "<=" => order(&[Less, Equal]),
            ">" => order(&[Greater]),
            _ => order(&[Greater, Equal]),
        }
    }
}

fn equals(cell: &Cell, value: &str) -> bool {
    let numbers = cell.as_number().zip(number(value));
    cell.shown() == value || numbers.is_some_and(|(one, two)| one == two)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &str) -> bool {
        let row = ViewRow {
            item: "row-9".to_owned(),
            status: "failed".to_owned(),
            seconds: Some(10.0),
            error: "worker_exit: exit code 1: disk full".to_owned(),
            fields: vec!["9".to_owned(), String::new()],
            ..ViewRow::default()
        };
        let header = ["size".to_owned(), "note".to_owned()];
        Condition::parse(condition, &header)
            .expect(condition)
            .holds(&row)
    }

    #[test]
    fn numbers_are_compared_by_value_and_texts_by_their_characters() {
        for condition in [
            "status=failed",
            "status != completed",
            "seconds>9.5",
            "seconds = 10",
            "size<10",
            "size<=9",
            "item>=row-10",
            "error~disk (full|gone)$",
            "error!~^timeout",
            "code=worker_exit",
            "note=",
        ] {
            assert!(holds(condition), "{condition}");
        }
        for condition in [
            "status=fail",
            "seconds<9.5",
            "size>10",
            "note<1",
            "note>",
            "cost<1",
            "error~^disk",
        ] {
            assert!(!holds(condition), "{condition}");
        }
    }

    #[test]
    fn a_condition_that_can_not_be_read_says_why() {
        for (condition, why) in [
            ("failed", "write COLUMN=VALUE"),
            ("status", "write COLUMN=VALUE"),
            ("status!", "write COLUMN=VALUE"),
            ("nothing=1", "`nothing` is not a column"),
            ("error~(", "unclosed group"),
        ] {
            let error = Condition::parse(condition, &[])
                .expect_err(condition)
                .to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
