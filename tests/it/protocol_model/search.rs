//! A search through all states of a model, breadth first, so that the first counter-example has as few steps as any.
//!
//! States are told apart by a key of 128 bits; two states with one key are taken for the same. At 1,000,000 states the chance of a
//! collision is below 10^-26.

use rayon::prelude::*;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A model: where it begins, and what can happen next.
pub trait Model: Sync {
    type State: Send + Sync;

    fn begin(&self) -> Self::State;

    /// All that can happen in a state. `Err`: what is wrong after the step of this name.
    fn steps(&self, state: &Self::State) -> Vec<Step<Self::State>>;

    /// A hash of all that decides what can happen from here.
    fn key(&self, state: &Self::State) -> u128;

    /// Whether the program need not go on by itself.
    fn is_end(&self, state: &Self::State) -> bool;
}

/// One step.
pub struct Step<S> {
    pub label: String,
    pub kind: Kind,
    pub next: Result<S, String>,
}

/// Whether a step may be taken without end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The program goes on; these steps form no cycle.
    Progress,
    /// The program is killed or called again.
    Restart,
}

/// What was explored.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub transitions: usize,
    pub ends: usize,
    pub longest: usize,
    pub time: Duration,
}

impl Explored {
    /// Shown with `--nocapture`.
    pub fn print(&self, name: &str) {
        println!(
            "{name:28} {:6} states {:7} transitions, {:5} ends, {:2} steps, {:.1} s",
            self.states,
            self.transitions,
            self.ends,
            self.longest,
            self.time.as_secs_f64()
        );
    }
}

/// Why a model is wrong, and the steps that show it.
#[derive(Debug)]
pub struct Counterexample {
    pub why: String,
    pub steps: Vec<String>,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} (after {} steps)", self.why, self.steps.len())?;
        let mut numbered = (1..).zip(&self.steps);
        numbered.try_for_each(|(number, step)| writeln!(f, "{number:3}. {step}"))
    }
}

struct Node {
    parent: usize,
    label: String,
    depth: usize,
}

/// The states that were found, with the step that led to each first.
#[derive(Default)]
struct Found {
    nodes: Vec<Node>,
    by_key: HashMap<u128, usize>,
    /// The steps of [`Kind::Progress`].
    edges: Vec<(usize, usize)>,
}

impl Found {
    fn path(&self, mut at: usize) -> Vec<String> {
        let mut steps = Vec::new();
        while at != 0 {
            steps.push(self.nodes[at].label.clone());
            at = self.nodes[at].parent;
        }
        steps.reverse();
        steps
    }

    fn fail(&self, at: usize, last: Option<String>, why: String) -> Counterexample {
        let mut steps = self.path(at);
        steps.extend(last);
        Counterexample { why, steps }
    }

    fn add(&mut self, key: u128, parent: usize, label: String) -> (usize, bool) {
        let new = self.nodes.len();
        let at = *self.by_key.entry(key).or_insert(new);
        if at == new {
            let depth = self.nodes.get(parent).map_or(0, |parent| parent.depth + 1);
            self.nodes.push(Node {
                parent,
                label,
                depth,
            });
        }
        (at, at == new)
    }
}

/// What a test has time for.
const STATES_MAX: usize = 40_000;

/// Explores every state of a model.
pub fn explore<M: Model>(model: &M) -> Result<Explored, Box<Counterexample>> {
    let began = Instant::now();
    let mut found = Found::default();
    let first = model.begin();
    found.add(model.key(&first), 0, String::new());
    let mut frontier = vec![(0, first)];
    let (mut transitions, mut ends) = (0, 0);
    while !frontier.is_empty() {
        if found.nodes.len() > STATES_MAX {
            let why = format!("there are more than {STATES_MAX} states");
            return Err(Box::new(found.fail(frontier[0].0, None, why)));
        }
        let expanded: Vec<_> = frontier
            .par_iter()
            .map(|(at, state)| {
                let keyed = model.steps(state).into_iter().map(|step| {
                    let key = step.next.as_ref().map_or(0, |next| model.key(next));
                    (step, key)
                });
                (*at, model.is_end(state), keyed.collect::<Vec<_>>())
            })
            .collect();
        frontier.clear();
        for (at, is_end, steps) in expanded {
            ends += usize::from(is_end);
            let goes_on = steps.iter().any(|(step, _)| step.kind == Kind::Progress);
            if !goes_on && !is_end {
                return Err(Box::new(found.fail(
                    at,
                    None,
                    "nothing can happen".to_owned(),
                )));
            }
            for (step, key) in steps {
                transitions += 1;
                let next = match step.next {
                    Ok(next) => next,
                    Err(why) => return Err(Box::new(found.fail(at, Some(step.label), why))),
                };
                let (to, is_new) = found.add(key, at, step.label);
                if step.kind == Kind::Progress {
                    found.edges.push((at, to));
                }
                if is_new {
                    frontier.push((to, next));
                }
            }
        }
    }
    if let Some(at) = find_cycle(found.nodes.len(), &found.edges) {
        let why = "this state is reached again by steps of the program alone".to_owned();
        return Err(Box::new(found.fail(at, None, why)));
    }
    Ok(Explored {
        states: found.nodes.len(),
        transitions,
        ends,
        longest: found.nodes.iter().map(|node| node.depth).max().unwrap_or(0),
        time: began.elapsed(),
    })
}

/// A state on a cycle: states without predecessors are removed again and again, and from one that is left the way back ends on one.
fn find_cycle(states: usize, edges: &[(usize, usize)]) -> Option<usize> {
    let mut open = vec![0_u32; states];
    let mut after = vec![Vec::new(); states];
    for &(from, to) in edges {
        open[to] += 1;
        after[from].push(to);
    }
    let mut free: Vec<usize> = (0..states).filter(|at| open[*at] == 0).collect();
    while let Some(at) = free.pop() {
        for &to in &after[at] {
            open[to] -= 1;
            if open[to] == 0 {
                free.push(to);
            }
        }
    }
    let mut at = open.iter().position(|open| *open > 0)?;
    let is_left = |(from, _): &&(usize, usize)| open[*from] > 0;
    let before: HashMap<usize, usize> = edges
        .iter()
        .filter(is_left)
        .map(|&(from, to)| (to, from))
        .collect();
    for _ in 0..states {
        at = before[&at];
    }
    Some(at)
}

mod tests {
    use super::*;

    /// The steps from each state, and the states that are ends.
    struct Graph(&'static [&'static [usize]], &'static [usize]);

    impl Model for Graph {
        type State = usize;

        fn begin(&self) -> usize {
            0
        }

        fn steps(&self, state: &usize) -> Vec<Step<usize>> {
            let step = |to: &usize| Step {
                label: format!("to {to}"),
                kind: Kind::Progress,
                next: match to {
                    9 => Err("nine".to_owned()),
                    to => Ok(*to),
                },
            };
            self.0[*state].iter().map(step).collect()
        }

        fn key(&self, state: &usize) -> u128 {
            *state as u128
        }

        fn is_end(&self, state: &usize) -> bool {
            self.1.contains(state)
        }
    }

    fn why(graph: &Graph) -> String {
        let found = explore(graph).expect_err("it is wrong");
        format!("{} | {}", found.steps.join(", "), found.why)
    }

    #[test]
    fn the_shortest_counterexample_is_shown_also_of_a_cycle_and_a_state_without_steps() {
        let sound = Graph(&[&[1, 2], &[3], &[3], &[]], &[3]);
        let explored = explore(&sound).expect("it is sound");
        assert_eq!(
            (explored.states, explored.transitions, explored.ends),
            (4, 4, 1)
        );
        let wrong = Graph(&[&[1, 2], &[3], &[9], &[9]], &[]);
        assert_eq!(why(&wrong), "to 2, to 9 | nine");
        assert_eq!(why(&Graph(&[&[1], &[]], &[])), "to 1 | nothing can happen");
        let cycle = Graph(&[&[1], &[2, 3], &[1], &[]], &[3]);
        assert!(why(&cycle).ends_with("by steps of the program alone"));
    }
}
