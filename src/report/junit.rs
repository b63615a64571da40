//! The report of a plan run as JUnit XML: a test case for every task, and one for every validation command, in the class of its
//! task, with its output.
//!
//! Characters that XML 1.0 does not allow become U+FFFD here, because the library would drop them, and with an unfinished escape
//! sequence everything after it.

use super::plan_report::{Report, TaskReport, ValidationReport};
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Reads a log file, given relative to the run's folder; `None` if it can't be read.
pub type ReadLog<'r> = &'r dyn Fn(&Path) -> Option<String>;

impl Report {
    /// The report as JUnit XML. `log` reads the output of validation commands.
    pub fn junit(&self, log: ReadLog<'_>) -> io::Result<String> {
        let name = xml_text(&format!("mesh run {}", self.mesh_run_id));
        let mut suite = TestSuite::new(name.as_str());
        for (name, value) in [
            ("mesh_run_id", self.mesh_run_id.to_string()),
            ("status", self.status.clone()),
            ("adapter", self.adapter.name.clone()),
            ("workers_spawned", self.slots.spawned.to_string()),
            ("workers_closed", self.slots.closed.to_string()),
        ] {
            suite.add_property(Property::new(name, xml_text(&value)));
        }
        for task in &self.tasks {
            suite.add_test_case(task_case(task));
            let commands = task.validation.iter();
            suite.add_test_cases(commands.map(|run| command_case(task, run, log)));
        }
        if !self.violations.is_empty() {
            suite.add_test_case(violation_case(&self.violations));
        }
        let mut report = quick_junit::Report::new(name);
        report.add_test_suite(suite);
        report.to_string().map_err(io::Error::other)
    }
}

fn task_case(task: &TaskReport) -> TestCase {
    let status = match task.state.as_str() {
        "completed" | "accepted" => TestCaseStatus::success(),
        state @ ("blocked" | "rejected" | "plan_conflict") => failure(
            task.reason.as_deref().unwrap_or(state),
            task.detail.as_deref().unwrap_or_default(),
        ),
        state => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(xml_text(state));
            status
        }
    };
    let mut case = TestCase::new(xml_text(task.id.as_str()), status);
    case.set_classname("tasks");
    let millis = task.validation.iter().map(|run| run.duration_ms).sum();
    case.set_time(Duration::from_millis(millis));
    let votes = task.tallies.iter().enumerate().map(|(index, tally)| {
        let (agree, disagree, absent) = (tally.agree, tally.disagree, tally.absent);
        format!(
            "vote {}: {agree} agree, {disagree} disagree, {absent} absent",
            index + 1
        )
    });
    let paths = task.changed_paths.iter();
    let paths = paths.map(|path| format!("changed {}", path.display()));
    let commit = task.commit.iter();
    let commit = commit.map(|commit| format!("commit {} on {}", commit.id, commit.branch));
    let weak = task.passed_before.iter();
    let weak = weak.map(|command| format!("`{command}` passed before the patch as well"));
    let lines: Vec<String> = votes.chain(paths).chain(commit).chain(weak).collect();
    if !lines.is_empty() {
        case.set_system_out(xml_text(&lines.join("\n")));
    }
    case
}

fn command_case(task: &TaskReport, run: &ValidationReport, log: ReadLog<'_>) -> TestCase {
    let status = match run.passed {
        true => TestCaseStatus::success(),
        false => failure("validation_failed", &run.outcome),
    };
    let mut case = TestCase::new(xml_text(&run.command), status);
    case.set_classname(xml_text(task.id.as_str()));
    case.set_time(Duration::from_millis(run.duration_ms));
    // The folder of the run may be removed; the ledger has the key line.
    let printed = log(&run.log_path).unwrap_or_else(|| run.key_line.clone());
    let printed = printed.trim_end_matches(['\n', '\r']);
    if !printed.is_empty() {
        case.set_system_out(xml_text(printed));
    }
    case
}

fn violation_case(violations: &[String]) -> TestCase {
    let status = failure("violation", &violations.join("\n"));
    let mut case = TestCase::new("only mesh changes the tree", status);
    case.set_classname("run");
    case
}

fn failure(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(xml_text(kind));
    status.set_message(xml_text(message));
    status
}

/// `text` with U+FFFD for every control character except tab and line end, and for U+FFFE and U+FFFF. CRLF and CR become line
/// ends, as in every XML parser.
pub(super) fn xml_text(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => '\u{fffd}',
        c => c,
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_becomes_valid_xml_and_keeps_its_lines() {
        let all: String = ('\0'..='\u{9f}')
            .chain(['\u{fffe}', '\u{ffff}', '\u{202e}'])
            .collect();
        let text = xml_text(&format!(
            "one\n\u{1b}]0;never closed\ntwo\r\n\\ud800 {all}\rthree\nfour"
        ));
        let mut case = TestCase::new(text.as_str(), failure(&text, &text));
        case.set_classname(text.as_str());
        case.set_system_out(text.as_str());
        let mut suite = TestSuite::new(text.as_str());
        suite.add_property(Property::new("p", text.as_str()));
        suite.add_test_case(case);
        let mut report = quick_junit::Report::new(text.as_str());
        report.add_test_suite(suite);
        let xml = report.to_string().expect("XML");
        let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(xml.chars().all(is_char), "{xml:?}");
        let out = xml.split("<system-out>").nth(1).expect("an output");
        let out = out.split("</system-out>").next().expect("its end");
        for line in ["one", "\u{fffd}]0;never closed", "two", "three", "four"] {
            assert!(out.lines().any(|is| is == line), "{line:?} in {out:?}");
        }
        let read = quick_junit::Report::deserialize_from_str(&xml).expect("read back");
        assert_eq!(read.test_suites.len(), 1);
    }
}
