//! The last state of a plan file in memory, for a program that reads the plan often: the file is read again only when it is
//! another one.
//!
//! A file is taken for the same one by its device, inode, size, and times of modification and change. Two changes in place
//! within one tick of the file system's clock could look like one, so a file that has just changed is not kept. What this
//! process wrote itself, under the lock, is known without reading it.

use super::error::PlanError;
use super::fold::{Carried, Stream};
use super::lock::check_lock_ignored;
use super::state::Plan;
use crate::platform::clock;
use jiff::{SignedDuration, Timestamp};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

/// Longer than a tick of any file system's clock.
const TICK: SignedDuration = SignedDuration::from_millis(20);

/// The last state, if there is one.
#[derive(Debug, Default)]
pub(super) struct Cache {
    known: Mutex<Option<Known>>,
    is_lock_checked: Mutex<bool>,
}

/// A valid state, and the file that holds it.
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// `None` if another program has replaced or removed it at once.
    file: Option<Identity>,
    pub plan: Arc<Plan>,
    version: u8,
    pub watermark: u64,
    carried: Carried,
}

impl Cache {
    /// The state of the file at `path`, if that is the file that was read or written last.
    pub(super) fn get(&self, path: &Path) -> Option<Known> {
        let now = Identity::of(path).ok()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|known| known.file.as_ref() == Some(&now))
            .cloned()
    }

    /// The state that was read or written last, whatever the file holds now.
    pub(super) fn last(&self) -> Option<Known> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Keeps what was read from `path`, if that was one file all the time, which was identified as `before`.
    pub(super) fn keep_read(
        &self,
        path: &Path,
        before: io::Result<Identity>,
        stream: Stream,
    ) -> Arc<Plan> {
        let is_settled = |file: &Identity| file.has_settled(clock::now());
        let same = before.ok().filter(is_settled);
        let same = same.filter(|before| Identity::of(path).is_ok_and(|now| now == *before));
        let watermark = stream.watermark;
        let known = Known::new(same, watermark, stream);
        let plan = Arc::clone(&known.plan);
        self.keep(known.file.is_some().then_some(known));
        plan
    }

    /// Keeps what was just written to `path`, up to record `watermark`, under the lock; also if a program that knows of no lock has
    /// removed or replaced the file since it was `written`.
    pub(super) fn keep_written(
        &self,
        path: &Path,
        written: Option<Identity>,
        watermark: u64,
        stream: Stream,
    ) {
        let now = Identity::of(path).ok();
        let file = now.filter(|now| written.is_some_and(|written| now.is_renamed(&written)));
        self.keep(Some(Known::new(file, watermark, stream)));
    }

    fn keep(&self, known: Option<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// [`check_lock_ignored`], once: it asks git.
    pub(super) fn check_lock_ignored(&self, path: &Path) -> Result<(), PlanError> {
        let checked = self.is_lock_checked.lock();
        let mut is_checked = checked.unwrap_or_else(PoisonError::into_inner);
        if !*is_checked {
            check_lock_ignored(path)?;
            *is_checked = true;
        }
        Ok(())
    }
}

impl Known {
    fn new(file: Option<Identity>, watermark: u64, stream: Stream) -> Self {
        Self {
            file,
            plan: Arc::new(stream.plan),
            version: stream.version,
            watermark,
            carried: stream.carried,
        }
    }

    /// The state as it would be read from the file.
    pub(super) fn stream(&self) -> Stream {
        Stream {
            plan: Plan::clone(&self.plan),
            version: self.version,
            watermark: self.watermark,
            checkpoints: 1,
            violations: Vec::new(),
            carried: self.carried.clone(),
        }
    }
}

/// Which file it is, and which content of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    /// The identity of the file at `path`, through symbolic links.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::metadata(path)?))
    }

    /// Whether this is the file and the content that `before` identifies, perhaps by another name: a rename changes the time of change.
    fn is_renamed(&self, before: &Self) -> bool {
        let changed = self.changed;
        let before = Self {
            changed,
            ..before.clone()
        };
        *self == before
    }

    /// Whether a change at the time `now` would be seen.
    fn has_settled(&self, now: Timestamp) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let changed = SignedDuration::new(seconds, i32::try_from(nanoseconds).unwrap_or_default());
        now.as_duration().saturating_sub(changed) > TICK
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(found: &fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::state::NewItem;
    use super::super::store::{MutateOptions, Store};
    use super::*;

    fn add(store: &Store, id: &str) {
        let item = NewItem {
            id: Some(id.parse().expect("an id")),
            step: "s".to_owned(),
            ..NewItem::default()
        };
        let added = store.mutate(MutateOptions::default(), |plan| plan.add(item).map(|_| ()));
        added.expect("changed");
    }

    fn ids(store: &Store) -> Vec<String> {
        let plan = store.current().expect("read");
        plan.items().iter().map(|it| it.id().to_string()).collect()
    }

    fn plan_file(folder: &tempfile::TempDir) -> std::path::PathBuf {
        let file = folder.path().join("plan.jsonl");
        Store::at(&file).init(false).expect("created");
        file
    }

    #[test]
    fn a_state_is_read_once_and_after_a_change_by_others_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = plan_file(&folder);
        let (mine, others) = (Store::at(&file).cached(), Store::at(&file));
        add(&mine, "a");
        let first = mine.current().expect("read");
        assert!(Arc::ptr_eq(&first, &mine.current().expect("read")));

        add(&others, "b");
        assert_eq!(ids(&mine), ["a", "b"]);
        add(&others, "c");
        add(&mine, "d");
        assert_eq!(ids(&mine), ["a", "b", "c", "d"]);
        assert_eq!(others.read().expect("read").items().len(), 4);

        let text = std::fs::read_to_string(&file).expect("read");
        std::fs::write(&file, text.replace("\"a\"", "\"other\"")).expect("written in place");
        assert_eq!(ids(&mine), ["other", "b", "c", "d"]);
    }

    #[test]
    fn what_is_kept_after_a_write_is_what_the_file_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = plan_file(&folder);
        let mine = Store::at(&file).cached();
        for id in ["a", "b", "c"] {
            add(&mine, id);
        }
        let read = Store::at(&file).read_numbered().expect("read");
        let kept = mine.read_numbered().expect("read");
        assert_eq!(kept.1, read.1);
        let text = |plan: &Plan| serde_json::to_string(plan.items()).expect("JSON");
        assert_eq!(text(&mine.current().expect("read")), text(&read.0));
    }

    #[test]
    fn a_state_that_was_written_and_lost_is_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("plan.jsonl");
        let store = Store::at(&file).cached();
        store.init(false).expect("created");
        add(&store, "one");
        let older = fs::read(&file).expect("read");
        add(&store, "two");
        let rewrite = || {
            store
                .rewrite_if_lost(&MutateOptions::default())
                .expect("written")
        };
        assert!(!rewrite(), "nothing is lost");
        fs::remove_file(&file).expect("removed");
        assert!(rewrite());
        fs::write(&file, older).expect("written");
        assert!(rewrite(), "the file has an older state");
        let other = Store::at(&file);
        assert_eq!(ids(&other), ["one", "two"]);
        add(&other, "three");
        assert!(!rewrite(), "the file has a newer state");
        assert_eq!(ids(&other), ["one", "two", "three"]);
    }

    #[test]
    fn a_state_that_is_lost_at_once_is_kept_and_written_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = plan_file(&folder);
        add(&Store::at(&file), "one");
        let (cache, other) = (Cache::default(), folder.path().join("other"));
        let bytes = fs::read(&file).expect("read");
        let written = Identity::of(&file).expect("a file");
        let keep = |path: &Path| {
            let stream = Stream::parse(&bytes).expect("a plan");
            cache.keep_written(path, Some(written.clone()), 1, stream);
            let last = cache.last().expect("it is kept");
            assert_eq!(last.plan.items().len(), 1);
            cache.get(path).is_some()
        };
        assert!(keep(&file));
        fs::rename(&file, &other).expect("renamed");
        assert!(keep(&other), "a rename changes nothing");
        assert!(!keep(&file), "it is gone");
        fs::write(&file, "damaged").expect("written");
        assert!(!keep(&file), "it is another one");
    }

    #[test]
    fn a_file_that_has_just_changed_is_not_trusted() {
        let now = Timestamp::from_second(100).expect("a time");
        let file = |changed| Identity {
            device: 1,
            inode: 1,
            bytes: 1,
            modified: changed,
            changed,
        };
        assert!(file((99, 0)).has_settled(now));
        assert!(!file((99, 990_000_000)).has_settled(now));
        assert!(!file((101, 0)).has_settled(now));
    }
}
