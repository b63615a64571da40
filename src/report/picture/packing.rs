//! A run as bars in slots over pixels, with the load and the marks. Pure: the timeline draws what comes out.
//!
//! What is shorter than a pixel is merged with its neighbours, the worst outcome prevails, so the number of bars depends on slots
//! and pixels and not on rows. Attempts get their slot when they end: the one that was freed last before they started, which
//! needs no more slots than attempts ran at once. Ends are recorded together, and so a little late: there are never more slots
//! than the concurrency number allows.

use super::svg::words;
use crate::ledger::Record;
use crate::model::{AttemptEnd, Event, WaveNo};
use crate::platform::clock;
use crate::report::view::{Attempt, History, Integration, Mark, Moment, concurrency};
use serde_json::Value;
use std::collections::HashSet;

/// The ends of long attempts are recorded up to this much late.
const SLACK_MS: i64 = 25;

/// What became of an attempt, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It has a result.
    Completed,
    /// It was stopped, or lost when mesh was killed.
    Stopped,
    /// It is running.
    Running,
    /// Its row was tried again.
    Retried,
    /// Its row failed.
    Failed,
}

impl Outcome {
    /// Whether its row waits for another attempt.
    fn is_open(self) -> bool {
        matches!(self, Outcome::Stopped | Outcome::Retried)
    }
}

/// Something between two pixels.
#[derive(Clone, Debug)]
pub struct Bar<T> {
    /// Its left end.
    pub from: f64,
    /// Its right end.
    pub to: f64,
    /// What it stands for; that of the worst, if they are several.
    pub what: T,
    /// How many it stands for.
    pub count: u64,
}

/// An attempt as a bar.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// What became of it.
    pub outcome: Outcome,
    /// The attempt.
    pub attempt: Attempt,
}

/// A kind of marks, from left to right.
#[derive(Clone, Debug)]
pub struct Lane {
    /// `integration`, `rate_limited` and so on.
    pub kind: &'static str,
    /// Its marks, with a tooltip each.
    pub marks: Vec<Bar<String>>,
}

/// A count over time: for each pixel the most that it was there.
#[derive(Clone, Debug)]
pub struct Load {
    most: Vec<u64>,
    at: usize,
    now: u64,
}

/// Everything that a timeline shows.
#[derive(Debug)]
pub struct Packing {
    span_ms: (i64, i64),
    width: f64,
    history: History,
    /// When each slot was freed, in milliseconds since 1970.
    freed_ms: Vec<i64>,
    started_waves: HashSet<WaveNo>,
    /// The bars of each slot, from left to right.
    pub slots: Vec<Vec<Bar<Attempted>>>,
    /// Running rows: for each pixel their mean number.
    pub running: Vec<f64>,
    /// Rows of started waves that wait for a slot or for another attempt.
    pub waiting: Load,
    /// The most rows that may run at once.
    pub limit: Load,
    /// The marks.
    pub lanes: Vec<Lane>,
    /// How many attempts there are.
    pub attempts: u64,
}

impl Packing {
    /// For a run that lasts from `span_ms.0` to `span_ms.1`, over `width` pixels.
    pub fn new(span_ms: (i64, i64), width: f64) -> Self {
        let load = || Load {
            most: vec![0; width as usize + 1],
            at: 0,
            now: 0,
        };
        Self {
            span_ms,
            width,
            history: History::default(),
            freed_ms: Vec::new(),
            started_waves: HashSet::new(),
            slots: Vec::new(),
            running: vec![0.0; width as usize + 1],
            waiting: load(),
            limit: load(),
            lanes: Vec::new(),
            attempts: 0,
        }
    }

    /// Applies a record.
    pub fn apply(&mut self, record: &Record) {
        let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
        for moment in self.history.apply(record) {
            self.add(moment);
        }
        let x = self.x(at);
        match &record.event {
            Event::WaveStarted(body) if self.started_waves.insert(body.wave) => {
                self.waiting.change(x, body.items as i64);
            }
            Event::RowsReopened(body) => self.waiting.change(x, body.rows as i64),
            Event::AttemptStarted(_) => self.waiting.change(x, -1),
            Event::RunStarted(body) => self.allow(x, &body.settings),
            Event::RunResumed(body) => self.allow(x, &body.changed),
            Event::Backpressure(body) => self.limit.set(x, body.to as u64),
            _ => {}
        }
    }

    /// Ends what is still open, after the last record.
    pub fn close(&mut self) {
        for moment in self.history.open() {
            self.add(moment);
        }
        let end = self.width;
        self.waiting.change(end, 0);
        self.limit.change(end, 0);
    }

    /// The concurrency number in `settings`, if they have one, holds from pixel `x` on.
    fn allow(&mut self, x: f64, settings: &Value) {
        if let Some(number) = concurrency(settings) {
            self.limit.set(x, number);
        }
    }

    fn add(&mut self, moment: Moment) {
        match moment {
            Moment::Attempt(attempt) => self.add_attempt(*attempt),
            Moment::Integration(integration) => self.add_integration(&integration),
            Moment::Mark(mark) => self.add_mark(mark),
        }
    }

    fn add_attempt(&mut self, attempt: Attempt) {
        self.attempts += 1;
        let last_ms = attempt.lost_ms.unwrap_or(self.span_ms.1);
        let end_ms = attempt.end.as_ref().map_or(last_ms, |(at, _)| *at);
        let outcome = outcome(&attempt);
        match attempt.is_reused() {
            true => self.waiting.change(self.x(end_ms), -1),
            false if outcome.is_open() => self.waiting.change(self.x(end_ms), 1),
            false => {}
        }
        let (slot, start_ms) = self.take_slot(attempt.worked_from_ms(), end_ms);
        self.freed_ms[slot] = end_ms;
        let (from, to) = (self.x(start_ms), self.x(end_ms));
        self.add_running(from, to);
        let bar = Bar {
            from,
            to,
            count: 1,
            what: Attempted { outcome, attempt },
        };
        push(&mut self.slots[slot], bar, |one, two| {
            two.outcome.cmp(&one.outcome)
        });
    }

    /// The slot that was freed last before `start_ms`, or a new one, or the one that was freed first; and when the attempt can
    /// have begun in it.
    fn take_slot(&mut self, start_ms: i64, end_ms: i64) -> (usize, i64) {
        let slack = SLACK_MS.min((end_ms - start_ms) / 2);
        let freed = self.freed_ms.iter().copied().enumerate();
        let fitting = freed
            .clone()
            .filter(|(_, freed)| *freed <= start_ms + slack);
        // The lowest of those that were freed at the same time.
        let last = fitting.max_by_key(|(slot, freed)| (*freed, std::cmp::Reverse(*slot)));
        let slots_max = self.history.concurrency_max();
        let is_full = slots_max.is_some_and(|most| self.slots.len() as u64 >= most.max(1));
        match last.or_else(|| freed.min_by_key(|(_, freed)| *freed).filter(|_| is_full)) {
            Some((slot, freed)) => (slot, freed.max(start_ms).min(end_ms)),
            None => {
                self.slots.push(Vec::new());
                self.freed_ms.push(start_ms);
                (self.slots.len() - 1, start_ms)
            }
        }
    }

    /// Adds a running row between two pixels.
    fn add_running(&mut self, from: f64, to: f64) {
        for pixel in from as usize..=(to as usize).min(self.running.len() - 1) {
            let (left, right) = (pixel as f64, pixel as f64 + 1.0);
            self.running[pixel] += (to.min(right) - from.max(left)).max(0.0);
        }
    }

    fn add_integration(&mut self, integration: &Integration) {
        let (end_ms, outcome) = match integration.end {
            Some((at, outcome)) => (at, words(outcome)),
            None => (self.span_ms.1, "under way".to_owned()),
        };
        let title = format!("integration of {}: {outcome}", integration.unit);
        self.lane("integration", integration.start_ms, end_ms, title);
    }

    fn add_mark(&mut self, mark: Mark) {
        let text = match &mark.row {
            Some(row) => format!("{row}: {}", mark.text),
            None => mark.text,
        };
        let end = mark.end_ms.unwrap_or(mark.start_ms);
        self.lane(mark.kind, mark.start_ms, end, text);
    }

    fn lane(&mut self, kind: &'static str, start_ms: i64, end_ms: i64, text: String) {
        let bar = Bar {
            from: self.x(start_ms),
            to: self.x(end_ms),
            what: text,
            count: 1,
        };
        let lane = match self.lanes.iter().position(|lane| lane.kind == kind) {
            Some(at) => &mut self.lanes[at],
            None => {
                let marks = Vec::new();
                self.lanes.push(Lane { kind, marks });
                self.lanes.last_mut().expect("it was just added")
            }
        };
        push(&mut lane.marks, bar, |_, _| std::cmp::Ordering::Equal);
    }

    /// Milliseconds since 1970 in pixels.
    fn x(&self, at_ms: i64) -> f64 {
        let (start, end) = self.span_ms;
        let share = (at_ms - start) as f64 / (end - start).max(1) as f64;
        share.clamp(0.0, 1.0) * self.width
    }
}

/// Adds a bar on the right, or merges it with the last one if both together are no longer than a pixel, or if both are
/// shorter than one, are alike and follow each other.
fn push<T>(bars: &mut Vec<Bar<T>>, bar: Bar<T>, order: impl Fn(&T, &T) -> std::cmp::Ordering) {
    let Some(last) = bars.last_mut() else {
        bars.push(bar);
        return;
    };
    let is_thin = |bar: &Bar<T>| bar.to - bar.from < 1.0;
    let within_pixel = bar.to.max(last.to) - last.from < 1.0;
    let follows = (last.count > 1 || is_thin(last)) && is_thin(&bar) && bar.from - last.to < 0.5;
    // `order` sorts the worst first.
    let worse = order(&bar.what, &last.what);
    if !(within_pixel || follows && worse.is_eq()) {
        bars.push(bar);
        return;
    }
    last.to = last.to.max(bar.to);
    last.from = last.from.min(bar.from);
    last.count += bar.count;
    if worse.is_lt() {
        last.what = bar.what;
    }
}

fn outcome(attempt: &Attempt) -> Outcome {
    match attempt.end.as_ref().map(|(_, body)| body.end) {
        Some(AttemptEnd::Completed) => Outcome::Completed,
        Some(AttemptEnd::Failed) => Outcome::Failed,
        Some(AttemptEnd::Retry | AttemptEnd::RateLimited | AttemptEnd::Unavailable) => {
            Outcome::Retried
        }
        Some(AttemptEnd::Interrupted | AttemptEnd::Withdrawn) => Outcome::Stopped,
        None if attempt.lost_ms.is_some() => Outcome::Stopped,
        None => Outcome::Running,
    }
}

impl Load {
    /// Adds `delta` from pixel `x` on.
    fn change(&mut self, x: f64, delta: i64) {
        self.set(x, self.now.saturating_add_signed(delta));
    }

    /// Is `now` from pixel `x` on. Changes come in the order of time.
    fn set(&mut self, x: f64, now: u64) {
        let x = (x as usize).clamp(self.at, self.most.len() - 1);
        for most in &mut self.most[self.at..=x] {
            *most = (*most).max(self.now);
        }
        (self.at, self.now) = (x, now);
        self.most[x] = self.most[x].max(now);
    }

    /// The most at each pixel.
    pub fn most(&self) -> impl Iterator<Item = f64> {
        self.most.iter().map(|most| *most as f64)
    }

    /// The most of all.
    pub fn peak(&self) -> u64 {
        self.most.iter().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(from: f64, to: f64, what: u8) -> Bar<u8> {
        let count = 1;
        Bar {
            from,
            to,
            what,
            count,
        }
    }

    fn pushed(bars: &[Bar<u8>]) -> Vec<(f64, f64, u8, u64)> {
        let mut all = Vec::new();
        for bar in bars {
            push(&mut all, bar.clone(), |one, two| two.cmp(one));
        }
        all.iter()
            .map(|bar| (bar.from, bar.to, bar.what, bar.count))
            .collect()
    }

    #[test]
    fn bars_below_a_pixel_are_merged_and_the_worst_prevails() {
        assert_eq!(
            pushed(&[bar(0.0, 0.2, 0), bar(0.2, 0.4, 3), bar(0.4, 0.6, 1)]),
            [(0.0, 0.6, 3, 3)]
        );
        // Alike and thin: one line. Longer ones, and others, stay.
        assert_eq!(
            pushed(&[bar(0.0, 0.9, 0), bar(0.9, 1.8, 0), bar(1.8, 2.7, 0)]),
            [(0.0, 2.7, 0, 3)]
        );
        assert_eq!(
            pushed(&[
                bar(0.0, 0.9, 0),
                bar(0.9, 1.8, 3),
                bar(1.8, 5.0, 3),
                bar(9.0, 9.1, 0)
            ])
            .len(),
            4
        );
    }

    #[test]
    fn the_number_of_bars_does_not_depend_on_rows() {
        let bars: Vec<Bar<u8>> = (0..100_000)
            .map(|n| {
                bar(
                    f64::from(n) / 1000.0,
                    f64::from(n + 1) / 1000.0,
                    (n % 2) as u8,
                )
            })
            .collect();
        let merged = pushed(&bars);
        assert!(merged.len() <= 101, "{}", merged.len());
        assert_eq!(merged.iter().map(|bar| bar.3).sum::<u64>(), 100_000);
    }

    #[test]
    fn a_load_keeps_the_most_of_each_pixel() {
        let mut load = Load {
            most: vec![0; 6],
            at: 0,
            now: 0,
        };
        load.change(1.0, 2);
        load.change(1.5, 3);
        load.change(1.9, -4);
        load.change(4.0, -1);
        load.change(5.0, 0);
        assert_eq!(load.most, [0, 5, 1, 1, 1, 0]);
        assert_eq!(load.peak(), 5);
    }
}
