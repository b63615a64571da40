//! The candidates of a task in the report: what was seen of each patch, and which one was selected.

use crate::model::{Role, counted, one_line};
use crate::protocol::{Checked, RoundRun, UnitState, rank};
use serde::Serialize;
use std::collections::BTreeMap;

/// One of several patches for a task.
#[derive(Clone, Debug, Serialize)]
pub struct CandidateReport {
    /// The role that wrote it.
    pub role: String,
    /// Whether every validation command passed with it.
    pub passed: bool,
    /// Whether every one of them passed without it as well.
    pub weak: bool,
    /// Lines that it adds and removes.
    pub lines: u64,
    /// The first failure; empty if it passed.
    pub failure: String,
    /// The role of the patch that stands for it, because both leave the same files.
    pub same_as: Option<String>,
    /// Whether it was selected, by evidence or by the voters.
    pub selected: bool,
}

impl CandidateReport {
    /// Those of the last cycle of a unit.
    pub(super) fn all<A>(state: &UnitState<A>) -> Vec<Self> {
        let has_evidence =
            |run: &&RoundRun<A>| run.checked.values().any(|it| it.evidence.is_some());
        let Some(last) = state.rounds.iter().rev().find(has_evidence) else {
            return Vec::new();
        };
        let cycle = state.last_cycle(&last.round);
        let ranked = rank(cycle);
        let selected = match state.current_tally() {
            Some(tally) => tally.chosen.as_ref().filter(|_| tally.consensus),
            None => ranked.first().map(|best| best.role),
        };
        let latest: BTreeMap<&Role, &Checked> = cycle.iter().flat_map(|run| &run.checked).collect();
        let report = |(role, checked): (&Role, &Checked)| {
            let group = ranked.iter().find(|one| one.same.contains(&role));
            let evidence = checked.evidence.as_ref()?;
            Some(Self {
                role: role.to_string(),
                passed: evidence.passed,
                weak: evidence.weak,
                lines: evidence.lines,
                failure: evidence.failure.clone(),
                same_as: group.map(|one| one.role.to_string()),
                selected: selected == Some(role),
            })
        };
        latest.into_iter().filter_map(report).collect()
    }

    /// `candidate author_2: passed, 3 lines, same as author_1`
    pub(crate) fn line(&self) -> String {
        let mut line = format!("candidate {}: ", self.role);
        match self.passed {
            true => line.push_str(&format!("passed, {}", counted(self.lines, "line"))),
            false => line.push_str(&one_line(&self.failure)),
        }
        if self.passed && self.weak {
            line.push_str(", as without it: weak evidence");
        }
        if let Some(same) = &self.same_as {
            line.push_str(&format!(", same as {same}"));
        }
        if self.selected {
            line.push_str("; selected");
        }
        line
    }
}
