//! The comparison as tables of at most 80 columns.

use super::compare::{ArmSums, Comparison, Pair};
use super::outcome::{Arm, Outcome};
use crate::model::{dollars, one_line, span};
use crate::report::grid::Grid;
use std::fmt::Write;

const WIDTH: usize = 80;
const INDENT: &str = "  ";

impl Comparison {
    /// Arms, pairs of arms, and tasks.
    pub fn text(&self) -> String {
        let mut out = String::from("Arms\n");
        let titles = [
            "ARM",
            "HIDDEN TESTS PASSED",
            "ACCEPTED",
            "WRONG",
            "ROWS",
            "COST",
            "MAKESPAN",
        ];
        let arms = self.arms.iter().map(|sums| self.arm_cells(sums));
        table(&mut out, &titles, 1, arms);
        out.push_str(
            "  In percent, with the Wilson interval of 95 %. ACCEPTED: mesh completed all\n  \
             tasks of the plan. WRONG: of these, the hidden tests failed. Others are sums.\n",
        );
        if !self.pairs.is_empty() {
            out.push_str("\nPairs: for how many tasks both, one or neither passed\n");
            let titles = ["A", "B", "BOTH", "ONLY A", "ONLY B", "NEITHER", "P"];
            table(
                &mut out,
                &titles,
                2,
                self.pairs.iter().map(|pair| self.pair_cells(pair)),
            );
            out.push_str(
                "  P: exact McNemar test, two-sided, not corrected for the number of pairs.\n  \
                 Too few: of under six tasks that only one passed, no split could reach 0.05.\n",
            );
        }
        out.push_str("\nTasks\n");
        let names = self.arms.iter().map(|sums| self.name(&sums.arm));
        let names: Vec<String> = std::iter::once("TASK".to_owned()).chain(names).collect();
        let titles: Vec<&str> = names.iter().map(String::as_str).collect();
        table(
            &mut out,
            &titles,
            titles.len(),
            self.task_rows().into_iter(),
        );
        out.trim_end().to_owned()
    }

    /// The protocol; with the adapter if the arms have several.
    fn name(&self, arm: &Arm) -> String {
        let mut others = self.arms.iter();
        let text = match others.any(|sums| sums.arm.adapter != arm.adapter) {
            true => arm.name(),
            false => arm.protocol.clone(),
        };
        one_line(&text)
    }

    fn arm_cells(&self, sums: &ArmSums) -> Vec<String> {
        vec![
            self.name(&sums.arm),
            sums.passed.compact(),
            sums.accepted.to_string(),
            sums.wrong.to_string(),
            sums.spend.rows.to_string(),
            sums.spend.cost_usd.map_or("-".to_owned(), dollars),
            span(sums.makespan_ms),
        ]
    }

    fn pair_cells(&self, pair: &Pair) -> Vec<String> {
        let p = match pair.is_too_few() {
            true => "too few".to_owned(),
            false => format!("{:.3}", pair.p()),
        };
        let counts = [pair.both, pair.only_a, pair.only_b, pair.neither];
        let names = [self.name(&pair.a), self.name(&pair.b)];
        names
            .into_iter()
            .chain(counts.map(|count| count.to_string()))
            .chain([p])
            .collect()
    }

    fn task_rows(&self) -> Vec<Vec<String>> {
        let mut tasks: Vec<&str> = self.outcomes.iter().map(|one| one.task.as_str()).collect();
        tasks.dedup();
        let cell = |task: &str, arm: &Arm| {
            let mut outcomes = self.outcomes.iter();
            let found = outcomes.find(|one| one.task == task && one.arm == *arm);
            found.map_or("-", Outcome::word).to_owned()
        };
        let row = |task: &str| {
            let cells = self.arms.iter().map(|sums| cell(task, &sums.arm));
            std::iter::once(one_line(task)).chain(cells).collect()
        };
        tasks.into_iter().map(row).collect()
    }
}

/// A table whose first `left` columns are texts, and the others numbers.
fn table(out: &mut String, titles: &[&str], left: usize, rows: impl Iterator<Item = Vec<String>>) {
    let titles: Vec<String> = titles.iter().map(|title| (*title).to_owned()).collect();
    let right = (0..titles.len()).map(|at| at >= left).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let grid = Grid::fit(&rows, right, Some(WIDTH - INDENT.len()));
    for row in &rows {
        let line = Grid::line(&grid.cells(row));
        let _ = writeln!(out, "{INDENT}{}", line.trim_end());
    }
}
