//! The data of the page of a run, as one JSON object; its shape is that of `web/src/model.ts`.

use super::tasks::{FromRows, compact, longest_path, tasks};
use super::text::{Limits, cut};
use super::timeline::Timeline;
use crate::model::{RowId, RunKind, WaveNo};
use crate::report::log_tail::tail;
use crate::report::view::{Needs, RunView, Totals, ViewError, ViewRow};
use crate::run::{RunFolder, resume_command};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// Reads a run and returns the data of its page.
pub fn read(folder: RunFolder) -> Result<Value, ViewError> {
    let mut timeline = Timeline::default();
    let run = RunView::read_with(folder, |record, _| timeline.apply(record))?;
    timeline.close();
    let mut gathered = Gathered::default();
    let limits = Limits::of(run.rows_total());
    run.each_row(Needs::ALL, |row| {
        gathered.add(&row, run.header());
        gathered.rows.push(row_json(&row, &run, &timeline, limits));
        Ok::<_, ViewError>(())
    })?;
    let tasks = tasks(&run, &timeline, &gathered.tasks, limits);
    Ok(json!({
        "v": 1,
        "run": run_json(&run),
        "live": false,
        "totals": totals(&run, &gathered, longest_path(&tasks, &gathered.tasks)),
        "by": gathered.by(),
        "rows": gathered.rows,
        "tasks": tasks.into_iter().map(compact).collect::<Vec<_>>(),
        "waves": waves(&run, &timeline),
        "marks": timeline.marks(),
        "violations": run.state().violations.iter().map(|one| one.report()).collect::<Vec<_>>(),
    }))
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
    let tasks = tasks(run, &Timeline::default(), &rows, limits);
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

fn run_json(run: &RunView) -> Value {
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
    let attempts = timeline.attempts(wave, &id).iter().map(|attempt| {
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
