//! Checks the call file of a wave: it exists, is valid, and agrees with the wave.

use super::team::ExpectedSchema;
use crate::verdict::Schema;
use crate::wave::Call;
use crate::wave::Problem;
use serde_json::Value;
use std::path::{Component, Path, PathBuf};

/// The limits in the rows, which the call must repeat; `None` if they can't be parsed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowLimits {
    pub max_concurrency: Option<u64>,
    pub timeout_seconds: Option<u64>,
}

/// All problems of the call file of the wave CSV `csv`.
pub(super) fn check(
    csv: &Path,
    text: Option<&str>,
    limits: &RowLimits,
    schema: Option<&ExpectedSchema<'_>>,
) -> Vec<Problem> {
    let Some(text) = text else {
        return vec![problem(
            None,
            "",
            "is missing; the wave can't be run without it",
        )];
    };
    let call: Value = match serde_json::from_str(text) {
        Ok(call) => call,
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let message = format!("is not valid JSON: {}", without_position(&error));
            let message = format!("{message} (column {column})");
            return vec![problem(Some(line as u64), "", &message)];
        }
    };
    if !call.is_object() {
        return vec![problem(
            Some(1),
            "",
            "is not an object with the arguments of a call",
        )];
    }
    let mut problems = check_values(text, &call, limits);
    problems.extend(check_paths(csv, text, &call));
    problems.extend(check_schema(text, &call, schema));
    // The rest: unknown keys, and values of another type.
    if problems.is_empty()
        && let Err(why) = Call::parse(text)
    {
        problems.push(problem(None, "", &format!("is not a call: {why}")));
    }
    problems
}

fn check_values(text: &str, call: &Value, limits: &RowLimits) -> Vec<Problem> {
    let values = [
        ("instruction", Some(Value::from("{prompt}"))),
        ("id_column", Some(Value::from("id"))),
        ("max_concurrency", limits.max_concurrency.map(Value::from)),
        (
            "max_runtime_seconds",
            limits.timeout_seconds.map(Value::from),
        ),
    ];
    let differs = |(key, expected): (&str, Option<Value>)| {
        let expected = expected.filter(|expected| call[key] != *expected)?;
        Some(mismatch(text, call, key, &expected))
    };
    values.into_iter().filter_map(differs).collect()
}

/// Both paths are relative to the file and must be those of this wave: answers to another wave would be worse than none.
fn check_paths(csv: &Path, text: &str, call: &Value) -> Vec<Problem> {
    let folder = csv.parent().unwrap_or(Path::new(""));
    let name = |path: &Path| Value::from(path.file_name().unwrap_or_default().to_string_lossy());
    [
        ("csv_path", csv.to_owned()),
        ("output_csv_path", csv.with_extension("out.csv")),
    ]
    .into_iter()
    .filter(|(key, expected)| {
        let named = call[*key]
            .as_str()
            .map(|path| normalize(&folder.join(path)));
        named.is_none_or(|named| named != normalize(expected))
    })
    .map(|(key, expected)| mismatch(text, call, key, &name(&expected)))
    .collect()
}

fn check_schema(
    text: &str,
    call: &Value,
    expected: Option<&ExpectedSchema<'_>>,
) -> Option<Problem> {
    const KEY: &str = "output_schema";
    let line = line_of(text, KEY);
    let schema = &call[KEY];
    if !schema.is_object() {
        return Some(problem(line, KEY, "is not a schema"));
    }
    if let Err(error) = Schema::compile(KEY, schema.clone()) {
        let message = format!("is not a valid schema: {error}");
        return Some(problem(line, KEY, &message));
    }
    let expected = expected.filter(|expected| !expected.schemas.contains(&schema))?;
    let message = format!(
        "is not the schema of round `{}`: other answers would be accepted than the run can use",
        expected.round
    );
    Some(problem(line, KEY, &message))
}

fn mismatch(text: &str, call: &Value, key: &str, expected: &Value) -> Problem {
    let message = format!("is {} in the call file; the wave has {expected}", call[key]);
    problem(line_of(text, key), key, &message)
}

fn problem(line: Option<u64>, key: &str, message: &str) -> Problem {
    Problem {
        in_call: true,
        line,
        column: key.to_owned(),
        message: message.to_owned(),
        ..Problem::default()
    }
}

/// The first line with the key; the parser does not keep positions.
fn line_of(text: &str, key: &str) -> Option<u64> {
    let key = format!("\"{key}\"");
    let index = text.lines().position(|line| line.contains(&key))?;
    Some(index as u64 + 1)
}

/// `path` with `.` and `..` resolved as text, without the file system.
fn normalize(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(text: Option<&str>) -> Vec<String> {
        let limits = RowLimits {
            max_concurrency: Some(5),
            timeout_seconds: Some(60),
        };
        let found = check(Path::new("/waves/001-vote.csv"), text, &limits, None);
        let line = |problem: &Problem| problem.line.map_or("-".to_owned(), |line| line.to_string());
        found
            .iter()
            .map(|one| format!("{}: {one}", line(one)))
            .collect()
    }

    /// The good call with one value changed, indented.
    fn changed(key: &str, value: Value) -> Vec<String> {
        let mut call = json!({
            "csv_path": "001-vote.csv",
            "instruction": "{prompt}",
            "id_column": "id",
            "output_csv_path": "./001-vote.out.csv",
            "output_schema": {"type": "object"},
            "max_concurrency": 5,
            "max_runtime_seconds": 60,
        });
        call[key] = value;
        found(Some(&format!("{call:#}")))
    }

    #[test]
    fn a_good_call_has_no_problems() {
        assert_eq!(changed("id_column", "id".into()), [""; 0]);
        assert_eq!(changed("csv_path", "../waves/001-vote.csv".into()), [""; 0]);
        assert_eq!(changed("csv_path", "/waves/001-vote.csv".into()), [""; 0]);
    }

    #[test]
    fn a_mismatch_with_the_wave_is_named_with_its_line() {
        for (key, value, expected) in [
            (
                "csv_path",
                json!("002-vote.csv"),
                "2: `csv_path`: is \"002-vote.csv\" in the call file; the wave has \"001-vote.csv\"",
            ),
            (
                "csv_path",
                json!("../001-vote.csv"),
                "2: `csv_path`: is \"../001-vote.csv\"",
            ),
            ("csv_path", json!(7), "2: `csv_path`: is 7 in the call file"),
            (
                "instruction",
                json!("do {prompt}"),
                "3: `instruction`: is \"do {prompt}\"",
            ),
            ("id_column", json!(null), "4: `id_column`: is null"),
            (
                "output_csv_path",
                json!("001-critique.out.csv"),
                "5: `output_csv_path`: is \"001-critique.out.csv\"",
            ),
            (
                "output_schema",
                json!({"type": "objekt"}),
                "6: `output_schema`: is not a valid schema: schema `output_schema` at /type: ",
            ),
            (
                "output_schema",
                json!([]),
                "6: `output_schema`: is not a schema",
            ),
            (
                "max_concurrency",
                json!(6),
                "9: `max_concurrency`: is 6 in the call file; the wave has 5",
            ),
            (
                "max_runtime_seconds",
                json!("60"),
                "10: `max_runtime_seconds`: is \"60\"",
            ),
            ("more", json!(1), "-: is not a call: unknown field `more`"),
        ] {
            let found = changed(key, value);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(expected), "{found:?}");
        }
    }

    #[test]
    fn a_missing_or_invalid_call_file_is_reported() {
        assert_eq!(
            found(None),
            ["-: is missing; the wave can't be run without it"]
        );
        assert_eq!(
            found(Some("{\n  \"csv_path\": \n}")),
            ["3: is not valid JSON: expected value (column 1)"]
        );
        assert_eq!(
            found(Some("[]")),
            ["1: is not an object with the arguments of a call"]
        );
        assert_eq!(found(Some("{}")).len(), 7);
    }
}
