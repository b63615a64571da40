//! A plan file on disk: reading it, and changing it under the lock.
//!
//! A reader takes no lock: the file is only ever replaced as a whole, by a rename. A writer holds
//! the lock from the read to the rename, so no change is lost.
//!
//! When a writing function returns `Ok`, the new state is on the disk (file and folder are synced)
//! and a crash does not lose it; before that, a crash leaves the old state, and perhaps a
//! `.<name>.*.tmp` that nobody reads and the next writer removes.

use super::actor::Actor;
use super::error::PlanError;
use super::file::{io_error, read_bounded, refuse_too_large, resolve_links, write_atomically};
use super::fold::Stream;
use super::histories::{Histories, Origin};
use super::link::Comment;
use super::lock::{Lock, check_lock_ignored, init_command};
use super::merge::Conflict;
use super::record::{Envelope, Signature};
use super::sequence::{Lane, Violation};
use super::state::Plan;
use super::{ancestor, histories, merge, record};
use crate::platform::{clock, durable};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One plan file.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
}

/// Under which rules, and in whose name, a plan is changed.
#[derive(Clone, Debug, Default)]
pub struct MutateOptions {
    /// Whether more than one item may be in progress afterwards.
    pub allow_multiple_in_progress: bool,
    /// Who does it; by default whom the environment names.
    pub actor: Actor,
}

/// What [`Store::init`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitOutcome {
    /// There was no file; there is one now.
    Created,
    /// There was one.
    AlreadyThere,
}

/// What is wrong with a plan file as a whole. Nothing, where all of it is empty.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// Where the file breaks the sequence contract.
    pub violations: Vec<Violation>,
    /// The histories in it, where there is more than one.
    pub sides: Vec<Origin>,
    /// What a repair takes from which of them, a line each.
    pub taken: Vec<String>,
    /// What they contradict each other in.
    pub conflicts: Vec<Conflict>,
}

/// What a repair does where two histories contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Writes nothing.
    Refuse,
    /// Follows the rule of each conflict.
    Decide,
}

/// What a repair did.
#[derive(Debug, Default)]
pub struct Repaired {
    /// The plan as it is now.
    pub plan: Plan,
    /// The number of the new checkpoint; `None` when there was nothing to mend.
    pub seq: Option<u64>,
    /// The histories that were merged, where there were several.
    pub sides: Vec<Origin>,
    /// What was taken from which of them, a line each.
    pub taken: Vec<String>,
    /// The conflicts that their rules decided.
    pub conflicts: Vec<Conflict>,
}

impl Store {
    /// The store in the file at `path`, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Store {
        Store { file: path.into() }
    }

    /// The plan file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The plan as it stands, checked. Several items in progress are let through: see
    /// [`Plan::check_single_in_progress`].
    ///
    /// # Errors
    /// The file is not there, not readable, not a plan file, breaks the sequence contract, or its
    /// state breaks a rule.
    pub fn read(&self) -> Result<Plan, PlanError> {
        self.read_numbered().map(|(plan, _)| plan)
    }

    /// The same with the largest sequence number of the file: of two states of one plan, the later one has the larger.
    ///
    /// # Errors
    /// As [`read`](Store::read).
    pub fn read_numbered(&self) -> Result<(Plan, u64), PlanError> {
        let stream = self.sound_stream()?;
        stream.plan.check()?;
        Ok((stream.plan, stream.watermark))
    }

    /// Makes the file, unless it is there. With `replace`, an existing plan is emptied.
    ///
    /// # Errors
    /// As [`mutate`](Store::mutate).
    pub fn init(&self, replace: bool) -> Result<InitOutcome, PlanError> {
        check_lock_ignored(&self.file)?;
        let folder = durable::parent(&self.file);
        fs::create_dir_all(folder).map_err(|cause| io_error("create", folder, cause))?;
        let lock = Lock::acquire(&self.file)?;
        if self.file.exists() {
            if replace {
                self.rewrite(&lock, &MutateOptions::default(), |plan| {
                    plan.replace(Vec::new())
                })?;
            }
            return Ok(InitOutcome::AlreadyThere);
        }
        write_atomically(&self.file, |out| record::write_init(out, clock::now()))?;
        Ok(InitOutcome::Created)
    }

    /// Changes the plan: under the lock, everything that `change` does in one rewrite, or nothing
    /// when it fails or what it leaves breaks a rule. A `change` that changes nothing writes
    /// nothing. Gives the plan as it is then.
    ///
    /// # Errors
    /// As [`read`](Store::read); [`PlanError::LockNotIgnored`]; what `change` says; a broken rule;
    /// a failed write.
    pub fn mutate(
        &self,
        options: MutateOptions,
        change: impl FnOnce(&mut Plan) -> Result<(), PlanError>,
    ) -> Result<Plan, PlanError> {
        self.must_exist()?;
        check_lock_ignored(&self.file)?;
        let lock = Lock::acquire(&self.file)?;
        self.rewrite(&lock, &options, change)
    }

    /// What is wrong with the file beyond single records: its sequence numbers, and histories that git merged into it.
    ///
    /// # Errors
    /// The file is not there, not readable or not a plan file.
    pub fn diagnose(&self) -> Result<Diagnosis, PlanError> {
        let (bytes, stream) = self.bytes_and_stream()?;
        let mut diagnosis = Diagnosis {
            violations: stream.violations,
            ..Diagnosis::default()
        };
        if let Some(histories) =
            self.histories(&bytes, stream.checkpoints, &diagnosis.violations)?
        {
            diagnosis.sides = origins(&histories);
            let merged = merge::merge(histories, &remark)?;
            diagnosis.taken = merged.taken;
            diagnosis.conflicts = merged.conflicts;
        }
        Ok(diagnosis)
    }

    /// Mends the sequence numbers by a rewrite with a new checkpoint. The items stay as they are; those of several
    /// histories become one plan that keeps all of them.
    ///
    /// # Errors
    /// As [`mutate`](Store::mutate), a broken contract excepted; [`PlanError::Conflicts`].
    pub fn repair_seq(
        &self,
        options: MutateOptions,
        on_conflict: OnConflict,
    ) -> Result<Repaired, PlanError> {
        self.must_exist()?;
        check_lock_ignored(&self.file)?;
        let _lock = Lock::acquire(&self.file)?;
        let (bytes, mut stream) = self.bytes_and_stream()?;
        let mut repaired = Repaired::default();
        let histories = self.histories(&bytes, stream.checkpoints, &stream.violations)?;
        if let Some(histories) = histories {
            repaired.sides = origins(&histories);
            let merged = merge::merge(histories, &remark)?;
            if on_conflict == OnConflict::Refuse && !merged.conflicts.is_empty() {
                return Err(PlanError::Conflicts {
                    file: self.file.clone(),
                    sides: repaired.sides,
                    conflicts: merged.conflicts,
                });
            }
            (stream.plan, stream.carried) = (merged.plan, merged.carried);
            (repaired.taken, repaired.conflicts) = (merged.taken, merged.conflicts);
        } else if stream.violations.is_empty() {
            repaired.plan = stream.plan;
            return Ok(repaired);
        }
        let seq = next_seq(stream.watermark, 1)?;
        check(&stream.plan, &options)?;
        self.write(
            &stream,
            seq,
            Signature {
                is_repair: true,
                ..signature(&options)
            },
        )?;
        repaired.plan = stream.plan;
        repaired.seq = Some(seq);
        Ok(repaired)
    }

    /// The histories in the file, where there are several. Only a file with a second checkpoint or a broken contract
    /// can have them, so others are not looked at twice.
    fn histories(
        &self,
        bytes: &[u8],
        checkpoints: usize,
        violations: &[Violation],
    ) -> Result<Option<Histories>, PlanError> {
        if checkpoints < 2 && violations.is_empty() {
            return Ok(None);
        }
        let Some(mut histories) = histories::find(bytes)? else {
            return Ok(None);
        };
        if let Some(ancestor) = ancestor::find(&self.file, &histories.sides) {
            histories.ancestor = Some(ancestor);
        }
        Ok(Some(histories))
    }

    fn rewrite(
        &self,
        _held: &Lock,
        options: &MutateOptions,
        change: impl FnOnce(&mut Plan) -> Result<(), PlanError>,
    ) -> Result<Plan, PlanError> {
        let mut stream = self.sound_stream()?;
        change(&mut stream.plan)?;
        check(&stream.plan, options)?;
        if stream.plan.events() > 0 {
            let seq = next_seq(stream.watermark, stream.plan.events())?;
            self.write(&stream, seq, signature(options))?;
            stream.plan.settle();
        }
        Ok(stream.plan)
    }

    fn write(&self, stream: &Stream, seq: u64, signature: Signature) -> Result<(), PlanError> {
        let ts = clock::now();
        let envelope = |foreign| Envelope {
            version: stream.version,
            ts,
            seq,
            signature,
            foreign,
        };
        durable::remove_strays(&resolve_links(&self.file))
            .map_err(|cause| io_error("clean up beside", &self.file, cause))?;
        write_atomically(&self.file, |out| {
            let items = stream.plan.items();
            record::write_state(out, Lane::Event, &envelope(&stream.carried.event), items)?;
            record::write_state(
                out,
                Lane::Checkpoint,
                &envelope(&stream.carried.checkpoint),
                items,
            )?;
            refuse_too_large(out)
        })
    }

    fn sound_stream(&self) -> Result<Stream, PlanError> {
        let (bytes, mut stream) = self.bytes_and_stream()?;
        if !stream.violations.is_empty() {
            return Err(PlanError::SeqContract {
                file: self.file.clone(),
                violations: std::mem::take(&mut stream.violations),
            });
        }
        if stream.checkpoints > 1
            && let Some(histories) = histories::find(&bytes)?
        {
            return Err(PlanError::SeveralHistories {
                file: self.file.clone(),
                sides: origins(&histories),
            });
        }
        Ok(stream)
    }

    fn bytes_and_stream(&self) -> Result<(Vec<u8>, Stream), PlanError> {
        let bytes = read_regular(&self.file).map_err(|error| match error {
            PlanError::Io { cause, file, .. } if cause.kind() == io::ErrorKind::NotFound => {
                not_found(&file)
            }
            other => other,
        })?;
        let stream = Stream::parse(&bytes)?;
        Ok((bytes, stream))
    }

    /// Keeps a mistyped path from leaving a lock file behind.
    fn must_exist(&self) -> Result<(), PlanError> {
        if self.file.exists() {
            Ok(())
        } else {
            Err(not_found(&self.file))
        }
    }
}

fn not_found(file: &Path) -> PlanError {
    PlanError::NotFound {
        file: file.to_owned(),
        init: init_command(file, file),
    }
}

/// A plan file's bytes. A pipe or a device in its place is refused without waiting for anybody at its other end.
fn read_regular(path: &Path) -> Result<Vec<u8>, PlanError> {
    let is_other = std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if is_other {
        let cause = io::Error::other("it is not a regular file");
        return Err(io_error("read", path, cause));
    }
    read_bounded(path)
}

fn check(plan: &Plan, options: &MutateOptions) -> Result<(), PlanError> {
    plan.check()?;
    if options.allow_multiple_in_progress {
        return Ok(());
    }
    plan.check_single_in_progress()
}

fn signature(options: &MutateOptions) -> Signature<'_> {
    Signature {
        actor: &options.actor,
        allow_multiple_in_progress: options.allow_multiple_in_progress,
        pid: std::process::id(),
        is_repair: false,
    }
}

fn origins(histories: &Histories) -> Vec<Origin> {
    let sides = histories.sides.iter();
    sides.map(|side| side.origin.clone()).collect()
}

/// The comment that keeps what a merge could not keep in its place.
fn remark(text: String) -> Result<Comment, PlanError> {
    Comment::new(clock::now(), &super::actor::comment_author(), &text)
}

fn next_seq(watermark: u64, events: u64) -> Result<u64, PlanError> {
    watermark
        .checked_add(events)
        .ok_or(PlanError::SeqExhausted { watermark })
}
