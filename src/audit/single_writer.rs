//! Guardrail 2: the integrator alone changes the plan and the tree, one patch at a time.

use super::check::{Check, Findings};
use super::record::Record;
use super::wave_files::WaveFiles;
use crate::platform::{Repo, machine_fault};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(super) struct SingleWriter {
    /// Whether the repository of the run is on this machine.
    has_repository: bool,
    root: PathBuf,
    /// The integrations that are open, by task, with the line that opened them.
    open: BTreeMap<String, u64>,
    /// The tasks whose patch is in the tree.
    applied: BTreeSet<String>,
    /// Whether patches are kept until a person takes them (`integrate=false`).
    keeps_patches: bool,
    /// The tasks whose kept patch a person took.
    taken: BTreeSet<String>,
    /// Commits, with the task and the line.
    commits: Vec<(String, String, u64)>,
}

impl SingleWriter {
    pub fn new(has_repository: bool) -> Self {
        Self {
            has_repository,
            root: PathBuf::new(),
            open: BTreeMap::new(),
            applied: BTreeSet::new(),
            keeps_patches: false,
            taken: BTreeSet::new(),
            commits: Vec::new(),
        }
    }
}

impl Check for SingleWriter {
    fn name(&self) -> &'static str {
        "single_writer"
    }

    fn rule(&self) -> &'static str {
        "only the integrator changes the plan and the tree, one patch at a time"
    }

    fn see(&mut self, record: &Record, _waves: &WaveFiles, found: &mut Findings) {
        let unit = record.text("unit").to_owned();
        let is_change = ["integration_started", "plan_mutated"].contains(&record.event.as_str());
        if is_change && self.keeps_patches && !self.taken.contains(&unit) {
            let why =
                "the run keeps patches, and nobody took that of this task: tree or plan changed";
            found.at(record, &unit, why);
        }
        match record.event.as_str() {
            "run_started" => {
                self.root = record.text("root").into();
                self.keeps_patches = record.field("settings")["integrate"] == false;
            }
            "patch_taken" => drop(self.taken.insert(unit)),
            "violation" => found.at(
                record,
                format!("wave {}", record.number("wave")),
                format!("{}: {}", record.text("detail"), record.field("paths")),
            ),
            "integration_started" | "undo_started" => {
                if let Some((other, line)) = self.open.iter().next() {
                    found.at(
                        record,
                        &unit,
                        format!(
                            "its integration began while that of `{other}` (line {line}) was open"
                        ),
                    );
                }
                self.open.insert(unit, record.line);
            }
            "integration_finished" => {
                let commit = record.field("commit")["id"].as_str();
                let commit = commit.map(|id| (id.to_owned(), unit.clone(), record.line));
                self.commits.extend(commit);
                let was_open = self.open.remove(&unit).is_some();
                if record.text("outcome") == "applied" {
                    self.applied.insert(unit.clone());
                }
                if record.text("outcome") == "applied" && !was_open {
                    found.at(
                        record,
                        unit,
                        "its patch was applied by no integration that the ledger shows",
                    );
                }
            }
            "undo_finished" => {
                let was_open = self.open.remove(&unit).is_some();
                let is_undone = record.text("outcome") == "undone";
                if is_undone && !(was_open && self.applied.remove(&unit)) {
                    found.at(record, unit, "it was undone without a patch in the tree");
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, is_finished: bool, _waves: &WaveFiles, found: &mut Findings) {
        if is_finished {
            for (unit, line) in &self.open {
                found.add(Some(*line), unit, "its integration has no end");
            }
        }
        if self.commits.is_empty() {
            return;
        }
        // A run from another machine names a repository that is not here, or another one at the same path.
        let repo = Repo::find(&self.root).ok().filter(|_| self.has_repository);
        let Some(repo) = repo else {
            let (count, root) = (self.commits.len(), self.root.display());
            found.unchecked(format!(
                "whether the commits of the run exist ({count}): its repository `{root}` is not here"
            ));
            return;
        };
        for (id, unit, line) in &self.commits {
            let objects = match machine_fault::apart(repo.objects(&[id])) {
                Ok(objects) => objects.unwrap_or_default(),
                Err(fault) => {
                    let why = machine_fault::line_of(&fault);
                    found.unchecked(format!("whether the commit {id} exists: {why}"));
                    continue;
                }
            };
            if !matches!(objects.as_slice(), [Some(_)]) {
                found.add(
                    Some(*line),
                    unit,
                    format!("its commit {id} is not in the repository"),
                );
            }
        }
    }
}
