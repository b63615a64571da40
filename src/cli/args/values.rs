//! Parsers of option values, and the options that locate runs.

use crate::cli::context::Context;
use crate::model::RunId;
use crate::platform::look;
use crate::run::{RunError, RunFolder};
use crate::table;
use crate::table::delimiter;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

pub fn at_least_one(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

/// Validations at once: each has a copy of the tree.
pub fn up_to_256(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number @ 1..=256) => Ok(number),
        Ok(_) => Err("must be from 1 to 256".to_owned()),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

pub fn dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if dollars.is_finite() && dollars > 0.0 => Ok(dollars),
        _ => Err("must be a number of dollars above 0".to_owned()),
    }
}

pub fn not_negative_dollars(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(dollars) if (0.0..=1e9).contains(&dollars) => Ok(dollars),
        _ => Err("must be an amount, such as 0.12".to_owned()),
    }
}

/// From 1 to 100 million: a simulation keeps a bit for each row.
pub fn simulated_rows(text: &str) -> Result<u64, String> {
    within(text, 1..=100_000_000, "")
}

/// From 1 to 100,000.
pub fn simulated_nodes(text: &str) -> Result<u64, String> {
    within(text, 1..=100_000, "")
}

/// Seconds of a row, up to 31 years.
pub fn row_seconds(text: &str) -> Result<u64, String> {
    within(text, 0..=1_000_000_000, "of seconds ")
}

fn within(text: &str, range: RangeInclusive<u64>, unit: &str) -> Result<u64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (first, last) = range.into_inner();
            format!("must be a whole number {unit}from {first} to {last}")
        })
}

/// Tasks each second.
pub fn start_rate(text: &str) -> Result<f64, String> {
    within_rates(text, 0.001..=1e6, "a number of tasks each second, ")
}

/// Failures of a node each hour.
pub fn failure_rate(text: &str) -> Result<f64, String> {
    within_rates(text, 0.0..=60.0, "a number of failures each hour, ")
}

/// Sigma of the logarithm of durations.
pub fn row_spread(text: &str) -> Result<f64, String> {
    within_rates(text, 0.0..=3.0, "")
}

fn within_rates(text: &str, range: RangeInclusive<f64>, what: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    number
        .filter(|number| range.contains(number))
        .ok_or_else(|| {
            let (first, last) = range.into_inner();
            format!("must be {what}from {first} to {last}")
        })
}

/// `1048576`, `512M`, `4G`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let expected = || "must be a number of bytes, or one with a unit: 512K, 512M or 4G".to_owned();
    let (number, shift) = match text.strip_suffix(['K', 'M', 'G']) {
        Some(number) if text.ends_with('K') => (number, 10),
        Some(number) if text.ends_with('M') => (number, 20),
        Some(number) => (number, 30),
        None => (text, 0),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

/// `90s`, `15m`, `12h`, `30d`, `2w`.
pub fn age(text: &str) -> Result<Duration, String> {
    let expected = || "must be a number and a unit: 90s, 15m, 12h, 30d or 2w".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(expected()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Age(Duration),
    /// At this time.
    Time(Timestamp),
}

impl Since {
    /// The time, as of `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Age(age) => now.checked_sub(age).unwrap_or(Timestamp::MIN),
            Self::Time(time) => time,
        }
    }
}

/// An [`age`], or a date or time of RFC 3339: `2026-02-13`, `2026-02-13T01:55:00Z`.
pub fn since(text: &str) -> Result<Since, String> {
    if let Ok(age) = age(text) {
        return Ok(Since::Age(age));
    }
    let time = text.parse().ok();
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = time.or_else(|| day().map(|day| day.timestamp()));
    time.map(Since::Time).ok_or_else(|| {
        "must be an age, such as 30d or 12h, or a date or time, such as 2026-02-13 or 2026-02-13T01:55:00Z"
            .to_owned()
    })
}

pub fn separator(text: &str) -> Result<char, String> {
    let expected = "must be one ASCII character, or tab, comma, semicolon, pipe or space";
    delimiter::named(text).ok_or_else(|| expected.to_owned())
}

pub fn encoding(text: &str) -> Result<String, String> {
    let unknown =
        "unknown encoding; examples: windows-1252, iso-8859-15, utf-16le, shift_jis, macintosh";
    let encoding = table::encoding_named(text.trim()).ok_or(unknown)?;
    Ok(encoding.name().to_ascii_lowercase())
}

pub fn variable(text: &str) -> Result<String, String> {
    match text {
        "" => Err("must be the name of a variable".to_owned()),
        text if text.contains('=') => {
            Err("must be a name only; the value comes from the environment".to_owned())
        }
        text => Ok(text.to_owned()),
    }
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("must be OLD=NEW".to_owned()),
    }
}

/// Where runs are kept.
#[derive(Clone, Debug, Default, Args)]
pub struct RunHomeArgs {
    /// Folder of runs [default: $MESH_HOME, else mesh in the user's state folder]
    #[arg(long, value_name = "DIR", help_heading = None::<&'static str>)]
    pub artifacts: Option<PathBuf>,
    /// Id of the new run [default: the time, as 20260213T015500Z]
    #[arg(long, value_name = "ID", hide = true)]
    pub run_id: Option<String>,
}

/// An existing run.
#[derive(Clone, Debug, Args)]
pub struct OneRun {
    /// The run, as listed by `mesh runs list`
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    pub home: RunHomeArgs,
}

impl RunHomeArgs {
    /// The folder of runs.
    pub fn folder(&self, context: &Context) -> Result<PathBuf, RunError> {
        match &self.artifacts {
            Some(folder) => Ok(context.folder.join(folder)),
            None => crate::run::home(),
        }
    }

    /// Creates the folder of a new run.
    pub fn create_run(&self, context: &Context) -> Result<RunFolder, RunError> {
        let id = self.run_id.clone().map(RunId::new);
        RunFolder::create(&self.folder(context)?, id.as_ref())
    }
}

impl OneRun {
    /// Finds the folder of the run.
    pub fn find(&self, context: &Context) -> Result<RunFolder, RunError> {
        RunFolder::find(&self.home.folder(context)?, &RunId::new(self.run.clone()))
    }

    /// The folder of the run, which may be given itself, also one from another machine.
    pub fn path(&self, context: &Context) -> Result<PathBuf, RunError> {
        let given = context.folder.join(&self.run);
        let there = look::reach(&given).map_err(RunError::io(&given))?;
        match there.is_some_and(|there| there.is_dir()) {
            true => Ok(given),
            false => Ok(self.find(context)?.path().to_owned()),
        }
    }
}
