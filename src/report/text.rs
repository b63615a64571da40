//! The report as text, at most 80 columns wide if the content allows.

use super::plan_report::{Report, TaskReport, ValidationReport};
use crate::model;
use crate::run::CLOSING_LINE;
use std::fmt::{Result, Write};

impl Report {
    /// The report as text; its last line is the closing line of the seed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> Result {
        match (self.status.as_str(), &self.detail) {
            ("running", _) => write!(out, "Run under way")?,
            // The detail repeats the status.
            (status, Some(detail)) if detail.starts_with(&format!("{status} ")) => {
                write!(out, "Run {detail}")?
            }
            (status, Some(detail)) => write!(out, "Run {status} ({detail})")?,
            (status, None) => write!(out, "Run {status}")?,
        }
        writeln!(out, "\n\nTasks")?;
        if self.tasks.is_empty() {
            writeln!(out, "  none attempted")?;
        }
        for task in &self.tasks {
            task.write(out)?;
        }
        self.write_kept(out)?;
        self.write_workers(out)?;
        self.write_changes(out)?;
        write_section(out, "Violations", self.violations.iter().cloned())?;
        self.write_learnings(out)?;
        let audit = self.audit.iter().map(|audit| audit.summary.clone());
        write_section(out, "Audit", audit)?;
        if let Some(why) = &self.delegation_did_not_run {
            writeln!(out, "\ndelegation_did_not_run=true: {why}")?;
        }
        writeln!(out, "\nmesh_run_id={}\n\n{CLOSING_LINE}", self.mesh_run_id)
    }

    /// Where the patches are that the run keeps.
    fn write_kept(&self, out: &mut String) -> Result {
        let Some(results) = self.results_path else {
            return Ok(());
        };
        let table = format!("{results}: one row a task, in the run's folder");
        let next = self.next_command.iter();
        let next = next.map(|command| format!("to integrate them: {command} [--task ID …]"));
        write_section(out, "Patches", std::iter::once(table).chain(next))
    }

    fn write_workers(&self, out: &mut String) -> Result {
        let adapter = &self.adapter;
        writeln!(
            out,
            "\nWorkers\n  adapter {}, concurrency {}, {}",
            adapter.name,
            adapter.max_concurrency,
            model::counted(self.waves.len() as u64, "wave")
        )?;
        for (role, binding) in &adapter.roles {
            writeln!(out, "  role {role}: {binding}")?;
        }
        writeln!(
            out,
            "  {} spawned, {} completed, {} retried, {} timed out",
            adapter.workers_spawned,
            adapter.workers_completed,
            adapter.workers_retried,
            adapter.workers_timed_out
        )?;
        if let Some(usage) = &self.usage {
            writeln!(out, "  used {usage}")?;
        }
        let slots = &self.slots;
        let open = match self.status.as_str() {
            "running" => "running now",
            _ => "never seen to end",
        };
        let stragglers = match slots.stragglers {
            0 => String::new(),
            number => format!(", {number} {open}"),
        };
        let (spawned, closed) = (slots.spawned, slots.closed);
        writeln!(
            out,
            "  slots: {spawned} spawned, {closed} closed{stragglers}"
        )?;
        for row in &slots.straggler_rows {
            writeln!(out, "    {open}: {row}")?;
        }
        for pressure in &self.backpressure {
            writeln!(out, "  {}", pressure.line(&pressure.causes.join(", ")))?;
        }
        Ok(())
    }

    fn write_changes(&self, out: &mut String) -> Result {
        let hydrations = self.hydrations.iter().map(|one| {
            let left_out = match one.left_out.as_slice() {
                [] => String::new(),
                commands => format!("; not stored: {}", quote_commands(commands)),
            };
            format!("{}: metadata proposed by a worker{left_out}", one.id)
        });
        write_section(out, "Hydrations", hydrations)?;
        let changes = self.protocol_changes.iter();
        let changes = changes.map(|one| {
            let why = model::with_code(&one.code, &one.detail);
            format!("{}: {} -> {} ({why})", one.id, one.from, one.to)
        });
        write_section(out, "Protocol changes", changes)?;
        writeln!(out, "\nPlan mutations")?;
        for mutation in &self.plan_mutations {
            let comment = if mutation.comment {
                " + [mesh] comment"
            } else {
                ""
            };
            writeln!(out, "  {} -> {}{comment}", mutation.id, mutation.status)?;
        }
        if self.plan_mutations.is_empty() {
            writeln!(out, "  none")?;
        }
        Ok(())
    }

    fn write_learnings(&self, out: &mut String) -> Result {
        writeln!(out, "\nLearnings")?;
        if self.learnings.is_empty() {
            writeln!(out, "  none appended")?;
        }
        for learning in &self.learnings {
            let about = learning.task.as_deref().unwrap_or("the run");
            let known = if learning.known { ", known before" } else { "" };
            writeln!(out, "  {} ({about}{known})", learning.id)?;
            writeln!(out, "    {}", learning.learning)?;
        }
        Ok(())
    }
}

/// A heading with its lines; nothing when there are none.
fn write_section(out: &mut String, name: &str, lines: impl Iterator<Item = String>) -> Result {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            writeln!(out, "\n{name}")?;
        }
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn quote_commands(commands: &[String]) -> String {
    let commands: Vec<String> = commands.iter().map(|one| format!("`{one}`")).collect();
    commands.join(", ")
}

impl TaskReport {
    fn write(&self, out: &mut String) -> Result {
        write!(out, "  {:<10} {}", self.id, self.state)?;
        if let Some(reason) = &self.reason {
            write!(out, ": {reason}")?;
        }
        writeln!(out)?;
        for refusal in &self.refusals {
            let row = refusal.row.strip_prefix(&self.id).unwrap_or(&refusal.row);
            let row = row.trim_start_matches('.');
            writeln!(out, "    refused {row}: {}", refusal.code)?;
        }
        for (index, tally) in self.tallies.iter().enumerate() {
            let absent = match tally.absent {
                0 => String::new(),
                absent => format!(", {absent} absent"),
            };
            let (agree, disagree, threshold) = (tally.agree, tally.disagree, tally.threshold);
            writeln!(
                out,
                "    vote {}: {agree} agree, {disagree} disagree{absent} ({threshold} needed)",
                index + 1,
            )?;
        }
        if let Some(usage) = &self.usage {
            writeln!(out, "    used {usage}")?;
        }
        for path in &self.changed_paths {
            writeln!(out, "    changed {}", path.display())?;
        }
        if let Some(path) = &self.patch_path {
            writeln!(out, "    patch {}", path.display())?;
        }
        if let Some(commit) = &self.commit {
            writeln!(out, "    commit {} on {}", commit.id, commit.branch)?;
        }
        self.write_validation(out)?;
        for path in &self.by_validation {
            writeln!(out, "    left by the validation: {}", path.display())?;
        }
        for path in &self.moved_aside {
            writeln!(out, "    moved aside {}", path.display())?;
        }
        if let Some(folder) = &self.moved_to {
            writeln!(out, "    moved to {folder} in the run's folder")?;
        }
        for path in &self.changed_meanwhile {
            writeln!(
                out,
                "    changed while commands ran elsewhere: {}",
                path.display()
            )?;
        }
        match &self.detail {
            Some(detail) if !self.repeats_command(detail) => writeln!(out, "    {detail}"),
            _ => Ok(()),
        }
    }

    fn write_validation(&self, out: &mut String) -> Result {
        for candidate in &self.candidates {
            writeln!(out, "    {}", candidate.line())?;
        }
        for run in self
            .before_vote
            .iter()
            .filter(|run| run.candidate.is_none())
        {
            writeln!(out, "    before the vote, {}", run.line())?;
        }
        for run in &self.validation {
            writeln!(out, "    {}", run.line())?;
        }
        for command in &self.passed_before {
            writeln!(
                out,
                "    `{command}` passed before the patch as well: weak evidence"
            )?;
        }
        for command in &self.left_out {
            writeln!(
                out,
                "    not run, as validation_allow does not cover it: `{command}`"
            )?;
        }
        Ok(())
    }

    /// Whether `detail` repeats the line of a failed command.
    fn repeats_command(&self, detail: &str) -> bool {
        let is_it =
            |run: &ValidationReport| detail == format!("`{}`: {}", run.command, run.outcome);
        self.validation.iter().any(is_it)
    }
}

impl ValidationReport {
    /// `` `cargo test`: exit 101 in 2.3s: test a ... FAILED ``
    pub(crate) fn line(&self) -> String {
        let seconds = self.duration_ms as f64 / 1000.0;
        let (command, outcome) = (&self.command, &self.outcome);
        match self.key_line.as_str() {
            "" => format!("`{command}`: {outcome} in {seconds:.1}s"),
            line => format!("`{command}`: {outcome} in {seconds:.1}s: {line}"),
        }
    }
}
