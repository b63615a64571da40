//! Places for workers that several jobs share: one number over all of them, and the most urgent job first.
//!
//! A job that gets no place is remembered and woken through its own channel when one is free; it asks again then. It knows
//! nothing of what makes a job urgent: that is a number to it.

use super::pool_event::PoolEvent;
use crossbeam_channel::Sender;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who goes first: the job with the most work behind it, of those the one that began first. Unique among jobs at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How much work hangs on the job, in any unit that all jobs have in common.
    pub remaining_path: Reverse<u64>,
    /// The job's number.
    pub number: u32,
}

/// The places.
#[derive(Debug)]
pub struct Slots {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// What the service behind the workers bears; changes while jobs run.
    capacity: usize,
    taken: usize,
    waiting: BTreeMap<Rank, Sender<PoolEvent>>,
}

impl Slots {
    /// `limit` workers at once.
    pub fn new(limit: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                limit,
                capacity: usize::MAX,
                taken: 0,
                waiting: BTreeMap::new(),
            }),
        }
    }

    /// From now on so many at once. Who has a place keeps it.
    pub fn set_limit(&self, limit: usize) {
        let mut inner = self.lock();
        inner.limit = limit;
        inner.wake_next();
    }

    /// The part of one job.
    pub fn share(&self, rank: Rank) -> Share<'_> {
        Share { slots: self, rank }
    }

    // Nothing that holds it can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn is_free(&self) -> bool {
        self.taken < self.limit.min(self.capacity)
    }

    /// Tells the most urgent job that waits that a place is free.
    fn wake_next(&self) {
        if let Some((_, wake)) = self.waiting.first_key_value().filter(|_| self.is_free()) {
            // A job that is gone has left the queue.
            let _ = wake.send(PoolEvent::PlaceFree);
        }
    }
}

/// One job's way to the places. A job that is gone waits for none.
#[derive(Debug)]
pub struct Share<'s> {
    slots: &'s Slots,
    rank: Rank,
}

impl<'s> Share<'s> {
    /// A place, unless all are taken or a more urgent job waits; then `wake` hears when to ask again.
    pub(crate) fn take(&self, wake: &Sender<PoolEvent>) -> Option<SlotPermit<'s>> {
        let mut inner = self.slots.lock();
        let first = inner.waiting.first_key_value();
        let is_first = first.is_none_or(|(rank, _)| self.rank <= *rank);
        if !(inner.is_free() && is_first) {
            inner.waiting.insert(self.rank, wake.clone());
            return None;
        }
        inner.taken += 1;
        inner.waiting.remove(&self.rank);
        inner.wake_next();
        Some(SlotPermit { slots: self.slots })
    }

    /// No more at once than the service bears, over all jobs; it is asked again and again.
    pub(crate) fn set_capacity(&self, most: usize) {
        let mut inner = self.slots.lock();
        let has_grown = most > inner.capacity;
        inner.capacity = most;
        if has_grown {
            inner.wake_next();
        }
    }

    /// Rows under way, over all jobs.
    pub(crate) fn taken(&self) -> usize {
        self.slots.lock().taken
    }

    /// The job wants no place any more.
    pub(crate) fn leave(&self) {
        let mut inner = self.slots.lock();
        if inner.waiting.remove(&self.rank).is_some() {
            inner.wake_next();
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Held for as long as a row is under way.
#[derive(Debug)]
pub(crate) struct SlotPermit<'s> {
    slots: &'s Slots,
}

impl Drop for SlotPermit<'_> {
    fn drop(&mut self) {
        let mut inner = self.slots.lock();
        inner.taken -= 1;
        inner.wake_next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, unbounded};

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
    fn the_most_urgent_job_gets_the_place_that_gets_free() {
        let slots = Slots::new(1);
        let (long, short) = (slots.share(rank(9, 2)), slots.share(rank(3, 1)));
        let ((wake_long, hear_long), (wake_short, hear_short)) = (unbounded(), unbounded());
        let place = short.take(&wake_short).expect("a free place");
        assert!(long.take(&wake_long).is_none());
        assert!(short.take(&wake_short).is_none());
        drop(place);
        assert_eq!((times_woken(&hear_long), times_woken(&hear_short)), (1, 0));
        assert!(short.take(&wake_short).is_none(), "it is not its turn");
        let place = long.take(&wake_long).expect("its turn");
        drop(place);
        assert_eq!(times_woken(&hear_short), 1);
        assert!(short.take(&wake_short).is_some());
    }

    #[test]
    fn who_leaves_makes_room_for_the_next() {
        let slots = Slots::new(1);
        let (first, second) = (slots.share(rank(1, 1)), slots.share(rank(1, 2)));
        let (wake, hear) = unbounded();
        let (wake_first, _kept) = unbounded();
        let place = first.take(&wake_first);
        assert!(first.take(&wake_first).is_none());
        assert!(second.take(&wake).is_none());
        drop(place);
        assert_eq!(times_woken(&hear), 0);
        drop(first);
        assert_eq!(times_woken(&hear), 1);
        assert!(second.take(&wake).is_some());
    }

    #[test]
    fn a_lower_limit_takes_nothing_away_and_a_higher_one_wakes() {
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
