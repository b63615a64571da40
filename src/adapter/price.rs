//! Prices of models, from `mesh.yaml`, for programs that report tokens but no cost.

use crate::model::Usage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The entry for every model without its own.
const ANY: &str = "*";

/// US dollars per million tokens of one model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input tokens.
    pub input: f64,
    /// Cached input tokens; by default as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<f64>,
    /// Output tokens.
    pub output: f64,
}

/// Model -> price.
pub type Prices = BTreeMap<String, Price>;

impl Price {
    /// Adds the cost to a usage without one.
    pub fn applied(self, mut usage: Usage) -> Usage {
        let cached = usage.cached_input_tokens.min(usage.input_tokens);
        let dollars = (usage.input_tokens - cached) as f64 * self.input
            + cached as f64 * self.cached_input.unwrap_or(self.input)
            + usage.output_tokens as f64 * self.output;
        usage.cost_usd.get_or_insert(dollars / 1e6);
        usage
    }

    /// Whether its numbers are valid prices.
    pub fn is_sound(&self) -> bool {
        let all = [Some(self.input), self.cached_input, Some(self.output)];
        all.into_iter()
            .flatten()
            .all(|price| price.is_finite() && price >= 0.0)
    }
}

/// The price of a model; without a name, the default price.
pub(super) fn find(prices: &Prices, model: Option<&str>) -> Option<Price> {
    let own = model.and_then(|model| prices.get(model));
    own.or_else(|| prices.get(ANY)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_tokens_have_their_own_price_and_a_reported_cost_is_kept() {
        let price = Price {
            input: 2.0,
            cached_input: Some(0.2),
            output: 10.0,
        };
        let usage = Usage {
            input_tokens: 1_000_000,
            cached_input_tokens: 400_000,
            output_tokens: 100_000,
            cost_usd: None,
        };
        let cost = price.applied(usage).cost_usd.expect("a cost");
        assert!((cost - (1.2 + 0.08 + 1.0)).abs() < 1e-9, "{cost}");
        let said = Usage {
            cost_usd: Some(7.0),
            ..usage
        };
        assert_eq!(price.applied(said).cost_usd, Some(7.0));
        let flat = Price {
            cached_input: None,
            ..price
        };
        assert_eq!(flat.applied(usage).cost_usd, Some(3.0));
    }

    #[test]
    fn a_model_without_an_entry_has_the_default_price() {
        let price = |input| Price {
            input,
            cached_input: None,
            output: 0.0,
        };
        let prices = Prices::from([("a".to_owned(), price(1.0)), ("*".to_owned(), price(2.0))]);
        let input = |model| find(&prices, model).map(|price| price.input);
        assert_eq!(
            (input(Some("a")), input(Some("b")), input(None)),
            (Some(1.0), Some(2.0), Some(2.0))
        );
        assert_eq!(find(&Prices::new(), Some("a")), None);
        assert!(!price(f64::NAN).is_sound() && !price(-1.0).is_sound() && price(0.0).is_sound());
    }
}
