//! When a unit advances: as soon as its rows have verdicts, or together with all other units.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The order of the waves of several units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dispatch {
    /// One wave per unit, as soon as the unit can advance; free slots go to the longest remaining path.
    #[default]
    Rolling,
    /// One wave for all units in the same round; no unit advances before all waves have ended.
    Barrier,
}

impl Dispatch {
    /// Both, the default first.
    pub const ALL: [Dispatch; 2] = [Dispatch::Rolling, Dispatch::Barrier];

    /// The name in options and in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Dispatch::Rolling => "rolling",
            Dispatch::Barrier => "barrier",
        }
    }
}

impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Dispatch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rolling" => Ok(Dispatch::Rolling),
            "barrier" => Ok(Dispatch::Barrier),
            _ => Err("must be rolling or barrier".to_owned()),
        }
    }
}
