//! How well votes predict the validation of the patch that was voted on.
//!
//! A case is one counted vote (a `tally`) whose patch was validated: the share of agreeing votes among those that were cast, and
//! whether every validation command passed. Absent votes are left out of the share. Of a patch that was voted down the validation
//! is known only if it ran before the vote (`prevalidate`); so without that option the lower shares have few cases.

use super::rate::{Rate, TOO_FEW, rounded};
use serde_json::{Value, json};

/// The lower ends of the groups of shares, in percent, and their names.
const BUCKETS: [(u32, &str); 5] = [
    (0, "0-39 %"),
    (40, "40-59 %"),
    (60, "60-79 %"),
    (80, "80-99 %"),
    (100, "100 %"),
];

/// One counted vote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Whether enough agreed.
    pub consensus: bool,
    /// The roles whose votes were cast, and whether each agreed.
    pub votes: Vec<(String, bool)>,
    /// Whether the patch passed its validation; none if it was not validated.
    pub passed: Option<bool>,
    /// Whether a command also passed without the patch, so that passing says little.
    pub is_weak: bool,
}

/// Votes against validations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Counted votes.
    pub decisions: u64,
    /// Validated patches that passed, though the validation passes without them too.
    pub weak: u64,
    /// Passed among the validated, by share of agreeing votes.
    buckets: [Rate; BUCKETS.len()],
    /// The sum of the squared differences between share and outcome.
    squares: f64,
}

impl Calibration {
    /// Counts a vote.
    pub fn count(&mut self, decision: &Decision) {
        self.decisions += 1;
        let cast = decision.votes.len() as u32;
        let Some(passed) = decision.passed.filter(|_| cast > 0) else {
            return;
        };
        let agree = decision.votes.iter().filter(|(_, agrees)| *agrees).count() as u32;
        let is_below = |(low, _): &(u32, &str)| agree * 100 < low * cast;
        let above = BUCKETS.iter().position(is_below).unwrap_or(BUCKETS.len());
        self.buckets[above - 1].count(passed);
        let share = f64::from(agree) / f64::from(cast);
        self.squares += (share - f64::from(u8::from(passed))).powi(2);
        self.weak += u64::from(passed && decision.is_weak);
    }

    /// Passed among the validated.
    pub fn rate(&self) -> Rate {
        let mut sum = Rate::default();
        self.buckets.iter().for_each(|bucket| sum.add(*bucket));
        sum
    }

    /// The pass rate for each group of shares, lowest first, by the name of the group.
    pub fn buckets(&self) -> impl Iterator<Item = (&'static str, Rate)> {
        let names = BUCKETS.iter().map(|(_, name)| *name);
        names.zip(self.buckets.iter().copied())
    }

    /// The Brier score: the mean squared difference between the share of agreeing votes and the outcome (1 passed, 0 failed). 0 is
    /// perfect; always saying one half scores 0.25.
    pub fn brier(&self) -> Option<f64> {
        let cases = self.rate().of;
        (cases > 0).then(|| self.squares / cases as f64)
    }

    /// The score of somebody who knows only how many pass: `p (1 - p)`. Votes that score higher say less than that.
    pub fn brier_of_base_rate(&self) -> Option<f64> {
        self.rate().share().map(|share| share * (1.0 - share))
    }

    /// `{decisions, validated, passed, weak, brier, brier_of_base_rate, is_too_few, too_few_below, buckets: [{agree, hits, of, …}]}`
    pub fn json(&self) -> Value {
        let rate = self.rate();
        let buckets = self.buckets().map(|(name, rate)| {
            let mut json = rate.json();
            json["agree"] = json!(name);
            json
        });
        json!({
            "decisions": self.decisions,
            "validated": rate.of,
            "passed": rate.hits,
            "weak": self.weak,
            "brier": self.brier().map(rounded),
            "brier_of_base_rate": self.brier_of_base_rate().map(rounded),
            "is_too_few": rate.is_too_few(),
            "too_few_below": TOO_FEW,
            "buckets": buckets.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(agree: usize, cast: usize, passed: Option<bool>) -> Decision {
        let votes = (0..cast).map(|at| (format!("role_{at}"), at < agree));
        Decision {
            votes: votes.collect(),
            passed,
            ..Decision::default()
        }
    }

    #[test]
    fn shares_fall_into_their_groups_and_the_score_is_that_of_brier() {
        let mut votes = Calibration::default();
        let cases = [
            (5, 5, Some(true)),
            (4, 5, Some(true)),
            (4, 5, Some(false)),
            (3, 5, Some(false)),
            (2, 3, Some(true)),
            (1, 2, Some(false)),
            (0, 1, Some(false)),
            (5, 5, None),
            (0, 0, Some(true)),
        ];
        for (agree, cast, passed) in cases {
            votes.count(&decision(agree, cast, passed));
        }
        let buckets: Vec<(&str, u64, u64)> = votes
            .buckets()
            .map(|(name, rate)| (name, rate.hits, rate.of))
            .collect();
        assert_eq!(
            buckets,
            [
                ("0-39 %", 0, 1),
                ("40-59 %", 0, 1),
                ("60-79 %", 1, 2),
                ("80-99 %", 1, 2),
                ("100 %", 1, 1)
            ]
        );
        // 0 + 0.04 + 0.64 + 0.36 + 1/9 + 0.25 + 0 = 1.40111 over 7 cases; 3 of 7 pass.
        assert_eq!(votes.brier().map(rounded), Some(0.2002));
        assert_eq!(votes.brier_of_base_rate().map(rounded), Some(0.2449));
        assert_eq!((votes.decisions, votes.rate().of), (9, 7));
        assert_eq!(votes.json()["is_too_few"], true);
    }

    #[test]
    fn a_pass_that_needs_no_patch_is_weak() {
        let mut votes = Calibration::default();
        for passed in [true, false] {
            votes.count(&Decision {
                is_weak: true,
                ..decision(1, 1, Some(passed))
            });
        }
        assert_eq!(votes.weak, 1);
    }
}
