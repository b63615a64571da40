//! The contract on the sequence numbers of a plan file.
//!
//! The watermark is the largest number so far. A checkpoint repeats the watermark; after the last checkpoint every event
//! rises above the watermark. Collisions before the last checkpoint are accepted, because it replaces the state.

use std::fmt;

/// One record that breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The record, counted from 1 over the lines that are not blank.
    pub record: usize,
    /// The kind of violation.
    pub breach: Breach,
}

/// How a record breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// `seq` is missing or not an integer of at least 0.
    Missing,
    /// A checkpoint whose number is not the watermark.
    NotWatermark {
        /// The checkpoint's number.
        seq: u64,
        /// The watermark just before it.
        watermark: u64,
    },
    /// An event after the last checkpoint that does not rise.
    NotRising {
        /// The event's number.
        seq: u64,
        /// The watermark just before it.
        watermark: u64,
    },
}

/// What kind of record a number belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A change.
    Event,
    /// The whole state.
    Checkpoint,
}

impl Lane {
    /// The spelling in plan files.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Lane::Event => "event",
            Lane::Checkpoint => "checkpoint",
        }
    }
}

/// The number of one record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub lane: Lane,
    /// `None` if it is missing or not a number.
    pub seq: Option<u64>,
    /// Whether it may be missing, as in version 2.
    pub optional: bool,
}

/// The most violations in a message.
const SHOWN_MAX: usize = 3;

impl Violation {
    /// The first three, then how many more.
    pub(super) fn summary(violations: &[Violation]) -> String {
        let shown: Vec<String> = violations
            .iter()
            .take(SHOWN_MAX)
            .map(Violation::to_string)
            .collect();
        let mut summary = shown.join("; ");
        if violations.len() > SHOWN_MAX {
            summary.push_str(&format!(" (+{} more)", violations.len() - SHOWN_MAX));
        }
        summary
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { record, breach } = self;
        match breach {
            Breach::Missing => write!(
                f,
                "record {record}: seq is missing or not an integer of at least 0"
            ),
            Breach::NotWatermark { seq, watermark } => {
                write!(
                    f,
                    "record {record}: checkpoint seq {seq} is not the watermark {watermark}"
                )
            }
            Breach::NotRising { seq, watermark } => {
                write!(
                    f,
                    "record {record}: event seq {seq} does not rise above the watermark {watermark}"
                )
            }
        }
    }
}

/// The largest number, or 0.
pub(super) fn watermark(records: &[Numbered]) -> u64 {
    records
        .iter()
        .filter_map(|record| record.seq)
        .max()
        .unwrap_or(0)
}

/// Every record that breaks the contract, in file order.
pub(super) fn violations(records: &[Numbered]) -> Vec<Violation> {
    let last_checkpoint = records
        .iter()
        .rposition(|record| record.lane == Lane::Checkpoint);
    let mut watermark: Option<u64> = None;
    let mut violations = Vec::new();
    for (at, record) in records.iter().enumerate() {
        let is_settled = last_checkpoint.is_some_and(|last| at < last);
        if let Some(breach) = breach(*record, watermark, is_settled) {
            violations.push(Violation {
                record: at + 1,
                breach,
            });
        }
        watermark = watermark.max(record.seq);
    }
    violations
}

fn breach(record: Numbered, watermark: Option<u64>, is_settled: bool) -> Option<Breach> {
    let Some(seq) = record.seq else {
        return (!record.optional).then_some(Breach::Missing);
    };
    match (record.lane, watermark) {
        (Lane::Checkpoint, watermark) if seq != watermark.unwrap_or(0) => {
            Some(Breach::NotWatermark {
                seq,
                watermark: watermark.unwrap_or(0),
            })
        }
        (Lane::Event, Some(watermark)) if seq <= watermark && !is_settled => {
            Some(Breach::NotRising { seq, watermark })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `e5` is an event of number 5, `c5` a checkpoint, `e?` an event without one.
    fn found(records: &str) -> Vec<String> {
        let record = |text: &str| {
            let (lane, seq) = text.split_at(1);
            let lane = if lane == "c" {
                Lane::Checkpoint
            } else {
                Lane::Event
            };
            Numbered {
                lane,
                seq: seq.parse().ok(),
                optional: false,
            }
        };
        let records: Vec<Numbered> = records.split(' ').map(record).collect();
        violations(&records)
            .iter()
            .map(Violation::to_string)
            .collect()
    }

    #[test]
    fn rising_events_and_repeating_checkpoints_are_fine() {
        for records in ["e0", "e1 e2 e7", "e1 c1", "e1 e2 c2 e3 e9 c9 c9 e10"] {
            assert!(found(records).is_empty(), "{records}");
        }
    }

    #[test]
    fn collisions_count_only_after_the_last_checkpoint() {
        assert!(found("e1 e2 e2 e1 c2 e3").is_empty());
        assert_eq!(
            found("e1 c1 e2 e2"),
            ["record 4: event seq 2 does not rise above the watermark 2"]
        );
        assert_eq!(
            found("e1 e1"),
            ["record 2: event seq 1 does not rise above the watermark 1"]
        );
    }

    #[test]
    fn a_checkpoint_off_the_watermark_and_a_missing_number_are_found_anywhere() {
        assert_eq!(
            found("e3 c2 e? c3"),
            [
                "record 2: checkpoint seq 2 is not the watermark 3",
                "record 3: seq is missing or not an integer of at least 0"
            ]
        );
    }

    #[test]
    fn a_summary_shows_three() {
        let violations: Vec<Violation> = (1..=5)
            .map(|record| Violation {
                record,
                breach: Breach::NotRising {
                    seq: 1,
                    watermark: 1,
                },
            })
            .collect();
        let summary = Violation::summary(&violations);
        assert!(
            summary.starts_with("record 1: event seq 1 ") && summary.ends_with(" 1 (+2 more)"),
            "{summary}"
        );
        assert_eq!(summary.matches("; ").count(), 2);
    }
}
