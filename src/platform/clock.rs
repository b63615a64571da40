//! The only code that reads the clock, and the formats of times.

use crate::model::RunId;
use jiff::{Timestamp, Zoned};

/// The current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The format of the ledger: `2026-02-13T01:55:00.123Z`.
pub fn ledger_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The format of the output CSV: `2026-02-13T01:55:00+00:00`, whole seconds.
pub fn csv_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// Compact UTC, the format of run ids: `20260213T015500Z`.
pub fn run_id(time: Timestamp) -> RunId {
    RunId::new(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// The current time in the local time zone.
pub fn here() -> Zoned {
    Zoned::now()
}

/// For the user: `14:05`, with the day if it is not today, in the zone of `now`.
pub fn time_of_day(time: Timestamp, now: &Zoned) -> String {
    let time = time.to_zoned(now.time_zone().clone());
    match time.date() == now.date() {
        true => time.strftime("%H:%M").to_string(),
        false => time.strftime("%H:%M on %Y-%m-%d").to_string(),
    }
}

/// For a file, independent of place and day of reading: `14:05 UTC on 2026-02-13`.
pub fn utc_time_of_day(time: Timestamp) -> String {
    time.strftime("%H:%M UTC on %Y-%m-%d").to_string()
}

/// Parses the format of [`ledger_time`].
pub fn read(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_the_day_only_where_it_is_another_one() {
        let now: Zoned = "2026-02-13T14:00:00+01:00[Europe/Berlin]"
            .parse()
            .expect("a time");
        let at = |text: &str| time_of_day(text.parse().expect("a time"), &now);
        assert_eq!(at("2026-02-13T13:05:00Z"), "14:05");
        assert_eq!(at("2026-02-13T23:30:00Z"), "00:30 on 2026-02-14");
        let time = "2026-02-13T23:30:00Z".parse().expect("a time");
        assert_eq!(utc_time_of_day(time), "23:30 UTC on 2026-02-13");
        assert_eq!(read(&ledger_time(time)), Some(time));
    }
}
