//! One value of a row: a number where the column is one, else text.

use std::cmp::Ordering;

/// A value, or nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// The row has no such value.
    Empty,
    /// Text, as it was written.
    Text(String),
    /// A whole number.
    Count(u64),
    /// Seconds, dollars, or a number of a result; the digits are shown.
    Number(f64, u8),
}

impl Cell {
    /// Text, or nothing if it is empty.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.is_empty() {
            true => Self::Empty,
            false => Self::Text(text),
        }
    }

    /// A number with this many digits after the point.
    pub fn number(number: Option<f64>, digits: u8) -> Self {
        number.map_or(Self::Empty, |number| Self::Number(number, digits))
    }

    /// The value as text; empty if there is none.
    pub fn shown(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(number, digits) => format!("{number:.*}", usize::from(*digits)),
        }
    }

    /// The value as a number, also where a text is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Empty => None,
            Self::Text(text) => number(text),
            Self::Count(count) => Some(*count as f64),
            Self::Number(number, _) => Some(*number),
        }
    }

    /// Whether the column of this value is aligned to the right.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Number(..))
    }

    /// Numbers by value and before texts, texts by their characters.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(two)) => one.total_cmp(&two),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.shown().cmp(&other.shown()),
        }
    }
}

/// A finite number, as a person writes it.
pub(super) fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().parse().ok()?;
    number.is_finite().then_some(number)
}
