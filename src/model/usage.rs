//! Usage of attempts: tokens and cost, as reported by the agent programs.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{AddAssign, Sub};

/// The usage of one or more attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Cached input tokens.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Output tokens, those of reasoning included.
    pub output_tokens: u64,
    /// US dollars; `None` if neither the program nor a price table states the cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}

impl Usage {
    /// Tokens in both directions: what `--max-tokens` counts.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Whether nothing was used or reported.
    pub fn is_none(&self) -> bool {
        self.tokens() == 0 && self.cost_usd.is_none_or(|cost| cost == 0.0)
    }

    /// Whether anything was reported.
    pub fn is_some(&self) -> bool {
        !self.is_none()
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.cached_input_tokens, other.cached_input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        self.cost_usd = match (self.cost_usd, other.cost_usd) {
            (None, None) => None,
            (one, two) => Some(rounded(one.unwrap_or(0.0) + two.unwrap_or(0.0))),
        };
    }
}

/// The difference of two running totals.
impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        let left = |now: u64, then: u64| now.saturating_sub(then);
        let cost = |now: f64| rounded((now - before.cost_usd.unwrap_or(0.0)).max(0.0));
        Self {
            input_tokens: left(self.input_tokens, before.input_tokens),
            cached_input_tokens: left(self.cached_input_tokens, before.cached_input_tokens),
            output_tokens: left(self.output_tokens, before.output_tokens),
            cost_usd: self.cost_usd.map(cost),
        }
    }
}

/// `12.3k tokens in (4.0k cached), 850 out, $0.42`
impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens in", short(self.input_tokens))?;
        if self.cached_input_tokens > 0 {
            write!(f, " ({} cached)", short(self.cached_input_tokens))?;
        }
        write!(f, ", {} out", short(self.output_tokens))?;
        match self.cost_usd {
            Some(cost) => write!(f, ", {}", dollars(cost)),
            None => Ok(()),
        }
    }
}

/// A count with three or four digits.
pub fn short(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        1000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.1}M", count as f64 / 1e6),
    }
}

/// An amount of money with at least two significant digits.
pub fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "$0".to_owned(),
        ..0.01 => format!("${amount:.4}"),
        ..1.0 => format!("${amount:.3}"),
        _ => format!("${amount:.2}"),
    }
}

/// To a billionth of a dollar: sums of short decimals stay short.
fn rounded(dollars: f64) -> f64 {
    (dollars * 1e9).round() / 1e9
}

/// A conversation that an agent program keeps, so that a later attempt can continue it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// The program's id of it.
    pub id: String,
    /// Its usage so far: some programs report totals of the whole conversation.
    #[serde(default)]
    pub used: Usage,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input_tokens: u64, cost_usd: Option<f64>) -> Usage {
        Usage {
            input_tokens,
            cached_input_tokens: 0,
            output_tokens: 1,
            cost_usd,
        }
    }

    #[test]
    fn sums_keep_known_costs_and_differences_are_never_negative() {
        let mut sum = Usage::default();
        assert!(sum.is_none());
        sum += usage(10, None);
        assert_eq!((sum.tokens(), sum.cost_usd), (11, None));
        for _ in 0..3 {
            sum += usage(u64::MAX, Some(0.1));
        }
        assert_eq!((sum.tokens(), sum.cost_usd), (u64::MAX, Some(0.3)));
        let left = usage(5, Some(0.25)) - usage(3, Some(0.1));
        assert_eq!((left.input_tokens, left.output_tokens), (2, 0));
        assert_eq!(left.cost_usd, Some(0.15));
        assert_eq!((usage(5, None) - usage(9, Some(1.0))), Usage::default());
        assert_eq!(
            (usage(1, Some(1.0)) - usage(1, Some(2.0))).cost_usd,
            Some(0.0)
        );
    }

    #[test]
    fn usage_is_shown_with_few_digits() {
        let usage = Usage {
            input_tokens: 12_345,
            cached_input_tokens: 4_000,
            output_tokens: 850,
            cost_usd: Some(0.4219),
        };
        assert_eq!(
            usage.to_string(),
            "12.3k tokens in (4.0k cached), 850 out, $0.422"
        );
        let plain = Usage {
            cached_input_tokens: 0,
            cost_usd: None,
            input_tokens: 2_500_000,
            ..usage
        };
        assert_eq!(plain.to_string(), "2.5M tokens in, 850 out");
        let amounts = [0.0, 0.00123, 12.0].map(dollars);
        assert_eq!(amounts, ["$0", "$0.0012", "$12.00"]);
    }

    #[test]
    fn json_omits_unknown_costs() {
        let text = serde_json::to_string(&usage(2, None)).expect("JSON");
        assert_eq!(
            text,
            r#"{"input_tokens":2,"cached_input_tokens":0,"output_tokens":1}"#
        );
        let read: Usage =
            serde_json::from_str(r#"{"input_tokens":1,"output_tokens":2,"cost_usd":3}"#)
                .expect("read");
        assert_eq!(read.cost_usd, Some(3.0));
    }
}
