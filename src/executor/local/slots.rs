//! Slots that several jobs share: one limit over all jobs, and the most urgent job first.
//!
//! A job that gets no slot is queued and receives [`PoolEvent::SlotFree`] when one is free; it then tries again. What makes
//! a job urgent is not known here: a [`Rank`] is a number. [`SlotQueue`] decides.

use super::pool_event::PoolEvent;
use super::slot_queue::{Rank, SlotQueue};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Slots shared by several jobs.
#[derive(Debug)]
pub struct Slots {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: SlotQueue,
    /// Those of the jobs that wait.
    wakes: BTreeMap<Rank, Sender<PoolEvent>>,
}

impl Slots {
    /// At most `limit` workers at once.
    pub fn new(limit: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                queue: SlotQueue::new(limit),
                wakes: BTreeMap::new(),
            }),
        }
    }

    /// Changes the limit. A running row keeps its slot.
    pub fn set_limit(&self, limit: usize) {
        let mut inner = self.lock();
        inner.queue.set_limit(limit);
        inner.wake_next();
    }

    /// One job's access to the slots.
    pub fn share(&self, rank: Rank) -> Share<'_> {
        Share { slots: self, rank }
    }

    // No code that holds the lock can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Notifies the most urgent waiting job that a slot is free.
    fn wake_next(&self) {
        let wake = self.queue.next().and_then(|rank| self.wakes.get(&rank));
        if let Some(wake) = wake {
            // A job that has ended has left the queue.
            let _ = wake.send(PoolEvent::SlotFree);
        }
    }
}

/// One job's access to the slots; leaves the queue when dropped.
#[derive(Debug)]
pub struct Share<'s> {
    slots: &'s Slots,
    rank: Rank,
}

impl<'s> Share<'s> {
    /// Takes a slot, unless all are taken or a more urgent job waits; then `wake` receives an event when to try again.
    pub(crate) fn take(&self, wake: &Sender<PoolEvent>) -> Option<SlotPermit<'s>> {
        let mut inner = self.slots.lock();
        if !inner.queue.take(self.rank) {
            inner.wakes.insert(self.rank, wake.clone());
            return None;
        }
        inner.wakes.remove(&self.rank);
        inner.wake_next();
        Some(SlotPermit { slots: self.slots })
    }

    /// Limits all jobs together to what the service allows.
    pub(crate) fn set_capacity(&self, most: usize) {
        let mut inner = self.slots.lock();
        if inner.queue.set_capacity(most) {
            inner.wake_next();
        }
    }

    /// Slots taken, over all jobs.
    pub(crate) fn taken(&self) -> usize {
        self.slots.lock().queue.taken()
    }

    /// Leaves the queue: the job starts no more rows.
    pub(crate) fn leave(&self) {
        let mut inner = self.slots.lock();
        inner.wakes.remove(&self.rank);
        if inner.queue.leave(self.rank) {
            inner.wake_next();
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// One job's access to the slots, with the channel that wakes its loop.
pub(crate) struct SharedSlots<'s> {
    share: Share<'s>,
    wake: Sender<PoolEvent>,
}

impl<'s> SharedSlots<'s> {
    /// For a loop that looks again by itself.
    pub fn unheard(share: Share<'s>) -> Self {
        let (wake, _) = crossbeam_channel::unbounded();
        Self { share, wake }
    }

    pub fn new(share: Share<'s>, wake: Sender<PoolEvent>) -> Self {
        Self { share, wake }
    }

    /// Takes a slot; without one the loop is woken when to try again.
    pub fn take(&self) -> Option<SlotPermit<'s>> {
        self.share.take(&self.wake)
    }

    /// Limits all jobs together to what the service allows.
    pub fn set_capacity(&self, most: usize) {
        self.share.set_capacity(most);
    }

    /// Slots taken, over all jobs.
    pub fn taken(&self) -> usize {
        self.share.taken()
    }

    /// Leaves the queue: the job starts no more rows.
    pub fn leave(&self) {
        self.share.leave();
    }
}

/// Held while a row runs.
#[derive(Debug)]
pub(crate) struct SlotPermit<'s> {
    slots: &'s Slots,
}

impl Drop for SlotPermit<'_> {
    fn drop(&mut self) {
        let mut inner = self.slots.lock();
        inner.queue.give_back();
        inner.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, unbounded};
    use std::cmp::Reverse;

    fn rank(remaining_path: u64, number: u32) -> Rank {
        Rank {
            remaining_path: Reverse(remaining_path),
            number,
        }
    }

    fn times_woken(inbox: &Receiver<PoolEvent>) -> usize {
        inbox.try_iter().count()
    }

    #[test]
    fn the_most_urgent_job_gets_the_freed_slot() {
        let slots = Slots::new(1);
        let (long, short) = (slots.share(rank(9, 2)), slots.share(rank(3, 1)));
        let ((wake_long, hear_long), (wake_short, hear_short)) = (unbounded(), unbounded());
        let slot = short.take(&wake_short).expect("a free slot");
        assert!(long.take(&wake_long).is_none());
        assert!(short.take(&wake_short).is_none());
        drop(slot);
        assert_eq!((times_woken(&hear_long), times_woken(&hear_short)), (1, 0));
        assert!(short.take(&wake_short).is_none(), "it is not its turn");
        let slot = long.take(&wake_long).expect("its turn");
        drop(slot);
        assert_eq!(times_woken(&hear_short), 1);
        assert!(short.take(&wake_short).is_some());
    }

    #[test]
    fn a_job_that_waits_for_its_account_leaves_and_keeps_its_rank() {
        let slots = Slots::new(1);
        let (urgent, other) = (slots.share(rank(9, 1)), slots.share(rank(1, 2)));
        let (wake, _kept) = unbounded();
        let slot = other.take(&wake);
        assert!(urgent.take(&wake).is_none());
        drop(slot);
        assert!(other.take(&wake).is_none(), "the urgent one is next");
        urgent.leave();
        let slot = other.take(&wake);
        assert!(slot.is_some() && urgent.take(&wake).is_none());
        drop(slot);
        assert!(urgent.take(&wake).is_some());
    }

    #[test]
    fn a_job_that_leaves_wakes_the_next() {
        let slots = Slots::new(1);
        let (first, second) = (slots.share(rank(1, 1)), slots.share(rank(1, 2)));
        let (wake, hear) = unbounded();
        let (wake_first, _kept) = unbounded();
        let slot = first.take(&wake_first);
        assert!(first.take(&wake_first).is_none());
        assert!(second.take(&wake).is_none());
        drop(slot);
        assert_eq!(times_woken(&hear), 0);
        drop(first);
        assert_eq!(times_woken(&hear), 1);
        assert!(second.take(&wake).is_some());
    }

    #[test]
    fn a_lower_limit_takes_no_slot_away_and_a_higher_one_wakes() {
        let slots = Slots::new(2);
        let share = slots.share(rank(1, 1));
        let (wake, hear) = unbounded();
        let held = [share.take(&wake), share.take(&wake)];
        assert!(held.iter().all(Option::is_some));
        slots.set_limit(1);
        assert!(share.take(&wake).is_none());
        let [first, second] = held;
        drop(first);
        assert_eq!(times_woken(&hear), 0, "one of two is one");
        slots.set_limit(2);
        assert_eq!(times_woken(&hear), 1);
        assert!(share.take(&wake).is_some());
        drop(second);
    }
}
