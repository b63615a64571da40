//! The report of a plan run as Markdown, for the summary page of a continuous-integration service.

use super::plan_report::{Report, TaskReport};
use crate::model::{counted, is_hidden};
use std::fmt::{Result, Write};

impl Report {
    /// The report as Markdown. Texts of workers and commands are escaped.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write_markdown(&mut text);
        text
    }

    fn write_markdown(&self, out: &mut String) -> Result {
        writeln!(
            out,
            "## mesh run {}: {}\n",
            escape(self.mesh_run_id.as_str()),
            escape(&self.status)
        )?;
        if let Some(detail) = &self.detail {
            writeln!(out, "{}\n", escape(detail))?;
        }
        writeln!(
            out,
            "| task | state | votes | validation | changed | commit |"
        )?;
        writeln!(out, "| --- | --- | --- | --- | --- | --- |")?;
        for task in &self.tasks {
            writeln!(out, "{}", row(task))?;
        }
        let adapter = &self.adapter;
        writeln!(
            out,
            "\n{} with adapter {}, at most {} at once: {} spawned, {} closed, {} retried, {} timed out.",
            counted(self.waves.len() as u64, "wave"),
            code_span(&adapter.name),
            adapter.max_concurrency,
            counted(self.slots.spawned, "worker"),
            self.slots.closed,
            adapter.workers_retried,
            adapter.workers_timed_out,
        )?;
        self.write_lists(out)?;
        writeln!(out, "\n`mesh_run_id={}`", self.mesh_run_id)
    }

    fn write_lists(&self, out: &mut String) -> Result {
        let stragglers = &self.slots.straggler_rows;
        write_list(
            out,
            "Never seen to end",
            stragglers.iter().map(|row| code_span(row)),
        )?;
        write_list(
            out,
            "Violations",
            self.violations.iter().map(|one| escape(one)),
        )?;
        let audit = self.audit.iter().map(|audit| escape(&audit.summary));
        write_list(out, "Audit", audit)?;
        let pressure = self.backpressure.iter();
        let pressure = pressure.map(|one| one.line(&escape(&one.causes.join(", "))));
        write_list(out, "Backpressure", pressure)?;
        let hydrations = self.hydrations.iter();
        let hydrations =
            hydrations.map(|one| format!("{}: metadata proposed by a worker", escape(&one.id)));
        write_list(out, "Hydrations", hydrations)?;
        let changes = self.protocol_changes.iter().map(|one| {
            let (from, to) = (escape(&one.from), escape(&one.to));
            format!("{}: {from} → {to} ({})", escape(&one.id), escape(&one.code))
        });
        write_list(out, "Protocol changes", changes)?;
        let mutations = self.plan_mutations.iter();
        let mutations =
            mutations.map(|one| format!("{} → {}", escape(&one.id), escape(&one.status)));
        write_list(out, "Plan mutations", mutations)?;
        let learnings = self.learnings.iter();
        let learnings =
            learnings.map(|one| format!("{}: {}", code_span(&one.id), escape(&one.learning)));
        write_list(out, "Learnings", learnings)
    }
}

fn row(task: &TaskReport) -> String {
    let mut state = escape(&task.state);
    if let Some(reason) = &task.reason {
        state.push_str(&format!(": {}", escape(reason)));
    }
    if let Some(detail) = &task.detail {
        state.push_str(&format!("<br>{}", escape(detail)));
    }
    let votes = task.tallies.iter().map(|tally| {
        let all = tally.agree + tally.disagree + tally.absent;
        format!("{}/{all}", tally.agree)
    });
    let runs = task.validation.iter().map(|run| {
        let weak = match task.passed_before.contains(&run.command) {
            true => " (before the patch as well)",
            false => "",
        };
        format!("{} {}{weak}", code_span(&run.command), escape(&run.outcome))
    });
    let paths = task
        .changed_paths
        .iter()
        .map(|path| code_span(&path.display().to_string()));
    let commit = task.commit.iter();
    let commit = commit.map(|one| {
        format!(
            "{} on {}",
            code_span(&one.id[..12.min(one.id.len())]),
            code_span(&one.branch)
        )
    });
    format!(
        "| {} | {state} | {} | {} | {} | {} |",
        escape(&task.id),
        joined(votes),
        joined(runs),
        joined(paths),
        joined(commit)
    )
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("<br>")
}

fn write_list(out: &mut String, name: &str, lines: impl Iterator<Item = String>) -> Result {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            writeln!(out, "\n### {name}\n")?;
        }
        writeln!(out, "- {line}")?;
    }
    Ok(())
}

/// Characters with a meaning in Markdown, or in services that render it: `@` mentions people, `#` tickets, `$` starts a formula.
const MARKUP: &str = "\\`*_[]|~#@!$";

/// Escapes text, inside or outside of a table cell. At the start of a line, blanks would make it code, and some characters a list or
/// a heading.
pub(super) fn escape(text: &str) -> String {
    let mut shown = shown(text.trim_start_matches(' '), |c| format!("\\{c}"));
    let digits = shown.bytes().take_while(u8::is_ascii_digit).count();
    let begins_item = match digits {
        0 => shown.starts_with(['-', '+', '=']),
        digits => shown[digits..].starts_with(['.', ')']),
    };
    if begins_item {
        shown.insert(digits, '\\');
    }
    shown
}

/// Text as a code span, inside or outside of a table cell. HTML, because a bar ends a cell even between backticks.
pub(super) fn code_span(text: &str) -> String {
    let inner = shown(text, |c| format!("&#{};", u32::from(c)));
    format!("<code>{inner}</code>")
}

fn shown(text: &str, escaped: impl Fn(char) -> String) -> String {
    let mut shown = String::new();
    for (at, c) in text.char_indices() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '\n' => shown.push_str("<br>"),
            c if is_hidden(c) => shown.push('\u{fffd}'),
            c if MARKUP.contains(c) || is_of_address(text, at) => shown.push_str(&escaped(c)),
            c => shown.push(c),
        }
    }
    shown
}

/// Whether the character at `at` makes a service take the text around it for the address of a link: that of `://`, or of `www.`.
fn is_of_address(text: &str, at: usize) -> bool {
    let (before, rest) = text.split_at(at);
    rest.starts_with("://") || (rest.starts_with('.') && before.ends_with("www"))
}
