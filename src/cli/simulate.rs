//! `mesh wave simulate`.

use super::args::{PlaceArgs, at_least_one};
use super::context::Context;
use super::error::{CliError, with_causes};
use super::terminal::Tone;
use crate::model::{RoundName, RunId, counted};
use crate::plan::{ItemId, Metadata, Plan, ResolveError, Store, SwarmOverrides};
use crate::platform::Repo;
use crate::run::{ProtocolSearchPath, Protocols, RunError, RunFolder};
use crate::schedule::{Concurrency, Dispatch, Limits};
use crate::scope::{Reach, SHARED_PATHS};
use crate::simulate::{
    Durations, End, Given, INTEGRATION, Learned, Prediction, ROW_SECONDS_DEFAULT, Setup,
    Simulation, Source,
};
use crate::table::{ReadOptions, Reader, TableError};
use crate::{ledger, plan};
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Arguments of `mesh wave simulate`.
#[derive(Clone, Debug, Args)]
pub struct SimulateArgs {
    /// Any option of this command as key=value
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Only these tasks and what they depend on
    #[arg(long, value_name = "ID,ID", value_delimiter = ',')]
    pub ids: Vec<String>,
    /// How many tasks to take up [default: all that can be]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tasks: Option<u32>,
    /// How many tasks in flight at once; only tasks with disjoint scopes run together
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel_tasks: u32,
    /// Only one task at a time may touch any of these; may be repeated [default: manifests and lock files at the root]
    #[arg(long, value_name = "GLOB", default_values = SHARED_PATHS, hide_default_value = true)]
    pub shared_paths: Vec<String>,
    /// The plan [default: the one that exists of .codex/st-plan.jsonl and .step/st-plan.jsonl]
    #[arg(long, value_name = "F")]
    pub plan_file: Option<PathBuf>,
    /// A built-in protocol (swarm, swarm3, tiered, duo, solo) or a protocol file
    #[arg(long, value_name = "NAME|F", default_value = "swarm")]
    pub protocol: String,
    /// How many roles work on a task; goes before what the task says
    #[arg(long, value_name = "N")]
    pub swarm_roles: Option<u32>,
    /// How many votes must agree; goes before what the task says
    #[arg(long, value_name = "N")]
    pub consensus_threshold: Option<u32>,
    /// How often critique, synthesis and vote are repeated without consensus; goes before what the task says
    #[arg(long, value_name = "N")]
    pub consensus_retries: Option<u32>,
    /// How many workers may run at once
    #[arg(short = 'j', long, visible_alias = "max-workers", value_name = "N", default_value = "16", value_parser = at_least_one)]
    pub max_concurrency: u64,
    /// Which dispatch to predict: both, rolling or barrier
    #[arg(
        long,
        value_name = "HOW",
        default_value = "both",
        hide_possible_values = true
    )]
    pub dispatch: Shown,
    /// How many votes of every task find no consensus; at most its consensus retries
    #[arg(long, value_name = "N", default_value = "0")]
    pub lost_votes: u32,
    /// How long things take: a CSV with the column seconds, and task, round or role; goes before all else
    ///
    /// A row with a round (and perhaps a role or a task) is the seconds of each row of that round; the round `integrate` is
    /// applying and validating. A row with a task alone is the seconds of that whole task when nothing keeps it.
    #[arg(long, value_name = "F.csv")]
    pub durations: Option<PathBuf>,
    /// Learn from this run how long each round and role takes (medians); may be repeated
    #[arg(long, value_name = "RUN")]
    pub from_run: Vec<String>,
    /// Learn from all runs that are kept here
    #[arg(long)]
    pub learn: bool,
    /// Seconds of a row of which nothing is known
    #[arg(long, value_name = "S", default_value_t = ROW_SECONDS_DEFAULT)]
    pub row_seconds: u64,
    /// What one row costs on average
    #[arg(long, value_name = "USD", value_parser = money)]
    pub cost_per_row: Option<f64>,
    /// List every wave
    #[arg(long)]
    pub waves: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Which dispatches are predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    /// Side by side.
    Both,
    /// Rolling alone.
    Rolling,
    /// Lock step alone.
    Barrier,
}

impl Shown {
    fn dispatches(self) -> &'static [Dispatch] {
        match self {
            Shown::Both => &Dispatch::ALL,
            Shown::Rolling => &[Dispatch::Rolling],
            Shown::Barrier => &[Dispatch::Barrier],
        }
    }
}

fn money(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|number| (0.0..=1e9).contains(number));
    number.ok_or_else(|| "must be an amount, such as 0.12".to_owned())
}

/// Predicts and prints.
pub fn execute(args: &SimulateArgs, context: &Context) -> Result<u8, CliError> {
    let root = match Repo::find(&context.folder) {
        Ok(repo) => repo.root().to_owned(),
        // Predicting needs a plan and no repository.
        Err(_) => context.folder.clone(),
    };
    let explicit = args.plan_file.as_ref();
    let explicit = explicit.map(|path| context.folder.join(path));
    let plan_file = plan::resolve(&root, explicit.as_deref()).map_err(|error| match error {
        // The command that mends it is typed where this one was.
        ResolveError::Missing { file, .. } if root != context.folder => {
            ResolveError::missing(&root, &root.join(file))
        }
        other => other,
    });
    let plan_file = plan_file.map_err(RunError::from)?;
    let plan = Store::at(&plan_file).read()?;
    let closure = closure(&plan, &args.ids)?;
    let protocols = protocols(args, context, &root)?;
    let protocol_of = |id: &ItemId, metadata: Option<&Metadata>, changed: Option<&str>| {
        let found = protocols.of_task(id, metadata, changed);
        found.map_err(|error| error.to_string())
    };
    let durations = durations(args, &plan, context)?;
    let slots = slots(args, &protocols);
    let simulation = Simulation::new(Setup {
        plan: &plan,
        closure: closure.as_ref(),
        shared: Reach::new(&args.shared_paths).map_err(RunError::SharedPaths)?,
        slots,
        parallel_tasks: args.parallel_tasks as usize,
        max_tasks: args.max_tasks.map_or(usize::MAX, |tasks| tasks as usize),
        protocol_of: &protocol_of,
        lost_votes: args.lost_votes,
        times: &durations,
        // What is known is all that a dispatch could know as well.
        estimates: &durations,
    });
    let dispatches = args.dispatch.dispatches().iter();
    let predictions: Vec<_> = dispatches.map(|how| simulation.predict(*how)).collect();
    let shown = Outcome {
        args,
        plan_file: plan_file.strip_prefix(&root).unwrap_or(&plan_file),
        slots: slots.get(),
        unfinished: simulation.unfinished(),
        own_durations: own_durations(&durations, predictions.first()),
        durations: lines(&durations, predictions.first()),
        predictions,
    };
    shown.warn(context);
    match context.terminal.json {
        true => context.terminal.data(&shown.json().to_string())?,
        false => context.terminal.data(&shown.text(context))?,
    }
    Ok(0)
}

/// The tasks that `ids=` lets in.
fn closure(plan: &Plan, ids: &[String]) -> Result<Option<BTreeSet<ItemId>>, CliError> {
    if ids.is_empty() {
        return Ok(None);
    }
    let ids = ids.iter().map(|id| ItemId::try_from(id.clone()));
    let ids: Vec<ItemId> = ids.collect::<Result<_, _>>()?;
    Ok(Some(plan.closure(&ids)?))
}

fn protocols(args: &SimulateArgs, context: &Context, root: &Path) -> Result<Protocols, RunError> {
    let overrides = SwarmOverrides {
        roles: args.swarm_roles,
        consensus_threshold: args.consensus_threshold,
        consensus_retries: args.consensus_retries,
    };
    let search_path = ProtocolSearchPath {
        root,
        named: &context.config.protocols,
    };
    Protocols::load(&args.protocol, search_path, overrides)
}

/// The one number, as preflight would have it.
fn slots(args: &SimulateArgs, protocols: &Protocols) -> Concurrency {
    let tasks = args.max_tasks.unwrap_or(u32::MAX).min(args.parallel_tasks);
    Concurrency::preflight(&Limits {
        allowed: usize::try_from(args.max_concurrency).unwrap_or(usize::MAX),
        rows: protocols.widest_round().saturating_mul(tasks as usize),
        ..Limits::default()
    })
}

fn durations(args: &SimulateArgs, plan: &Plan, context: &Context) -> Result<Durations, CliError> {
    let given = match &args.durations {
        Some(name) => given(name, context)?,
        None => Given::default(),
    };
    let is_known = |id: &str| plan.items().iter().any(|item| item.id().as_str() == id);
    let unknown: BTreeSet<&str> = given.tasks().map(|task| task.as_str()).collect();
    let unknown: Vec<&str> = unknown.into_iter().filter(|id| !is_known(id)).collect();
    if let Some(first) = unknown.first() {
        let more = match unknown.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        context.terminal.warn(&format!(
            "the durations name task `{first}`{more}, which the plan does not have"
        ));
    }
    Ok(Durations {
        given,
        learned: learned(args, context)?,
        row_default_ms: args.row_seconds.saturating_mul(1000),
    })
}

fn given(name: &Path, context: &Context) -> Result<Given, CliError> {
    let table = |error: TableError| RunError::from(crate::job::JobError::Table(error.fixed()));
    let path = context.folder.join(name);
    let mut reader = Reader::open(&path, name, &ReadOptions::default()).map_err(table)?;
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().map_err(table)? {
        rows.push(row);
    }
    Given::read(reader.header(), &rows).map_err(|source| CliError::Durations {
        path: name.to_owned(),
        source,
    })
}

/// From the ledgers of the runs that are named, and of all others where that is wished.
fn learned(args: &SimulateArgs, context: &Context) -> Result<Learned, CliError> {
    let mut learned = Learned::default();
    if args.from_run.is_empty() && !args.learn {
        return Ok(learned);
    }
    let home = args.place.home(context)?;
    let named = args.from_run.iter();
    let named = named.map(|id| RunFolder::find(&home, &RunId::new(id.clone())));
    let mut folders = named.collect::<Result<Vec<_>, _>>()?;
    if args.learn {
        let all = RunFolder::list(&home)?.into_iter();
        let others: Vec<_> = all.filter(|folder| !folders.contains(folder)).collect();
        folders.extend(others);
    }
    for folder in &folders {
        let before = learned.clone();
        let read = ledger::scan(&folder.ledger(), |record, _| {
            learned.take(&record.event, &record.ts);
        });
        match read {
            Ok(_) => {}
            // One ledger that can't be read is no reason to forget the others; one that is named is.
            Err(error) if args.learn => {
                context.terminal.warn(&with_causes(&error));
                learned = before;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if learned.rows() == 0 {
        let runs = match folders.len() {
            1 => "the run has".to_owned(),
            many => format!("the {many} runs have"),
        };
        let warning =
            format!("nothing is learned: {runs} no row of a plan that ended with a result");
        context.terminal.warn(&warning);
    }
    Ok(learned)
}

/// What is taken for the duration of a round.
struct Line {
    round: RoundName,
    rows: usize,
    /// Of a row, over all tasks and roles.
    mean_ms: u64,
    from: String,
}

fn lines(durations: &Durations, prediction: Option<&Prediction>) -> Vec<Line> {
    let rounds = prediction.map_or(&[][..], |prediction| &prediction.rounds);
    let rounds = rounds.iter().map(|round| {
        let sources = round.roles.iter();
        let sources = sources.map(|role| durations.of_row(&round.name, role).1);
        Line {
            from: origin(sources.collect()),
            rows: round.rows,
            mean_ms: round.work_ms / round.rows.max(1) as u64,
            round: round.name.clone(),
        }
    });
    let (mean_ms, source) = durations.of_integration();
    let integration = Line {
        round: RoundName::new(INTEGRATION),
        rows: 0,
        mean_ms,
        from: origin(vec![source]),
    };
    rounds.chain([integration]).collect()
}

fn own_durations(durations: &Durations, prediction: Option<&Prediction>) -> usize {
    let named: BTreeSet<&str> = durations.given.tasks().map(|task| task.as_str()).collect();
    let worked = prediction.iter().flat_map(|prediction| &prediction.tasks);
    worked
        .filter(|task| named.contains(task.id.as_str()))
        .count()
}

/// In words, the surest first.
fn origin(sources: Vec<Source>) -> String {
    let mut words = Vec::new();
    if sources.contains(&Source::Given) {
        words.push("given".to_owned());
    }
    let learned = sources.iter().filter_map(|source| match source {
        Source::Learned(samples) => Some(samples),
        _ => None,
    });
    if learned.clone().next().is_some() {
        words.push(format!("learned ({})", learned.sum::<usize>()));
    }
    if sources.contains(&Source::Default) {
        words.push("default".to_owned());
    }
    words.join(", ")
}

/// Everything that is shown.
struct Outcome<'o> {
    args: &'o SimulateArgs,
    plan_file: &'o Path,
    slots: usize,
    unfinished: usize,
    /// How many tasks are named in the file of durations.
    own_durations: usize,
    durations: Vec<Line>,
    predictions: Vec<Prediction>,
}

impl Outcome<'_> {
    /// What keeps tasks from being completed.
    fn warn(&self, context: &Context) {
        let Some(prediction) = self.predictions.first() else {
            return;
        };
        let terminal = &context.terminal;
        for skipped in &prediction.skipped {
            terminal.warn(&format!("{}; it is left out", skipped.why));
        }
        for task in &prediction.tasks {
            if let End::Blocked(reason, detail) = &task.end {
                let id = &task.id;
                terminal.warn(&format!("item `{id}` would be blocked: {reason}: {detail}"));
            }
        }
        if self.args.parallel_tasks == 1 && prediction.tasks.len() > 1 {
            terminal.talk(
                "one task at a time; parallel_tasks=N takes up several whose scopes are disjoint",
            );
        }
    }

    fn text(&self, context: &Context) -> String {
        let Some(first) = self.predictions.first() else {
            return String::new();
        };
        let mut parts = vec![self.head(), self.summary(context)];
        let is_same = self
            .predictions
            .iter()
            .all(|other| other.bound == first.bound);
        parts.extend(match is_same {
            true => vec![bound_text(first)],
            // With `max_tasks` they need not have worked the same tasks.
            false => self.predictions.iter().map(bound_text).collect(),
        });
        parts.push(self.durations_text());
        match self.own_durations {
            0 => {}
            1 => parts
                .push("1 task has durations of its own, which the means above include.".to_owned()),
            many => parts.push(format!(
                "{many} tasks have durations of their own, which the means above include."
            )),
        }
        if let Some(cost) = self.cost(first) {
            let (rows, each) = (first.rows(), self.args.cost_per_row.unwrap_or_default());
            parts.push(format!(
                "Cost: {} at {each} USD: {cost:.2} USD",
                counted(rows as u64, "row")
            ));
        }
        if self.args.waves {
            parts.extend(self.predictions.iter().map(waves_text));
        }
        parts.join("\n\n")
    }

    fn head(&self) -> String {
        let tasks = match self.unfinished {
            1 => "1 unfinished task".to_owned(),
            many => format!("{many} unfinished tasks"),
        };
        format!(
            "{}: {tasks}, protocol {}, {} at once, parallel_tasks={}",
            self.plan_file.display(),
            self.args.protocol,
            super::progress::rows(self.slots as u64),
            self.args.parallel_tasks,
        )
    }

    fn summary(&self, context: &Context) -> String {
        let header = [
            "DISPATCH", "TASKS", "WAVES", "ROWS", "MAKESPAN", "BOUND", "RATIO", "BUSY",
        ];
        let mut table = plain(&header);
        for prediction in &self.predictions {
            table.add_row([
                prediction.dispatch.as_str().to_owned(),
                prediction.tasks.len().to_string(),
                prediction.waves.len().to_string(),
                prediction.rows().to_string(),
                time(prediction.makespan_ms),
                time(prediction.bound.ms()),
                format!("{:.2}", prediction.ratio()),
                format!("{:.0}%", prediction.busy() * 100.0),
            ]);
        }
        let text = table.trim_fmt();
        let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", context.terminal.out_tone(Tone::Note, head))
    }

    fn durations_text(&self) -> String {
        let mut table = plain(&["ROUND", "ROWS", "MEAN", "KNOWN FROM"]);
        for line in &self.durations {
            let rows = match line.rows {
                0 => "-".to_owned(),
                rows => rows.to_string(),
            };
            let from = line.from.clone();
            table.add_row([line.round.to_string(), rows, time(line.mean_ms), from]);
        }
        if let Some(column) = table.column_mut(3) {
            column.set_cell_alignment(CellAlignment::Left);
        }
        table.trim_fmt()
    }

    fn cost(&self, prediction: &Prediction) -> Option<f64> {
        Some(self.args.cost_per_row? * prediction.rows() as f64)
    }

    fn json(&self) -> Value {
        let durations = self.durations.iter().map(|line| {
            json!({"round": line.round, "rows": line.rows, "seconds": seconds(line.mean_ms), "from": line.from})
        });
        let predictions = self.predictions.iter();
        let predictions = predictions.map(|prediction| self.prediction_json(prediction));
        json!({
            "plan_file": self.plan_file.to_string_lossy(),
            "protocol": self.args.protocol,
            "unfinished_tasks": self.unfinished,
            "parallel_tasks": self.args.parallel_tasks,
            "max_concurrency": self.slots,
            "durations": durations.collect::<Vec<_>>(),
            "tasks_with_durations": self.own_durations,
            "predictions": predictions.collect::<Vec<_>>(),
        })
    }

    fn prediction_json(&self, prediction: &Prediction) -> Value {
        let bound = &prediction.bound;
        let tasks = prediction.tasks.iter().map(|task| {
            let reason = match &task.end {
                End::Completed => None,
                End::Blocked(reason, _) => Some(reason.as_str()),
            };
            json!({"id": task.id, "begins_seconds": seconds(task.begins_ms), "ends_seconds": seconds(task.ends_ms), "blocked": reason})
        });
        let waves = prediction.waves.iter().enumerate().map(|(index, wave)| {
            json!({"wave": index + 1, "round": wave.round, "rows": wave.rows, "begins_seconds": seconds(wave.begins_ms), "ends_seconds": seconds(wave.ends_ms)})
        });
        json!({
            "dispatch": prediction.dispatch.as_str(),
            "row_count": prediction.rows(),
            "makespan_seconds": seconds(prediction.makespan_ms),
            "lower_bound_seconds": seconds(bound.ms()),
            "ratio": (prediction.ratio() * 1000.0).round() / 1000.0,
            "critical_path_seconds": seconds(bound.critical_path_ms),
            "critical_path": bound.critical_path,
            "work_per_slot_seconds": seconds(bound.work_per_slot_ms()),
            "integration_seconds": seconds(bound.integration_ms),
            "busy": (prediction.busy() * 1000.0).round() / 1000.0,
            "cost_usd": self.cost(prediction),
            "tasks": tasks.collect::<Vec<_>>(),
            "waves": waves.collect::<Vec<_>>(),
        })
    }
}

/// The bound of the first prediction, taken apart.
fn bound_text(prediction: &Prediction) -> String {
    let bound = &prediction.bound;
    format!(
        "No dispatch is faster than the largest of critical path {}, work / slots {}\nand integrations {}. The critical path: {}",
        time(bound.critical_path_ms),
        time(bound.work_per_slot_ms()),
        time(bound.integration_ms),
        path_text(&bound.critical_path),
    )
}

/// The ends of a path, and the number of tasks that are left out between them.
fn path_text(path: &[ItemId]) -> String {
    /// How many of each end.
    const ENDS: usize = 3;
    let names: Vec<String> = path.iter().map(ItemId::to_string).collect();
    match names.len() {
        0 => "none".to_owned(),
        few if few <= 2 * ENDS + 1 => names.join(" > "),
        many => {
            let (first, last) = (&names[..ENDS], &names[many - ENDS..]);
            let between = many - 2 * ENDS;
            format!(
                "{} > ({between} more) > {}",
                first.join(" > "),
                last.join(" > ")
            )
        }
    }
}

fn waves_text(prediction: &Prediction) -> String {
    let mut table = plain(&["WAVE", "ROUND", "ROWS", "BEGINS", "ENDS"]);
    for (index, wave) in prediction.waves.iter().enumerate() {
        table.add_row([
            (index + 1).to_string(),
            wave.round.to_string(),
            wave.rows.to_string(),
            time(wave.begins_ms),
            time(wave.ends_ms),
        ]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Left);
    }
    format!(
        "Waves, {}:\n{}",
        prediction.dispatch.as_str(),
        table.trim_fmt()
    )
}

/// A table without lines; numbers stand to the right of the first column.
fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// `0.25s`, `45s`, `9m45s`, `1h02m03s`.
fn time(ms: u64) -> String {
    if ms < 10_000 {
        return format!("{}s", seconds(ms / 10 * 10));
    }
    let all = ms.saturating_add(500) / 1000;
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_matter() {
        let cases = [
            0,
            255,
            9_999,
            10_400,
            59_600,
            585_000,
            3_723_000,
            360_000_000,
        ];
        assert_eq!(
            cases.map(time),
            [
                "0s",
                "0.25s",
                "9.99s",
                "10s",
                "1m00s",
                "9m45s",
                "1h02m03s",
                "100h00m00s"
            ]
        );
    }

    #[test]
    fn a_long_path_shows_its_ends() {
        let path = |count: usize| -> Vec<ItemId> {
            (1..=count)
                .map(|at| format!("t{at}").parse().expect("an id"))
                .collect()
        };
        assert_eq!(path_text(&[]), "none");
        assert_eq!(path_text(&path(7)), "t1 > t2 > t3 > t4 > t5 > t6 > t7");
        assert_eq!(
            path_text(&path(9)),
            "t1 > t2 > t3 > (3 more) > t7 > t8 > t9"
        );
    }
}
