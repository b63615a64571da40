//! A run judged against the guardrails and the contract from its files alone: ledger, waves, and the git repository it names.
//!
//! ```text
//! ledger line -> record ─► every check, one pass ─► findings
//!                  └► wave_compiled: wave CSV + call file ─┘
//! ```
//!
//! The ledger is read as plain JSON and the waves as plain CSV: nothing of the run loop, its state or its types takes part, so a
//! defect there does not hide itself here. A run that is going on is judged by what it has written so far.

mod check;
mod record;
mod wave_files;

mod answers;
mod backpressure;
mod completion;
mod concurrency;
mod dependency_order;
mod files;
mod lifecycle;
mod portable;
mod sequence;
mod single_writer;

use check::{Check, Findings};
use record::Record;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use wave_files::WaveFiles;

pub use check::Finding;

/// The verdict on a run: `{run_id, events, is_finished, checks: [{name, rule, findings: [{line?, place, detail}]}], unchecked: [text]}`.
#[derive(Debug, Serialize)]
pub struct Audit {
    /// The run.
    pub run_id: String,
    /// The number of events.
    pub events: u64,
    /// Whether the last event ends the run; what only an ended run must have is not asked of another one.
    pub is_finished: bool,
    /// In the order of the guardrails.
    pub checks: Vec<Checked>,
    /// What could not be looked at, such as commits of a repository on another machine.
    pub unchecked: Vec<String>,
}

/// Where the files of a run are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// From this machine, or copied as they are.
    #[default]
    Folder,
    /// From an archive: the repository is elsewhere.
    Archive {
        /// The files from which secrets were removed, below the folder.
        redacted: BTreeSet<String>,
    },
}

/// One check with what it found.
#[derive(Debug, Serialize)]
pub struct Checked {
    /// Its name.
    pub name: &'static str,
    /// What must hold.
    pub rule: &'static str,
    /// Where it does not hold.
    pub findings: Vec<Finding>,
}

/// Why a run can't be judged.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// There is no ledger.
    #[error("{}: there is no ledger here", .0.display())]
    NoLedger(PathBuf),
    /// The ledger can't be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The ledger.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Audit {
    /// Whether all checks passed.
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.findings.is_empty())
    }
}

fn all_checks(has_repository: bool) -> Vec<Box<dyn Check>> {
    vec![
        Box::<dependency_order::DependencyOrder>::default(),
        Box::new(single_writer::SingleWriter::new(has_repository)),
        Box::<concurrency::OneNumber>::default(),
        Box::<backpressure::Backpressure>::default(),
        Box::<portable::Portable>::default(),
        Box::<answers::Answers>::default(),
        Box::<completion::Completion>::default(),
        Box::<lifecycle::Lifecycle>::default(),
        Box::<files::Files>::default(),
        Box::<sequence::Sequence>::default(),
    ]
}

/// The name and the rule of each check, in the order of the verdict.
pub fn rules() -> Vec<(&'static str, &'static str)> {
    let checks = all_checks(true);
    checks
        .iter()
        .map(|check| (check.name(), check.rule()))
        .collect()
}

/// Judges the run in `folder`.
///
/// # Errors
/// There is no ledger, or it can't be read. A damaged ledger is a finding.
pub fn audit(folder: &Path, origin: Origin) -> Result<Audit, AuditError> {
    let path = folder.join("ledger.jsonl");
    let file = File::open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => AuditError::NoLedger(folder.to_owned()),
        _ => AuditError::Io {
            path: path.clone(),
            source,
        },
    })?;
    let mut input = BufReader::new(file);
    let mut checks = all_checks(origin == Origin::Folder);
    let mut found: Vec<Findings> = checks.iter().map(|_| Findings::default()).collect();
    let redacted = match origin {
        Origin::Folder => BTreeSet::new(),
        Origin::Archive { redacted } => redacted,
    };
    let mut waves = WaveFiles::new(folder, redacted);
    let (mut events, mut run_id, mut is_finished) = (0, String::new(), false);
    let mut damage = Findings::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line);
        if read.map_err(|source| AuditError::Io {
            path: path.clone(),
            source,
        })? == 0
        {
            break;
        }
        // The last line of a killed run may be torn; a resume cuts it off.
        if line.last() != Some(&b'\n') {
            break;
        }
        events += 1;
        let Some(record) = Record::parse(events, &line) else {
            damage.add(Some(events), "ledger.jsonl", "this line is no event");
            continue;
        };
        if record.event == "run_started" {
            run_id = record.text("run_id").to_owned();
        }
        is_finished = record.event == "run_finished";
        if record.event == "wave_compiled" {
            waves.load(&record);
        }
        for (check, found) in checks.iter_mut().zip(&mut found) {
            check.see(&record, &waves, found);
        }
    }
    for (check, found) in checks.iter_mut().zip(&mut found) {
        check.end(is_finished, &waves, found);
    }
    let mut unchecked = Vec::new();
    let mut judged = Vec::new();
    for (check, found) in checks.iter().zip(found) {
        unchecked.extend(found.unchecked);
        judged.push(Checked {
            name: check.name(),
            rule: check.rule(),
            findings: found.list,
        });
    }
    if let Some(last) = judged.last_mut() {
        last.findings.extend(damage.list);
    }
    Ok(Audit {
        run_id,
        events,
        is_finished,
        checks: judged,
        unchecked,
    })
}
