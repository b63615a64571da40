//! The data of the page of a run, as one JSON object; its shape is that of `web/src/model.ts`.

use super::ROWS_MAX;
use super::tasks::{FromRows, compact, longest_path, tasks};
use super::text::{Limits, cut};
use super::timeline::Timeline;
use crate::model::{RowId, RowKey, RunKind, UnitId, WaveNo};
use crate::report::log_tail::tail;
use crate::report::stats::FanOutFold;
use crate::report::view::{Needs, RunView, Totals, ViewError, ViewRow};
use crate::run::resume_command;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// The data of the page of a run.
pub fn of_run(
    run: &RunView,
    timeline: &Timeline,
    fan_out: &FanOutFold,
) -> Result<Value, ViewError> {
    let mut gathered = Gathered::default();
    let limits = Limits::of(run.rows_total());
    let mut shares = Shares::of(run)?;
    run.each_row(Needs::ALL, |row| {
        gathered.add(&row, run.header());
        if shares.take(&row) {
            gathered.rows.push(row_json(&row, run, timeline, limits));
        }
        Ok::<_, ViewError>(())
    })?;
    let tasks = tasks(run, timeline, &gathered.tasks, limits, |_| true);
    let omitted = gathered.totals.rows - gathered.rows.len() as u64;
    Ok(json!({
        "v": 1,
        "run": run_json(run, timeline),
        "live": false,
        "omitted": omitted,
        "totals": totals(run, &gathered, longest_path(&tasks, &gathered.tasks)),
        "fan_out": fan_out.receipt().map(|receipt| receipt.json()),
        "by": gathered.by(),
        "rows": gathered.rows,
        "tasks": tasks.into_iter().map(compact).collect::<Vec<_>>(),
        "waves": waves(run, timeline),
        "marks": timeline.marks(),
        "violations": run.state().violations.iter().map(|one| one.report()).collect::<Vec<_>>(),
    }))
}

/// A row with longer texts than beside all others; `None` if there is no such row.
pub fn of_row(
    run: &RunView,
    timeline: &Timeline,
    wave: WaveNo,
    id: &RowId,
) -> Result<Option<Value>, ViewError> {
    let mut found = None;
    let picks = |its_wave, its_id: &RowId| its_wave == wave && its_id == id;
    run.each_row_of(Needs::ALL, picks, |row| {
        found = Some(row_json(&row, run, timeline, Limits::of(1)));
        Ok::<_, ViewError>(())
    })?;
    Ok(found)
}

/// A task, likewise.
pub fn of_task(
    run: &RunView,
    timeline: &Timeline,
    id: &UnitId,
) -> Result<Option<Value>, ViewError> {
    let mut from_rows = FromRows::default();
    let picks = |_, row: &RowId| RowKey::parse(row).is_some_and(|key| key.unit == *id);
    run.each_row_of(Needs::ALL, picks, |row| {
        from_rows.add(&row, run.header());
        Ok::<_, ViewError>(())
    })?;
    let from_rows = HashMap::from([(id.to_string(), from_rows)]);
    let found = tasks(run, timeline, &from_rows, Limits::of(1), |unit| {
        unit.id == *id
    });
    Ok(found.into_iter().next().map(compact))
}

/// How many more rows the page takes: those that failed or run before the others, and of both the first.
struct Shares {
    urgent: u64,
    others: u64,
}

impl Shares {
    fn of(run: &RunView) -> Result<Self, ViewError> {
        let mut urgent = 0;
        if run.rows_total() > ROWS_MAX {
            run.each_row(Needs::default(), |row| {
                urgent += u64::from(is_urgent(&row));
                Ok::<_, ViewError>(())
            })?;
        }
        Ok(Self::new(ROWS_MAX, urgent))
    }

    fn new(rows_max: u64, urgent: u64) -> Self {
        Self {
            urgent: rows_max,
            others: rows_max.saturating_sub(urgent),
        }
    }

    fn take(&mut self, row: &ViewRow) -> bool {
        let share = match is_urgent(row) {
            true => &mut self.urgent,
            false => &mut self.others,
        };
        let is_taken = *share > 0;
        *share = share.saturating_sub(1);
        is_taken
    }
}

fn is_urgent(row: &ViewRow) -> bool {
    row.has_failed() || row.status == "running"
}

/// The tasks of a run of a plan.
#[derive(Debug)]
pub struct PlanTasks {
    /// Each task as the page has it, in the order of admission.
    pub tasks: Vec<Value>,
    /// `{ms, tasks}`: the chain of dependent tasks that took longest.
    pub longest_path: Option<Value>,
}

/// Reads the tasks of a run, without what their rows answered.
pub fn read_tasks(run: &RunView) -> Result<PlanTasks, ViewError> {
    let mut rows: HashMap<String, FromRows> = HashMap::new();
    let needs = Needs {
        input: true,
        record: false,
    };
    run.each_row(needs, |row| {
        let from_rows = rows.entry(row.unit.clone()).or_default();
        from_rows.add(&row, run.header());
        Ok::<_, ViewError>(())
    })?;
    let limits = Limits::of(run.rows_total());
    let tasks = tasks(run, &Timeline::default(), &rows, limits, |_| true);
    let longest_path = longest_path(&tasks, &rows);
    Ok(PlanTasks {
        tasks,
        longest_path,
    })
}

/// Sums of the rows that share a name.
#[derive(Clone, Debug, Default)]
struct Group {
    rows: u64,
    failed: u64,
    worker_ms: u64,
    cost_usd: Option<f64>,
}

/// What all rows together say.
#[derive(Default)]
struct Gathered {
    rows: Vec<Value>,
    totals: Totals,
    tasks: HashMap<String, FromRows>,
    roles: BTreeMap<String, Group>,
    adapters: BTreeMap<String, Group>,
}

impl Gathered {
    fn add(&mut self, row: &ViewRow, header: &[String]) {
        self.totals.add(row);
        if !row.unit.is_empty() {
            self.tasks
                .entry(row.unit.clone())
                .or_default()
                .add(row, header);
        }
        for (groups, name) in [
            (&mut self.roles, &row.role),
            (&mut self.adapters, &row.adapter),
        ] {
            if !name.is_empty() {
                groups.entry(name.clone()).or_default().add(row);
            }
        }
    }

    fn by(&self) -> Value {
        let counts = |counts: &BTreeMap<String, u64>| {
            let parts = counts
                .iter()
                .map(|(name, rows)| json!({"name": name, "rows": rows}));
            parts.collect::<Vec<_>>()
        };
        let groups = |groups: &BTreeMap<String, Group>| {
            let parts = groups.iter().map(|(name, group)| group.json(name));
            parts.collect::<Vec<_>>()
        };
        json!({
            "status": counts(&self.totals.statuses),
            "code": counts(&self.totals.codes),
            "role": groups(&self.roles),
            "adapter": groups(&self.adapters),
        })
    }
}

impl Group {
    fn add(&mut self, row: &ViewRow) {
        self.rows += 1;
        self.failed += u64::from(row.has_failed());
        self.worker_ms += worker_ms(row);
        if let Some(cost) = row.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost);
        }
    }

    fn json(&self, name: &str) -> Value {
        json!({"name": name, "rows": self.rows, "failed": self.failed, "worker_ms": self.worker_ms, "cost_usd": self.cost_usd})
    }
}

fn worker_ms(row: &ViewRow) -> u64 {
    (row.seconds.unwrap_or_default() * 1000.0).round() as u64
}

fn run_json(run: &RunView, timeline: &Timeline) -> Value {
    let (state, started) = (run.state(), run.started());
    let finished = state.finished.as_ref();
    let is_resumable =
        !run.is_driven() && finished.is_none_or(|finished| finished.status == "cancelled");
    let job = run.job();
    let time = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms)
            .map(crate::platform::clock::ledger_time)
            .ok()
    };
    compact(json!({
        "id": run.folder().id(),
        "kind": match started.kind { RunKind::Plan => "plan", RunKind::Spawn => "spawn" },
        "status": run.status(),
        "detail": finished.and_then(|finished| finished.detail.as_ref()),
        "exit_code": finished.map(|finished| finished.exit_code),
        "started": time(run.span_ms().0),
        "ended": finished.and_then(|_| time(run.span_ms().1)),
        "root": started.root.to_string_lossy(),
        "adapter": job.map_or(&started.settings["adapter"], |_| &started.settings["job"]["worker"]["adapter"]),
        "concurrency": run.concurrency(),
        "slots": timeline.slots(),
        "mesh_version": started.mesh_version,
        "resume": is_resumable.then(|| resume_command(run.folder().id())),
        "input": job.map(|job| job.csv_path.to_string_lossy()),
        "instruction": job.map(|job| &job.instruction),
    }))
}

fn totals(run: &RunView, gathered: &Gathered, longest_path: Option<Value>) -> Value {
    let sums = &gathered.totals;
    let of_status = |name: &str| sums.statuses.get(name).copied().unwrap_or_default();
    let attempts = match &run.state().spawned {
        Some(job) => job.attempts,
        None => run.state().attempts(),
    };
    let usage = match &run.state().spawned {
        Some(job) => job.spent.usage,
        None => run.state().spent().usage,
    };
    let (start, end) = run.span_ms();
    compact(json!({
        "rows": sums.rows,
        "pending": of_status("pending"),
        "running": of_status("running"),
        "completed": of_status("completed"),
        "failed": of_status("failed"),
        "attempts": attempts.spawned,
        "retries": attempts.retried,
        "timeouts": attempts.timed_out,
        "wall_ms": end - start,
        "worker_ms": (sums.seconds * 1000.0).round() as u64,
        "cost_usd": usage.cost_usd,
        "input_tokens": (usage.tokens() > 0).then_some(usage.input_tokens),
        "output_tokens": (usage.tokens() > 0).then_some(usage.output_tokens),
        "longest_path": longest_path,
    }))
}

fn waves(run: &RunView, timeline: &Timeline) -> Vec<Value> {
    let waves = run.state().waves.iter().map(|wave| {
        let (start, end) = timeline.wave(wave.compiled.wave);
        compact(json!({
            "no": wave.compiled.wave,
            "round": wave.compiled.round,
            "csv": wave.compiled.csv_path.to_string_lossy(),
            "start": start,
            "end": end,
            "rows": wave.compiled.rows.len(),
        }))
    });
    waves.collect()
}

fn row_json(row: &ViewRow, run: &RunView, timeline: &Timeline, limits: Limits) -> Value {
    let (wave, id) = (
        WaveNo(row.wave.unwrap_or_default()),
        RowId::new(row.item.clone()),
    );
    let mut is_cut = false;
    let mut short = |text: &str| {
        let (text, was_cut) = cut(text, limits.text);
        is_cut |= was_cut;
        text
    };
    let is_spawned = run.job().is_some();
    let mut input = Map::new();
    let mut prompt = None;
    for (name, cell) in run.header().iter().zip(&row.fields) {
        match name.as_str() {
            "prompt" if !is_spawned => prompt = Some(short(cell)),
            _ if !cell.is_empty() => drop(input.insert(name.clone(), json!(short(cell)))),
            _ => {}
        }
    }
    let result = row.result.as_ref().map(|result| match result.to_string() {
        // A cut object is no JSON any more, so it becomes text.
        text if text.len() > limits.text => json!(short(&text)),
        _ => result.clone(),
    });
    let attempts = timeline.attempts(wave, &id).map(|attempt| {
        let number = attempt["n"].as_u64().unwrap_or_default() as u32;
        let log = run.folder().kept_logs(wave, &id, number).into_iter().next();
        let mut attempt = attempt.clone();
        if let Some(log) = log {
            attempt.insert("log".to_owned(), json!(tail(&log, limits.log)));
            attempt.insert("log_path".to_owned(), json!(log.to_string_lossy()));
        }
        Value::Object(attempt)
    });
    let attempts: Vec<Value> = attempts.collect();
    let retry = (is_spawned && row.status == "failed")
        .then(|| format!("mesh resume {} --retry-failed", run.folder().id()));
    let mut json = compact(json!({
        "id": row.item,
        "wave": row.wave,
        "index": row.number.saturating_sub(1),
        "unit": row.unit,
        "round": row.round,
        "role": row.role,
        "adapter": row.adapter,
        "status": row.status,
        "wall_ms": worker_ms(row),
        "cost_usd": row.cost_usd,
        "tokens": row.tokens,
        "code": row.code(),
        "error": row.error,
        "prompt": prompt,
        "result": result,
        "retry": retry,
        "cut": is_cut.then_some(true),
    }));
    json["attempts"] = json!(attempts);
    json["input"] = Value::Object(input);
    if let Some(verdict) = &row.verdict {
        json["verdict"] = compact(
            json!({"verdict": verdict.verdict, "code": verdict.code, "detail": verdict.detail, "checks": verdict.checks}),
        );
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_failed_or_run_come_before_the_others() {
        let statuses = ["completed", "failed", "completed", "running", "completed"];
        let rows = statuses.map(|status| ViewRow {
            status: status.to_owned(),
            ..ViewRow::default()
        });
        let taken = |mut shares: Shares| rows.each_ref().map(|row| shares.take(row));
        let of = |rows_max, urgent| Shares::new(rows_max, urgent);
        assert_eq!(taken(of(3, 2)), [true, true, false, true, false]);
        assert_eq!(taken(of(1, 2)), [false, true, false, false, false]);
        assert_eq!(taken(of(9, 2)), [true; 5]);
    }
}
