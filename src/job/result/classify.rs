//! What an ended attempt means for its row: a pure judgement over what the worker left behind.

use super::attempt_end::{Cause, Ended};
use super::failure::Failure;
use super::result_check::ResultCheck;
use crate::job::agent_protocol::{AgentFailure, ReadText, Reading};
use crate::model::{Fault, ReportVia, one_line};
use crate::refusal;
use crate::refusal::{Refusal, Reset};
use crate::verdict::{Object, Picked};
use serde_json::Value;
use std::time::Duration;

/// The most that is repeated of a line.
const LINE_CHARS_MAX: usize = 400;

/// What an attempt gave its row.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A result that may be used.
    Result(Object, ReportVia),
    /// None; the text does not repeat the code.
    Failed(Failure, String),
    /// None, for now: the service or the account behind the worker refuses, whatever the row is.
    Unavailable(String, Refusal),
}

impl Outcome {
    /// What kept the worker from an answer, where that was not the row's.
    pub(crate) fn fault(&self, ended: Option<&Ended>) -> Option<Fault> {
        match self {
            Outcome::Unavailable(_, refusal) => Some(refusal.fault),
            // Too long an argument is the row's.
            Outcome::Failed(Failure::SpawnFailed, text) => {
                (!text.contains("rgument list too long")).then_some(Fault::Program)
            }
            Outcome::Failed(Failure::WorkerExit, text) => {
                ended.and_then(|ended| fault(ended, text))
            }
            Outcome::Failed(Failure::NoResponse, _) => {
                let is_down =
                    ended.is_some_and(|ended| tells_of_an_outage(&ended.stdout, &ended.stderr));
                is_down.then_some(Fault::Network)
            }
            _ => None,
        }
    }
}

/// Whether the last thing that a program said in place of an answer is that it reached nobody.
fn tells_of_an_outage(stdout: &[u8], stderr: &[u8]) -> bool {
    [stdout, stderr]
        .into_iter()
        .any(|bytes| refusal::is_outage(&last_line(bytes)))
}

/// A kill that was not ours, or a service that is out of reach.
fn fault(ended: &Ended, text: &str) -> Option<Fault> {
    const KILLED: i32 = 9;
    if ended.signal == Some(KILLED) || ended.code == Some(128 + KILLED) {
        return Some(Fault::Memory);
    }
    let stderr = String::from_utf8_lossy(&ended.stderr);
    let found = [text, &stderr].into_iter().find_map(refusal::read);
    found.map(|refusal| refusal.fault)
}

/// What results are measured against.
pub(crate) struct Rules<'s> {
    pub check: &'s ResultCheck,
    pub max_runtime: Duration,
    pub max_idle: Option<Duration>,
    pub read_text: Option<ReadText>,
    /// Whether `reading` comes from somebody who knows the worker: then its word counts, and not our guess.
    pub is_known: bool,
    /// Whether an object is no result, but what `mesh report-result` printed.
    pub is_own_answer: &'s dyn Fn(&Object) -> bool,
}

/// Judges an attempt. `report` was accepted earlier and stands whatever the process did afterwards.
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
    if let (Cause::TimedOut | Cause::Idle, Some((line, refusal))) = (ended.cause, waited_for(ended))
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
    if let Some(trouble) = &reading.trouble {
        return after_trouble(ended, trouble);
    }
    if ended.code != Some(0) {
        return after_exit(ended, rules.is_known);
    }
    let found = found(reading, result_file, rules);
    let is_missing = found.is_err() && result_file.is_none();
    let envelope = match &found {
        Ok((picked, ReportVia::Stdout)) => refusal::read_envelope(&picked.object),
        _ => None,
    };
    let measured = found.and_then(|(picked, via)| {
        if via == ReportVia::Stdout && (rules.is_own_answer)(&picked.object) {
            let text = format!("its report was refused: {}", Value::Object(picked.object));
            return Err((Failure::NoResponse, text));
        }
        Ok((rules.check.check_picked(picked)?, via))
    });
    let is_answer = rules.check.has_schema() || envelope.is_none();
    match (measured, envelope) {
        (Ok((result, via)), _) if is_answer => Outcome::Result(result, via),
        (_, Some(refusal)) => Outcome::Unavailable(last_line(&reading.text), refusal),
        (Err((failure, text)), _) if is_missing || failure == Failure::NoResponse => {
            match instead_of_answer(ended, reading) {
                Some((line, refusal)) => Outcome::Unavailable(line, refusal),
                None => Outcome::Failed(failure, text),
            }
        }
        (Err((failure, text)), _) => Outcome::Failed(failure, text),
        (Ok((result, via)), None) => Outcome::Result(result, via),
    }
}

/// What a worker that ended well printed in place of an answer, where that is a refusal.
fn instead_of_answer(ended: &Ended, reading: &Reading<'_>) -> Option<(String, Refusal)> {
    let streams = [&*reading.text, &ended.stdout, &ended.stderr];
    streams.into_iter().find_map(|bytes| {
        let refusal = refusal::read_instead_of_answer(&String::from_utf8_lossy(bytes))?;
        Some((last_line(bytes), refusal))
    })
}

/// The limit that a worker waited for by itself until its time was up: the last that it said.
fn waited_for(ended: &Ended) -> Option<(String, Refusal)> {
    [&ended.stdout, &ended.stderr]
        .into_iter()
        .find_map(|bytes| {
            let line = last_line(bytes);
            Some((line.clone(), refusal::read_instead_of_answer(&line)?))
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

fn found(
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
    let via = |picked: &Picked| match picked.is_prose {
        true => ReportVia::Text,
        false => ReportVia::Stdout,
    };
    picked
        .map(|picked| {
            let via = via(&picked);
            (picked, via)
        })
        .map_err(|(failure, text)| match failure {
            Failure::NoResponse => (failure, no_response_text(&reading.text, &text)),
            _ => (failure, text),
        })
}

/// What a program says went wrong.
fn after_trouble(ended: &Ended, trouble: &AgentFailure) -> Outcome {
    let told = |text: &str| format!("{}: {}", how(ended), one_line(text));
    match trouble {
        AgentFailure::Unavailable(text, refusal) => {
            Outcome::Unavailable(told(text), refusal.clone())
        }
        AgentFailure::Refused(text) => {
            Outcome::Failed(Failure::InvalidOutputSchema, one_line(text))
        }
        AgentFailure::Failed(text) => Outcome::Failed(Failure::WorkerExit, told(text)),
    }
}

/// A non-zero exit without a report. Agents tell of rate limits on either stream.
fn after_exit(ended: &Ended, is_known: bool) -> Outcome {
    if is_known {
        return Outcome::Failed(Failure::WorkerExit, exit_text(ended));
    }
    let streams = [&ended.stderr, &ended.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let mut found = streams
        .iter()
        .filter_map(|text| Some((text, refusal::read(text)?)));
    if let Some((text, mut refusal)) = found.find(|(_, it)| it.fault != Fault::Network) {
        let said = || streams.iter().find_map(|text| Reset::find(text));
        refusal.reset = refusal.reset.or_else(said);
        let said = format!("{}: {}", how(ended), last_line(text.as_bytes()));
        return Outcome::Unavailable(said, refusal);
    }
    Outcome::Failed(Failure::WorkerExit, exit_text(ended))
}

fn no_response_text(output: &[u8], why: &str) -> String {
    match output.len() {
        0 => "the worker ended without a report, a result file or any output".to_owned(),
        _ => format!("{why} of standard output, and no report"),
    }
}

fn how(ended: &Ended) -> String {
    match (ended.code, ended.signal) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("ended by signal {signal}"),
        _ => "ended in an unknown way".to_owned(),
    }
}

fn exit_text(ended: &Ended) -> String {
    let how = how(ended);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    match stderr.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how}: {}", one_line(line.trim())),
        None => how,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_first_way_back_wins() {
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
    fn an_exit_code_spoils_everything_but_an_explicit_report() {
        let out = ended(3, "{\"n\":3}", "one\ntwo \x1b[31m\n\n");
        assert_eq!(judged(&out, Some("{\"n\":1}"), None), "{\"n\":1} Report");
        assert_eq!(
            judged(&out, None, None),
            "worker_exit: exit code 3: two \u{fffd}[31m"
        );
    }

    #[test]
    fn what_is_printed_in_place_of_an_answer_may_be_a_refusal() {
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
        // An answer that fits is one, whatever it talks about and whatever stands beside it.
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
    fn what_is_not_the_rows_fault_is_known() {
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
        let spawn = |text: &str| Outcome::Failed(Failure::SpawnFailed, text.to_owned()).fault(None);
        assert_eq!(spawn("No such file or directory"), Some(Fault::Program));
        assert_eq!(spawn("Argument list too long (os error 7)"), None);
    }

    #[test]
    fn every_failure_says_what_was_wrong() {
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
