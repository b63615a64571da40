//! The progress of a run: a bar on a terminal, lines elsewhere, JSON Lines for scripts.

use super::notices::Notices;
use super::terminal::{ProgressMode, Terminal, Tone};
use crate::job::{Counts, Observer, Progress, RunningRow};
use crate::model::{Usage, WaveCompiled, WaveNo, counted, dollars, one_line, short as short_count};
use crate::plan::{Plan, mirror};
use crate::platform::clock;
use crate::run::{Notice, Standing, Watcher};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::time::{Duration, Instant};

/// The minimum time between two JSON objects (CONTRACT, section 2, "Summary").
const JSON_EVERY: Duration = Duration::from_secs(1);
/// The minimum time between two lines about a wave.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The age from which a row is listed as slow.
const SLOW: Duration = Duration::from_secs(2);
/// The silence from which a slow row is listed as quiet.
const QUIET: Duration = Duration::from_secs(10);
/// The maximum number of listed rows.
const SLOW_MAX: usize = 3;

/// The display of one command.
pub struct Display {
    terminal: Terminal,
    job_id: Option<String>,
    bars: MultiProgress,
    /// One bar for all running waves.
    bar: Option<ProgressBar>,
    /// One line for each of the slowest rows.
    slow: Vec<ProgressBar>,
    /// The running waves, or the job.
    parts: Vec<Part>,
    last: Instant,
    last_json: Instant,
    /// The wait that was announced last.
    waiting: Option<String>,
    notices: Notices,
}

/// A running wave or job.
struct Part {
    wave: WaveNo,
    title: String,
    total: u64,
    began: Instant,
}

impl Display {
    /// A display for waves; a bar appears with the first.
    pub fn for_run(terminal: &Terminal) -> Self {
        let bars = match terminal.progress {
            ProgressMode::Bar => MultiProgress::new(),
            _ => MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        };
        Self {
            terminal: *terminal,
            job_id: None,
            bars,
            bar: None,
            slow: Vec::new(),
            parts: Vec::new(),
            last: Instant::now(),
            last_json: Instant::now(),
            waiting: None,
            notices: Notices::default(),
        }
    }

    /// The same, which also tells somebody who is away.
    pub fn telling(self, notices: &Notices) -> Self {
        Self {
            notices: notices.clone(),
            ..self
        }
    }

    /// A display for one job over `total` rows.
    pub fn for_job(terminal: &Terminal, job_id: &str, title: &str, total: u64) -> Self {
        let mut display = Self::for_run(terminal);
        display.job_id = Some(job_id.to_owned());
        display.begin(WaveNo(1), title, total);
        display
    }

    /// Ends the display of the job.
    pub fn finish(&mut self, counts: Counts) {
        self.end(WaveNo(1), counts);
    }

    fn begin(&mut self, wave: WaveNo, title: &str, total: u64) {
        if self.parts.is_empty() {
            self.last = Instant::now();
            self.last_json = Instant::now();
        }
        self.parts.push(Part {
            wave,
            title: title.to_owned(),
            total,
            began: Instant::now(),
        });
        match self.terminal.progress {
            ProgressMode::Bar => self.show_bar(),
            ProgressMode::Plain => {
                self.terminal.talk(&format!("{title}: {}", rows(total)));
            }
            ProgressMode::Auto | ProgressMode::None => {}
        }
    }

    /// Updates the bar to the running waves; removes it if there are none.
    fn show_bar(&mut self) {
        if self.parts.is_empty() {
            if let Some(bar) = self.bar.take() {
                // A line below it says the same; full bars of past waves would fill the screen.
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(0));
            // The template is a constant that a test renders.
            if let Ok(style) =
                ProgressStyle::with_template("{prefix:<20} {bar:16} {pos}/{len} {wide_msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        bar.set_length(self.parts.iter().map(|part| part.total).sum());
        bar.set_prefix(self.terminal.err_text(&title(&self.parts)));
    }

    fn end(&mut self, wave: WaveNo, counts: Counts) {
        let Some(at) = self.parts.iter().position(|part| part.wave == wave) else {
            return;
        };
        let part = self.parts.remove(at);
        let failed = match counts.failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let text = format!(
            "{} completed{failed} in {:.1}s",
            counts.completed,
            part.began.elapsed().as_secs_f64()
        );
        self.show_slowest(&[]);
        self.show_bar();
        self.line(&format!("{}: {text}", part.title));
    }

    /// Shows `lines` below the bar.
    fn show_slowest(&mut self, lines: &[String]) {
        while self.slow.len() > lines.len() {
            if let Some(bar) = self.slow.pop() {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
        }
        while self.slow.len() < lines.len() {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {wide_msg}") {
                bar.set_style(style);
            }
            self.slow.push(bar);
        }
        for (bar, line) in self.slow.iter().zip(lines) {
            bar.set_message(self.terminal.err_text(line));
        }
    }

    /// Whether `snapshot` shows a wait that was not announced yet. A silent hour would look like a hang.
    fn is_new_wait(&mut self, snapshot: &Progress) -> bool {
        let waiting = waiting(snapshot);
        let is_new = waiting.is_some() && waiting != self.waiting;
        self.waiting = waiting;
        is_new
    }

    fn line(&self, text: &str) {
        match self.terminal.progress {
            ProgressMode::Bar => {
                // Fails only if the terminal is gone.
                let _ = self.bars.println(self.terminal.err_text(text));
            }
            ProgressMode::Plain => self.terminal.talk(text),
            ProgressMode::Auto | ProgressMode::None => {}
        }
    }

    fn json(&mut self, snapshot: &Progress) {
        let is_due = self.last_json.elapsed() >= JSON_EVERY;
        let Some(job_id) = self.job_id.as_ref().filter(|_| is_due) else {
            return;
        };
        let counts = snapshot.counts;
        let mut object = json!({
            "job_id": job_id,
            "total_items": counts.total,
            "pending_items": counts.pending(),
            "running_items": counts.running,
            "completed_items": counts.completed,
            "failed_items": counts.failed,
            "eta_seconds": snapshot.eta().map(|eta| eta.as_secs()),
        });
        if let Some(until) = snapshot.capacity.waits_until {
            object["waiting_until"] = json!(clock::csv_time(until));
        }
        if !snapshot.usage.is_none() {
            object["usage"] = json!(snapshot.usage);
        }
        self.last_json = Instant::now();
        // A closed pipe does not end the job.
        let _ = self.terminal.data(&object.to_string());
    }
}

impl Observer for Display {
    fn progress(&mut self, snapshot: &Progress) {
        if self.terminal.json {
            self.json(snapshot);
        }
        let is_new_wait = self.is_new_wait(snapshot);
        self.notices.tell_wait(snapshot);
        if let Some(bar) = &self.bar {
            bar.set_length(snapshot.counts.total);
            bar.set_position(snapshot.counts.ended());
            bar.set_message(self.terminal.err_text(&status(snapshot)));
            self.show_slowest(&slowest(snapshot));
        } else if self.terminal.progress == ProgressMode::Plain
            && (self.last.elapsed() >= PLAIN_EVERY || is_new_wait)
        {
            self.last = Instant::now();
            let counts = snapshot.counts;
            let mut text = format!(
                "{}: {}/{} {}",
                title(&self.parts),
                counts.ended(),
                counts.total,
                status(snapshot)
            );
            if let Some(row) = slowest(snapshot).first() {
                text.push_str(&format!("; slowest: {row}"));
            }
            self.terminal.talk(&text);
        }
    }

    fn warn(&mut self, text: &str) {
        let label = self.terminal.err_tone(Tone::Note, "warning:");
        match self.terminal.progress {
            ProgressMode::Bar => self.line(&format!("{label} {text}")),
            _ => self.terminal.warn(text),
        }
    }
}

impl Watcher for Display {
    fn wave_begins(&mut self, wave: &WaveCompiled) {
        let title = format!("wave {} {}", wave.wave, wave.round);
        self.begin(wave.wave, &title, wave.rows.len() as u64);
    }

    fn wave_ends(&mut self, wave: &WaveCompiled, counts: Counts) {
        self.end(wave.wave, counts);
    }

    fn say(&mut self, text: &str) {
        self.line(text);
    }

    fn notice(&mut self, notice: &Notice<'_>, standing: Standing) {
        self.notices.tell(notice, standing);
    }

    fn mirror(&mut self, plan: &Plan) {
        // For planning panels, as `mesh st` prints it; too long for other readers.
        if self.terminal.verbose {
            self.line(&format!("update_plan: {}", mirror::update_plan(plan)));
        }
    }
}

/// The title of the bar.
fn title(parts: &[Part]) -> String {
    match parts {
        [part] => part.title.clone(),
        parts => format!("{} waves", parts.len()),
    }
}

/// `3 running (limit 4), 1 failed, 12.3/s, eta 12s, $0.42`. The limit is shown after a service has refused rows; tokens are
/// shown if the cost is unknown.
fn status(snapshot: &Progress) -> String {
    let mut text = format!("{} running", snapshot.counts.running);
    if let Some(waiting) = waiting(snapshot) {
        text = format!("{waiting}, {text}");
    }
    if snapshot.capacity.is_cut {
        text.push_str(&format!(" (limit {})", snapshot.capacity.places));
    }
    if snapshot.counts.failed > 0 {
        text.push_str(&format!(", {} failed", snapshot.counts.failed));
    }
    if snapshot.ended_here > 0 {
        text.push_str(&format!(", {}", rate(snapshot.rate())));
    }
    if let Some(eta) = snapshot.eta().filter(|eta| eta.as_secs() > 0) {
        text.push_str(&format!(", eta {}", short(eta)));
    }
    match snapshot.usage {
        Usage {
            cost_usd: Some(cost),
            ..
        } => text.push_str(&format!(", {}", dollars(cost))),
        usage if usage.is_some() => {
            text.push_str(&format!(", {} tokens", short_count(usage.tokens())));
        }
        _ => {}
    }
    text
}

/// `waiting for a rate limit until 14:05`, in local time.
fn waiting(snapshot: &Progress) -> Option<String> {
    let until = snapshot.capacity.waits_until?;
    let until = clock::time_of_day(until, &clock::here());
    Some(format!("waiting for a rate limit until {until}"))
}

/// A rate per second, minute or hour, so that the number is not tiny.
fn rate(per_second: f64) -> String {
    match per_second {
        rate @ 10.0.. => format!("{rate:.0}/s"),
        rate @ 1.0.. => format!("{rate:.1}/s"),
        rate if rate * 60.0 >= 1.0 => format!("{:.1}/min", rate * 60.0),
        rate => format!("{:.1}/h", rate * 3600.0),
    }
}

/// The rows that have run longest: `st-001.vote.skeptic 4m10s, quiet for 48s`.
fn slowest(snapshot: &Progress) -> Vec<String> {
    let is_slow = |row: &&RunningRow| row.age >= SLOW;
    let line = |row: &RunningRow| {
        let id = one_line(row.id.as_str());
        let quiet = match row.quiet {
            quiet if quiet >= QUIET => format!(", quiet for {}", short(quiet)),
            _ => String::new(),
        };
        format!("{id} {}{quiet}", short(row.age))
    };
    let slow = snapshot.running.iter().filter(is_slow);
    slow.take(SLOW_MAX).map(line).collect()
}

fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        seconds => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1 row`, `2 rows`.
pub fn rows(total: u64) -> String {
    counted(total, "row")
}
