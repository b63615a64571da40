//! The figures for a terminal: tables of at most 80 columns that need no colour.

use super::failures::dearest_first;
use super::figures::{By, Figures, TaskSums};
use super::idle::{Cause, FanOut};
use super::rate::TOO_FEW;
use super::spend::Spend;
use super::votes::Calibration;
use crate::model::{counted, dollars, one_line, short, span};
use crate::report::grid::Grid;
use std::fmt::Write;

/// The columns of a terminal.
const WIDTH: usize = 80;
const INDENT: &str = "  ";
/// Failure codes that are shown.
const CODES_MAX: usize = 12;
/// Runs whose receipt is shown: the last ones.
const RUNS_MAX: usize = 20;

impl Figures {
    /// All figures as text.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write_tasks(&mut out);
        self.write_csv(&mut out);
        self.write_votes(&mut out);
        self.write_roles(&mut out);
        self.write_failures(&mut out);
        self.write_fan_out(&mut out);
        if out.is_empty() {
            out.push_str("No rows in these runs.\n");
        }
        out.trim_start_matches('\n').trim_end().to_owned()
    }

    fn write_tasks(&self, out: &mut String) {
        if self.tasks.tasks == 0 {
            return;
        }
        let by = self.by().map_or("", |by| by.as_str()).to_uppercase();
        let titles = [
            by.as_str(),
            "TASKS",
            "DONE",
            "BLOCKED",
            "ROWS",
            "TOKENS",
            "COST",
            "WORK",
            "ELAPSED",
        ];
        let groups = self
            .groups
            .iter()
            .map(|(name, sums)| task_cells(name, sums));
        let all = std::iter::once(task_cells("all", &self.tasks));
        heading(out, "Tasks");
        table(out, &titles, 1, groups.chain(all));
        let reasons = self.tasks.blocked.iter();
        let reasons = reasons.map(|(reason, count)| format!("{} {count}", one_line(reason)));
        let others = [
            (self.tasks.accepted, "accepted"),
            (self.tasks.undone, "undone"),
            (self.tasks.conflicts, "changed from elsewhere"),
            (self.tasks.open, "not ended"),
        ];
        let others = others.into_iter().filter(|(count, _)| *count > 0);
        let others = others.map(|(count, what)| format!("{what} {count}"));
        let parts: Vec<String> = reasons.chain(others).collect();
        if !parts.is_empty() {
            note(out, &format!("of these: {}", parts.join(", ")));
        }
        note(
            out,
            "ROWS, TOKENS, COST and WORK (time of workers) are those of all tasks, divided by the tasks done. ELAPSED is the time \
             from admission to end, on average over the tasks done.",
        );
    }

    fn write_csv(&self, out: &mut String) {
        let Some((jobs, sum)) = self.csv else { return };
        heading(out, "CSV jobs");
        let titles = [
            "JOBS", "ROWS", "OK", "FAILED", "ATTEMPTS", "TOKENS", "COST", "WORK",
        ];
        let spend = sum.spend;
        let mut row = vec![
            jobs.to_string(),
            (sum.completed + sum.failed).to_string(),
            sum.completed.to_string(),
            sum.failed.to_string(),
            spend.attempts.to_string(),
        ];
        row.extend(used(spend));
        table(out, &titles, 0, std::iter::once(row));
    }

    fn write_votes(&self, out: &mut String) {
        let votes = &self.tasks.votes;
        if votes.decisions == 0 {
            return;
        }
        heading(out, "Votes and validation");
        let titles = ["AGREE", "DECISIONS", "PASSED"];
        let rows = votes.buckets().filter(|(_, rate)| rate.of > 0);
        let rows =
            rows.map(|(name, rate)| vec![name.to_owned(), rate.of.to_string(), rate.to_string()]);
        if votes.rate().of > 0 {
            left_table(out, &titles, &[1], rows);
        }
        note(out, &summary(votes));
        self.write_votes_by_group(out);
    }

    fn write_votes_by_group(&self, out: &mut String) {
        // The votes of each role are among the roles.
        let Some(by) = self.by().filter(|by| *by != By::Role) else {
            return;
        };
        let by = by.as_str().to_uppercase();
        let titles = [
            by.as_str(),
            "DECISIONS",
            "VALIDATED",
            "PASSED",
            "BRIER",
            "PASS RATE ALONE",
        ];
        let groups = self.groups.iter().filter(|(_, it)| it.votes.decisions > 0);
        let rows = groups.map(|(name, sums)| {
            let (votes, rate) = (&sums.votes, sums.votes.rate());
            let score = |score: Option<f64>| match score.filter(|_| !rate.is_too_few()) {
                Some(score) => format!("{score:.3}"),
                None => "-".to_owned(),
            };
            vec![
                one_line(name),
                votes.decisions.to_string(),
                rate.of.to_string(),
                rate.compact(),
                score(votes.brier()),
                score(votes.brier_of_base_rate()),
            ]
        });
        left_table(out, &titles, &[1, 2, 4, 5], rows);
    }

    fn write_roles(&self, out: &mut String) {
        let roles = self.roles.iter().filter(|(_, effect)| effect.is_some());
        let rows = roles.map(|(role, effect)| {
            let (objections, quiet) = (effect.objections(), effect.quiet());
            vec![
                one_line(role),
                objections.said.to_string(),
                objections.changed.compact(),
                quiet.changed.compact(),
                effect.right_votes.compact(),
            ]
        });
        let rows: Vec<Vec<String>> = rows.collect();
        if rows.is_empty() {
            return;
        }
        heading(out, "Roles");
        let titles = [
            "ROLE",
            "OBJECTED",
            "THEN CHANGED",
            "ELSE CHANGED",
            "VOTES RIGHT",
        ];
        left_table(out, &titles, &[1], rows.into_iter());
        note(
            out,
            "An objection is a critique with a finding or a point to fix, or a vote of disagree. THEN CHANGED: the next patch of \
             the task differs from the last one before, of those with a patch before and after. ELSE CHANGED: the same where \
             the role had no objection. Another role of the round may be the reason. VOTES RIGHT: agreed and the validation \
             passed, or disagreed and it failed. In percent, with Wilson intervals of 95 %.",
        );
    }

    fn write_failures(&self, out: &mut String) {
        if self.failures.is_empty() {
            return;
        }
        heading(out, "Failures");
        let titles = ["CODE", "ATTEMPTS", "ROWS", "TOKENS", "COST", "WORK"];
        let codes = dearest_first(&self.failures);
        let rows = codes.iter().take(CODES_MAX).map(|(code, spend)| {
            let mut row = vec![
                one_line(code),
                spend.attempts.to_string(),
                spend.rows.to_string(),
            ];
            row.extend(used(*spend));
            row
        });
        table(out, &titles, 1, rows);
        let more = codes.len().saturating_sub(CODES_MAX);
        if more > 0 {
            note(
                out,
                &format!("and {}; see --json", counted(more as u64, "more code")),
            );
        }
    }

    fn write_fan_out(&self, out: &mut String) {
        let with = self
            .runs
            .iter()
            .filter_map(|run| Some((run, run.fan_out.as_ref()?)));
        let all: Vec<_> = with.collect();
        let shown = &all[all.len().saturating_sub(RUNS_MAX)..];
        if shown.is_empty() {
            return;
        }
        heading(out, "Fan-out");
        let titles = ["RUN", "ASKED", "REACHED", "SHARE", "TIME", "BUSY", "IDLE"];
        let rows = shown
            .iter()
            .map(|(run, it)| fan_out_cells(run.run_id.as_str(), it));
        table(out, &titles, 1, rows);
        let mut idle = std::collections::BTreeMap::new();
        for (_, receipt) in shown {
            for (cause, ms) in &receipt.idle_ms {
                *idle.entry(*cause).or_insert(0) += ms;
            }
        }
        if !idle.is_empty() {
            note(out, &format!("idle slot-seconds: {}", idle_text(&idle)));
        }
        if shown.len() < all.len() {
            note(
                out,
                &format!("the last {RUNS_MAX} of {} runs; see --json", all.len()),
            );
        }
        note(
            out,
            "REACHED is the rows at once while rows were ready, SHARE what that is of ASKED. BUSY and IDLE are slot-seconds.",
        );
    }
}

fn task_cells(name: &str, sums: &TaskSums) -> Vec<String> {
    let per_done = |number: f64| sums.per_done(number);
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |it| format!("{it:.1}"));
    let time = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| span(ms.round() as u64));
    let spend = &sums.spend;
    let tokens = spend.tokens.and_then(|tokens| per_done(tokens as f64));
    vec![
        one_line(name),
        sums.tasks.to_string(),
        sums.done().to_string(),
        sums.blocked().to_string(),
        number(per_done(spend.rows as f64)),
        tokens.map_or("-".to_owned(), |tokens| short(tokens.round() as u64)),
        spend
            .cost_usd
            .and_then(per_done)
            .map_or("-".to_owned(), dollars),
        time(per_done(spend.worker_ms as f64)),
        time(per_done(sums.elapsed_ms as f64)),
    ]
}

/// Tokens, cost and the time of workers.
fn used(spend: Spend) -> [String; 3] {
    [
        spend.tokens.map_or("-".to_owned(), short),
        spend.cost_usd.map_or("-".to_owned(), dollars),
        span(spend.worker_ms),
    ]
}

fn summary(votes: &Calibration) -> String {
    let (rate, decisions) = (votes.rate(), votes.decisions);
    let mut text = format!(
        "{} of {} validated",
        rate.of,
        counted(decisions, "decision")
    );
    if rate.of < decisions {
        text.push_str(" (a patch that is voted down is, only with prevalidate)");
    }
    let scores = votes.brier().zip(votes.brier_of_base_rate());
    match scores {
        None => {}
        Some(_) if rate.is_too_few() => {
            let _ = write!(
                text,
                ", {} passed: too few to score, under {TOO_FEW}",
                rate.hits
            );
        }
        Some((brier, base)) => {
            let _ = write!(
                text,
                ", {} passed; Brier score {brier:.3} (0 is best; the pass rate alone scores {base:.3}); intervals: Wilson, 95 %",
                rate.hits
            );
        }
    }
    if votes.weak > 0 {
        let _ = write!(text, "; {} passed without the patch as well", votes.weak);
    }
    text
}

fn fan_out_cells(run: &str, receipt: &FanOut) -> Vec<String> {
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |it| format!("{it:.1}"));
    let seconds = |ms: u64| format!("{:.1}", ms as f64 / 1000.0);
    let share = receipt.share().map(|share| share * 100.0);
    vec![
        one_line(run),
        receipt.asked.to_string(),
        number(receipt.reached()),
        share.map_or("-".to_owned(), |share| format!("{share:.1} %")),
        span(receipt.span_ms),
        seconds(receipt.busy_ms),
        seconds(receipt.idle()),
    ]
}

/// `no rows left 12.4, start 1.1`: the most first.
pub fn idle_text(idle: &std::collections::BTreeMap<Cause, u64>) -> String {
    let mut parts: Vec<(&Cause, &u64)> = idle.iter().collect();
    parts.sort_by_key(|(_, ms)| std::cmp::Reverse(**ms));
    let parts = parts
        .into_iter()
        .map(|(cause, ms)| format!("{} {:.1}", cause.words(), *ms as f64 / 1000.0));
    parts.collect::<Vec<_>>().join(", ")
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n{text}");
}

/// A paragraph that fits the width.
fn note(out: &mut String, text: &str) {
    let mut line = String::new();
    for word in text.split(' ') {
        let is_full = INDENT.len() + line.chars().count() + 1 + word.chars().count() > WIDTH;
        if is_full && !line.is_empty() {
            let _ = writeln!(out, "{INDENT}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{INDENT}{line}");
}

/// A table whose first `left` columns are texts, and the others numbers.
fn table(out: &mut String, titles: &[&str], left: usize, rows: impl Iterator<Item = Vec<String>>) {
    let right: Vec<usize> = (left..titles.len()).collect();
    left_table(out, titles, &right, rows);
}

/// A table of texts; those columns are numbers.
fn left_table(
    out: &mut String,
    titles: &[&str],
    numbers: &[usize],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let titles = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let right = (0..rows[0].len()).map(|at| numbers.contains(&at)).collect();
    let grid = Grid::fit(&rows, right, Some(WIDTH - INDENT.len()));
    for row in &rows {
        let line = Grid::line(&grid.cells(row));
        let _ = writeln!(out, "{INDENT}{}", line.trim_end());
    }
}
