//! When a limit ends, as written, and its resolution against the current time.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};
use std::time::Duration;

/// A moment that has just passed counts as now: texts round to the minute, and reading them takes time.
const JUST_PASSED_SECONDS: i64 = 90;
/// A time of day that passed no longer ago does not mean tomorrow: the message is old, or a clock is wrong. One row that
/// tries too early costs less than a day of waiting.
const NOT_TOMORROW_SECONDS: i64 = 10 * 60;

/// When a limit ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    /// After this time from now.
    After(Duration),
    /// At this time.
    At(Timestamp),
    /// At a time of day, or on a day.
    Day(Moment),
}

impl Reset {
    /// The moment as of `now`; `None` if it is past. A past time of day means tomorrow, in the zone of `now` unless one is
    /// named.
    pub fn resolve(&self, now: &Zoned) -> Option<Timestamp> {
        let at = match self {
            Self::After(span) => now.timestamp().checked_add(*span).ok()?,
            Self::At(at) => *at,
            Self::Day(moment) => moment.resolve(now)?,
        };
        is_ahead(at, now.timestamp()).then_some(at)
    }
}

/// A moment as written; missing parts are resolved against the current time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    pub(super) day: Option<Day>,
    pub(super) time: Option<Time>,
    pub(super) zone: Option<Zone>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Day {
    Today,
    Tomorrow,
    Weekday(Weekday),
    Date {
        year: Option<i16>,
        month: i8,
        day: i8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    Named(String),
    Minutes(i32),
}

fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.as_second() > now.as_second() - JUST_PASSED_SECONDS
}

impl Moment {
    fn resolve(&self, now: &Zoned) -> Option<Timestamp> {
        let zone = match &self.zone {
            None => now.time_zone().clone(),
            Some(Zone::Named(name)) => TimeZone::get(name).ok()?,
            Some(Zone::Minutes(east)) => Offset::from_seconds(east * 60).ok()?.to_time_zone(),
        };
        let today = now.with_time_zone(zone.clone()).date();
        let at = |day: Date| {
            let time = self.time.unwrap_or(Time::midnight());
            let at = day.to_datetime(time).to_zoned(zone.clone()).ok()?;
            Some(at.timestamp())
        };
        let first = self.first_day(today)?;
        let moment = at(first)?;
        if is_ahead(moment, now.timestamp()) {
            return Some(moment);
        }
        let passed = now.timestamp().as_second() - moment.as_second();
        if self.day.is_none() && passed <= NOT_TOMORROW_SECONDS {
            return None;
        }
        at(self.next_day(first)?)
    }

    fn first_day(&self, today: Date) -> Option<Date> {
        match self.day {
            None | Some(Day::Today) => Some(today),
            Some(Day::Tomorrow) => today.tomorrow().ok(),
            Some(Day::Weekday(day)) => {
                let days = today.weekday().until(day);
                today.checked_add(i64::from(days).days()).ok()
            }
            Some(Day::Date { year, month, day }) => {
                Date::new(year.unwrap_or(today.year()), month, day).ok()
            }
        }
    }

    /// The next day of the same name, if `first` is past.
    fn next_day(&self, first: Date) -> Option<Date> {
        match self.day {
            None | Some(Day::Today) => first.tomorrow().ok(),
            Some(Day::Weekday(_)) => first.checked_add(7.days()).ok(),
            Some(Day::Date { year: None, .. }) => first.checked_add(1.year()).ok(),
            Some(Day::Tomorrow | Day::Date { year: Some(_), .. }) => None,
        }
    }
}
