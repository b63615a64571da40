//! A cell as text: the value as people read it, not its format.

use calamine::{Data, ExcelDateTime};
use jiff::SignedDuration;

/// The text of a cell; the error that it shows if its formula failed.
pub fn of(value: &Data) -> Result<String, String> {
    match value {
        Data::Empty => Ok(String::new()),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => Ok(text.clone()),
        Data::Int(value) => Ok(value.to_string()),
        Data::Float(value) => Ok(number(*value)),
        Data::Bool(value) => Ok(value.to_string()),
        Data::DateTime(value) => Ok(moment(value)),
        Data::Error(error) => Err(error.to_string()),
    }
}

/// A spreadsheet calculates with 15 significant digits and shows no more, but stores the binary number: 0.3 as
/// 0.30000000000000004. A whole number that a binary one holds exactly keeps all its digits, since it may be an id.
fn number(value: f64) -> String {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let is_exact = value.fract() == 0.0 && value.abs() <= EXACT_MAX;
    let value = match is_exact {
        true => value,
        false => format!("{value:.14e}").parse().unwrap_or(value),
    };
    match value.abs() {
        0.0 => "0".to_owned(),
        1e-9..1e21 => value.to_string(),
        _ => format!("{value:e}"),
    }
}

/// A day, a day with a time, a time of day or a duration, in ISO 8601. The numbers of days are those of a spreadsheet, in
/// which 0 is no day: a number below 1 is a time.
fn moment(value: &ExcelDateTime) -> String {
    const DAY_MS: f64 = 86_400_000.0;
    const DAYS_END: f64 = 2_958_466.0;
    let days = value.as_f64();
    if value.is_duration() {
        // A cast saturates.
        return SignedDuration::from_millis((days * DAY_MS).round() as i64).to_string();
    }
    if !(0.0..DAYS_END).contains(&days) {
        return number(days);
    }
    let (year, month, day, hour, minute, second, ms) = value.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    let mut time = format!("{hour:02}:{minute:02}:{second:02}");
    if ms > 0 {
        time = format!("{time}.{ms:03}");
    }
    match (days < 1.0, time.as_str()) {
        (true, _) => time,
        (false, "00:00:00") => date,
        (false, _) => format!("{date}T{time}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{CellErrorType, ExcelDateTimeType};

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (value, text) in [
            (1.0, "1"),
            (-0.0, "0"),
            (0.1 + 0.2, "0.3"),
            (1.1, "1.1"),
            (-2.50, "-2.5"),
            (1_234_567.891, "1234567.891"),
            (0.000_001, "0.000001"),
            (1e15, "1000000000000000"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1.0 / 3.0, "0.333333333333333"),
            (1e20, "100000000000000000000"),
            (1.5e300, "1.5e300"),
            (2.5e-12, "2.5e-12"),
        ] {
            assert_eq!(of(&Data::Float(value)), Ok(text.to_owned()), "{value}");
        }
        assert_eq!(of(&Data::Int(-7)), Ok("-7".to_owned()));
    }

    #[test]
    fn days_and_times_are_iso_8601() {
        use ExcelDateTimeType::{DateTime, TimeDelta};
        for (days, kind, is_1904, text) in [
            (46_066.0, DateTime, false, "2026-02-13"),
            (46_066.5, DateTime, false, "2026-02-13T12:00:00"),
            (
                46_066.000_005_787_037,
                DateTime,
                false,
                "2026-02-13T00:00:00.500",
            ),
            (0.4375, DateTime, false, "10:30:00"),
            (0.0, DateTime, true, "00:00:00"),
            (44_604.0, DateTime, true, "2026-02-13"),
            (-1.0, DateTime, false, "-1"),
            (3_000_000.0, DateTime, false, "3000000"),
            (1.520_833_333_333_333_3, TimeDelta, false, "PT36H30M"),
            (0.0, TimeDelta, false, "PT0S"),
        ] {
            let value = Data::DateTime(ExcelDateTime::new(days, kind, is_1904));
            assert_eq!(of(&value), Ok(text.to_owned()), "{days}");
        }
        let iso = Data::DateTimeIso("2026-02-13".to_owned());
        assert_eq!(of(&iso), Ok("2026-02-13".to_owned()));
    }

    #[test]
    fn other_values_have_one_text_and_errors_none() {
        assert_eq!(of(&Data::Bool(true)), Ok("true".to_owned()));
        assert_eq!(of(&Data::Empty), Ok(String::new()));
        assert_eq!(
            of(&Data::String(" 007\n".to_owned())),
            Ok(" 007\n".to_owned())
        );
        assert_eq!(
            of(&Data::Error(CellErrorType::Ref)),
            Err("#REF!".to_owned())
        );
    }
}
