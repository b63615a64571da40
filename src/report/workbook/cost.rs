//! The sheet Cost: what rows took, by role, adapter and wave.

use super::value::Value;
use crate::report::view::ViewRow;
use std::collections::BTreeMap;

/// The titles of the sheet.
pub const COLUMNS: [&str; 7] = [
    "by", "name", "rows", "attempts", "seconds", "tokens", "cost",
];

/// A sum of rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    rows: u64,
    attempts: u64,
    seconds: f64,
    tokens: Option<u64>,
    cost_usd: Option<f64>,
}

/// Sums of rows by what they have in common.
#[derive(Clone, Debug, Default)]
pub struct Costs {
    sums: BTreeMap<(&'static str, String), Sum>,
}

impl Costs {
    /// Adds a row to each of its groups.
    pub fn add(&mut self, row: &ViewRow, has_waves: bool) {
        let wave = row.wave.filter(|_| has_waves);
        let groups = [
            ("role", row.role.clone()),
            ("adapter", row.adapter.clone()),
            (
                "wave",
                wave.map_or(String::new(), |wave| format!("{wave:03}")),
            ),
        ];
        for group in groups.into_iter().filter(|(_, name)| !name.is_empty()) {
            self.sums.entry(group).or_default().add(row);
        }
    }

    /// The rows of the sheet.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Value>> {
        self.sums.iter().map(|((by, name), sum)| {
            vec![
                Value::text(*by),
                Value::text(name),
                Value::count(sum.rows),
                Value::count(sum.attempts),
                Value::Number(sum.seconds),
                sum.tokens.map_or(Value::Empty, Value::count),
                Value::dollars(sum.cost_usd),
            ]
        })
    }
}

impl Sum {
    fn add(&mut self, row: &ViewRow) {
        self.rows += 1;
        self.attempts += row.attempts;
        self.seconds += row.seconds.unwrap_or_default();
        if let Some(tokens) = row.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
        if let Some(cost) = row.cost_usd {
            *self.cost_usd.get_or_insert(0.0) += cost;
        }
    }
}
