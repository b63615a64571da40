//! `--halt`: when a job ends before its last row, as in GNU parallel.
//!
//! `never`, or `WHEN,WHY=LIMIT`: `soon` lets running rows end, `now` ends them; `fail`, `success` and `done` count rows
//! that failed for good, rows with a result, and both together; the limit is a number of rows or a whole percentage of
//! **all** rows of the job. A percentage is reached as soon as that share is, without a least number of rows: 10% of
//! ten rows is one row (GNU parallel 20221122 does the same; a share of the rows that have *ended* would need one).
//! Differences: a limit is at least 1 or 1%, and the old short forms (`1`, `-2`, `5%`) are refused.
//! Knows counts, not rows; the caller asks after every row that ended.

use crate::model::counted;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The forms of `--halt`, for error messages.
const FORMS: &str = "write `never`, or `soon` or `now` with `fail=N`, `success=N` or `done=N`, where N is a number of rows or a \
                     percentage of all rows; for example: soon,fail=3 or now,fail=10%";

/// When to end a job early. Written as text, also in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Halt(Option<Rule>);

/// How a job ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// No further rows start; running rows finish.
    Soon,
    /// Running rows are cancelled as well.
    Now,
}

/// Why a `--halt` was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltError {
    /// The part before the comma.
    #[error("`{0}` is not `never`, `soon` or `now`; {forms}", forms = FORMS)]
    When(String),
    /// `soon` or `now` alone, or something after `never`.
    #[error("`{0}` is not a complete rule; {forms}", forms = FORMS)]
    Shape(String),
    /// The part before the equals sign.
    #[error("`{0}` is not `fail`, `success` or `done`; {forms}", forms = FORMS)]
    Why(String),
    /// The part after the equals sign.
    #[error("`{0}` is not a number from 1 or a whole percentage from 1% to 100%; {forms}", forms = FORMS)]
    Limit(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    when: When,
    why: Why,
    limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Fail,
    Success,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    Rows(u64),
    Percent(u64),
}

impl Halt {
    /// Whether the job ends now, and how. `failed` counts rows that failed for good, `total` all picked rows.
    pub fn due(&self, completed: u64, failed: u64, total: u64) -> Option<When> {
        let rule = self.0?;
        let count = rule.why.count(completed, failed);
        rule.limit.is_reached(count, total).then_some(rule.when)
    }

    /// The `job_error` once the rule is due: `halted: 3 rows failed (soon,fail=3)`.
    pub fn reason(&self, completed: u64, failed: u64, total: u64) -> String {
        let Some(rule) = self.0 else {
            return "not halted".to_owned();
        };
        let count = rule.why.count(completed, failed);
        let rows = match (rule.limit, count) {
            (Limit::Percent(_), _) => format!("{count} of {}", counted(total, "row")),
            (Limit::Rows(_), _) => counted(count, "row"),
        };
        let did = match rule.why {
            Why::Fail => "failed",
            Why::Success => "completed",
            Why::Done => "ended",
        };
        format!("halted: {rows} {did} ({self})")
    }
}

impl Why {
    fn count(self, completed: u64, failed: u64) -> u64 {
        match self {
            Why::Fail => failed,
            Why::Success => completed,
            Why::Done => completed.saturating_add(failed),
        }
    }
}

impl Limit {
    fn is_reached(self, count: u64, total: u64) -> bool {
        match self {
            Limit::Rows(rows) => count >= rows,
            // Exact, and never reached by zero rows, even in a job without rows.
            Limit::Percent(percent) => {
                count > 0 && u128::from(count) * 100 >= u128::from(percent) * u128::from(total)
            }
        }
    }
}

impl FromStr for Halt {
    type Err = HaltError;

    fn from_str(text: &str) -> Result<Self, HaltError> {
        let (when, rest) = match text.split_once(',') {
            Some((when, rest)) => (when, Some(rest)),
            None => (text, None),
        };
        let when = match (when, rest) {
            ("never", None) => return Ok(Self(None)),
            ("soon", Some(_)) => When::Soon,
            ("now", Some(_)) => When::Now,
            ("never" | "soon" | "now", _) => return Err(HaltError::Shape(text.to_owned())),
            _ => return Err(HaltError::When(when.to_owned())),
        };
        let (why, limit) = rest
            .and_then(|rest| rest.split_once('='))
            .ok_or_else(|| HaltError::Shape(text.to_owned()))?;
        let why = match why {
            "fail" => Why::Fail,
            "success" => Why::Success,
            "done" => Why::Done,
            _ => return Err(HaltError::Why(why.to_owned())),
        };
        let limit = limit_of(limit).ok_or_else(|| HaltError::Limit(limit.to_owned()))?;
        Ok(Self(Some(Rule { when, why, limit })))
    }
}

fn limit_of(text: &str) -> Option<Limit> {
    let (digits, is_percent) = match text.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    // The standard parser also takes `+3`.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = digits
        .parse()
        .ok()
        .filter(|number| is_number && *number > 0)?;
    match is_percent {
        true => (number <= 100).then_some(Limit::Percent(number)),
        false => Some(Limit::Rows(number)),
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(rule) = self.0 else {
            return f.write_str("never");
        };
        let when = match rule.when {
            When::Soon => "soon",
            When::Now => "now",
        };
        let why = match rule.why {
            Why::Fail => "fail",
            Why::Success => "success",
            Why::Done => "done",
        };
        match rule.limit {
            Limit::Rows(rows) => write!(f, "{when},{why}={rows}"),
            Limit::Percent(percent) => write!(f, "{when},{why}={percent}%"),
        }
    }
}

impl TryFrom<String> for Halt {
    type Error = HaltError;

    fn try_from(text: String) -> Result<Self, HaltError> {
        text.parse()
    }
}

impl From<Halt> for String {
    fn from(halt: Halt) -> Self {
        halt.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(text: &str) -> Halt {
        text.parse().expect("a rule")
    }

    #[test]
    fn text_and_json_round_trip() {
        for text in [
            "never",
            "soon,fail=1",
            "now,fail=18446744073709551615",
            "soon,success=3",
            "now,done=1%",
            "soon,fail=100%",
        ] {
            assert_eq!(halt(text).to_string(), text);
            let json = serde_json::to_string(&halt(text)).expect("JSON");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<Halt>(&json).expect("read"),
                halt(text)
            );
        }
        assert_eq!(Halt::default(), halt("never"));
        assert_eq!(halt("soon,fail=007").to_string(), "soon,fail=7");
    }

    #[test]
    fn errors_name_the_fault_and_the_valid_forms() {
        for (text, wrong) in [
            ("", "`` is not `never`"),
            ("later,fail=1", "`later` is not `never`"),
            ("1", "`1` is not `never`"),
            ("5%", "`5%` is not `never`"),
            (" soon,fail=1", "` soon` is not `never`"),
            ("Never", "`Never` is not `never`"),
            ("soon", "`soon` is not a complete rule"),
            ("never,fail=1", "`never,fail=1` is not a complete rule"),
            ("soon,fail", "`soon,fail` is not a complete rule"),
            ("now,error=1", "`error` is not `fail`"),
            ("soon,fail=", "`` is not a number"),
            ("soon,fail=0", "`0` is not a number"),
            ("soon,fail=+3", "`+3` is not a number"),
            ("soon,fail=-1", "`-1` is not a number"),
            ("soon,fail=1,success=2", "`1,success=2` is not a number"),
            ("soon,fail=18446744073709551616", "is not a number"),
            ("soon,fail=0%", "`0%` is not a number"),
            ("soon,fail=101%", "`101%` is not a number"),
            ("soon,fail=0.5%", "`0.5%` is not a number"),
            ("soon,fail=%", "`%` is not a number"),
        ] {
            let message = text.parse::<Halt>().expect_err(text).to_string();
            assert!(
                message.starts_with(wrong) || message.contains(wrong),
                "{message}"
            );
            assert!(
                message.ends_with("for example: soon,fail=3 or now,fail=10%"),
                "{message}"
            );
            assert!(
                serde_json::from_value::<Halt>(text.into()).is_err(),
                "{text}"
            );
        }
        assert!(serde_json::from_str::<Halt>("3").is_err());
    }

    #[test]
    fn a_rule_is_due_at_its_limit_and_not_before() {
        use When::{Now, Soon};
        for (text, completed, failed, total, expected) in [
            ("never", 5, 5, 10, None),
            ("soon,fail=3", 9, 2, 20, None),
            ("soon,fail=3", 9, 3, 20, Some(Soon)),
            ("now,fail=3", 0, 7, 20, Some(Now)),
            ("soon,success=2", 1, 9, 20, None),
            ("soon,success=2", 2, 9, 20, Some(Soon)),
            ("now,done=5", 3, 1, 20, None),
            ("now,done=5", 3, 2, 20, Some(Now)),
            ("now,done=5", u64::MAX, 2, 20, Some(Now)),
            // A share of all rows: one of ten rows is 10%, however few have ended.
            ("soon,fail=10%", 0, 1, 10, Some(Soon)),
            ("soon,fail=10%", 0, 1, 11, None),
            ("soon,fail=10%", 0, 2, 11, Some(Soon)),
            ("soon,fail=1%", 0, 1, 3, Some(Soon)),
            ("soon,fail=50%", 0, 1, 3, None),
            ("now,done=100%", 9, 0, 10, None),
            ("now,done=100%", 9, 1, 10, Some(Now)),
            ("now,success=100%", u64::MAX, 0, u64::MAX, Some(Now)),
            ("now,done=1%", 0, 0, 0, None),
            ("now,fail=1", 0, 0, 0, None),
        ] {
            let found = halt(text).due(completed, failed, total);
            assert_eq!(found, expected, "{text} {completed} {failed} {total}");
        }
    }

    #[test]
    fn the_reason_names_rows_and_rule() {
        for (text, reason) in [
            ("soon,fail=3", "halted: 3 rows failed (soon,fail=3)"),
            ("now,success=1", "halted: 1 row completed (now,success=1)"),
            ("soon,done=4", "halted: 4 rows ended (soon,done=4)"),
            ("now,fail=10%", "halted: 3 of 30 rows failed (now,fail=10%)"),
            ("never", "not halted"),
        ] {
            assert_eq!(halt(text).reason(1, 3, 30), reason);
        }
    }
}
