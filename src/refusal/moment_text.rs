//! Reads a moment from a text: "11pm (UTC)", "Oct 9 at 5pm", "2026-12-05T20:19:00Z", `1796000000`.

use super::moment::{Day, Moment, Reset, Zone};
use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};

/// A moment follows one of these markers; of two at the same position the longer one counts.
pub(super) const MOMENT_MARKERS: [&str; 22] = [
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

/// Time zone abbreviations in such texts, in minutes east of Greenwich.
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

/// Reads the moment at the start of `rest`, the text after a marker.
pub(super) fn read_moment(rest: &str) -> Option<Reset> {
    let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || ":=\"'\\|".contains(c));
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (10..=13).contains(&digits) {
        return epoch(&rest[..digits]);
    }
    let mut words = Words { rest };
    let mut found = Moment::default();
    while words.read_word(&mut found).is_some() {}
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

/// The text of a moment, read word by word until one has no meaning.
struct Words<'t> {
    rest: &'t str,
}

impl<'t> Words<'t> {
    /// Reads the next word into `moment`; `None` if it has no meaning.
    fn read_word(&mut self, moment: &mut Moment) -> Option<()> {
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
                // A date is more precise.
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

    /// Reads a time, a date, or a day before the name of a month.
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

    /// Reads the day after the name of a month: ` 9`, ` 14th, 2025`.
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

/// Whether `word` is one of `names`, or an abbreviation of at least three letters.
fn is_name(word: &str, names: &[&str]) -> bool {
    word.len() >= 3 && names.iter().any(|name| name.starts_with(word))
}

/// Reads a number of at most `digits` digits. Returns it with the rest of the text.
fn whole(text: &str, digits: usize) -> Option<(u32, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let is_one = (1..=digits).contains(&length);
    let number = text[..length].parse().ok().filter(|_| is_one)?;
    Some((number, &text[length..]))
}

/// The text after `st`, `nd`, `rd` or `th`.
fn ordinal(text: &str) -> &str {
    let found = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|ending| text.strip_prefix(ending));
    found.unwrap_or(text)
}

/// Reads `2026-10-09`, and a `T` before a time. Returns the rest of the text.
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

/// Reads `3pm`, `3:15 p.m.`, `15:00`, `07:28:00.5`; a number alone is not a time.
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

/// Reads `am`, `PM`, `p.m.`. Returns whether it is the second half of the day, and the rest.
fn half(text: &str) -> Option<(bool, &str)> {
    let lower = text.get(..4).unwrap_or(text).to_ascii_lowercase();
    let found = ["a.m.", "p.m.", "am", "pm"]
        .into_iter()
        .find(|half| lower.starts_with(half))?;
    let after = &text[found.len()..];
    let is_longer_word = after.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!is_longer_word).then(|| (found.starts_with('p'), after))
}

/// Reads `Z`, `+02:00`, `-3`, in minutes. Returns the rest.
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
