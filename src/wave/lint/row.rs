//! A row of a wave, and what can be checked in it alone.

use crate::model::{Lane, RowId, RowKey};
use crate::protocol::HYDRATION;

/// The metadata in the prompt of a task that needs no validation.
const NO_VALIDATION: &str = "allow_no_validation: true";

/// The cells of a row, by column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'r> {
    pub id: &'r str,
    pub unit: &'r str,
    pub objective: &'r str,
    pub round: &'r str,
    pub role: &'r str,
    pub lane: &'r str,
    pub scope: &'r str,
    pub acceptance: &'r str,
    pub validation: &'r str,
    pub risk: &'r str,
    pub depends_on: &'r str,
    pub attempt: &'r str,
    pub wave: &'r str,
    pub max_concurrency: &'r str,
    pub timeout_seconds: &'r str,
    pub base_sha: &'r str,
    pub run_id: &'r str,
    pub prompt: &'r str,
}

impl<'r> Row<'r> {
    /// The cells in the order of [`COLUMNS`](crate::wave::COLUMNS).
    pub fn new(cells: impl IntoIterator<Item = &'r str>) -> Self {
        let mut cells = cells.into_iter();
        let mut next = || cells.next().unwrap_or_default();
        Self {
            id: next(),
            unit: next(),
            objective: next(),
            round: next(),
            role: next(),
            lane: next(),
            scope: next(),
            acceptance: next(),
            validation: next(),
            risk: next(),
            depends_on: next(),
            attempt: next(),
            wave: next(),
            max_concurrency: next(),
            timeout_seconds: next(),
            base_sha: next(),
            run_id: next(),
            prompt: next(),
        }
    }

    /// The columns with the same value in all rows of a wave.
    pub fn shared(&self) -> [(&'static str, &'r str); 7] {
        [
            ("round", self.round),
            ("lane", self.lane),
            ("wave", self.wave),
            ("max_concurrency", self.max_concurrency),
            ("timeout_seconds", self.timeout_seconds),
            ("base_sha", self.base_sha),
            ("run_id", self.run_id),
        ]
    }

    /// Calls `add` with the column and the description of each problem.
    pub fn check(&self, mut add: impl FnMut(&'static str, &str)) {
        if !self.has_its_id() {
            add(
                "id",
                "must be `<unit>.<round>.<role>.<attempt>` of the same row",
            );
        }
        if ![Lane::ReadOnly, Lane::Patch]
            .iter()
            .any(|lane| lane.as_str() == self.lane)
        {
            add("lane", "must be `read_only` or `patch`");
        }
        if !["low", "medium", "high"].contains(&self.risk) {
            add("risk", "must be `low`, `medium` or `high`");
        }
        for (column, cell) in [
            ("attempt", self.attempt),
            ("wave", self.wave),
            ("max_concurrency", self.max_concurrency),
            ("timeout_seconds", self.timeout_seconds),
        ] {
            if !cell.parse::<u64>().is_ok_and(|number| number > 0) {
                add(column, "must be a positive whole number");
            }
        }
        for (column, cell) in [
            ("objective", self.objective),
            ("run_id", self.run_id),
            ("base_sha", self.base_sha),
            ("prompt", self.prompt),
        ] {
            if cell.trim().is_empty() {
                add(column, "is empty");
            }
        }
        for (column, cell) in [("scope", self.scope), ("depends_on", self.depends_on)] {
            if !cell.is_empty() && cell.split(';').any(|part| part.trim().is_empty()) {
                add(column, "has an empty part between its semicolons");
            }
        }
        if self
            .depends_on
            .split(';')
            .any(|part| part.trim() == self.unit)
        {
            add("depends_on", "names the unit of the row itself");
        }
        // The hydration round asks for the missing metadata.
        if self.round != HYDRATION {
            self.check_metadata(add);
        }
    }

    fn has_its_id(&self) -> bool {
        let mut rest = self.id.strip_prefix(self.unit);
        for part in [self.round, self.role, self.attempt] {
            rest = rest.and_then(|rest| rest.strip_prefix('.')?.strip_prefix(part));
        }
        rest == Some("") && RowKey::parse(&RowId::new(self.id)).is_some()
    }

    fn check_metadata(&self, mut add: impl FnMut(&'static str, &str)) {
        if self.scope.is_empty() {
            add("scope", "is empty: nothing could be changed");
        }
        if self.acceptance.trim().is_empty() {
            add("acceptance", "is empty: nothing says when the task is done");
        }
        if self.validation.trim().is_empty() && !self.prompt.contains(NO_VALIDATION) {
            add("validation", "is empty: no command would prove the result");
        }
    }
}
