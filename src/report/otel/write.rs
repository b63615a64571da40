//! The spans of a run, written one after the other.

use super::agent::RunAgents;
use super::span::{Ids, Kind, Span};
use crate::ledger;
use crate::ledger::{LedgerError, Record};
use crate::model::{Event, IntegrationOutcome, RunKind, ValidationFinished};
use crate::platform::clock;
use crate::report::view::{
    Attempt, History, Integration, Moment, Needs, RunView, ViewError, ViewRow, WaveSpan,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::io::Write;

/// The version of the semantic conventions.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.41.0";

/// How many spans were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// All spans.
    pub spans: u64,
}

/// Writes the trace of `run`.
///
/// # Errors
/// An error of `out`, or one of the run with its text.
pub fn export(run: &RunView, out: &mut dyn Write) -> io::Result<Exported> {
    let mut trace = Trace::of(run, out);
    trace.head()?;
    trace.run()?;
    let mut written = Ok(());
    let scanned = ledger::scan(&run.folder().ledger(), |record, _| {
        if written.is_ok() {
            written = trace.record(&record);
        }
    });
    scanned.map_err(unreadable)?;
    written?;
    for moment in trace.history.open() {
        trace.moment(moment)?;
    }
    trace.waves()?;
    let needs = Needs {
        record: true,
        input: false,
    };
    let rows = run.each_row(needs, |row| trace.row(&row).map_err(Failure::Write));
    match rows {
        Ok(()) => {}
        Err(Failure::Write(error)) => return Err(error),
        Err(Failure::View(error)) => return Err(io::Error::other(error)),
    }
    trace.out.write_all(b"\n]}]}]}\n")?;
    Ok(Exported { spans: trace.spans })
}

/// What can go wrong while rows are visited.
enum Failure {
    View(ViewError),
    Write(io::Error),
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

fn unreadable(error: LedgerError) -> io::Error {
    io::Error::other(ViewError::from(error))
}

struct Trace<'r> {
    run: &'r RunView,
    ids: Ids,
    id: String,
    agents: RunAgents,
    history: History,
    validations: HashMap<(String, String), u32>,
    out: &'r mut dyn Write,
    spans: u64,
}

impl<'r> Trace<'r> {
    fn of(run: &'r RunView, out: &'r mut dyn Write) -> Self {
        let ids = Ids::of(run.folder().id());
        Self {
            id: ids.trace(),
            ids,
            agents: RunAgents::of(run),
            history: History::default(),
            validations: HashMap::new(),
            run,
            out,
            spans: 0,
        }
    }

    fn head(&mut self) -> io::Result<()> {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let version = &self.run.started().mesh_version;
        let resource =
            json!({"attributes": [text("service.name", "mesh"), text("service.version", version)]});
        let scope = json!({"name": "mesh", "version": version});
        write!(
            self.out,
            "{{\"resourceSpans\":[{{\"resource\":{resource},\"schemaUrl\":{url},\"scopeSpans\":[{{\"scope\":{scope},\"schemaUrl\":{url},\"spans\":[",
            url = json!(SCHEMA_URL)
        )
    }

    fn span(&mut self, span: Span) -> io::Result<()> {
        let comma = if self.spans == 0 { "\n" } else { ",\n" };
        self.spans += 1;
        write!(self.out, "{comma}{}", span.json(&self.id))
    }

    /// The span of the whole run.
    fn run_id(&self) -> String {
        self.ids.span(&["run"])
    }

    fn row_id(&self, wave: u32, row: &str) -> String {
        self.ids.span(&["row", &wave.to_string(), row])
    }

    fn wave_id(&self, wave: u32) -> String {
        self.ids.span(&["wave", &wave.to_string()])
    }

    fn run(&mut self) -> io::Result<()> {
        let started = self.run.started();
        let (name, kind) = match started.kind {
            RunKind::Plan => ("invoke_workflow mesh run", "plan"),
            RunKind::Spawn => ("invoke_workflow mesh spawn", "spawn"),
        };
        let finished = self.run.state().finished.as_ref();
        let span = Span::new(self.run_id(), name, Kind::Internal, self.run.span_ms())
            .with("gen_ai.operation.name", "invoke_workflow")
            .with("mesh.run.id", self.run.folder().id().to_string())
            .with("mesh.run.kind", kind)
            .with("mesh.run.status", self.run.status())
            .with(
                "mesh.run.exit_code",
                json!(finished.map(|end| end.exit_code)),
            );
        let is_error = finished.is_some_and(|end| end.exit_code != 0);
        self.span(if is_error {
            span.failed("_OTHER")
        } else {
            span
        })
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        for moment in self.history.apply(record) {
            self.moment(moment)?;
        }
        match &record.event {
            Event::ValidationFinished(body) => {
                let at = clock::read(&record.ts).map_or(0, |time| time.as_millisecond());
                self.validation(body, at)
            }
            _ => Ok(()),
        }
    }

    fn moment(&mut self, moment: Moment) -> io::Result<()> {
        match moment {
            Moment::Attempt(attempt) if attempt.is_reused() => Ok(()),
            Moment::Attempt(attempt) => self.attempt(&attempt),
            Moment::Integration(integration) => self.integration(&integration),
            Moment::Mark(_) => Ok(()),
        }
    }

    fn attempt(&mut self, attempt: &Attempt) -> io::Result<()> {
        let (wave, row) = (attempt.wave.0, attempt.row.as_str());
        // A row whose rate limit ended an attempt, or that was lost, may have several of one number.
        let (number, start) = (attempt.number.to_string(), attempt.start_ms.to_string());
        let id = self
            .ids
            .span(&["attempt", &wave.to_string(), row, &number, &start]);
        let end = attempt.end.as_ref();
        let last_ms = attempt.lost_ms.unwrap_or(self.run.span_ms().1);
        let span_ms = (attempt.worked_from_ms(), end.map_or(last_ms, |(at, _)| *at));
        let usage = end.and_then(|(_, body)| body.usage);
        let tokens = |count: u64| json!(usage.map(|_| count));
        let sums = usage.unwrap_or_default();
        let agent = self.agents.of_row(&attempt.row);
        let name = format!("invoke_agent {}", agent.adapter);
        let error = end.and_then(|(_, body)| body.error.as_deref());
        let span = Span::new(id, name, Kind::Client, span_ms)
            .below(self.row_id(wave, row))
            .with("gen_ai.operation.name", "invoke_agent")
            .with("gen_ai.provider.name", agent.provider.as_str())
            .with("gen_ai.agent.name", agent.adapter.as_str())
            .with("gen_ai.request.model", json!(agent.model))
            .with("gen_ai.usage.input_tokens", tokens(sums.input_tokens))
            .with("gen_ai.usage.output_tokens", tokens(sums.output_tokens))
            .with(
                "gen_ai.usage.cache_read.input_tokens",
                tokens(sums.cached_input_tokens),
            )
            .with(
                "process.exit.code",
                json!(end.and_then(|(_, body)| body.exit_code)),
            )
            .with("mesh.cost_usd", json!(sums.cost_usd))
            .with("mesh.wave", wave)
            .with("mesh.row.id", row)
            .with("mesh.attempt", attempt.number)
            .with("mesh.attempt.end", json!(end.map(|(_, body)| body.end)))
            .failed(error.map_or("", code));
        self.span(span)
    }

    fn integration(&mut self, integration: &Integration) -> io::Result<()> {
        let (unit, number) = (integration.unit.to_string(), integration.number.to_string());
        let id = self.ids.span(&["integration", &unit, &number]);
        let last_ms = self.run.span_ms().1;
        let end = integration.end.map_or(last_ms, |(at, _)| at);
        let outcome = integration.end.map(|(_, outcome)| outcome);
        let word = json!(outcome);
        let is_applied = matches!(outcome, None | Some(IntegrationOutcome::Applied));
        let failure = word.as_str().filter(|_| !is_applied).unwrap_or_default();
        let name = format!("integration {unit}");
        let span = Span::new(id, name, Kind::Internal, (integration.start_ms, end))
            .below(self.run_id())
            .with("mesh.unit", unit)
            .with("mesh.integration.outcome", word.clone())
            .failed(failure);
        self.span(span)
    }

    fn validation(&mut self, body: &ValidationFinished, at: i64) -> io::Result<()> {
        let unit = body.unit.to_string();
        let stage = json!(body.stage);
        let stage = stage.as_str().unwrap_or_default();
        let key = (unit.clone(), stage.to_owned());
        let count = self.validations.entry(key).or_default();
        *count += 1;
        let count = count.to_string();
        let id = self.ids.span(&["validation", &unit, stage, &count]);
        let begin = at.saturating_sub_unsigned(body.duration_ms);
        let start = begin.max(self.run.span_ms().0);
        let outcome = body.outcome();
        let failure = if body.passed() { "" } else { outcome.as_str() };
        let name = format!("validation {unit}");
        let span = Span::new(id, name, Kind::Internal, (start, at))
            .below(self.run_id())
            .with("mesh.unit", unit)
            .with("mesh.validation.number", body.number)
            .with("mesh.validation.stage", stage)
            .with("process.exit.code", json!(body.exit_code))
            .failed(failure);
        self.span(span)
    }

    /// Every wave with a row that has started.
    fn waves(&mut self) -> io::Result<()> {
        let last_ms = self.run.span_ms().1;
        let waves: Vec<_> = self.history.waves().clone().into_iter().collect();
        for (wave, WaveSpan { start_ms, end_ms }) in waves {
            let compiled = self.run.state().wave(wave).map(|wave| &wave.compiled);
            let round = compiled.map(|compiled| compiled.round.to_string());
            let name = match &round {
                Some(round) => format!("wave {} {round}", wave.0),
                None => format!("wave {}", wave.0),
            };
            let start = start_ms.unwrap_or(last_ms);
            let span_ms = (start, end_ms.unwrap_or(last_ms));
            let span = Span::new(self.wave_id(wave.0), name, Kind::Internal, span_ms)
                .below(self.run_id())
                .with("mesh.wave", wave.0)
                .with("mesh.round", json!(round));
            self.span(span)?;
        }
        Ok(())
    }

    /// A row that has started, or whose result was reused.
    fn row(&mut self, row: &ViewRow) -> io::Result<()> {
        let (start, end) = row.span_ms;
        if (start, end) == (0, 0) {
            return Ok(());
        }
        let wave = row.wave.unwrap_or_default();
        let is_over = matches!(row.status.as_str(), "completed" | "failed");
        let start = if start == 0 { end } else { start };
        let end = if is_over { end } else { self.run.span_ms().1 };
        let text = |text: &str| match text {
            "" => Value::Null,
            text => json!(text),
        };
        let name = format!("row {}", row.item);
        let failure = if row.has_failed() { row.code() } else { "" };
        let span = Span::new(
            self.row_id(wave, &row.item),
            name,
            Kind::Internal,
            (start, end),
        )
        .below(self.wave_id(wave))
        .with("mesh.wave", wave)
        .with("mesh.row.id", row.item.as_str())
        .with("mesh.row.status", row.status.as_str())
        .with("mesh.row.attempts", row.attempts)
        .with("mesh.unit", text(&row.unit))
        .with("mesh.role", text(&row.role))
        .failed(failure);
        self.span(span)
    }
}

/// `timeout` of `timeout: after 1 s`.
fn code(error: &str) -> &str {
    error.split(':').next().unwrap_or_default()
}
