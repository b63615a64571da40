//! A run as JUnit XML. A spawned CSV has a test case for each row, written row by row, however many there are.

use super::junit::xml_text;
use super::plan_report::Report;
use super::view::{Needs, RunView, ViewError, ViewRow};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use std::io::{self, Write};
use std::path::Path;

/// Writes the report of a plan run, or the rows of a spawned CSV. A row that is neither completed nor failed counts as skipped.
pub fn write_junit(run: &RunView, out: &mut dyn Write) -> io::Result<()> {
    let Some(mut report) = Report::of(run.state()) else {
        return write_rows(run, out);
    };
    run.status().clone_into(&mut report.status);
    let text = junit_of_plan(&report, run.folder().path())?;
    out.write_all(text.as_bytes())
}

/// The report of a plan run as JUnit XML, with the logs in its folder.
pub fn junit_of_plan(report: &Report, run_folder: &Path) -> io::Result<String> {
    let log = |path: &Path| {
        let bytes = std::fs::read(run_folder.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    report.junit(&log)
}

fn write_rows(run: &RunView, out: &mut dyn Write) -> io::Result<()> {
    let id = run.folder().id().as_str();
    let name = xml_text(&format!("mesh spawn {id}"));
    let (mut tests, mut failures, mut skipped) = (0_u64, 0_u64, 0_u64);
    let counted = run.each_row::<ViewError>(Needs::default(), |row| {
        tests += 1;
        match row.status.as_str() {
            "completed" => {}
            "failed" => failures += 1,
            _ => skipped += 1,
        }
        Ok(())
    });
    counted.map_err(io::Error::other)?;
    let counts = [
        ("tests", tests),
        ("failures", failures),
        ("errors", 0),
        ("skipped", skipped),
    ];
    let counts = counts.map(|(name, count)| (name, count.to_string()));
    let counts = || counts.iter().map(|(name, count)| (*name, count.as_str()));
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = xml.create_element("testsuites");
    let suites = suites.with_attribute(("name", name.as_str()));
    let suites = suites.with_attributes(counts());
    suites.write_inner_content(|xml| {
        let suite = xml.create_element("testsuite");
        let suite = suite.with_attribute(("name", name.as_str()));
        let suite = suite.with_attributes(counts());
        suite.write_inner_content(|xml| {
            let mut written = Ok(());
            let read = run.each_row::<ViewError>(Needs::ALL, |row| {
                if written.is_ok() {
                    written = write_case(xml, id, &row);
                }
                Ok(())
            });
            read.map_err(io::Error::other)?;
            written
        })?;
        Ok(())
    })?;
    writeln!(xml.get_mut())
}

fn write_case(xml: &mut Writer<&mut dyn Write>, id: &str, row: &ViewRow) -> io::Result<()> {
    let name = xml_text(&row.item);
    let seconds = format!("{:.3}", row.seconds.unwrap_or_default());
    let case = xml.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", id),
        ("time", seconds.as_str()),
    ]);
    match row.status.as_str() {
        "completed" => case.write_empty()?,
        "failed" => case.write_inner_content(|xml| {
            let (code, error) = (xml_text(row.code()), xml_text(&row.error));
            let failure = xml.create_element("failure");
            let failure = failure.with_attribute(("type", code.as_str()));
            failure.write_text_content(BytesText::new(&error))?;
            Ok(())
        })?,
        status => case.write_inner_content(|xml| {
            let skipped = xml.create_element("skipped");
            skipped.with_attribute(("message", status)).write_empty()?;
            Ok(())
        })?,
    };
    Ok(())
}
