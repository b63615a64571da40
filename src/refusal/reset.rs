//! Until when a limit holds, as people and machines write it.
//!
//! A span after a marker ("Please retry in 34.07s", `"retry_after_ms": 1500`, "try again in 3 days 4 hours"), a number of
//! seconds since 1970 (`reached|1760000000`, `"resets_at": 1760000000`), or a time of day with or without a day and a zone
//! ("resets 11pm (UTC)", "resets Oct 9 at 5pm", "try again at Jul 5th, 2026 8:19 PM", "resets at 10:57 PM GMT-3"). Where a
//! text names several, the last one is the newest.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan, Zoned};
use std::time::Duration;

/// A moment that has just passed is now: texts round to the minute, and so does reading them take its time.
const JUST_PASSED_SECONDS: i64 = 90;
/// A time of day without a day that passed no longer ago is not meant for tomorrow: the message is as old as that, or a
/// clock is wrong. One row that asks too early costs less than a day.
const NOT_TOMORROW_SECONDS: i64 = 10 * 60;
/// No span is longer; more than that is a mistake.
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// "Retrying in 5s" is what a program does by itself; so long it waits for a service.
const OWN_RETRY_SECONDS_MAX: f64 = 60.0;

/// After these comes a span.
const SPAN_MARKERS: [&str; 21] = [
    "retry-after",
    "retry_after",
    "retry after",
    "retryafter",
    "retry in",
    "retrying in",
    "retrydelay",
    "try again in",
    "try again after",
    "please wait",
    "available in",
    "reset after",
    "reset in",
    "resets in",
    "reset_in",
    "resets_in",
    "reset-after",
    "resetsin",
    "resetin",
    "reset-requests",
    "reset-tokens",
];

/// After these comes a moment; of two at one place the longer one counts.
const MOMENT_MARKERS: [&str; 22] = [
    "resets_at",
    "reset_at",
    "resetsat",
    "resetat",
    "resettimestamp",
    "reset time",
    "resets at",
    "reset at",
    "resets on",
    "reset on",
    "resets",
    "reset",
    "try again",
    "wait until",
    "try again at",
    "try again on",
    "try again after",
    "retry at",
    "available again at",
    "available at",
    "retry-after",
    "reached|",
];

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Abbreviations that are met in such texts, in minutes east of Greenwich.
const ZONES: [(&str, i32); 16] = [
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("bst", 60),
    ("cet", 60),
    ("cest", 120),
    ("ist", 330),
    ("jst", 540),
];

/// Until when a limit holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reset {
    /// For so long from now on.
    After(Duration),
    /// Until then.
    At(Timestamp),
    /// Until a time of day, or a day.
    Day(Moment),
}

/// A moment as it was written, with gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    day: Option<Day>,
    time: Option<Time>,
    zone: Option<Zone>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Day {
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
enum Zone {
    Named(String),
    Minutes(i32),
}

impl Reset {
    /// The last one that `text` names.
    pub fn find(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let spans = SPAN_MARKERS.iter().flat_map(|marker| {
            let said = |(at, _): (usize, &str)| {
                let seconds = span(&lower[at + marker.len()..])?;
                let is_own = *marker == "retrying in" && seconds < OWN_RETRY_SECONDS_MAX;
                let span = Duration::try_from_secs_f64(seconds).unwrap_or(SPAN_MAX);
                (!is_own).then(|| (at, marker.len(), Self::After(span.min(SPAN_MAX))))
            };
            lower.match_indices(marker).filter_map(said)
        });
        let moments = MOMENT_MARKERS.iter().flat_map(|marker| {
            let said = |(at, _): (usize, &str)| {
                Some((at, marker.len(), moment(&text[at + marker.len()..])?))
            };
            lower.match_indices(marker).filter_map(said)
        });
        let last = spans
            .chain(moments)
            .max_by_key(|(at, length, _)| (*at, *length));
        last.map(|(.., reset)| reset)
    }

    /// The moment, seen from `now`; nothing where it is past. A time of day that is past is meant for tomorrow, where no
    /// zone is named in that of `now`.
    pub fn resolve(&self, now: &Zoned) -> Option<Timestamp> {
        let at = match self {
            Self::After(span) => now.timestamp().checked_add(*span).ok()?,
            Self::At(at) => *at,
            Self::Day(moment) => moment.resolve(now)?,
        };
        is_ahead(at, now.timestamp()).then_some(at)
    }
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

    /// The day that is meant when `first` is past: the next one of that name.
    fn next_day(&self, first: Date) -> Option<Date> {
        match self.day {
            None | Some(Day::Today) => first.tomorrow().ok(),
            Some(Day::Weekday(_)) => first.checked_add(7.days()).ok(),
            Some(Day::Date { year: None, .. }) => first.checked_add(1.year()).ok(),
            Some(Day::Tomorrow | Day::Date { year: Some(_), .. }) => None,
        }
    }
}

/// The seconds that `rest`, the lower-case text after a marker, begins with. A bare number counts only after a colon or an
/// equals sign.
fn span(rest: &str) -> Option<f64> {
    let (rest, bare_unit) = key_unit(rest);
    let value = rest.trim_start_matches(|c| " \t:=\"'\\~".contains(c));
    let is_key = rest[..rest.len() - value.len()].contains([':', '=']);
    let value = ["about ", "approximately ", "for "]
        .iter()
        .find_map(|filler| value.strip_prefix(filler))
        .unwrap_or(value);
    let bare = || {
        number(value)
            .filter(|_| is_key)
            .map(|(number, _)| number * bare_unit)
    };
    spans(value).or_else(bare)
}

/// What a key may say about its unit: `retry_after_ms`, `resets_in_seconds`.
fn key_unit(rest: &str) -> (&str, f64) {
    let named = [
        ("ms", 0.001),
        ("seconds", 1.0),
        ("secs", 1.0),
        ("minutes", 60.0),
    ];
    let bare = rest.trim_start_matches(['_', '-']);
    let found = named
        .iter()
        .find_map(|(name, unit)| Some((bare.strip_prefix(name)?, *unit)));
    found.unwrap_or((rest, 1.0))
}

/// `12 seconds`, `6m0s`, `3 days 4 hours 51 minutes`; nothing when the first number has no unit.
fn spans(text: &str) -> Option<f64> {
    let span = |text| {
        let (number, rest) = number(text)?;
        let rest = rest.trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        Some((number * unit(&rest[..end])?, &rest[end..]))
    };
    let (mut seconds, mut rest) = span(text)?;
    loop {
        let next = rest.trim_start_matches([' ', ',', '\n', '\r']);
        let next = next.strip_prefix("and ").unwrap_or(next);
        match span(next) {
            Some((more, after)) => (seconds, rest) = (seconds + more, after),
            None => return Some(seconds),
        }
    }
}

fn number(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let digits = text[..end].trim_end_matches('.');
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
    Some((
        digits.parse().ok().filter(|_| is_number)?,
        &text[digits.len()..],
    ))
}

fn unit(word: &str) -> Option<f64> {
    match word {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Some(0.001),
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1.0),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60.0),
        "h" | "hr" | "hrs" | "hour" | "hours" => Some(3600.0),
        "d" | "day" | "days" => Some(86_400.0),
        "w" | "week" | "weeks" => Some(604_800.0),
        _ => None,
    }
}

/// The moment that `rest`, the text after a marker, begins with.
fn moment(rest: &str) -> Option<Reset> {
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || ":=\"'\\|".contains(c));
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (10..=13).contains(&digits) {
        return epoch(&rest[..digits]);
    }
    let mut words = Words { rest };
    let mut found = Moment::default();
    while words.take_into(&mut found).is_some() {}
    let is_some = found.time.is_some() || found.day.is_some();
    is_some.then_some(Reset::Day(found))
}

/// Seconds or milliseconds since 1970.
fn epoch(digits: &str) -> Option<Reset> {
    let number: i64 = digits.parse().ok()?;
    let at = match digits.len() {
        13 => Timestamp::from_millisecond(number),
        10 => Timestamp::from_second(number),
        _ => return None,
    };
    at.ok().map(Reset::At)
}

/// The text of a moment, eaten from the left until a word means nothing.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    /// Eats one part into `moment`; nothing where the next word is none.
    fn take_into(&mut self, moment: &mut Moment) -> Option<()> {
        let is_gap = |c: char| c.is_whitespace() || ",(\"'·∙".contains(c);
        self.rest = self.rest.trim_start_matches(is_gap);
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.number(moment);
        }
        let word = self.word()?;
        let lower = word.to_ascii_lowercase();
        let rest = &self.rest[word.len()..];
        let stem = lower.get(..3).unwrap_or(&lower);
        match lower.as_str() {
            "at" | "on" | "by" | "the" | "of" | "t" => {}
            "today" => moment.day = Some(Day::Today),
            "tomorrow" => moment.day = Some(Day::Tomorrow),
            "noon" => moment.time = Time::new(12, 0, 0, 0).ok(),
            "midnight" => moment.time = Some(Time::midnight()),
            _ if is_name(&lower, &MONTH_NAMES) => {
                let month = MONTHS.iter().position(|month| *month == stem)? as i8 + 1;
                self.rest = rest;
                return self.day_of(month, moment);
            }
            _ if is_name(&lower, &WEEKDAY_NAMES) => {
                let day = WEEKDAYS.iter().find(|(name, _)| *name == stem)?.1;
                // A date says more.
                moment.day.get_or_insert(Day::Weekday(day));
            }
            _ => {
                moment.zone = Some(self.zone(word, &lower)?);
                return Some(());
            }
        }
        self.rest = rest;
        Some(())
    }

    fn word(&self) -> Option<&'t str> {
        let is_word = |c: char| c.is_ascii_alphabetic() || "/_".contains(c);
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        (end > 0).then(|| &self.rest[..end])
    }

    /// A time, a date, or the day of a month that follows.
    fn number(&mut self, moment: &mut Moment) -> Option<()> {
        if let Some((date, after)) = iso_date(self.rest) {
            self.rest = after;
            moment.day = Some(date);
            return Some(());
        }
        if let Some((time, after)) = clock(self.rest) {
            self.rest = after;
            moment.time = Some(time);
            if let Some((minutes, after)) = offset(after.trim_start_matches(' ')) {
                (moment.zone, self.rest) = (Some(Zone::Minutes(minutes)), after);
            }
            return Some(());
        }
        // `9 Oct`, `21 Oct 2026`.
        let (day, after) = whole(self.rest, 2)?;
        let mut next = Words {
            rest: ordinal(after).trim_start_matches([' ', '-']),
        };
        let name = next.word()?.to_ascii_lowercase();
        let stem = name.get(..3)?;
        let month = MONTHS.iter().position(|month| *month == stem)? as i8 + 1;
        next.rest = &next.rest[name.len()..];
        let year = next.year();
        moment.day = Some(Day::Date {
            year,
            month,
            day: i8::try_from(day).ok()?,
        });
        self.rest = next.rest;
        Some(())
    }

    /// What follows the name of a month: ` 9`, ` 14th, 2025`.
    fn day_of(&mut self, month: i8, moment: &mut Moment) -> Option<()> {
        let rest = self.rest.trim_start_matches(['.', ' ']);
        let (day, after) = whole(rest, 2)?;
        self.rest = ordinal(after);
        let year = self.year();
        moment.day = Some(Day::Date {
            year,
            month,
            day: i8::try_from(day).ok()?,
        });
        Some(())
    }

    fn year(&mut self) -> Option<i16> {
        let rest = self.rest.trim_start_matches([',', ' ', '-']);
        let (year, after) = whole(rest, 4)?;
        if !(2000..3000).contains(&year) || after.starts_with(':') {
            return None;
        }
        self.rest = after;
        i16::try_from(year).ok()
    }

    /// `UTC`, `GMT-3`, `America/New_York`, `PST`.
    fn zone(&mut self, word: &'t str, lower: &str) -> Option<Zone> {
        let after = &self.rest[word.len()..];
        if word.contains('/') {
            // `Etc/GMT+3`, `America/Port-au-Prince`.
            let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+-".contains(c);
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            let name = self.rest[..end].to_owned();
            self.rest = &self.rest[end..];
            return Some(Zone::Named(name));
        }
        let minutes = ZONES.iter().find(|(name, _)| *name == lower)?.1;
        let (shift, after) = offset(after).unwrap_or((0, after));
        self.rest = after;
        Some(Zone::Minutes(minutes + shift))
    }
}

const MONTH_NAMES: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAY_NAMES: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Whether `word` is one of `names`, or the first three letters or more of it.
fn is_name(word: &str, names: &[&str]) -> bool {
    word.len() >= 3 && names.iter().any(|name| name.starts_with(word))
}

/// A number of at most `digits` digits, and what follows it.
fn whole(text: &str, digits: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_one = (1..=digits).contains(&length);
    let number = text[..length].parse().ok().filter(|_| is_one)?;
    Some((number, &text[length..]))
}

/// What follows `st`, `nd`, `rd` or `th`.
fn ordinal(text: &str) -> &str {
    let found = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|ending| text.strip_prefix(ending));
    found.unwrap_or(text)
}

/// `2026-10-09`, and what follows it without the `T`.
fn iso_date(text: &str) -> Option<(Day, &str)> {
    let date: Date = text.get(..10)?.parse().ok()?;
    let after = &text[10..];
    let day = Day::Date {
        year: Some(date.year()),
        month: date.month(),
        day: date.day(),
    };
    let is_time = after.starts_with('T') && after[1..].starts_with(|c: char| c.is_ascii_digit());
    Some((day, if is_time { &after[1..] } else { after }))
}

/// `3pm`, `3:15 p.m.`, `15:00`, `07:28:00.5`; a bare number is none.
fn clock(text: &str) -> Option<(Time, &str)> {
    let (hour, mut rest) = whole(text, 2)?;
    let (mut minute, mut second) = (None, 0);
    if let Some((found, after)) = rest.strip_prefix(':').and_then(|rest| whole(rest, 2)) {
        (minute, rest) = (Some(found), after);
        if let Some((found, after)) = rest.strip_prefix(':').and_then(|rest| whole(rest, 2)) {
            (second, rest) = (found, after);
            let fraction = after.strip_prefix('.').map(|after| whole(after, 9));
            if let Some(Some((_, after))) = fraction {
                rest = after;
            }
        }
    }
    let hour = match half(rest.trim_start()) {
        Some((_, _)) if !(1..=12).contains(&hour) => return None,
        Some((is_pm, after)) => {
            rest = after;
            hour % 12 + if is_pm { 12 } else { 0 }
        }
        None => {
            minute?;
            hour
        }
    };
    let part = |number: u32| i8::try_from(number).ok();
    let time = Time::new(part(hour)?, part(minute.unwrap_or(0))?, part(second)?, 0);
    Some((time.ok()?, rest))
}

/// `am`, `PM`, `p.m.`: whether it is the second half of the day, and what follows.
fn half(text: &str) -> Option<(bool, &str)> {
    let lower = text.get(..4).unwrap_or(text).to_ascii_lowercase();
    let found = ["a.m.", "p.m.", "am", "pm"]
        .into_iter()
        .find(|half| lower.starts_with(half))?;
    let after = &text[found.len()..];
    let goes_on = after.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!goes_on).then(|| (found.starts_with('p'), after))
}

/// `Z`, `+02:00`, `-3`, in minutes, and what follows.
fn offset(text: &str) -> Option<(i32, &str)> {
    if let Some(after) = text.strip_prefix('Z') {
        return Some((0, after));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' | '−' => -1,
        _ => return None,
    };
    let digits = text.trim_start_matches(['+', '-', '−']);
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let number: i32 = digits[..length].parse().ok()?;
    let after = &digits[length..];
    let (minutes, after) = match length {
        1 | 2 => match after.strip_prefix(':').and_then(|after| whole(after, 2)) {
            Some((minutes, after)) => (number * 60 + minutes as i32, after),
            None => (number * 60, after),
        },
        4 => (number / 100 * 60 + number % 100, after),
        _ => return None,
    };
    (minutes < 24 * 60).then_some((sign * minutes, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Sunday.
    fn now(text: &str) -> Zoned {
        text.parse().expect("a time")
    }

    fn resolved(text: &str) -> Option<String> {
        let at = Reset::find(text)?.resolve(&now("2026-11-29T14:30:00+01:00[Europe/Berlin]"))?;
        Some(at.to_string())
    }

    #[test]
    fn the_time_to_wait_is_found() {
        for (text, ms) in [
            ("Retry-After: 12", 12_000),
            ("retry-after: 12 date: Mon", 12_000),
            ("retry-after: 0\nx-request-id: 7", 0),
            ("'retry-after': '1.5'", 1_500),
            ("retry-after-ms: 1500", 1_500),
            (r#"{"retry_after_ms": 1500}"#, 1_500),
            (r#"{\"retryAfterMs\":1500}"#, 1_500),
            (r#"{"retry_after": 2.5}"#, 2_500),
            ("retry_after_seconds=3", 3_000),
            (r#"\"retryDelay\": \"34.074824224s\""#, 34_074),
            ("retryDelayMs: 5000", 5_000),
            (r#""resets_in_seconds":90}"#, 90_000),
            ("please retry after 12 seconds", 12_000),
            ("Please retry in 34.07s.", 34_070),
            ("Retry in 30s", 30_000),
            ("Please try again in 28ms.", 28),
            ("Please try again in 6m0s", 360_000),
            ("try again in 1h2m3s", 3_723_000),
            ("Try again in 1 minute, 5 seconds", 65_000),
            ("or try again in 3 hours 2 minutes.", 10_920_000),
            ("try again in 3 days 4 hours 51 minutes", 276_660_000),
            ("try again in 2 days, 3 hours and 5 minutes", 183_900_000),
            ("try again in 5 days 22 hours 11\nminutes.", 511_860_000),
            ("Your quota will reset after 12h34m16s.", 45_256_000),
            ("session limit reached – resets in 2 hours", 7_200_000),
            ("subscribe to Go retrying in 6h16m - attempt #1", 22_560_000),
            (
                "Your quota will reset after 5s.. Retrying after 6173ms...",
                5_000,
            ),
            ("try again in 20s. 3 retries left", 20_000),
            ("try again in 1h23m45s", 5_025_000),
            ("resets in 2 days", 172_800_000),
            ("resets in 2d 4h", 187_200_000),
            ("x-ratelimit-reset-requests: 6m0s", 360_000),
            ("Please wait 30 seconds.", 30_000),
            (
                "Please wait a moment, try again in about 2 hours",
                7_200_000,
            ),
            // The last one is the newest.
            ("try again in 4s\nretry-after: 9\ntry again in 7s", 7_000),
            ("try again in 4s\nretry-after: soon", 4_000),
        ] {
            let found = Reset::find(text);
            let Some(Reset::After(found)) = found else {
                panic!("{text}: {found:?}");
            };
            assert_eq!(found.as_millis(), ms, "{text}");
        }
        let long = format!("retry-after: {}", "9".repeat(400));
        assert_eq!(Reset::find(&long), Some(Reset::After(SPAN_MAX)));
    }

    #[test]
    fn what_is_no_time_is_passed_over() {
        for text in [
            "",
            "retry after 12 attempts",
            "retry after 12",
            "retry-after: -5",
            "retry-after: .5",
            "try again in a few minutes",
            "try again in 5 parsecs",
            "Retrying after 6173ms...",
            "Retrying in 5s",
            "retry_after_header: 5",
            "retry-after: 1.2.3",
            "retry-after:",
            "resets every 5h",
            "reset to 3",
            "resets 25:00",
            "resets 13pm",
            "resets 3",
            "resets Oct",
            "resets Oct 45 at 5pm",
            "resets 3pm (Mars/Olympus)",
            "usage limit reached|12345",
        ] {
            assert_eq!(resolved(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_is_found_with_its_day_and_zone() {
        for (text, at) in [
            ("resets 11pm (UTC)", "2026-11-29T23:00:00Z"),
            ("resets 3pm", "2026-11-29T14:00:00Z"),
            ("resets 15:45", "2026-11-29T14:45:00Z"),
            ("resets 8:30pm (Asia/Tokyo)", "2026-11-30T11:30:00Z"),
            (
                "Your limit will reset at 3pm (America/New_York).",
                "2026-11-29T20:00:00Z",
            ),
            (
                "resets 12:50am (America/Los_Angeles)",
                "2026-11-30T08:50:00Z",
            ),
            ("resets 12pm (UTC)", "2026-11-30T12:00:00Z"),
            // Past, so tomorrow.
            ("resets 2pm", "2026-11-30T13:00:00Z"),
            // Just past.
            ("resets 14:29", "2026-11-29T13:29:00Z"),
            ("resets Dec 9 at 5pm", "2026-12-09T16:00:00Z"),
            ("resets Dec 9, 5pm (UTC)", "2026-12-09T17:00:00Z"),
            ("resets Jan 2 at 9am", "2027-01-02T08:00:00Z"),
            ("resets Dec 1", "2026-11-30T23:00:00Z"),
            ("resets 9 December 17:00 UTC", "2026-12-09T17:00:00Z"),
            ("resets Mon 9am", "2026-11-30T08:00:00Z"),
            ("resets Sunday at 9am", "2026-12-06T08:00:00Z"),
            ("resets on Sunday at 9pm", "2026-11-29T20:00:00Z"),
            ("resets tomorrow at noon", "2026-11-30T11:00:00Z"),
            ("try again at 5:12 PM.", "2026-11-29T16:12:00Z"),
            ("try again at 5:12\u{202f}PM.", "2026-11-29T16:12:00Z"),
            (
                "try again at Jul 5th, 2027 8:19 PM.",
                "2027-07-05T18:19:00Z",
            ),
            ("Access resets at 10:57 PM GMT-3.", "2026-11-30T01:57:00Z"),
            ("resets at 10:57 p.m. UTC+05:30", "2026-11-29T17:27:00Z"),
            ("resets 9am PST", "2026-11-29T17:00:00Z"),
            ("try again at 2026-12-05T20:19:00Z", "2026-12-05T20:19:00Z"),
            (
                r#""resets_at":"2026-12-05 20:19:00+02:00""#,
                "2026-12-05T18:19:00Z",
            ),
            (
                r#""quotaResetTimeStamp": "2026-12-05T20:19:00.123Z""#,
                "2026-12-05T20:19:00Z",
            ),
            (
                "Retry-After: Wed, 02 Dec 2026 07:28:00 GMT",
                "2026-12-02T07:28:00Z",
            ),
            ("resets Dec 5 at 9am", "2026-12-05T08:00:00Z"),
            ("resets Oct 5 at 9am (UTC)", "2027-10-05T09:00:00Z"),
            (
                "resets at 11:30pm (America/New_York)",
                "2026-11-30T04:30:00Z",
            ),
            (
                "Daily limit reached. Try again tomorrow at 9am (UTC).",
                "2026-11-30T09:00:00Z",
            ),
            ("Try again tomorrow.", "2026-11-29T23:00:00Z"),
            ("please wait until 15:45", "2026-11-29T14:45:00Z"),
            ("x-ratelimit-reset: 1796000000", "2026-11-30T00:53:20Z"),
            (
                "anthropic-ratelimit-requests-reset: 2026-12-05T20:19:00Z",
                "2026-12-05T20:19:00Z",
            ),
            ("resets 1pm", "2026-11-30T12:00:00Z"),
            // It is half past two in Berlin.
            ("resets 2:29pm", "2026-11-29T13:29:00Z"),
            ("usage limit reached|1796000000", "2026-11-30T00:53:20Z"),
            (r#"{"resets_at":1796000000}"#, "2026-11-30T00:53:20Z"),
            (r#"{"resetsAt": 1796000000000}"#, "2026-11-30T00:53:20Z"),
        ] {
            assert_eq!(resolved(text).as_deref(), Some(at), "{text}");
        }
    }

    #[test]
    fn what_is_past_for_good_is_unknown() {
        for text in [
            "Claude AI usage limit reached|1760000000",
            "try again at Oct 14th, 2025 8:53 AM.",
            "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT",
            "resets 2:25pm",
        ] {
            assert!(Reset::find(text).is_some(), "{text}");
            assert_eq!(resolved(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_that_is_set_does_not_shift_a_reset() {
        let at = |text: &str, from: &str| {
            let at = Reset::find(text).and_then(|reset| reset.resolve(&now(from)));
            at.map(|at| at.to_string())
        };
        // In the night to 2026-10-25 the hour from two to three comes twice in Berlin.
        let evening = "2026-10-24T22:00:00+02:00[Europe/Berlin]";
        assert_eq!(
            at("resets 9am", evening).as_deref(),
            Some("2026-10-25T08:00:00Z")
        );
        assert_eq!(
            at(
                "resets 9am (America/New_York)",
                "2026-03-07T20:00:00-05:00[America/New_York]"
            )
            .as_deref(),
            Some("2026-03-08T13:00:00Z")
        );
    }
}
