//! The steps of a run: what the environment may do next, and what the program does then.

use super::key;
use super::observer::Seen;
use super::outcomes::of_round;
use super::search::{Kind, Model, Step};
use super::shell::Shell;
use super::world::{Call, Disk, End, Kills, Run, Setting, Tried, World};
use mesh::job::BudgetTracker;
use mesh::model::{RowKey, WaveNo};
use mesh::run::State;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The model of a scenario.
pub struct RunModel(pub Setting);

impl Model for RunModel {
    type State = Run;

    fn begin(&self) -> Run {
        let full = self.0.scenario.concurrency;
        let world = World {
            disk: Disk {
                state: State::default(),
                plan: self.0.plan(),
                history: None,
                seen: Seen::new(full),
            },
            call: Call::new(full, BudgetTracker::default()),
        };
        let mut shell = Shell::new(&self.0, world);
        shell.begin_call(false).expect("it begins");
        Run::Called(Box::new(shell.world))
    }

    fn steps(&self, run: &Run) -> Vec<Step<Run>> {
        let mut steps = Vec::new();
        let world = match run {
            Run::Called(world) => world,
            Run::Killed(disk) => {
                self.add_resumes(disk, &mut steps);
                return steps;
            }
        };
        match world.call.end {
            _ if self.is_left(world) => return steps,
            Some(End::Finished) => return steps,
            Some(_) => self.add_later_calls(world, &mut steps),
            None => {
                self.add_ends_of_rows(world, &mut steps);
                self.add_ends_of_validations(world, &mut steps);
                if world.call.has_news() {
                    let label = "the loop goes on";
                    self.add(world, label, Kind::Progress, &mut steps, |shell| {
                        shell.turn()
                    });
                }
            }
        }
        self.add_kill(&world.disk, "killed", &mut steps);
        steps
    }

    fn key(&self, run: &Run) -> u128 {
        let text = match run {
            Run::Called(world) => key::text(&self.0, &world.disk, Some(&world.call)),
            Run::Killed(disk) => key::text(&self.0, disk, None),
        };
        let hash = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, &text).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        hash(0) << 64 | hash(1)
    }

    fn is_end(&self, run: &Run) -> bool {
        match run {
            Run::Called(world) => world.call.end.is_some() || self.is_left(world),
            Run::Killed(_) => false,
        }
    }
}

impl RunModel {
    /// Adds a step, and one for each kill in the midst of it.
    fn add(
        &self,
        world: &World,
        label: &str,
        kind: Kind,
        steps: &mut Vec<Step<Run>>,
        act: impl FnOnce(&mut Shell<'_>) -> Result<(), String>,
    ) {
        let mut shell = Shell::new(&self.0, world.clone());
        let done = act(&mut shell);
        let Shell { world, kills, .. } = shell;
        steps.push(Step {
            label: label.to_owned(),
            kind,
            next: done.map(|()| Run::Called(Box::new(world))),
        });
        for (number, disk) in (1..).zip(&kills) {
            self.add_kill(
                disk,
                &format!("{label}; killed after write {number}"),
                steps,
            );
        }
    }

    fn add_kill(&self, disk: &Disk, label: &str, steps: &mut Vec<Step<Run>>) {
        if self.0.scenario.kills != Kills::Any && disk.seen.kills > 0 {
            return;
        }
        let mut disk = Box::new(disk.clone());
        disk.seen.kills += usize::from(self.0.scenario.kills != Kills::Any);
        steps.push(Step {
            label: label.to_owned(),
            kind: Kind::Restart,
            next: Ok(Run::Killed(disk)),
        });
    }

    /// The run is resumed. An integration that was interrupted may have been committed.
    fn add_resumes(&self, disk: &Disk, steps: &mut Vec<Step<Run>>) {
        self.add_call(disk, "resumed", false, steps);
        let mut units = disk.state.units.iter();
        if units.any(|unit| unit.open_integration.is_some()) {
            self.add_call(disk, "resumed; the patch was committed", true, steps);
        }
    }

    fn add_call(&self, disk: &Disk, label: &str, is_committed: bool, steps: &mut Vec<Step<Run>>) {
        let world = World {
            disk: disk.clone(),
            call: Call::new(1, BudgetTracker::default()),
        };
        // A kill is what may happen again and again; the call after it goes on.
        self.add(&world, label, Kind::Progress, steps, |shell| {
            shell.begin_call(is_committed)
        });
    }

    fn add_later_calls(&self, world: &World, steps: &mut Vec<Step<Run>>) {
        let budget = &self.0.scenario.budget;
        if budget[0] != budget[1] && !world.disk.seen.is_raised {
            let mut disk = world.disk.clone();
            disk.seen.is_raised = true;
            self.add_call(&disk, "resumed with a larger budget", false, steps);
        }
    }

    /// The first row of each wave that runs may end; rows of one wave end in their order, as it is judged when all have ended.
    fn add_ends_of_rows(&self, world: &World, steps: &mut Vec<Step<Run>>) {
        let mut waves = BTreeSet::new();
        for (number, row) in world.running_rows() {
            if waves.insert(number) {
                self.add_ends_of_row(world, number, row, steps);
            }
        }
    }

    fn add_ends_of_row(&self, world: &World, number: WaveNo, row: u64, steps: &mut Vec<Step<Run>>) {
        let wave = world.disk.state.wave(number).expect("it was compiled");
        let id = &wave.compiled.rows[row as usize];
        let key = RowKey::parse(id).expect("a row of a unit");
        let unit = world.disk.state.unit(&key.unit).expect("it was admitted");
        let (protocol, _) = self.0.protocol(&world.disk.plan, unit);
        let round = protocol.round(&key.round).expect("it exists");
        let outcomes = of_round(&protocol, round);
        // Of the orders of outcomes of roles that are alike one is tried.
        let class = |row: u64| {
            let key = RowKey::parse(&wave.compiled.rows[row as usize]).expect("a row of a unit");
            (
                key.unit,
                key::class(key.round.as_str(), &key.role).to_owned(),
            )
        };
        let alike = (0..row).rev().find(|before| class(*before) == class(row));
        let alike = alike.and_then(|before| wave.job.item(before));
        let place = alike.and_then(|item| item.reported.or(item.finished));
        let known = place.map(|place| self.0.outcomes.at(place.get()));
        let at = known.and_then(|known| outcomes.iter().position(|one| one == known));
        let is_used_up = self.is_used_up(&world.disk);
        let first = at.filter(|_| !is_used_up).unwrap_or(0);
        for outcome in &outcomes[first..] {
            let is_good = outcome.is_answer();
            if !is_good && is_used_up {
                continue;
            }
            let label = format!("{id}: {}", outcome.name());
            self.add(world, &label, Kind::Progress, steps, |shell| {
                self.count_failure(&mut shell.world.disk, is_good);
                shell.end_row(number, row, outcome)
            });
        }
    }

    /// Whether a run is not explored any further, as it was killed and resumed.
    fn is_left(&self, world: &World) -> bool {
        self.0.scenario.kills == Kills::Resumed && world.disk.seen.kills > 0
    }

    /// Whether nothing else may fail.
    fn is_used_up(&self, disk: &Disk) -> bool {
        let max = self.0.scenario.failures_max;
        max.is_some_and(|max| disk.seen.failures >= max)
    }

    fn count_failure(&self, disk: &mut Disk, is_good: bool) {
        let counts = !is_good && self.0.scenario.failures_max.is_some();
        disk.seen.failures += usize::from(counts);
    }

    fn add_ends_of_validations(&self, world: &World, steps: &mut Vec<Step<Run>>) {
        let running = world.call.patches.iter();
        for (unit, _) in running.filter(|(_, patch)| patch.is_validating) {
            for tried in Tried::ALL {
                let is_good = matches!(tried, Tried::Passed | Tried::Weak);
                if !is_good && self.is_used_up(&world.disk) {
                    continue;
                }
                let label = format!("{unit}: validated, {tried:?}").to_lowercase();
                self.add(world, &label, Kind::Progress, steps, |shell| {
                    self.count_failure(&mut shell.world.disk, is_good);
                    shell.end_validation(unit, tried);
                    Ok(())
                });
            }
        }
    }
}
