//! Barrier dispatch, as in `mesh run --dispatch barrier`: each turn finishes the open waves one after the other, integrates
//! accepted patches, admits tasks, and compiles one wave for each round.

use super::progress::Progress;
use super::script::Step;
use super::simulation::{Simulation, Wave};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A task in flight.
struct Unit {
    index: usize,
    /// The next step.
    step: usize,
}

/// Simulates the plan. Returns the waves and the makespan.
pub(super) fn simulate(
    simulation: &Simulation<'_>,
    progress: &mut Progress<'_>,
) -> (Vec<Wave>, u64) {
    let mut waves = Vec::new();
    let mut now_ms = 0;
    let mut units: Vec<Unit> = Vec::new();
    loop {
        integrate_units(simulation, progress, &mut units, &mut now_ms);
        let taken_up = progress.admit_tasks(now_ms).into_iter();
        units.extend(taken_up.map(|place| Unit {
            index: place,
            step: 0,
        }));
        if units.is_empty() {
            return (waves, now_ms);
        }
        run_waves(simulation, &mut units, &mut waves, &mut now_ms);
    }
}

/// Takes the steps that need no rows, task by task.
fn integrate_units(
    simulation: &Simulation<'_>,
    progress: &mut Progress<'_>,
    units: &mut Vec<Unit>,
    now_ms: &mut u64,
) {
    units.retain_mut(|unit| {
        let steps = simulation.task(unit.index).map(|task| &task.script.steps);
        let steps = steps.map_or(&[][..], Vec::as_slice);
        while let Some(Step::Integrate(ms)) = steps.get(unit.step) {
            *now_ms += ms;
            unit.step += 1;
        }
        let is_over = unit.step >= steps.len();
        if is_over {
            progress.end(unit.index, *now_ms);
        }
        !is_over
    });
}

/// Runs one wave for each protocol and round, in the order of the first task that needs it.
fn run_waves(
    simulation: &Simulation<'_>,
    units: &mut [Unit],
    waves: &mut Vec<Wave>,
    now_ms: &mut u64,
) {
    let mut groups: Vec<((&str, &str), Vec<u64>)> = Vec::new();
    let mut rounds = Vec::new();
    for unit in units {
        let step = simulation
            .task(unit.index)
            .and_then(|task| task.script.steps.get(unit.step));
        let Some(Step::Rows(emitted)) = step else {
            continue;
        };
        unit.step += 1;
        let key = (emitted.protocol.as_str(), emitted.round.as_str());
        match groups.iter_mut().find(|(other, _)| *other == key) {
            Some((_, rows_ms)) => rows_ms.extend(&emitted.rows_ms),
            None => {
                groups.push((key, emitted.rows_ms.clone()));
                rounds.push(&emitted.round);
            }
        }
    }
    for ((_, rows_ms), round) in groups.iter().zip(rounds) {
        let begins_ms = *now_ms;
        *now_ms += pool_ms(rows_ms, simulation.setup.slots.get());
        waves.push(Wave {
            round: round.clone(),
            rows: rows_ms.len(),
            begins_ms,
            ends_ms: *now_ms,
        });
    }
}

/// The time that a pool of `slots` needs for rows in this order.
fn pool_ms(rows_ms: &[u64], slots: usize) -> u64 {
    let mut busy_until: BinaryHeap<Reverse<u64>> = BinaryHeap::new();
    let mut last = 0;
    for ms in rows_ms {
        let begin = match busy_until.len() < slots {
            true => 0,
            false => busy_until.pop().map_or(0, |Reverse(free)| free),
        };
        last = last.max(begin + ms);
        busy_until.push(Reverse(begin + ms));
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_begins_the_next_row_in_the_first_free_slot() {
        assert_eq!(pool_ms(&[], 3), 0);
        assert_eq!(pool_ms(&[5, 1, 1, 1], 2), 5);
        assert_eq!(pool_ms(&[1, 1, 1, 5], 2), 6);
        assert_eq!(pool_ms(&[4, 3, 2], 9), 4);
    }
}
