//! Slots that several jobs share, explored: which job takes a slot when rows end, the limit changes, and a job's account makes it wait.
//!
//! The real queue decides ([`SlotQueue`]); the rules of a job are those of `executor::Slots` and of the pool's loop without its timer:
//! a job tries to start rows when it is woken, and wakes the next one after each change.

use super::search::{Kind, Model, Step, explore};
use mesh::executor::{Rank, SlotQueue};
use std::cmp::Reverse;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The limits that the number of slots changes between.
const LIMITS: [usize; 3] = [1, 2, 3];
const JOBS: usize = 3;
const ROWS: usize = 2;

#[derive(Clone, Debug)]
struct Job {
    pending: usize,
    running: usize,
    /// It was woken, and will try to start rows.
    is_woken: bool,
    /// Its account starts nothing now.
    is_withheld: bool,
}

#[derive(Clone, Debug)]
struct Slots {
    queue: SlotQueue,
    limit: usize,
    jobs: Vec<Job>,
    /// How often the limit may still change, and an account may make its job wait.
    changes: usize,
}

struct SlotModel;

fn rank(job: usize) -> Rank {
    Rank {
        remaining_path: Reverse((JOBS - job) as u64),
        number: job as u32,
    }
}

impl Slots {
    fn wake_next(&mut self) {
        if let Some(next) = self.queue.next() {
            self.jobs[next.number as usize].is_woken = true;
        }
    }

    /// A turn of a job's loop: it starts rows until it gets no slot.
    fn fill(&mut self, job: usize) -> Result<(), String> {
        self.jobs[job].is_woken = false;
        while self.jobs[job].pending > 0 && !self.jobs[job].is_withheld {
            let before = self.queue.taken();
            if !self.queue.take(rank(job)) {
                return Ok(());
            }
            if before >= self.limit {
                return Err(format!(
                    "a row starts in slot {} of {}",
                    before + 1,
                    self.limit
                ));
            }
            self.jobs[job].pending -= 1;
            self.jobs[job].running += 1;
            self.wake_next();
        }
        // With nothing to start now, it waits for no slot.
        if self.queue.leave(rank(job)) {
            self.wake_next();
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let running: usize = self.jobs.iter().map(|job| job.running).sum();
        let is_lost = |next: Rank| !self.jobs[next.number as usize].is_woken;
        match running == self.queue.taken() {
            false => Err(format!(
                "{running} rows run in {} slots",
                self.queue.taken()
            )),
            true if self.queue.next().is_some_and(is_lost) => {
                Err("a slot is free, and the job that is next was not woken".to_owned())
            }
            true => Ok(()),
        }
    }
}

impl Model for SlotModel {
    type State = Slots;

    fn begin(&self) -> Slots {
        let job = Job {
            pending: ROWS,
            running: 0,
            is_woken: true,
            is_withheld: false,
        };
        Slots {
            queue: SlotQueue::new(LIMITS[1]),
            limit: LIMITS[1],
            jobs: vec![job; JOBS],
            changes: 2,
        }
    }

    fn steps(&self, slots: &Slots) -> Vec<Step<Slots>> {
        let mut steps = Vec::new();
        let mut add = |label: String, act: &dyn Fn(&mut Slots) -> Result<(), String>| {
            let mut next = slots.clone();
            let done = act(&mut next).and_then(|()| next.check());
            steps.push(Step {
                label,
                kind: Kind::Progress,
                next: done.map(|()| next),
            });
        };
        for (at, job) in slots.jobs.iter().enumerate() {
            if job.is_woken {
                add(format!("job {at} starts rows"), &|slots| slots.fill(at));
            }
            if job.running > 0 {
                add(format!("a row of job {at} ends"), &|slots| {
                    slots.jobs[at].running -= 1;
                    slots.jobs[at].is_woken = true;
                    slots.queue.give_back();
                    slots.wake_next();
                    Ok(())
                });
            }
            if job.is_withheld {
                add(format!("the account of job {at} may go on"), &|slots| {
                    slots.jobs[at].is_withheld = false;
                    slots.jobs[at].is_woken = true;
                    Ok(())
                });
            } else if slots.changes > 0 && job.pending > 0 {
                add(format!("the account of job {at} has to wait"), &|slots| {
                    slots.changes -= 1;
                    slots.jobs[at].is_withheld = true;
                    slots.jobs[at].is_woken = true;
                    Ok(())
                });
            }
        }
        for limit in LIMITS.into_iter().filter(|_| slots.changes > 0) {
            if limit != slots.limit {
                add(format!("the limit becomes {limit}"), &|slots| {
                    slots.changes -= 1;
                    slots.limit = limit;
                    slots.queue.set_limit(limit);
                    slots.wake_next();
                    Ok(())
                });
            }
        }
        steps
    }

    fn key(&self, slots: &Slots) -> u128 {
        let mut text = String::new();
        let _ = write!(text, "{slots:?}");
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    }

    fn is_end(&self, slots: &Slots) -> bool {
        let mut jobs = slots.jobs.iter();
        jobs.all(|job| job.pending == 0 && job.running == 0)
    }
}

#[test]
fn slots_are_never_exceeded_and_no_job_waits_beside_a_free_one() {
    match explore(&SlotModel) {
        Ok(found) => found.print("slots"),
        Err(found) => panic!("{found}"),
    }
}
