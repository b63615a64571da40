//! Leases of tasks that several runs share, explored: processes stop and go on, a run is resumed while its old process still exists,
//! and leases are taken over.

use super::search::{Kind, Model, Step, explore};
use mesh::model::{RunId, RunProcess, UnitId};
use mesh::schedule::{Standing, TaskLease};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The runs, and the process of each: the first run has a second one, which resumes it.
const PROCESSES: [(&str, u32); 3] = [("R", 1), ("R", 2), ("S", 3)];
const EPOCHS_MAX: u64 = 4;

#[derive(Clone, Debug, Default)]
struct Leases {
    lease: Option<TaskLease>,
    /// The epoch that each process acquired, and whether the process is stopped.
    held: [Option<u64>; 3],
    is_stopped: [bool; 3],
    applied: usize,
}

struct LeaseModel;

fn owner(process: usize) -> RunProcess {
    let (run, pid) = PROCESSES[process];
    RunProcess {
        run: RunId::new(run),
        host: "h".to_owned(),
        pid,
        start_ticks: 1,
    }
}

impl Leases {
    fn acquire(&mut self, process: usize) {
        // The owner's heart beats unless its process is stopped.
        let stopped = self.is_stopped;
        let standing = |owner: &RunProcess| {
            let at = PROCESSES.iter().position(|(_, pid)| *pid == owner.pid);
            match at.is_some_and(|at| stopped[at]) {
                true => Standing::Expired,
                false => Standing::Alive,
            }
        };
        let unit = UnitId::new("a");
        let last = self.lease.as_ref();
        let next = TaskLease::acquire(last, &unit, &owner(process), Vec::new(), standing);
        if let Some(next) = next {
            self.held[process] = Some(next.epoch);
            self.lease = Some(next);
        }
    }

    fn is_held(&self, process: usize) -> bool {
        let run = RunId::new(PROCESSES[process].0);
        let lease = self.lease.as_ref().zip(self.held[process]);
        lease.is_some_and(|(lease, epoch)| lease.is_held(&run, epoch))
    }

    fn check(&self) -> Result<(), String> {
        let holders = (0..PROCESSES.len()).filter(|at| self.is_held(*at)).count();
        match (holders, self.applied) {
            (0 | 1, 0 | 1) => Ok(()),
            (holders, 0 | 1) => Err(format!("{holders} processes hold the task")),
            (_, applied) => Err(format!("the patch is applied {applied} times")),
        }
    }
}

impl Model for LeaseModel {
    type State = Leases;

    fn begin(&self) -> Leases {
        Leases::default()
    }

    fn steps(&self, leases: &Leases) -> Vec<Step<Leases>> {
        let mut steps = Vec::new();
        let mut add = |label: String, kind: Kind, act: &dyn Fn(&mut Leases)| {
            let mut next = leases.clone();
            act(&mut next);
            let checked = next.check();
            steps.push(Step {
                label,
                kind,
                next: checked.map(|()| next),
            });
        };
        for (at, (run, pid)) in PROCESSES.iter().enumerate() {
            let name = format!("process {pid} of {run}");
            if leases.is_stopped[at] {
                add(format!("{name} goes on"), Kind::Restart, &|leases| {
                    leases.is_stopped[at] = false;
                });
                continue;
            }
            add(format!("{name} is stopped"), Kind::Restart, &|leases| {
                leases.is_stopped[at] = true;
            });
            let epoch = leases.lease.as_ref().map_or(0, |lease| lease.epoch);
            if !leases.is_held(at) && leases.applied == 0 && epoch < EPOCHS_MAX {
                add(format!("{name} acquires"), Kind::Restart, &|leases| {
                    leases.acquire(at)
                });
            }
            if leases.is_held(at) {
                add(
                    format!("{name} applies, and releases"),
                    Kind::Progress,
                    &|leases| {
                        leases.applied += 1;
                        leases.lease = leases.lease.take().map(TaskLease::released);
                    },
                );
            }
        }
        steps
    }

    fn key(&self, leases: &Leases) -> u128 {
        let mut hasher = DefaultHasher::new();
        format!("{leases:?}").hash(&mut hasher);
        u128::from(hasher.finish())
    }

    fn is_end(&self, leases: &Leases) -> bool {
        let works = |at: usize| leases.is_held(at) && !leases.is_stopped[at];
        leases.applied > 0 || !(0..PROCESSES.len()).any(works)
    }
}

#[test]
fn a_task_is_worked_by_one_process_and_its_patch_applied_once() {
    match explore(&LeaseModel) {
        Ok(found) => found.print("leases"),
        Err(found) => panic!("{found}"),
    }
}
