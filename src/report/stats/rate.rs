//! A share of counted cases, with the interval in which the true share may lie.

use serde_json::{Value, json};
use std::fmt;

/// With fewer cases than this, a share says nothing.
pub const TOO_FEW: u64 = 10;
/// The quantile of the normal distribution for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// How many of all cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Those cases.
    pub hits: u64,
    /// All cases.
    pub of: u64,
}

impl Rate {
    /// Counts a case.
    pub fn count(&mut self, is_hit: bool) {
        self.hits += u64::from(is_hit);
        self.of += 1;
    }

    /// Adds the cases of another rate.
    pub fn add(&mut self, other: Self) {
        self.hits += other.hits;
        self.of += other.of;
    }

    /// From 0 to 1; none without cases.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.hits as f64 / self.of as f64)
    }

    /// Whether there are fewer than [`TOO_FEW`] cases.
    pub fn is_too_few(self) -> bool {
        self.of < TOO_FEW
    }

    /// The Wilson score interval of 95 %: from 0 to 1, and of use for few cases and for shares near 0 and 1, where the normal
    /// approximation is not. None without cases.
    pub fn interval(self) -> Option<(f64, f64)> {
        let share = self.share()?;
        let n = self.of as f64;
        let centre = share + Z * Z / (2.0 * n);
        let margin = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        let bound = |value: f64| (value / scale).clamp(0.0, 1.0);
        Some((bound(centre - margin), bound(centre + margin)))
    }

    /// `8/12 67 (39-86)`: in percent, for a narrow column; `2/3 too few`.
    pub fn compact(self) -> String {
        let Rate { hits, of } = self;
        let percent = self.share().zip(self.interval());
        match percent.filter(|_| !self.is_too_few()) {
            None if of == 0 => "-".to_owned(),
            None => format!("{hits}/{of} too few"),
            Some((share, (low, high))) => {
                let [share, low, high] = [share, low, high].map(|one| one * 100.0);
                format!("{hits}/{of} {share:.0} ({low:.0}-{high:.0})")
            }
        }
    }

    /// `{hits, of, share, low, high, is_too_few}`; share and interval are null without cases.
    pub fn json(self) -> Value {
        let (low, high) = self.interval().unzip();
        json!({
            "hits": self.hits, "of": self.of, "share": self.share().map(rounded), "low": low.map(rounded), "high": high.map(rounded),
            "is_too_few": self.is_too_few(),
        })
    }
}

/// `8 of 12: 67 % (39-86)`, `2 of 3: too few`, `-`
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(share), Some((low, high))) = (self.share(), self.interval()) else {
            return f.write_str("-");
        };
        write!(f, "{} of {}: ", self.hits, self.of)?;
        match self.is_too_few() {
            true => f.write_str("too few"),
            false => {
                let [share, low, high] = [share, low, high].map(|one| one * 100.0);
                write!(f, "{share:.0} % ({low:.0}-{high:.0})")
            }
        }
    }
}

/// To four digits behind the point.
pub fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_wilson() {
        let rate = Rate { hits: 8, of: 10 };
        // n = 10, p = 0.8, z = 1.96: centre (0.8 + 0.19207) / 1.38415 = 0.71674, margin 1.96 * sqrt(0.016 + 0.0096036) / 1.38415 = 0.22658.
        let (low, high) = rate.interval().expect("cases");
        assert_eq!((rounded(low), rounded(high)), (0.4902, 0.9433));
        assert_eq!(rate.to_string(), "8 of 10: 80 % (49-94)");
        assert_eq!(rate.compact(), "8/10 80 (49-94)");
        let all = Rate { hits: 10, of: 10 };
        // 1 / (1 + z² / n) at the lower end.
        let (low, high) = all.interval().expect("cases");
        assert_eq!((rounded(low), rounded(high)), (0.7225, 1.0));
    }

    #[test]
    fn few_cases_are_called_too_few() {
        let mut rate = Rate::default();
        assert_eq!((rate.to_string(), rate.interval()), ("-".to_owned(), None));
        rate.count(true);
        rate.count(false);
        assert_eq!(rate.to_string(), "1 of 2: too few");
        assert_eq!(rate.json()["is_too_few"], true);
        rate.add(Rate { hits: 0, of: 8 });
        assert!(!rate.is_too_few());
    }
}
