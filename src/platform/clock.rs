//! The only reader of the clock, and the ways a time is written.

use crate::model::RunId;
use jiff::{Timestamp, Zoned};

/// The current time.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// As the ledger writes it: `2026-02-13T01:55:00.123Z`.
pub fn ledger_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// As the output CSV writes it: `2026-02-13T01:55:00+00:00`, whole seconds.
pub fn csv_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// UTC compact, as run ids are made: `20260213T015500Z`.
pub fn run_id(time: Timestamp) -> RunId {
    RunId::new(time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

/// The current time where the user is.
pub fn here() -> Zoned {
    Zoned::now()
}

/// As a person reads it: `14:05`, with the day where that is not today's, in the zone of `now`.
pub fn time_of_day(time: Timestamp, now: &Zoned) -> String {
    let time = time.to_zoned(now.time_zone().clone());
    match time.date() == now.date() {
        true => time.strftime("%H:%M").to_string(),
        false => time.strftime("%H:%M on %Y-%m-%d").to_string(),
    }
}

/// As a file says it to whoever reads it where and when ever: `14:05 UTC on 2026-02-13`.
pub fn utc_time_of_day(time: Timestamp) -> String {
    time.strftime("%H:%M UTC on %Y-%m-%d").to_string()
}

/// What [`ledger_time`] wrote.
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
