//! Identifiers. Each is its own type, so that a unit can never be passed where a row is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! string_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text unchanged.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

string_id! {
    /// A run: UTC compact start time, `20260213T015500Z`, with `-2`, `-3`, … on collision.
    RunId;
    /// One job: a UUID.
    JobId;
    /// A task in flight; the id of its plan item.
    UnitId;
    /// A row of an input or wave CSV (the tool's `item_id`).
    RowId;
    /// A round of the protocol: `proposal`, `critique`, `synthesis`, `vote`, …
    RoundName;
    /// Who answers a row: `proposer`, `critic_a`, …
    Role;
    /// The secret that identifies the attempt of a report.
    ReportToken;
}

impl RowId {
    /// The id as one file name; see [`file_name`].
    pub fn file_name(&self) -> String {
        file_name(&self.0)
    }
}

impl UnitId {
    /// The id as one file name; see [`file_name`].
    pub fn file_name(&self) -> String {
        file_name(&self.0)
    }
}

/// `text` as a file name: letters, digits, `_`, inner dots and inner `-` are kept, every other byte becomes `%XX`.
///
/// Ids come from cells, so they may contain slashes, be `..`, or be too long for a file name.
pub fn file_name(text: &str) -> String {
    const BYTES_MAX: usize = 180;
    let mut name = String::new();
    for (index, byte) in text.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || byte == b'_';
        // A program would take `-x` for an option, and `.x` is hidden.
        if plain || (b".-".contains(&byte) && index > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() > BYTES_MAX {
        name.truncate(BYTES_MAX - 17);
        name.push_str(&format!("-{:016x}", stable_hash(text.as_bytes())));
    }
    name
}

/// FNV-1a: the same on every machine and in every version, which the standard hasher does not guarantee.
fn stable_hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The number of a wave within its run, from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WaveNo(pub u32);

impl fmt::Display for WaveNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ids_make_safe_file_names() {
        assert_eq!(RowId::new("st-1.vote.a_b.2").file_name(), "st-1.vote.a_b.2");
        assert_eq!(RowId::new("../etc").file_name(), "%2E.%2Fetc");
        assert_eq!(RowId::new("-rf").file_name(), "%2Drf");
        assert_eq!(RowId::new("ä").file_name(), "%C3%A4");
        let long = RowId::new("x".repeat(500)).file_name();
        assert!(long.len() <= 180 && long != RowId::new("x".repeat(501)).file_name());
    }
}
