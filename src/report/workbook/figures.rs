//! The sheet Figures: those of `mesh stats` about one run, one a row.

use super::value::Value;
use crate::report::stats::{Calibration, FanOut, Figures, Followed, Rate, Spend, TaskSums};

/// The titles of the sheet. `of` is the number of cases that a share is of; `low` and `high` are the ends of its Wilson interval of 95 %.
pub const COLUMNS: [&str; 7] = ["about", "name", "figure", "value", "of", "low", "high"];

/// The rows of the sheet.
pub fn rows(figures: &Figures) -> Vec<Vec<Value>> {
    let mut rows = Rows::default();
    if figures.tasks.tasks > 0 {
        rows.tasks("all", &figures.tasks);
        rows.votes(&figures.tasks.votes);
    }
    for (risk, sums) in &figures.groups {
        rows.tasks(risk, sums);
    }
    for (role, effect) in figures.roles.iter().filter(|(_, effect)| effect.is_some()) {
        rows.followed(role, "objections", effect.objections());
        rows.followed(role, "answers without objection", effect.quiet());
        rows.rate(
            "role",
            role,
            "votes that the validation confirmed",
            effect.right_votes,
        );
    }
    for (code, spend) in &figures.failures {
        rows.spend("failure", code, spend);
    }
    for receipt in figures.runs.iter().filter_map(|run| run.fan_out.as_ref()) {
        rows.fan_out(receipt);
    }
    rows.0
}

#[derive(Default)]
struct Rows(Vec<Vec<Value>>);

impl Rows {
    fn row(&mut self, (about, name): (&str, &str), figure: &str, value: Value) {
        let cells = [
            Value::text(about),
            Value::text(name),
            Value::text(figure),
            value,
        ];
        let rest = [Value::Empty, Value::Empty, Value::Empty];
        self.0.push(cells.into_iter().chain(rest).collect());
    }

    /// The share of cases, with its interval; nothing without cases.
    fn rate(&mut self, about: &str, name: &str, figure: &str, rate: Rate) {
        let (Some(share), Some((low, high))) = (rate.share(), rate.interval()) else {
            return;
        };
        let numbers = [share, rate.of as f64, low, high].map(Value::Number);
        let texts = [about, name, figure].map(Value::text);
        self.0.push(texts.into_iter().chain(numbers).collect());
    }

    fn tasks(&mut self, group: &str, sums: &TaskSums) {
        let at = ("tasks", group);
        for (figure, count) in [
            ("tasks", sums.tasks),
            ("done", sums.done()),
            ("blocked", sums.blocked()),
        ] {
            self.row(at, figure, Value::count(count));
        }
        let per_done = |number: f64| sums.per_done(number).map_or(Value::Empty, Value::Number);
        let Spend {
            rows,
            worker_ms,
            tokens,
            cost_usd,
            ..
        } = sums.spend;
        self.row(at, "rows a done task", per_done(rows as f64));
        self.row(
            at,
            "worker seconds a done task",
            per_done(worker_ms as f64 / 1000.0),
        );
        self.row(
            at,
            "seconds from admission to end",
            per_done(sums.elapsed_ms as f64 / 1000.0),
        );
        if let Some(tokens) = tokens {
            self.row(at, "tokens a done task", per_done(tokens as f64));
        }
        let cost = cost_usd.and_then(|cost| sums.per_done(cost));
        if cost.is_some() {
            self.row(at, "cost a done task", Value::dollars(cost));
        }
    }

    fn votes(&mut self, votes: &Calibration) {
        self.row(("votes", "all"), "decisions", Value::count(votes.decisions));
        for (share, rate) in votes.buckets() {
            self.rate("votes", share, "passed the validation", rate);
        }
        self.rate("votes", "all", "passed the validation", votes.rate());
        if let Some(brier) = votes.brier() {
            self.row(("votes", "all"), "Brier score", Value::Number(brier));
        }
    }

    fn followed(&mut self, role: &str, what: &str, followed: Followed) {
        self.row(("role", role), what, Value::count(followed.said));
        let figure = format!("patch changed after {what}");
        self.rate("role", role, &figure, followed.changed);
    }

    fn spend(&mut self, about: &str, name: &str, spend: &Spend) {
        let at = (about, name);
        self.row(at, "attempts", Value::count(spend.attempts));
        self.row(at, "rows", Value::count(spend.rows));
        self.row(
            at,
            "worker seconds",
            Value::Number(spend.worker_ms as f64 / 1000.0),
        );
        if let Some(tokens) = spend.tokens {
            self.row(at, "tokens", Value::count(tokens));
        }
        if spend.cost_usd.is_some() {
            self.row(at, "cost", Value::dollars(spend.cost_usd));
        }
    }

    fn fan_out(&mut self, receipt: &FanOut) {
        let at = ("fan-out", "slots");
        let seconds = |ms: u64| Value::Number(ms as f64 / 1000.0);
        self.row(at, "asked for", Value::count(receipt.asked));
        if let Some((reached, share)) = receipt.reached().zip(receipt.share()) {
            self.row(at, "reached while rows were ready", Value::Number(reached));
            self.row(at, "share of those asked for", Value::Number(share));
        }
        self.row(at, "busy slot-seconds", seconds(receipt.busy_ms));
        for (cause, ms) in &receipt.idle_ms {
            self.row(
                ("fan-out", cause.words()),
                "idle slot-seconds",
                seconds(*ms),
            );
        }
    }
}
