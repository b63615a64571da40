//! Outcomes -> sums for each arm, and pairs of arms over the same tasks. Pure.

use super::outcome::{Arm, Outcome};
use crate::report::stats::{Rate, Spend, rounded};
use serde_json::{Value, json};

/// The level that [`Pair::is_too_few`] is about.
const LEVEL: f64 = 0.05;

/// What came of all tasks under one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmSums {
    /// Protocol and adapter.
    pub arm: Arm,
    /// Tasks whose hidden tests passed.
    pub passed: Rate,
    /// Tasks of which `mesh run` completed all of the plan.
    pub accepted: u64,
    /// Of these: the hidden tests failed.
    pub wrong: u64,
    /// What the rows took.
    pub spend: Spend,
    /// The makespans of all runs together, in milliseconds.
    pub makespan_ms: u64,
}

/// Two arms on the same tasks: for how many both, one or neither passed the hidden tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The first arm.
    pub a: Arm,
    /// The second one.
    pub b: Arm,
    /// Both passed.
    pub both: u64,
    /// Only the first one.
    pub only_a: u64,
    /// Only the second one.
    pub only_b: u64,
    /// Neither.
    pub neither: u64,
}

impl Pair {
    /// The exact test of McNemar, two-sided: the probability of a split of the tasks that only one arm passed which is at least
    /// as uneven, if each of these tasks could as well have gone to either arm.
    pub fn p(&self) -> f64 {
        let n = self.only_a + self.only_b;
        let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
        let mut tail = 0.0;
        for k in 0..=self.only_a.min(self.only_b) {
            tail += term;
            term *= (n - k) as f64 / (k + 1) as f64;
        }
        (2.0 * tail).min(1.0)
    }

    /// Whether no split of so few tasks could reach a p of 0.05: with fewer than six that only one arm passed.
    pub fn is_too_few(&self) -> bool {
        let n = self.only_a + self.only_b;
        2.0 * 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX)) > LEVEL
    }

    fn json(&self) -> Value {
        json!({
            "a": self.a, "b": self.b, "both": self.both, "only_a": self.only_a, "only_b": self.only_b, "neither": self.neither,
            "p": rounded(self.p()), "is_too_few": self.is_too_few(),
        })
    }
}

/// All arms on all tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// By task, then by arm.
    pub outcomes: Vec<Outcome>,
    /// In the order that was asked for.
    pub arms: Vec<ArmSums>,
    /// Every two arms.
    pub pairs: Vec<Pair>,
}

impl Comparison {
    /// Compares the arms on the tasks that all of them have an outcome of.
    pub fn new(arms: &[Arm], outcomes: Vec<Outcome>) -> Self {
        let of = |arm: &Arm| -> Vec<&Outcome> {
            outcomes.iter().filter(|one| one.arm == *arm).collect()
        };
        let sums = arms.iter().map(|arm| sum(arm, &of(arm))).collect();
        let mut pairs = Vec::new();
        for (at, a) in arms.iter().enumerate() {
            for b in &arms[at + 1..] {
                pairs.push(pair(a, b, &of(a), &of(b)));
            }
        }
        Self {
            arms: sums,
            pairs,
            outcomes,
        }
    }

    /// `{v: 1, arms, pairs, outcomes}`: docs/eval.md has the shape.
    pub fn json(&self) -> Value {
        let arms = self.arms.iter().map(ArmSums::json);
        json!({
            "v": 1, "arms": arms.collect::<Vec<_>>(), "pairs": self.pairs.iter().map(Pair::json).collect::<Vec<_>>(),
            "outcomes": self.outcomes,
        })
    }
}

impl ArmSums {
    fn json(&self) -> Value {
        json!({
            "arm": self.arm, "passed": self.passed.json(), "accepted": self.accepted, "wrong": self.wrong,
            "spent": self.spend.json(), "makespan_seconds": self.makespan_ms as f64 / 1000.0,
        })
    }
}

fn sum(arm: &Arm, outcomes: &[&Outcome]) -> ArmSums {
    let mut sums = ArmSums {
        arm: arm.clone(),
        passed: Rate::default(),
        accepted: 0,
        wrong: 0,
        spend: Spend::default(),
        makespan_ms: 0,
    };
    for one in outcomes {
        sums.passed.count(one.is_passed());
        sums.accepted += u64::from(one.is_accepted());
        sums.wrong += u64::from(one.is_accepted() && !one.is_passed());
        sums.spend += one.spend();
        sums.makespan_ms += one.makespan_ms;
    }
    sums
}

fn pair(a: &Arm, b: &Arm, of_a: &[&Outcome], of_b: &[&Outcome]) -> Pair {
    let mut pair = Pair {
        a: a.clone(),
        b: b.clone(),
        both: 0,
        only_a: 0,
        only_b: 0,
        neither: 0,
    };
    for first in of_a {
        let Some(second) = of_b.iter().find(|one| one.task == first.task) else {
            continue;
        };
        match (first.is_passed(), second.is_passed()) {
            (true, true) => pair.both += 1,
            (true, false) => pair.only_a += 1,
            (false, true) => pair.only_b += 1,
            (false, false) => pair.neither += 1,
        }
    }
    pair
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(only_a: u64, only_b: u64) -> Pair {
        let arm = Arm {
            protocol: "solo".to_owned(),
            adapter: "replay".to_owned(),
        };
        Pair {
            a: arm.clone(),
            b: arm,
            both: 3,
            only_a,
            only_b,
            neither: 1,
        }
    }

    #[test]
    fn the_test_is_exact_and_two_sided() {
        // Sums of binomial coefficients, by hand: 2 * (1 + 6) / 2^6; 2 * 1 / 2^6; 2 * (1 + 10 + 45) / 2^10.
        assert_eq!(split(1, 5).p(), 14.0 / 64.0);
        assert_eq!(split(6, 0).p(), 2.0 / 64.0);
        assert_eq!(rounded(split(8, 2).p()), rounded(112.0 / 1024.0));
        assert_eq!(split(2, 2).p(), 1.0, "an even split says nothing");
        assert_eq!(split(0, 0).p(), 1.0);
    }

    #[test]
    fn with_five_tasks_no_split_could_be_significant() {
        assert!(split(0, 5).is_too_few(), "2 / 2^5 is more than 0.05");
        assert!(!split(3, 3).is_too_few(), "2 / 2^6 is less");
        assert!(split(0, 0).is_too_few());
    }
}
