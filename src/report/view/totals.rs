//! Sums over rows: by status, failure code, role and adapter.

use super::row::ViewRow;
use std::collections::BTreeMap;

/// The sums.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// All rows.
    pub rows: u64,
    /// Attempts of all rows.
    pub attempts: u64,
    /// The time of all workers, in seconds.
    pub seconds: f64,
    /// Tokens, if any row reports them.
    pub tokens: Option<u64>,
    /// Dollars, if any row reports them.
    pub cost_usd: Option<f64>,
    /// Rows by status.
    pub statuses: BTreeMap<String, u64>,
    /// Failed rows and refused answers by code.
    pub codes: BTreeMap<String, u64>,
    /// Rows by role; empty for spawned rows.
    pub roles: BTreeMap<String, u64>,
    /// Rows by adapter.
    pub adapters: BTreeMap<String, u64>,
}

impl Totals {
    /// Counts a row.
    pub fn add(&mut self, row: &ViewRow) {
        self.rows += 1;
        self.attempts += row.attempts;
        self.seconds += row.seconds.unwrap_or_default();
        if let Some(tokens) = row.tokens {
            *self.tokens.get_or_insert(0) += tokens;
        }
        if let Some(cost) = row.cost_usd {
            *self.cost_usd.get_or_insert(0.0) += cost;
        }
        let code = if row.has_failed() { row.code() } else { "" };
        count(&mut self.statuses, &row.status);
        count(&mut self.codes, code);
        count(&mut self.roles, &row.role);
        count(&mut self.adapters, &row.adapter);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    if name.is_empty() {
        return;
    }
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}
