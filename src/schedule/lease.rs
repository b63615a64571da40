//! The lease of a task: which of several runs on one plan works it.
//!
//! ```text
//! none, Released ─acquire─► Open ─release─► Released
//!                            │  ▲
//!     its heartbeat stopped  ▼  │ take over: the next epoch
//!                          expired
//! ```
//!
//! A lease has an epoch, which every new owner raises. An owner remembers the epoch that it acquired: if the lease has another
//! one by now, it was expired and taken over, and nothing that the owner still does for the task may count ([`TaskLease::is_held`]).
//!
//! A heartbeat is a number that its owner counts up. Whether it has stopped is measured by the clock of the one who watches
//! ([`Watched`]): the clocks of two machines need not agree.

use crate::model::{RunId, RunProcess, UnitId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Whether somebody works under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Its owner works the task.
    Open,
    /// The task has ended, or its run has.
    Released,
}

/// The lease of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLease {
    /// The task.
    pub unit: UnitId,
    /// Who acquired it last.
    pub owner: RunProcess,
    /// Globs: the paths that the task may touch.
    pub scope: Vec<String>,
    /// How often the lease was acquired.
    pub epoch: u64,
    /// Whether it is in use.
    pub state: LeaseState,
}

/// The heartbeat of a run, which keeps all of its leases from expiring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The process that counts.
    pub owner: RunProcess,
    /// The count.
    pub beat: u64,
    /// For how long the leases hold without another beat.
    pub life_ms: u64,
}

/// A heartbeat as it was seen by another run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    seen: Option<Heartbeat>,
    /// When it was first seen like this, by the clock of the watcher.
    since: Duration,
}

/// Whether the owner of a lease is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its heart beats, or has not been silent for long enough.
    Alive,
    /// Its leases may be taken over.
    Expired,
}

impl TaskLease {
    /// The lease of a task for `owner`, after the `last` one of this task; `None` if another run holds it.
    ///
    /// A process that resumes a run acquires the leases of that run again, with a higher epoch.
    pub fn acquire(
        last: Option<&Self>,
        unit: &UnitId,
        owner: &RunProcess,
        scope: Vec<String>,
        standing: impl FnOnce(&RunProcess) -> Standing,
    ) -> Option<Self> {
        if let Some(last) = last.filter(|last| last.is_open() && last.owner.run != owner.run)
            && standing(&last.owner) == Standing::Alive
        {
            return None;
        }
        Some(Self {
            unit: unit.clone(),
            owner: owner.clone(),
            scope,
            epoch: last.map_or(0, |last| last.epoch) + 1,
            state: LeaseState::Open,
        })
    }

    /// Whether its owner works the task.
    pub fn is_open(&self) -> bool {
        self.state == LeaseState::Open
    }

    /// Whether `run` still has the lease that it acquired with `epoch`.
    pub fn is_held(&self, run: &RunId, epoch: u64) -> bool {
        self.is_open() && self.owner.run == *run && self.epoch == epoch
    }

    /// The lease after its task, or its run, has ended.
    pub fn released(self) -> Self {
        Self {
            state: LeaseState::Released,
            ..self
        }
    }
}

impl Watched {
    /// What is known after another look at a heartbeat, which had been read by the time `read`.
    ///
    /// The time of silence begins after the first look and ends before the last one, so that it is never overstated.
    pub fn look(before: Option<Self>, seen: Option<Heartbeat>, read: Duration) -> Self {
        match before {
            Some(before) if before.seen == seen => before,
            _ => Self { seen, since: read },
        }
    }

    /// Whether the leases of this owner hold; `looked` is the time before the last look. `is_gone`: its process has certainly ended.
    pub fn standing(&self, looked: Duration, is_gone: bool) -> Standing {
        // Whoever ended in good order has released its leases first.
        let Some(seen) = self.seen.as_ref().filter(|_| !is_gone) else {
            return Standing::Expired;
        };
        match looked.saturating_sub(self.since) > Duration::from_millis(seen.life_ms) {
            true => Standing::Expired,
            false => Standing::Alive,
        }
    }

    /// The heartbeat, if there is one.
    pub fn heartbeat(&self) -> Option<&Heartbeat> {
        self.seen.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(run: &str) -> RunProcess {
        RunProcess {
            run: RunId::new(run),
            host: "h".to_owned(),
            pid: 1,
            start_ticks: 1,
        }
    }

    fn acquire(last: Option<&TaskLease>, run: &str, standing: Standing) -> Option<TaskLease> {
        let scope = vec!["a/**".to_owned()];
        TaskLease::acquire(last, &UnitId::new("a"), &owner(run), scope, |_| standing)
    }

    fn beat(beat: u64) -> Option<Heartbeat> {
        Some(Heartbeat {
            owner: owner("R"),
            beat,
            life_ms: 60_000,
        })
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_is_acquired_once_and_again_after_its_release() {
        let first = acquire(None, "R", Standing::Alive).expect("free");
        assert_eq!((first.epoch, first.is_open()), (1, true));
        assert_eq!(acquire(Some(&first), "S", Standing::Alive), None);
        let released = first.clone().released();
        assert!(!released.is_open() && !released.is_held(&RunId::new("R"), 1));
        let second = acquire(Some(&released), "S", Standing::Alive).expect("free");
        assert_eq!(second.epoch, 2);
    }

    #[test]
    fn an_expired_lease_is_taken_over_and_its_old_owner_is_fenced() {
        let first = acquire(None, "R", Standing::Alive).expect("free");
        let second = acquire(Some(&first), "S", Standing::Expired).expect("taken over");
        let is_held = |run: &str, epoch| second.is_held(&RunId::new(run), epoch);
        assert!(is_held("S", 2));
        assert!(!is_held("R", 1) && !is_held("R", 2) && !is_held("S", 1));
        // Also after the new owner has ended.
        assert!(!second.released().is_held(&RunId::new("R"), 1));
    }

    #[test]
    fn a_resumed_run_fences_its_own_old_process() {
        let first = acquire(None, "R", Standing::Alive).expect("free");
        let again = acquire(Some(&first), "R", Standing::Alive).expect("its own");
        assert!(again.is_held(&RunId::new("R"), 2) && !again.is_held(&RunId::new("R"), 1));
    }

    #[test]
    fn every_beat_renews_the_leases() {
        let mut watched = Watched::look(None, beat(1), at(0));
        assert_eq!(watched.standing(at(60), false), Standing::Alive);
        assert_eq!(watched.standing(at(61), false), Standing::Expired);
        watched = Watched::look(Some(watched), beat(2), at(59));
        assert_eq!(watched.standing(at(119), false), Standing::Alive);
        watched = Watched::look(Some(watched), beat(2), at(119));
        assert_eq!(watched.standing(at(120), false), Standing::Expired);
        // It was only stopped for a while.
        watched = Watched::look(Some(watched), beat(3), at(121));
        assert_eq!(watched.standing(at(121), false), Standing::Alive);
    }

    #[test]
    fn who_has_ended_or_has_no_heartbeat_holds_nothing() {
        let watched = Watched::look(None, beat(1), at(0));
        assert_eq!(watched.standing(at(0), true), Standing::Expired);
        let watched = Watched::look(Some(watched), None, at(0));
        assert_eq!(watched.standing(at(0), false), Standing::Expired);
        assert_eq!(watched.heartbeat(), None);
    }

    /// A watcher that was stopped itself sees the beat of its first look again only if there was none in between.
    #[test]
    fn a_new_process_of_a_run_counts_as_a_beat() {
        let watched = Watched::look(None, beat(1), at(0));
        let other = beat(1).map(|mut beat| {
            beat.owner.pid = 2;
            beat
        });
        let watched = Watched::look(Some(watched), other, at(100));
        assert_eq!(watched.standing(at(100), false), Standing::Alive);
    }
}
