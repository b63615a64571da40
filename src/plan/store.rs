//! A plan file on disk: reads it, and changes it under the lock.
//!
//! A reader takes no lock, because the file is only replaced as a whole, by a rename. A writer holds the lock from the read to
//! the rename, so that no change is lost.
//!
//! When a writing function returns `Ok`, the new state survives a crash (file and folder are synced). An earlier crash leaves
//! the old state, and perhaps a `.<name>.*.tmp`, which the next writer removes.

use super::actor::{Actor, comment_author};
use super::cache::{Cache, Identity, Known};
use super::error::PlanError;
use super::file::{finish, io_error, read_bounded, resolve_links, write_atomically};
use super::fold::Stream;
use super::histories::{Histories, Origin};
use super::link::Comment;
use super::lock::{Lock, check_lock_ignored, init_command};
use super::merge::Conflict;
use super::record::{Envelope, Signature};
use super::sequence::{Lane, Violation};
use super::state::Plan;
use super::{ancestor, histories, merge, record};
use crate::platform::{clock, durable, look};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One plan file.
#[derive(Clone, Debug)]
pub struct Store {
    file: PathBuf,
    /// The last state, if the store keeps it.
    cache: Option<Arc<Cache>>,
}

/// The rules and the actor of a change.
#[derive(Clone, Debug, Default)]
pub struct MutateOptions {
    /// Allows several items in progress.
    pub allow_multiple_in_progress: bool,
    /// The actor; by default from the environment.
    pub actor: Actor,
}

/// The result of [`Store::init`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitOutcome {
    /// The file is new.
    Created,
    /// The file already exists.
    AlreadyThere,
}

/// The errors of a plan file as a whole; all empty if there are none.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// The violations of the sequence contract.
    pub violations: Vec<Violation>,
    /// The histories, if there are several.
    pub sides: Vec<Origin>,
    /// The values that a repair would choose from them, a line each.
    pub decisions: Vec<String>,
    /// The conflicts between them.
    pub conflicts: Vec<Conflict>,
}

/// What a repair does with conflicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Fail, and write nothing.
    Refuse,
    /// Apply the rule of each conflict.
    Decide,
}

/// The result of a repair.
#[derive(Debug, Default)]
pub struct Repaired {
    /// The resulting plan.
    pub plan: Plan,
    /// The number of the new checkpoint; `None` if there was nothing to repair.
    pub seq: Option<u64>,
    /// The merged histories, if there were several.
    pub sides: Vec<Origin>,
    /// The values chosen from them, a line each.
    pub decisions: Vec<String>,
    /// The conflicts that were resolved by their rules.
    pub conflicts: Vec<Conflict>,
}

impl Store {
    /// The store in the file at `path`, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Store {
        Store {
            file: path.into(),
            cache: None,
        }
    }

    /// The same store, which keeps the last state in memory and reads the file again only when it is another one.
    pub fn cached(self) -> Store {
        Store {
            cache: Some(Arc::default()),
            ..self
        }
    }

    /// The plan file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The current plan, checked except for [`Plan::check_single_in_progress`].
    ///
    /// # Errors
    /// The file is missing, unreadable, or no plan file; it breaks the sequence contract; its state breaks a rule.
    pub fn read(&self) -> Result<Plan, PlanError> {
        self.read_numbered().map(|(plan, _)| plan)
    }

    /// [`read`](Store::read), without reading the file again if the store is [`cached`](Store::cached) and the file is still
    /// the one that was read or written last.
    ///
    /// # Errors
    /// As [`read`](Store::read).
    pub fn current(&self) -> Result<Arc<Plan>, PlanError> {
        let Some(cache) = &self.cache else {
            return self.read().map(Arc::new);
        };
        if let Some(known) = cache.get(&self.file) {
            return Ok(known.plan);
        }
        let before = Identity::of(&self.file);
        let stream = self.valid_stream()?;
        stream.plan.check()?;
        Ok(cache.keep_read(&self.file, before, stream))
    }

    /// [`read`](Store::read) with the largest sequence number of the file. A later state of a plan has a larger one.
    ///
    /// # Errors
    /// As [`read`](Store::read).
    pub fn read_numbered(&self) -> Result<(Plan, u64), PlanError> {
        let stream = self.valid_stream()?;
        stream.plan.check()?;
        Ok((stream.plan, stream.watermark))
    }

    /// Creates the file, unless it exists. With `replace`, an existing plan is emptied.
    ///
    /// # Errors
    /// As [`mutate`](Store::mutate).
    pub fn init(&self, replace: bool) -> Result<InitOutcome, PlanError> {
        check_lock_ignored(&self.file)?;
        let folder = durable::parent(&self.file);
        crate::platform::private::make_open_folders(folder)
            .map_err(|cause| io_error("create", folder, cause))?;
        let lock = Lock::acquire(&self.file)?;
        if self.exists()? {
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

    /// Changes the plan under the lock: all changes of `change` in one rewrite, or none if it fails or breaks a rule. Without
    /// changes, nothing is written. Returns the resulting plan.
    ///
    /// # Errors
    /// As [`read`](Store::read); [`PlanError::LockNotIgnored`]; the error of `change`; a broken rule; a failed write.
    pub fn mutate(
        &self,
        options: MutateOptions,
        change: impl FnOnce(&mut Plan) -> Result<(), PlanError>,
    ) -> Result<Plan, PlanError> {
        self.must_exist()?;
        match &self.cache {
            Some(cache) => cache.check_lock_ignored(&self.file)?,
            None => check_lock_ignored(&self.file)?,
        }
        let lock = Lock::acquire(&self.file)?;
        self.rewrite(&lock, &options, change)
    }

    /// Writes the state that a [`cached`](Store::cached) store wrote or read last, if the file holds an older one or none; `true` if
    /// it did. A file that can't be read is left to who guards it.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn rewrite_if_lost(&self, options: &MutateOptions) -> Result<bool, PlanError> {
        let last = self.cache.as_ref().and_then(|cache| cache.last());
        let Some((cache, last)) = self.cache.as_ref().zip(last) else {
            return Ok(false);
        };
        if cache.get(&self.file).is_some() {
            return Ok(false);
        }
        let _lock = Lock::acquire(&self.file)?;
        let is_lost = match self.read_stream() {
            Ok((_, found)) => found.watermark < last.watermark,
            Err(_) => matches!(self.file.try_exists(), Ok(false)),
        };
        if is_lost {
            let stream = last.stream();
            let written = self.write(&stream, last.watermark, signature(options))?;
            cache.keep_written(&self.file, written, last.watermark, stream);
        }
        Ok(is_lost)
    }

    /// Finds errors of the file beyond single records: its sequence numbers, and histories that git merged into it.
    ///
    /// # Errors
    /// The file is missing, unreadable, or no plan file.
    pub fn diagnose(&self) -> Result<Diagnosis, PlanError> {
        let (bytes, stream) = self.read_stream()?;
        let mut diagnosis = Diagnosis {
            violations: stream.violations,
            ..Diagnosis::default()
        };
        if let Some(histories) =
            self.histories(&bytes, stream.checkpoints, &diagnosis.violations)?
        {
            diagnosis.sides = origins(&histories);
            let merged = merge::merge(histories, &make_comment)?;
            diagnosis.decisions = merged.decisions;
            diagnosis.conflicts = merged.conflicts;
        }
        Ok(diagnosis)
    }

    /// Repairs the sequence numbers by a rewrite with a new checkpoint. The items are unchanged; several histories are merged
    /// into one plan.
    ///
    /// # Errors
    /// As [`mutate`](Store::mutate), except for a broken contract; [`PlanError::Conflicts`].
    pub fn repair_seq(
        &self,
        options: MutateOptions,
        on_conflict: OnConflict,
    ) -> Result<Repaired, PlanError> {
        self.must_exist()?;
        check_lock_ignored(&self.file)?;
        let _lock = Lock::acquire(&self.file)?;
        let (bytes, mut stream) = self.read_stream()?;
        let mut repaired = Repaired::default();
        let histories = self.histories(&bytes, stream.checkpoints, &stream.violations)?;
        if let Some(histories) = histories {
            repaired.sides = origins(&histories);
            let merged = merge::merge(histories, &make_comment)?;
            if on_conflict == OnConflict::Refuse && !merged.conflicts.is_empty() {
                return Err(PlanError::Conflicts {
                    file: self.file.clone(),
                    sides: repaired.sides,
                    conflicts: merged.conflicts,
                });
            }
            (stream.plan, stream.carried) = (merged.plan, merged.carried);
            (repaired.decisions, repaired.conflicts) = (merged.decisions, merged.conflicts);
        } else if stream.violations.is_empty() {
            repaired.plan = stream.plan;
            return Ok(repaired);
        }
        let seq = next_seq(stream.watermark, 1)?;
        check(&stream.plan, &options)?;
        let signature = Signature {
            is_repair: true,
            ..signature(&options)
        };
        self.write(&stream, seq, signature)?;
        repaired.plan = stream.plan;
        repaired.seq = Some(seq);
        Ok(repaired)
    }

    /// The histories in the file, if there are several. Only a file with two checkpoints or a broken contract can have them, so
    /// others are not parsed again.
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
        let ancestor = ancestor::find(&self.file, &histories.sides);
        let failed = |cause| io_error("look for earlier versions of", &self.file, cause);
        if let Some(ancestor) = ancestor.map_err(failed)? {
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
        let known = self.cache.as_ref().and_then(|cache| cache.get(&self.file));
        let mut stream = match known {
            Some(known) => Known::stream(&known),
            None => self.valid_stream()?,
        };
        change(&mut stream.plan)?;
        check(&stream.plan, options)?;
        if stream.plan.events() > 0 {
            let seq = next_seq(stream.watermark, stream.plan.events())?;
            let written = self.write(&stream, seq, signature(options))?;
            stream.plan.reset_events();
            if let Some(cache) = &self.cache {
                let plan = stream.plan.clone();
                cache.keep_written(&self.file, written, seq, stream);
                return Ok(plan);
            }
        }
        Ok(stream.plan)
    }

    /// Returns what was written, as it was before it got the name of the plan.
    fn write(
        &self,
        stream: &Stream,
        seq: u64,
        signature: Signature,
    ) -> Result<Option<Identity>, PlanError> {
        let ts = clock::now();
        let envelope = |foreign| Envelope {
            version: stream.version,
            ts,
            seq,
            signature,
            foreign,
        };
        resolve_links(&self.file)
            .and_then(|file| durable::remove_strays(&file))
            .map_err(|cause| io_error("clean up beside", &self.file, cause))?;
        let mut written = None;
        write_atomically(&self.file, |out| {
            let items = stream.plan.items();
            record::write_state(out, Lane::Event, &envelope(&stream.carried.event), items)?;
            record::write_state(
                out,
                Lane::Checkpoint,
                &envelope(&stream.carried.checkpoint),
                items,
            )?;
            written = Some(finish(out)?);
            Ok(())
        })?;
        Ok(written.map(|written| Identity::from(&written)))
    }

    fn valid_stream(&self) -> Result<Stream, PlanError> {
        let (bytes, mut stream) = self.read_stream()?;
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

    fn read_stream(&self) -> Result<(Vec<u8>, Stream), PlanError> {
        let bytes = read_regular(&self.file).map_err(|error| match error {
            PlanError::Io { cause, file, .. } if cause.kind() == io::ErrorKind::NotFound => {
                not_found(&file)
            }
            other => other,
        })?;
        let stream = Stream::parse(&bytes)?;
        Ok((bytes, stream))
    }

    /// Refuses a missing file, so that a mistyped path creates no lock file.
    fn must_exist(&self) -> Result<(), PlanError> {
        match self.exists()? {
            true => Ok(()),
            false => Err(not_found(&self.file)),
        }
    }

    fn exists(&self) -> Result<bool, PlanError> {
        let found = self.file.try_exists();
        found.map_err(|cause| io_error("read", &self.file, cause))
    }
}

fn not_found(file: &Path) -> PlanError {
    PlanError::NotFound {
        file: file.to_owned(),
        init: init_command(file, file),
    }
}

/// Reads the plan file. A pipe or a device is refused, because opening it could block.
fn read_regular(path: &Path) -> Result<Vec<u8>, PlanError> {
    let there = look::find(path).map_err(|cause| io_error("read", path, cause))?;
    if there.is_some_and(|there| !there.is_file() && !there.is_dir()) {
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

/// The comment for a value that a merge can't keep in place.
fn make_comment(text: String) -> Result<Comment, PlanError> {
    Comment::new(clock::now(), &comment_author(), &text)
}

fn next_seq(watermark: u64, events: u64) -> Result<u64, PlanError> {
    watermark
        .checked_add(events)
        .ok_or(PlanError::SeqExhausted { watermark })
}
