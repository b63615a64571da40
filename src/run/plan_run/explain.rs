//! Explains why a task is blocked and what to do about it, with details that only the run knows.

use super::begin::PlanRun;
use super::compile::Task;
use crate::model::{BlockReason, one_line, shell_word};
use crate::protocol;
use crate::run::error::RunError;
use crate::run::store::Unit;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many refused commands or edited files are named.
const COMMANDS_MAX: usize = 3;

impl PlanRun {
    /// Adds to `detail`, the reason in words, what the run knows about it.
    pub(crate) fn explain_block(
        &self,
        task: &Task,
        unit: &Unit,
        reason: BlockReason,
        detail: &str,
    ) -> Result<String, RunError> {
        Ok(match reason {
            BlockReason::MissingValidation => self.add_refused_commands(unit, detail),
            BlockReason::AmbiguousIntegration => self.add_edits(task, unit, detail)?,
            _ => detail.to_owned(),
        })
    }

    /// Names the proposed commands that were refused, and how to allow them.
    fn add_refused_commands(&self, unit: &Unit, detail: &str) -> String {
        const OWN: &str = "name one in the `mesh` block of its notes (mesh st set-notes)";
        let mut hydrations = self.state().hydrations.iter();
        let hydrated = hydrations.find(|one| one.unit == unit.id);
        let left_out = hydrated.map_or(&[][..], |one| &one.left_out);
        let Some(first) = left_out.first() else {
            return format!("{detail}; {OWN}");
        };
        let named = left_out.iter().take(COMMANDS_MAX);
        let named: Vec<String> = named
            .map(|command| format!("`{}`", one_line(command)))
            .collect();
        let more = match left_out.len().saturating_sub(COMMANDS_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{detail}: refused, as validation_allow does not cover it: {}{more}; allow it with --validation-allow {}, take \
             all that workers propose with --trust-proposed-validation, or {OWN}",
            named.join(", "),
            shell_word(&one_line(first))
        )
    }

    /// Names the changes that keep the patch from applying, and who made them.
    fn add_edits(&self, task: &Task, unit: &Unit, detail: &str) -> Result<String, RunError> {
        let code = unit
            .refusals
            .last()
            .and_then(|refusal| refusal.code.as_deref());
        // A patch that is refused before the vote has a code; after the vote the only reason is that it does not apply.
        if code.is_some_and(|code| code != "does_not_apply") && unit.integration.is_none() {
            return Ok(detail.to_owned());
        }
        let checkout = self.checkout()?;
        let synthesis = protocol::latest_synthesis(&task.protocol, &unit.state);
        let synthesis = self.answer(synthesis)?;
        let patch = synthesis["patch"].as_str().map(str::to_owned);
        let refused = match &patch {
            Some(_) => None,
            None => self.last_patch(unit)?,
        };
        let Some(patch) = patch.or(refused) else {
            return Ok(detail.to_owned());
        };
        let changed = checkout.changes()?.into_iter().map(|change| change.path);
        let touched: BTreeSet<PathBuf> = changed
            .filter(|path| has_header_for(&patch, path))
            .collect();
        let by_others = |path: &PathBuf| {
            let mut others = self
                .state()
                .units
                .iter()
                .filter(|other| other.id != unit.id);
            others.find(|other| other.state.changed_paths.contains(path))
        };
        let causes = touched.iter().map(|path| match by_others(path) {
            Some(other) => format!(
                "the patch of `{}`, which was applied before, touches the same lines of `{}`",
                other.id,
                path.display()
            ),
            None => format!(
                "your uncommitted edit of `{}` touches the same lines",
                path.display()
            ),
        });
        let causes: Vec<String> = causes.take(COMMANDS_MAX).collect();
        Ok(match causes.is_empty() {
            true => detail.to_owned(),
            false => format!("{}: {detail}", causes.join("; ")),
        })
    }

    /// The patch of the last refused answer.
    fn last_patch(&self, unit: &Unit) -> Result<Option<String>, RunError> {
        let row = unit.refusals.last().map(|refusal| &refusal.item_id);
        let mut waves = self.state().waves.iter().rev();
        let found = row.and_then(|row| Some((waves.find(|wave| wave.index(row).is_some())?, row)));
        let Some((wave, row)) = found else {
            return Ok(None);
        };
        let report = wave.report(row, self.recorder.reader()?)?;
        Ok(report.and_then(|it| it.result["patch"].as_str().map(str::to_owned)))
    }
}

/// Whether a header line of a patch names `path`.
fn has_header_for(patch: &str, path: &Path) -> bool {
    const HEADERS: [&str; 6] = [
        "--- ",
        "+++ ",
        "diff --git ",
        "*** Update File: ",
        "*** Delete File: ",
        "rename from ",
    ];
    let Some(path) = path.to_str() else {
        return false;
    };
    let ends_so = |word: &str| {
        let before = word.strip_suffix(path);
        before.is_some_and(|before| before.is_empty() || before.ends_with('/'))
    };
    patch.lines().any(|line| {
        let header = HEADERS.iter().find_map(|header| line.strip_prefix(header));
        header.is_some_and(|rest| {
            let rest = rest.trim_end();
            ends_so(rest.split('\t').next().unwrap_or(rest)) || rest.split(' ').any(ends_so)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_paths() {
        let named = |patch: &str| has_header_for(patch, Path::new("src/a b.rs"));
        assert!(named("--- a/src/a b.rs\n+++ b/src/a b.rs\t2026\n"));
        assert!(named("*** Update File: src/a b.rs\n"));
        assert!(!named("+++ b/xsrc/a b.rs\n+src/a b.rs\n"));
        assert!(has_header_for("diff --git a/x b/x", Path::new("x")));
    }
}
