//! The report of a plan run as JUnit XML, for programs that show the results of tests: a test case for every task, and one
//! for every validation command, named by its task.

use super::report::{Report, TaskReport, ValidationReport};
use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite};
use std::io;
use std::time::Duration;

impl Report {
    /// The report as JUnit XML.
    pub fn junit(&self) -> io::Result<String> {
        let name = format!("mesh run {}", self.mesh_run_id);
        let mut suite = TestSuite::new(name.as_str());
        for (name, value) in [
            ("mesh_run_id", self.mesh_run_id.to_string()),
            ("status", self.status.clone()),
            ("adapter", self.adapter.name.clone()),
            ("workers_spawned", self.slots.spawned.to_string()),
            ("workers_closed", self.slots.closed.to_string()),
        ] {
            suite.add_property(Property::new(name, value));
        }
        for task in &self.tasks {
            suite.add_test_case(of_task(task));
            suite.add_test_cases(task.validation.iter().map(|run| of_command(task, run)));
        }
        if !self.violations.is_empty() {
            suite.add_test_case(of_violations(&self.violations));
        }
        let mut report = quick_junit::Report::new(name);
        report.add_test_suite(suite);
        report.to_string().map_err(io::Error::other)
    }
}

fn of_task(task: &TaskReport) -> TestCase {
    let status = match task.state.as_str() {
        "completed" => TestCaseStatus::success(),
        "blocked" => failure(
            task.reason.as_deref().unwrap_or("blocked"),
            task.detail.as_deref().unwrap_or_default(),
        ),
        state => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(state);
            status
        }
    };
    let mut case = TestCase::new(task.id.as_str(), status);
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
        case.set_system_out(lines.join("\n"));
    }
    case
}

fn of_command(task: &TaskReport, run: &ValidationReport) -> TestCase {
    let status = match run.passed {
        true => TestCaseStatus::success(),
        false => failure("validation_failed", &run.outcome),
    };
    let mut case = TestCase::new(run.command.as_str(), status);
    case.set_classname(task.id.as_str());
    case.set_time(Duration::from_millis(run.duration_ms));
    if !run.key_line.is_empty() {
        case.set_system_out(run.key_line.as_str());
    }
    case
}

fn of_violations(violations: &[String]) -> TestCase {
    let status = failure("violation", &violations.join("\n"));
    let mut case = TestCase::new("nobody but mesh changes the tree", status);
    case.set_classname("run");
    case
}

fn failure(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(kind);
    status.set_message(message);
    status
}
