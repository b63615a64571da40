//! Judges an ended attempt: what its exit, its output and its report mean for its row. Pure.

use super::attempt_end::{Cause, Ended};
use super::failure::Failure;
use super::result_check::ResultCheck;
use crate::job::agent_protocol::{AgentFailure, ReadText, Reading};
use crate::model::{Fault, ReportVia, one_line};
use crate::platform::machine_fault;
use crate::refusal;
use crate::refusal::{Refusal, Reset};
use crate::verdict::{Object, Picked};
use serde_json::Value;
use std::io;
use std::time::Duration;

/// The longest quotation of an output line.
const LINE_CHARS_MAX: usize = 400;

/// The outcome of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A valid result.
    Result(Object, ReportVia),
    /// A failure; the text does not repeat the code.
    Failed(Failure, String),
    /// No answer for now: the service or the account refuses, whatever the row.
    Unavailable(String, Refusal),
}

impl Outcome {
    /// Why the worker gave no answer, if that was not the row's fault.
    pub(crate) fn fault(&self, ended: Option<&Ended>) -> Option<Fault> {
        match self {
            Outcome::Unavailable(_, refusal) => Some(refusal.fault),
            Outcome::Failed(Failure::SpawnFailed(fault), _) => *fault,
            Outcome::Failed(Failure::WorkerExit, text) => {
                ended.and_then(|ended| fault(ended, text))
            }
            Outcome::Failed(Failure::NoResponse, _) => {
                let ended = ended?;
                outage(&ended.stdout).or_else(|| outage(&ended.stderr))
            }
            _ => None,
        }
    }
}

/// The outcome of a worker that could not be started. An argument that is too long is the row's fault; memory, processes,
/// descriptors or space may run out for a while.
pub(crate) fn judge_unstarted(error: &io::Error) -> Outcome {
    let fault = match machine_fault::find(error) {
        Some(_) => Some(Fault::Memory),
        None if error.kind() == io::ErrorKind::ArgumentListTooLong => None,
        None => Some(Fault::Program),
    };
    Outcome::Failed(Failure::SpawnFailed(fault), machine_fault::line_of(error))
}

/// The outage that the last message of a stream reports.
fn outage(bytes: &[u8]) -> Option<Fault> {
    refusal::outage(&String::from_utf8_lossy(bytes))
}

/// A kill from outside, or an outage that either stream reports. Standard output may also hold what the agent worked on, so
/// only its last message counts.
fn fault(ended: &Ended, text: &str) -> Option<Fault> {
    const KILLED: i32 = 9;
    if ended.signal == Some(KILLED) || ended.code == Some(128 + KILLED) {
        return Some(Fault::Memory);
    }
    let stderr = String::from_utf8_lossy(&ended.stderr);
    // The status before a line would hide that a test runner printed it.
    let status = format!("{}: ", exit_status(ended));
    let message = text.strip_prefix(&status).unwrap_or(text);
    let found = [message, &stderr].into_iter().find_map(refusal::read);
    found
        .map(|refusal| refusal.fault)
        .or_else(|| outage(&ended.stdout))
}

/// The rules by which an attempt is judged.
pub(crate) struct Rules<'s> {
    pub check: &'s ResultCheck,
    pub max_runtime: Duration,
    pub max_idle: Option<Duration>,
    pub read_text: Option<ReadText>,
    /// Whether `reading` comes from the worker's agent protocol, which is trusted.
    pub is_known: bool,
    /// Whether an object is the output of `mesh report-result` rather than a result.
    pub is_own_answer: &'s dyn Fn(&Object) -> bool,
}

/// Judges an attempt. A `report` was accepted earlier and counts whatever the process did afterwards.
pub(crate) fn judge(
    ended: &Ended,
    reading: &Reading<'_>,
    report: Option<Object>,
    result_file: Option<&[u8]>,
    rules: &Rules<'_>,
) -> Outcome {
    if let Some(result) = report {
        return Outcome::Result(result, ReportVia::Report);
    }
    if matches!(ended.cause, Cause::TimedOut | Cause::Idle)
        && let Some((line, refusal)) = awaited_limit(ended)
    {
        return Outcome::Unavailable(line, refusal);
    }
    match ended.cause {
        Cause::Stopped => {
            return Outcome::Failed(Failure::Cancelled, "the job was stopped".to_owned());
        }
        Cause::TimedOut => {
            let seconds = rules.max_runtime.as_secs();
            let text = format!("worker exceeded max runtime of {seconds}s");
            return Outcome::Failed(Failure::Timeout, text);
        }
        Cause::Idle => {
            let seconds = rules.max_idle.unwrap_or_default().as_secs();
            let text = format!("worker printed nothing for {seconds}s");
            return Outcome::Failed(Failure::Timeout, text);
        }
        Cause::OutputTooLarge => {
            let text = format!("more than {} bytes on standard output", ended.stdout.len());
            return Outcome::Failed(Failure::OutputTooLarge, text);
        }
        Cause::Exited => {}
    }
    if let Some(failure) = &reading.failure {
        return after_failure_report(ended, failure);
    }
    if ended.code != Some(0) {
        return after_exit(ended, rules.is_known);
    }
    let found = find_result(reading, result_file, rules);
    let is_missing = found.is_err() && result_file.is_none();
    let envelope = match &found {
        Ok((picked, ReportVia::Stdout)) => refusal::read_envelope(&picked.object),
        _ => None,
    };
    let checked = found.and_then(|(picked, via)| {
        if via == ReportVia::Stdout && (rules.is_own_answer)(&picked.object) {
            let text = format!("its report was refused: {}", Value::Object(picked.object));
            return Err((Failure::NoResponse, text));
        }
        Ok((rules.check.check_picked(picked)?, via))
    });
    let is_answer = rules.check.has_schema() || envelope.is_none();
    match (checked, envelope) {
        (Ok((result, via)), _) if is_answer => Outcome::Result(result, via),
        (_, Some(refusal)) if refusal.fault.is_outage() => {
            Outcome::Failed(Failure::NoResponse, last_line(&reading.text))
        }
        (_, Some(refusal)) => Outcome::Unavailable(last_line(&reading.text), refusal),
        (Err((failure, text)), _) if is_missing || failure == Failure::NoResponse => {
            match refusal_in_output(ended, reading) {
                Some((line, refusal)) => Outcome::Unavailable(line, refusal),
                None => Outcome::Failed(failure, text),
            }
        }
        (Err((failure, text)), _) => Outcome::Failed(failure, text),
        (Ok((result, via)), None) => Outcome::Result(result, via),
    }
}

/// The refusal that a worker printed instead of an answer, if any, though it exited with 0.
fn refusal_in_output(ended: &Ended, reading: &Reading<'_>) -> Option<(String, Refusal)> {
    let streams = [&*reading.text, &ended.stdout, &ended.stderr];
    streams.into_iter().find_map(|bytes| {
        let refusal = refusal::read_own_lines(&String::from_utf8_lossy(bytes))?;
        Some((last_line(bytes), refusal))
    })
}

/// The limit that a worker was waiting for when its time ran out, if its last line names one.
fn awaited_limit(ended: &Ended) -> Option<(String, Refusal)> {
    [&ended.stdout, &ended.stderr]
        .into_iter()
        .find_map(|bytes| {
            let line = last_line(bytes);
            Some((line.clone(), refusal::read_own_lines(&line)?))
        })
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    let mut line = one_line(line.unwrap_or_default().trim());
    if let Some((cut, _)) = line.char_indices().nth(LINE_CHARS_MAX) {
        line.truncate(cut);
    }
    line
}

/// The result in the result file, else in the output.
fn find_result(
    reading: &Reading<'_>,
    result_file: Option<&[u8]>,
    rules: &Rules<'_>,
) -> Result<(Picked, ReportVia), (Failure, String)> {
    let check = rules.check;
    if let Some(bytes) = result_file {
        let bytes_max = check.bytes_max();
        if bytes.len() > bytes_max {
            let text = format!("the result file has more than {bytes_max} bytes");
            return Err((Failure::OutputTooLarge, text));
        }
        let picked = check.pick(bytes, rules.read_text);
        return picked
            .map(|picked| (picked, ReportVia::ResultFile))
            .map_err(|(_, text)| (Failure::InvalidOutputSchema, format!("result file: {text}")));
    }
    let picked = check.pick(&reading.text, rules.read_text);
    let picked = picked.map_err(|(failure, text)| match failure {
        Failure::NoResponse => (failure, no_response_text(&reading.text, &text)),
        _ => (failure, text),
    })?;
    let via = match picked.is_prose {
        true => ReportVia::Text,
        false => ReportVia::Stdout,
    };
    Ok((picked, via))
}

/// The outcome of a failure that the program reports.
fn after_failure_report(ended: &Ended, failure: &AgentFailure) -> Outcome {
    let with_exit = |text: &str| format!("{}: {}", exit_status(ended), one_line(text));
    match failure {
        AgentFailure::Unavailable(text, refusal) => {
            Outcome::Unavailable(with_exit(text), refusal.clone())
        }
        AgentFailure::Refused(text) => {
            Outcome::Failed(Failure::InvalidOutputSchema, one_line(text))
        }
        AgentFailure::Failed(text) => Outcome::Failed(Failure::WorkerExit, with_exit(text)),
    }
}

/// The outcome of a non-zero exit without a report. Agents report rate limits on either stream.
fn after_exit(ended: &Ended, is_known: bool) -> Outcome {
    if is_known {
        return Outcome::Failed(Failure::WorkerExit, exit_text(ended));
    }
    let streams = [&ended.stderr, &ended.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let mut found = streams
        .iter()
        .filter_map(|text| Some((text, refusal::read(text)?)));
    if let Some((text, mut refusal)) = found.find(|(_, it)| !it.fault.is_outage()) {
        let reset = || streams.iter().find_map(|text| Reset::find(text));
        refusal.reset = refusal.reset.or_else(reset);
        let line = format!("{}: {}", exit_status(ended), last_line(text.as_bytes()));
        return Outcome::Unavailable(line, refusal);
    }
    Outcome::Failed(Failure::WorkerExit, exit_text(ended))
}

fn no_response_text(output: &[u8], why: &str) -> String {
    match output.len() {
        0 => "the worker ended without a report, a result file or any output".to_owned(),
        _ => format!("{why} of standard output, and no report"),
    }
}

fn exit_status(ended: &Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("ended by signal {signal}"),
        _ => "ended in an unknown way".to_owned(),
    }
}

fn exit_text(ended: &Ended) -> String {
    let status = exit_status(ended);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{status}: {}", one_line(line.trim())),
        None => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
        Ended {
            cause: Cause::Exited,
            code: Some(code),
            signal: None,
            stdout: stdout.into(),
            stderr: stderr.into(),
            duration: Duration::ZERO,
            leaked: Vec::new(),
        }
    }

    fn judged(ended: &Ended, report: Option<&str>, file: Option<&str>) -> String {
        let check = ResultCheck::by(r#"{"required":["n"]}"#, 100);
        let rules = Rules {
            check: &check,
            max_runtime: Duration::from_secs(1),
            max_idle: None,
            read_text: None,
            is_known: false,
            is_own_answer: &|_| false,
        };
        let report = report.map(|text| crate::verdict::object(text.as_bytes()).expect("an object"));
        let reading = Reading {
            text: ended.stdout.as_slice().into(),
            ..Reading::default()
        };
        match judge(ended, &reading, report, file.map(str::as_bytes), &rules) {
            Outcome::Result(result, via) => format!("{} {via:?}", Value::Object(result)),
            Outcome::Failed(failure, text) => format!("{failure}: {text}"),
            Outcome::Unavailable(text, refusal) => format!("{:?}: {text}", refusal.fault),
        }
    }

    #[test]
    fn a_report_wins_over_a_file_and_a_file_over_output() {
        let out = ended(0, "{\"n\":3}", "");
        assert_eq!(
            judged(&out, Some("{\"n\":1}"), Some("{\"n\":2}")),
            "{\"n\":1} Report"
        );
        assert_eq!(
            judged(&out, None, Some("{\"n\":2}")),
            "{\"n\":2} ResultFile"
        );
        assert_eq!(judged(&out, None, None), "{\"n\":3} Stdout");
    }

    #[test]
    fn after_a_non_zero_exit_only_an_explicit_report_counts() {
        let out = ended(3, "{\"n\":3}", "one\ntwo \x1b[31m\n\n");
        assert_eq!(judged(&out, Some("{\"n\":1}"), None), "{\"n\":1} Report");
        assert_eq!(
            judged(&out, None, None),
            "worker_exit: exit code 3: two \u{fffd}[31m"
        );
    }

    #[test]
    fn output_instead_of_an_answer_may_be_a_refusal() {
        let limit = "You've hit your limit · resets 11pm (UTC)";
        let limited = format!("Quota: {limit}");
        assert_eq!(judged(&ended(0, limit, ""), None, None), limited);
        assert_eq!(judged(&ended(0, "", limit), None, None), limited);
        assert_eq!(
            judged(&ended(1, limit, ""), None, None),
            format!("Quota: exit code 1: {limit}")
        );
        let envelope = format!("{{\"type\":\"result\",\"is_error\":true,\"result\":\"{limit}\"}}");
        assert!(judged(&ended(0, &envelope, ""), None, None).starts_with("Quota: {"));
        // A valid answer counts, whatever it mentions and whatever else was printed.
        let talk = format!("{{\"n\":\"{limit}\"}}");
        assert_eq!(
            judged(&ended(0, &talk, limit), None, None),
            format!("{talk} Stdout")
        );
        let odd = envelope.replace('}', ",\"n\":1}");
        assert_eq!(
            judged(&ended(0, &odd, ""), None, None),
            format!("{odd} Stdout")
        );
    }

    #[test]
    fn faults_outside_the_row_are_recognised() {
        let fault = |ended: &Ended| {
            let outcome = Outcome::Failed(Failure::WorkerExit, exit_text(ended));
            outcome.fault(Some(ended))
        };
        let mut killed = ended(0, "", "");
        (killed.code, killed.signal) = (None, Some(9));
        assert_eq!(fault(&killed), Some(Fault::Memory));
        assert_eq!(fault(&ended(137, "", "Killed")), Some(Fault::Memory));
        let refused = ended(1, "", "Error: connect ECONNREFUSED 127.0.0.1:1");
        assert_eq!(fault(&refused), Some(Fault::Network));
        assert_eq!(fault(&ended(1, "", "assertion failed")), None);
        let test = "ok 12 - fetch failed: ECONNREFUSED is retried";
        assert_eq!(fault(&ended(1, "", test)), None);
        let spawn = |errno: Errno| judge_unstarted(&errno.into()).fault(None);
        assert_eq!(spawn(Errno::NOENT), Some(Fault::Program));
        assert_eq!(spawn(Errno::TOOBIG), None);
        assert_eq!(spawn(Errno::NOMEM), Some(Fault::Memory));
        assert_eq!(spawn(Errno::MFILE), Some(Fault::Memory));
    }

    #[test]
    fn every_failure_has_a_message() {
        assert!(
            judged(&ended(0, "", ""), None, None)
                .starts_with("no_response: the worker ended without")
        );
        assert!(
            judged(&ended(0, "hello", ""), None, None)
                .starts_with("no_response: no JSON object in 5 bytes")
        );
        assert_eq!(
            judged(&ended(0, "{\"m\":1}", ""), None, None),
            "invalid_output_schema: /: \"n\" is a required property"
        );
        assert_eq!(
            judged(&ended(0, "", ""), None, Some("[1]")),
            "invalid_output_schema: result file: no complete JSON object: a JSON array; an object is asked for (line 1 column 1)"
        );
        let large = format!("{{\"n\":\"{}\"}}", "x".repeat(200));
        assert!(
            judged(&ended(0, &large, ""), None, None)
                .starts_with("output_too_large: the result has 208 bytes")
        );
    }
}
